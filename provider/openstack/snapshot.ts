// Snapshot: a point-in-time copy of a Cinder volume. `available` when `up` returns, renamed and retagged in place,
// truly gone when `destroy` returns.

import { z } from "zod";
import type { Definition, Marker, Observed, OpenObject, State } from "../core/definition";
import { SnapcloneError } from "../core/errors";
import { connectionName } from "../core/inputs";
import { type Verdict, waitFor } from "../core/wait";
import { type SnapshotRow, whatIsMissing } from "./cinder";
import { type Cloud, MARKS, openstack } from "./cloud";
import { type Deletion, deleteUntilGone, PACE } from "./deletion";
import { printable, text, uuid } from "./inputs";

export interface SnapshotInputs {
  volumeId: string;
  name?: string;
  description?: string;
  metadata?: Record<string, string>;
  force?: boolean;
  triggers?: unknown[];
  connection?: string;
}

export const snapshot: Definition<SnapshotInputs, Cloud> = {
  noun: "snapshot",
  connection: openstack,
  inputs: {
    volumeId: { onChange: "replace", schema: uuid("a volume") },
    name: { onChange: "update", schema: text().optional() },
    description: { onChange: "update", schema: printable().optional() },
    metadata: { onChange: "update", schema: metadata().optional() },
    force: { onChange: "ignore", schema: z.boolean("must be true or false").optional() },
    triggers: { onChange: "replace", schema: z.array(z.unknown(), "must be a list").optional() },
    connection: { onChange: "replace", schema: connectionName().optional() },
  },
  autoName: "name",
  // Cinder itself allows an assisted snapshot 600 s and its merge 7200 s (cinder/volume/drivers/remotefs.py:1917–2080);
  // deletes of one NFS backend come one after another (reference openstack-seen.md, times).
  timeouts: { create: "30m", update: "5m", delete: "30m" },
  // What ends in `error` while being created holds no data.
  afterFailedCreate: "replace",

  describe: ({ name, id, volumeId }) =>
    typeof name === "string" ? `snapshot "${name}"` : `snapshot ${id ?? `of volume ${volumeId}`}`,

  async listOpen(cloud) {
    const { snapshots } = await cloud.cinder.listSnapshotsDetail({ metadata: { [MARKS.phase]: "open" } });
    return snapshots.filter(({ status }) => !/deleting|deleted/i.test(status)).map(openObject);
  },

  async claim(cloud, id, run) {
    await cloud.cinder.updateSnapshotMetadataKey(id, MARKS.adopted, run);
  },

  async settle(cloud, id) {
    await cloud.cinder.updateSnapshotMetadataKey(id, MARKS.phase, "settled");
  },

  async start(cloud, inputs, marker) {
    const row = await cloud.cinder.createSnapshot({
      volume_id: inputs.volumeId,
      name: inputs.name,
      description: inputs.description,
      metadata: { ...inputs.metadata, ...marks(marker) },
      force: inputs.force,
    });
    return { id: row.id, task: {}, seen: row };
  },

  async finish(cloud, accepted, inputs, job) {
    const leave = cloud.creating.join();
    try {
      const row = await waitFor<SnapshotRow | undefined>({
        what: `snapshot ${accepted.id} to become available`,
        look: (signal) => cloud.creating.look(accepted.id, signal),
        news: (signal) => cloud.creating.news(accepted.id, signal),
        judge: (seen) => judgeCreation(cloud, accepted.id, seen),
        ...(accepted.seen ? { first: accepted.seen as SnapshotRow } : {}),
        pace: PACE,
        experience: cloud.experience.creating,
        job,
      });
      return observed(row as SnapshotRow, Object.keys(inputs.metadata ?? {}));
    } finally {
      leave();
    }
  },

  async observe(cloud, id, known, signal) {
    const row = await cloud.snapshot(id, signal);
    return row && observed(row, managedKeys(known));
  },

  async change(cloud, id, from, inputs, known) {
    const { name, description } = inputs;
    const patch = {
      ...(name !== undefined && name !== from.state.name ? { name } : {}),
      ...((description ?? null) !== (from.state.description ?? null) ? { description: description ?? null } : {}),
    };
    const wanted = inputs.metadata ?? {};
    const there = asMetadata(from.state.metadata);
    const set = Object.entries(wanted).filter(([key, value]) => there[key] !== value);
    const unset = Object.keys(asMetadata(known.metadata)).filter((key) => !Object.hasOwn(wanted, key));

    if (Object.keys(patch).length > 0) await cloud.cinder.updateSnapshot(id, patch);
    // One merging request for what is set, one a key for what is not: replacing the whole map would be one in all, and
    // take away what others have set (§A7).
    if (set.length > 0) await cloud.cinder.createSnapshotMetadata(id, Object.fromEntries(set));
    await unsetKeys(cloud, id, unset);

    const touched = Object.keys(patch).length + set.length + unset.length > 0;
    const row = touched ? await cloud.cinder.showSnapshot(id) : undefined;
    return row ? observed(row, Object.keys(wanted)) : from;
  },

  async remove(cloud, id, _known, job) {
    const deletion: Deletion = {
      noun: "snapshot",
      id,
      cinder: cloud.cinder,
      ask: () => cloud.cinder.deleteSnapshot(id),
      looks: cloud.deleting,
      experience: cloud.experience.deleting,
      whenTakenBack:
        "Something still uses it: delete the volumes that were made from it, or wait for their copies to finish.",
      whenFailed:
        "An administrator has to look at the backend and then reset the status (`openstack volume snapshot set --state available`).",
    };
    await deleteUntilGone(deletion, job);
  },

  async problem(cloud, id, { status }) {
    if (!/^error/i.test(String(status))) return undefined;
    const why = await cloud.cinder.whyError(id);
    return `is in status "${status}"${why ? `: ${why}` : ""}. Look at the backend, then reset its status or replace it.`;
  },
};

/** The statuses and what follows what: reference openstack-powervc.md §A8. Compared case-blind, as openstacksdk does. */
async function judgeCreation(cloud: Cloud, id: string, row: SnapshotRow | undefined): Promise<Verdict> {
  if (!row) {
    const said = `snapshot ${id} vanished while it was being created: somebody deleted it, or its volume with everything on it`;
    return { is: "failed", error: new SnapcloneError({ kind: "notFound", said }) };
  }
  const status = row.status.toLowerCase();
  const progress = [row.status, row["os-extended-snapshot-attributes:progress"]].filter(Boolean).join(" ");
  if (status === "available") return { is: "done", progress };
  if (status === "error") return { is: "failed", error: await creationFailed(cloud, row) };
  if (/delet|unmanag/.test(status)) {
    const said = `snapshot ${id} is in status "${row.status}": somebody else is removing it`;
    return { is: "failed", error: new SnapcloneError({ kind: "failed", said }) };
  }
  return { is: "pending", progress };
}

async function creationFailed(cloud: Cloud, { id, volume_id }: SnapshotRow): Promise<SnapcloneError> {
  const why = await cloud.cinder.whyError(id);
  return new SnapcloneError({
    kind: "failed",
    said: why
      ? `Cinder could not make it (snapshot ${id} is in status "error"): ${why}`
      : // A scheduler that finds no backend leaves no message (§A11).
        `snapshot ${id} of volume ${volume_id} is in status "error", and Cinder left no message why`,
    remedy: why
      ? "Look at the storage backend of the volume."
      : "That is how it looks when no backend takes the request: see whether cinder-volume is up (`openstack volume service list`) and has space.",
  });
}

async function unsetKeys(cloud: Cloud, id: string, keys: readonly string[]): Promise<void> {
  // A key with a slash can be made and has no address of its own: `%2F` ends in a 404 without a route (seen on Cinder
  // 21.3). For such keys the map is read and written back as a whole.
  if (keys.some((key) => key.includes("/"))) {
    const all = await cloud.cinder.showSnapshotMetadata(id);
    const kept = Object.entries(all).filter(([key]) => !keys.includes(key));
    await cloud.cinder.replaceSnapshotMetadata(id, Object.fromEntries(kept));
    return;
  }
  for (const key of keys) {
    try {
      await cloud.cinder.deleteSnapshotMetadataKey(id, key);
    } catch (error) {
      if (whatIsMissing(error) !== "metadataKey") throw error;
    }
  }
}

/** A row as outputs. Of the metadata only the keys that the program manages: the others are other people's. */
export function observed(row: SnapshotRow, managed: readonly string[] | "all"): Observed {
  const keys = managed === "all" ? Object.keys(row.metadata).filter((key) => !isMark(key)) : managed;
  return {
    state: {
      volumeId: row.volume_id,
      name: row.name ?? undefined,
      description: row.description ?? undefined,
      metadata: Object.fromEntries(
        keys.filter((key) => Object.hasOwn(row.metadata, key)).map((key) => [key, row.metadata[key]]),
      ),
      status: row.status,
      progress: row["os-extended-snapshot-attributes:progress"] ?? undefined,
      sizeGiB: row.size,
      createdAt: utc(row.created_at),
      updatedAt: utc(row.updated_at),
      projectId: row["os-extended-snapshot-attributes:project_id"] ?? undefined,
      userId: row.user_id ?? undefined,
      groupSnapshotId: row.group_snapshot_id ?? undefined,
      consumesQuota: row.consumes_quota ?? undefined,
    },
    openOwner: row.metadata[MARKS.phase] === "open" ? row.metadata[MARKS.owner] : undefined,
    adoptedBy: row.metadata[MARKS.adopted],
  };
}

/** A resource that was only read (`get`) manages nothing: it shows everything. */
function managedKeys(known: State): readonly string[] | "all" {
  return known.metadata === undefined ? "all" : Object.keys(asMetadata(known.metadata));
}

function openObject(row: SnapshotRow): OpenObject {
  return {
    id: row.id,
    task: {},
    seen: row,
    owner: row.metadata[MARKS.owner] ?? "",
    inputs: row.metadata[MARKS.inputs] ?? "",
    state: observed(row, "all").state,
  };
}

function marks({ owner, inputs }: Marker): Record<string, string> {
  return owner === "" ? {} : { [MARKS.owner]: owner, [MARKS.inputs]: inputs, [MARKS.phase]: "open" };
}

function isMark(key: string): boolean {
  return key.startsWith("snapclone:");
}

function asMetadata(value: unknown): Record<string, string> {
  return typeof value === "object" && value !== null ? (value as Record<string, string>) : {};
}

/** Cinder's times are UTC and do not say so (§A3). */
function utc(time: string | null): string | undefined {
  if (time === null) return undefined;
  return /(Z|[+-]\d\d:?\d\d)$/.test(time) ? time : `${time}Z`;
}

// --- what the metadata may be: cinder/api/validation/parameter_types.py (reference §A2)

function metadata() {
  return z.unknown().transform((value, context): Record<string, string> => {
    const refuse = (message: string, ...path: string[]) => {
      context.addIssue({ code: "custom", message, path, input: value });
    };
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      refuse("must be an object of strings");
      return z.NEVER;
    }
    for (const [key, inner] of Object.entries(value)) {
      if (key === "") refuse("a key must not be empty", key);
      else if (key.length > 255) refuse("a key must not be longer than 255 characters", key);
      else if (!/^[a-zA-Z0-9\-_:. /]+$/.test(key))
        refuse("a key may have letters, digits, blanks and - _ : . / only", key);
      else if (isMark(key)) refuse("keys that begin with snapclone: are the provider's own", key);
      if (typeof inner !== "string") refuse(`must be a string; write ${JSON.stringify(String(inner))}`, key);
      else if (inner.length > 255) refuse("must not be longer than 255 characters", key);
    }
    return value as Record<string, string>;
  });
}
