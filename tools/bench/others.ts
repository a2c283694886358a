// Measures the other resources once, in one size, beside resources that do nothing.

import type { FoundEngine } from "../engine";
import { runOnce } from "./comparison";
import type { EmulatorProcess } from "./emulatorProcess";
import { round } from "./figures";
import { nulls, otherPrograms } from "./programs";

export interface OtherResource {
  resource: string;
  n: number;
  /** Seconds; most of them are the emulator's own time. */
  up: number;
  destroy: number;
  /** The same without any backend. */
  preview: number;
  null: { up: number; preview: number; destroy: number };
  upRequests: number;
  destroyRequests: number;
  byOperation: Record<string, number>;
  stateBytesPerResource: number;
  peakMiB: number | undefined;
}

export async function measureOthers(
  engine: FoundEngine,
  emulator: EmulatorProcess,
  n: number,
): Promise<OtherResource[]> {
  const nothing = await runOnce(engine, emulator, nulls, n, n);
  const seconds = (value: number) => round(value, 1);
  const measured: OtherResource[] = [];
  for (const program of otherPrograms()) {
    const run = await runOnce(engine, emulator, program, n, n);
    const byOperation: Record<string, number> = {};
    for (const { operation } of run.upLog) byOperation[operation] = (byOperation[operation] ?? 0) + 1;
    measured.push({
      resource: program.name,
      n,
      up: seconds(run.up),
      destroy: seconds(run.destroy),
      preview: seconds(run.preview),
      null: { up: seconds(nothing.up), preview: seconds(nothing.preview), destroy: seconds(nothing.destroy) },
      upRequests: run.upLog.length,
      destroyRequests: run.destroyLog.length,
      byOperation,
      stateBytesPerResource: run.stateBytes,
      peakMiB: run.provider?.peakMiB,
    });
  }
  return measured;
}
