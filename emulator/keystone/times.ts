// When an application credential ends: as a request says it, as its column shows it.

/** keystone/common/utils.py:342-351: in UTC, with or without the Z. undefined: no time. */
export function readExpiry(text: string): number | undefined {
  const found = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)Z?$/.exec(text);
  const ms = Date.parse(`${found?.[1]}T${found?.[2]}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}

export function expiryMs(text: string): number {
  return readExpiry(text) ?? Date.parse(text);
}

/** In microseconds and without a zone (exchanges: 'app cred with an end'). */
export function expiryColumn(text: string): string {
  const digits = /\.(\d{1,6})/.exec(text)?.[1] ?? "";
  return `${new Date(expiryMs(text)).toISOString().slice(0, 19)}.${digits.padEnd(6, "0")}`;
}
