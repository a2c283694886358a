// Measures the other resources, in one size, beside resources that do nothing.

import type { FoundEngine } from "../engine";
import { count, type Round, runOnce } from "./comparison";
import type { EmulatorProcess } from "./emulatorProcess";
import { type Figure, figure } from "./figures";
import { nulls, otherPrograms } from "./programs";

/** Seconds. Most of them are the emulator's own time. */
type Seconds = Record<"up" | "preview" | "destroy", Figure>;

export interface OtherResource extends Seconds {
  resource: string;
  n: number;
  /** The same without any backend. */
  null: Seconds;
  /** The values of the round with the most. */
  upRequests: number;
  destroyRequests: number;
  /** The requests of the last round. */
  byOperation: Record<string, number>;
  stateBytesPerResource: number;
  peakMiB: number | undefined;
}

export async function measureOthers(
  engine: FoundEngine,
  emulator: EmulatorProcess,
  n: number,
  rounds: number,
): Promise<OtherResource[]> {
  const nothing: Round[] = [];
  const others = otherPrograms().map((program) => ({ program, runs: [] as Round[] }));
  // One after the other, so that other load on the machine affects all of them.
  for (let round = 0; round < rounds; round += 1) {
    nothing.push(await runOnce(engine, emulator, nulls, n, n));
    for (const { program, runs } of others) runs.push(await runOnce(engine, emulator, program, n, n));
  }
  return others.map(({ program, runs }) => {
    const last = runs.at(-1);
    return {
      resource: program.name,
      n,
      ...secondsOf(runs),
      null: secondsOf(nothing),
      upRequests: Math.max(...runs.map(({ upLog }) => upLog.length)),
      destroyRequests: Math.max(...runs.map(({ destroyLog }) => destroyLog.length)),
      byOperation: count(last?.upLog ?? [], n).byOperation,
      stateBytesPerResource: last?.stateBytes ?? 0,
      peakMiB: last?.provider?.peakMiB,
    };
  });
}

function secondsOf(runs: readonly Round[]): Seconds {
  return {
    up: figure(runs.map(({ up }) => up)),
    preview: figure(runs.map(({ preview }) => preview)),
    destroy: figure(runs.map(({ destroy }) => destroy)),
  };
}
