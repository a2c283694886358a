#!/usr/bin/env node
// The command `snapclone emulator`, and its former name snapclone-emulator: starts the library on a fixed port and prints how
// to use it.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { DataError } from "./core/data";
import { readDataFile } from "./dataFile";
import { type ClockMode, type Emulator, type EmulatorOptions, startEmulator } from "./index";
import { type AnyDefinition, SERVICES } from "./services";

export interface CliIo {
  out(text: string): void;
  err(text: string): void;
  /** Resolves when the command should end. */
  untilStopped(): Promise<void>;
}

/** How the command calls itself, and what it prints when the emulator has started. */
export interface CliFront {
  readonly name: string;
  banner(emulator: Emulator, configFile: string | undefined): string;
}

/** Runs the command and returns its exit code. */
export async function main(
  argv: readonly string[],
  io: CliIo,
  front: CliFront = { name: "snapclone-emulator", banner },
): Promise<number> {
  let emulator: Emulator;
  try {
    const command = readCommand(argv);
    if (command === "help") {
      io.out(HELP);
      return 0;
    }
    const { options, configFile } = command;
    if (configFile !== undefined) checkReplaceable(configFile);
    emulator = await startEmulator(options);
    if (configFile !== undefined) writeFileSync(configFile, stackConfig(emulator));
    io.out(front.banner(emulator, configFile));
  } catch (error) {
    io.err(`${front.name}: ${oneLine(error)}\n`);
    return 1;
  }
  await io.untilStopped();
  await emulator.close();
  return 0;
}

const DEFINITIONS: readonly AnyDefinition[] = Object.values(SERVICES);
const PLATFORMS = new Intl.ListFormat("en-GB").format(new Set(DEFINITIONS.map(({ displayName }) => displayName)));

const HELP = `snapclone-emulator: ${PLATFORMS} in one process, in memory, as far as copies need them.

  --port <n>             where to listen (default 8776; 0: any free port)
  --host <address>       default 127.0.0.1
  --clock <mode>         real (default), instant, manual, or x10 for ten times as fast
  --seed <n>             ids and tokens depend on it (default 1)
  --data <file>          rows of your own, in JSON or YAML
  --write-config <file>  write a Pulumi stack configuration with a connection to each of these
  --help

Guide: docs/emulator.md
`;

interface Command {
  readonly options: EmulatorOptions;
  readonly configFile: string | undefined;
}

function readCommand(argv: readonly string[]): Command | "help" {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      port: { type: "string", default: "8776" },
      host: { type: "string", default: "127.0.0.1" },
      clock: { type: "string", default: "real" },
      seed: { type: "string", default: "1" },
      data: { type: "string" },
      "write-config": { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return "help";
  const options: EmulatorOptions = {
    port: wholeNumber("--port", values.port, 65_535),
    host: values.host,
    clock: clockMode(values.clock),
    seed: wholeNumber("--seed", values.seed, Number.MAX_SAFE_INTEGER),
    ...(values.data === undefined ? {} : { data: readDataFile(values.data) }),
  };
  return { options, configFile: values["write-config"] };
}

function wholeNumber(name: string, text: string, max: number): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number > max)
    throw new Error(`${name} needs a whole number from 0 to ${max}, not "${text}"`);
  return number;
}

function clockMode(text: string): ClockMode {
  if (text === "real" || text === "instant" || text === "manual") return text;
  const scale = /^x(\d+(?:\.\d+)?)$/.exec(text)?.[1];
  if (scale === undefined || Number(scale) === 0)
    throw new Error(`--clock is real, instant, manual or like x10, not "${text}"`);
  return { scale: Number(scale) };
}

export function banner(emulator: Emulator, configFile: string | undefined): string {
  const exports = Object.entries(emulator.openstack.env()).map(([name, value]) => `export ${name}=${value}`);
  return [
    `Emulating ${PLATFORMS} at ${emulator.url} (Ctrl-C ends it)`,
    "",
    ...exports,
    "",
    ...DEFINITIONS.flatMap(({ seed = [] }) => seed),
    `control   ${emulator.url}/_emulator/state`,
    `page      ${emulator.url}/`,
    ...(configFile === undefined ? [] : [`config    ${configFile}`]),
    "",
  ].join("\n");
}

const CONFIG_HEADER = "# Written by snapclone emulator; it may be overwritten by the next run.\n";
const FORMER_CONFIG_HEADER = CONFIG_HEADER.replace("snapclone emulator", "snapclone-emulator");

/** The configuration of a stack contains its encryption salt, so the command never overwrites it. */
function checkReplaceable(file: string): void {
  if (!existsSync(file)) return;
  const text = readFileSync(file, "utf8");
  if (![CONFIG_HEADER, FORMER_CONFIG_HEADER].some((header) => text.startsWith(header)))
    throw new Error(`${file} exists and wasn't written by this command; choose another file`);
}

function stackConfig(emulator: Emulator): string {
  const entries = Object.entries(emulator.connections()).map(([name, connection]) => {
    const lines = Object.entries(connection).map(([key, value]) => `      ${key}: ${JSON.stringify(value)}\n`);
    return `    ${name}:\n${lines.join("")}`;
  });
  return `${CONFIG_HEADER}config:\n  snapclone:connections:\n${entries.join("")}`;
}

function oneLine(error: unknown): string {
  if (error instanceof DataError) return error.message;
  const { code, port, message } = Object(error) as { code?: unknown; port?: unknown; message?: unknown };
  if (code === "EADDRINUSE") return `port ${String(port)} is in use; choose another with --port`;
  if (code === "EACCES" && port !== undefined)
    return `port ${String(port)} may not be used; choose another with --port`;
  return String(message ?? error).split("\n")[0] ?? "";
}

function processIo(): CliIo {
  return {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    untilStopped: () =>
      new Promise((resolve) => {
        process.once("SIGINT", () => resolve());
        process.once("SIGTERM", () => resolve());
      }),
  };
}

if (require.main === module) {
  process.stderr.write("snapclone-emulator is now `snapclone emulator`; the next release drops the old name\n");
  void main(process.argv.slice(2), processIo()).then((code) => process.exit(code));
}
