// An object that exists, as a program declares it and as `pulumi import --file` takes it. For `snapclone import` and
// `snapclone orphans --import`. Nothing is changed here.

import type { AnyDefinition, Importable } from "../provider/core/definition";
import { sameAsAbsent } from "../provider/core/diff";
import { SnapcloneError } from "../provider/core/errors";
import { importRefusal, possibleImporter } from "../provider/core/import";
import { UsageError } from "./command";
import type { CliConnections } from "./connections";

const NOBODY = { stack: "", owner: "", inputs: "" };
const TIMEOUT_MS = 60_000;

/** What `snapclone import` prints of one object. */
export interface Declared {
  /** The class: `Snapshot`. */
  type: string;
  /** The resource's name in the program. */
  name: string;
  /** As the option `import` and `pulumi import` take it. */
  id: string;
  inputs: Readonly<Record<string, unknown>>;
}

export interface Wanted {
  definition: AnyDefinition;
  /** Undefined for the default one. */
  connection: string | undefined;
  id: string;
  /** Inputs that the backend does not show. */
  given: Readonly<Record<string, unknown>>;
  /** Nobody can be asked for more: what the backend shows must do. */
  isComplete?: boolean;
}

/** Throws if the object is not there, or can't be imported. */
export async function findImportable(
  { run }: CliConnections,
  { definition, connection, id, given, isComplete = false }: Wanted,
  warn: (text: string) => void,
): Promise<Importable> {
  const importer = possibleImporter(definition);
  if (importer === undefined) throw new SnapcloneError({ kind: "input", message: importRefusal(definition) });
  const parsed = importer.id.safeParse(id);
  if (!parsed.success) throw new UsageError(`ID ${parsed.error.issues[0]?.message}`);
  for (const input of importer.needs ?? []) {
    if (given[input] === undefined && !isComplete)
      throw new UsageError(`--inputs must have ${input}: the backend does not show it reliably`);
  }
  const client = run.connections.open(definition.connection, connection);
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const silent = { progress: () => {}, info: () => {}, accepted: () => {}, done: () => {}, stack: "" };
  const warnForbidden = (what: string, error: SnapcloneError) => warn(`${what}: ${error.message}`);
  const context = { ...silent, warn, warnForbidden, clock: run.clock, deadline: run.clock.now() + TIMEOUT_MS, signal };
  const found = await importer.find(client, parsed.data, NOBODY, given, context);
  if (found !== undefined) return found;
  throw new SnapcloneError({
    kind: "notFound",
    message: `there is no ${definition.displayName} ${id}, or this login may not see it`,
    hint: "Correct the id, or name the connection (--connection, --stack-config).",
  });
}

/** The inputs as they stand, without those that the program may leave out. */
export function shownInputs(
  { definition, connection, given }: Wanted,
  { state }: Pick<Importable, "state">,
): Record<string, unknown> {
  const known: Readonly<Record<string, unknown>> = { ...state, ...given };
  const shown = Object.entries(definition.inputs).flatMap(([key, rule]): [string, unknown][] => {
    const value = known[key];
    const isEmpty = typeof value === "object" && value !== null && Object.keys(value).length === 0;
    return value === null || isEmpty || sameAsAbsent(rule, value) ? [] : [[key, value]];
  });
  const isDefault = connection === undefined || connection === "default";
  return { ...Object.fromEntries(shown), ...(isDefault ? {} : { connection }) };
}

/**
 * `dynamic`: the option `import` takes the objects over. `native`: `pulumi import --file` has put them into the state.
 * `forget` says how to remove a record because of which the import is refused.
 */
export function programLines(
  objects: readonly (Declared & { forget?: string })[],
  shell: "dynamic" | "native",
): string {
  const types = [...new Set(objects.map(({ type }) => type))].sort();
  const from = shell === "dynamic" ? "pulumi-snapclone" : "pulumi-snapclone/native";
  const resources = objects.flatMap(({ type, name, inputs, id, forget }) => [
    "",
    ...(forget === undefined
      ? []
      : [`// Before the import, remove the record of another create: ${forget.replace(/\.$/, "")}`]),
    `new ${type}(${JSON.stringify(name)}, {`,
    ...Object.entries(inputs).map(([key, value]) => `  ${key}: ${JSON.stringify(value)},`),
    shell === "dynamic" ? `}, { import: ${JSON.stringify(id)} });` : "});",
  ]);
  return [`import { ${types.join(", ")} } from ${JSON.stringify(from)};`, ...resources].join("\n");
}
