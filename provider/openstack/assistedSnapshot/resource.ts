// AssistedSnapshot: Nova switches the disk of a running server to an overlay file, and merges the overlay on deletion. Nova
// answers at once, checks little, and has no call to read what it did. So Cinder's row of the snapshot is checked before
// each request, carries the record, and shows the outcome if anything does (docs/wire/openstack.md#seen).

import type { Definition, Observed, OperationContext, OwnershipRecord, State, Task } from "../../core/definition";
import { isKind, SnapcloneError } from "../../core/errors";
import { ownershipRecord } from "../../core/ownership";
import type { SnapshotRow } from "../cinder";
import { withTransientNotFound } from "../cinderErrors";
import { type OpenStackContext, openstack } from "../context";
import { statusCommand } from "../wait";
import { lockVolume, unlockVolume } from "./claim";
import { completeOverlay, type OverlayRequest, requestOverlay, taskAfter } from "./create";
import { removeOverlay } from "./delete";
import { driverWarning, NOVA_LOG_HINT, overlayGone, withoutUnprovenAbsence } from "./errors";
import { type AssistedSnapshotInputs, inputRules, validate } from "./inputs";
import {
  type ExpectedRecord,
  finalPhase,
  hasOverlay,
  mismatchWithKeysLeft,
  ownedObject,
  ownershipMismatch,
  PHASE,
  phaseOf,
  RECORD_KEYS,
  recordMetadata,
  recordOn,
  taskOf,
  write,
} from "./ownership";
import { divergence, observed, parseId, waitUntilVisible } from "./state";

export const assistedSnapshot: Definition<AssistedSnapshotInputs, OpenStackContext> = {
  displayName: "assisted snapshot",
  connection: openstack,
  import: {
    refusal: "no API of OpenStack shows which file an overlay is in, so an AssistedSnapshot can't be imported",
  },
  inputs: inputRules,
  validate,
  // Cinder gives Nova 600 s for an overlay and 7200 s for a merge (cinder/volume/drivers/remotefs.py:1917–2080).
  timeouts: { create: "10m", update: "5m", delete: "2h" },
  // A snapshot takes one overlay, and Nova would merge a second one with the first.
  deleteBeforeReplace: true,
  onFailedCreate: "replace",
  divergence,

  describe: ({ id, volumeId, snapshotId }) =>
    typeof snapshotId === "string"
      ? `assisted snapshot ${snapshotId} of volume ${volumeId}`
      : `assisted snapshot ${String(id)}`,

  async listOwned(cloud, { stack }) {
    // The overlays of the stack, and those that early builds left `open`: they wrote no stack.
    const alternatives = [{ [RECORD_KEYS.stack]: stack }, { [RECORD_KEYS.legacyPhase]: "open" }];
    const rows = await cloud.snapshotsWith(alternatives, { all_tenants: true });
    return rows.filter(hasOverlay).map((row) => ({ ...ownedObject(row), state: observed(row, {}).state }));
  },

  async listRecorded(cloud) {
    const { snapshots } = await cloud.cinder.listSnapshotsDetail({ all_tenants: true });
    const overlays = snapshots.filter((row) => RECORD_KEYS.owner in row.metadata && hasOverlay(row));
    return overlays.map((row) => ({ ...ownedObject(row), state: observed(row, {}).state }));
  },

  deleteNeedsState:
    "a merge needs the program's files (fileToMerge, mergeTargetFile), which no record has, and a wrong merge flattens the disk of a running server. If an interrupted run left the overlay, declare the resource with the same inputs, let `pulumi up` adopt it, and take it out of the program then (docs/ownership.md#assistedsnapshot)",

  async recordOwnership(cloud, id, record, known) {
    const row = await withTransientNotFound(cloud.cinder.showSnapshot(parseId(id).snapshotId));
    // Another resource may have written its record since: that one must stay.
    const mismatch = isRecorded(record, row) ? undefined : ownershipMismatch(row, expectedRecord(known, record.stack));
    if (mismatch !== undefined) {
      throw new SnapcloneError({ kind: "refused", message: `${mismatch}: its record was not changed` });
    }
    const { [RECORD_KEYS.file]: _, ...entries } = recordMetadata(record, "");
    // Early builds adopt every overlay in phase `open`, so that an adopted one has to leave it.
    const isLegacy = row.metadata[RECORD_KEYS.legacyPhase] !== undefined;
    await write(cloud, row, { ...entries, ...(isLegacy ? { [RECORD_KEYS.legacyPhase]: "settled" } : {}) });
  },

  async beginCreate(cloud, inputs, record, context) {
    const { volumeId, snapshotId, newFile } = inputs;
    await lockVolume(cloud, volumeId, context);
    try {
      const request = await requestOverlay(cloud, inputs, recordMetadata(record, newFile), context);
      return { id: `${volumeId}/${snapshotId}`, task: taskAfter(request, record), initialState: request };
    } catch (error) {
      unlockVolume(context);
      throw error;
    }
  },

  async waitForCreate(cloud, { id, task, initialState }, inputs, context) {
    const { volumeId, snapshotId } = parseId(id);
    return withVolumeLock(cloud, volumeId, context, async () => {
      const request = initialState as OverlayRequest | undefined;
      if (request?.failure !== undefined) throw request.failure;
      const row = request?.row ?? (await waitUntilVisible(cloud, snapshotId, context));
      return completeAndWarn(cloud, row, task, inputs, context);
    });
  },

  async read(cloud, id, known, signal) {
    const row = await cloud.snapshot(parseId(id).snapshotId, signal);
    if (!row) return undefined;
    const hasRecord = known.__owner !== undefined && phaseOf(row) !== undefined;
    const mismatch = hasRecord ? mismatchWithKeysLeft(row, expectedRecord(known, "")) : undefined;
    return observed(row, { ...known, ...parseId(id) }, mismatch);
  },

  /**
   * A changed input only matters to the merge. There is work only if the row shows an unfinished operation, or if a user has
   * just found that the disk was not switched.
   */
  async update(cloud, id, from, inputs, known, context) {
    const { volumeId, snapshotId } = parseId(id);
    const diverged = divergence(from.state);
    if (diverged === undefined) return from;
    if (diverged.effect === "replace" && from.state.__step !== PHASE.none)
      throw overlayGone(snapshotId, inputs.newFile);
    return withVolumeLock(cloud, volumeId, context, async () =>
      finishOverlay(cloud, await waitUntilVisible(cloud, snapshotId, context), inputs, known, context),
    );
  },

  async delete(cloud, id, known, context) {
    const { volumeId, snapshotId } = parseId(id);
    return withVolumeLock(cloud, volumeId, context, async () => {
      const row = await cloud.snapshot(snapshotId, context.signal);
      if (!row) {
        context.warn(
          `Cinder has no snapshot ${snapshotId}, so nothing was merged. If the disk of the server is still on ${String(known.newFile)}, it stays there (\`virsh domblklist\` shows it)`,
        );
        return "missing";
      }
      await removeOverlay(cloud, row, expectedRecord(known, context.stack), { ...known, volumeId }, context);
      return "deleted";
    });
  },

  async diagnose(_cloud, id, { status }) {
    if (!/^error/i.test(String(status))) return undefined;
    const { snapshotId } = parseId(id);
    return `Cinder's record of snapshot ${snapshotId} is in status "${String(status)}". ${NOVA_LOG_HINT} An administrator can reset the status (${statusCommand("snapshot", snapshotId, "available")}).`;
  },

  identity: (cloud, _known, signal) => cloud.session.identity("blockStorage", signal),
  serverTime: (cloud) => cloud.session.serverTime("blockStorage"),

  /** An administrator sees the snapshots of other projects. A user who is no longer an administrator does not. */
  async doubtAbsence(cloud, { volumeId, __project: project }, signal) {
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

/** One operation of this run at a time changes the volume's files. A "not found" within does not prove an absence. */
async function withVolumeLock<T>(
  cloud: OpenStackContext,
  volumeId: string,
  context: OperationContext,
  work: () => Promise<T>,
): Promise<T> {
  await lockVolume(cloud, volumeId, context);
  try {
    return await work();
  } catch (error) {
    throw withoutUnprovenAbsence(error);
  } finally {
    unlockVolume(context);
  }
}

async function completeAndWarn(
  cloud: OpenStackContext,
  row: SnapshotRow,
  task: Task,
  inputs: AssistedSnapshotInputs,
  context: OperationContext,
): Promise<Observed> {
  const made = await completeOverlay(cloud, row, task, recordOfTask(task, inputs), inputs, context);
  context.warn(driverWarning(inputs.volumeId, `is on ${inputs.newFile} now`));
  return made;
}

/** Ends what an interrupted operation has begun and the state does not know of. */
async function finishOverlay(
  cloud: OpenStackContext,
  row: SnapshotRow,
  inputs: AssistedSnapshotInputs,
  known: State,
  context: OperationContext,
): Promise<Observed> {
  const expected = expectedRecord(known, context.stack);
  if (phaseOf(row) !== PHASE.mergePreparing || ownershipMismatch(row, expected) !== undefined) {
    return completeAndWarn(cloud, row, taskOf(phaseOf(row) === PHASE.asked, expected), inputs, context);
  }
  // A delete that had not asked Nova yet, and that the program no longer wants.
  const made = await write(cloud, row, finalPhase(row, PHASE.made));
  if (inputs.manageStatus !== true || row.status.toLowerCase() !== "deleting") return observed(made, known);
  await withTransientNotFound(cloud.cinder.resetSnapshotStatus(row.id, "available"));
  return observed(await waitUntilVisible(cloud, row.id, context), known);
}

// --- the record of this resource

/** From the state: what this provider has written last. */
function expectedRecord(known: State, currentStack: string): ExpectedRecord {
  const { __owner, __stack, newFile } = known;
  const stack = typeof __stack === "string" ? __stack : currentStack;
  const owner = typeof __owner === "string" ? __owner : "";
  return { ...ownershipRecord(assistedSnapshot, stack, owner, undefined, known), file: String(newFile) };
}

/** From accepted work, which keeps the owner of its record. */
function recordOfTask({ stack, owner, attempt }: Task, inputs: AssistedSnapshotInputs): OwnershipRecord {
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  const record = ownershipRecord(assistedSnapshot, text(stack), text(owner), undefined, { ...inputs });
  return { ...record, ...(typeof attempt === "string" ? { attempt } : {}) };
}

function isRecorded(record: OwnershipRecord, row: SnapshotRow): boolean {
  const { owner, inputs } = recordOn(row);
  return owner === record.owner && inputs === record.inputs;
}
