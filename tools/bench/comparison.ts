// `up`, a preview without changes and `destroy` of N snapshots, beside the same with resources that do nothing.

import type { FoundEngine } from "../engine";
import { BACKEND_MS, type EmulatorProcess, type LoggedRequest } from "./emulatorProcess";
import { type Figure, figure, round } from "./figures";
import type { Meter } from "./meter";
import { nulls, type Program, snapshots } from "./programs";
import { newStack } from "./stack";

export interface Case {
  n: number;
  /** The value of `--parallel`. Undefined: the engine's default. */
  parallel: number | undefined;
  rounds: number;
}

/** Seconds. */
export interface Wall {
  snapshot: Figure;
  null: Figure;
  /** The time that the backend itself adds, which no provider can save. */
  backend: number;
  /** snapshot / (null + backend), of the medians. */
  ratio: number;
}

export interface Requests {
  /** Requests of the whole run: logins, lists, creates. */
  all: number;
  perResource: number;
  byOperation: Record<string, number>;
}

export interface Comparison {
  n: number;
  parallel: number | "default";
  up: Wall;
  preview: Wall;
  destroy: Wall;
  /** The value of the round with the most. */
  upRequests: Requests;
  destroyRequests: number;
  stateBytesPerResource: { snapshot: number; null: number };
  providerBytes: number;
  /** What the provider's process needed during `up`. */
  provider: { snapshot: Meter | undefined; null: Meter | undefined };
}

export interface Round {
  up: number;
  preview: number;
  destroy: number;
  upLog: LoggedRequest[];
  destroyLog: LoggedRequest[];
  provider: Meter | undefined;
  stateBytes: number;
  providerText: string;
}

/** `enginesDefault`: the engine's parallelism without `--parallel`. */
export async function compare(
  engine: FoundEngine,
  emulator: EmulatorProcess,
  { n, parallel, rounds }: Case,
  enginesDefault: number,
): Promise<Comparison> {
  const ours: Round[] = [];
  const theirs: Round[] = [];
  // One after the other, so that other load on the machine affects both.
  for (let round = 0; round < rounds; round += 1) {
    theirs.push(await runOnce(engine, emulator, nulls, n, parallel));
    ours.push(await runOnce(engine, emulator, snapshots, n, parallel));
  }
  const waves = Math.ceil(n / (parallel ?? enginesDefault));
  const wall = (operation: "up" | "preview" | "destroy", backendMs: number): Wall => {
    const snapshot = figure(ours.map((run) => run[operation]));
    const nothing = figure(theirs.map((run) => run[operation]));
    const backend = (waves * backendMs) / 1000;
    return { snapshot, null: nothing, backend, ratio: round(snapshot.median / (nothing.median + backend)) };
  };
  const counted = ours.map(({ upLog }) => count(upLog, n));
  const most = counted.toSorted((a, b) => b.all - a.all)[0] as Requests;
  const last = { snapshot: ours.at(-1), null: theirs.at(-1) };
  return {
    n,
    parallel: parallel ?? "default",
    up: wall("up", BACKEND_MS.create),
    preview: wall("preview", 0),
    destroy: wall("destroy", BACKEND_MS.delete),
    upRequests: most,
    destroyRequests: Math.max(...ours.map(({ destroyLog }) => destroyLog.length)),
    stateBytesPerResource: { snapshot: last.snapshot?.stateBytes ?? 0, null: last.null?.stateBytes ?? 0 },
    providerBytes: Buffer.byteLength(last.snapshot?.providerText ?? ""),
    provider: { snapshot: highest(ours), null: highest(theirs) },
  };
}

export async function runOnce(
  engine: FoundEngine,
  emulator: EmulatorProcess,
  program: Program,
  n: number,
  parallel: number | undefined,
): Promise<Round> {
  await emulator.reset();
  const connection = emulator.connections[program.connection];
  if (connection === undefined) throw new Error(`the emulator has no connection of kind ${program.connection}`);
  const stack = await newStack({ engine, program: program.text(n), connection, parallel });
  try {
    const up = await stack.run("up");
    const upLog = await emulator.requests();
    const resources = await stack.resources();
    if (resources.length !== n) throw new Error(`the state has ${resources.length} of ${n} resources`);
    const preview = await stack.run("preview");
    const before = (await emulator.requests()).length;
    if (before !== upLog.length) throw new Error("the preview sent requests to the cloud");
    const destroy = await stack.run("destroy");
    return {
      up: up.seconds,
      preview: preview.seconds,
      destroy: destroy.seconds,
      upLog,
      destroyLog: (await emulator.requests()).slice(before),
      provider: up.provider,
      stateBytes: Math.round(Buffer.byteLength(JSON.stringify(resources)) / n),
      providerText: String((resources[0]?.inputs as { __provider?: string } | undefined)?.__provider),
    };
  } finally {
    await stack.close();
  }
}

export function count(log: readonly LoggedRequest[], n: number): Requests {
  const byOperation: Record<string, number> = {};
  for (const { operation } of log) byOperation[operation] = (byOperation[operation] ?? 0) + 1;
  return {
    all: log.length,
    perResource: round(log.length / n, 2),
    byOperation,
  };
}

function highest(rounds: readonly Round[]): Meter | undefined {
  return rounds.map(({ provider }) => provider).toSorted((a, b) => (b?.peakMiB ?? 0) - (a?.peakMiB ?? 0))[0];
}
