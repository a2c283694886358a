// Finds the connection that a resource names: reads its entry of the stack config and keeps one client a name and process.
// The kind of the connection (openstack, vipr, …) decides what an entry holds.

import { homedir } from "node:os";
import { SnapcloneError } from "../errors";
import type { Patience } from "../http/rateGate";
import { digest } from "../util/digest";
import { isRecord } from "../util/values";
import type { Diagnosis } from "./diagnosis";

export const DEFAULT_CONNECTION = "default";

export interface ConnectionKind<Client> {
  kind: string;
  /** Throws a "config" error that names every key and file that was read. Opens no socket. */
  open(request: ConnectionRequest): Client;
  /**
   * What the settings alone say about which backend and project they reach: no secret, nothing that a rotation changes.
   * Two names with the same target reach the same backend. undefined if the settings do not tell.
   */
  target?(client: Client): unknown;
  /** For `snapclone doctor`: whether the connection works, and what is known of its rights. Creates and changes nothing. */
  diagnose?(client: Client, diagnosis: Diagnosis): Promise<void>;
  /** Called at the end of the run, which has a few seconds: ends a login that would outlive the process. */
  close?(client: Client): Promise<void>;
}

export interface ConnectionRequest {
  name: string;
  /** The entry `snapclone:connections.<name>` of the stack config, parsed; undefined where there is none. */
  config: unknown;
  /** The names of all entries of `snapclone:connections`, for "did you mean". */
  configured?: readonly string[];
  env: NodeJS.ProcessEnv;
  cwd: string;
  home: string;
  /** For warnings about the settings (`insecure: true`). */
  warn(text: string): void;
  /** For requests that belong to no operation: how long they are repeated, and where their waits are shown. */
  patience(): Patience;
}

export class Connections {
  private readonly opened = new Map<string, { client: unknown; close?(): Promise<void> }>();
  private readonly targets = new Map<string, string | undefined>();

  constructor(
    /** The stack config's value of `snapclone:connections`: JSON text, as Pulumi hands structured config over. */
    private readonly stackConfig: () => string | undefined,
    private readonly warn: (text: string) => void,
    private readonly patience: () => Patience,
    /** Default: those of this process. */
    private readonly place: Partial<Pick<ConnectionRequest, "env" | "cwd" | "home">> = {},
  ) {}

  open<Client>(kind: ConnectionKind<Client>, name: string | undefined): Client {
    const wanted = name ?? DEFAULT_CONNECTION;
    const key = `${kind.kind}:${wanted}`;
    const earlier = this.opened.get(key);
    if (earlier !== undefined) return earlier.client as Client;
    const client = this.make(kind, wanted);
    this.opened.set(key, { client, ...(kind.close ? { close: async () => kind.close?.(client) } : {}) });
    return client;
  }

  /**
   * A digest of `ConnectionKind.target`. Sends nothing. undefined if the connection cannot be opened. Each diff asks, so it is
   * made once, also where the settings are wrong.
   */
  target<Client>(kind: ConnectionKind<Client>, name = DEFAULT_CONNECTION): string | undefined {
    const key = `${kind.kind}:${name}`;
    if (!this.targets.has(key)) this.targets.set(key, this.makeTarget(kind, name));
    return this.targets.get(key);
  }

  private makeTarget<Client>(kind: ConnectionKind<Client>, name: string): string | undefined {
    if (!kind.target) return undefined;
    try {
      return targetOf(kind, this.open(kind, name));
    } catch {
      return undefined;
    }
  }

  /** Closes all connections. Errors are ignored, since the run is over. */
  async close(): Promise<void> {
    const all = [...this.opened.values()];
    this.opened.clear();
    await Promise.allSettled(all.map(({ close }) => close?.()));
  }

  private make<Client>(kind: ConnectionKind<Client>, name: string): Client {
    const entries = this.entries();
    const config = Object.hasOwn(entries, name) ? entries[name] : undefined;
    const stated = isRecord(config) ? config.kind : undefined;
    if (stated !== undefined && stated !== kind.kind) {
      throw new SnapcloneError({
        kind: "config",
        message: `the connection "${name}" is of kind "${String(stated)}", and this resource needs one of kind "${kind.kind}"`,
        hint: `Name another connection, or correct snapclone:connections.${name}.kind in the stack config.`,
      });
    }
    const { warn, patience } = this;
    const configured = Object.keys(entries);
    const { env = process.env, cwd = process.cwd(), home = homedir() } = this.place;
    return kind.open({ name, config, configured, env, cwd, home, warn, patience });
  }

  private entries(): Record<string, unknown> {
    const text = this.stackConfig();
    if (text === undefined || text.trim() === "") return {};
    let all: unknown;
    try {
      all = JSON.parse(text);
    } catch {
      // The text may hold a password: it is not shown.
    }
    if (isRecord(all)) return all;
    throw new SnapcloneError({
      kind: "config",
      message: "snapclone:connections in the stack config is not an object of connections",
      hint: "Set its parts one by one: pulumi config set --path snapclone:connections.default.authUrl https://…",
    });
  }
}

/** A digest, because the state holds it: an address is nobody else's business. */
export function targetOf<Client>(kind: ConnectionKind<Client>, client: Client): string | undefined {
  const target = kind.target?.(client);
  return target === undefined ? undefined : digest(JSON.stringify(target)).slice(0, 12);
}
