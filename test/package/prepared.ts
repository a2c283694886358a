// What setup.ts has prepared, for the tests: an installed project as a workplace with the real `pulumi`, and tests that
// are skipped, with the reason said aloud, where something can't be had.

import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { type Ran, run } from "../../tools/engine/processes";
import { cleanEnvironment, readEvents } from "../support/pulumi";
import type { Had, Prepared } from "./setup";

export const repository = path.resolve(__dirname, "..", "..");

export const prepared = read();

function read(): Prepared {
  const file = process.env.SNAPCLONE_PACKAGE_PREPARED;
  if (file === undefined) throw new Error("test/package/setup.ts has not run: it is this Jest project's globalSetup");
  return JSON.parse(fs.readFileSync(file, "utf8")) as Prepared;
}

/** A test that needs all of `needs`; the paths are handed to it in the same order. */
export function testWith(name: string, needs: readonly Had[], body: (...paths: string[]) => Promise<void>): void {
  const missing = needs.flatMap((had) => ("missing" in had ? [had.missing] : []));
  if (missing.length === 0) {
    test(name, () => body(...needs.map((had) => ("path" in had ? had.path : ""))), 240_000);
    return;
  }
  process.stderr.write(`\nSKIPPED: ${name}\n${missing.join("\n")}\n\n`);
  test.skip(`${name} (skipped: ${missing.join("; ").split("\n")[0]})`, () => undefined);
}

export function installed(name: string): Had {
  return prepared.projects[name] ?? { missing: `${name} was not prepared` };
}

export function nodeFolder(version: string): Had {
  return prepared.nodes[version] ?? { missing: `Node ${version} was not prepared` };
}

export interface StateResource {
  urn: string;
  type: string;
  id?: string;
  inputs?: Record<string, unknown>;
  outputs?: Record<string, unknown>;
  initErrors?: string[];
  external?: boolean;
}

export interface Deployment {
  version: number;
  deployment: { resources?: StateResource[]; [other: string]: unknown };
}

export interface Event {
  diagnosticEvent?: { message: string; severity: string; ephemeral?: boolean };
  resourcePreEvent?: { metadata: { op: string; urn: string } };
  summaryEvent?: { resourceChanges: Record<string, number> };
}

export interface Done {
  output: string;
  events: Event[];
}

export interface Workplace {
  folder: string;
  /** Fails the test unless the command ends well. */
  ok(command: string, args: readonly string[]): Promise<Done>;
  tried(command: string, args: readonly string[], env?: Record<string, string>): Promise<Ran>;
  /** `pulumi`, on the stack `dev`, with the events of an operation. */
  pulumi(args: readonly string[], env?: Record<string, string>): Promise<Done>;
  exported(): Promise<Deployment>;
  resources(): Promise<StateResource[]>;
  close(): void;
}

export interface WorkplaceOptions {
  folder: string;
  enginePath: string;
  /** Files to put there; what an earlier test has left is taken away. */
  files: Record<string, string>;
  /** The folder of the `node` to use. Default: the one that runs this. */
  nodePath?: string;
  env?: Record<string, string>;
  /** Where `pulumi` runs. Default: `folder`. */
  cwd?: string;
  /** The folder has been prepared with its program, and nothing is taken away. */
  keep?: boolean;
  /** How `pulumi` is started, in front of it: for `yarn exec`. */
  before?: readonly string[];
}

/** The project itself is the folder where npm or pnpm has installed; state and home are of this test alone. */
export function workplace(options: WorkplaceOptions): Workplace {
  const { folder, enginePath, files, nodePath, env, keep = false, cwd = folder, before = [] } = options;
  const own = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "snapclone-package-")));
  for (const name of ["state", "home"]) fs.mkdirSync(path.join(own, name));
  if (!keep) empty(folder);
  for (const [name, text] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.writeFileSync(path.join(folder, name), text);
  }
  const environment = { ...cleanEnvironment(own, [...(nodePath ? [nodePath] : []), enginePath]), ...env };
  let operations = 0;

  const tried = (command: string, args: readonly string[], more: Record<string, string> = {}) =>
    run(command, args, { cwd, env: { ...environment, ...more }, timeoutMs: 120_000 });
  const ok = async (
    command: string,
    args: readonly string[],
    events?: string,
    more?: Record<string, string>,
  ): Promise<Done> => {
    const ran = await tried(command, args, more);
    if (!ran.ok) throw new Error(`${command} ${args.join(" ")}: ${ran.problem}\n${ran.output}`);
    return { output: ran.output, events: events === undefined ? [] : readEvents<Event>(events) };
  };
  const pulumi = (args: readonly string[], more?: Record<string, string>): Promise<Done> => {
    operations += 1;
    const events = path.join(own, `events-${operations}.json`);
    const operation = /^(up|preview|refresh|destroy)$/.test(args[0] ?? "");
    const log = operation ? ["--event-log", events] : [];
    const line = [...before, "pulumi", ...args, ...log, "--stack", "dev", "--non-interactive", "--color", "never"];
    return ok(line[0] ?? "pulumi", line.slice(1), events, more);
  };
  const exported = async () => {
    const file = path.join(own, "export.json");
    await pulumi(["stack", "export", "--file", file]);
    return JSON.parse(fs.readFileSync(file, "utf8")) as Deployment;
  };
  return {
    folder,
    ok: (command, args) => ok(command, args),
    tried,
    pulumi,
    exported,
    resources: async () =>
      ((await exported()).deployment.resources ?? []).filter(({ type }) => !type.startsWith("pulumi:")),
    close: () => {
      if (keep) fs.rmSync(path.join(cwd, "Pulumi.dev.yaml"), { force: true });
      else empty(folder);
      fs.rmSync(own, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
}

const INSTALLED = ["node_modules", "package-lock.json", "pnpm-lock.yaml", "pnpm-workspace.yaml", "installed.json"];

function empty(folder: string): void {
  for (const name of fs.readdirSync(folder)) {
    if (!INSTALLED.includes(name)) fs.rmSync(path.join(folder, name), { recursive: true });
  }
}
