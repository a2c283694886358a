// Removing clones: into the recycle bin or out of it, with the data volumes that were cloned along and without those
// that must stay. The VM leaves the bin last, since its tag tells which volumes were cloned with it. The facts are in
// docs/wire/zstack.md.

import type { OperationContext } from "../../core/definition";
import { SnapcloneError } from "../../core/errors";
import { poll } from "../../core/poll";
import type { Submitted, VmRow, VolumeRow } from "../client";
import { combinedErrors, isGone, type Step, type Waiting, type ZStackContext } from "../context";
import type { MemberRecord, Placed } from "./ownership";

/** States in which a VM is between two others (docs/wire/zstack.md#states). */
export const MOVING = /^(Starting|Stopping|Rebooting|Migrating|Pausing|Resuming|VolumeMigrating|VolumeRecovering)$/;
/** In the bin, or being purged from it. */
const BINNED = /^(Destroyed|Expunging)$/;
const PACE = { first: 1_000, most: 5_000 };
const DELETE_ON_DESTROY = "dataVolume.deleteOnVmDestroy";

/** One VM of the set: it is its uuid, whatever the server calls it. */
export interface Member {
  uuid: string;
  /** The program's name for it. */
  name: string;
  /** undefined: the server does not show it. */
  row: VmRow | undefined;
  /** Data volumes that were cloned with it. */
  disks: readonly string[];
  tag: (MemberRecord & Placed) | undefined;
}

export interface RemovalOptions {
  expunge: boolean;
  /** Cloned data volumes stay. */
  keep: boolean;
}

type Context = Waiting & Pick<OperationContext, "warn">;

export class Removal {
  private readonly errors: SnapcloneError[] = [];

  constructor(
    private readonly cloud: ZStackContext,
    private readonly options: RemovalOptions,
    private readonly context: Context,
  ) {}

  /** Returns when the server says that they are gone. Goes on with the others where one fails; all failures are told. */
  async remove(members: readonly Member[]): Promise<void> {
    const { expunge, keep } = this.options;
    const resting = await waitUntilResting(this.cloud, members, this.context);
    const destroyed = await this.destroy(await this.detachWhatStays(resting));
    // What has not gone keeps its volumes, and its tag.
    const gone = destroyed.filter(({ row }) => BINNED.test(row?.state ?? "Expunging"));
    if (!keep) await this.attempt(() => this.deleteDisks(gone));
    if (this.errors.length === 0) {
      const inBin = gone.filter(({ row }) => row?.state === "Destroyed");
      // Its volumes are dealt with: a VM that comes back out of the bin, or a volume, is the user's.
      const dealtWith = inBin.flatMap(({ disks, tag }) => (disks.length > 0 && tag?.tag ? tag : []));
      await this.attempt(() => (expunge ? this.expunge(inBin) : this.cloud.untag(dealtWith, this.context)));
    }
    if (this.errors.length > 0) throw combinedErrors(this.errors);
  }

  private async attempt(work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof SnapcloneError) || error.kind === "stopped") throw error;
      this.errors.push(error);
      return false;
    }
  }

  /**
   * ZStack deletes data volumes with their VM where its `vm/dataVolume.deleteOnVmDestroy` is on
   * (docs/wire/zstack.md#s4, "Data volumes"). Those that must stay are detached first. Returns the VMs that may be
   * destroyed.
   */
  private async detachWhatStays(members: readonly Member[]): Promise<readonly Member[]> {
    const { keep } = this.options;
    const { wire } = this.cloud;
    const staying = members.flatMap(({ uuid: vm, name, row, disks }) => {
      const attached = row === undefined || isGone(row) ? [] : dataVolumes(row);
      return attached.filter((one) => keep || !disks.includes(one)).map((volume) => ({ vm, name, volume }));
    });
    if (staying.length === 0) return members;
    const isAttached = (rows: readonly VolumeRow[], volume: string, vm: string) =>
      rows.some((row) => row.uuid === volume && row.vmInstanceUuid === vm);
    const steps = staying.map(
      ({ vm, name, volume }): Step<readonly VolumeRow[]> => ({
        what: `detach the data volume ${volume} from "${name}"`,
        submit: (job) => wire.detachDataVolume(volume, vm, job),
        isDone: (rows) => !isAttached(rows, volume, vm),
      }),
    );
    const volumes = staying.map(({ volume }) => volume);
    const look = (signal: AbortSignal) => this.cloud.volumes(volumes, signal);
    if (await this.attempt(() => this.cloud.runSteps("detaching volumes that stay", steps, look, this.context))) {
      return members;
    }
    const failure = this.errors.pop();
    const setting = await wire.globalConfig("vm", DELETE_ON_DESTROY, this.context.signal).catch(() => undefined);
    if (failure === undefined || setting === "false") return members;
    const is = setting === undefined ? "may be" : "is";
    this.errors.push(
      new SnapcloneError({
        ...failure.parts,
        message: `${failure.parts.message}. Its VM was not destroyed: ZStack ${is} set to delete data volumes with their VM (vm/${DELETE_ON_DESTROY})`,
        hint: "Detach the volume by hand, then run again.",
      }),
    );
    const rows = await look(this.context.signal);
    const stuck = staying.filter(({ vm, volume }) => isAttached(rows, volume, vm)).map(({ vm }) => vm);
    return members.filter(({ uuid }) => !stuck.includes(uuid));
  }

  /** The same members, as they are after it. */
  private async destroy(members: readonly Member[]): Promise<readonly Member[]> {
    const present = members.filter(({ row }) => row !== undefined && !BINNED.test(row.state));
    if (present.length === 0) return members;
    const uuids = present.map(({ uuid }) => uuid);
    const steps = present.map(({ uuid, name }): Step<readonly VmRow[]> => {
      const stateOf = (rows: readonly VmRow[]) => rows.find((seen) => seen.uuid === uuid)?.state;
      return {
        what: `destroy "${name}"`,
        submit: (job) => this.cloud.wire.destroyVmInstance(uuid, job),
        isDone: (rows) => BINNED.test(stateOf(rows) ?? "Expunging"),
        isUnderWay: (rows) => stateOf(rows) === "Destroying",
        shown: (rows) => `${name} ${stateOf(rows) ?? "gone"}`,
      };
    });
    const look = (signal: AbortSignal) => this.cloud.vms(uuids, signal);
    let rows: readonly VmRow[] = [];
    const isDone = await this.attempt(async () => {
      rows = await this.cloud.runSteps(`${listed(present)} to be gone`, steps, look, this.context);
    });
    if (!isDone) rows = await look(this.context.signal);
    return withRows(members, uuids, rows);
  }

  /** Destroying a VM detaches its data volumes and keeps them (docs/wire/zstack.md#data-volumes). */
  private async deleteDisks(members: readonly Member[]): Promise<void> {
    const { wire } = this.cloud;
    const owners = new Map(members.flatMap(({ uuid, disks }) => disks.map((disk) => [disk, uuid] as const)));
    if (owners.size === 0) return;
    const rows = (await this.cloud.volumes([...owners.keys()], this.context.signal)).filter((row) => {
      const { vmInstanceUuid: at, uuid } = row;
      if (!at || at === owners.get(uuid)) return true;
      this.context.warn(
        `the data volume ${uuid} was cloned with ${owners.get(uuid)} and is attached to the VM ${at} now: it was left alone`,
      );
      return false;
    });
    await this.changeVolumes(
      "delete",
      rows.filter(({ status }) => status !== "Deleted"),
      (uuid, job) => wire.deleteDataVolume(uuid, job),
      (row) => row === undefined || row.status === "Deleted",
    );
    if (!this.options.expunge) return;
    await this.changeVolumes(
      "expunge",
      rows,
      (uuid, job) => wire.expungeDataVolume(uuid, job),
      (row) => row === undefined,
    );
  }

  private async changeVolumes(
    verb: string,
    volumes: readonly VolumeRow[],
    submit: (uuid: string, job: string) => Promise<Submitted>,
    isDone: (row: VolumeRow | undefined) => boolean,
  ): Promise<void> {
    if (volumes.length === 0) return;
    const uuids = volumes.map(({ uuid }) => uuid);
    const steps = uuids.map(
      (uuid): Step<readonly VolumeRow[]> => ({
        what: `${verb} the data volume ${uuid}`,
        submit: (job) => submit(uuid, job),
        isDone: (rows) => isDone(rows.find((row) => row.uuid === uuid)),
      }),
    );
    const look = (signal: AbortSignal) => this.cloud.volumes(uuids, signal);
    await this.cloud.runSteps(`data volumes to ${verb}`, steps, look, this.context);
  }

  private async expunge(members: readonly Member[]): Promise<void> {
    if (members.length === 0) return;
    const uuids = members.map(({ uuid }) => uuid);
    const steps = members.map(
      ({ uuid, name }): Step<readonly VmRow[]> => ({
        what: `expunge "${name}"`,
        submit: (job) => this.cloud.wire.expungeVmInstance(uuid, job),
        isDone: (rows) => !rows.some((seen) => seen.uuid === uuid),
        isUnderWay: (rows) => rows.some((seen) => seen.uuid === uuid && seen.state === "Expunging"),
      }),
    );
    const look = (signal: AbortSignal) => this.cloud.vms(uuids, signal);
    await this.cloud.runSteps(`${listed(members)} to be expunged`, steps, look, this.context);
  }
}

/** A VM that migrates, stops or starts can be asked for nothing else meanwhile. Returns them as they are then. */
export async function waitUntilResting<One extends Member>(
  cloud: ZStackContext,
  members: readonly One[],
  waiting: Waiting,
): Promise<readonly One[]> {
  const moving = members.filter(({ row }) => row && MOVING.test(row.state));
  if (moving.length === 0) return members;
  const uuids = moving.map(({ uuid }) => uuid);
  const nameOf = (uuid: string) => moving.find((one) => one.uuid === uuid)?.name;
  const rows = await poll<VmRow[]>({
    description: `${listed(moving)} to come to rest`,
    fetch: (signal) => cloud.vms(uuids, signal),
    evaluate: (seen) => ({
      is: seen.some(({ state }) => MOVING.test(state)) ? "pending" : "done",
      progress: seen.map(({ uuid, state }) => `${nameOf(uuid)} ${state}`).join(", ") || "gone",
    }),
    interval: PACE,
    context: waiting,
  });
  return withRows(members, uuids, rows);
}

export function withRows<One extends Member>(
  members: readonly One[],
  asked: readonly string[],
  rows: readonly VmRow[],
): readonly One[] {
  const now = new Map(rows.map((row) => [row.uuid, row]));
  return members.map((member) => (asked.includes(member.uuid) ? { ...member, row: now.get(member.uuid) } : member));
}

export function dataVolumes({ allVolumes }: VmRow): string[] {
  return (allVolumes ?? []).filter(({ type }) => type === "Data").map(({ uuid }) => uuid);
}

/** `"web-1", "web-2", …`. */
export function listed(members: readonly Pick<Member, "name">[]): string {
  const names = members.slice(0, 5).map(({ name }) => `"${name}"`);
  return [...names, ...(members.length > names.length ? ["…"] : [])].join(", ");
}
