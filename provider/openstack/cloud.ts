// One OpenStack connection of a run: its login, its wire clients, and the lists that its waits share.

import { type Clock, systemClock } from "../core/clock";
import type { ConnectionKind } from "../core/connections";
import { isKind } from "../core/errors";
import { Experience } from "../core/experience";
import { SharedLook } from "../core/sharedLook";
import { Cinder, type ListSnapshots, type SnapshotRow, whatIsMissing } from "./cinder";
import { resolveOpenStack } from "./connection";
import { OpenStackSession } from "./keystone";

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
  /** For snapshots that are being made: ours bear an open mark until the run has ended. */
  readonly creating: SharedLook<SnapshotRow>;
  readonly deleting: SharedLook<SnapshotRow>;
  /** How long this cloud takes for either. */
  readonly experience = { creating: new Experience(), deleting: new Experience() };

  constructor(
    readonly session: OpenStackSession,
    private readonly clock: Clock = systemClock,
  ) {
    this.cinder = new Cinder(session);
    this.creating = this.sharedLook({ metadata: { [MARKS.phase]: "open" } }, false);
    this.deleting = this.sharedLook({ status: "deleting" }, true);
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
