// Runs the command `snapclone` in-process: argv in, texts and exit code out. And what Pulumi's commands would write for it.

import { Readable } from "node:stream";
import { main } from "../../cli/main";
import type { Emulator } from "../../emulator";
import type { Clock } from "../../provider/core/util/clock";
import { type ResourceName, resources, typeOf } from "../../provider/resources";
import { FakeEngine } from "../support/fakeEngine";
import { ScaledClock } from "../support/scaledClock";

export interface CliResult {
  code: number;
  stdout: string;
  stderr: string;
  /** stdout as JSON, for `--json`. */
  // biome-ignore lint/suspicious/noExplicitAny: each command has a form of its own.
  json(): any;
}

export interface CliSetup {
  stdin?: string;
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  isTTY?: boolean;
  columns?: number;
  canAsk?: boolean;
}

export async function snapclone(argv: readonly string[], setup: CliSetup = {}): Promise<CliResult> {
  let stdout = "";
  let stderr = "";
  const code = await main(argv, {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    stdin: Readable.from([setup.stdin ?? ""]),
    // Nothing of this machine: neither its variables nor its home.
    env: setup.env ?? {},
    cwd: setup.cwd ?? "/",
    home: "/nowhere",
    isTTY: setup.isTTY ?? false,
    columns: setup.columns,
    canAsk: setup.canAsk ?? false,
    untilStopped: async () => {},
  });
  return { code, stdout, stderr, json: () => JSON.parse(stdout) };
}

export const ORIGIN = "the test's store";

/** What `pulumi config --json --show-secrets` writes. */
export function stackConfig(connections: Record<string, object>, more: Record<string, string> = {}): string {
  const entry = { value: JSON.stringify(connections), objectValue: connections, secret: true };
  const others = Object.entries(more).map(([key, value]) => [key, { value, secret: false }]);
  return JSON.stringify({ "snapclone:connections": entry, ...Object.fromEntries(others) });
}

/** What `pulumi stack export` writes for the stack of this engine. */
export function exportOf(engines: readonly FakeEngine[], savedAt = new Date(Date.now() + 3_600_000)): string {
  const resource = (engine: FakeEngine, { urn, ...rest }: { urn: string } & object) => ({
    urn,
    type: engine.resourceType,
    custom: true,
    ...rest,
  });
  const root = { urn: `urn:pulumi:dev::shop::pulumi:pulumi:Stack::shop-dev`, type: "pulumi:pulumi:Stack" };
  const own = engines.flatMap((engine) =>
    engine.state.entries.map(({ leaving, initError: _, ...entry }) =>
      resource(engine, { ...entry, ...(leaving ? { delete: true } : {}) }),
    ),
  );
  const pending = engines.flatMap((engine) =>
    engine.state.pending.map((one) => ({ resource: resource(engine, one), type: "creating" })),
  );
  return JSON.stringify({
    version: 3,
    deployment: {
      manifest: { time: savedAt.toISOString() },
      resources: [root, ...own],
      pending_operations: pending,
    },
  });
}

const clock = new ScaledClock(50);

/** A model of Pulumi's engine that drives one resource type on this emulator. */
export function engineOf(
  name: ResourceName,
  emulator: Emulator,
  options: { stack?: string; clock?: Clock; isDead?: () => boolean } = {},
): FakeEngine {
  const config = { connections: JSON.stringify(emulator.connections()) };
  return new FakeEngine(resources[name](), { clock, origin: ORIGIN, type: typeOf(name), config, ...options });
}
