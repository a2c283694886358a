// Inputs that were secret and are no longer. As long as an output still has the former value (an update that failed, an older
// snapshot of a series), that value stays marked, and everything else of the output is in clear.

import { isHidden } from "../core/check";
import type { AnyDefinition, HiddenInputs, HiddenOutputs } from "../core/definition";
import { canonical } from "../core/diff";
import type { Properties } from "../core/operation";
import { derivedSecrets, type KeyPath, keyPathsAt, markSecret, pathText, valueAt } from "./secrets";

/** What the state or the program has, and where it is secret. */
export interface WithSecrets {
  values: Properties;
  secrets: readonly KeyPath[];
}

/** What is to stay secret of the state's values. */
export interface FormerSecrets {
  /** By the input or output that has them. */
  texts: ReadonlyMap<string, readonly string[]>;
  /** Outputs that were secret as a whole, such as a digest, each with its value. */
  whole: ReadonlyMap<string, unknown>;
}

export const NONE: FormerSecrets = { texts: new Map(), whole: new Map() };

/** `wants` is what the program gives now: a value that it gives in clear is no secret any more. */
export function formerSecrets(
  definition: AnyDefinition,
  state: WithSecrets,
  wants: WithSecrets = { values: {}, secrets: [] },
): FormerSecrets {
  const derived = definition.derivedOutputs ?? {};
  const program = Object.fromEntries(Object.entries(wants.values).filter(([key]) => !isHidden(key)));
  const given = leavesOf(program, wants.secrets);
  const isAsGiven = (input: string) => canonical(state.values[input]) === canonical(wants.values[input]);
  const texts = new Map<string, readonly string[]>();
  const whole = new Map<string, unknown>();
  for (const path of state.secrets) {
    const [key = ""] = path;
    const sources = derived[key];
    if (sources === undefined || isPartOfDerived(definition, path)) {
      const found = leavesOf(valueAt(state.values, path), []).filter((text) => text !== "" && !given.includes(text));
      if (found.length > 0) texts.set(key, [...(texts.get(key) ?? []), ...found]);
    } else if (!sources.every(isAsGiven)) whole.set(key, state.values[key]);
  }
  return { texts, whole };
}

/** True for a place inside an output that is made of inputs: only a former secret is marked there. */
export function isPartOfDerived({ derivedOutputs = {} }: AnyDefinition, [key = "", ...rest]: KeyPath): boolean {
  return rest.length > 0 && key in derivedOutputs;
}

/** The outputs with the former secrets among them marked, and where those are. `secrets` are marked later, by their paths. */
export function markFormer(
  definition: AnyDefinition,
  outputs: Properties,
  { texts, whole }: FormerSecrets,
  secrets: readonly KeyPath[],
): { values: Properties; paths: string[] } {
  if (texts.size + whole.size === 0) return { values: outputs, paths: [] };
  const paths: string[] = [];
  const derived = definition.derivedOutputs ?? {};
  const isSecret = new Set(derivedSecrets(definition, topLevel(secrets)));
  const marked = (value: unknown, path: KeyPath, within: readonly KeyPath[], isFormer: IsFormer): unknown => {
    if (within.some(({ length }) => length === 0) || (within.length > 0 && Array.isArray(value))) return value;
    if (Array.isArray(value)) return value.map((inner, index) => marked(inner, [...path, String(index)], [], isFormer));
    if (typeof value === "object" && value !== null) {
      return Object.fromEntries(
        Object.entries(value).map(([key, inner]) => [key, marked(inner, [...path, key], below(key, within), isFormer)]),
      );
    }
    if (!isText(value) || !isFormer(String(value))) return value;
    paths.push(pathText(path));
    return markSecret(value);
  };
  const values = Object.entries(outputs).map(([key, value]) => {
    const sources = derived[key] ?? [];
    if (isSecret.has(key) || (isHidden(key) && sources.length === 0)) return [key, value];
    if (whole.has(key) && isText(value) && value === whole.get(key)) {
      paths.push(key);
      return [key, markSecret(value)];
    }
    const own = texts.get(key) ?? [];
    const kin = Object.entries(derived).filter(([, inputs]) => inputs.some((input) => sources.includes(input)));
    const ofSources = [...sources, ...kin.map(([name]) => name)].flatMap((name) => texts.get(name) ?? []);
    // An output of another name may have the value as a part. A text of one or two characters is a part of everything.
    const isFormer = (text: string) =>
      own.includes(text) || ofSources.some((one) => text === one || (one.length > 2 && text.includes(one)));
    return [key, marked(value, [key], below(key, secrets), isFormer)];
  });
  return { values: Object.fromEntries(values), paths };
}

type IsFormer = (text: string) => boolean;

/** For the dynamic classes, whose requests have no marks: the state lists where former secrets are. */
export function stateWithSecrets(definition: AnyDefinition, state: Properties): WithSecrets {
  const { __secrets, __formerSecrets } = state as HiddenOutputs;
  const paths = [...list(__secrets), ...derivedSecrets(definition, state), ...list(__formerSecrets)];
  return { values: state, secrets: paths.flatMap((path) => keyPathsAt(state, path)) };
}

/** The outputs of a dynamic resource, with the former secrets marked and listed. */
export function keepFormer(definition: AnyDefinition, outs: Properties, former: FormerSecrets): Properties {
  const { __formerSecrets: _, ...outputs } = outs as HiddenOutputs;
  const secrets = list(outputs.__secrets).flatMap((path) => keyPathsAt(outputs, path));
  const { values, paths } = markFormer(definition, outputs as Properties, former, secrets);
  return paths.length === 0 ? values : { ...values, __formerSecrets: paths };
}

/** As the core names the paths of secrets; the first part is enough here. */
export function topLevel(secrets: readonly KeyPath[]): HiddenInputs {
  return { __secrets: secrets.map(([first = ""]) => first) };
}

/** A preview may not know the list. */
function list(paths: readonly string[] | undefined): readonly string[] {
  return Array.isArray(paths) ? paths : [];
}

function below(key: string, paths: readonly KeyPath[]): KeyPath[] {
  return paths.filter(([first]) => first === key).map((path) => path.slice(1));
}

/** The texts in a value, without those at these paths. */
function leavesOf(value: unknown, without: readonly KeyPath[]): string[] {
  if (without.some(({ length }) => length === 0)) return [];
  if (typeof value === "object" && value !== null) {
    return Object.entries(value).flatMap(([key, inner]) => leavesOf(inner, below(key, without)));
  }
  return isText(value) ? [String(value)] : [];
}

function isText(value: unknown): value is string | number {
  return typeof value === "string" || typeof value === "number";
}
