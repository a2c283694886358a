// One OpenStack connection of a run: its login, its wire clients, and the lists that its waits share.

import { type Clock, systemClock } from "../core/clock";
import type { ConnectionKind } from "../core/connections";
import { isKind } from "../core/errors";
import { Experience } from "../core/experience";
import { SharedLook } from "../core/sharedLook";
import { Turns } from "../core/turns";
import { Cinder, type ListSnapshots, type SnapshotRow, whatIsMissing } from "./cinder";
import { resolveOpenStack } from "./connection";
import { OpenStackSession } from "./keystone";
import { Nova } from "./nova";

/**
 * Where our mark on a Cinder object is: metadata keys. Keys with a colon are accepted, and single keys can be set
 * without touching the others (reference openstack-seen.md, "Finding snapshots again by metadata").
 */
export const MARKS = {
  owner: "snapclone:owner",
  inputs: "snapclone:inputs",
  phase: "snapclone:phase",
  adopted: "snapclone:adopted",
} as const;

/** The same for an overlay, which has no row of its own: it may be on a snapshot that is itself ours. */
export const ASSISTED = {
  owner: "snapclone:assisted-owner",
  inputs: "snapclone:assisted-inputs",
  phase: "snapclone:assisted-phase",
  adopted: "snapclone:assisted-adopted",
  file: "snapclone:assisted-file",
  step: "snapclone:assisted-step",
} as const;

export const openstack: ConnectionKind<Cloud> = {
  kind: "openstack",
  open(request) {
    const settings = resolveOpenStack(request);
    for (const warning of settings.warnings) request.warn(warning);
    return new Cloud(new OpenStackSession(settings));
  },
};

export class Cloud {
  readonly cinder: Cinder;
  readonly nova: Nova;
  /** By volume: its chain of files takes one assisted operation at a time. */
  readonly turns = new Turns();
  /** The turns that were taken, by the job that took them. */
  readonly assistedTurns = new WeakMap<object, () => void>();
  /** For snapshots that are being made: ours bear an open mark until the run has ended. */
  readonly creating: SharedLook<SnapshotRow>;
  readonly deleting: SharedLook<SnapshotRow>;
  /** For overlays that Nova was asked for, and that it was asked to merge. Their rows may be another project's. */
  readonly assistedCreating: SharedLook<SnapshotRow>;
  readonly assistedMerging: SharedLook<SnapshotRow>;
  /** How long this cloud takes for either. */
  readonly experience = { creating: new Experience(), deleting: new Experience() };

  constructor(
    readonly session: OpenStackSession,
    private readonly clock: Clock = systemClock,
  ) {
    this.cinder = new Cinder(session);
    this.nova = new Nova(session);
    this.creating = this.sharedLook({ metadata: { [MARKS.phase]: "open" } }, false);
    this.deleting = this.sharedLook({ status: "deleting" }, true);
    const assisted = (step: string) =>
      this.sharedLook({ metadata: { [ASSISTED.step]: step }, all_tenants: true }, false);
    this.assistedCreating = assisted("asked");
    this.assistedMerging = assisted("merge-asked");
  }

  /** undefined where Cinder itself says that it does not exist. */
  async snapshot(id: string, signal?: AbortSignal): Promise<SnapshotRow | undefined> {
    try {
      return await this.cinder.showSnapshot(id, signal);
    } catch (error) {
      if (isKind(error, "notFound") && whatIsMissing(error) === "snapshot") return undefined;
      throw error;
    }
  }

  private sharedLook(filter: ListSnapshots, absenceIsNews: boolean): SharedLook<SnapshotRow> {
    return new SharedLook({
      clock: this.clock,
      absenceIsNews,
      one: (id) => this.snapshot(id),
      many: async () => {
        const { snapshots } = await this.cinder.listSnapshotsDetail(filter);
        return new Map(snapshots.map((row) => [row.id, row]));
      },
    });
  }
}
