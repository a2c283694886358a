// Reads the file of `--data`: JSON or YAML, with the place of a mistake. What it says is checked by the emulator itself.

import { readFileSync } from "node:fs";
import { parseDocument } from "yaml";
import type { EmulatorData } from "./services";

export function readDataFile(file: string): EmulatorData {
  const document = parseDocument(textOf(file), { prettyErrors: true });
  const [mistake] = document.errors;
  if (mistake !== undefined) throw new Error(`${file} is neither JSON nor YAML: ${mistake.message.split("\n")[0]}`);
  // An empty file gives nothing.
  return (document.toJS() ?? {}) as EmulatorData;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new Error(`--data: ${error instanceof Error ? error.message : String(error)}`);
  }
}
