// One OpenStack connection of a run: its session, its clients, and the list requests that its waits share.

import { randomUUID } from "node:crypto";
import { BatchPoller } from "../core/batchPoller";
import type { ConnectionKind } from "../core/connection/connections";
import { DurationEstimator } from "../core/durationEstimator";
import { SnapcloneError } from "../core/errors";
import { type Clock, systemClock } from "../core/util/clock";
import { KeyedMutex } from "../core/util/keyedMutex";
import { CinderClient, type ListSnapshots, type Metadata, type SnapshotRow } from "./cinder";
import { isFilterRefusal, undefinedIfMissing } from "./cinderErrors";
import { openStackTarget, resolveOpenStack } from "./connection";
import { diagnoseCinder, diagnoseKeystone, diagnoseNova } from "./diagnose";
import { KeystoneSession } from "./keystone";
import { NovaClient } from "./nova";
import { VolumeReader } from "./volumes";

export const openstack: ConnectionKind<OpenStackContext> = {
  kind: "openstack",
  open(request) {
    const settings = resolveOpenStack(request);
    for (const warning of settings.warnings) request.warn(warning);
    return new OpenStackContext(new KeystoneSession(settings, { patience: request.patience, env: request.env }));
  },
  target: ({ session }) => openStackTarget(session.settings),
  async diagnose({ session, cinder }, diagnosis) {
    if (!(await diagnoseKeystone(session, diagnosis))) return;
    if (await diagnoseCinder(session, cinder, diagnosis)) await diagnoseNova(session, diagnosis);
  },
  close: ({ session }) => session.close(),
};

export class OpenStackContext {
  readonly cinder: CinderClient;
  readonly nova: NovaClient;
  readonly volumes: VolumeReader;
  /** Each run opens a context of its own. */
  readonly runId = randomUUID().slice(0, 8);
  /** By volume: only one assisted operation at a time may change a volume's chain of files. */
  readonly volumeLocks = new KeyedMutex();
  /** How long this cloud takes to make and to delete a snapshot. */
  readonly estimators = { creating: new DurationEstimator(), deleting: new DurationEstimator() };
  private readonly pollers = new Map<string, BatchPoller<SnapshotRow>>();
  private refusesMetadataFilter = false;

  constructor(
    readonly session: KeystoneSession,
    private readonly clock: Clock = systemClock,
  ) {
    this.cinder = new CinderClient(session);
    this.nova = new NovaClient(session, clock);
    this.volumes = new VolumeReader(this.cinder, clock);
  }

  /** undefined if Cinder itself says that the snapshot does not exist. */
  async snapshot(id: string, signal?: AbortSignal): Promise<SnapshotRow | undefined> {
    const row = await undefinedIfMissing(this.cinder.showSnapshot(id, signal), "snapshot");
    if (row === undefined || row.id === id) return row;
    throw new SnapcloneError({
      kind: "malformed",
      message: `Cinder showed snapshot ${row.id}; the request was for snapshot ${id}`,
    });
  }

  /**
   * The snapshots whose metadata include at least one of `alternatives`. A cloud may forbid the metadata filter
   * (/etc/cinder/resource_filters.json), and Cinder below 3.22 ignores it. Then all snapshots are listed and filtered here.
   */
  async snapshotsWith(
    alternatives: readonly Metadata[],
    query: ListSnapshots = {},
    signal?: AbortSignal,
  ): Promise<SnapshotRow[]> {
    let refusal: unknown;
    if (!this.refusesMetadataFilter && (await this.cinder.atLeast("3.22", signal))) {
      try {
        const lists = await Promise.all(
          alternatives.map((metadata) => this.cinder.listSnapshotsDetail({ ...query, metadata }, signal)),
        );
        return [...new Map(lists.flatMap(({ snapshots }) => snapshots).map((row) => [row.id, row])).values()];
      } catch (error) {
        if (!isFilterRefusal(error)) throw error;
        refusal = error;
      }
    }
    const { snapshots } = await this.cinder.listSnapshotsDetail(query, signal);
    // Only now is it known that the filter was refused, and not the list itself.
    if (refusal !== undefined) this.refusesMetadataFilter = true;
    return snapshots.filter(({ metadata }) =>
      alternatives.some((wanted) => Object.entries(wanted).every(([key, value]) => metadata[key] === value)),
    );
  }

  /**
   * The poller that all waits with this `key` share. `list` should return the snapshots that they wait for; a snapshot that
   * it omits is fetched by its id.
   */
  poller(
    key: string,
    list: () => Promise<SnapshotRow[]>,
    { resolveWhenMissing = false }: { resolveWhenMissing?: boolean } = {},
  ): BatchPoller<SnapshotRow> {
    const poller =
      this.pollers.get(key) ??
      new BatchPoller<SnapshotRow>({
        clock: this.clock,
        resolveWhenMissing,
        fetchOne: (id) => this.snapshot(id),
        fetchAll: async () => new Map((await list()).map((row) => [row.id, row])),
      });
    this.pollers.set(key, poller);
    return poller;
  }
}
