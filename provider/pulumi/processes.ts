// Finds the process that runs the engine. The provider's parent is a launcher's shell, whose parent is the engine.

import { readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";

/** Launchers are one or two shells deep. */
const GENERATIONS = 6;

let found: { pid: number | undefined } | undefined;

/** The executable that runs the engine. */
export function engineExecutable(): string | undefined {
  const pid = enginePid();
  return pid === undefined ? undefined : executableOf(pid);
}

/** The working directory of the engine: relative addresses of state stores are relative to it. */
export function engineFolder(): string | undefined {
  const pid = enginePid();
  return pid === undefined ? undefined : linkOf(`/proc/${pid}/cwd`);
}

/** undefined where the system has no /proc (all but Linux). */
function enginePid(): number | undefined {
  found ??= { pid: search() };
  return found.pid;
}

function search(): number | undefined {
  let pid = process.ppid;
  for (let generation = 0; generation < GENERATIONS && pid > 1; generation += 1) {
    const executable = executableOf(pid);
    if (executable !== undefined && /^pulumi(\.exe)?$/.test(basename(executable))) return pid;
    const parent = parentOf(pid);
    if (parent === undefined) return undefined;
    pid = parent;
  }
  return undefined;
}

function executableOf(pid: number): string | undefined {
  return linkOf(`/proc/${pid}/exe`);
}

function linkOf(file: string): string | undefined {
  try {
    return readlinkSync(file);
  } catch {
    return undefined;
  }
}

function parentOf(pid: number): number | undefined {
  try {
    // The name in parentheses may itself hold blanks and parentheses.
    const [, parent] = /^\d+ \(.*\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
    return parent === undefined ? undefined : Number(parent);
  } catch {
    return undefined;
  }
}
