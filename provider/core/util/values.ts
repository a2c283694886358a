// What configuration and answers are read by, before anything is known of their form.

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Not set: an empty variable or field counts as none. */
export function isBlank(value: unknown): boolean {
  return value === undefined || value === null || (typeof value === "string" && value.trim() === "");
}

/** undefined: neither true nor false. */
export function flag(value: unknown): boolean | undefined {
  const word = String(value).trim().toLowerCase();
  if (/^(true|yes|on|1)$/.test(word)) return true;
  return /^(false|no|off|0)$/.test(word) ? false : undefined;
}
