// VolumeFromSnapshot: a volume that Cinder makes from a snapshot. It is `available` when `up` returns; its name, description
// and metadata change in place, and it grows in place. It is gone when `destroy` returns.

import { AbsenceTimer } from "../../core/absence";
import type { Definition, Observed } from "../../core/definition";
import { isKind } from "../../core/errors";
import type { Evaluation } from "../../core/poll";
import type { VolumeRow } from "../cinder";
import { type OpenStackContext, openstack } from "../context";
import { type Deletion, deleteUntilGone } from "../deletion";
import {
  changeMetadata,
  hasChanges,
  keysToShow,
  type MetadataRequests,
  metadataChanges,
  metadataOf,
  namingChanges,
} from "../metadata";
import { recordMetadata } from "../record";
import { isMade } from "../volumes";
import { setToError, waitForObject } from "../wait";
import {
  attached,
  cannotShrink,
  creationFailed,
  diagnosis,
  inAnotherZone,
  removedByOthers,
  smallerThanSnapshot,
  vanished,
} from "./errors";
import { grow, waitForGrowth } from "./grow";
import { importer } from "./import";
import { inputRules, type VolumeFromSnapshotInputs, validate } from "./inputs";
import { listOwned, listRecorded, recordOwnership } from "./ownership";
import { observed } from "./state";

export const volumeFromSnapshot: Definition<VolumeFromSnapshotInputs, OpenStackContext> = {
  displayName: "volume from a snapshot",
  connection: openstack,
  stableOutputs: ["createdAt", "bootable"],
  derivedOutputs: { __goneKeys: ["metadata"] },
  import: importer,
  inputs: inputRules,
  validate,
  autoName: "name",
  // A backend without copy-on-write copies all data, and one that wipes deletes as slowly (docs/wire/openstack.md#volume-from-snapshot).
  timeouts: { create: "1h", update: "30m", delete: "1h" },
  // A volume that got into `error` while being created holds no data.
  onFailedCreate: "replace",

  describe: ({ name, id, snapshotId }) =>
    typeof name === "string" ? `volume "${name}"` : `volume ${id ?? `from snapshot ${snapshotId}`}`,

  listOwned,
  listRecorded,
  recordOwnership,

  async beginCreate(cloud, inputs, record, context) {
    const { snapshotId, name, description, sizeGiB, volumeType, availabilityZone, metadata = {} } = inputs;
    if (sizeGiB !== undefined) {
      const snapshot = await cloud.cinder.showSnapshot(snapshotId, context.signal);
      if (sizeGiB < snapshot.size) throw smallerThanSnapshot(snapshot, sizeGiB);
    }
    const request = {
      snapshot_id: snapshotId,
      name,
      description,
      size: sizeGiB,
      volume_type: volumeType,
      availability_zone: availabilityZone,
      metadata: { ...metadata, ...recordMetadata(record, Object.keys(metadata)) },
    };
    const row = await cloud.cinder.createVolume(request);
    return { id: row.id, task: {}, initialState: row };
  },

  async waitForCreate(cloud, { id, task, initialState }, { metadata = {}, availabilityZone, sizeGiB = 0 }, context) {
    const managed = Object.keys(metadata);
    // The tasks of an interrupted update. The next update does the rest.
    if (Array.isArray(task.unset)) return observed(await cloud.cinder.showVolume(id), managed);
    if (typeof task.extend === "number") {
      // A growth that the program has given up must not hold up anything else, or fail it.
      const isWanted = sizeGiB >= task.extend;
      const row = isWanted ? await waitForGrowth(cloud, id, task.extend, context) : await cloud.cinder.showVolume(id);
      return observed(row, managed);
    }
    const absence = new AbsenceTimer(context.clock);
    const row = (await waitForObject(cloud.volumes.poller("creating"), id, {
      description: `volume ${id} to become available`,
      initial: initialState as VolumeRow | undefined,
      evaluate: (seen) => evaluateCreation(cloud, id, seen, absence),
      estimator: cloud.volumes.estimators.creating,
      stuckHint: () => setToError("volume", id),
      context,
    })) as VolumeRow;
    if (availabilityZone !== undefined && row.availability_zone && row.availability_zone !== availabilityZone)
      throw inAnotherZone(row, availabilityZone);
    return observed(row, managed);
  },

  async read(cloud, id, known, signal) {
    const row = await cloud.volumes.find(id, signal);
    return row && observed(row, keysToShow(known, row), known);
  },

  async update(cloud, id, from, inputs, known, context) {
    const { sizeGiB, metadata: wanted = {} } = inputs;
    const present = Number(from.state.sizeGiB);
    if (sizeGiB !== undefined && sizeGiB < present) throw cannotShrink(id, present, sizeGiB);
    const changes = metadataChanges(from, known, wanted);
    // If anything fails, the state lists only the wanted keys. Record the others, so that the next run can still remove them.
    if (changes.unset.length > 0) context.accepted({ unset: changes.unset });
    const isRenamed = await rename(cloud, id, from, inputs);
    await changeMetadata(metadataRequests(cloud, id), changes, context);
    if (changes.unset.length > 0) context.done();
    const hasGrown = sizeGiB !== undefined && (await grow(cloud, id, from, sizeGiB, context));
    const isExtending = /^extending$/i.test(String(from.state.status));
    if (isRenamed || hasChanges(changes) || hasGrown || isExtending)
      return observed(await cloud.cinder.showVolume(id), Object.keys(wanted), known);
    const kept = Object.entries(metadataOf(from.state)).filter(([key]) => Object.hasOwn(wanted, key));
    return { state: { ...from.state, metadata: Object.fromEntries(kept) } };
  },

  async delete(cloud, id, _known, context) {
    const deletion: Deletion = {
      noun: "volume",
      id,
      cinder: cloud.cinder,
      send: () => cloud.cinder.deleteVolume(id),
      poller: cloud.volumes.poller("deleting", { resolveWhenMissing: true }),
      estimator: cloud.volumes.estimators.deleting,
      revertedHint: "Something still uses the volume on its backend. Look for clones of it and for exports to a host.",
    };
    try {
      return await deleteUntilGone(deletion, context);
    } catch (error) {
      if (!isKind(error, "refused") || error.parts.status !== 400) throw error;
      // Cinder has one text for all reasons; the volume itself says who holds it.
      const row = await cloud.volumes.find(id, context.signal).catch(() => undefined);
      throw row && row.attachments.length > 0 ? attached(row) : error;
    }
  },

  async diagnose(cloud, id, { status }) {
    return /^error/i.test(String(status)) ? diagnosis(cloud.cinder, id, String(status)) : undefined;
  },

  identity: (cloud, _known, signal) => cloud.session.identity("blockStorage", signal),
  serverTime: (cloud) => cloud.session.serverTime("blockStorage"),
};

/** Statuses and their order: docs/wire/openstack.md#volume-from-snapshot. Compared without regard to case, as openstacksdk does. */
async function evaluateCreation(
  cloud: OpenStackContext,
  id: string,
  row: VolumeRow | undefined,
  absence: AbsenceTimer,
): Promise<Evaluation> {
  const isGone = absence.isProven(row !== undefined);
  if (!row && !isGone) return { is: "pending", progress: "Cinder does not show it yet" };
  if (!row) return { is: "failed", error: vanished(id) };
  const status = row.status.toLowerCase();
  if (isMade(row)) return { is: "done", progress: row.status };
  if (status === "error") return { is: "failed", error: await creationFailed(cloud.cinder, row) };
  if (/delet|unmanag/.test(status)) return { is: "failed", error: removedByOthers(row) };
  return { is: "pending", progress: row.status };
}

async function rename(
  cloud: OpenStackContext,
  id: string,
  { state }: Observed,
  inputs: VolumeFromSnapshotInputs,
): Promise<boolean> {
  const changes = namingChanges(state, inputs);
  if (Object.keys(changes).length === 0) return false;
  await cloud.cinder.updateVolume(id, changes);
  return true;
}

function metadataRequests({ cinder }: OpenStackContext, id: string): MetadataRequests {
  return {
    what: `volume ${id}`,
    merge: (metadata) => cinder.createVolumeMetadata(id, metadata),
    remove: (key) => cinder.deleteVolumeMetadataKey(id, key),
  };
}
