// Helpers for values of unknown form, such as configuration and answers.

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** True for an absent value. An empty variable or field counts as absent. */
export function isBlank(value: unknown): boolean {
  return value === undefined || value === null || (typeof value === "string" && value.trim() === "");
}

/** undefined where the value is neither true nor false. */
export function flag(value: unknown): boolean | undefined {
  const word = String(value).trim().toLowerCase();
  if (/^(true|yes|on|1)$/.test(word)) return true;
  return /^(false|no|off|0)$/.test(word) ? false : undefined;
}
