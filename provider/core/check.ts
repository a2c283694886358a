// What Pulumi's `check` does for every resource: validate, say all that is wrong at once and where, fill in the name.
// Runs in previews, so it never touches the network and takes unknown values for what they are.

import { randomBytes } from "node:crypto";
import { namedAttempt } from "./attempt";
import type { AnyDefinition, CheckFailure, HiddenInputs } from "./definition";
import { redact } from "./errors";
import { nameOfUrn } from "./urn";
import { digest } from "./util/digest";
import { isZeroDuration, parseDuration } from "./util/duration";
import { nearest } from "./util/nearest";

/** How Pulumi's dynamic provider shows a value that a preview does not know yet, whatever its type (sdk/nodejs/runtime/rpc.ts, `unknownValue`). */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

export interface Checked {
  inputs: Record<string, unknown>;
  failures: CheckFailure[];
}

export function check(
  definition: AnyDefinition,
  olds: Record<string, unknown>,
  news: Record<string, unknown>,
  /** The request's, 32 bytes: new in each run but for `up --plan`, which repeats its preview's. */
  randomSeed?: Uint8Array,
): Checked {
  const failures: CheckFailure[] = [];
  const inputs: Record<string, unknown> = {};
  const valid: Record<string, unknown> = {};
  const unknown = new Set<string>();

  const { imported, failure } = importedBy(definition, olds, news);
  if (failure !== undefined) failures.push({ property: "import", reason: failure });
  for (const [key, value] of Object.entries(news)) {
    if (isHidden(key)) inputs[key] = value;
    else if (!(key in definition.inputs)) failures.push(unknownProperty(key, Object.keys(definition.inputs)));
  }
  for (const [key, { schema }] of Object.entries(definition.inputs)) {
    const isNamed = key === definition.autoName && imported === undefined;
    // What is imported keeps the name that it has.
    const given = news[key] ?? (isNamed ? (olds[key] ?? automaticName(news, randomSeed)) : undefined);
    const { value, isValid, failures: wrong } = checkValue(key, schema, given);
    failures.push(...wrong);
    if (!isValid) unknown.add(key);
    if (value === undefined) continue;
    inputs[key] = value;
    if (isValid) valid[key] = value;
  }
  const attempt = attemptOf(olds, news, randomSeed);
  if (attempt !== undefined) inputs.__attempt = attempt;
  if (imported !== undefined) inputs.__imported = imported;
  // As the importer writes it: another form of the same id is no other id.
  if (inputs.__import !== undefined) inputs.__import = normalId(definition, inputs.__import);
  failures.push(...(definition.validate?.(valid, unknown, olds) ?? []), ...badTimeouts(news));
  return { inputs, failures: failures.map(({ property, reason }) => ({ property, reason: redact(reason) })) };
}

interface CheckedValue {
  /** As the schema gives it. The program's own if it is wrong, or unknown in a part. */
  value: unknown;
  /** Known, and not wrong. */
  isValid: boolean;
  failures: CheckFailure[];
}

function checkValue(key: string, schema: AnyDefinition["inputs"][string]["schema"], value: unknown): CheckedValue {
  const unknowns = unknownPaths(value);
  const { success, data, error } = schema.safeParse(value);
  if (success) return { value: unknowns.length === 0 ? data : value, isValid: unknowns.length === 0, failures: [] };
  if (value === undefined) return { value, isValid: false, failures: [{ property: key, reason: "is required" }] };
  const failures = error.issues
    .filter(({ path }) => !touches(path.map(String), unknowns))
    .map(({ path, message }) => ({ property: propertyPath([key, ...path]), reason: message }));
  return { value, isValid: false, failures };
}

export function isHidden(key: string): boolean {
  return key.startsWith("__");
}

/** Where in `value` a preview's unknowns are. */
export function unknownPaths(value: unknown, path: readonly string[] = []): string[][] {
  if (value === UNKNOWN) return [[...path]];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => unknownPaths(inner, [...path, key]));
}

/** `volumes[0]`, `metadata["a.b"]`, `metadata["0"]`: the form in which Pulumi writes property paths. Only an index is a number. */
export function propertyPath(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) => {
      if (typeof part !== "string") return `[${String(part)}]`;
      if (!/^[A-Za-z_][\w-]*$/.test(part)) return `[${JSON.stringify(part)}]`;
      return index === 0 ? part : `.${part}`;
    })
    .join("");
}

/** An issue at an unknown, inside it, or about a whole that contains it can't be judged before `up`. */
function touches(path: readonly string[], unknowns: readonly string[][]): boolean {
  return unknowns.some((unknown) => {
    const shared = Math.min(path.length, unknown.length);
    return path.slice(0, shared).every((part, index) => part === unknown[index]);
  });
}

/** `<resource>-<7 hex>`, as Pulumi's own providers name things. */
function automaticName({ __owner }: HiddenInputs, randomSeed: Uint8Array | undefined): string | undefined {
  if (__owner === undefined) return undefined;
  const resource = nameOfUrn(__owner);
  // From the seed, so that a saved plan can be carried out.
  const seed = Buffer.from(randomSeed?.length ? randomSeed : randomBytes(32)).toString("hex");
  return `${resource.slice(0, 240)}-${digest(`name ${seed} ${__owner}`).slice(0, 7)}`;
}

/** The engine gives no olds to what is to be made. What exists keeps the attempt that made it. */
function attemptOf(olds: HiddenInputs, news: HiddenInputs, randomSeed: Uint8Array | undefined): string | undefined {
  if (Object.keys(olds).length > 0) return olds.__attempt;
  if (randomSeed === undefined || randomSeed.length === 0 || news.__owner === undefined) return undefined;
  return namedAttempt(`${Buffer.from(randomSeed).toString("hex")} ${news.__owner}`);
}

/** What exists keeps what it was imported from, also when the option has left the program. */
function importedBy(
  { displayName, import: importer }: AnyDefinition,
  olds: HiddenInputs,
  { __import: id }: HiddenInputs,
): { imported?: string | undefined; failure?: string } {
  if (Object.keys(olds).length > 0) return { imported: olds.__imported };
  if (id === undefined || id === UNKNOWN) return { imported: id };
  if (!importer) return { failure: `a ${displayName} can't be imported` };
  if ("refusal" in importer) return { failure: importer.refusal };
  const result = importer.id.safeParse(id);
  return result.success ? { imported: result.data } : { failure: result.error.issues[0]?.message ?? "is not valid" };
}

/** The option `import` as the importer writes it; unchanged if it is none. */
export function normalId({ import: importer }: AnyDefinition, id: unknown): unknown {
  if (!importer || "refusal" in importer || id === UNKNOWN) return id;
  const result = importer.id.safeParse(id);
  return result.success ? result.data : id;
}

function badTimeouts(news: HiddenInputs): CheckFailure[] {
  return Object.entries(news.__timeouts ?? {})
    .filter(([, text]) => typeof text !== "string" || (parseDuration(text) === undefined && !isZeroDuration(text)))
    .map(([operation, text]) => ({
      property: `customTimeouts.${operation}`,
      reason: `${JSON.stringify(text)} is not a duration; write it like "90s", "15m" or "1h30m"`,
    }));
}

function unknownProperty(key: string, known: readonly string[]): CheckFailure {
  const near = nearest(key, known);
  return {
    property: propertyPath([key]),
    reason: `unknown property${near === undefined ? "" : `; did you mean ${near}?`}`,
  };
}
