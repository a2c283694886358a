// The states of a set's VMs: waiting for a stable state, starting and stopping. The states are in
// docs/wire/zstack.md#states.

import { poll } from "../../core/poll";
import type { VmRow } from "../answers";
import type { Step, WaitContext, ZStackContext } from "../context";
import type { LivingMember, Member } from "./members";

/** ZStack accepts no other request for a VM in such a state than to destroy it (compute/…/vm/AbstractVmInstance.java). */
const TRANSIENT = /^(Starting|Stopping|Rebooting|Migrating|Pausing|Resuming|VolumeMigrating|VolumeRecovering)$/;
export const STUCK_HINT =
  "Run the same command again when ZStack has ended its work on the VM. If it never ends, destroy the VM in ZStack, which takes that in any state: the next `pulumi up` clones another one.";
export const POLL_INTERVAL = { first: 1_000, most: 5_000 };
/**
 * How long a deletion waits for other work on its VMs. ZStack itself queues a destroy behind that work
 * (compute/…/vm/VmInstanceBase.java:2671).
 */
export const OTHER_WORK_MS = 300_000;

/**
 * Returns the members with their stable states. A crashed management node may leave a VM in its transient state for ever: after
 * `limitMs`, the members are returned as they are.
 */
export async function waitUntilStable<One extends Member>(
  cloud: ZStackContext,
  members: readonly One[],
  context: WaitContext,
  limitMs = Number.POSITIVE_INFINITY,
): Promise<readonly One[]> {
  const transient = members.filter(({ row }) => row && TRANSIENT.test(row.state));
  if (transient.length === 0) return members;
  const uuids = transient.map(({ uuid }) => uuid);
  const nameOf = (uuid: string) => transient.find((one) => one.uuid === uuid)?.name;
  const begun = context.clock.now();
  const rows = await poll<VmRow[]>({
    description: `${nameList(transient)} to reach a stable state`,
    fetch: (signal) => cloud.vms(uuids, signal),
    evaluate: (current) => {
      const isPending = current.some(({ state }) => TRANSIENT.test(state)) && context.clock.now() - begun < limitMs;
      const states = current.map(({ uuid, state }) => `${nameOf(uuid)} ${state}`).join(", ");
      return { is: isPending ? "pending" : "done", progress: states || "gone" };
    },
    interval: POLL_INTERVAL,
    stuckHint: () => STUCK_HINT,
    context,
  });
  return withRows(members, uuids, rows);
}

/** Starts, resumes or stops the members that are not in this state. Returns the new rows of their VMs. */
export async function setPowerState(
  cloud: ZStackContext,
  members: readonly LivingMember[],
  wanted: "Running" | "Stopped",
  context: WaitContext,
): Promise<readonly VmRow[]> {
  const changing = members.filter(({ row }) => row.state !== wanted);
  if (changing.length === 0) return [];
  const steps = changing.map(({ uuid, name, row }): Step<readonly VmRow[]> => {
    const stateOf = (rows: readonly VmRow[]) => rows.find((one) => one.uuid === uuid)?.state;
    return {
      action: wanted === "Stopped" ? "stopVm" : "startVm",
      operation: `${wanted === "Stopped" ? "stop" : "start"} "${name}"`,
      member: name,
      submit: (job) => {
        if (wanted === "Stopped") return cloud.client.stopVmInstance(uuid, "grace", job);
        return row.state === "Paused"
          ? cloud.client.resumeVmInstance(uuid, job)
          : cloud.client.startVmInstance(uuid, job);
      },
      isDone: (rows) => stateOf(rows) === wanted,
      isUnderWay: (rows) => TRANSIENT.test(stateOf(rows) ?? ""),
      progress: (rows) => `${name} ${stateOf(rows) ?? "gone"}`,
    };
  });
  const uuids = changing.map(({ uuid }) => uuid);
  const query = (signal: AbortSignal) => cloud.vms(uuids, signal);
  return cloud.runSteps(`${nameList(changing)} to be ${wanted}`, steps, query, context);
}

/** The members, with the new rows of those that were queried. */
export function withRows<One extends Member>(
  members: readonly One[],
  queried: readonly string[],
  rows: readonly VmRow[],
): readonly One[] {
  const byUuid = new Map(rows.map((row) => [row.uuid, row]));
  return members.map((member) =>
    queried.includes(member.uuid) ? { ...member, row: byUuid.get(member.uuid) } : member,
  );
}

/** `"web-1", "web-2", …`. */
export function nameList(members: readonly Pick<Member, "name">[]): string {
  const names = members.slice(0, 5).map(({ name }) => `"${name}"`);
  return [...names, ...(members.length > names.length ? ["…"] : [])].join(", ");
}
