// AssistedSnapshot: Nova switches a running guest's disk to an overlay file, and merges it back on deletion. The API
// answers at once, checks little and shows nothing, so all that is known comes from Cinder's record of the snapshot:
// it is checked before each request, and is where the outcome shows, if it shows (docs/wire/openstack.md#seen).

import { z } from "zod";
import type {
  AcceptedOperation,
  Definition,
  Observed,
  OperationContext,
  OwnershipRecord,
  State,
  Task,
} from "../../core/definition";
import { isKind, SnapcloneError } from "../../core/errors";
import { connectionName } from "../../core/inputs";
import { ownershipRecord } from "../../core/ownership";
import type { Metadata, SnapshotRow } from "../cinder";
import { ASSISTED, type OpenStackContext, openstack } from "../context";
import { uuid } from "../inputs";
import { type Asked, askForOverlay, untilSwitched } from "./create";
import { removeOverlay } from "./delete";
import { type AssistedSnapshotInputs, correction, fileName, nullableFileName } from "./inputs";
import {
  acquireVolume,
  cinderDoesNotKnow,
  isReported,
  notPutBack,
  releaseVolume,
  unverifiedReason,
} from "./preconditions";
import {
  atRest,
  type Expected,
  FINISHED,
  FOREIGN,
  howToRecord,
  isOccupied,
  isOfKnownStatus,
  MERGE_INTERVAL,
  notOurs,
  observed,
  ownedObject,
  PHASE,
  partsOf,
  phaseOf,
  present,
  recordOf,
  recordOn,
  taskOf,
  unlessHidden,
  Vanished,
  write,
} from "./state";

export const assistedSnapshot: Definition<AssistedSnapshotInputs, OpenStackContext> = {
  displayName: "assisted snapshot",
  connection: openstack,
  inputs: {
    volumeId: { onChange: "replace", schema: uuid("a volume") },
    snapshotId: { onChange: "replace", schema: uuid("a snapshot") },
    newFile: { onChange: "replace", schema: fileName() },
    type: {
      onChange: "replace",
      schema: z.literal("qcow2", 'must be "qcow2", the only type there is').default("qcow2"),
    },
    fileToMerge: { onChange: correction, schema: nullableFileName() },
    mergeTargetFile: { onChange: correction, schema: nullableFileName() },
    manageStatus: { onChange: "update", schema: z.boolean("must be true or false").optional(), default: false },
    connection: { onChange: "replace", schema: connectionName().optional() },
  },
  validate({ fileToMerge, mergeTargetFile }, unknown) {
    if (mergeTargetFile === undefined || unknown.has("fileToMerge")) return [];
    const property = "mergeTargetFile";
    // libvirt would take the active file for what is missing, and refuse that, later and unseen.
    if (fileToMerge === undefined) return [{ property, reason: "needs fileToMerge, the file that is merged into it" }];
    if (fileToMerge !== mergeTargetFile) return [];
    return [{ property, reason: "is the same as fileToMerge: a file can't be merged into itself" }];
  },
  // Cinder gives Nova 600 s for an overlay and 7200 s for a merge (cinder/volume/drivers/remotefs.py:1917–2080).
  timeouts: { create: "10m", update: "5m", delete: "2h" },
  // One overlay for each snapshot, and a new one beside it would be merged with it.
  deleteBeforeReplace: true,
  onFailedCreate: "replace",

  describe: ({ id, volumeId, snapshotId }) =>
    typeof snapshotId === "string"
      ? `assisted snapshot ${snapshotId} of volume ${volumeId}`
      : `assisted snapshot ${String(id)}`,

  async listOwned(cloud, { stack }) {
    // Builds before 0.2 wrote no stack: of theirs, those marked `open` may be ours.
    const alternatives = [{ [ASSISTED.stack]: stack }, { [ASSISTED.phase]: "open" }];
    const rows = await cloud.snapshotsWith(alternatives, { all_tenants: true });
    return rows.filter(isOccupied).map(ownedObject);
  },

  async recordOwnership(cloud, id, record, known) {
    const row = await unlessHidden(cloud.cinder.showSnapshot(partsOf(id).snapshotId));
    // Not over a record that somebody else has written in the meantime.
    const whose = isRecorded(record, row) ? undefined : notOurs(row, expectedOf(known, record.stack));
    if (whose !== undefined)
      throw new SnapcloneError({ kind: "refused", message: `${whose}: its record was not changed` });
    const { [ASSISTED.file]: _, ...entries } = recordOf(record, "");
    // Builds before 0.2 look for `open` alone: they must not adopt what is adopted here.
    const old = row.metadata[ASSISTED.phase] === undefined ? {} : { [ASSISTED.phase]: "settled" };
    await write(cloud, row, { ...entries, ...old });
  },

  async beginCreate(cloud, inputs, record, context): Promise<AcceptedOperation> {
    const { volumeId, snapshotId, newFile } = inputs;
    await acquireVolume(cloud, volumeId, context);
    try {
      const answer = await askForOverlay(cloud, inputs, recordOf(record, newFile), context);
      return { id: `${volumeId}/${snapshotId}`, task: taskAfter(answer, record), initialState: answer };
    } catch (error) {
      releaseVolume(cloud, context);
      throw error;
    }
  },

  async waitForCreate(cloud, { id, task, initialState }, inputs, context) {
    const { volumeId, snapshotId } = partsOf(id);
    await acquireVolume(cloud, volumeId, context);
    try {
      const answer = initialState as Asked | undefined;
      if (answer?.failure !== undefined) throw answer.failure;
      const first = answer?.row ?? (await present(cloud, snapshotId, context));
      const made = await finish(cloud, first, task, inputs, context);
      context.warn(cinderDoesNotKnow(volumeId, `is on ${inputs.newFile} now`));
      return made;
    } catch (error) {
      throw withoutProof(error);
    } finally {
      releaseVolume(cloud, context);
    }
  },

  async read(cloud, id, known, signal) {
    const row = await cloud.snapshot(partsOf(id).snapshotId, signal);
    if (!row) return undefined;
    const isOwned = known.__owner !== undefined && phaseOf(row) !== undefined;
    return observed(row, { ...known, ...partsOf(id) }, isOwned ? notOurs(row, expectedOf(known, "")) : undefined);
  },

  divergence({ __step: step }) {
    if (typeof step !== "string") return undefined;
    if (GONE.has(step)) return { output: "verified", effect: "replace" };
    return UNFINISHED.has(step) ? { output: "verified", effect: "update" } : undefined;
  },

  // What may change is told to Nova at the end, and not before. What is left to do, the row shows.
  async update(cloud, id, from, inputs, known, context) {
    if (!UNFINISHED.has(String(from.state.__step))) return from;
    const { volumeId, snapshotId } = partsOf(id);
    await acquireVolume(cloud, volumeId, context);
    try {
      return await mend(cloud, await present(cloud, snapshotId, context), inputs, known, context);
    } catch (error) {
      throw withoutProof(error);
    } finally {
      releaseVolume(cloud, context);
    }
  },

  async delete(cloud, id, known, context) {
    const { volumeId, snapshotId } = partsOf(id);
    await acquireVolume(cloud, volumeId, context);
    try {
      const row = await cloud.snapshot(snapshotId, context.signal);
      if (!row) {
        context.warn(
          `Cinder has no snapshot ${snapshotId}, so nothing was merged: if the disk of the server still is on ${String(known.newFile)}, it stays there (\`virsh domblklist\` shows it)`,
        );
        return "missing";
      }
      await removeOverlay(cloud, row, expectedOf(known, context.stack), { ...known, volumeId }, context);
      return "deleted";
    } catch (error) {
      // The row was there: whatever is not found now, the overlay may be.
      throw withoutProof(error);
    } finally {
      releaseVolume(cloud, context);
    }
  },

  async diagnose(_cloud, id, { status }) {
    if (!/^error/i.test(String(status))) return undefined;
    return `Cinder's record of snapshot ${partsOf(id).snapshotId} is in status "${String(status)}". ${MERGE_INTERVAL} An administrator can reset the status (\`openstack volume snapshot set --state available\`).`;
  },

  identity: (cloud, _known, signal) => cloud.session.identity("blockStorage", signal),
  serverTime: (cloud) => cloud.session.serverTime("blockStorage"),

  /** An administrator sees other projects' snapshots, and sees none of them when he is none any more. */
  async doubtAbsence(cloud, known, signal) {
    const { volumeId, __project: project } = known;
    if (project !== undefined && project === (await cloud.session.projectId(signal))) return undefined;
    try {
      await cloud.cinder.showVolume(String(volumeId), signal);
      return undefined;
    } catch (error) {
      if (!isKind(error, "notFound")) throw error;
      const where = project === undefined ? "" : `it is in project ${String(project)}, and `;
      return `${where}this login does not see its volume ${String(volumeId)} either`;
    }
  },
};

/** There is no overlay any more, or there will be none: another is made in its place. */
const GONE: ReadonlySet<string> = new Set([PHASE.none, PHASE.merged, PHASE.mergeAsking, PHASE.mergeAsked]);
/** The overlay is there, or on its way, and its record is not as a good `up` leaves it. */
const UNFINISHED: ReadonlySet<string> = new Set([
  PHASE.preparing,
  PHASE.asking,
  PHASE.asked,
  PHASE.mergePreparing,
  FOREIGN,
]);

/** Ends what an operation has begun that the state knows nothing of. */
async function mend(
  cloud: OpenStackContext,
  row: SnapshotRow,
  inputs: AssistedSnapshotInputs,
  known: State,
  context: OperationContext,
): Promise<Observed> {
  const expected = expectedOf(known, context.stack);
  if (phaseOf(row) === PHASE.mergePreparing && notOurs(row, expected) === undefined) {
    // A delete that had not asked Nova yet, and is not wanted any more.
    const made = await write(cloud, row, atRest(row, PHASE.made));
    if (inputs.manageStatus !== true || row.status.toLowerCase() !== "deleting") return observed(made, known);
    await unlessHidden(cloud.cinder.resetSnapshotStatus(row.id, "available"));
    return observed(await present(cloud, row.id, context), known);
  }
  return finish(cloud, row, taskOf(phaseOf(row) === PHASE.asked, expected), inputs, context);
}

/** From what the row shows to an overlay that is in place, as far as it can be seen. */
async function finish(
  cloud: OpenStackContext,
  first: SnapshotRow,
  task: Task,
  inputs: AssistedSnapshotInputs,
  context: OperationContext,
) {
  const { id } = first;
  const record = recordIn(task, inputs);
  const isUnsent = task.sent === false && (phaseOf(first) === undefined || phaseOf(first) === PHASE.asking);
  if (isUnsent) {
    const whose = notOurs(first, { ...record, file: inputs.newFile }, "or nobody's");
    if (whose !== undefined) throw someoneElses(whose);
  } else mustBeOurs(first, task, inputs);
  let row = first;
  let asked = task.asked === true || phaseOf(first) === PHASE.asked;
  // A run was stopped before it asked Nova; or somebody has looked, and it had not got there.
  if (isUnsent || phaseOf(first) === PHASE.none || phaseOf(first) === PHASE.preparing) {
    const unsent = isUnsent ? [PHASE.preparing, PHASE.asking] : [PHASE.preparing];
    // What the row has is right; builds before 0.2 kept neither owner nor stack with the work, and wrote no stack.
    const full = { ...record, stack: record.stack || context.stack };
    const entries = { ...recordOf(full, inputs.newFile), ...recordEntries(first) };
    const answer = await askForOverlay(cloud, inputs, entries, context, unsent);
    context.accepted(taskAfter(answer, { ...full, owner: entries[ASSISTED.owner] ?? "" }));
    if (answer.failure !== undefined) throw answer.failure;
    ({ row, asked } = answer);
  }
  const step = phaseOf(row);
  if (step === PHASE.unseen) return observed(row, { ...inputs });
  if (step !== PHASE.made) {
    row = await untilSwitched(cloud, row, asked, inputs, context);
    const isSeen = isReported(row, "creating");
    row = await write(cloud, row, atRest(row, isSeen ? PHASE.made : PHASE.unseen));
    if (!isSeen) {
      const reason = unverifiedReason(row, "creating");
      context.warn(`the overlay of snapshot ${id} was asked for and could not be seen to be in place: ${reason}`);
      return observed(row, { ...inputs, unverifiedReason: reason });
    }
  }
  // Nobody else moves the row on, and Nova looks at it twice a second until somebody does (docs/wire/openstack.md#b4).
  if (inputs.manageStatus !== true) return observed(row, { ...inputs });
  if (!isOfKnownStatus(row)) throw notPutBack(row);
  if (row.status.toLowerCase() === "creating") row = await putBack(cloud, id, context);
  return observed(row, { ...inputs });
}

/** Cinder takes it once (docs/wire/openstack.md#a12): where the answer is lost or a refusal, the row tells. */
async function putBack(cloud: OpenStackContext, id: string, context: OperationContext): Promise<SnapshotRow> {
  let failure: unknown;
  try {
    await unlessHidden(cloud.cinder.updateSnapshotStatus(id, "available", FINISHED));
  } catch (error) {
    if (!isKind(error, "ambiguous", "refused")) throw error;
    failure = error;
  }
  const row = await present(cloud, id, context);
  if (!isOfKnownStatus(row)) throw notPutBack(row);
  if (failure !== undefined && row.status.toLowerCase() === "creating") throw failure;
  return row;
}

/** What the state keeps of it. */
function taskAfter({ asked, failure }: Asked, record: OwnershipRecord): Task {
  return { ...taskOf(asked, record), ...(failure === undefined ? {} : { sent: false }) };
}

/** The record that belongs to the work. */
function recordIn({ stack, owner, attempt }: Task, inputs: AssistedSnapshotInputs): OwnershipRecord {
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  const record = ownershipRecord(assistedSnapshot, text(stack), text(owner), undefined, { ...inputs });
  return { ...record, ...(typeof attempt === "string" ? { attempt } : {}) };
}

/** While an overlay is waited for, its record may be lost, and its snapshot may have got another one. */
function mustBeOurs(row: SnapshotRow, task: Task, inputs: AssistedSnapshotInputs): void {
  const { newFile } = inputs;
  const expected = { ...recordIn(task, inputs), file: newFile };
  if (phaseOf(row) === undefined) {
    throw new SnapcloneError({
      kind: "ambiguous",
      message: `whether the disk was switched to ${newFile} is not known: snapshot ${row.id} no longer bears the record of this resource`,
      hint: `Look at the server's disk (\`virsh domblklist\`), write the record anew (${howToRecord(row.id, expected, PHASE.made, PHASE.none)}: ${PHASE.made} if the disk is on ${newFile}, ${PHASE.none} if it is not), and run again.`,
    });
  }
  // Builds before 0.2 did not keep the owner with the work.
  const whose = notOurs(row, task.owner === undefined ? { file: newFile } : expected);
  if (whose !== undefined) throw someoneElses(whose);
}

function someoneElses(whose: string): SnapcloneError {
  return new SnapcloneError({
    kind: "ambiguous",
    message: `${whose}: what became of this resource's own is not known`,
    hint: "If it is gone, take the resource out of the state: `pulumi state delete <urn>`.",
  });
}

function recordEntries({ metadata }: SnapshotRow): Metadata {
  const keys = [ASSISTED.stack, ASSISTED.owner, ASSISTED.inputs, ASSISTED.attempt, ASSISTED.file];
  return Object.fromEntries(keys.flatMap((key) => (metadata[key] === undefined ? [] : [[key, metadata[key]]])));
}

/** What the record must say, from the state: what this provider has written last. */
function expectedOf(known: State, presentStack: string): Expected {
  const { __owner, __stack, newFile } = known;
  const stack = typeof __stack === "string" ? __stack : presentStack;
  const owner = typeof __owner === "string" ? __owner : "";
  const { inputs, ...record } = ownershipRecord(assistedSnapshot, stack, owner, undefined, known);
  return { ...record, inputs, file: String(newFile) };
}

function isRecorded(record: OwnershipRecord, row: SnapshotRow): boolean {
  const { owner, inputs } = recordOn(row);
  return owner === record.owner && inputs === record.inputs;
}

/** The row was there a moment ago: that something is not found is no proof that it is gone. */
function withoutProof(error: unknown): unknown {
  if (!isKind(error, "notFound") || error instanceof Vanished) return error;
  return new SnapcloneError({ ...error.parts, kind: "transient" });
}
