// Which objects on the backend this stack owns: the records on the objects, and the lists of them. A record says who made an
// object. Only the state says whether Pulumi has recorded it (docs/ownership.md).

import { attemptInId, isSameAttempt } from "./attempt";
import { beginShared, waitForShared } from "./currentOperation";
import type { AnyDefinition, ListScope, OwnedObject, OwnershipRecord } from "./definition";
import { canonical, sameAsAbsent } from "./diff";
import { digest } from "./util/digest";

/** The parts of `pulumi stack export` that ownership needs. */
export interface StackState {
  entries: readonly StateEntry[];
  /**
   * What a replacement deleted first, and whose create has not been recorded: the object is gone, and another may have its
   * id. Pulumi's `pendingReplacement`. Absent if there are none.
   */
  deletedFirst?: readonly Pick<StateEntry, "urn" | "created">[] | undefined;
  /** Creates that were begun and whose end was not saved, including those that are running. */
  pendingCreates: readonly { urn: string; attempt?: string | undefined; import?: string | undefined }[];
  /** Imports by Pulumi itself that were begun and whose end was not saved. Absent if there are none. */
  pendingImports?: readonly { urn: string; importId: string }[] | undefined;
  /** The one that all entries name; absent where none does, or where they differ. */
  organization?: string | undefined;
  /** When Pulumi saved this state, by this machine's clock. */
  savedAt?: Date | undefined;
}

/** The state cannot be exported in this run at all: no `pulumi` is to be found, or the run saves nothing. */
export class StateUnavailable extends Error {}

export interface StateEntry {
  urn: string;
  id: string;
  /** A replacement has taken its place, and it waits to be deleted. */
  leaving: boolean;
  /** Only read (`get`): Pulumi never deletes it. */
  external: boolean;
  /** The engine's clock, ISO 8601. */
  created?: string | undefined;
  attempt?: string | undefined;
  adopted?: string | undefined;
  /** What its create took over. */
  imported?: string | undefined;
  /** A set: the backend's ids of the objects that the entry holds (`Definition.members`). */
  members?: readonly string[] | undefined;
}

/** The objects of one definition on one connection that this run knows. */
export class OwnershipTracker {
  private readonly lists = new Map<string, Promise<readonly OwnedObject[]>>();
  private readonly scopes = new Map<string, ListScope>();
  private readonly made = new Map<string, OwnedObject>();
  private readonly deleted = new Set<string>();
  /** What imports of this run take over, and the URN of each import. */
  private readonly claimed = new Map<string, string>();

  constructor(
    private readonly definition: AnyDefinition,
    private readonly client: unknown,
  ) {}

  /** The backend's list. All creates of a run with the same scope share one list. A failed list is not kept. */
  list(scope: ListScope, when: "once" | "afresh" = "once"): Promise<readonly OwnedObject[]> {
    const key = JSON.stringify(scope);
    const earlier = this.lists.get(key);
    const what = "the list of what this stack owns";
    if (when === "once" && earlier !== undefined) return waitForShared(earlier, what);
    this.scopes.set(key, scope);
    const list = beginShared(() => this.definition.listOwned(this.client, scope));
    this.lists.set(key, list);
    list.catch(() => {
      if (this.lists.get(key) === list) this.lists.delete(key);
    });
    return waitForShared(list, what);
  }

  /**
   * Adds a scope whose objects are compared with the state at the end of the run. It is listed then and not now: a list
   * after the deletions is shorter.
   */
  watch(scope: ListScope): void {
    this.scopes.set(JSON.stringify(scope), scope);
  }

  /** A create of this run made or adopted the object and hands its id to the engine. */
  registerMade(id: string, record: OwnershipRecord): void {
    if (record.owner !== "") this.made.set(id, { id, task: {}, state: {}, ...record });
  }

  /** For an import: false if another import of this run has claimed one of these objects. An error hook repeats an import. */
  claim(objects: readonly string[], urn: string): boolean {
    if (objects.some((object) => (this.claimed.get(object) ?? urn) !== urn)) return false;
    for (const object of objects) this.claimed.set(object, urn);
    return true;
  }

  madeHere(id: string): boolean {
    return this.made.has(id);
  }

  madeObjects(): OwnedObject[] {
    return [...this.made.values()];
  }

  registerDeleted(id: string): void {
    this.deleted.add(id);
    this.made.delete(id);
  }

  /** The objects of the watched scopes and those that this run made, without those that it deleted. */
  async current(urnPrefix: string, when: "once" | "afresh" = "once"): Promise<OwnedObject[]> {
    const listed = await Promise.all(
      [...this.scopes.values()].map(async (scope) => {
        const objects = await this.list(scope, when);
        return objects.filter(
          // A record of an early build has no stack, but its owner is a URN, which names one.
          (object) =>
            isOfStack(object, scope.stack) && (object.stack !== undefined || object.owner.startsWith(urnPrefix)),
        );
      }),
    );
    const all = new Map([...this.madeObjects(), ...listed.flat()].map((object) => [object.id, object]));
    return [...all.values()].filter(({ id }) => !this.deleted.has(id));
  }
}

/** True if the entry is of one of these objects of the backend, or of a set that has one of them. */
export function holdsOneOf({ id, members = [] }: StateEntry, objects: readonly string[]): boolean {
  return objects.some((object) => object === id || members.includes(object));
}

/** True if an entry holds the object, or belongs to the create of unknown outcome that made the object. */
export function isHeldBy({ entries }: StackState, object: OwnedObject): boolean {
  return entries.some((entry) => holdsOneOf(entry, [object.id]) || isProvisionalFor(entry, object));
}

/** The backend's ids of the objects that have the record. */
export function objectsOf({ id, objects = [] }: OwnedObject): string[] {
  return [id, ...objects];
}

function isProvisionalFor({ id }: StateEntry, { attempt }: OwnedObject): boolean {
  return isSameAttempt(attemptInId(id), attempt);
}

/** An object of an early build may have no stack. */
export function isOfStack({ stack, phase }: OwnedObject, wanted: string): boolean {
  return stack === wanted || (stack === undefined && phase === "open");
}

/**
 * True if another of these objects has the same record, attempt included. One create makes one object, so somebody else has
 * copied the metadata of one to the other (docs/ownership.md#what-is-adopted).
 */
export function hasCopy(object: OwnedObject, among: readonly OwnedObject[]): boolean {
  return among.some((other) => isCopy(object, other));
}

export function isCopy(object: OwnedObject, other: OwnedObject): boolean {
  // The record of a rename or an import names no create, so two objects may have the same.
  if (object.attempt === RECORDED) return false;
  return other.id !== object.id && other.owner === object.owner && isSameAttempt(other.attempt, object.attempt);
}

// --- the record

/** In the outputs in place of the stack's digest, while the object may lack the record: the next `up` writes the record. */
export const NO_RECORD = "none";

/** The attempt of a record that no create has made: the state holds the object, so no create may adopt it. */
export const RECORDED = "recorded";

/** `OwnershipRecord.stack`. `origin` identifies the state store (provider/pulumi/origin.ts). */
export function stackDigest(
  origin: string,
  organization: string | undefined,
  { project, stack }: { project: string; stack: string },
): string {
  // Self-managed state stores have one organisation, of this name. Early builds did not store it.
  return digest(JSON.stringify([origin, organization ?? "organization", project, stack]));
}

/** The default of `recordLengths`: Cinder's metadata values hold 255 characters. */
const LENGTHS = { owner: 255, inputs: 32, attempt: 16 };

export function ownershipRecord(
  definition: AnyDefinition,
  stack: string,
  urn: string,
  attempt: string | undefined,
  inputs: Record<string, unknown>,
): OwnershipRecord {
  const immutable = Object.entries(definition.inputs)
    .filter(([, { onChange, immutableKey }]) => onChange === "replace" || immutableKey !== undefined)
    .filter(([key, rule]) => rule.immutableKey !== undefined || !sameAsAbsent(rule, inputs[key]))
    .map(([key, { immutableKey }]) => [key, immutableKey ? immutableKey(inputs[key]) : inputs[key]]);
  const lengths = definition.recordLengths ?? LENGTHS;
  return {
    stack,
    owner: shortOwner(definition, stack, urn),
    inputs: digest(canonical(Object.fromEntries(immutable))).slice(0, lengths.inputs),
    ...(attempt === undefined ? {} : { attempt: shortAttempt(definition, attempt) }),
  };
}

/** The attempt, shortened to what the backend stores. */
export function shortAttempt({ recordLengths }: Pick<AnyDefinition, "recordLengths">, attempt: string): string {
  return attempt.slice(0, (recordLengths ?? LENGTHS).attempt);
}

/**
 * The URN, shortened to what the backend stores: Cinder's metadata values hold 255 characters, other backends far fewer.
 * A digest covers the stack, too, because such a backend stores nothing else that distinguishes two stacks.
 */
export function shortOwner(
  { recordLengths }: Pick<AnyDefinition, "recordLengths">,
  stack: string,
  urn: string,
): string {
  const limit = (recordLengths ?? LENGTHS).owner;
  if (urn === "") return "";
  if (limit < 64) return digest(`${stack} ${urn}`).slice(0, limit);
  return urn.length <= limit ? urn : `${urn.slice(0, limit - 75)}…${digest(urn)}`;
}
