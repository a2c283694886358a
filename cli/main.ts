#!/usr/bin/env node
// The command `snapclone`: finds the subcommand, parses its options, and turns errors into exit codes (docs/command.md).

import { parseArgs } from "node:util";
import { asSnapcloneError, messageOf, redact } from "../provider/core/errors";
import { version } from "../provider/version";
import { type AnyCommand, EXIT, type ExitCode, type OptionTable, UsageError, type Values } from "./command";
import { type Io, processIo } from "./io";
import { Output, wrap } from "./output";
import { printable, printableLines } from "./printable";

/** In the order of the help. Loaded on first use: each brings a backend's client or the emulator along. */
const COMMANDS: Readonly<Record<string, () => AnyCommand>> = {
  doctor: () => (require("./commands/doctor") as typeof import("./commands/doctor")).doctor,
  orphans: () => (require("./commands/orphans") as typeof import("./commands/orphans")).orphans,
  import: () => (require("./commands/import") as typeof import("./commands/import")).importCommand,
  graph: () => (require("./commands/graph") as typeof import("./commands/graph")).graph,
  emulator: () => (require("./commands/emulator") as typeof import("./commands/emulator")).emulator,
};

/** Every command has these. */
const COMMON = {
  json: { type: "boolean", help: "write the result as one JSON document" },
  help: { type: "boolean", short: "h", help: "show this help" },
} as const satisfies OptionTable;

export async function main(argv: readonly string[], io: Io): Promise<ExitCode> {
  const [name, ...rest] = argv;
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    const topic = name === "help" ? commandNamed(rest[0]) : undefined;
    (name === undefined ? io.stderr : io.stdout).write(topic ? helpOf(topic, io) : generalHelp(io));
    return name === undefined ? EXIT.usage : EXIT.ok;
  }
  if (name === "--version") {
    io.stdout.write(`${version}\n`);
    return EXIT.ok;
  }
  const command = commandNamed(name);
  if (command === undefined) {
    io.stderr.write(`snapclone: there is no command "${printable(redact(name))}"\n\n${generalHelp(io)}`);
    return EXIT.usage;
  }
  return runCommand(command, rest, io);
}

async function runCommand(command: AnyCommand, argv: readonly string[], io: Io): Promise<ExitCode> {
  try {
    const { values, positionals } = parse(command, argv);
    if (values.help) {
      io.stdout.write(helpOf(command, io));
      return EXIT.ok;
    }
    return await command.run(io, { values, positionals, output: new Output(io, values.json === true) });
  } catch (error) {
    const isUsage = error instanceof UsageError;
    const { message } = isUsage ? error : asSnapcloneError(error, `run snapclone ${command.name}`);
    io.stderr.write(`snapclone ${command.name}: ${printableLines(redact(message))}\n`);
    if (isUsage) io.stderr.write(`See snapclone ${command.name} --help\n`);
    return isUsage ? EXIT.usage : EXIT.failed;
  }
}

function parse(command: AnyCommand, argv: readonly string[]) {
  const maximum = command.maxPositionals ?? 0;
  try {
    const options = { ...command.options, ...COMMON } as OptionTable;
    const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: maximum > 0 });
    if (positionals.length > maximum) throw new UsageError(`unexpected argument "${positionals[maximum]}"`);
    return { values: values as Values<typeof COMMON>, positionals };
  } catch (error) {
    // parseArgs throws a TypeError that says which option is wrong. What follows in some is about positional arguments.
    const told = messageOf(error);
    const message = told.replace(/\. To specify a positional argument .*$/s, "");
    throw error instanceof UsageError ? error : new UsageError(message);
  }
}

function commandNamed(name: string | undefined): AnyCommand | undefined {
  return name !== undefined && Object.hasOwn(COMMANDS, name) ? COMMANDS[name]?.() : undefined;
}

// --- help

function generalHelp(io: Io): string {
  const rows = Object.keys(COMMANDS).map((name) => row(name, 12, commandNamed(name)?.summary ?? "", io));
  return `Usage: snapclone COMMAND [OPTIONS]

${rows.join("\n")}

${row("snapclone COMMAND --help", 29, "show the options of a command", io)}
${row("snapclone --version", 29, "show the version of this package", io)}

${paragraph("Exit codes: 0 nothing is wrong, 1 the command found what it looks for, 2 the command line is wrong, 3 the command failed.", io)}
Guide: docs/command.md
`;
}

function helpOf({ name, summary, positionals, options, notes }: AnyCommand, io: Io): string {
  const all: [string, OptionTable[string]][] = Object.entries({ ...options, ...COMMON });
  const rows = all.map(([option, { short, value = "VALUE", type, multiple, help }]) => {
    const left = `${short ? `-${short}, ` : ""}--${option}${type === "string" ? ` ${value}` : ""}`;
    return row(left, 29, `${help}${multiple ? " (may be repeated)" : ""}`, io);
  });
  return `Usage: snapclone ${name}${positionals ? ` ${positionals}` : ""} [OPTIONS]

${paragraph(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`, io)}

${rows.join("\n")}
${notes ? `\n${paragraph(notes.trim(), io)}\n` : ""}`;
}

/** A name, and its explanation from the column `at` on. */
function row(name: string, at: number, text: string, { columns }: Io): string {
  return `  ${name.padEnd(at - 2)}${wrap(text, columns, at).join(`\n${" ".repeat(at)}`)}`;
}

function paragraph(text: string, { columns }: Io): string {
  return text
    .split("\n")
    .flatMap((line) => wrap(line, columns, 0))
    .join("\n");
}

if (require.main === module) {
  // A reader that has gone (`snapclone orphans | head`) ends nothing: `--remove` goes on with what it has begun.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", ignoreClosedPipe);
  void main(process.argv.slice(2), processIo()).then((code) => {
    // Connections to backends stay open for some seconds after the last request. What is written to a pipe is written first.
    process.stdout.write("", () => process.exit(code));
  });
}

function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
}
