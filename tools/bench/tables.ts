// The results as text for a terminal; Markdown, so that they can be pasted as they are.

import type { Results } from ".";
import type { Wall } from "./comparison";
import type { Figure } from "./figures";
import type { Pair } from "./native";

export function tables(results: Results): string {
  const { machine, versions } = results;
  const header = [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}; load ${machine.load.join(" ")}`,
    Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(", "),
  ].join("\n");
  return [
    header,
    walls(results),
    requests(results),
    sizes(results),
    others(results),
    waits(results),
    loading(results),
    native(results),
    table(
      ["target", "at most", "measured", ""],
      results.targets.map(({ what, target, measured, met }) => [what, target, measured, met ? "met" : "MISSED"]),
    ),
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

function walls({ runs }: Results): string {
  return table(
    ["N", "--parallel", "up s", "null s", "ratio", "preview s", "null s", "ratio", "destroy s", "null s", "ratio"],
    runs.map(({ n, parallel, up, preview, destroy }) => [n, parallel, ...wall(up), ...wall(preview), ...wall(destroy)]),
  );
}

function wall({ snapshot, null: nothing, backend, ratio }: Wall): (string | number)[] {
  return [both(snapshot), backend === 0 ? both(nothing) : `${both(nothing)} + ${backend}`, ratio.toFixed(2)];
}

/** The median, and the least in brackets. */
function both({ median, min, runs }: Figure): string {
  return runs === 1 ? median.toFixed(1) : `${median.toFixed(1)} (${min.toFixed(1)})`;
}

function requests({ runs, openstacksdk }: Results): string {
  const ours = runs.map(({ n, parallel, upRequests, destroyRequests }) => [
    `Snapshot, --parallel ${parallel}`,
    n,
    upRequests.all,
    upRequests.perResource.toFixed(2),
    destroyRequests,
  ]);
  const theirs = openstacksdk.map(({ version, n, threads, requests: all, perResource, seconds }) => [
    `openstacksdk ${version}, ${threads} threads (${seconds} s)`,
    n,
    all,
    perResource.toFixed(2),
    "",
  ]);
  return table(["requests of", "N", "up", "per resource", "destroy"], [...ours, ...theirs]);
}

function sizes({ runs }: Results): string {
  return table(
    ["N", "--parallel", "state B/resource", "null", "provider peak MiB", "null", "loop p99 ms", "null", "loop max ms"],
    runs.map(({ n, parallel, stateBytesPerResource, provider }) => [
      n,
      parallel,
      stateBytesPerResource.snapshot,
      stateBytesPerResource.null,
      provider.snapshot?.peakMiB ?? "",
      provider.null?.peakMiB ?? "",
      provider.snapshot?.delayP99Ms ?? "",
      provider.null?.delayP99Ms ?? "",
      provider.snapshot?.delayMaxMs ?? "",
    ]),
  );
}

function others({ others: measured }: Results): string {
  const resources = measured?.resources ?? [];
  return table(
    [
      "resource",
      "N",
      "up s",
      "null s",
      "preview s",
      "null s",
      "destroy s",
      "null s",
      "requests up",
      "destroy",
      "B of state",
    ],
    resources.map(({ resource, n, null: nothing, ...one }) => [
      resource,
      n,
      ...[one.up, nothing.up, one.preview, nothing.preview, one.destroy, nothing.destroy].map(both),
      one.upRequests,
      one.destroyRequests,
      one.stateBytesPerResource,
    ]),
  );
}

function waits(results: Results): string {
  return table(
    [
      "waits",
      "s (backend)",
      "failed",
      "bare MiB",
      "loaded",
      "peak",
      "live KiB/wait",
      "p99 sending",
      "p99 waiting",
      "max waiting",
      "lists",
      "shows",
    ],
    results.waits.map((one) => [
      one.waits,
      `${one.seconds} (${one.backendSeconds})`,
      one.failed,
      one.bareMiB,
      one.loadedMiB,
      one.peakMiB,
      one.liveKiBPerWait,
      one.sending.delayP99Ms,
      one.waiting.delayP99Ms,
      one.waiting.delayMaxMs,
      one.lists,
      one.shows,
    ]),
  );
}

function loading({ loading: measured }: Results): string {
  if (!measured) return "";
  const row = (what: string, { median, min }: Figure) => [what, median.toFixed(0), min.toFixed(0)];
  return table(
    ["loading", "median ms", "least"],
    [
      row("require of the entry", measured.entry),
      row("then the first check", measured.firstCheck),
      row("then the HTTP client", measured.http),
    ],
  );
}

function native({ native: measured }: Results): string {
  if (!measured) return "";
  const { startMs, idleMiB, waits, up, preview } = measured;
  const row = (what: string, pair: Pair, digits = 0) => {
    const shown = ({ median, min }: Figure) => `${median.toFixed(digits)} (${min.toFixed(digits)})`;
    return [what, shown(pair.dynamic), shown(pair.native), pair.ratio.toFixed(2)];
  };
  const ofWaits = waits
    ? [
        row(`${waits.count} waiting creates, peak MiB`, waits.waitingMiB),
        row("the same after Cancel, peak MiB", waits.peakMiB),
        row(`Cancel of ${waits.count} waits, ms (recorded: ${waits.recorded})`, waits.cancelMs),
      ]
    : [];
  return table(
    ["native provider", "dynamic", "native", "ratio"],
    [
      row("start to port, ms", startMs),
      row("idle, peak MiB", idleMiB),
      ...ofWaits,
      ...(up ? [row(`up of ${up.n}, s`, up, 1)] : []),
      ...(preview ? [row(`preview of ${preview.n}, s`, preview, 1)] : []),
    ],
  );
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  if (rows.length === 0) return "";
  const cells = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, column) => Math.max(3, ...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const [first = [], ...rest] = cells.map(line);
  return [first, line(widths.map((width) => "-".repeat(width))), ...rest].join("\n");
}
