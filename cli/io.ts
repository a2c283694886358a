// What a command may touch of its process. Tests hand in their own, so every command runs in-process.

import { homedir } from "node:os";

export interface Io {
  stdout: { write(text: string): unknown };
  stderr: { write(text: string): unknown };
  stdin: AsyncIterable<string | Uint8Array>;
  env: NodeJS.ProcessEnv;
  cwd: string;
  home: string;
  /** stdout is a terminal: colours may be used. */
  isTTY: boolean;
  /** The width of that terminal: prose is broken at blanks. Absent where stdout is none. */
  columns?: number | undefined;
  /** stdin and stderr are terminals, so somebody can answer a question. */
  canAsk: boolean;
  /** Resolves when the command should end (Ctrl-C). */
  untilStopped(): Promise<void>;
}

export function processIo(): Io {
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    env: process.env,
    cwd: process.cwd(),
    home: homedir(),
    isTTY: process.stdout.isTTY === true,
    columns: process.stdout.columns,
    canAsk: process.stdin.isTTY === true && process.stderr.isTTY === true,
    untilStopped: () =>
      new Promise((resolve) => {
        process.once("SIGINT", () => resolve());
        process.once("SIGTERM", () => resolve());
      }),
  };
}
