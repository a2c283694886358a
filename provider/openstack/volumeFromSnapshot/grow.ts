// A volume grows in place: os-extend, and the wait for its end (docs/wire/openstack.md#volume-from-snapshot).

import type { Observed, OperationContext } from "../../core/definition";
import { isKind } from "../../core/errors";
import type { Evaluation } from "../../core/poll";
import type { VolumeRow } from "../cinder";
import type { OpenStackContext } from "../context";
import { StaleAnswers, statusCommand, waitForObject } from "../wait";
import { growthFailed, removedByOthers, vanished } from "./errors";

/** Returns false if the volume has the size already. */
export async function grow(
  cloud: OpenStackContext,
  id: string,
  { state }: Observed,
  wanted: number,
  context: OperationContext,
): Promise<boolean> {
  let size = Number(state.sizeGiB);
  if (size >= wanted) return false;
  // An interrupted run has begun it: Cinder refuses another request until that has ended.
  if (isExtending(String(state.status))) size = (await waitForGrowth(cloud, id, wanted, context)).size;
  if (size >= wanted) return false;
  await requestGrowth(cloud, id, wanted, context);
  await waitForGrowth(cloud, id, wanted, context);
  context.done();
  return true;
}

/** If the reply was lost, the volume itself shows whether the request was carried out. */
async function requestGrowth(cloud: OpenStackContext, id: string, wanted: number, context: OperationContext) {
  try {
    await cloud.cinder.extendVolume(id, wanted);
  } catch (error) {
    if (!isKind(error, "ambiguous")) throw error;
    const row = await cloud.volumes.find(id, context.signal).catch(() => undefined);
    if (row === undefined || !(isExtending(row.status) || row.size >= wanted)) throw error;
  }
}

/** Waits until the volume has the size, or a request of an earlier run has ended. */
export async function waitForGrowth(
  cloud: OpenStackContext,
  id: string,
  wanted: number,
  context: OperationContext,
): Promise<VolumeRow> {
  const stale = new StaleAnswers();
  const evaluate = async (row: VolumeRow | undefined): Promise<Evaluation> => {
    if (row === undefined) return { is: "failed", error: vanished(id) };
    const status = row.status.toLowerCase();
    const progress = `${row.status}, ${row.size} of ${wanted} GiB`;
    if (/delet/.test(status)) return { is: "failed", error: removedByOthers(row) };
    if (status === "error_extending") return { is: "failed", error: await growthFailed(cloud.cinder, row, wanted) };
    if (isExtending(status)) {
      stale.end();
      context.accepted({ extend: wanted });
      return { is: "pending", progress };
    }
    if (row.size >= wanted) return { is: "done", progress };
    if (stale.isExcused()) return { is: "pending", progress };
    return { is: "failed", error: await growthFailed(cloud.cinder, row, wanted) };
  };
  const row = await waitForObject(cloud.volumes.poller("extending"), id, {
    description: `volume ${id} to have ${wanted} GiB`,
    evaluate,
    stuckHint: () =>
      `If nothing works on the volume any more, an administrator has to look at the backend and then reset the status (${statusCommand("volume", id, "available")}, or \`in-use\` if it is attached). Then run the same command again.`,
    context,
  });
  return row as VolumeRow;
}

function isExtending(status: string): boolean {
  return status.toLowerCase() === "extending";
}
