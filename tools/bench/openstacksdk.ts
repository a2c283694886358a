// Measures the same work with openstacksdk's `create_volume_snapshot(wait=True)`, if Python has it.

import { execFile } from "node:child_process";
import * as path from "node:path";
import { promisify } from "node:util";
import type { EmulatorProcess } from "./emulatorProcess";
import { round } from "./figures";
import { VOLUME } from "./programs";

export interface OpenStackSdk {
  version: string;
  n: number;
  threads: number;
  requests: number;
  perResource: number;
  seconds: number;
}

const run = promisify(execFile);
const script = path.resolve(__dirname, "..", "..", "..", "tools", "bench", "openstacksdk.py");

/** Undefined if there is no Python with openstacksdk. */
export async function sdkVersion(): Promise<string | undefined> {
  try {
    const { stdout } = await run("/usr/bin/python3", ["-c", "import openstack.version as v; print(v.__version__)"]);
    return stdout.trim();
  } catch {
    return undefined;
  }
}

export async function measureSdk(
  version: string,
  emulator: EmulatorProcess,
  n: number,
  threads: number,
): Promise<OpenStackSdk> {
  await emulator.reset();
  const env = { PATH: process.env.PATH, HOME: "/nonexistent", ...emulator.env };
  const args = [script, VOLUME, String(n), String(threads)];
  const { stdout } = await run("/usr/bin/python3", args, { env, timeout: 200_000 });
  const requests = (await emulator.requests()).length;
  return { version, n, threads, requests, perResource: round(requests / n, 2), seconds: Number(stdout) };
}
