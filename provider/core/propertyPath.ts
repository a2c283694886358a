// Property paths as Pulumi writes them: `metadata.keep`, `volumes[0]`, `metadata["a.b"]`, and `*` for every key or element.

import { isRecord } from "./util/values";

export type PropertyPath = readonly string[];

/** undefined for a text that is no path. */
export function parsePath(text: string): PropertyPath | undefined {
  const parts: string[] = [];
  const part = /\.?([A-Za-z_$*][\w$-]*)|\[(\d+|\*)\]|\["((?:[^"\\]|\\.)*)"\]/y;
  while (part.lastIndex < text.length) {
    const found = part.exec(text);
    if (found === null) return undefined;
    const [, name, index, quoted] = found;
    parts.push(name ?? index ?? (quoted ?? "").replaceAll(/\\(.)/g, "$1"));
  }
  return parts;
}

/**
 * `news` with the values of `olds` at these paths: `ignoreChanges`. `keys` are those that it may be about: what a program does
 * not give, such as the owner, is never kept.
 */
export function keepAt(
  olds: Readonly<Record<string, unknown>>,
  news: Record<string, unknown>,
  paths: readonly string[],
  keys: readonly string[],
): Record<string, unknown> {
  const places = paths.flatMap((text) => {
    const [first, ...rest] = parsePath(text) ?? [];
    return keys.filter((key) => first === "*" || first === key).map((key) => [key, ...rest]);
  });
  return places.reduce((values, path) => kept(olds, values, path) as Record<string, unknown>, news);
}

/** undefined where the old value has none. */
function kept(old: unknown, value: unknown, [key, ...rest]: PropertyPath): unknown {
  if (key === undefined) return old;
  if (Array.isArray(value) && Array.isArray(old)) {
    // An element that only one of the lists has is no change of an element.
    return value.map((inner, index) =>
      (key === "*" || key === String(index)) && index < old.length ? kept(old[index], inner, rest) : inner,
    );
  }
  if (!isRecord(value ?? {}) || !isRecord(old ?? {})) return value;
  const [olds, news] = [(old ?? {}) as object, (value ?? {}) as object];
  const keys = key === "*" ? [...new Set([...Object.keys(olds), ...Object.keys(news)])] : [key];
  const result = new Map<string, unknown>(Object.entries(news));
  for (const one of keys) {
    const inner = kept(Reflect.get(olds, one), Reflect.get(news, one), rest);
    if (inner === undefined) result.delete(one);
    else result.set(one, inner);
  }
  return value === undefined && result.size === 0 ? undefined : Object.fromEntries(result);
}
