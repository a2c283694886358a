// One PowerVC connection of a run: its login, its wire clients, the requests that its waits share, and what the run knows
// about sets of clones.

import { setMaxListeners } from "node:events";
import { BatchPoller } from "../core/batchPoller";
import type { ConnectionKind } from "../core/connection/connections";
import type { OwnershipRecord } from "../core/definition";
import { DurationEstimator } from "../core/durationEstimator";
import { isKind, type SnapcloneError } from "../core/errors";
import { type Clock, systemClock } from "../core/util/clock";
import { CinderClient, type ListVolumes, type VolumeRow } from "../openstack/cinder";
import { undefinedIfMissing } from "../openstack/cinderErrors";
import { openStackTarget } from "../openstack/connection";
import type { StatusRow } from "../openstack/deletion";
import { diagnoseCinder, diagnoseKeystone } from "../openstack/diagnose";
import { KeystoneSession } from "../openstack/keystone";
import { PowerVcClient } from "./client";
import { resolvePowerVc } from "./connection";
import type { PendingCreate } from "./volumeClone/ownership";

export const powervc: ConnectionKind<PowerVcContext> = {
  kind: "powervc",
  open(request) {
    const settings = resolvePowerVc(request);
    for (const warning of settings.warnings) request.warn(warning);
    return new PowerVcContext(new KeystoneSession(settings, { patience: request.patience, env: request.env }));
  },
  target: ({ session }) => openStackTarget(session.settings),
  async diagnose({ session, cinder, client }, diagnosis) {
    if (!(await diagnoseKeystone(session, diagnosis)) || !(await diagnoseCinder(session, cinder, diagnosis))) return;
    // A task that does not exist: the answer shows whether Cinder has PowerVC's API of clones.
    const ask = () => client.progress("snapclone-doctor");
    await diagnosis.attempt("clone API", ask, () => "PowerVC's Clone volume API answers");
  },
  close: ({ session }) => session.close(),
};

/** Cinder's default for the size of a list's page (`osapi_max_limit`). */
const PAGE_SIZE = 1_000;
const NEVER = new AbortController().signal;
setMaxListeners(0, NEVER);

export class PowerVcContext {
  readonly cinder: CinderClient;
  readonly client: PowerVcClient;
  /** Watches the clones that are being deleted, whichever set they belong to. */
  readonly deletions: BatchPoller<StatusRow>;
  /** How long this PowerVC takes for a flow, and to delete a clone. */
  readonly estimators = { cloning: new DurationEstimator(), deleting: new DurationEstimator() };

  /** By set: the pending create that this run has read or written. */
  readonly pendingCreates = new Map<string, PendingCreate>();
  /** By set: the ownership record that this run has written or will write. */
  readonly records = new Map<string, OwnershipRecord>();
  /** Sets that an early build left `open`. */
  readonly openSets = new Set<string>();
  /** Sets that this run has sent a request for. The value is the error if there was no usable answer. */
  readonly requested = new Map<string, SnapcloneError | undefined>();
  /** By set: the clones that PowerVC has named to this run. */
  readonly madeClones = new Map<string, readonly string[]>();
  /** Sets whose request was not sent and whose pending create could not be removed. The value is the reason. */
  readonly unsent = new Map<string, unknown>();
  /** By deleted clone: its source volume. A list that shows the source would show the clone too. */
  readonly sourcesOfDeleted = new Map<string, string>();

  /** For single volumes that several sets ask for at the same time. */
  private readonly shows: BatchPoller<VolumeRow>;
  private latestRows = new Map<string, VolumeRow>();
  /** A list of all volumes that `listOnce` may still use. */
  private unusedList: readonly VolumeRow[] | undefined;

  constructor(
    readonly session: KeystoneSession,
    readonly clock: Clock = systemClock,
  ) {
    this.cinder = new CinderClient(session);
    this.client = new PowerVcClient(session);
    this.shows = new BatchPoller<VolumeRow>({
      clock,
      fetchOne: (id) => this.volume(id),
      fetchAll: async (ids) => {
        // A list of all volumes has many pages in a large project. Each volume that the list lacks is fetched by itself.
        const isShort = ids.length > 1 + Math.ceil(this.latestRows.size / PAGE_SIZE);
        const rows = isShort ? await this.listAll().catch(noneIfUnlistable) : [];
        return new Map(rows.map((row) => [row.id, row]));
      },
    });
    let isFirst = true;
    this.deletions = new BatchPoller<StatusRow>({
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
        // The end of the run compares all volumes with the state. One list serves both.
        this.unusedList = await this.listAll();
        return new AllRows(this.unusedList, this.sourcesOfDeleted);
      },
    });
  }

  /** The backend's time. Before its first answer: this machine's time. */
  now(): Date {
    return this.session.serverTime("blockStorage") ?? this.clock.date();
  }

  /** All volumes of the project, from a list that this run has just made for another purpose, if there is one. */
  async listOnce(): Promise<readonly VolumeRow[]> {
    const { unusedList } = this;
    this.unusedList = undefined;
    return unusedList ?? this.listAll();
  }

  async listAll(signal?: AbortSignal): Promise<VolumeRow[]> {
    const rows = await this.cinder.listVolumesDetail({}, signal);
    this.latestRows = new Map(rows.map((row) => [row.id, row]));
    return rows;
  }

  /** The volume as the latest list of all volumes showed it. */
  lastSeen(id: string): VolumeRow | undefined {
    return this.latestRows.get(id);
  }

  /** undefined only if Cinder itself says that the volume does not exist. */
  volume(id: string, signal?: AbortSignal): Promise<VolumeRow | undefined> {
    return undefinedIfMissing(this.cinder.showVolume(id, signal), "volume");
  }

  /** Announces that a set is about to ask for its volumes. Call the result when it has. */
  registerShow(): () => void {
    return this.shows.register();
  }

  /**
   * Those of these volumes that exist. A volume that a list leaves out is fetched by its id: only that answer proves that it
   * does not exist. `filter` is what the volumes are expected to have in common.
   */
  async volumes(ids: readonly string[], filter: ListVolumes | undefined, signal?: AbortSignal): Promise<VolumeRow[]> {
    const listed = await this.listed(ids.length, filter, signal);
    const show = (id: string) => this.shows.fetch(id, signal ?? NEVER);
    const rows = await Promise.all(ids.map(async (id) => listed.get(id) ?? show(id)));
    return rows.filter((row) => row !== undefined);
  }

  private async listed(count: number, filter: ListVolumes | undefined, signal: AbortSignal | undefined) {
    // Do not list the whole project if fetching each volume takes no more requests than the list has pages.
    const pages = filter ? 1 : 1 + Math.ceil(this.latestRows.size / PAGE_SIZE);
    if (count <= pages) return new Map<string, VolumeRow>();
    try {
      const rows = await (filter ? this.cinder.listVolumesDetail(filter, signal) : this.listAll(signal));
      return new Map(rows.map((row) => [row.id, row]));
    } catch (error) {
      return new Map(noneIfUnlistable(error).map((row) => [row.id, row]));
    }
  }
}

/**
 * Each volume is fetched by its id instead. A cloud may forbid the filter (/etc/cinder/resource_filters.json,
 * docs/wire/openstack.md#a6), and one malformed row spoils a whole list.
 */
function noneIfUnlistable(error: unknown): VolumeRow[] {
  if (isKind(error, "stopped")) throw error;
  return [];
}

/** All volumes of a project, from a list that was requested after the deletion was accepted. */
class AllRows extends Map<string, StatusRow> {
  constructor(
    rows: readonly VolumeRow[],
    private readonly sourcesOfDeleted: ReadonlyMap<string, string>,
  ) {
    super(rows.map((row) => [row.id, row]));
  }

  /**
   * A clone that is not listed counts as deleted only if its source is listed: an empty list, or the list of another
   * project, proves nothing.
   */
  override get(id: string): StatusRow | undefined {
    const source = this.sourcesOfDeleted.get(id);
    const isGone = !super.has(id) && source !== undefined && super.has(source);
    return isGone ? { id, status: "deleted" } : super.get(id);
  }
}
