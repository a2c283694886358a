// What is checked before Nova is asked: Nova itself checks little of it (docs/wire/openstack.md#b3, #b4).

import type { OperationContext } from "../../core/definition";
import { type Evaluation, poll } from "../../core/poll";
import type { SnapshotRow, VolumeRow } from "../cinder";
import { undefinedIfMissing } from "../cinderErrors";
import type { OpenStackContext } from "../context";
import { INTERVAL, statusCommand } from "../wait";
import { refuse } from "./errors";

/** What Cinder and Nova say about a volume and its snapshots. */
export interface VolumeFacts {
  volume: VolumeRow;
  /** The status of the volume's server; undefined if Nova does not tell. */
  serverStatus: string | undefined;
  row: SnapshotRow;
  /** The volume's other snapshots. */
  others: SnapshotRow[];
}

type FetchedFacts = { [Key in keyof VolumeFacts]: VolumeFacts[Key] | undefined };

export interface IdleWait {
  cloud: OpenStackContext;
  volumeId: string;
  snapshotId: string;
  /** Whether the volume's server has to run. */
  needsRunningServer: boolean;
  /** Whether Nova may be asked. */
  evaluate(facts: VolumeFacts): Evaluation;
  context: OperationContext;
}

/** For other operations on the volume: most of Cinder's own end in seconds, some in hours. */
export const IDLE_TIMEOUT_MS = 120_000;

const NOT_FOUND_HINT =
  "It was deleted, or the connection's project or region is not the right one. Nothing was asked of Nova.";

function stuckHint({ snapshotId, volumeId }: IdleWait): string {
  return (
    "Nothing was asked of Nova. Run again when that has ended. If it never ends, an administrator has to look at the backend and then reset the status " +
    `(${statusCommand("snapshot", snapshotId, "available")}, ${statusCommand("volume", volumeId, "in-use")}).`
  );
}

/** Polls until `evaluate` is done, for two minutes at most. Returns the snapshot's row as `evaluate` saw it last. */
export async function waitForIdleVolume(wait: IdleWait): Promise<SnapshotRow> {
  const { volumeId, snapshotId, evaluate, context } = wait;
  const { row } = await poll<FetchedFacts>({
    description: `volume ${volumeId} to be free of other operations`,
    fetch: (signal) => fetchFacts(wait, signal),
    evaluate: ({ volume, serverStatus, row, others = [] }) => {
      if (!row) return refuse(`Cinder has no snapshot ${snapshotId}`, NOT_FOUND_HINT);
      if (!volume) return refuse(`Cinder has no volume ${volumeId}`, NOT_FOUND_HINT);
      return evaluate({ volume, serverStatus, row, others });
    },
    interval: INTERVAL,
    giveUpAfterMs: IDLE_TIMEOUT_MS,
    stuckHint: () => stuckHint(wait),
    context,
  });
  return row as SnapshotRow;
}

async function fetchFacts(
  { cloud, volumeId, snapshotId, needsRunningServer }: IdleWait,
  signal: AbortSignal,
): Promise<FetchedFacts> {
  const volumeAndServer = async () => {
    const volume = await undefinedIfMissing(cloud.cinder.showVolume(volumeId, signal), "volume");
    const serverId = needsRunningServer ? volume?.attachments[0]?.server_id : undefined;
    return { volume, serverStatus: serverId ? await cloud.nova.serverStatus(serverId, signal) : undefined };
  };
  const [{ volume, serverStatus }, row, { snapshots }] = await Promise.all([
    volumeAndServer(),
    cloud.snapshot(snapshotId, signal),
    cloud.cinder.listSnapshotsDetail({ volume_id: volumeId, all_tenants: true }, signal),
  ]);
  return { volume, serverStatus, row, others: othersOf(snapshots, volumeId, snapshotId) };
}

/** Cinder may ignore the filter, so that the volume is compared here too. */
export function othersOf(snapshots: readonly SnapshotRow[], volumeId: string, snapshotId: string): SnapshotRow[] {
  return snapshots.filter(({ id, volume_id }) => id !== snapshotId && volume_id === volumeId);
}

/** Why Nova must not be asked for an overlay or a merge. */
export function volumeProblem({ volume, row }: VolumeFacts): string | undefined {
  if (row.volume_id !== volume.id) return `snapshot ${row.id} is of volume ${row.volume_id}, not of ${volume.id}`;
  if (volume.multiattach || new Set(volume.attachments.map(({ server_id }) => server_id)).size > 1)
    return `volume ${volume.id} may be attached to several servers`;
  if (volume.attachments.length === 0 || !ATTACHED.test(volume.status)) {
    return `volume ${volume.id} is attached to no server (status "${volume.status}"), and only a running server's disk can be switched or merged`;
  }
  return undefined;
}

/** Cinder gives the last ones to an attached volume that it works on, and takes them back at the end (cinder/volume/api.py). */
const ATTACHED = /^(in-use|backing-up|extending|maintenance|retyping|uploading)$/i;

/**
 * What has to end before Nova is asked: a server's live move, during which its volume is attached on both hosts
 * (nova/compute/manager.py, pre_live_migration), and another operation of Cinder's on the attached volume, such as a backup.
 */
export function otherWork({ volume: { id, status, attachments } }: VolumeFacts): Evaluation | undefined {
  if (attachments.length > 1)
    return { is: "pending", progress: `waiting: server ${attachments[0]?.server_id} is being moved to another host` };
  return status.toLowerCase() === "in-use"
    ? undefined
    : { is: "pending", progress: `waiting: volume ${id} is ${status}` };
}

/**
 * In these states no hypervisor process runs: Nova accepts a request for an overlay and does nothing
 * (docs/wire/openstack.md#b3, #b4).
 */
const NOT_RUNNING = /^(SHUTOFF|SUSPENDED|SHELVED|SHELVED_OFFLOADED|BUILD|DELETED|SOFT_DELETED)$/i;

/** Why there is no running server. A server that Nova does not show may run. */
export function serverProblem({ volume, serverStatus }: VolumeFacts): string | undefined {
  if (serverStatus === undefined || !NOT_RUNNING.test(serverStatus)) return undefined;
  return `server ${volume.attachments[0]?.server_id}, which volume ${volume.id} is attached to, is ${serverStatus}: Nova would accept the request and do nothing`;
}
