// What a subcommand of `snapclone` consists of. The table of all of them is in cli/main.ts.

import type { Io } from "./io";
import type { Output } from "./output";

/** Exit codes, the same for every command (docs/command.md). */
export const EXIT = {
  /** Done, and nothing is wrong. */
  ok: 0,
  /** The command did its work, and what it looked for is there: something is wrong, or objects are in no state. */
  found: 1,
  /** The command line is wrong. Nothing was done. */
  usage: 2,
  /** The command could not do its work: a backend did not answer, a file could not be read, a request was refused. */
  failed: 3,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface Option {
  type: "string" | "boolean";
  help: string;
  /** What stands for the value in the help: `FILE`. */
  value?: string;
  short?: string;
  /** May be given several times. */
  multiple?: true;
}

export type OptionTable = Readonly<Record<string, Option>>;

type ValueOf<One extends Option> = One["type"] extends "boolean"
  ? boolean
  : One["multiple"] extends true
    ? string[]
    : string;

export type Values<Options extends OptionTable> = { [Name in keyof Options]?: ValueOf<Options[Name]> };

export interface Invocation<Options extends OptionTable> {
  values: Values<Options>;
  positionals: readonly string[];
  /** Where texts and JSON go. */
  output: Output;
}

export interface Command<Options extends OptionTable = OptionTable> {
  name: string;
  /** One line, for `snapclone --help`. */
  summary: string;
  /** What follows the name in the usage line: `TYPE NAME ID`. */
  positionals?: string;
  /** At most this many positionals. Default 0. */
  maxPositionals?: number;
  options: Options;
  /** The last lines of the help: what the command does and does not do. */
  notes?: string;
  run(io: Io, invocation: Invocation<Options>): Promise<ExitCode>;
}

// biome-ignore lint/suspicious/noExplicitAny: the table of commands holds commands with different options.
export type AnyCommand = Command<any>;

/** Gives `run` the types of the options. */
export function defineCommand<const Options extends OptionTable>(command: Command<Options>): Command<Options> {
  return command;
}

/** The command line is wrong. */
export class UsageError extends Error {}
