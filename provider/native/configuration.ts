// The provider's configuration: the same names as in the stack config of the dynamic classes. Pulumi hands a structured value
// over as JSON text where it comes from the stack config, and as a value where a program gives it.

import type { CheckFailure } from "../core/definition";
import type { RunConfig } from "../core/run";
import { parseDuration } from "../core/util/duration";
import { isRecord } from "../core/util/values";

export interface Configuration extends RunConfig {
  /** `snapclone:origin`: names the state store (docs/ownership.md). */
  origin?: string | undefined;
  /** The stack's organisation on Pulumi Cloud. The URNs don't have it, and a provider is not told it. */
  organization?: string | undefined;
}

export function configurationOf(values: Readonly<Record<string, unknown>>): Configuration {
  return {
    connections: textOf(values.connections),
    adoptWithin: textOf(values.adoptWithin),
    origin: textOf(values.origin),
    organization: textOf(values.organization),
  };
}

/** No value is shown: a connection has a password. `unknown` values of a preview pass. */
export function checkConfiguration(
  values: Readonly<Record<string, unknown>>,
  isUnknown: (value: unknown) => boolean,
): CheckFailure[] {
  const failures: CheckFailure[] = [];
  const { connections, adoptWithin } = values;
  if (!isUnknown(connections) && connections !== undefined) {
    const all = parsed(connections);
    if (!isRecord(all)) failures.push({ property: "connections", reason: "must be an object of connections" });
    for (const [name, connection] of Object.entries(isRecord(all) ? all : {})) {
      if (isRecord(connection)) continue;
      failures.push({ property: `connections.${name}`, reason: "must be an object (docs/connections.md)" });
    }
  }
  if (!isUnknown(adoptWithin) && adoptWithin !== undefined && !isDuration(adoptWithin)) {
    failures.push({ property: "adoptWithin", reason: 'must be a duration such as "90m" or "24h"; "0" adopts nothing' });
  }
  for (const property of ["origin", "organization"]) {
    const value = values[property];
    if (value === undefined || typeof value === "string") continue;
    failures.push({ property, reason: "must be a text" });
  }
  return failures;
}

function parsed(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

function isDuration(value: unknown): boolean {
  const text = typeof value === "string" ? value.trim() : "";
  return /^(0(ms|s|m|h)?)?$/.test(text) ? typeof value === "string" : parseDuration(text) !== undefined;
}

function textOf(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === "string" ? value : JSON.stringify(value);
}
