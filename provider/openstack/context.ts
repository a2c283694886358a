// One OpenStack connection of a run: its login, its wire clients, and the lists that its waits share.

import { randomUUID } from "node:crypto";
import { BatchPoller } from "../core/batchPoller";
import type { ConnectionKind } from "../core/connection/connections";
import { DurationEstimator } from "../core/durationEstimator";
import { isKind, SnapcloneError } from "../core/errors";
import { type Clock, systemClock } from "../core/util/clock";
import { KeyedMutex } from "../core/util/keyedMutex";
import { CinderClient, type ListSnapshots, type Metadata, type SnapshotRow, whatIsMissing } from "./cinder";
import { resolveOpenStack } from "./connection";
import { KeystoneSession } from "./keystone";
import { NovaClient } from "./nova";

/**
 * The ownership record of a Cinder object: metadata keys. Keys with a colon are accepted, and single keys can be set
 * without touching the others (docs/wire/openstack.md#metadata-as-record).
 */
export const RECORD_KEYS = {
  stack: "snapclone:stack",
  owner: "snapclone:owner",
  inputs: "snapclone:inputs",
  attempt: "snapclone:attempt",
  /** The metadata keys that the program gave, joined by commas (which no key may have). */
  managed: "snapclone:keys",
  /** Of builds before 0.2: `open` or `settled`. */
  phase: "snapclone:phase",
} as const;

/** The same for an overlay, which has no row of its own: its record may be on a snapshot that is itself ours. */
export const ASSISTED = {
  stack: "snapclone:assisted-stack",
  owner: "snapclone:assisted-owner",
  inputs: "snapclone:assisted-inputs",
  attempt: "snapclone:assisted-attempt",
  file: "snapclone:assisted-file",
  /** How far the overlay has got (assistedRow.ts). */
  step: "snapclone:assisted-step",
  /** Which run wrote the record last, when, and how long it may take (assistedClaim.ts). */
  nonce: "snapclone:assisted-nonce",
  /** Of builds before 0.2: `open` or `settled`, and the run that adopted the overlay. */
  phase: "snapclone:assisted-phase",
  adopted: "snapclone:assisted-adopted",
} as const;

export const openstack: ConnectionKind<OpenStackContext> = {
  kind: "openstack",
  open(request) {
    const settings = resolveOpenStack(request);
    for (const warning of settings.warnings) request.warn(warning);
    return new OpenStackContext(new KeystoneSession(settings, { patience: request.patience }));
  },
};

export class OpenStackContext {
  readonly cinder: CinderClient;
  readonly nova: NovaClient;
  /** One client is one run's. */
  readonly runId = randomUUID().slice(0, 8);
  /** By volume: its chain of files takes one assisted operation at a time. */
  readonly turns = new KeyedMutex();
  /** The turns that were taken, by the operation that took them. */
  readonly assistedTurns = new WeakMap<object, () => void>();
  readonly deleting: BatchPoller<SnapshotRow>;
  private readonly creatingByStack = new Map<string, BatchPoller<SnapshotRow>>();
  /** For overlays that Nova was asked for, and that it was asked to merge. Their rows may be another project's. */
  readonly assistedCreating: BatchPoller<SnapshotRow>;
  readonly assistedMerging: BatchPoller<SnapshotRow>;
  /** How long this cloud takes for either. */
  readonly experience = { creating: new DurationEstimator(), deleting: new DurationEstimator() };
  private refusesMetadataFilter = false;

  constructor(
    readonly session: KeystoneSession,
    private readonly clock: Clock = systemClock,
  ) {
    this.cinder = new CinderClient(session);
    this.nova = new NovaClient(session, clock);
    this.deleting = this.sharedLook(
      async () => (await this.cinder.listSnapshotsDetail({ status: "deleting" })).snapshots,
      true,
    );
    const assisted = (step: string) =>
      this.sharedLook(() => this.snapshotsWith([{ [ASSISTED.step]: step }], { all_tenants: true }), false);
    this.assistedCreating = assisted("asked");
    this.assistedMerging = assisted("merge-asked");
  }

  /** For snapshots that are being made: one list of the stack's answers for all of them. */
  creating(stack: string): BatchPoller<SnapshotRow> {
    const many = async () =>
      stack === ""
        ? (await this.cinder.listSnapshotsDetail({ status: "creating" })).snapshots
        : this.snapshotsWith([{ [RECORD_KEYS.stack]: stack }]);
    const look = this.creatingByStack.get(stack) ?? this.sharedLook(many, false);
    this.creatingByStack.set(stack, look);
    return look;
  }

  /** undefined where Cinder itself says that it does not exist. */
  async snapshot(id: string, signal?: AbortSignal): Promise<SnapshotRow | undefined> {
    try {
      const row = await this.cinder.showSnapshot(id, signal);
      if (row.id === id) return row;
      throw new SnapcloneError({
        kind: "malformed",
        message: `Cinder showed snapshot ${row.id}, and was asked for ${id}`,
      });
    } catch (error) {
      if (isKind(error, "notFound") && whatIsMissing(error) === "snapshot") return undefined;
      throw error;
    }
  }

  /**
   * The snapshots whose metadata have at least one of `alternatives`. A cloud may forbid the filter
   * (/etc/cinder/resource_filters.json), and one below 3.22 ignores it: then all are listed once, and filtered here.
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
    if (refusal !== undefined) this.refusesMetadataFilter = true;
    return snapshots.filter(({ metadata }) =>
      alternatives.some((wanted) => Object.entries(wanted).every(([key, value]) => metadata[key] === value)),
    );
  }

  private sharedLook(many: () => Promise<SnapshotRow[]>, absenceIsNews: boolean): BatchPoller<SnapshotRow> {
    return new BatchPoller({
      clock: this.clock,
      resolveWhenMissing: absenceIsNews,
      fetchOne: (id) => this.snapshot(id),
      fetchAll: async () => new Map((await many()).map((row) => [row.id, row])),
    });
  }
}

/** 400 "Invalid filters metadata are found in query options." (docs/wire/openstack.md#a6), or a policy's 403. */
function isFilterRefusal(error: unknown): boolean {
  if (isKind(error, "forbidden")) return true;
  return isKind(error, "refused") && error.parts.status === 400 && /\bmetadata\b/.test(error.parts.message);
}
