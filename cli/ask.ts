// The question before a command changes something.

import { createInterface } from "node:readline/promises";
import { UsageError } from "./command";
import type { Io } from "./io";

/** `work` completes "give --yes to … without asking". */
export async function ask(io: Io, question: string, work: string): Promise<boolean> {
  if (!io.canAsk) throw new UsageError(`there is no terminal to ask on: give --yes to ${work} without asking`);
  io.stderr.write(`${question} (yes/no) `);
  for await (const line of createInterface({ input: io.stdin as NodeJS.ReadableStream })) return line.trim() === "yes";
  return false;
}
