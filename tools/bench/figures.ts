// Small arithmetic over measured values.

/** One quantity, measured several times. */
export interface Figure {
  min: number;
  median: number;
  /** How often it was measured. */
  runs: number;
}

export function figure(values: readonly number[]): Figure {
  const sorted = values.toSorted((a, b) => a - b);
  return { min: round(sorted[0] ?? Number.NaN), median: round(median(sorted)), runs: sorted.length };
}

export function round(value: number, digits = 3): number {
  return Number(value.toFixed(digits));
}

/** `values` must be sorted. */
function median(sorted: readonly number[]): number {
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2;
}
