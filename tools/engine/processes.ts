// Runs other programs with a time limit, and leaves nothing behind when this process is interrupted meanwhile.

import { type ChildProcess, spawn } from "node:child_process";

export interface RunOptions {
  env: NodeJS.ProcessEnv;
  timeoutMs: number;
  cwd?: string;
  /** A file descriptor that gets the output instead of `output`. */
  outputTo?: number;
}

export interface Ran {
  ok: boolean;
  output: string;
  /** Why the program has failed, in a few words. */
  problem: string;
}

export async function run(command: string, args: readonly string[], options: RunOptions): Promise<Ran> {
  const sink = options.outputTo ?? "pipe";
  const child = spawn(command, args, {
    env: options.env,
    stdio: ["ignore", sink, sink],
    // A process group of its own: a time limit must also end what the program has started (compilers, curl).
    detached: process.platform !== "win32",
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  let output = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (output += text));
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup(child);
  }, options.timeoutMs);
  const problem = await withCleanup(
    () => killGroup(child),
    () => ended(child),
  );
  clearTimeout(timer);
  if (timedOut) return { ok: false, output, problem: `took longer than ${Math.round(options.timeoutMs / 1000)} s` };
  return { ok: problem === "", output, problem };
}

const cleanups = new Set<() => void>();
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** `cleanup` runs when `work` ends, and also when this process ends or is interrupted before. It must be synchronous. */
export async function withCleanup<T>(cleanup: () => void, work: () => Promise<T>): Promise<T> {
  if (cleanups.size === 0) listen();
  cleanups.add(cleanup);
  try {
    return await work();
  } finally {
    cleanups.delete(cleanup);
    cleanup();
    if (cleanups.size === 0) stopListening();
  }
}

function listen(): void {
  process.on("exit", cleanUp);
  for (const signal of signals) process.on(signal, cleanUpAndDie);
}

function stopListening(): void {
  process.off("exit", cleanUp);
  for (const signal of signals) process.off(signal, cleanUpAndDie);
}

function cleanUp(): void {
  // The innermost comes first: a child ends before the folder that it writes to is removed.
  for (const cleanup of [...cleanups].reverse()) {
    cleanups.delete(cleanup);
    cleanup();
  }
}

function cleanUpAndDie(signal: NodeJS.Signals): void {
  cleanUp();
  stopListening();
  process.kill(process.pid, signal);
}

function ended(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => {
      if (signal !== null) resolve(`ended by ${signal}`);
      else resolve(code === 0 ? "" : `exit code ${code}`);
    });
  });
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(process.platform === "win32" ? child.pid : -child.pid, "SIGKILL");
  } catch {
    // The process has ended by itself.
  }
}
