// The targets of the provider's performance, and whether these results reach them.

import type { Results } from ".";
import { judgeOthers } from "./otherTargets";

export interface Target {
  what: string;
  target: string;
  measured: string;
  met: boolean;
}

export function judge(results: Omit<Results, "targets">): Target[] {
  const targets: Target[] = [];
  const add = (what: string, target: string, value: number, most: number, unit = "") =>
    targets.push({ what, target: `≤ ${target}`, measured: `${value}${unit}`, met: value <= most });

  for (const { n, parallel, up, preview, destroy, upRequests, provider, providerBytes } of results.runs) {
    const which = `N = ${n}, --parallel ${parallel}`;
    if (n === 200) {
      const most = Math.round(1.1 * n + 20);
      add(`requests of up, ${which}`, `1.1 N + 20 = ${most}`, upRequests.all, most);
    }
    add(`up / (null + backend), ${which}`, "1.10", up.ratio, 1.1);
    add(`preview / null, ${which}`, "1.10", preview.ratio, 1.1);
    add(`destroy / (null + backend), ${which}`, "1.10", destroy.ratio, 1.1);
    if (n === 200 && provider.snapshot) {
      add(`event loop p99 of the provider in up, ${which}`, "20 ms", provider.snapshot.delayP99Ms, 20, " ms");
    }
    if (n === 1) add("bytes of __provider", "100", providerBytes, 100);
  }
  for (const { waits, bareMiB, peakMiB, sending, waiting } of results.waits) {
    if (waits !== 1_000) continue;
    add("memory over the bare process, 1 000 waits", "60 MiB", Math.round(peakMiB - bareMiB), 60, " MiB");
    add("event loop p99, 1 000 waits", "20 ms", waiting.delayP99Ms, 20, " ms");
    add("event loop p99 while 1 000 creates are sent", "20 ms", sending.delayP99Ms, 20, " ms");
  }
  if (results.loading) {
    add("loading the provider's entry", "150 ms", Math.round(results.loading.entry.median), 150, " ms");
  }
  if (results.native) {
    const { startMs, idleMiB, waits, up, preview } = results.native;
    add("native / dynamic: start to port", "0.50", startMs.ratio, 0.5);
    if (waits) {
      const which = `${waits.count} waiting creates`;
      add(`native / dynamic: memory, ${which}`, "1.00", waits.waitingMiB.ratio, 1);
      const over = Math.round(waits.waitingMiB.native.median - idleMiB.native.median);
      add(`native: memory over the idle process, ${which}`, "60 MiB", over, 60, " MiB");
      add(`native: Cancel of ${waits.count} waits`, "2000 ms", Math.round(waits.cancelMs.native.median), 2_000, " ms");
      add(`native: not recorded after Cancel, ${which}`, "0", waits.count - waits.recorded, 0);
    }
    if (up) add(`native / dynamic: up, N = ${up.n}`, "1.00", up.ratio, 1);
    if (preview) add(`native / dynamic: preview, N = ${preview.n}`, "1.00", preview.ratio, 1);
  }
  return [...targets, ...judgeOthers(results.others?.resources ?? [])];
}
