// Compares the objects that have a record of this package with a state. Changes nothing.

import { attemptInId } from "../provider/core/attempt";
import type { AnyDefinition, OwnedObject } from "../provider/core/definition";
import { asSnapcloneError } from "../provider/core/errors";
import { read } from "../provider/core/lifecycle";
import { holdsOneOf, isCopy, objectsOf } from "../provider/core/ownership";
import { type ResourceName, resourceNames, resources } from "../provider/resources";
import type { CliConnections, Connection } from "./connections";
import { connectionOf, isNotSetUp } from "./connections";
import type { CliState, StateResource } from "./state";
import { clockLead, identifyStack, type StackIdentity, type StackName, type Status, statusOf } from "./status";

export interface RecordedObject {
  resource: ResourceName;
  connection: string;
  id: string;
  label: string | undefined;
  createdAt: string | undefined;
  /** By the backend's clock. */
  ageMs: number | undefined;
  /** The URN that the record names, or what the backend has room for. */
  owner: string;
  stack: string | undefined;
  status: Status;
  /** Absent for what is gone. */
  object: OwnedObject | undefined;
}

export interface Survey {
  objects: readonly RecordedObject[];
  /** What could not be listed, and why. */
  failures: readonly { connection: string; kind: string; resource: ResourceName | undefined; message: string }[];
  /** The connections that were asked: `openstack "default"`. */
  asked: readonly string[];
  /** Why objects of this stack can't be told for sure; undefined if they can. */
  doubt: string | undefined;
}

export interface SurveyOptions {
  state: CliState | undefined;
  /** Names of connections. */
  names: readonly string[];
  kind: string | undefined;
  /** `--stack`, for a state that is empty. */
  stack: StackName | undefined;
  /** Resources that have left the state, for backends that store a digest of the owner or list by name. */
  urns: readonly string[];
  targetNames: readonly string[];
}

export async function survey(connections: CliConnections, options: SurveyOptions): Promise<Survey> {
  const self = identifyStack(connections.origin, options.state, options.stack);
  const asked: string[] = [];
  const failures: Survey["failures"][number][] = [];
  const objects: RecordedObject[] = [];
  for (const connection of options.names.flatMap((name) => connections.ofName(name, options.kind, options.state))) {
    const { kind, name } = connection;
    let client: unknown;
    try {
      client = connection.open();
    } catch (error) {
      const isUsed = options.state?.resources.some((one) => isOn(connection, one)) ?? false;
      if (!isNotSetUp(error) || isUsed) failures.push({ ...failureOf(connection, error), resource: undefined });
      continue;
    }
    asked.push(`${kind.kind} "${name}"`);
    for (const resource of resourceNames) {
      if (resources[resource]().connection !== kind) continue;
      try {
        objects.push(...(await surveyResource(connections, connection, client, resource, self, options)));
      } catch (error) {
        failures.push({ ...failureOf(connection, error), resource });
        // A login that is refused is refused for all resources of the connection.
        if (/unauthorized|config/.test(asSnapcloneError(error, "").kind)) break;
      }
    }
  }
  return { objects: withoutDoubles(objects), failures, asked, doubt: self.doubt };
}

/** Two connections may reach the same backend, and show the same object. */
function withoutDoubles(objects: readonly RecordedObject[]): RecordedObject[] {
  const byId = new Map<string, RecordedObject>();
  for (const object of objects) {
    const key = `${object.resource} ${object.id}`;
    const earlier = byId.get(key);
    if (earlier === undefined || earlier.status === "gone") byId.set(key, object);
  }
  return [...byId.values()];
}

function failureOf({ kind, name }: Connection, error: unknown) {
  return { connection: name, kind: kind.kind, message: asSnapcloneError(error, "list the records").message };
}

function isOn({ kind, name }: Connection, { resource, inputs }: StateResource): boolean {
  return resources[resource]().connection === kind && connectionOf(inputs) === name;
}

async function surveyResource(
  connections: CliConnections,
  connection: Connection,
  client: unknown,
  resource: ResourceName,
  self: StackIdentity,
  { state, urns, targetNames }: SurveyOptions,
): Promise<RecordedObject[]> {
  const definition: AnyDefinition = resources[resource]();
  const entries = (state?.resources ?? []).filter((one) => one.resource === resource && isOn(connection, one));
  const begun = (state?.pending ?? []).filter((one) => one.resource === resource);
  const found =
    (await definition.listRecorded?.(client, {
      stack: self.digest ?? "",
      urns: [...new Set([...[...entries, ...begun].map(({ urn }) => urn), ...urns])],
      inputs: [
        ...[...entries, ...begun].map(({ inputs }) => inputs),
        ...targetNames.map((targetName) => ({ targetName })),
      ],
    })) ?? [];
  const leadMs = clockLead(definition, client);
  const common = { resource, connection: connection.name };
  const held = state?.ownership.entries ?? [];
  // An object of a set may have the record of another resource, too.
  const holderOf = (object: OwnedObject) =>
    held.find(({ id }) => id === object.id) ?? held.find((entry) => holdsOneOf(entry, objectsOf(object)));
  const isCopied = (object: OwnedObject) =>
    found.some((other) => isCopy(object, other) && holderOf(other) !== undefined);
  const listed = found.map(
    (object): RecordedObject => ({
      ...common,
      id: object.id,
      label: object.label,
      createdAt: object.createdAt,
      ageMs: ageOf(object.createdAt, leadMs),
      owner: object.owner,
      stack: object.stack,
      status: statusOf(object, holderOf(object), state, self, leadMs, isCopied(object)),
      object,
    }),
  );
  const unlisted = entries.filter(({ id, external }) => !external && !found.some((one) => one.id === id));
  const others = await Promise.all(unlisted.map((entry) => unlistedEntry(connections, definition, entry, common)));
  return [...listed, ...others.flatMap((one) => one ?? [])];
}

/** An entry whose object the list of records does not have: it has no record, or it is gone. */
async function unlistedEntry(
  { run }: CliConnections,
  definition: AnyDefinition,
  { id, inputs, outputs, urn, leaving }: StateResource,
  common: Pick<RecordedObject, "resource" | "connection">,
): Promise<RecordedObject | undefined> {
  if (id === undefined || attemptInId(id) !== undefined) return undefined;
  const known = { ...inputs, ...outputs };
  const isUnfinished = known.pending !== undefined;
  const isThere = isUnfinished || (await read(definition, run, id, known)).props !== undefined;
  const status: Status = !isThere ? "gone" : leaving ? "to be deleted" : "recorded";
  const stack = typeof outputs.__stack === "string" ? outputs.__stack : undefined;
  return {
    ...common,
    id,
    label: undefined,
    createdAt: undefined,
    ageMs: undefined,
    owner: urn,
    stack,
    status,
    object: undefined,
  };
}

function ageOf(createdAt: string | undefined, leadMs: number): number | undefined {
  const age = Date.now() + leadMs - Date.parse(createdAt ?? "");
  return Number.isNaN(age) ? undefined : Math.max(0, age);
}
