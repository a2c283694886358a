// Snapshot: a point-in-time copy of a Cinder volume. `available` when `up` returns, renamed and retagged in place,
// truly gone when `destroy` returns.

import { z } from "zod";
import { AbsenceTimer } from "../../core/absence";
import type { Definition, Observed, OwnedObject, OwnershipRecord, Pending, State } from "../../core/definition";
import { SnapcloneError } from "../../core/errors";
import { connectionName } from "../../core/inputs";
import { type Evaluation, poll } from "../../core/poll";
import { type SnapshotRow, whatIsMissing } from "../cinder";
import { type OpenStackContext, openstack, RECORD_KEYS } from "../context";
import { type Deletion, deleteUntilGone, INTERVAL } from "../deletion";
import { printable, text, uuid } from "../inputs";

export interface SnapshotInputs {
  volumeId: string;
  name?: string;
  description?: string;
  metadata?: Record<string, string>;
  force?: boolean;
  triggers?: unknown[];
  connection?: string;
}

export const snapshot: Definition<SnapshotInputs, OpenStackContext> = {
  displayName: "snapshot",
  connection: openstack,
  inputs: {
    volumeId: { onChange: "replace", schema: uuid("a volume") },
    name: { onChange: "update", schema: text().optional() },
    description: { onChange: "update", schema: printable().optional() },
    metadata: { onChange: "update", schema: metadata().optional() },
    force: { onChange: "ignore", schema: z.boolean("must be true or false").optional(), default: false },
    triggers: { onChange: "replace", schema: z.array(z.unknown(), "must be a list").optional() },
    connection: { onChange: "replace", schema: connectionName().optional() },
  },
  autoName: "name",
  // Cinder itself allows an assisted snapshot 600 s and its merge 7200 s (cinder/volume/drivers/remotefs.py:1917–2080);
  // deletes of one NFS backend come one after another (docs/wire/openstack.md#seen-times).
  timeouts: { create: "30m", update: "5m", delete: "30m" },
  // What ends in `error` while being created holds no data.
  onFailedCreate: "replace",

  describe: ({ name, id, volumeId }) =>
    typeof name === "string" ? `snapshot "${name}"` : `snapshot ${id ?? `of volume ${volumeId}`}`,

  async listOwned(cloud, { stack }) {
    // Builds before 0.2 wrote no stack: of theirs, those marked `open` may be ours.
    const rows = await cloud.snapshotsWith([{ [RECORD_KEYS.stack]: stack }, { [RECORD_KEYS.phase]: "open" }]);
    return rows.filter(({ status }) => !/deleting|deleted/i.test(status)).map(ownedObject);
  },

  async recordOwnership(cloud, id, record, known, inputs) {
    const keys = [...Object.keys(asMetadata(known.metadata)), ...Object.keys(inputs.metadata ?? {})];
    // Builds before 0.2 look for `open` alone: they must not adopt what is adopted here. What they have recorded has no stack.
    const isOld = known.__phase !== undefined || (known.__owner !== undefined && known.__stack === undefined);
    const phase = isOld ? { [RECORD_KEYS.phase]: "settled" } : {};
    await cloud.cinder.createSnapshotMetadata(id, { ...recordMetadata(record, keys), ...phase });
  },

  async beginCreate(cloud, inputs, record, context) {
    const wanted = {
      volume_id: inputs.volumeId,
      name: inputs.name,
      description: inputs.description,
      metadata: { ...inputs.metadata, ...recordMetadata(record, Object.keys(inputs.metadata ?? {})) },
      force: inputs.force,
    };
    const row = await cloud.cinder.createSnapshot(wanted, context);
    return { id: row.id, task: {}, initialState: row };
  },

  async waitForCreate(cloud, { id, task, initialState }, inputs, context) {
    // An update that was interrupted: it goes on from what is there.
    if (Array.isArray(task.unset))
      return observed(await cloud.cinder.showSnapshot(id), Object.keys(inputs.metadata ?? {}));
    const looks = cloud.creating(context.stack);
    const leave = looks.register();
    const absence = new AbsenceTimer(context.clock);
    try {
      const row = await poll<SnapshotRow | undefined>({
        description: `snapshot ${id} to become available`,
        fetch: (signal) => looks.fetch(id, signal),
        notified: (signal) => looks.subscribe(id, signal),
        evaluate: (seen) => judgeCreation(cloud, id, seen, absence),
        ...(initialState ? { initial: initialState as SnapshotRow } : {}),
        interval: INTERVAL,
        estimator: cloud.experience.creating,
        context: context,
      });
      return observed(row as SnapshotRow, Object.keys(inputs.metadata ?? {}));
    } finally {
      leave();
    }
  },

  async read(cloud, id, known, signal) {
    const row = await cloud.snapshot(id, signal);
    return row && observed(row, managedKeys(known));
  },

  async update(cloud, id, from, inputs, known, context) {
    const { name, description } = inputs;
    const patch = {
      ...(name !== undefined && name !== from.state.name ? { name } : {}),
      ...((description ?? null) !== (from.state.description ?? null) ? { description: description ?? null } : {}),
    };
    const wanted = inputs.metadata ?? {};
    const there = asMetadata(from.state.metadata);
    // Of an entry that was imported and never updated, nothing but what the program says is ours.
    const ours = known.__owner === undefined ? [] : Object.keys(asMetadata(known.metadata));
    const before = [...new Set([...ours, ...leftToUnset(known)])];
    const unset = before.filter((key) => !Object.hasOwn(wanted, key));
    const set = Object.fromEntries(Object.entries(wanted).filter(([key, value]) => there[key] !== value));
    // The record's list of the program's keys is one of those.
    const keys = managedText(Object.keys(wanted));
    if (known.__owner !== undefined && keys !== managedText(before)) {
      if (keys === undefined) unset.push(RECORD_KEYS.managed);
      else set[RECORD_KEYS.managed] = keys;
    }

    if (Object.keys(patch).length > 0) await cloud.cinder.updateSnapshot(id, patch, context);
    // One merging request for what is set, one a key for what is not: replacing the whole map would be one in all, and
    // take away what others have set (docs/wire/openstack.md#a7).
    const isUnset = unset.length > 0;
    // The state's next entry has the program's keys: what is to be taken away would be nobody's if it failed.
    if (isUnset) context.accepted({ unset });
    if (Object.keys(set).length > 0) await cloud.cinder.createSnapshotMetadata(id, set);
    await unsetKeys(cloud, id, unset);
    if (isUnset) context.done();

    const touched = Object.keys(patch).length + Object.keys(set).length + unset.length > 0;
    const row = touched ? await cloud.cinder.showSnapshot(id) : undefined;
    if (row) return observed(row, Object.keys(wanted));
    const managed = Object.entries(there).filter(([key]) => Object.hasOwn(wanted, key));
    return { state: { ...from.state, metadata: Object.fromEntries(managed) } };
  },

  async delete(cloud, id, _known, context) {
    const deletion: Deletion = {
      noun: "snapshot",
      id,
      cinder: cloud.cinder,
      ask: () => cloud.cinder.deleteSnapshot(id, context),
      poller: cloud.deleting,
      estimator: cloud.experience.deleting,
      whenTakenBack:
        "Something still uses it: delete the volumes that were made from it, or wait for their copies to finish.",
      whenFailed:
        "An administrator has to look at the backend and then reset the status (`openstack volume snapshot set --state available`).",
    };
    return deleteUntilGone(deletion, context);
  },

  async diagnose(cloud, id, { status }) {
    if (!/^error/i.test(String(status))) return undefined;
    const why = await cloud.cinder.whyError(id);
    return `is in status "${status}"${why ? `: ${why}` : ""}. Look at the backend, then reset its status or replace it.`;
  },

  identity: (cloud, _known, signal) => cloud.session.identity("blockStorage", signal),
  serverTime: (cloud) => cloud.session.serverTime("blockStorage"),
};

/** The statuses and what follows what: docs/wire/openstack.md#a8. Compared case-blind, as openstacksdk does. */
async function judgeCreation(
  cloud: OpenStackContext,
  id: string,
  row: SnapshotRow | undefined,
  absence: AbsenceTimer,
): Promise<Evaluation> {
  const isGone = absence.isProven(row !== undefined);
  if (!row && !isGone) return { is: "pending", progress: "Cinder does not show it yet" };
  if (!row) {
    const message = `snapshot ${id} vanished while it was being created: somebody deleted it, or its volume with everything on it`;
    return { is: "failed", error: new SnapcloneError({ kind: "notFound", message }) };
  }
  const status = row.status.toLowerCase();
  const progress = [row.status, row["os-extended-snapshot-attributes:progress"]].filter(Boolean).join(" ");
  if (status === "available") return { is: "done", progress };
  if (status === "error") return { is: "failed", error: await creationFailed(cloud, row) };
  if (/delet|unmanag/.test(status)) {
    const message = `snapshot ${id} is in status "${row.status}": somebody else is removing it`;
    return { is: "failed", error: new SnapcloneError({ kind: "failed", message }) };
  }
  return { is: "pending", progress };
}

async function creationFailed(cloud: OpenStackContext, { id, volume_id }: SnapshotRow): Promise<SnapcloneError> {
  const why = await cloud.cinder.whyError(id);
  return new SnapcloneError({
    kind: "failed",
    message: why
      ? `Cinder could not make it (snapshot ${id} is in status "error"): ${why}`
      : // A scheduler that finds no backend leaves no message (docs/wire/openstack.md#a11).
        `snapshot ${id} of volume ${volume_id} is in status "error", and Cinder left no message why`,
    hint: why
      ? "Look at the storage backend of the volume."
      : "That is how it looks when no backend takes the request: see whether cinder-volume is up (`openstack volume service list`) and has space.",
  });
}

async function unsetKeys(cloud: OpenStackContext, id: string, keys: readonly string[]): Promise<void> {
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
  const keys = managed === "all" ? Object.keys(row.metadata).filter((key) => !isOwnKey(key)) : managed;
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
  };
}

/** A resource that is only read (`get`) manages nothing and shows everything; so does an imported one until its update. */
function managedKeys(known: State): readonly string[] | "all" {
  return known.metadata === undefined && known.__owner === undefined ? "all" : Object.keys(asMetadata(known.metadata));
}

function ownedObject(row: SnapshotRow): OwnedObject {
  const { [RECORD_KEYS.phase]: phase, [RECORD_KEYS.managed]: managed = "" } = row.metadata;
  return {
    id: row.id,
    task: {},
    initialState: row,
    stack: row.metadata[RECORD_KEYS.stack],
    owner: row.metadata[RECORD_KEYS.owner] ?? "",
    inputs: row.metadata[RECORD_KEYS.inputs] ?? "",
    attempt: row.metadata[RECORD_KEYS.attempt],
    phase: phase === "open" || phase === "settled" ? phase : undefined,
    createdAt: utc(row.created_at),
    label: row.name ?? undefined,
    // Others may have set further keys: those stay.
    state: {
      ...observed(row, managed === "" ? [] : managed.split(",")).state,
      ...(phase === undefined ? {} : { __phase: phase }),
    },
  };
}

function recordMetadata({ stack, owner, inputs, attempt }: OwnershipRecord, keys: readonly string[]) {
  if (owner === "") return {};
  const managed = managedText(keys);
  return {
    [RECORD_KEYS.stack]: stack,
    [RECORD_KEYS.owner]: owner,
    [RECORD_KEYS.inputs]: inputs,
    ...(attempt === undefined ? {} : { [RECORD_KEYS.attempt]: attempt }),
    ...(managed === undefined ? {} : { [RECORD_KEYS.managed]: managed }),
  };
}

/** undefined: there are none, or more than a value holds. */
function managedText(keys: readonly string[]): string | undefined {
  const text = [...new Set(keys)].sort().join(",");
  return text === "" || text.length > 255 ? undefined : text;
}

/** The metadata keys that an interrupted update was to take away. */
function leftToUnset({ pending }: State): string[] {
  const { task } = (pending ?? {}) as Partial<Pending>;
  const keys: readonly unknown[] = Array.isArray(task?.unset) ? task.unset : [];
  return keys.map(String).filter((key) => key !== RECORD_KEYS.managed);
}

function isOwnKey(key: string): boolean {
  return key.startsWith("snapclone:");
}

function asMetadata(value: unknown): Record<string, string> {
  return typeof value === "object" && value !== null ? (value as Record<string, string>) : {};
}

/** Cinder's times are UTC and do not say so (docs/wire/openstack.md#a3). */
function utc(time: string | null): string | undefined {
  if (time === null) return undefined;
  return /(Z|[+-]\d\d:?\d\d)$/.test(time) ? time : `${time}Z`;
}

// --- what the metadata may be: cinder/api/validation/parameter_types.py (docs/wire/openstack.md#a2)

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
      else if (isOwnKey(key)) refuse("keys that begin with snapclone: are the provider's own", key);
      if (typeof inner !== "string") refuse(`must be a string; write ${JSON.stringify(String(inner))}`, key);
      else if (inner.length > 255) refuse("must not be longer than 255 characters", key);
    }
    return value as Record<string, string>;
  });
}
