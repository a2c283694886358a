// Preloaded into the processes of a measured run (NODE_OPTIONS). When a provider's process ends, it writes what the process
// has needed: the dynamic provider's, and the native one's. It does nothing in any other process.

import { writeFileSync } from "node:fs";
import * as path from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";

/** What a process has needed until it ended. */
export interface Meter {
  peakMiB: number;
  /** The delay of the event loop: how late a timer fired. */
  delayP99Ms: number;
  delayMaxMs: number;
}

/** The folder that gets one file for each process. */
export const METER_FOLDER = "SNAPCLONE_BENCH_METER";

/** The peaks of the resident memory while the process lived. */
export interface Peaks {
  peaks: { at: number; peakMiB: number }[];
}

const RESOLUTION_MS = 2;
const PEAK_MS = 250;

/** Starts measuring; the result may be asked for once. */
export function startMeter(): () => Meter {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  return () => {
    histogram.disable();
    // The histogram holds the distances of its own timer's calls, so the timer's interval is in each of them.
    const late = (ns: number) => Math.max(0, Number((ns / 1e6 - RESOLUTION_MS).toFixed(1)));
    return {
      peakMiB: peakMiB(),
      delayP99Ms: late(histogram.percentile(99)),
      delayMaxMs: late(histogram.max),
    };
  };
}

function peakMiB(): number {
  return Number((process.resourceUsage().maxRSS / 1024).toFixed(1));
}

function attach(folder: string): void {
  const stop = startMeter();
  const file = path.join(folder, `${process.pid}.json`);
  const peaks: Peaks["peaks"] = [];
  setInterval(() => peaks.push({ at: Date.now(), peakMiB: peakMiB() }), PEAK_MS).unref();
  process.once("exit", () => writeFileSync(file, JSON.stringify({ ...stop(), peaks })));
  // The engine's word that the run is over ends a process that doesn't listen to it: listening must not change that.
  process.once("SIGINT", () => {
    if (process.listenerCount("SIGINT") === 0) process.exit(0);
  });
}

const folder = process.env[METER_FOLDER];
const isProvider = /[\\/]cmd[\\/]dynamic-provider|[\\/]pulumi-resource-snapclone$/.test(process.argv[1] ?? "");
if (folder !== undefined && isProvider) attach(folder);
