// Cinder's row of a snapshot, as far as an overlay shows there: our mark and step, Nova's report. All that is known of an
// overlay is known from it.

import type { Marker, Observed, OpenObject, State } from "../core/definition";
import { SnapcloneError } from "../core/errors";
import type { SnapshotRow } from "./cinder";
import { ASSISTED, type Cloud } from "./cloud";

/** Nova reports within a second or two (openstack-seen.md); Cinder itself waits 1 s, later 10 s between looks (§B5). */
export const PACE = { first: 500, most: 10_000 };
/** For other operations on the volume: most of Cinder's own end in seconds, some in hours. */
export const BUSY_MS = 120_000;
/** After a run that was killed on the way to Nova: by now a report would have come. */
export const UNKNOWN_MS = 60_000;

/**
 * How far an overlay has got, in Cinder's row. Written before and after each request to Nova, since Nova can't be asked:
 * whatever happens in between, the next run knows whether it may ask.
 */
export const STEP = {
  /** Nova is about to be asked for the overlay, or was: a run that died here can't tell. */
  asking: "asking",
  /** Nova has said yes. */
  asked: "asked",
  /** Cinder's row has shown that the overlay is in place. */
  made: "made",
  /** Nova has said yes, and Cinder's row could not show the outcome. */
  unseen: "unseen",
  mergeAsking: "merge-asking",
  mergeAsked: "merge-asked",
  merged: "merged",
  /** There is no overlay: the request was refused, or failed. */
  none: "none",
} as const;

/** An overlay is there, is coming, or is on its way out. */
const OCCUPIED: ReadonlySet<string> = new Set([
  STEP.asking,
  STEP.asked,
  STEP.made,
  STEP.unseen,
  STEP.mergeAsking,
  STEP.mergeAsked,
]);
export const IN_FLIGHT: ReadonlySet<string> = new Set([STEP.asking, STEP.asked, STEP.mergeAsking, STEP.mergeAsked]);

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
export const LOOK =
  "nova-compute's log on the server's host has the reason. Usual ones: the server is not running, its driver is not libvirt, `newFile` is missing in the volume's folder or cannot be read by QEMU.";

export function observed(row: SnapshotRow, { unverifiedReason }: State): Observed {
  const step = stepOf(row);
  const verified = step === STEP.made || step === STEP.mergeAsking || step === STEP.mergeAsked;
  const reason =
    unverifiedReason ?? UNVERIFIED[step ?? ""] ?? "Cinder's record no longer bears the mark of this resource";
  return {
    state: {
      volumeId: row.volume_id,
      snapshotId: row.id,
      status: row.status,
      progress: progressOf(row),
      verified,
      unverifiedReason: verified ? undefined : reason,
    },
    openOwner: row.metadata[ASSISTED.phase] === "open" ? row.metadata[ASSISTED.owner] : undefined,
    adoptedBy: row.metadata[ASSISTED.adopted],
  };
}

const UNVERIFIED: Readonly<Record<string, string>> = {
  [STEP.asking]: INTERRUPTED,
  [STEP.asked]: "Nova has accepted it, and its report has not been seen yet",
  [STEP.unseen]:
    "Cinder's record was not in status \"creating\", or its progress is hidden, so it could not show Nova's report",
  [STEP.none]: "there is no overlay",
  [STEP.merged]: "the overlay has been merged",
};

export function openObject(row: SnapshotRow): OpenObject {
  return {
    id: `${row.volume_id}/${row.id}`,
    task: { asked: stepOf(row) !== STEP.asking },
    owner: row.metadata[ASSISTED.owner] ?? "",
    inputs: row.metadata[ASSISTED.inputs] ?? "",
    state: observed(row, {}).state,
  };
}

export function marks({ owner, inputs }: Marker): Record<string, string> {
  return owner === "" ? {} : { [ASSISTED.owner]: owner, [ASSISTED.inputs]: inputs, [ASSISTED.phase]: "open" };
}

export async function mark(cloud: Cloud, id: string, metadata: Record<string, string>): Promise<void> {
  await cloud.cinder.createSnapshotMetadata(id, metadata);
}

/** What must not stand in the way of what is being said or returned; the next run meets it as it is. */
export async function quietly(work: Promise<unknown>): Promise<void> {
  await work.catch(() => {});
}

export async function present(cloud: Cloud, id: string, signal: AbortSignal): Promise<SnapshotRow> {
  const row = await cloud.snapshot(id, signal);
  if (row) return row;
  throw new SnapcloneError({ kind: "failed", said: `Cinder's snapshot ${id} is gone` });
}

export function isOccupied(row: SnapshotRow): boolean {
  return OCCUPIED.has(stepOf(row) ?? "");
}

export function isOfKnownStatus({ status }: SnapshotRow): boolean {
  return STATUSES.test(status);
}

export function stepOf(row: SnapshotRow): string | undefined {
  return row.metadata[ASSISTED.step];
}

/** As people read it: `creating 90%`. */
export function wordsOf(row: SnapshotRow): string {
  return [row.status, progressOf(row)].filter(Boolean).join(" ");
}

export function progressOf(row: SnapshotRow): string | undefined {
  return row["os-extended-snapshot-attributes:progress"] ?? undefined;
}

export function partsOf(id: string): { volumeId: string; snapshotId: string } {
  const [volumeId = "", snapshotId = ""] = id.split("/");
  return { volumeId, snapshotId };
}
