// The questions a program can ask while it runs. Same connections, same clients, same errors as the resources.

import { Connections } from "./core/connection/connections";
import { UNBOUND_PATIENCE_MS } from "./core/currentOperation";
import { asSnapcloneError, SnapcloneError } from "./core/errors";
import { systemClock } from "./core/util/clock";
import { toState } from "./core/util/toState";
import { overlayOwner } from "./openstack/assistedSnapshot/ownership";
import type { SnapshotRow } from "./openstack/cinder";
import { type OpenStackContext, openstack } from "./openstack/context";
import { managedBy } from "./openstack/snapshot/ownership";
import { observed } from "./openstack/snapshot/state";

/** A snapshot as the lookups return it. */
export interface SnapshotInfo {
  id: string;
  volumeId: string;
  name?: string;
  description?: string;
  /** Every key that somebody has set, except the provider's own: those are in `managedBy` and `overlay`. */
  metadata: Record<string, string>;
  /** Cinder's status, such as `available`. */
  status: string;
  /** Cinder's progress, such as `100%`. Absent where the cloud's policy hides it. */
  progress?: string;
  /** The size of the volume when it was copied, in GiB. */
  sizeGiB: number;
  /** When the snapshot was made, by Cinder's clock: ISO 8601, UTC. */
  createdAt?: string;
  /** When the snapshot was last changed: ISO 8601, UTC. Absent until then. */
  updatedAt?: string;
  /** The project that owns the snapshot. Absent where the cloud's policy hides it. */
  projectId?: string;
  /** The user who made the snapshot. Absent below API 3.41. */
  userId?: string;
  /** The group snapshot that it is part of. Absent below API 3.14. */
  groupSnapshotId?: string;
  /** Whether the snapshot counts against the project's quota. Absent below API 3.65. */
  consumesQuota?: boolean;
  /** The ownership record of the Pulumi resource that made or adopted the snapshot. Absent on any other snapshot. */
  managedBy?: ManagedBy;
  /** The record of an `AssistedSnapshot` that uses this snapshot. Absent if there is none. */
  overlay?: OverlayOwner;
}

/**
 * A snapshot's ownership record. It says who made the snapshot. Only `pulumi stack export` says whether a state holds
 * the snapshot (docs/ownership.md).
 */
export interface ManagedBy {
  /** The URN of the resource. */
  owner: string;
  /** A digest of the state store, organisation, project and stack. Absent on snapshots of early builds. */
  stack?: string;
  /** A fingerprint of the inputs that can't change in place. */
  inputs?: string;
  /** Which create made or adopted the snapshot. */
  attempt?: string;
  /** On snapshots of early builds: `open` until their run had ended well, then `settled`. */
  phase?: string;
  /** The age of the snapshot in seconds, by Cinder's clock. It changes with each run: don't export it. */
  ageSeconds?: number;
}

/** The part of an overlay's record that names its owner and says how far the overlay has got. */
export interface OverlayOwner {
  /** The URN of the `AssistedSnapshot`. */
  owner: string;
  /** A digest of the state store, organisation, project and stack. Absent on overlays of early builds. */
  stack?: string;
  /** The file that the disk was switched to. */
  file?: string;
  /** How far the overlay has got (docs/assisted-snapshot.md). */
  phase?: string;
}

/** Which snapshots to list. A snapshot must meet all given conditions. */
export interface ListSnapshotsArgs {
  /** The name of the connection to ask, one of the kind `openstack`. Default: `default`. */
  connection?: string;
  /** The snapshot's whole name. */
  name?: string;
  /** Cinder's status, such as `available` or `error`. */
  status?: string;
  /** The UUID of the volume that the snapshots are of. */
  volumeId?: string;
  /**
   * The keys and values that the snapshot's metadata must have. The provider's own keys, such as `snapclone:stack`,
   * count too.
   */
  metadata?: Record<string, string>;
  /** Only snapshots that count against the quota, or only others. Needs Block Storage API 3.65. */
  consumesQuota?: boolean;
  /** The availability zone of the volume. */
  availabilityZone?: string;
  /** List the snapshots of all projects. It has no effect unless the user is an administrator. */
  allTenants?: boolean;
  /** Cinder's own form, such as `created_at:desc,id`. Default: the newest first. */
  sort?: string;
}

/** Which snapshot to read: the one with this id, or the only one that meets all other conditions. */
export interface GetSnapshotArgs extends ListSnapshotsArgs {
  /** The snapshot's UUID. With it, all other arguments except `connection` are ignored. */
  id?: string;
  /** If several snapshots match, take the newest. Default: several matches are an error. */
  mostRecent?: boolean;
}

export interface Lookups {
  getSnapshot(args: GetSnapshotArgs): Promise<SnapshotInfo>;
  /** An object, as every answer to an invoke of Pulumi is. */
  listSnapshots(args: ListSnapshotsArgs): Promise<{ snapshots: SnapshotInfo[] }>;
}

let connections: { config: string | undefined; open: Connections } | undefined;

/** In the program's process. */
export function lookups(stackConfig: string | undefined): Lookups {
  if (connections?.config !== stackConfig || !connections) {
    const warn = (text: string) => console.warn(`pulumi-snapclone: ${text}`);
    const patience = () => ({ deadline: systemClock.now() + UNBOUND_PATIENCE_MS, progress: warn });
    connections = { config: stackConfig, open: new Connections(() => stackConfig, warn, patience) };
  }
  return lookupsOn(connections.open);
}

export function lookupsOn(open: Connections): Lookups {
  return {
    getSnapshot: (given) => {
      const args = withoutNulls(given);
      return during(`get ${describe(args)}`, () => getSnapshot(open, args));
    },
    listSnapshots: (given) =>
      during("list snapshots", async () => {
        const args = withoutNulls(given);
        const found = await rows(open, args);
        return { snapshots: found.map((row) => toInfo(row, open.open(openstack, args.connection))) };
      }),
  };
}

/** A program in YAML or JavaScript gives null for an absent condition. */
function withoutNulls<Args extends object>(args: Args): Args {
  return Object.fromEntries(Object.entries(args).filter(([, value]) => value !== null)) as Args;
}

async function getSnapshot(open: Connections, args: GetSnapshotArgs): Promise<SnapshotInfo> {
  const cloud = open.open(openstack, args.connection);
  if (args.id !== undefined) {
    const row = await cloud.snapshot(args.id);
    if (row) return toInfo(row, cloud);
    throw new SnapcloneError({ kind: "notFound", message: "it does not exist, or belongs to another project" });
  }
  const found = await rows(open, args);
  found.sort((a, b) => ((a.created_at ?? "") < (b.created_at ?? "") ? 1 : -1));
  const [newest, ...others] = found;
  if (!newest) throw new SnapcloneError({ kind: "notFound", message: "no snapshot meets these conditions" });
  if (others.length > 0 && !args.mostRecent) {
    throw new SnapcloneError({
      kind: "input",
      message: `${found.length} snapshots meet these conditions, ${newest.id} and ${others[0]?.id} among them`,
      hint: "Add conditions, or set mostRecent to take the newest.",
    });
  }
  return toInfo(newest, cloud);
}

async function rows(open: Connections, args: ListSnapshotsArgs): Promise<SnapshotRow[]> {
  const cloud = open.open(openstack, args.connection);
  const query = {
    name: args.name,
    status: args.status,
    volume_id: args.volumeId,
    consumes_quota: args.consumesQuota,
    availability_zone: args.availabilityZone,
    all_tenants: args.allTenants,
    sort: args.sort,
  };
  return args.metadata === undefined
    ? (await cloud.cinder.listSnapshotsDetail(query)).snapshots
    : cloud.snapshotsWith([args.metadata], query);
}

function toInfo(row: SnapshotRow, { session }: OpenStackContext): SnapshotInfo {
  const now = session.serverTime("blockStorage") ?? systemClock.date();
  const owners = { managedBy: managedBy(row, now), overlay: overlayOwner(row) };
  return toState({ id: row.id, ...observed(row, "all").state, ...owners }) as unknown as SnapshotInfo;
}

/** Pulumi prints the stack of what a program throws: for an expected failure its message says all. */
async function during<T>(operation: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asSnapcloneError(error, operation);
  }
}

function describe({ id, name }: GetSnapshotArgs): string {
  return id !== undefined ? `snapshot ${id}` : name !== undefined ? `snapshot "${name}"` : "a snapshot";
}
