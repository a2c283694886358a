// The questions a program can ask while it runs. Same connections, same clients, same errors as the resources.

import { Connections } from "./core/connection/connections";
import { asSnapcloneError, SnapcloneError } from "./core/errors";
import { systemClock } from "./core/util/clock";
import { toState } from "./core/util/toState";
import type { SnapshotRow } from "./openstack/cinder";
import { openstack } from "./openstack/context";
import { observed } from "./openstack/snapshot/state";

/** A snapshot as the lookups return it: every key of its metadata, not only managed ones. */
export interface SnapshotInfo {
  id: string;
  volumeId: string;
  name?: string;
  description?: string;
  metadata: Record<string, string>;
  status: string;
  progress?: string;
  sizeGiB: number;
  createdAt?: string;
  updatedAt?: string;
  projectId?: string;
  userId?: string;
  groupSnapshotId?: string;
  consumesQuota?: boolean;
}

/** Which snapshots to list. Each condition that is given must hold. */
export interface ListSnapshotsArgs {
  connection?: string;
  name?: string;
  status?: string;
  volumeId?: string;
  /** Each of these keys with this value. */
  metadata?: Record<string, string>;
  consumesQuota?: boolean;
  availabilityZone?: string;
  /** Every project's; without effect for anyone but an administrator. */
  allTenants?: boolean;
  /** Cinder's own form, such as `created_at:desc,id`. Default: the newest first. */
  sort?: string;
}

/** Which snapshot to get: by its id, or the one that all the other conditions leave. */
export interface GetSnapshotArgs extends ListSnapshotsArgs {
  id?: string;
  /** Of several, the newest. Default: several are an error. */
  mostRecent?: boolean;
}

export interface Lookups {
  getSnapshot(args: GetSnapshotArgs): Promise<SnapshotInfo>;
  /** An object, as every answer to an invoke of Pulumi is. */
  listSnapshots(args: ListSnapshotsArgs): Promise<{ snapshots: SnapshotInfo[] }>;
}

/** What a lookup may wait for a rate limit. */
const PATIENCE_MS = 600_000;

let connections: { config: string | undefined; open: Connections } | undefined;

export function lookups(stackConfig: string | undefined): Lookups {
  if (connections?.config !== stackConfig || !connections) {
    const warn = (text: string) => console.warn(`pulumi-snapclone: ${text}`);
    const patience = () => ({ deadline: systemClock.now() + PATIENCE_MS, progress: warn });
    connections = { config: stackConfig, open: new Connections(() => stackConfig, warn, patience) };
  }
  const { open } = connections;
  return {
    getSnapshot: (args) => during(`get ${describe(args)}`, () => getSnapshot(open, args)),
    listSnapshots: (args) =>
      during("list snapshots", async () => ({ snapshots: (await rows(open, args)).map(toInfo) })),
  };
}

async function getSnapshot(open: Connections, args: GetSnapshotArgs): Promise<SnapshotInfo> {
  if (args.id !== undefined) {
    const row = await open.open(openstack, args.connection).snapshot(args.id);
    if (row) return toInfo(row);
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
  return toInfo(newest);
}

async function rows(open: Connections, args: ListSnapshotsArgs): Promise<SnapshotRow[]> {
  const { snapshots } = await open.open(openstack, args.connection).cinder.listSnapshotsDetail({
    name: args.name,
    status: args.status,
    volume_id: args.volumeId,
    metadata: args.metadata,
    consumes_quota: args.consumesQuota,
    availability_zone: args.availabilityZone,
    all_tenants: args.allTenants,
    sort: args.sort,
  });
  return snapshots;
}

function toInfo(row: SnapshotRow): SnapshotInfo {
  return toState({ id: row.id, ...observed(row, "all").state }) as unknown as SnapshotInfo;
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
