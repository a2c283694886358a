// Which objects on the backend are ours, which of them a create may adopt, and which no state holds. The state itself is
// the witness (docs/ownership.md): a record on an object says who made it, never that Pulumi has recorded it.

import { attemptInId, isSameAttempt, pendingCreatesOf, unnamedAttempt, withPendingCreates } from "./attempt";
import type { AnyDefinition, ListScope, OwnedObject, OwnershipRecord } from "./definition";
import { canonical, sameAsAbsent } from "./diff";
import { digest } from "./util/digest";

/** What `pulumi stack export` shows, as far as it matters here. */
export interface StackState {
  entries: readonly StateEntry[];
  /** Creates that were begun and whose end was never saved, the running ones among them. */
  pendingCreates: readonly { urn: string; attempt?: string | undefined }[];
}

export interface StateEntry {
  urn: string;
  id: string;
  /** Waits to be deleted: a replacement has taken its place. */
  leaving: boolean;
  /** Only read (`get`): Pulumi never deletes it. */
  external: boolean;
  /** The engine's clock, ISO 8601. */
  created?: string | undefined;
  attempt?: string | undefined;
  adopted?: string | undefined;
}

/** The objects of one definition on one connection, as this run knows them. */
export class OwnershipTracker {
  private readonly lists = new Map<string, Promise<readonly OwnedObject[]>>();
  private readonly scopes = new Map<string, ListScope>();
  private readonly made = new Map<string, OwnedObject>();
  private readonly deleted = new Set<string>();

  constructor(
    private readonly definition: AnyDefinition,
    private readonly client: unknown,
  ) {}

  /** What the backend lists. One list answers all creates of a run that share the scope; a failed one answers nobody. */
  list(scope: ListScope, when: "once" | "afresh" = "once"): Promise<readonly OwnedObject[]> {
    const key = JSON.stringify(scope);
    const earlier = this.lists.get(key);
    if (when === "once" && earlier !== undefined) return earlier;
    this.scopes.set(key, scope);
    const list = this.definition.listOwned(this.client, scope);
    this.lists.set(key, list);
    list.catch(() => {
      if (this.lists.get(key) === list) this.lists.delete(key);
    });
    return list;
  }

  /**
   * At the end of the run, what this scope has is compared with the state. A list at the end is the shortest: what the run
   * deletes is not in it.
   */
  watch(scope: ListScope): void {
    this.scopes.set(JSON.stringify(scope), scope);
  }

  /** A create of this run made or adopted the object and hands its id to the engine. */
  markMade(id: string, record: OwnershipRecord): void {
    if (record.owner !== "") this.made.set(id, { id, task: {}, state: {}, ...record });
  }

  madeHere(id: string): boolean {
    return this.made.has(id);
  }

  madeObjects(): OwnedObject[] {
    return [...this.made.values()];
  }

  markDeleted(id: string): void {
    this.deleted.add(id);
    this.made.delete(id);
  }

  /** Objects of the watched scopes that are still there as far as this run knows, and those that it made. */
  async current(urnPrefix: string, when: "once" | "afresh" = "once"): Promise<OwnedObject[]> {
    const listed = await Promise.all(
      [...this.scopes.values()].map(async (scope) => {
        const objects = await this.list(scope, when);
        return objects.filter(
          // A mark of an earlier build has no stack, but its owner names one.
          (object) =>
            isOfStack(object, scope.stack) && (object.stack !== undefined || object.owner.startsWith(urnPrefix)),
        );
      }),
    );
    const all = new Map([...this.madeObjects(), ...listed.flat()].map((object) => [object.id, object]));
    return [...all.values()].filter(({ id }) => !this.deleted.has(id));
  }
}

/** What a create asks: is there an object that an interrupted run of this resource left? */
export interface AdoptionQuestion {
  definition: AnyDefinition;
  tracker: OwnershipTracker;
  record: OwnershipRecord;
  listed: readonly OwnedObject[];
  /** The full URN: `record.owner` may be shortened. */
  urn: string;
  /** Asks the state. `fresh`: an answer that was begun after this create. Throws an error that says why it can't be asked. */
  askState(fresh: boolean): Promise<StackState>;
  /** Whether the provider process of this attempt died alone (AttemptJournal). */
  diedAlone(attempt: string | undefined): Promise<boolean>;
  /** The backend's time. */
  now: Date;
  /** This machine's time. */
  localNow: Date;
  withinMs: number;
}

export type AdoptionAnswer =
  /** `attempt` is what the object's record is to say from now on. */
  { adopt: OwnedObject; attempt: string } | { adopt?: undefined; unasked?: { object: OwnedObject; reason: string } };

/**
 * The rules of adoption: the newest object of this owner, from the same immutable inputs, not too old, whose create the
 * state shows as begun and not recorded, which no entry of the state holds, and which is newer than the entry that the
 * resource has. Whatever one of them does not prove is not adopted.
 */
export async function findAdoptable(question: AdoptionQuestion): Promise<AdoptionAnswer> {
  const { tracker, record, listed, urn, now, withinMs } = question;
  const ours = listed.filter(
    (object) => object.owner === record.owner && isOfStack(object, record.stack) && !tracker.madeHere(object.id),
  );
  const candidate = newest(ours);
  if (candidate === undefined || candidate.inputs !== record.inputs || candidate.phase === "settled") return {};
  const made = timeOf(candidate);
  if (made === undefined || now.getTime() - made > withinMs) return {};

  // Unnamed, only the number of pending creates tells this create from an earlier one.
  const attempt = record.attempt ?? unnamedAttempt();
  const fresh = pendingCreatesOf(attempt) !== undefined;
  let state: StackState;
  try {
    state = await question.askState(fresh);
  } catch (error) {
    return { unasked: { object: candidate, reason: error instanceof Error ? error.message : String(error) } };
  }
  if (state.entries.some(({ id }) => id === candidate.id)) return {};
  const pending = state.pendingCreates.filter((one) => one.urn === urn);
  const own = state.entries.filter((entry) => entry.urn === urn && !entry.external);
  // Recorded, but not under this id: the outcome was unknown, or the accepting answer named another.
  const awaited = own.filter((entry) => isSameAttempt(entry.attempt ?? attemptInId(entry.id), candidate.attempt));
  const isBegun =
    awaited.length > 0 || wasBegun(candidate, attempt, pending) || (await question.diedAlone(candidate.attempt));
  if (!isBegun) return {};
  const entries = own.filter((entry) => !awaited.includes(entry));
  const skew = now.getTime() - question.localNow.getTime();
  const newer = entries.every((entry) => made > (entryTime(entry, listed, skew) ?? Number.NEGATIVE_INFINITY));
  if (!newer) return {};
  const unnamed = pending.filter((one) => one.attempt === undefined).length;
  return { adopt: candidate, attempt: fresh ? withPendingCreates(attempt, unnamed) : attempt };
}

/** Does the state show the create that made this object as begun and not recorded, beside the create that asks? */
function wasBegun(candidate: OwnedObject, attempt: string, pending: StackState["pendingCreates"]): boolean {
  const others = [...pending];
  const isUnnamed = pendingCreatesOf(attempt) !== undefined;
  const own = others.findIndex((one) => (isUnnamed ? one.attempt === undefined : isSameAttempt(one.attempt, attempt)));
  if (own >= 0) others.splice(own, 1);
  const before = pendingCreatesOf(candidate.attempt ?? "001");
  if (before === undefined) return others.some((one) => isSameAttempt(one.attempt, candidate.attempt));
  // An earlier build, or the first request of a process: neither the object nor the pending operation names an attempt.
  return others.filter((one) => one.attempt === undefined).length >= before;
}

/** The state holds the object, by its id, or as the one that a create of unknown outcome may have made. */
export function isHeldBy({ entries }: StackState, object: OwnedObject): boolean {
  return entries.some((entry) => entry.id === object.id || isProvisionalFor(entry, object));
}

function isProvisionalFor({ id }: StateEntry, { attempt }: OwnedObject): boolean {
  return isSameAttempt(attemptInId(id), attempt);
}

function newest(objects: readonly OwnedObject[]): OwnedObject | undefined {
  const dated = objects.map((object) => [object, timeOf(object) ?? Number.NEGATIVE_INFINITY] as const);
  const latest = Math.max(...dated.map(([, time]) => time));
  const found = dated.filter(([, time]) => time === latest);
  // Two of one moment: nothing tells which is the later, so neither is taken for it.
  return found.length === 1 ? found[0]?.[0] : undefined;
}

/** By the backend's clock where the list shows the entry's object, else by the engine's, set to the backend's. */
function entryTime({ id, created }: StateEntry, listed: readonly OwnedObject[], skew: number): number | undefined {
  const object = listed.find((one) => one.id === id);
  const shown = object && timeOf(object);
  if (shown !== undefined) return shown;
  const engine = created === undefined ? Number.NaN : Date.parse(created);
  return Number.isNaN(engine) ? undefined : engine + skew;
}

function timeOf({ createdAt }: OwnedObject): number | undefined {
  const time = createdAt === undefined ? Number.NaN : Date.parse(createdAt);
  return Number.isNaN(time) ? undefined : time;
}

function isOfStack({ stack, phase }: OwnedObject, wanted: string): boolean {
  return stack === wanted || (stack === undefined && phase === "open");
}

// --- the record

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
  const lengths = definition.recordLengths ?? { owner: 255, inputs: 32, attempt: 16 };
  return {
    stack,
    owner: shortOwner(definition, stack, urn),
    inputs: digest(canonical(Object.fromEntries(immutable))).slice(0, lengths.inputs),
    ...(attempt === undefined ? {} : { attempt: attempt.slice(0, lengths.attempt) }),
  };
}

/**
 * URNs may be long; backends store 255 characters (Cinder's metadata values), some far less. A short one stands for the
 * stack, too: it is all that such a backend has to tell two stacks apart.
 */
export function shortOwner({ recordLengths }: AnyDefinition, stack: string, urn: string): string {
  const limit = recordLengths?.owner ?? 255;
  if (urn === "") return "";
  if (limit < 64) return digest(`${stack} ${urn}`).slice(0, limit);
  return urn.length <= limit ? urn : `${urn.slice(0, limit - 75)}…${digest(urn)}`;
}
