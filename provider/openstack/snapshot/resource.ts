// Snapshot: a point-in-time copy of a Cinder volume. It is `available` when `up` returns, its name and metadata change in
// place, and it is gone when `destroy` returns.

import type { Definition, HiddenOutputs } from "../../core/definition";
import type { SnapshotRow } from "../cinder";
import { type OpenStackContext, openstack } from "../context";
import {
  changeMetadata,
  hasChanges,
  keysToShow,
  type MetadataRequests,
  metadataChanges,
  metadataOf,
  namingChanges,
} from "../metadata";
import { RECORD_KEYS, recordMetadata } from "../record";
import { evidenceOf, observeNote } from "../revert/evidence";
import { revertVolume } from "../revert/revert";
import { reverting } from "../revert/reverting";
import { createPoller, deleteSnapshot, waitUntilMade } from "../snapshots";
import { diagnosis } from "./errors";
import { importer } from "./import";
import { inputRules, type SnapshotInputs } from "./inputs";
import { listOwned, listRecorded, recordOwnership } from "./ownership";
import { observed } from "./state";

export const snapshot: Definition<SnapshotInputs, OpenStackContext> = {
  displayName: "snapshot",
  expectedOutputs: { status: "available" },
  stableOutputs: ["sizeGiB", "createdAt", "projectId", "userId", "groupSnapshotId"],
  connection: openstack,
  inputs: inputRules,
  validate: reverting.validate,
  autoName: "name",
  // Cinder itself allows an assisted snapshot 600 s and its merge 7200 s (cinder/volume/drivers/remotefs.py:1917–2080).
  // One NFS backend deletes snapshots one after another (docs/wire/openstack.md#seen-times).
  // A revert copies all data where the storage has no revert of its own (docs/wire/openstack.md#revert).
  timeouts: { create: "30m", update: "1h", delete: "30m" },
  // A snapshot that got into `error` while being created holds no data.
  onFailedCreate: "replace",
  derivedOutputs: { __goneKeys: ["metadata"], ...reverting.derivedOutputs },

  describe: ({ name, id, volumeId }) =>
    typeof name === "string" ? `snapshot "${name}"` : `snapshot ${id ?? `of volume ${volumeId}`}`,

  announceUpdate: (id, olds, news) =>
    reverting.announceUpdate(olds, news, { target: `snapshot ${id}`, since: olds.createdAt }),

  import: importer,

  listOwned,
  listRecorded,
  recordOwnership,

  async beginCreate(cloud, { volumeId: volume_id, name, description, metadata = {}, force }, record) {
    const request = {
      volume_id,
      name,
      description,
      metadata: { ...metadata, ...recordMetadata(record, Object.keys(metadata)) },
      force,
    };
    const row = await cloud.cinder.createSnapshot(request);
    return { id: row.id, task: {}, initialState: row };
  },

  async waitForCreate(cloud, { id, task, initialState }, inputs, context) {
    const managed = Object.keys(inputs.metadata ?? {});
    // The task of an interrupted update: the update that follows does the rest.
    if (Array.isArray(task.unset) || reverting.isTask(task)) {
      const present = await cloud.cinder.showSnapshot(id);
      observeNote(cloud, present);
      return observed(present, managed);
    }
    const row = await waitUntilMade(cloud, id, initialState as SnapshotRow | undefined, RECORD_KEYS.stack, context);
    return observed(row, managed, {}, { ...reverting.create(inputs) });
  },

  async read(cloud, id, known, signal) {
    const { __stack: stack = "" } = known as HiddenOutputs;
    const row = await (stack === "" ? cloud.snapshot(id, signal) : readAmongOthers(cloud, stack, id, signal));
    if (row) observeNote(cloud, row);
    const isNew = known.status === undefined;
    return row && observed(row, keysToShow(known, row), known, { ...reverting.read(known, isNew) });
  },

  async update(cloud, id, from, inputs, known, context) {
    const { metadata: wanted = {} } = inputs;
    const rename = namingChanges(from.state, inputs);
    const changes = metadataChanges(from, known, wanted);
    // If anything fails, the state lists only the wanted keys. Record the others, so that the next run can still remove them.
    if (changes.unset.length > 0) context.accepted({ unset: changes.unset });
    const evidence = evidenceOf(cloud, id);
    const isWritten = Object.keys(rename).length > 0 || hasChanges(changes);
    if (isWritten && Object.keys(evidence).length > 0) await cloud.cinder.createSnapshotMetadata(id, evidence);
    if (Object.keys(rename).length > 0) await cloud.cinder.updateSnapshot(id, rename);
    await changeMetadata(metadataRequests(cloud, id), changes, context);
    if (changes.unset.length > 0) context.done();
    const request = { cloud, volumeId: inputs.volumeId, snapshotId: id };
    const { outputs: reverts, hasReverted } = await reverting.update(known, from, inputs, (one) =>
      revertVolume({ ...request, ...one }, context),
    );

    if (isWritten || hasReverted) {
      return observed(await cloud.cinder.showSnapshot(id), Object.keys(wanted), known, { ...reverts });
    }
    const kept = Object.entries(metadataOf(from.state)).filter(([one]) => Object.hasOwn(wanted, one));
    return { state: { ...from.state, metadata: Object.fromEntries(kept), ...reverts } };
  },

  delete: (cloud, id, _known, context) => deleteSnapshot(cloud, id, context),

  async diagnose(cloud, id, { status }) {
    return /^error/i.test(String(status)) ? diagnosis(cloud.cinder, id, String(status)) : undefined;
  },

  identity: (cloud, _known, signal) => cloud.session.identity("blockStorage", signal),
  serverTime: (cloud) => cloud.session.serverTime("blockStorage"),
};

/** One list answers a refresh of many, and a Ctrl-C that ends many creates: each of them is read and recorded. */
async function readAmongOthers(
  cloud: OpenStackContext,
  stack: string,
  id: string,
  signal: AbortSignal,
): Promise<SnapshotRow | undefined> {
  const poller = createPoller(cloud, RECORD_KEYS.stack, stack);
  const leave = poller.register();
  try {
    return await poller.fetch(id, signal);
  } finally {
    leave();
  }
}

/**
 * One merging request sets all keys; each removal takes a request of its own. Replacing the whole map would take a single
 * request, and remove what others have set (docs/wire/openstack.md#a7).
 */
function metadataRequests({ cinder }: OpenStackContext, id: string): MetadataRequests {
  return {
    what: `snapshot ${id}`,
    merge: (metadata) => cinder.createSnapshotMetadata(id, metadata),
    async remove(key) {
      if (!key.includes("/")) return cinder.deleteSnapshotMetadataKey(id, key);
      // Cinder can store a key with a slash and cannot address it: `%2F` ends in a 404 without a route (seen on Cinder 21.3).
      // Read the whole map and write it back without the key.
      const { [key]: removed, ...kept } = await cinder.showSnapshotMetadata(id);
      if (removed !== undefined) await cinder.replaceSnapshotMetadata(id, kept);
    },
  };
}
