// Clones as what they are to Cinder: volumes that become available, and that go when nothing holds them.

import type { Job } from "../core/definition";
import { SnapcloneError } from "../core/errors";
import { waitFor } from "../core/wait";
import type { VolumeRow } from "../openstack/cinder";
import { type Deletion, deleteUntilGone, PACE } from "../openstack/deletion";
import type { PowerVc } from "./cloud";

/** Each clone usable. PowerVC's flow has ended by then, so there is hardly ever anything to wait for. */
export async function untilUsable(cloud: PowerVc, ids: readonly string[], job: Job): Promise<VolumeRow[]> {
  const rows = await waitFor<readonly (VolumeRow | undefined)[]>({
    what: `${ids.length === 1 ? "the clone" : "the clones"} ${ids.join(", ")} to become available`,
    look: (signal) => Promise.all(ids.map((id) => cloud.volume(id, signal))),
    judge: async (seen) => {
      for (const [index, row] of seen.entries()) {
        const error = await uselessness(cloud, ids[index] ?? "", row);
        if (error) return { is: "failed", error };
      }
      const waiting = seen.filter((row) => row && !/^(available|in-use)$/i.test(row.status));
      const progress = waiting.length === 0 ? `${seen.length} available` : `${waiting[0]?.status} ${waiting[0]?.id}`;
      return { is: waiting.length === 0 ? "done" : "pending", progress };
    },
    pace: PACE,
    job,
  });
  return rows.filter((row) => row !== undefined);
}

async function uselessness(
  cloud: PowerVc,
  id: string,
  row: VolumeRow | undefined,
): Promise<SnapcloneError | undefined> {
  if (!row)
    return new SnapcloneError({
      kind: "failed",
      said: `the clone ${id}, which PowerVC says it has made, is not there`,
    });
  if (!/^error|delet/i.test(row.status)) return undefined;
  const why = await cloud.cinder.whyError(id);
  const said = `the clone ${id} is in status "${row.status}"${why ? `: ${why}` : ", and Cinder left no message why"}`;
  return new SnapcloneError({ kind: "failed", said, remedy: "Look at the storage backend of the volume." });
}

/** Throws if a VM has one of them, before anything is deleted: half a set would be neither there nor gone. */
export function refuseAttached(rows: readonly VolumeRow[]): void {
  const held = rows.flatMap(({ id, name, attachments }) =>
    attachments.map(({ server_id, device }) => {
      const where = [server_id ? `the VM ${server_id}` : "a VM", device ? `as ${device}` : ""]
        .filter(Boolean)
        .join(" ");
      return `${name ? `"${name}" (${id})` : id} is attached to ${where}`;
    }),
  );
  if (held.length === 0) return;
  throw new SnapcloneError({
    kind: "refused",
    said: `${held.join("; ")}. Nothing was deleted`,
    remedy: "Detach it (`openstack server remove volume <VM> <volume>`), then run again.",
  });
}

/** All of them, at the same time. What fails does not keep the others. */
export async function removeAll(cloud: PowerVc, rows: readonly VolumeRow[], job: Job): Promise<void> {
  let gone = 0;
  const quiet: Job = { ...plainJob(job), progress: () => {} };
  const outcomes = await Promise.allSettled(
    rows.map(async (row) => {
      await removeOne(cloud, row.id, quiet);
      gone += 1;
      job.progress(`${gone} of ${rows.length} clones deleted`);
    }),
  );
  const failures = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason as unknown] : []));
  const [first] = failures;
  if (failures.length === 0) return;
  if (failures.length === 1 || !(first instanceof SnapcloneError)) throw first;
  const said = failures.map((error) => (error instanceof SnapcloneError ? error.parts.said : String(error)));
  throw new SnapcloneError({ ...first.parts, said: said.join("; ") });
}

function plainJob(job: Job): Job {
  const { clock, deadline, signal } = job;
  return {
    clock,
    deadline,
    signal,
    progress: (text) => job.progress(text),
    warn: (text) => job.warn(text),
    accepted: (task) => job.accepted(task),
    done: () => job.done(),
  };
}

/** DELETE is refused while the volume is busy, in a group, attached or has snapshots, all in one text (§A13). */
function removeOne(cloud: PowerVc, id: string, job: Job): Promise<void> {
  const deletion: Deletion = {
    noun: "volume",
    id,
    cinder: cloud.cinder,
    ask: () => cloud.cinder.deleteVolume(id),
    looks: cloud.deleting,
    experience: cloud.experience.deleting,
    whenTakenBack: "Something still uses it: its copies or snapshots on the storage may have to end first.",
    whenFailed:
      "An administrator has to look at the backend and then reset the status (`openstack volume set --state error`).",
  };
  return deleteUntilGone(deletion, job);
}
