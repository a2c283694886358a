// Every value that goes into Pulumi's state passes here. `undefined` in a result makes Pulumi fail the step after the backend
// has made the object, and in an error it hangs the engine for ever. Date and Map silently become {}
// (docs/wire/pulumi-engine.md#values).

import { SnapcloneError } from "../errors";

export type StateValue = null | boolean | number | string | StateValue[] | { [key: string]: StateValue };

export function toState(value: object): { [key: string]: StateValue } {
  return objectToState(value, []);
}

function objectToState(value: object, path: readonly string[]): { [key: string]: StateValue } {
  const out: { [key: string]: StateValue } = {};
  for (const [key, inner] of Object.entries(value)) {
    // A plain assignment to this key would set the prototype instead.
    if (key === "__proto__") throw refused("a key named __proto__", [...path, key]);
    if (inner !== undefined) out[key] = valueToState(inner, [...path, key]);
  }
  return out;
}

function valueToState(value: unknown, path: readonly string[]): StateValue {
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw refused(String(value), path);
    // JSON has no -0.
    return value + 0;
  }
  if (Array.isArray(value)) {
    // A hole stays as null, since dropping it would shift the elements after it.
    return Array.from(value, (inner, index) =>
      inner === undefined ? null : valueToState(inner, [...path, `${index}`]),
    );
  }
  if (typeof value === "object") {
    const prototype = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) return objectToState(value, path);
    throw refused(`a ${value.constructor?.name ?? "nameless class"}`, path);
  }
  throw refused(`a ${typeof value}`, path);
}

function refused(what: string, path: readonly string[]): SnapcloneError {
  return new SnapcloneError({
    kind: "failed",
    message: `the provider made a value that Pulumi cannot store: ${what} at ${path.join(".")}; please report it`,
  });
}
