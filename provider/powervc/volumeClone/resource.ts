// VolumeClone: copies of several volumes at one consistent instant, made by IBM PowerVC.

import * as z from "zod";
import { orUndefined } from "../../core/absence";
import type { Definition, HiddenOutputs } from "../../core/definition";
import { isKind, SnapcloneError } from "../../core/errors";
import { connectionName } from "../../core/inputs";
import { uuid } from "../../openstack/inputs";
import { type PowerVcContext, powervc } from "../context";
import { completeClones, requestClones, waitUntilMade } from "./create";
import { clearAfterDelete, clonesLeft, deletableClones, deleteClones, waitForFlow } from "./delete";
import { clonesGone, NEXT_UP_REPLACES, unusableReason } from "./errors";
import { importer, recordImported } from "./import";
import { changeOfVolumes, description, displayName, sourceVolumes, type VolumeCloneInputs } from "./inputs";
import {
  clearPendingCreate,
  clearPendingCreateOrWarn,
  OWNERSHIP_KEYS,
  ownedSets,
  pendingCreateOf,
  RECORD_LENGTHS,
  recordedSets,
  recordTags,
  writePendingCreate,
} from "./ownership";
import {
  type ClonedVolume,
  findMembers,
  membersBehind,
  observedOf,
  recordedClones,
  stringsIn,
  unfinishedCreate,
} from "./state";
import { reconcileClones } from "./update";
import { forEachSettled } from "./volumes";
import { refuseOtherBackend } from "./wait";

export const volumeClone: Definition<VolumeCloneInputs, PowerVcContext> = {
  displayName: "volume clone",
  connection: powervc,
  import: importer,
  stableOutputs: ["clones", "namePrefix", "taskId", "flow"],
  inputs: {
    volumes: {
      onChange: changeOfVolumes,
      // The order only numbers the clones.
      immutableKey: (volumes) => [...(volumes ?? [])].sort(),
      schema: sourceVolumes(),
    },
    displayName: { onChange: "update", schema: displayName().optional() },
    description: { onChange: "update", schema: description().optional() },
    targetVolumeTypeId: { onChange: "replace", schema: uuid("a volume type").optional() },
    triggers: { onChange: "replace", schema: z.array(z.unknown(), "must be a list").optional() },
    connection: { onChange: "replace", schema: connectionName().optional(), default: "default" },
  },
  // Group clones copy data, and PowerVC documents no limit. An hour is twice the default of Snapshot.
  timeouts: { create: "1h", update: "5m", delete: "30m" },
  // A set that PowerVC has reverted holds no consistent instant.
  onFailedCreate: "replace",
  recordLengths: RECORD_LENGTHS,
  derivedOutputs: {
    clones: ["volumes"],
    clonedVolumes: ["volumes", "displayName", "description"],
    missing: ["volumes"],
  },
  members: (known) => [...recordedClones(known).keys()],

  divergence(olds, news) {
    // A missing clone can't be made again alone: its instant has passed.
    const wanted = stringsIn(news.volumes);
    const isLacking = stringsIn(olds.missing).some((source) => wanted.includes(source));
    return isLacking ? { output: "missing", effect: "replace" } : undefined;
  },

  describe({ displayName, volumes, id }) {
    if (typeof displayName === "string") return `volume clone "${displayName}"`;
    const count = Array.isArray(volumes) ? volumes.length : 0;
    return `volume clone ${id ?? (count === 1 ? `of volume ${volumes}` : `of ${count} volumes`)}`;
  },

  async listOwned(cloud, scope) {
    // The list has no filter: filters compare whole keys, and the key of a pending create contains the set's id.
    return ownedSets(cloud, await cloud.listOnce(), scope);
  },

  async listRecorded(cloud) {
    return recordedSets(cloud, await cloud.listAll());
  },

  async recordOwnership(cloud, id, record, known) {
    cloud.records.set(id, record);
    if (known.__imported !== undefined) return recordImported(cloud, id, record, known);
    const pendingCreate = cloud.pendingCreates.get(id);
    if (pendingCreate) {
      const since = pendingCreate.since ?? cloud.now().toISOString();
      await writePendingCreate(cloud, { ...pendingCreate, since, record });
    }
    const { __owner, __stack } = known as HiddenOutputs;
    const isOld = cloud.openSets.has(id) || (__owner !== undefined && __stack === undefined);
    // Early builds adopt every set that is not `settled`.
    const tags = { ...recordTags(record), ...(isOld ? { [OWNERSHIP_KEYS.phase]: "settled" } : {}) };
    const clones = new Set([...recordedClones(known).keys(), ...(cloud.madeClones.get(id) ?? [])]);
    const items = [...clones].map((clone) => ({ row: { id: clone, name: null } }));
    await forEachSettled(items, ({ row }) => orUndefined(cloud.cinder.createVolumeMetadata(row.id, tags)));
  },

  beginCreate: (cloud, inputs, record) => requestClones(cloud, inputs, record),

  async waitForCreate(cloud, accepted, inputs, context) {
    await refuseOtherBackend(cloud, accepted);
    const { id, initialState } = accepted;
    const pendingCreate = await pendingCreateOf(cloud, accepted, inputs.volumes);
    const leave = cloud.registerShow();
    try {
      const made = await waitUntilMade(cloud, accepted, pendingCreate, inputs, context);
      const observed = await completeClones(cloud, accepted, pendingCreate, made, inputs, context);
      // `initialState` comes from this run's list, which has shown all pending creates. A set that comes from the state may
      // have one that this run has not seen.
      const mayBeWritten = cloud.pendingCreates.has(id) || (initialState === undefined && !cloud.requested.has(id));
      if (mayBeWritten) await clearPendingCreateOrWarn(cloud, id, pendingCreate.volumeId, context);
      return observed;
    } catch (error) {
      // The state records the failed set, so no later run has to find it by its pending create.
      if (isKind(error, "failed")) await clearPendingCreate(cloud, id, pendingCreate.volumeId).catch(() => {});
      throw error;
    } finally {
      leave();
    }
  },

  async read(cloud, id, known, signal) {
    const members = await findMembers(cloud, id, known, signal);
    if (members.length > 0) return observedOf(members, known);
    // While PowerVC's flow runs there may be no clone yet, so "no clone" does not mean "gone".
    if (unfinishedCreate(known)) return { state: {} };
    const left = await clonesLeft(cloud, id, known, signal);
    if (left?.length === 0) return undefined;
    // The set has failed, and what is left of it must go with the set.
    const { state } = observedOf(
      (left ?? []).map((row) => ({ row, source: undefined })),
      known,
    );
    return { state: { ...state, missing: stringsIn(known.volumes) } };
  },

  async update(cloud, id, from, inputs, known, context) {
    const members = membersBehind.get(from) ?? (await findMembers(cloud, id, { ...known, ...from.state }));
    const gone = inputs.volumes.filter((volume) => !members.some(({ source }) => source === volume));
    if (gone.length > 0) {
      throw new SnapcloneError({
        kind: "failed",
        message: `${clonesGone(gone, inputs.volumes.length)}. Nothing was changed`,
        hint: NEXT_UP_REPLACES,
      });
    }
    const named = await reconcileClones(cloud, members, inputs, context);
    return observedOf(named, { ...known, ...from.state, volumes: inputs.volumes });
  },

  async delete(cloud, id, known, context) {
    const named = await waitForFlow(cloud, id, known, context);
    const outcomes = await deleteClones(cloud, await deletableClones(cloud, id, known, named), context);
    await clearAfterDelete(cloud, id, known, context);
    return outcomes.includes("deleted") ? "deleted" : "missing";
  },

  async diagnose(cloud, _id, { clonedVolumes, missing }) {
    const rows = Array.isArray(clonedVolumes) ? (clonedVolumes as ClonedVolume[]) : [];
    const bad = rows.filter(({ status }) => /^error/i.test(status));
    const message = await Promise.all(bad.map((clone) => unusableReason(cloud, clone)));
    const gone = stringsIn(missing);
    const all = new Set([...gone, ...rows.flatMap(({ sourceId }) => sourceId ?? [])]);
    if (gone.length > 0) message.push(`${clonesGone(gone, all.size)}. ${NEXT_UP_REPLACES}`);
    return message.length === 0 ? undefined : message.join("; ");
  },

  identity: (cloud, _known, signal) => cloud.session.identity("blockStorage", signal),
  serverTime: (cloud) => cloud.session.serverTime("blockStorage"),
};
