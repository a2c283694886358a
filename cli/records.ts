// What bears a record of this package on the backends, beside what a state holds. Changes nothing.

import { attemptInId, isSameAttempt } from "../provider/core/attempt";
import type { AnyDefinition, OwnedObject } from "../provider/core/definition";
import { asSnapcloneError } from "../provider/core/errors";
import { read } from "../provider/core/lifecycle";
import { isHeldBy, shortOwner, stackDigest } from "../provider/core/ownership";
import { stackOfUrn } from "../provider/core/urn";
import { type ResourceName, resourceNames, resources } from "../provider/resources";
import type { CliConnections, Connection } from "./connections";
import { connectionOf, isNotSetUp } from "./connections";
import type { CliState, StateResource } from "./state";

export type Status =
  /** The state holds it. */
  | "recorded"
  /** The state holds it until it is deleted: a replacement has taken its place. */
  | "to be deleted"
  /** The state shows that its create was interrupted: the next `pulumi up` adopts it. */
  | "pending"
  /** This stack made it, and its state does not hold it. */
  | "in no state"
  /** Made after the state was saved: an export of now may hold it. */
  | "newer than the state"
  | "another stack's"
  /** The record does not tell the stack (builds before 0.2, untagged targets of ViPR). */
  | "unknown stack"
  /** Its stack is known, and no state was given to compare with. */
  | "not compared"
  /** The state holds it, and the backend does not have it. */
  | "gone";

export interface RecordedObject {
  resource: ResourceName;
  connection: string;
  id: string;
  label: string | undefined;
  createdAt: string | undefined;
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
  stack: { organization: string; project: string; stack: string } | undefined;
  /** Of resources that have left the state: for backends that store a digest of the owner, or list by a name. */
  urns: readonly string[];
  targetNames: readonly string[];
}

export async function survey(connections: CliConnections, options: SurveyOptions): Promise<Survey> {
  const self = identify(connections, options);
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

/** Which digest this stack's records have. */
interface Self {
  digest: string | undefined;
  doubt: string | undefined;
}

/**
 * The digest is computed as the provider computes it, from this environment. An entry's own digest is no proof: it may have
 * come from another stack (`pulumi state move`). If no entry has the computed one, this is not the runs' environment.
 */
function identify(connections: CliConnections, { state, stack: given }: SurveyOptions): Self {
  if (state === undefined) return { digest: undefined, doubt: undefined };
  const named = state.urn === undefined ? undefined : stackOfUrn(state.urn);
  const place = given ?? named;
  if (place === undefined) {
    return { digest: undefined, doubt: "the state is empty, so it does not name its stack: give --stack" };
  }
  const entries = [...state.resources, ...state.pending];
  const [organization] = entries.flatMap(({ inputs }) =>
    typeof inputs.__organization === "string" ? [inputs.__organization] : [],
  );
  const digest = stackDigest(connections.origin, given?.organization ?? organization, place);
  const recorded = new Set(
    entries.flatMap(({ outputs }) => (typeof outputs.__stack === "string" ? [outputs.__stack] : [])),
  );
  if (recorded.size === 0 || recorded.has(digest)) return { digest, doubt: undefined };
  const [only] = recorded;
  return {
    digest: recorded.size === 1 ? only : undefined,
    doubt: `the records of this stack have the digest ${[...recorded].join(", ")}, and this environment makes ${digest}: run the command in the project's folder, with the PULUMI_BACKEND_URL or login of the runs, and with --stack-config if it sets snapclone:origin`,
  };
}

async function surveyResource(
  connections: CliConnections,
  connection: Connection,
  client: unknown,
  resource: ResourceName,
  { digest }: Self,
  { state, urns, targetNames }: SurveyOptions,
): Promise<RecordedObject[]> {
  const definition: AnyDefinition = resources[resource]();
  const entries = (state?.resources ?? []).filter((one) => one.resource === resource && isOn(connection, one));
  const begun = (state?.pending ?? []).filter((one) => one.resource === resource);
  const found =
    (await definition.listRecorded?.(client, {
      stack: digest ?? "",
      urns: [...new Set([...[...entries, ...begun].map(({ urn }) => urn), ...urns])],
      inputs: [
        ...[...entries, ...begun].map(({ inputs }) => inputs),
        ...targetNames.map((targetName) => ({ targetName })),
      ],
    })) ?? [];
  const common = { resource, connection: connection.name };
  const listed = found.map(
    (object): RecordedObject => ({
      ...common,
      id: object.id,
      label: object.label,
      createdAt: object.createdAt,
      owner: object.owner,
      stack: object.stack,
      status: statusOf(definition, object, state, digest),
      object,
    }),
  );
  const unlisted = entries.filter(({ id, external }) => !external && !found.some((one) => one.id === id));
  const others = await Promise.all(unlisted.map((entry) => unlistedEntry(connections, definition, entry, common)));
  return [...listed, ...others.flatMap((one) => one ?? [])];
}

function statusOf(
  definition: AnyDefinition,
  object: OwnedObject,
  state: CliState | undefined,
  digest: string | undefined,
): Status {
  if (state === undefined) return object.stack === undefined ? "unknown stack" : "not compared";
  const { ownership, savedAt } = state;
  const holder = ownership.entries.find(({ id }) => id === object.id);
  if (holder) return holder.leaving ? "to be deleted" : "recorded";
  // The outcome of its create was unknown, and an entry has a provisional id.
  if (isHeldBy(ownership, object)) return "recorded";
  if (object.stack === undefined || digest === undefined) return "unknown stack";
  if (object.stack !== digest) return "another stack's";
  // The first create of a process has no attempt in the state (docs/wire/pulumi-engine.md#request-fields).
  const isBegun = ownership.pendingCreates.some(({ urn, attempt }) =>
    attempt === undefined
      ? [urn, shortOwner(definition, digest, urn)].includes(object.owner)
      : isSameAttempt(attempt, object.attempt),
  );
  if (isBegun) return "pending";
  const made = Date.parse(object.createdAt ?? "");
  return savedAt !== undefined && made > savedAt.getTime() ? "newer than the state" : "in no state";
}

/** An entry whose object the list of records does not have: it bears no record, or it is gone. */
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
  return { ...common, id, label: undefined, createdAt: undefined, owner: urn, stack, status, object: undefined };
}
