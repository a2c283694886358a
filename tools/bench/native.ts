// The native provider beside the dynamic one: the start of the process, a thousand creates that wait, their cancel, `up`, and
// a preview without a change. Both are measured alternately, so that other load on the machine affects both.

import type { FoundEngine } from "../engine";
import { type Round, runOnce } from "./comparison";
import { type EmulatorProcess, startEmulatorProcess } from "./emulatorProcess";
import { type Figure, figure, round } from "./figures";
import { nativeSnapshots, snapshots } from "./programs";
import { type Outcome, type ShellName, startProvider } from "./providerProcess";
import { newStack } from "./stack";

/** One quantity of both shells, and the median of the ratios native / dynamic of each round. */
export interface Pair {
  dynamic: Figure;
  native: Figure;
  ratio: number;
}

export interface NativeFigures {
  startMs: Pair;
  /** The peak of the resident memory of a process that was asked nothing but its configuration. */
  idleMiB: Pair;
  waits: NativeWaits | undefined;
  up: (Pair & { n: number }) | undefined;
  preview: (Pair & { n: number }) | undefined;
}

export interface NativeWaits {
  count: number;
  /** The peak of the resident memory until the cancel, and of the whole process. */
  waitingMiB: Pair;
  peakMiB: Pair;
  /** From the call of Cancel to the last answer. */
  cancelMs: Pair;
  /** Native creates whose answer has the object's id and a pending create, in the worst round. */
  recorded: number;
}

export interface NativeCase {
  waits: number;
  up: number;
  preview: number;
  rounds: number;
}

/** Longer than the measurement. */
const BACKEND_MS = 600_000;
const STARTS = 7;
const LIMIT_MS = 240_000;

export async function measureNative(
  engine: FoundEngine,
  emulator: EmulatorProcess,
  { waits, up, preview, rounds }: NativeCase,
): Promise<NativeFigures> {
  const starts = await alternately(STARTS, async (shell) => {
    const provider = await startProvider(shell, engine, emulator.connection);
    return { startMs: provider.startMs, idleMiB: (await provider.end()).peakMiB };
  });
  return {
    startMs: pairOf(starts, ({ startMs }) => startMs),
    idleMiB: pairOf(starts, ({ idleMiB }) => idleMiB),
    waits: waits > 0 ? await measureWaits(engine, waits, rounds) : undefined,
    up: up > 0 ? { n: up, ...(await measureUp(engine, emulator, up, rounds)) } : undefined,
    preview: preview > 0 ? { n: preview, ...(await measurePreview(engine, emulator, preview, rounds)) } : undefined,
  };
}

async function measureWaits(engine: FoundEngine, count: number, rounds: number): Promise<NativeWaits> {
  const emulator = await startEmulatorProcess(BACKEND_MS);
  try {
    const measured = await alternately(rounds, async (shell) => {
      await emulator.reset();
      return waitAndCancel(shell, engine, emulator, count);
    });
    return {
      count,
      waitingMiB: pairOf(measured, ({ untilMiB }) => untilMiB),
      peakMiB: pairOf(measured, ({ peakMiB }) => peakMiB),
      cancelMs: pairOf(measured, ({ cancelMs }) => cancelMs),
      recorded: Math.min(...measured.native.map(({ recorded }) => recorded)),
    };
  } finally {
    await emulator.close();
  }
}

async function waitAndCancel(shell: ShellName, engine: FoundEngine, emulator: EmulatorProcess, count: number) {
  const provider = await startProvider(shell, engine, emulator.connection);
  const outcomes: Outcome[] = [];
  const creates = Array.from({ length: count }, async (_, at) => {
    outcomes.push(await provider.create(`s${at}`));
  });
  const deadline = performance.now() + LIMIT_MS;
  while ((await accepted(emulator)) < count) {
    if (performance.now() > deadline) throw new Error(`${outcomes.length} of ${count} creates have ended already`);
    await pause(500);
  }
  // Some lists are polled.
  await pause(5_000);
  const [begun, time] = [performance.now(), Date.now()];
  await provider.cancel();
  await Promise.all(creates);
  const cancelMs = performance.now() - begun;
  const recorded = outcomes.filter((outcome) => outcome === "recorded").length;
  const { peakMiB, untilMiB } = await provider.end(time);
  return { cancelMs, recorded, peakMiB, untilMiB };
}

async function accepted(emulator: EmulatorProcess): Promise<number> {
  const log = await emulator.requests();
  return log.filter(({ operation, status }) => operation === "snapshots.create" && status === 202).length;
}

async function measureUp(engine: FoundEngine, emulator: EmulatorProcess, n: number, rounds: number): Promise<Pair> {
  const measured = await alternately(
    rounds,
    (shell): Promise<Round> => runOnce(engine, emulator, programOf(shell), n, n),
  );
  return pairOf(measured, ({ up }) => up);
}

async function measurePreview(engine: FoundEngine, emulator: EmulatorProcess, n: number, rounds: number) {
  const stackOf = async (shell: ShellName) => {
    const program = programOf(shell).text(n);
    const stack = await newStack({ engine, program, connection: emulator.connection, parallel: n });
    await stack.run("up");
    return stack;
  };
  await emulator.reset();
  const stacks = { dynamic: await stackOf("dynamic"), native: await stackOf("native") };
  try {
    const measured = await alternately(rounds, async (shell) => (await stacks[shell].run("preview")).seconds);
    return pairOf(measured, (seconds) => seconds);
  } finally {
    for (const stack of Object.values(stacks)) await stack.close();
  }
}

function programOf(shell: ShellName) {
  return shell === "native" ? nativeSnapshots : snapshots;
}

/** The shell that goes first changes with each round. */
async function alternately<Value>(rounds: number, measure: (shell: ShellName) => Promise<Value>) {
  const measured: Record<ShellName, Value[]> = { dynamic: [], native: [] };
  for (let at = 0; at < rounds; at += 1) {
    const order: ShellName[] = at % 2 === 0 ? ["dynamic", "native"] : ["native", "dynamic"];
    for (const shell of order) measured[shell].push(await measure(shell));
  }
  return measured;
}

function pairOf<Value>({ dynamic, native }: Record<ShellName, Value[]>, quantity: (value: Value) => number): Pair {
  const ratios = native.map((value, at) => quantity(value) / quantity(dynamic[at] as Value));
  return {
    dynamic: figure(dynamic.map(quantity)),
    native: figure(native.map(quantity)),
    ratio: round(figure(ratios).median, 2),
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
