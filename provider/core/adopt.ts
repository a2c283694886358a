// A create first searches for the object that an interrupted run of the same resource left, and adopts it when everything
// proves that it is this resource's (docs/ownership.md).

import { attemptInId, isSameAttempt, pendingCreatesOf, unnamedAttempt, withPendingCreates } from "./attempt";
import type { AnyDefinition, OwnedObject, OwnershipRecord } from "./definition";
import { messageOf } from "./errors";
import type { Creation } from "./operation";
import {
  hasCopy,
  isOfStack,
  type OwnershipTracker,
  ownershipRecord,
  type StackState,
  type StateEntry,
} from "./ownership";

export interface Adopted {
  object: OwnedObject;
  /** The ownership record that the object gets. */
  record: OwnershipRecord;
}

/** The object that this create adopts; undefined where there is none or something is not proven. */
export async function adopt(creation: Creation, listed: readonly OwnedObject[]): Promise<Adopted | undefined> {
  const { definition, run, client, tracker, urn, record, inputs, context } = creation;
  const now = definition.serverTime?.(client) ?? run.clock.date();
  const answer = await findAdoptable({
    definition,
    tracker,
    record,
    listed,
    urn,
    askState: (fresh) => run.askState(fresh),
    diedAlone: (attempt) => run.diedAlone(record.stack, attempt),
    now,
    localNow: run.clock.date(),
    withinMs: run.adoptWithinMs,
  });
  if (answer.adopt === undefined) {
    if (answer.unasked) {
      context.warn(
        `an interrupted run may have left the ${definition.displayName} ${run.describeOwned(definition, answer.unasked.object, now)}. It was not ` +
          `adopted, because only the state can prove that: ${answer.unasked.reason}. A new one is made. Delete the other on the backend if nobody needs it.`,
      );
    }
    return undefined;
  }
  const found = answer.adopt;
  run.log(
    "info",
    `adopted the ${definition.displayName} ${run.describeOwned(definition, found, now)}: an interrupted run made it`,
    urn,
  );
  return { object: found, record: ownershipRecord(definition, record.stack, urn, answer.attempt, inputs) };
}

/** What decides about an adoption. */
interface AdoptionQuestion {
  definition: AnyDefinition;
  tracker: OwnershipTracker;
  record: OwnershipRecord;
  listed: readonly OwnedObject[];
  /** The full URN: `record.owner` may be shortened. */
  urn: string;
  /** Exports the state. `fresh`: after the beginning of this create. Throws an error that says why it cannot be exported. */
  askState(fresh: boolean): Promise<StackState>;
  /** Whether the provider process of this attempt died alone (AttemptJournal). */
  diedAlone(attempt: string | undefined): Promise<boolean>;
  /** The backend's time. */
  now: Date;
  /** This machine's time. */
  localNow: Date;
  withinMs: number;
}

type AdoptionAnswer =
  /** `attempt` goes into the object's record. */
  { adopt: OwnedObject; attempt: string } | { adopt?: undefined; unasked?: { object: OwnedObject; reason: string } };

/**
 * The rules of adoption. The object is the newest of this owner, the only one of its attempt, has the same immutable inputs and
 * is not too old. The state shows its create as begun and not recorded, and no entry holds it. It is newer than the resource's
 * own entry. If one of these is not proven, the object is not adopted.
 */
async function findAdoptable(question: AdoptionQuestion): Promise<AdoptionAnswer> {
  const { tracker, record, listed, urn, now, withinMs } = question;
  const ours = listed.filter(
    (object) => object.owner === record.owner && isOfStack(object, record.stack) && !tracker.madeHere(object.id),
  );
  const candidate = newest(ours.filter((object) => !hasCopy(object, ours)));
  if (candidate === undefined || candidate.inputs !== record.inputs || candidate.phase === "settled") return {};
  const made = timeOf(candidate);
  if (made === undefined || now.getTime() - made > withinMs) return {};

  // Without a named attempt, only the number of pending creates distinguishes this create from an earlier one.
  const attempt = record.attempt ?? unnamedAttempt();
  const fresh = pendingCreatesOf(attempt) !== undefined;
  let state: StackState;
  try {
    state = await question.askState(fresh);
  } catch (error) {
    return { unasked: { object: candidate, reason: messageOf(error) } };
  }
  if (state.entries.some(({ id }) => id === candidate.id)) return {};
  const pending = state.pendingCreates.filter((one) => one.urn === urn);
  const own = state.entries.filter((entry) => entry.urn === urn && !entry.external);
  // Entries with another id: the outcome was unknown, or the accepting answer named another id.
  const awaited = own.filter((entry) => isSameAttempt(entry.attempt ?? attemptInId(entry.id), candidate.attempt));
  const isBegun =
    awaited.length > 0 || wasBegun(candidate, attempt, pending) || (await question.diedAlone(candidate.attempt));
  if (!isBegun) return {};
  // An entry of unknown outcome stands for no object that could be newer: what its create made would be among `ours`.
  const entries = own.filter((entry) => !awaited.includes(entry) && attemptInId(entry.id) === undefined);
  const skew = now.getTime() - question.localNow.getTime();
  const deletedFirst = (state.deletedFirst ?? []).filter((one) => one.urn === urn);
  const times = [
    ...entries.map((entry) => entryTime(entry, listed, skew)),
    ...deletedFirst.map(({ created }) => engineTime(created, skew)),
  ];
  const newer = times.every((time) => made > (time ?? Number.NEGATIVE_INFINITY));
  if (!newer) return {};
  const unnamed = pending.filter((one) => one.attempt === undefined).length;
  return { adopt: candidate, attempt: fresh ? withPendingCreates(attempt, unnamed) : attempt };
}

/** True if the state shows the create that made this object as begun and not recorded, in addition to the present create. */
function wasBegun(candidate: OwnedObject, attempt: string, pending: StackState["pendingCreates"]): boolean {
  const others = [...pending];
  const isUnnamed = pendingCreatesOf(attempt) !== undefined;
  const own = others.findIndex((one) => (isUnnamed ? one.attempt === undefined : isSameAttempt(one.attempt, attempt)));
  if (own >= 0) others.splice(own, 1);
  const before = pendingCreatesOf(candidate.attempt ?? "001");
  if (before === undefined) return others.some((one) => isSameAttempt(one.attempt, candidate.attempt));
  // Made by an early build or the first request of a process: neither object nor pending operation names an attempt.
  return others.filter((one) => one.attempt === undefined).length >= before;
}

function newest(objects: readonly OwnedObject[]): OwnedObject | undefined {
  const dated = objects.map((object) => [object, timeOf(object) ?? Number.NEGATIVE_INFINITY] as const);
  const latest = Math.max(...dated.map(([, time]) => time));
  const found = dated.filter(([, time]) => time === latest);
  // If two objects have the same time, neither is known to be the newest.
  return found.length === 1 ? found[0]?.[0] : undefined;
}

/** By the backend's clock where the list shows the entry's object; else by the engine's clock, corrected by the skew. */
function entryTime({ id, created }: StateEntry, listed: readonly OwnedObject[], skew: number): number | undefined {
  const object = listed.find((one) => one.id === id);
  const shown = object && timeOf(object);
  return shown ?? engineTime(created, skew);
}

function engineTime(created: string | undefined, skew: number): number | undefined {
  const engine = created === undefined ? Number.NaN : Date.parse(created);
  return Number.isNaN(engine) ? undefined : engine + skew;
}

function timeOf({ createdAt }: OwnedObject): number | undefined {
  const time = createdAt === undefined ? Number.NaN : Date.parse(createdAt);
  return Number.isNaN(time) ? undefined : time;
}
