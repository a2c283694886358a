// Clones as Cinder's volumes: the wait until they are available, and one operation on several of them.

import type { AbsenceTimer } from "../../core/absence";
import type { OperationContext } from "../../core/definition";
import { isKind, SnapcloneError } from "../../core/errors";
import { poll } from "../../core/poll";
import type { VolumeRow } from "../../openstack/cinder";
import { isMade } from "../../openstack/volumes";
import { INTERVAL, setToError } from "../../openstack/wait";
import type { PowerVcContext } from "../context";
import { clonesUnusable, clonesVanished, type Pair, volumeLabel } from "./errors";

/** PowerVC's flow has ended before this is called, so the clones are nearly always available at once. */
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
      // One "not found" right after PowerVC's success proves nothing.
      if (absence.isProven(missing.length === 0)) return { is: "failed", error: clonesVanished(missing, pairs) };
      const bad = rows.filter((row) => !isMade(row) && /^error|delet|unmanag/i.test(row.status));
      if (bad.length > 0) return { is: "failed", error: await clonesUnusable(cloud, bad) };
      if (missing.length > 0) return { is: "pending", progress: `${missing.length} of ${ids.length} not visible yet` };
      const waiting = rows.filter((row) => !isMade(row));
      const progress = waiting.length === 0 ? `${rows.length} available` : `${waiting[0]?.status} ${waiting[0]?.id}`;
      return { is: waiting.length === 0 ? "done" : "pending", progress };
    },
    ...(first ? { initial: first } : {}),
    interval: INTERVAL,
    stuckHint: (rows) => {
      const waitedFor = rows.length < ids.length ? undefined : rows.find((row) => !isMade(row));
      return waitedFor && setToError("volume", waitedFor.id);
    },
    context,
  });
}

/** Runs `work` on all items at once, waits until each has ended, and throws all failures as one error. */
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
  // "notFound" is about one volume. It must not become the kind of the error about the whole set.
  const worst = errors.find(({ error }) => !isKind(error, "notFound")) ?? errors[0];
  if (worst === undefined) return outcomes.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const message = errors.map(({ row, error }) => {
    return error.parts.message.includes(row.id) ? error.parts.message : `${volumeLabel(row)}: ${error.parts.message}`;
  });
  throw new SnapcloneError({ ...worst.error.parts, message: message.join("; ") });
}
