// One PowerVC connection of a run: its login, its wire clients, what its waits share, and what the run knows of sets.

import { BatchPoller } from "../core/batchPoller";
import type { ConnectionKind } from "../core/connection/connections";
import type { OwnershipRecord } from "../core/definition";
import { DurationEstimator } from "../core/durationEstimator";
import { isKind, type SnapcloneError } from "../core/errors";
import { type Clock, systemClock } from "../core/util/clock";
import { CinderClient, type ListVolumes, type VolumeRow, whatIsMissing } from "../openstack/cinder";
import type { StatusRow } from "../openstack/deletion";
import { KeystoneSession } from "../openstack/keystone";
import { PowerVcClient } from "./client";
import { resolvePowerVc } from "./connection";
import type { PendingCreate } from "./volumeClone/ownership";

export const powervc: ConnectionKind<PowerVcContext> = {
  kind: "powervc",
  open(request) {
    const settings = resolvePowerVc(request);
    for (const warning of settings.warnings) request.warn(warning);
    return new PowerVcContext(new KeystoneSession(settings, { patience: request.patience }));
  },
};

/** What a page of a list has at most, unless an administrator says otherwise (`osapi_max_limit`). */
const PAGE = 1_000;

export class PowerVcContext {
  readonly cinder: CinderClient;
  readonly client: PowerVcClient;
  /** For clones that are being deleted, whichever set they belong to. */
  readonly deleting: BatchPoller<StatusRow>;
  /** How long this PowerVC takes for a flow, and to delete a clone. */
  readonly experience = { cloning: new DurationEstimator(), deleting: new DurationEstimator() };

  /** By set, what is written on the sets' first volumes, as far as this run has seen or written it. */
  readonly pendingCreates = new Map<string, PendingCreate>();
  /** By set, the record that this run has written or is to write. */
  readonly records = new Map<string, OwnershipRecord>();
  /** Sets with an `open` mark of a build before 0.2. */
  readonly openMarks = new Set<string>();
  /** The sets that this run has asked PowerVC for, and why there was no usable answer. */
  readonly asked = new Map<string, SnapcloneError | undefined>();
  /** By set, the clones that PowerVC has told this run of. */
  readonly completed = new Map<string, readonly string[]>();
  /** Sets that this run has not come to ask for, whose notes it could not take away, and why. */
  readonly unsent = new Map<string, unknown>();
  /** By deleted clone, the volume that it was a copy of: where a list shows that one, it would show the clone, too. */
  readonly witnesses = new Map<string, string>();

  private rows = new Map<string, VolumeRow>();
  private unused: readonly VolumeRow[] | undefined;

  constructor(
    readonly session: KeystoneSession,
    readonly clock: Clock = systemClock,
  ) {
    this.cinder = new CinderClient(session);
    this.client = new PowerVcClient(session);
    let isFirst = true;
    this.deleting = new BatchPoller<StatusRow>({
      clock,
      resolveWhenMissing: true,
      listFrom: 1,
      fetchOne: (id) => this.volume(id),
      fetchAll: async () => {
        if (!isFirst) {
          const rows = await this.cinder.listVolumesDetail({ status: "deleting" });
          return new Map(rows.map((row) => [row.id, row]));
        }
        isFirst = false;
        // The end of the run compares all volumes with the state: one list does for both.
        this.unused = await this.listAll();
        return new WitnessedRows(this.unused, this.witnesses);
      },
    });
  }

  /** The backend's time; this machine's before the first dated answer. */
  now(): Date {
    return this.session.serverTime("blockStorage") ?? this.clock.date();
  }

  /** All volumes of the project: for the run's one list of what is ours. */
  async listOnce(): Promise<readonly VolumeRow[]> {
    const { unused } = this;
    this.unused = undefined;
    return unused ?? this.listAll();
  }

  async listAll(signal?: AbortSignal): Promise<VolumeRow[]> {
    const rows = await this.cinder.listVolumesDetail({}, signal);
    this.rows = new Map(rows.map((row) => [row.id, row]));
    return rows;
  }

  /** As the latest list of all showed it. */
  lastSeen(id: string): VolumeRow | undefined {
    return this.rows.get(id);
  }

  /** undefined where Cinder itself says that it does not exist. */
  async volume(id: string, signal?: AbortSignal): Promise<VolumeRow | undefined> {
    try {
      return await this.cinder.showVolume(id, signal);
    } catch (error) {
      if (isKind(error, "notFound") && whatIsMissing(error) === "volume") return undefined;
      throw error;
    }
  }

  /**
   * Those of them that exist. A list answers by presence only: what it leaves out is asked for by its id. `filter` is what
   * they are expected to have in common.
   */
  async volumes(ids: readonly string[], filter: ListVolumes | undefined, signal?: AbortSignal): Promise<VolumeRow[]> {
    const listed = await this.listed(ids.length, filter, signal);
    const rows = await Promise.all(ids.map(async (id) => listed.get(id) ?? this.volume(id, signal)));
    return rows.filter((row) => row !== undefined);
  }

  private async listed(count: number, filter: ListVolumes | undefined, signal: AbortSignal | undefined) {
    // Where one look at each is not more than the pages of a list, nobody else's volumes have to be listed.
    const pages = filter ? 1 : 1 + Math.ceil(this.rows.size / PAGE);
    if (count <= pages) return new Map<string, VolumeRow>();
    try {
      const rows = await (filter ? this.cinder.listVolumesDetail(filter, signal) : this.listAll(signal));
      return new Map(rows.map((row) => [row.id, row]));
    } catch (error) {
      // A cloud may forbid the filter (/etc/cinder/resource_filters.json, docs/wire/openstack.md#a6), and a list may hold what nobody
      // understands: what these volumes are, each of them can say.
      if (isKind(error, "stopped")) throw error;
      return new Map<string, VolumeRow>();
    }
  }
}

/** All volumes of a project, begun to be listed after the deletion was accepted. */
class WitnessedRows extends Map<string, StatusRow> {
  constructor(
    rows: readonly VolumeRow[],
    private readonly witnesses: ReadonlyMap<string, string>,
  ) {
    super(rows.map((row) => [row.id, row]));
  }

  /** An empty list, or one of another project, would prove nothing. */
  override get(id: string): StatusRow | undefined {
    const witness = this.witnesses.get(id);
    const isGone = !super.has(id) && witness !== undefined && super.has(witness);
    return isGone ? { id, status: "deleted" } : super.get(id);
  }
}
