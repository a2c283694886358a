// Cinder's row of a snapshot, as far as an overlay shows there: the overlay's record, and Nova's report. All that is known
// of an overlay is known from it.

import { AbsenceTimer } from "../../core/absence";
import type { Observed, OperationContext, OwnedObject, OwnershipRecord, State, Task } from "../../core/definition";
import { isKind, SnapcloneError } from "../../core/errors";
import { poll } from "../../core/poll";
import { type Metadata, type SnapshotRow, whatIsMissing } from "../cinder";
import { ASSISTED, type OpenStackContext } from "../context";

/**
 * Nova reports within a second or two (docs/wire/openstack.md#seen-assisted-create); Cinder itself waits 1 s, later 10
 * s between looks (docs/wire/openstack.md#b5).
 */
export const INTERVAL = { first: 500, most: 10_000 };
/** For other operations on the volume: most of Cinder's own end in seconds, some in hours. */
export const BUSY_MS = 120_000;
/** After a run that was killed on the way to Nova: by now a report would have come. */
export const UNKNOWN_MS = 60_000;

/**
 * How far an overlay has got, in Cinder's row. Written before and after each request to Nova, since Nova can't be asked:
 * whatever happens in between, the next run knows whether it may ask.
 */
export const PHASE = {
  /** The record is written, and Nova is not asked yet: Cinder's status is put where Nova's report can be seen. */
  preparing: "preparing",
  /** Nova is about to be asked for the overlay, or was: a run that died here can't tell. */
  asking: "asking",
  /** Nova has said yes. */
  asked: "asked",
  /** Cinder's row has shown that the overlay is in place. */
  made: "made",
  /** Nova has said yes, and Cinder's row could not show the outcome. */
  unseen: "unseen",
  mergePreparing: "merge-preparing",
  mergeAsking: "merge-asking",
  mergeAsked: "merge-asked",
  merged: "merged",
  /** There is no overlay: the request was refused, or failed. */
  none: "none",
} as const;

export const IN_FLIGHT: ReadonlySet<string> = new Set([
  PHASE.preparing,
  PHASE.asking,
  PHASE.asked,
  PHASE.mergePreparing,
  PHASE.mergeAsking,
  PHASE.mergeAsked,
]);
/** An overlay is there, is coming, or is on its way out. */
const OCCUPIED: ReadonlySet<string> = new Set([...IN_FLIGHT, PHASE.made, PHASE.unseen]);

/** Nova's sign, in either direction. */
export const REPORTED = "90%";
/** Cinder's own progress, and that of a row that Cinder has only begun to make. */
export const [BEGUN, FINISHED] = ["0%", "100%"];
/** Put in the place of an old report, so that the new one can be told from it. */
export const NOT_REPORTED = "10%";

/** Of Cinder's snapshots (cinder/objects/fields.py, SnapshotStatus). What any other means, nobody knows. */
const STATUSES =
  /^(creating|available|deleting|deleted|error|error_deleting|updating|unmanaging|backing-up|restoring)$/i;

export const INTERRUPTED = "a run was stopped on its way to Nova";
export const MERGE_INTERVAL =
  "nova-compute's log on the server's host has the reason. Usual ones: the server is not running, its driver is not libvirt, `newFile` is missing in the volume's folder or cannot be read by QEMU.";

// --- the record

/** What the record of a resource's overlay must say. */
export interface Expected extends Pick<OwnershipRecord, "stack" | "owner" | "inputs"> {
  file: string;
}

export function recordOf({ stack, owner, inputs, attempt }: OwnershipRecord, file: string): Metadata {
  if (owner === "") return { [ASSISTED.file]: file };
  return {
    [ASSISTED.stack]: stack,
    [ASSISTED.owner]: owner,
    [ASSISTED.inputs]: inputs,
    ...(attempt === undefined ? {} : { [ASSISTED.attempt]: attempt }),
    [ASSISTED.file]: file,
  };
}

type Recorded = { [key in keyof Expected]?: Expected[key] | undefined };

/** As it stands on the row. Builds before 0.2 wrote no stack, and no attempt. */
export function recordOn({ metadata }: SnapshotRow): Recorded {
  return {
    stack: metadata[ASSISTED.stack],
    owner: metadata[ASSISTED.owner],
    inputs: metadata[ASSISTED.inputs],
    file: metadata[ASSISTED.file],
  };
}

/** Why the record on the row is not this resource's; undefined if it is. What is not expected is not compared. */
export function notOurs(row: SnapshotRow, expected: Recorded, more?: "or nobody's"): string | undefined {
  const found = recordOn(row);
  if (more !== undefined && found.owner === undefined) return undefined;
  const differs = (key: keyof Expected) => expected[key] !== undefined && (found[key] ?? "") !== expected[key];
  const overlay = `the overlay that snapshot ${row.id} has a record of`;
  if (differs("owner")) return `${overlay} was made for ${found.owner || "nobody that is known"}`;
  // Builds before 0.2 wrote no stack.
  if (found.stack !== undefined && expected.stack && found.stack !== expected.stack) {
    return `${overlay} was made by another stack, for its ${found.owner}`;
  }
  if (differs("file")) return `${overlay} is the file ${found.file}, and this one's is ${expected.file}`;
  if (differs("inputs")) return `${overlay} was made from other inputs, for ${found.owner}`;
  return undefined;
}

export function ownedObject(row: SnapshotRow): OwnedObject {
  const phase = row.metadata[ASSISTED.phase];
  const { stack, owner = "", inputs = "" } = recordOn(row);
  const isLeaving = phaseOf(row)?.startsWith("merge") ?? false;
  return {
    id: `${row.volume_id}/${row.id}`,
    task: taskOf(phaseOf(row) !== PHASE.asking, { stack, owner, attempt: row.metadata[ASSISTED.attempt] }),
    stack,
    owner,
    inputs,
    attempt: row.metadata[ASSISTED.attempt],
    // An overlay that is on its way out is nobody's any more.
    phase: isLeaving || phase === "settled" ? "settled" : phase === "open" ? "open" : undefined,
    createdAt: nonceOf(row)?.since ?? (stack === undefined ? utc(row.updated_at) : undefined),
    label: row.metadata[ASSISTED.file],
    state: observed(row, {}).state,
  };
}

/** Who wrote the record last. */
export interface Nonce {
  /** The same in no two operations; begins with the run's. */
  id: string;
  /** By Cinder's clock, ISO 8601: when it was written, and when the operation gives up. */
  since: string;
  until: string;
  /** Digest of stack and owner: two operations of one resource are never under way at once. */
  resource: string;
  /** The resource's name, for people; shortened. */
  owner: string;
  /** Its operation has not come to its end. */
  isClaim: boolean;
}

const NONCE = /^(claim )?(\S+) (\S+?)\/(\S+) (\S+) (.*)$/;

export function nonceOf({ metadata }: SnapshotRow): Nonce | undefined {
  const [, claim, id, since, until, resource, owner] = NONCE.exec(metadata[ASSISTED.nonce] ?? "") ?? [];
  if (id === undefined || since === undefined || until === undefined || resource === undefined || owner === undefined) {
    return undefined;
  }
  return { id, since, until, resource, owner, isClaim: claim !== undefined };
}

export function nonceText({ id, since, until, resource, owner, isClaim }: Nonce): string {
  return `${isClaim ? "claim " : ""}${id} ${since}/${until} ${resource} ${owner}`;
}

/** How a step is written that ends an operation. */
export function atRest(row: SnapshotRow, step: string): Metadata {
  const nonce = nonceOf(row);
  const text = nonce?.isClaim ? { [ASSISTED.nonce]: nonceText({ ...nonce, isClaim: false }) } : {};
  return { [ASSISTED.step]: step, ...text };
}

/** The record is kept with the accepted work: while that is waited for, the row may become somebody else's. */
export function taskOf(
  asked: boolean,
  { stack, owner, attempt }: { stack?: string | undefined; owner: string; attempt?: string | undefined },
): Task {
  return {
    asked,
    ...(stack === undefined ? {} : { stack }),
    ...(owner === "" ? {} : { owner }),
    ...(attempt === undefined ? {} : { attempt }),
  };
}

/** Cinder answers with all metadata there are now. */
export async function write(cloud: OpenStackContext, row: SnapshotRow, entries: Metadata): Promise<SnapshotRow> {
  return { ...row, metadata: await unlessHidden(cloud.cinder.createSnapshotMetadata(row.id, entries)) };
}

/** The command by which a person writes the record, where it was lost. */
export function howToRecord(id: string, expected: Expected, ...steps: string[]): string {
  const entries = Object.entries(recordOf(expected, expected.file)).map(([key, value]) => `--property ${key}=${value}`);
  const step = steps.length === 1 ? steps[0] : "…";
  return `\`openstack volume snapshot set ${[...entries, `--property ${ASSISTED.step}=${step}`, id].join(" ")}\``;
}

/** Takes the record away, the step last: as long as it is there, it says that there is nothing to merge. */
export async function removeRecord(cloud: OpenStackContext, { id, metadata }: SnapshotRow): Promise<void> {
  const keys = Object.values(ASSISTED).filter((key) => Object.hasOwn(metadata, key));
  const others = keys.filter((key) => key !== ASSISTED.step);
  await Promise.all(others.map((key) => removeKey(cloud, id, key)));
  if (others.length < keys.length) await removeKey(cloud, id, ASSISTED.step);
}

export async function removeKey(cloud: OpenStackContext, id: string, key: string): Promise<void> {
  try {
    await cloud.cinder.deleteSnapshotMetadataKey(id, key);
  } catch (error) {
    // The key, or the snapshot with everything on it.
    if (whatIsMissing(error) === undefined) throw error;
  }
}

// --- reading

/** `whose` says why the record on the row is not this resource's. */
export function observed(row: SnapshotRow, known: State, whose?: string): Observed {
  const step = phaseOf(row);
  const verified = whose === undefined && (step === PHASE.made || (step?.startsWith("merge-") ?? false));
  const sticky = step === PHASE.unseen ? known.unverifiedReason : undefined;
  const reason = whose ?? sticky ?? UNVERIFIED[step ?? ""] ?? UNRECORDED;
  return {
    state: {
      // It can't change: where the row says something else, it is not the row's to say.
      volumeId: known.volumeId ?? row.volume_id,
      snapshotId: row.id,
      status: row.status,
      progress: progressOf(row),
      verified,
      unverifiedReason: verified ? undefined : reason,
      // What the next `up` has to do about it, where something is left to do.
      __step: whose === undefined && step !== undefined ? step : FOREIGN,
      // Whether an absence is proof depends on it.
      __project: row["os-extended-snapshot-attributes:project_id"] ?? undefined,
    },
  };
}

/** In `__step`: there is no record, or somebody else's. */
export const FOREIGN = "foreign";
const UNRECORDED = "Cinder's snapshot no longer bears the record of this resource";

const UNVERIFIED: Readonly<Record<string, string>> = {
  [PHASE.preparing]: "a run was stopped before it asked Nova",
  [PHASE.asking]: INTERRUPTED,
  [PHASE.asked]: "Nova has accepted it, and its report has not been seen yet",
  [PHASE.unseen]:
    "Cinder's record was not in status \"creating\", or its progress is hidden, so it could not show Nova's report",
  [PHASE.none]: "there is no overlay",
  [PHASE.merged]: "the overlay has been merged",
};

/** Waits until Cinder shows the row: one "not found" may come from a replica that lags behind. */
export async function present(cloud: OpenStackContext, id: string, context: OperationContext): Promise<SnapshotRow> {
  const absence = new AbsenceTimer(context.clock);
  const row = await poll<SnapshotRow | undefined>({
    description: `Cinder to show snapshot ${id}`,
    fetch: (signal) => cloud.snapshot(id, signal),
    evaluate: (seen) => {
      if (absence.isProven(seen !== undefined))
        return { is: "failed", error: new Vanished(`Cinder's snapshot ${id} is gone`) };
      return seen ? { is: "done", progress: "" } : { is: "pending", progress: `Cinder does not show snapshot ${id}` };
    },
    interval: INTERVAL,
    context: context,
  });
  return row as SnapshotRow;
}

/** Cinder's snapshot is proven gone, and with it all that could be known of the overlay. */
export class Vanished extends SnapcloneError {
  constructor(message: string, hint?: string) {
    super({ kind: "notFound", message, hint });
  }
}

/** A "not found" that is no proof: to what changes the row, and from Nova. */
export async function unlessHidden<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!isKind(error, "notFound") || error instanceof Vanished) throw error;
    throw new SnapcloneError({ ...error.parts, kind: "transient" });
  }
}

/** What must not stand in the way of what is being said or returned; the next run meets it as it is. */
export async function ignoreErrors(work: Promise<unknown>): Promise<void> {
  await work.catch(() => {});
}

export function isOccupied(row: SnapshotRow): boolean {
  return OCCUPIED.has(phaseOf(row) ?? "");
}

export function isOfKnownStatus({ status }: SnapshotRow): boolean {
  return STATUSES.test(status);
}

export function phaseOf(row: SnapshotRow): string | undefined {
  return row.metadata[ASSISTED.step];
}

/** As people read it: `creating 90%`. */
export function wordsOf(row: SnapshotRow): string {
  return [row.status, progressOf(row)].filter(Boolean).join(" ");
}

export function progressOf(row: SnapshotRow): string | undefined {
  return row["os-extended-snapshot-attributes:progress"] ?? undefined;
}

/** Cinder's times are UTC and do not say so (docs/wire/openstack.md#a3). */
export function utc(time: string | null): string | undefined {
  if (time === null) return undefined;
  return /(Z|[+-]\d\d:?\d\d)$/.test(time) ? time : `${time}Z`;
}

export function partsOf(id: string): { volumeId: string; snapshotId: string } {
  const [volumeId = "", snapshotId = ""] = id.split("/");
  return { volumeId, snapshotId };
}
