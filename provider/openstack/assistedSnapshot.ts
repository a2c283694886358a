// AssistedSnapshot: Nova switches a running guest's disk to an overlay file, and merges it back on deletion. The API
// answers at once, checks little and shows nothing, so all that is known comes from Cinder's record of the snapshot:
// it is checked before each request, and is where the outcome shows, if it shows (reference openstack-seen.md).

import { z } from "zod";
import type { Definition } from "../core/definition";
import { connectionName } from "../core/inputs";
import { isReported, leaveTurn, notPutBack, takeTurn, whyUnseen } from "./assistedChecks";
import { askForOverlay, untilSwitched } from "./assistedCreate";
import { type AssistedSnapshotInputs, correction, fileName, nullableFileName } from "./assistedInputs";
import { removeOverlay } from "./assistedMerge";
import {
  FINISHED,
  isOccupied,
  isOfKnownStatus,
  LOOK,
  mark,
  marks,
  observed,
  openObject,
  partsOf,
  present,
  STEP,
  stepOf,
} from "./assistedRow";
import { ASSISTED, type Cloud, openstack } from "./cloud";
import { uuid } from "./inputs";

export const assistedSnapshot: Definition<AssistedSnapshotInputs, Cloud> = {
  noun: "assisted snapshot",
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
    manageStatus: { onChange: "update", schema: z.boolean("must be true or false").optional() },
    connection: { onChange: "replace", schema: connectionName().optional() },
  },
  contradictions({ fileToMerge, mergeTargetFile }, unsure) {
    if (mergeTargetFile === undefined || unsure.has("fileToMerge")) return [];
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
  afterFailedCreate: "replace",

  describe: ({ id, volumeId, snapshotId }) =>
    typeof snapshotId === "string"
      ? `assisted snapshot ${snapshotId} of volume ${volumeId}`
      : `assisted snapshot ${String(id)}`,

  async listOpen(cloud) {
    const filter = { metadata: { [ASSISTED.phase]: "open" }, all_tenants: true };
    const { snapshots } = await cloud.cinder.listSnapshotsDetail(filter);
    return snapshots.filter((row) => isOccupied(row)).map(openObject);
  },

  async claim(cloud, id, run) {
    await cloud.cinder.updateSnapshotMetadataKey(partsOf(id).snapshotId, ASSISTED.adopted, run);
  },

  async settle(cloud, id) {
    await cloud.cinder.updateSnapshotMetadataKey(partsOf(id).snapshotId, ASSISTED.phase, "settled");
  },

  async start(cloud, inputs, marker, job) {
    const { volumeId, snapshotId } = inputs;
    await takeTurn(cloud, volumeId, job);
    try {
      await askForOverlay(cloud, inputs, marks(marker), job);
      return { id: `${volumeId}/${snapshotId}`, task: { asked: true } };
    } catch (error) {
      leaveTurn(cloud, job);
      throw error;
    }
  },

  async finish(cloud, { id, task }, inputs, job) {
    const { volumeId, snapshotId } = partsOf(id);
    await takeTurn(cloud, volumeId, job);
    try {
      let first = await present(cloud, snapshotId, job.signal);
      // Somebody has looked: the run that was stopped on its way to Nova had not got there.
      const anew = stepOf(first) === STEP.none;
      if (anew) {
        await askForOverlay(cloud, inputs, {}, job);
        first = await present(cloud, snapshotId, job.signal);
      }
      const step = stepOf(first);
      if (step === STEP.unseen) return observed(first, {});
      if (step !== STEP.made) {
        const asked = anew || task.asked === true || step === STEP.asked;
        const row = await untilSwitched(cloud, first, asked, inputs, job);
        const seen = isReported(row, "creating");
        await mark(cloud, snapshotId, { [ASSISTED.step]: seen ? STEP.made : STEP.unseen });
        if (!seen) {
          const reason = whyUnseen(row, "creating");
          job.warn(
            `the overlay of snapshot ${snapshotId} was asked for and could not be seen to be in place: ${reason}`,
          );
          return observed(await present(cloud, snapshotId, job.signal), { unverifiedReason: reason });
        }
      }
      // Nobody else moves the row on, and Nova looks at it twice a second until somebody does (§B4).
      const row = await present(cloud, snapshotId, job.signal);
      if (inputs.manageStatus !== true) return observed(row, {});
      if (!isOfKnownStatus(row)) throw notPutBack(row);
      if (row.status.toLowerCase() !== "creating") return observed(row, {});
      await cloud.cinder.updateSnapshotStatus(snapshotId, "available", FINISHED);
      return observed(await present(cloud, snapshotId, job.signal), {});
    } finally {
      leaveTurn(cloud, job);
    }
  },

  async observe(cloud, id, known, signal) {
    const row = await cloud.snapshot(partsOf(id).snapshotId, signal);
    return row && observed(row, known);
  },

  // What may change is told to Nova at the end, and not before.
  change: async (_cloud, _id, from) => from,

  async remove(cloud, id, known, job) {
    const { volumeId, snapshotId } = partsOf(id);
    await takeTurn(cloud, volumeId, job);
    try {
      const row = await cloud.snapshot(snapshotId, job.signal);
      if (!row) {
        job.warn(
          `Cinder's snapshot ${snapshotId} is gone, so nothing was merged: if the disk of the server still is on ${String(known.newFile)}, it stays there (\`virsh domblklist\` shows it)`,
        );
        return;
      }
      await removeOverlay(cloud, row, { ...known, newFile: row.metadata[ASSISTED.file] ?? known.newFile }, job);
    } finally {
      leaveTurn(cloud, job);
    }
  },

  async problem(_cloud, id, { status }) {
    if (!/^error/i.test(String(status))) return undefined;
    return `Cinder's record of snapshot ${partsOf(id).snapshotId} is in status "${String(status)}". ${LOOK} An administrator can reset the status (\`openstack volume snapshot set --state available\`).`;
  },
};
