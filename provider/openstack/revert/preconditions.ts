// What must hold before Cinder is asked for a revert. Cinder checks the same, but its texts name neither who holds the volume
// nor which snapshot is newer, and one of its refusals leaves the volume in `reverting` (docs/wire/openstack.md#revert).

import { type SnapshotRow, utc, type VolumeRow } from "../cinder";
import { withTransientNotFound } from "../cinderErrors";
import type { OpenStackContext } from "../context";
import { attached, notAvailable, notNewest, otherSize, snapshotNotAvailable, tooOld } from "./errors";

/** Throws, with nothing sent that changes anything, if Cinder would not revert the volume to this snapshot. */
export async function assertRevertible(
  cloud: OpenStackContext,
  volume: VolumeRow,
  snapshot: SnapshotRow,
  signal: AbortSignal,
): Promise<void> {
  if (!(await cloud.cinder.atLeast("3.40", signal))) throw tooOld(await cloud.cinder.microversion(signal));
  if (volume.attachments.length > 0 || /^in-use$/i.test(volume.status)) throw attached(volume);
  if (!/^available$/i.test(volume.status)) throw notAvailable(volume);
  if (!/^available$/i.test(snapshot.status)) throw snapshotNotAvailable(snapshot);
  if (volume.size !== snapshot.size) throw otherSize(volume, snapshot);
  const newer = (await snapshotsOf(cloud, volume.id, signal)).filter((row) => timeOf(row) > timeOf(snapshot));
  if (newer.length > 0) throw notNewest(snapshot, newer);
}

/** Cinder's own snapshot of the data from before a revert, which stays if the revert fails (docs/wire/openstack.md#revert). */
export async function findBackup(cloud: OpenStackContext, volumeId: string): Promise<SnapshotRow | undefined> {
  const rows = await snapshotsOf(cloud, volumeId).catch(() => []);
  return rows.find(({ name }) => name === `[revert] volume ${volumeId} backup snapshot`);
}

/** Everyone's snapshots of the volume, as far as this login sees them. */
async function snapshotsOf(cloud: OpenStackContext, volume_id: string, signal?: AbortSignal): Promise<SnapshotRow[]> {
  const list = cloud.cinder.listSnapshotsDetail({ volume_id }, signal);
  // A cloud below 3.31 may ignore the filter.
  return (await withTransientNotFound(list)).snapshots.filter((row) => row.volume_id === volume_id);
}

/** Cinder decides by this column, too (cinder/db/sqlalchemy/api.py, snapshot_get_latest_for_volume). */
function timeOf({ created_at }: SnapshotRow): number {
  const time = Date.parse(utc(created_at) ?? "");
  return Number.isNaN(time) ? 0 : time;
}
