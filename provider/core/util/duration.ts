// Durations as Pulumi's customTimeouts write them: Go's "1h30m", "90s", "1.5h", "250ms".

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds, or undefined for anything that is not a positive duration. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) {
    total += Number(amount) * (UNITS[unit ?? ""] ?? 0);
  }
  return total > 0 && Number.isFinite(total) ? total : undefined;
}

/** "0", with or without a unit: means no time-out, as for Pulumi's own providers. */
export function isZeroDuration(text: string): boolean {
  return /^0+(\.0+)?(ns|us|µs|ms|s|m|h)?$/.test(text);
}

/** For people: "850 ms", "12 s", "3 min 20 s", "1 h 5 min". */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const exact = Math.round(ms / 1000);
  if (exact < 60) return `${exact} s`;
  // Rounded to minutes first, since 59.5 min would otherwise read as 60 min.
  const seconds = exact < 3570 ? exact : Math.round(exact / 60) * 60;
  const [big, small, units] =
    seconds < 3600
      ? [Math.floor(seconds / 60), seconds % 60, ["min", "s"]]
      : [Math.floor(seconds / 3600), (seconds % 3600) / 60, ["h", "min"]];
  return small === 0 ? `${big} ${units[0]}` : `${big} ${units[0]} ${small} ${units[1]}`;
}
