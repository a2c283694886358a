// Deleting clones: into the recycle bin or out of it, with the data volumes that were cloned with them and without all
// others. Never deletes a volume that is attached to another VM. A VM leaves the recycle bin last, since its tag names its
// cloned volumes. The facts are in docs/wire/zstack.md.

import { isKind, SnapcloneError } from "../../core/errors";
import type { VmRow, VolumeRow } from "../answers";
import type { Submitted } from "../client";
import { isGone, type Step, type ZStackContext } from "../context";
import { combineErrors } from "../errors";
import { dataVolumes } from "./create";
import { attachedVolume, notExpunged } from "./errors";
import type { Member, MembersContext } from "./members";
import { removeTags } from "./ownership";
import { nameList, OTHER_WORK_MS, waitUntilStable, withRows } from "./power";

/** In the recycle bin, or on the way out of it. */
const BINNED = /^(Destroyed|Expunging)$/;
const DELETE_ON_DESTROY = "dataVolume.deleteOnVmDestroy";

export interface DeleteOptions {
  expunge: boolean;
  /** Keeps cloned data volumes. */
  keep: boolean;
}

/**
 * Takes the set's tags off VMs in the recycle bin whose cloned volumes are deleted or kept. From now on a VM that somebody
 * recovers from the bin belongs to that user.
 */
export async function releaseBinned(
  cloud: ZStackContext,
  members: readonly Member[],
  context: MembersContext,
): Promise<void> {
  const tags = members.flatMap((member) => member.tags.filter(({ tagUuid }) => tagUuid !== ""));
  await removeTags(cloud, tags, context, context);
}

export class Deletion {
  private readonly errors: SnapcloneError[] = [];

  constructor(
    private readonly cloud: ZStackContext,
    private readonly options: DeleteOptions,
    private readonly context: MembersContext,
  ) {}

  /** Returns when the server reports all members gone. If one fails, the others are deleted all the same. */
  async run(members: readonly Member[]): Promise<void> {
    const { expunge, keep } = this.options;
    const stable = await waitUntilStable(this.cloud, members, this.context, OTHER_WORK_MS);
    const destroyed = await this.destroy(await this.detachKeptVolumes(stable));
    // A VM that still exists keeps its volumes and its tag.
    const gone = destroyed.filter(({ row }) => BINNED.test(row?.state ?? "Expunging"));
    if (!keep) await this.attempt(() => this.deleteDisks(gone));
    if (this.errors.length === 0) {
      const inBin = gone.filter(({ row }) => row?.state === "Destroyed");
      await this.attempt(() => (expunge ? this.expunge(inBin) : releaseBinned(this.cloud, inBin, this.context)));
    }
    if (this.errors.length > 0) throw combineErrors(this.errors);
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
   * If ZStack's `vm/dataVolume.deleteOnVmDestroy` is on, ZStack deletes data volumes with their VM
   * (docs/wire/zstack.md#data-volumes). So this detaches the volumes to keep. Returns the VMs that may be destroyed.
   */
  private async detachKeptVolumes(members: readonly Member[]): Promise<readonly Member[]> {
    const { keep } = this.options;
    const { client } = this.cloud;
    const kept = members.flatMap(({ uuid: vm, name, row, disks }) => {
      const attached = row === undefined || isGone(row) ? [] : dataVolumes(row);
      return attached.filter((volume) => keep || !disks.includes(volume)).map((volume) => ({ vm, name, volume }));
    });
    if (kept.length === 0) return members;
    const isAttached = (rows: readonly VolumeRow[], volume: string, vm: string) =>
      rows.some((row) => row.uuid === volume && row.vmInstanceUuid === vm);
    const steps = kept.map(
      ({ vm, name, volume }): Step<readonly VolumeRow[]> => ({
        action: "detachVolume",
        operation: `detach the data volume ${volume} from "${name}"`,
        submit: (job) => client.detachDataVolume(volume, vm, job),
        isDone: (rows) => !isAttached(rows, volume, vm),
      }),
    );
    const volumes = kept.map(({ volume }) => volume);
    const query = (signal: AbortSignal) => this.cloud.volumes(volumes, signal);
    if (
      await this.attempt(() => this.cloud.runSteps("the volumes to keep to be detached", steps, query, this.context))
    ) {
      return members;
    }
    const failure = this.errors.pop();
    const setting = await client.globalConfig("vm", DELETE_ON_DESTROY, this.context.signal).catch(() => undefined);
    if (failure === undefined || setting === "false") return members;
    this.errors.push(attachedVolume(failure, setting));
    const rows = await query(this.context.signal);
    const attached = kept.filter(({ vm, volume }) => isAttached(rows, volume, vm)).map(({ vm }) => vm);
    return members.filter(({ uuid }) => !attached.includes(uuid));
  }

  /** Returns all members with their new states. */
  private async destroy(members: readonly Member[]): Promise<readonly Member[]> {
    const present = members.filter(({ row }) => row !== undefined && !BINNED.test(row.state));
    if (present.length === 0) return members;
    const uuids = present.map(({ uuid }) => uuid);
    const steps = present.map(({ uuid, name }): Step<readonly VmRow[]> => {
      const stateOf = (rows: readonly VmRow[]) => rows.find((row) => row.uuid === uuid)?.state;
      return {
        action: "destroyVm",
        operation: `destroy "${name}"`,
        submit: (job) => this.cloud.client.destroyVmInstance(uuid, job),
        isDone: (rows) => BINNED.test(stateOf(rows) ?? "Expunging"),
        isUnderWay: (rows) => stateOf(rows) === "Destroying",
        progress: (rows) => `${name} ${stateOf(rows) ?? "gone"}`,
      };
    });
    const query = (signal: AbortSignal) => this.cloud.vms(uuids, signal);
    let rows: readonly VmRow[] = [];
    const isDone = await this.attempt(async () => {
      rows = await this.cloud.runSteps(`${nameList(present)} to be gone`, steps, query, this.context);
    });
    if (!isDone) rows = await query(this.context.signal);
    return withRows(members, uuids, rows);
  }

  /** Needed because ZStack keeps the data volumes of a VM that is destroyed (docs/wire/zstack.md#data-volumes). */
  private async deleteDisks(members: readonly Member[]): Promise<void> {
    const { client } = this.cloud;
    const owners = new Map(members.flatMap(({ uuid, disks }) => disks.map((disk) => [disk, uuid] as const)));
    if (owners.size === 0) return;
    const rows = (await this.cloud.volumes([...owners.keys()], this.context.signal)).filter((row) => {
      const { vmInstanceUuid: at, uuid } = row;
      if (!at || at === owners.get(uuid)) return true;
      this.context.warn(
        `the data volume ${uuid} was cloned with ${owners.get(uuid)} and is attached to the VM ${at} now: it was not deleted`,
      );
      return false;
    });
    await this.changeVolumes(
      "delete",
      rows.filter(({ status }) => status !== "Deleted"),
      (uuid, job) => client.deleteDataVolume(uuid, job),
      (row) => row === undefined || row.status === "Deleted",
    );
    if (!this.options.expunge) return;
    await this.changeVolumes(
      "expunge",
      rows,
      (uuid, job) => client.expungeDataVolume(uuid, job),
      (row) => row === undefined,
    );
  }

  private async changeVolumes(
    verb: "delete" | "expunge",
    volumes: readonly VolumeRow[],
    submit: (uuid: string, job: string) => Promise<Submitted>,
    isDone: (row: VolumeRow | undefined) => boolean,
  ): Promise<void> {
    if (volumes.length === 0) return;
    const uuids = volumes.map(({ uuid }) => uuid);
    const steps = uuids.map(
      (uuid): Step<readonly VolumeRow[]> => ({
        action: `${verb}Volume`,
        operation: `${verb} the data volume ${uuid}`,
        submit: (job) => submit(uuid, job),
        isDone: (rows) => isDone(rows.find((row) => row.uuid === uuid)),
      }),
    );
    const query = (signal: AbortSignal) => this.cloud.volumes(uuids, signal);
    await this.cloud.runSteps(`the data volumes to be ${verb}d`, steps, query, this.context);
  }

  private async expunge(members: readonly Member[]): Promise<void> {
    if (members.length === 0) return;
    const uuids = members.map(({ uuid }) => uuid);
    const steps = members.map(
      ({ uuid, name }): Step<readonly VmRow[]> => ({
        action: "expungeVm",
        operation: `expunge "${name}"`,
        submit: (job) => this.cloud.client.expungeVmInstance(uuid, job),
        isDone: (rows) => !rows.some((row) => row.uuid === uuid),
        isUnderWay: (rows) => rows.some((row) => row.uuid === uuid && row.state === "Expunging"),
      }),
    );
    const query = (signal: AbortSignal) => this.cloud.vms(uuids, signal);
    const expunged = this.cloud.runSteps(`${nameList(members)} to be expunged`, steps, query, this.context);
    await expunged.catch((error: unknown) => {
      throw isKind(error, "refused", "failed", "forbidden") ? notExpunged(error) : error;
    });
  }
}
