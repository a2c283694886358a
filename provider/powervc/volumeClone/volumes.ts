// Clones as what they are to Cinder: volumes that become available, and that go when nothing holds them.

import type { AbsenceTimer } from "../../core/absence";
import type { OperationContext } from "../../core/definition";
import { isKind, SnapcloneError } from "../../core/errors";
import { poll } from "../../core/poll";
import type { VolumeRow } from "../../openstack/cinder";
import { type Deletion, deleteUntilGone, INTERVAL } from "../../openstack/deletion";
import type { PowerVcContext } from "../context";

/** Source volume and clone. */
export interface Pair {
  source: string;
  clone: string;
}

/** Each clone usable. PowerVC's flow has ended by then, so there is hardly ever anything to wait for. */
export async function waitUntilAvailable(
  cloud: PowerVcContext,
  pairs: readonly Pair[],
  absence: AbsenceTimer,
  first: readonly VolumeRow[] | undefined,
  context: OperationContext,
): Promise<readonly VolumeRow[]> {
  const ids = pairs.map(({ clone }) => clone);
  return poll<readonly VolumeRow[]>({
    description: `${ids.length === 1 ? "the clone" : "the clones"} ${ids.join(", ")} to become available`,
    fetch: (signal) => cloud.volumes(ids, undefined, signal),
    evaluate: async (rows) => {
      const missing = pairs.filter(({ clone }) => !rows.some(({ id }) => id === clone));
      if (absence.isProven(missing.length === 0)) return { is: "failed", error: vanished(missing, pairs) };
      const bad = rows.filter(({ status }) => /^error|^delet/i.test(status));
      if (bad.length > 0) return { is: "failed", error: await unusable(cloud, bad) };
      if (missing.length > 0) return { is: "pending", progress: `${missing.length} of ${ids.length} not to be seen` };
      const waiting = rows.filter(({ status }) => !/^(available|in-use)$/i.test(status));
      const progress = waiting.length === 0 ? `${rows.length} available` : `${waiting[0]?.status} ${waiting[0]?.id}`;
      return { is: waiting.length === 0 ? "done" : "pending", progress };
    },
    ...(first ? { initial: first } : {}),
    interval: INTERVAL,
    context: context,
  });
}

/** Cinder has said for half a minute that it does not know them. */
function vanished(missing: readonly Pair[], all: readonly Pair[]): SnapcloneError {
  const which = missing.map(({ source, clone }) => `${clone} of volume ${source}`).join(", ");
  const message = `${missing.length} of ${all.length} clones vanished while the set was made: ${which}`;
  return new SnapcloneError({
    kind: "failed",
    message,
    hint: "The rest is no whole instant. Find out who deletes volumes in this project, then run again.",
  });
}

async function unusable(cloud: PowerVcContext, rows: readonly VolumeRow[]): Promise<SnapcloneError> {
  const why = await Promise.all(rows.map(({ id }) => cloud.cinder.whyError(id)));
  const message = rows.map(({ id, status }, at) => {
    return `the clone ${id} is in status "${status}"${why[at] ? `: ${why[at]}` : ", and Cinder left no message why"}`;
  });
  return new SnapcloneError({
    kind: "failed",
    message: message.join("; "),
    hint: "Look at the storage backend of the volume.",
  });
}

/** Throws if a VM has one of them, before anything is deleted: half a set would be neither there nor gone. */
export function refuseAttached(rows: readonly Partial<VolumeRow>[]): void {
  const held = rows.flatMap((row) =>
    (row.attachments ?? []).map(({ server_id, device }) => {
      const where = [server_id ? `the VM ${server_id}` : "a VM", device ? `as ${device}` : ""]
        .filter(Boolean)
        .join(" ");
      return `${nameOf(row)} is attached to ${where}`;
    }),
  );
  if (held.length === 0) return;
  throw new SnapcloneError({
    kind: "refused",
    message: `${held.join("; ")}. Nothing was deleted`,
    hint: "Detach it (`openstack server remove volume <VM> <volume>`), then run again.",
  });
}

function nameOf({ id, name }: Partial<VolumeRow>): string {
  return name ? `"${name}" (${id})` : `${id}`;
}

/** All of them, at the same time. What fails does not keep the others, and each failure is told. */
export async function removeAll(
  cloud: PowerVcContext,
  rows: readonly Pick<VolumeRow, "id" | "name">[],
  context: OperationContext,
): Promise<readonly ("deleted" | "missing")[]> {
  let gone = 0;
  const quiet: OperationContext = {
    clock: context.clock,
    deadline: context.deadline,
    signal: context.signal,
    stack: context.stack,
    progress: () => {},
    warn: (text) => context.warn(text),
    accepted: (task) => context.accepted(task),
    done: () => context.done(),
  };
  const items = rows.map((row) => ({ row }));
  return forEachSettled(items, async ({ row }) => {
    const outcome = await removeOne(cloud, row.id, quiet);
    gone += 1;
    context.progress(`${gone} of ${rows.length} clones deleted`);
    return outcome;
  });
}

/** Does it to each, and lets each come to its end before the failures are thrown, all in one. */
export async function forEachSettled<Item extends { row: Pick<VolumeRow, "id" | "name"> }, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const outcomes = await Promise.allSettled(items.map(work));
  const failures = outcomes.flatMap((outcome, at) => {
    const row = items[at]?.row;
    return outcome.status === "rejected" && row ? [{ row, error: outcome.reason as unknown }] : [];
  });
  const errors = failures.flatMap(({ row, error }) => (error instanceof SnapcloneError ? [{ row, error }] : []));
  if (errors.length < failures.length) throw failures.find(({ error }) => !(error instanceof SnapcloneError))?.error;
  // "Not found" is an answer about one of them, and never the word on all.
  const worst = errors.find(({ error }) => !isKind(error, "notFound")) ?? errors[0];
  if (worst === undefined) return outcomes.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const message = errors.map(({ row, error }) => {
    return error.parts.message.includes(row.id) ? error.parts.message : `${nameOf(row)}: ${error.parts.message}`;
  });
  throw new SnapcloneError({ ...worst.error.parts, message: message.join("; ") });
}

/** DELETE is refused while the volume is busy, in a group, attached or has snapshots, all in one text (docs/wire/openstack.md#a13). */
function removeOne(cloud: PowerVcContext, id: string, context: OperationContext): Promise<"deleted" | "missing"> {
  const deletion: Deletion = {
    noun: "volume",
    id,
    cinder: cloud.cinder,
    ask: () => cloud.cinder.deleteVolume(id, context),
    poller: cloud.deleting,
    estimator: cloud.experience.deleting,
    whenTakenBack: "Something still uses it: its copies or snapshots on the storage may have to end first.",
    whenFailed:
      "An administrator has to look at the backend and then reset the status (`openstack volume set --state error`).",
  };
  return deleteUntilGone(deletion, context);
}
