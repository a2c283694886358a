// `snapclone orphans --import`: what a program must say of objects that are in no state and should be kept. Nothing is changed
// here.

import type { AnyDefinition, Importable } from "../provider/core/definition";
import { asSnapcloneError, isKind } from "../provider/core/errors";
import { possibleImporter, recordedParts } from "../provider/core/import";
import { read } from "../provider/core/lifecycle";
import { shortOwner } from "../provider/core/ownership";
import { nameOfUrn } from "../provider/core/urn";
import { nativeType, ownerUrn } from "../provider/pulumi/urns";
import { type ResourceName, resources, slugOf, typeOf } from "../provider/resources";
import { UsageError } from "./command";
import type { CliConnections } from "./connections";
import { objectsOf } from "./heldObjects";
import { type Declared, findImportable, shownInputs, type Wanted } from "./importable";
import type { RecordedObject } from "./records";
import type { CliState } from "./state";

export interface Kept extends Declared {
  /** The id by which `snapclone orphans` lists the object. */
  orphan: string;
  /** How to remove the record, if the import refuses the object as long as it has the record. */
  forget?: string;
}

export interface KeepOptions {
  state: CliState;
  /** URNs that the user has named. */
  urns: readonly string[];
  shell: "dynamic" | "native";
  warn(text: string): void;
}

/** Throws if one of them can't be imported: all of them are kept or none. */
export async function declareOrphans(
  connections: CliConnections,
  chosen: readonly RecordedObject[],
  options: KeepOptions,
): Promise<Kept[]> {
  const names = new Names(options.state);
  const kept: Kept[] = [];
  for (const object of chosen) {
    try {
      kept.push(await declare(connections, object, names, options));
    } catch (error) {
      throw refusalOf(error, object.id);
    }
  }
  return kept;
}

/** An object that can't be imported is a mistake of the command line. A backend that does not answer is none. */
function refusalOf(error: unknown, id: string): Error {
  if (error instanceof UsageError) return new UsageError(`cannot import ${id}: ${error.message}. Nothing was written`);
  const failure = asSnapcloneError(error, `import ${id}`);
  return isKind(failure, "input", "refused", "notFound")
    ? new UsageError(`${failure.message}\nNothing was written`)
    : failure;
}

async function declare(
  connections: CliConnections,
  { resource, id: orphan, connection, object, owner, stack = "" }: RecordedObject,
  names: Names,
  { state, urns, shell, warn }: KeepOptions,
): Promise<Kept> {
  const definition: AnyDefinition = resources[resource]();
  const outputs = await outputsOf(connections, definition, orphan, { ...object?.state, connection });
  const id = importIdOf(resource, orphan, outputs);
  const importer = possibleImporter(definition);
  const needs: readonly string[] = importer?.needs ?? [];
  const fitting: Record<string, unknown> = importer?.inputsOf?.(id) ?? {};
  const known = { ...fitting, ...outputs };
  for (const input of Object.keys(fitting).filter((one) => outputs[one] === undefined)) {
    const text = `${input} ${JSON.stringify(fitting[input])}`;
    warn(`nothing shows what ${input} of ${orphan} was: ${text} keeps it as it is. Correct it in the program`);
  }
  const given = Object.fromEntries(
    needs.flatMap((input) => (known[input] === undefined ? [] : [[input, known[input]]])),
  );
  const wanted: Wanted = { definition, connection, id, given, isComplete: true };
  const found = await findImportable(connections, wanted, warn);
  const urn = urnOf(definition, stack, owner, [...urns, ...knownUrns(state, resource)]);
  const name = names.free(resource, urn === undefined ? slugOf(resource) : nameOfUrn(urn));
  const inputs = shownInputs(wanted, found);
  const forget = forgetOf(definition, found);
  // Pulumi's own import takes back what has the same resource's record. The option `import` does not.
  const isTakenBack = shell === "native" && urn !== undefined && urn === topLevelUrn(state, resource, name);
  return { type: typeOf(resource), name, id, inputs, orphan, ...(isTakenBack || !forget ? {} : { forget }) };
}

/** The record does not have all outputs: which clones a set consists of, only a read shows. */
async function outputsOf(
  { run }: CliConnections,
  definition: AnyDefinition,
  id: string,
  known: Readonly<Record<string, unknown>>,
): Promise<Record<string, unknown>> {
  if (possibleImporter(definition) === undefined) return { ...known };
  return { ...known, ...(await read(definition, run, id, known)).props };
}

/** A set is imported by the ids of what it consists of. */
function importIdOf(resource: ResourceName, id: string, outputs: Record<string, unknown>): string {
  const held = objectsOf({ resource, id, inputs: outputs, outputs }).map((one) => one.id);
  if (held.length === 0) return id;
  // The targets' session comes first (docs/import.md#which-ids).
  return (resource === "linkedTargetSet" ? [String(outputs.snapshotSessionId), ...held] : held).join(",");
}

function forgetOf(definition: AnyDefinition, found: Importable): string | undefined {
  const recorded = recordedParts(found);
  return recorded.length === 0 ? undefined : possibleImporter(definition)?.forget(recorded);
}

// --- names

/** Where a backend stores a digest of the owner: the URN that has this digest. */
function urnOf(definition: AnyDefinition, stack: string, owner: string, known: readonly string[]): string | undefined {
  return [owner, ...known]
    .map(ownerUrn)
    .find((urn) => isUrn(urn) && [urn, shortOwner(definition, stack, urn)].includes(owner));
}

function isUrn(text: string): boolean {
  return text.startsWith("urn:pulumi:") && nameOfUrn(text) !== "";
}

function knownUrns({ resources: held, pending }: CliState, name: ResourceName): string[] {
  return [...held, ...pending].flatMap(({ resource, urn }) => (resource === name ? [urn] : []));
}

/** The URN that `pulumi import --file` gives to a resource without a parent. */
function topLevelUrn({ urn = "" }: CliState, resource: ResourceName, name: string): string {
  const [stack, project] = urn.split("::");
  return ownerUrn(`${stack}::${project}::${nativeType(typeOf(resource))}::${name}`);
}

/** Two resources of a type can't have one name. The state has names, too: a later run may have made another object. */
class Names {
  private readonly taken = new Set<string>();

  constructor({ resources: held, pending }: CliState) {
    for (const { resource, name } of [...held, ...pending]) this.taken.add(`${resource} ${name}`);
  }

  free(resource: ResourceName, wanted: string): string {
    for (let at = 1; ; at += 1) {
      const name = at === 1 ? wanted : `${wanted}-${at}`;
      if (this.taken.has(`${resource} ${name}`)) continue;
      this.taken.add(`${resource} ${name}`);
      return name;
    }
  }
}
