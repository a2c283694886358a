// The connections that a command uses, read as the provider reads them: the stack config (`--stack-config`), the environment,
// clouds.yaml.

import { hostname } from "node:os";
import type { ConnectionKind } from "../provider/core/connection/connections";
import { DEFAULT_CONNECTION } from "../provider/core/connection/connections";
import { ConnectionNotFound } from "../provider/core/connection/settings";
import { Run, type Severity } from "../provider/core/run";
import { isRecord } from "../provider/core/util/values";
import { accountHome, stateOrigin } from "../provider/pulumi/origin";
import { resourceNames, resources } from "../provider/resources";
import { type OptionTable, UsageError } from "./command";
import type { Io } from "./io";
import { type CliState, readSource } from "./state";

// biome-ignore lint/suspicious/noExplicitAny: each kind has clients of its own.
type AnyKind = ConnectionKind<any>;

export const CONNECTION_OPTIONS = {
  "stack-config": {
    type: "string",
    value: "FILE",
    help: "the output of `pulumi config --json --show-secrets`; - reads stdin",
  },
  kind: {
    type: "string",
    value: "KIND",
    help: "use only openstack, powervc, vipr or zstack. Default: every kind that is set up",
  },
} as const satisfies OptionTable;

/** A connection that the settings describe. */
export interface Connection {
  kind: AnyKind;
  name: string;
  /** Throws a "config" error. Opens no socket. */
  open(): unknown;
}

/** What a command waits for a backend that can't be reached: no operation sets a deadline here. */
const PATIENCE_MS = 20_000;

export class CliConnections {
  /** For the core's operations: a run of the provider, with the same connections. */
  readonly run: Run;

  private constructor(
    { env, cwd, home }: Pick<Io, "env" | "cwd" | "home">,
    private readonly entries: Readonly<Record<string, unknown>>,
    /** Identifies the state store of the runs that this environment makes. */
    readonly origin: string,
    warn: (text: string) => void,
    patienceMs: number,
  ) {
    // The command has no rows of resources, so it drops their status lines.
    const log = (severity: Severity, text: string) => (severity === "status" ? undefined : warn(text));
    this.run = new Run({ log, place: { env, cwd, home }, origin: () => origin, patienceMs });
    this.run.configure({ connections: JSON.stringify(entries) });
  }

  /** `values` are those of CONNECTION_OPTIONS. */
  static async read(
    io: Pick<Io, "stdin" | "env" | "cwd" | "home">,
    values: { "stack-config"?: string },
    warn: (text: string) => void,
    patienceMs = PATIENCE_MS,
  ): Promise<CliConnections> {
    const source = values["stack-config"];
    const config = source === undefined ? {} : parseStackConfig(await readSource(io, source));
    const place = { env: io.env, cwd: io.cwd, home: accountHome(), host: hostname() };
    return new CliConnections(io, connectionEntries(config), stateOrigin(originIn(config), place), warn, patienceMs);
  }

  /** The names that the stack config has. */
  get configured(): string[] {
    return Object.keys(this.entries);
  }

  /**
   * The connections of a name, one for each kind that it may have. PowerVC reads the places that OpenStack reads, so it is
   * one of them only if the entry, `kind` or the state says so.
   */
  ofName(name: string, kind: string | undefined, state?: CliState): Connection[] {
    const entry = Object.hasOwn(this.entries, name) ? this.entries[name] : undefined;
    const stated = isRecord(entry) && typeof entry.kind === "string" ? entry.kind : undefined;
    const isUsed = (one: AnyKind) =>
      state?.resources.some(
        ({ resource, inputs }) => resources[resource]().connection === one && connectionOf(inputs) === name,
      );
    const open = (one: AnyKind): Connection => ({ kind: one, name, open: () => this.run.connections.open(one, name) });
    const candidates = kinds()
      .filter((one) => (kind ?? stated ?? one.kind) === one.kind)
      .filter((one) => one.kind !== "powervc" || kind === "powervc" || stated === "powervc" || isUsed(one))
      .map(open);
    if (entry === undefined || candidates.length < 2) return candidates;
    // An entry without `kind` is of the kind that its fields fit. If they fit none, each kind says what is wrong.
    const fitting = candidates.filter((one) => isUsed(one.kind) || opens(one));
    return fitting.length > 0 ? fitting : candidates;
  }

  close(): Promise<void> {
    return this.run.connections.close();
  }
}

function opens(connection: Connection): boolean {
  try {
    connection.open();
    return true;
  } catch {
    return false;
  }
}

/** Every kind of connection that a resource uses. */
export function kinds(): AnyKind[] {
  return [...new Set(resourceNames.map((name) => resources[name]().connection as AnyKind))];
}

/** Throws a UsageError for a kind that does not exist. */
export function checkKind(kind: string | undefined): string | undefined {
  const known = kinds().map((one) => one.kind);
  if (kind === undefined || known.includes(kind)) return kind;
  throw new UsageError(`--kind is one of ${known.join(", ")}, not "${kind}"`);
}

/** The connection that a resource's inputs name. */
export function connectionOf({ connection }: Readonly<Record<string, unknown>>): string {
  return typeof connection === "string" ? connection : DEFAULT_CONNECTION;
}

/** True if no place has settings for the connection: it is not set up, which is no mistake. */
export function isNotSetUp(error: unknown): error is ConnectionNotFound {
  return error instanceof ConnectionNotFound;
}

type StackConfig = Readonly<Record<string, unknown>>;

function parseStackConfig(text: string): StackConfig {
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch {
    // The text may hold a password: it is not shown.
  }
  if (isRecord(config)) return config;
  throw new UsageError(
    "--stack-config is not a stack config. Write it with: pulumi config --json --show-secrets > config.json",
  );
}

function connectionEntries(config: StackConfig): Record<string, unknown> {
  const entry = config["snapclone:connections"];
  if (entry === undefined) return {};
  const text = isRecord(entry) ? entry.value : entry;
  const isHidden = text === undefined && isRecord(entry) && entry.secret === true;
  if (isHidden) {
    throw new UsageError(
      "--stack-config does not show the secrets of snapclone:connections. Write it by: pulumi config --json --show-secrets > config.json",
    );
  }
  try {
    const entries: unknown = typeof text === "string" ? JSON.parse(text) : text;
    if (isRecord(entries)) return entries;
  } catch {
    // As above.
  }
  throw new UsageError("snapclone:connections in --stack-config is not an object of connections");
}

function originIn(config: StackConfig): string | undefined {
  const entry = config["snapclone:origin"];
  const value = isRecord(entry) ? entry.value : entry;
  return typeof value === "string" ? value : undefined;
}
