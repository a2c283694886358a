// VolumeClone: copies of several volumes at one consistent instant, by IBM PowerVC. All of them are available when `up`
// returns; all of them are gone when `destroy` returns.

import { z } from "zod";
import type { Accepted, Definition, Job, Observed, Pending, State } from "../core/definition";
import { isKind, SnapcloneError } from "../core/errors";
import { connectionName } from "../core/inputs";
import type { VolumeRow } from "../openstack/cinder";
import { uuid } from "../openstack/inputs";
import { type PowerVc, powervc } from "./cloud";
import { type Flow, flowEnd, type Outcome } from "./flow";
import {
  intentsOn,
  isTagged,
  isTechnicalName,
  type Member,
  membersOf,
  newSetId,
  noteAdoption,
  noteIntent,
  noteTask,
  openSets,
  prefixOf,
  TAGS,
  taskOf,
  withdrawIntent,
} from "./marks";
import { displayNameOf, wantedName } from "./names";
import { refuseAttached, removeAll, untilUsable } from "./volumes";

export interface VolumeCloneInputs {
  volumes: string[];
  displayName?: string;
  description?: string;
  targetVolumeTypeId?: string;
  triggers?: unknown[];
  connection?: string;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export const volumeClone: Definition<VolumeCloneInputs, PowerVc> = {
  noun: "volume clone",
  connection: powervc,
  inputs: {
    volumes: {
      // In another order the clones are the same; their numbers change.
      onChange: (olds, news) => (sameSet(olds.volumes, news.volumes) ? "update" : "replace"),
      fixed: (volumes) => [...(volumes ?? [])].sort(),
      schema: sourceVolumes(),
    },
    displayName: { onChange: "update", schema: displayName().optional() },
    description: { onChange: "update", schema: description().optional() },
    targetVolumeTypeId: { onChange: "replace", schema: uuid("a volume type").optional() },
    triggers: { onChange: "replace", schema: z.array(z.unknown(), "must be a list").optional() },
    connection: { onChange: "replace", schema: connectionName().optional() },
  },
  // Group clones copy data, and PowerVC tells no limit; an hour is twice what Snapshot has.
  timeouts: { create: "1h", update: "5m", delete: "30m" },
  // What PowerVC has taken back holds no consistent instant.
  afterFailedCreate: "replace",

  describe({ displayName, volumes, id }) {
    if (typeof displayName === "string") return `volume clone "${displayName}"`;
    const count = Array.isArray(volumes) ? volumes.length : 0;
    return `volume clone ${id ?? (count === 1 ? `of volume ${volumes}` : `of ${count} volumes`)}`;
  },

  async listOpen(cloud) {
    // No filter: an intent's key has the set's id in it, and filters compare whole keys.
    return openSets(cloud, await cloud.cinder.listVolumesDetail());
  },

  claim: noteAdoption,

  async settle(cloud, id) {
    const rows = await cloud.cinder.listVolumesDetail({ metadata: { [TAGS.set]: id } });
    const members = membersOf(rows, id, []);
    const open = members.filter(({ row }) => row.metadata[TAGS.phase] !== "settled");
    await Promise.all(open.map(({ row }) => cloud.cinder.createVolumeMetadata(row.id, { [TAGS.phase]: "settled" })));
    const first = members.find(({ row }) => row.metadata[TAGS.index]?.startsWith("1/"))?.source;
    const place = cloud.places.get(id) ?? first;
    if (place !== undefined) await withdrawIntent(cloud, id, place);
  },

  async start(cloud, inputs, marker) {
    const id = newSetId();
    const [first = ""] = inputs.volumes;
    const source = await cloud.cinder.showVolume(first);
    if (marker.owner !== "") await noteIntent(cloud, id, source, marker);
    const groupBefore = source.group_id ?? undefined;
    try {
      return { id, task: taskOf(await ask(cloud, id, inputs), groupBefore) };
    } catch (error) {
      // Nobody will ever look for what was turned away. With an unknown outcome the intent is what finds it.
      if (!isKind(error, "ambiguous")) await withdrawIntent(cloud, id, first).catch(() => {});
      throw error;
    }
  },

  async finish(cloud, accepted, inputs, job) {
    let flow = flowOf(accepted, inputs.volumes);
    let outcome = await flowEnd(cloud, flow, job);
    if (outcome.is === "nothing" && flow.taskId === undefined) {
      job.progress("nothing shows of the interrupted request: asking for it");
      const taskId = await ask(cloud, accepted.id, inputs);
      job.accepted(taskOf(taskId, flow.groupBefore));
      flow = { ...flow, taskId };
      outcome = await flowEnd(cloud, flow, job);
    }
    if (outcome.is !== "made") throw await flowFailed(cloud, flow, outcome);
    return complete(cloud, flow, outcome, inputs, job);
  },

  async observe(cloud, id, known, signal) {
    const members = await find(cloud, id, known, signal);
    if (members.length > 0) return observed(cloud, id, members, known);
    // While PowerVC's flow goes on there may be no clone yet: that is not "gone".
    return unfinished(known) ? { state: {} } : undefined;
  },

  async change(cloud, id, from, inputs, known, job) {
    const differs = (["displayName", "description", "volumes"] as const).some((key) => {
      return JSON.stringify(from.state[key] ?? null) !== JSON.stringify(inputs[key] ?? null);
    });
    if (!differs) return from;
    const members = await find(cloud, id, { ...known, ...from.state });
    const missing = inputs.volumes.length - members.length;
    if (missing > 0) {
      job.warn(
        `${missing} of ${inputs.volumes.length} clones are gone: the next \`pulumi up\` makes a new consistent set of all of them`,
      );
    }
    const brought = await bring(cloud, members, inputs);
    return observed(cloud, id, brought, { ...known, ...from.state, volumes: inputs.volumes });
  },

  async remove(cloud, id, known, job) {
    const sources = strings(known.volumes);
    const place = cloud.places.get(id) ?? sources[0];
    // The state knows the set, so its mark has done its duty: left behind, a later create would look for the clones.
    if (place !== undefined) await withdrawIntent(cloud, id, place);
    let more: readonly string[] = [];
    const pending = unfinished(known);
    if (pending) {
      // There is no call that cancels a flow, and what it made after us would be nobody's.
      const outcome = await flowEnd(cloud, flowOf({ id, task: pending.task }, sources), job);
      more = outcome.is === "nothing" ? [] : Object.values(outcome.clones);
    }
    const members = await find(cloud, id, pending ? { volumes: known.volumes } : known);
    const others = more.filter((clone) => !sources.includes(clone) && !members.some(({ row }) => row.id === clone));
    const untold = await Promise.all(others.map((clone) => cloud.volume(clone)));
    const rows = [...members.map(({ row }) => row), ...untold.filter((row) => row !== undefined)];
    refuseAttached(rows);
    await removeAll(cloud, rows, job);
  },

  async problem(cloud, _id, { clonedVolumes, missing }) {
    const rows = Array.isArray(clonedVolumes) ? (clonedVolumes as ClonedVolume[]) : [];
    const bad = rows.filter(({ status }) => /^error/i.test(status));
    const why = await Promise.all(bad.map(({ id }) => cloud.cinder.whyError(id)));
    const said = bad.map(
      ({ id, status }, at) => `the clone ${id} is in status "${status}"${why[at] ? `: ${why[at]}` : ""}`,
    );
    if (typeof missing === "number") {
      said.push(
        `${missing} of ${missing + rows.length} clones are gone. The rest is no whole instant any more: the next \`pulumi up\` ` +
          "makes a new consistent set of all volumes, and then deletes the rest of this one",
      );
    }
    return said.length === 0 ? undefined : said.join("; ");
  },
};

/** A clone as `clonedVolumes` shows it. */
interface ClonedVolume {
  sourceId?: string | undefined;
  id: string;
  name?: string | undefined;
  description?: string | undefined;
  sizeGiB: number;
  status: string;
  volumeType?: string | undefined;
  createdAt?: string | undefined;
}

/** The one request that makes something, and the note of what it was answered. */
async function ask(cloud: PowerVc, id: string, inputs: VolumeCloneInputs): Promise<string> {
  cloud.asked.add(id);
  const taskId = await cloud.client.cloneVolumes({
    // The set's id, by which every clone can be found whatever becomes of this run; the program's name comes later.
    "display-name": id,
    description: inputs.description,
    volumes: inputs.volumes,
    "target-volume-type-id": inputs.targetVolumeTypeId,
  });
  const place = cloud.places.get(id);
  // The clones' names find them without it, if later.
  if (place !== undefined) await noteTask(cloud, id, place, taskId).catch(() => {});
  return taskId;
}

function flowOf({ id, task }: Pick<Accepted, "id" | "task">, sources: readonly string[]): Flow {
  const text = (value: unknown) => (typeof value === "string" ? value : undefined);
  return { id, sources, taskId: text(task.taskId), groupBefore: text(task.groupBefore) };
}

/** Looks at what is left, and says it: the failure alone would leave the user to search for it. */
async function flowFailed(
  cloud: PowerVc,
  { id, sources }: Flow,
  outcome: Exclude<Outcome, { is: "made" }>,
): Promise<SnapcloneError> {
  const said =
    outcome.is === "failed" ? outcome.said : "PowerVC does not know the task any more, and nothing of it is to be seen";
  let left: string;
  try {
    const rows = await cloud.cinder.listVolumesDetail();
    const named = outcome.is === "failed" ? Object.values(outcome.clones) : [];
    const ids = new Set(membersOf(rows, id, sources).map(({ row }) => row.id));
    for (const row of rows) if (named.includes(row.id) && !sources.includes(row.id)) ids.add(row.id);
    left = ids.size === 0 ? "No volume of the set is left behind" : `Left behind: ${[...ids].join(", ")}`;
  } catch {
    left = "Whether anything is left behind could not be seen";
  }
  return new SnapcloneError({ kind: "failed", said: `${said}. ${left}` });
}

/** What PowerVC made becomes what the program asked for: told apart, tagged, available, named. */
async function complete(
  cloud: PowerVc,
  { id, sources, taskId }: Flow,
  { clones, flow }: Extract<Outcome, { is: "made" }>,
  inputs: VolumeCloneInputs,
  job: Job,
): Promise<Observed> {
  const told = sources.flatMap((source) => {
    const clone = clones[source];
    // A source among the clones would be renamed, and one day deleted.
    return clone === undefined || sources.includes(clone) ? [] : [{ source, clone }];
  });
  const rows = await Promise.all(told.map(({ clone }) => cloud.volume(clone)));
  const tagged = await tag(
    cloud,
    id,
    told.flatMap(({ source }, at) => {
      const row = rows[at];
      return row ? [{ row, source }] : [];
    }),
    inputs,
    taskId,
  );
  if (told.length < sources.length || new Set(Object.values(clones)).size < told.length) {
    const untold = sources.filter((source) => !told.some((one) => one.source === source));
    throw new SnapcloneError({
      kind: "failed",
      said: `PowerVC's clone task ended in success with ${told.length} of ${sources.length} clones${untold.length > 0 ? `; none of ${untold.join(", ")}` : ""}`,
    });
  }
  const usable = await untilUsable(
    cloud,
    told.map(({ clone }) => clone),
    job,
  );
  const members = tagged.map((member) => ({
    ...member,
    row: usable.find(({ id }) => id === member.row.id) ?? member.row,
  }));
  const named = await bring(cloud, members, inputs);
  return observed(cloud, id, named, { volumes: inputs.volumes, taskId, flow });
}

/** From here on the clones can be found, and told apart, under whatever names. */
async function tag(
  cloud: PowerVc,
  id: string,
  members: readonly Member[],
  { volumes }: VolumeCloneInputs,
  taskId: string | undefined,
): Promise<Member[]> {
  const first = await cloud.volume(volumes[0] ?? "");
  const intent = first && intentsOn(first).find((one) => one.id === id);
  return Promise.all(
    members.map(async ({ row, source }) => {
      const before = isTagged(row) ? row.metadata : {};
      const prefix = prefixOf(row.name, before);
      const metadata = await cloud.cinder.createVolumeMetadata(row.id, {
        [TAGS.set]: id,
        [TAGS.volume]: row.id,
        [TAGS.source]: source ?? "",
        [TAGS.index]: placeIn(volumes, source),
        [TAGS.prefix]: prefix,
        [TAGS.phase]: intent ? "open" : "settled",
        ...(intent ? { [TAGS.owner]: intent.owner, [TAGS.inputs]: intent.inputs } : {}),
        ...(taskId === undefined ? {} : { [TAGS.task]: taskId }),
        // Of a single one without display name, PowerVC's name is made from the source's: it is kept for comparison.
        ...(volumes.length === 1
          ? { [TAGS.name]: before[TAGS.name] ?? `${prefix}${first?.name || source}`.slice(0, 255) }
          : {}),
      });
      return { source, row: { ...row, metadata } };
    }),
  );
}

/** Names, descriptions and numbers as the program wants them; only what differs is sent. */
async function bring(cloud: PowerVc, members: readonly Member[], inputs: VolumeCloneInputs): Promise<Member[]> {
  const { volumes, displayName, description = null } = inputs;
  const wanted = members.map((member) => {
    const index = volumes.indexOf(member.source ?? "");
    return index < 0 ? member.row.name : wantedName(member, displayName, index, volumes.length);
  });
  const long = wanted.find((name) => (name ?? "").length > 255);
  if (long) {
    const said = `the name "${long.slice(0, 40)}…" would have ${long.length} characters, and Cinder takes 255`;
    throw new SnapcloneError({ kind: "input", said, remedy: "Make `displayName` shorter." });
  }
  return Promise.all(
    members.map(async ({ row, source }, at) => {
      const name = wanted[at];
      const patch = {
        ...(name !== row.name ? { name } : {}),
        ...((row.description || null) !== description ? { description } : {}),
      };
      let now = Object.keys(patch).length > 0 ? await cloud.cinder.updateVolume(row.id, patch) : row;
      const index = placeIn(volumes, source);
      if (now.metadata[TAGS.index] !== index) {
        now = { ...now, metadata: await cloud.cinder.createVolumeMetadata(row.id, { [TAGS.index]: index }) };
      }
      return { source, row: now };
    }),
  );
}

/** The clones of a set that are there: by the state where it knows them all, else by their tags and names. */
async function find(cloud: PowerVc, id: string, known: State, signal?: AbortSignal): Promise<Member[]> {
  const sources = strings(known.volumes);
  const clones = texts(known.clones);
  if (sources.length === 0 || sources.some((source) => clones[source] === undefined)) {
    return membersOf(await cloud.cinder.listVolumesDetail({}, signal), id, sources);
  }
  const rows = await Promise.all(sources.map((source) => cloud.volume(clones[source] ?? "", signal)));
  return rows.flatMap((row, at) => {
    const source = sources[at];
    if (!row || source === undefined || sources.includes(row.id)) return [];
    if (isTagged(row)) return [{ row, source }];
    // Somebody has taken the tags away: the state knows what they said.
    const prefix = typeof known.namePrefix === "string" ? known.namePrefix : prefixOf(row.name, {});
    const tags = { [TAGS.volume]: row.id, [TAGS.index]: placeIn(sources, source), [TAGS.prefix]: prefix };
    return [{ source, row: { ...row, metadata: { ...row.metadata, ...tags } } }];
  });
}

async function observed(cloud: PowerVc, id: string, found: readonly Member[], known: State): Promise<Observed> {
  const sources = strings(known.volumes);
  const order = ({ row, source }: Member) => {
    const index = sources.indexOf(source ?? "");
    return index < 0 ? sources.length + Number.parseInt(row.metadata[TAGS.index] ?? "0", 10) : index;
  };
  const members = [...found].sort((a, b) => order(a) - order(b));
  const rows = members.map(({ row }) => row);
  const tags = rows[0]?.metadata ?? {};
  const total = Math.max(...rows.map(({ metadata }) => Number(metadata[TAGS.index]?.split("/")[1] ?? 0)));
  const open = rows.find(({ metadata }) => metadata[TAGS.phase] === "open");
  return {
    state: {
      // Before PowerVC has told which is whose, what is there says nothing about the inputs.
      ...(rows.every(isTagged) ? { volumes: members.flatMap(({ source }) => source ?? []) } : {}),
      ...(rows.every(isTagged) && !rows.some(({ name }) => isTechnicalName(name))
        ? {
            displayName: displayNameOf(members),
            description: [...new Set(rows.map(({ description }) => description ?? ""))].join(", ") || undefined,
          }
        : {}),
      clones: Object.fromEntries(members.flatMap(({ row, source }) => (source ? [[source, row.id]] : []))),
      clonedVolumes: members.map(({ row, source }) => clonedVolume(row, source)),
      missing: total > rows.length ? total - rows.length : undefined,
      namePrefix: tags[TAGS.prefix],
      taskId: tags[TAGS.task] ?? known.taskId,
      flow: known.flow,
    },
    openOwner: open?.metadata[TAGS.owner],
    adoptedBy: open && (await adoptedBy(cloud, id, members)),
  };
}

async function adoptedBy(cloud: PowerVc, id: string, members: readonly Member[]): Promise<string | undefined> {
  const first = members.find(({ row }) => row.metadata[TAGS.index]?.startsWith("1/"))?.source;
  const place = cloud.places.get(id) ?? first;
  const source = place === undefined ? undefined : await cloud.volume(place);
  return source && intentsOn(source).find((intent) => intent.id === id)?.adoptedBy;
}

function clonedVolume(row: VolumeRow, sourceId: string | undefined): ClonedVolume {
  return {
    sourceId,
    id: row.id,
    name: row.name ?? undefined,
    description: row.description || undefined,
    sizeGiB: row.size,
    status: row.status,
    volumeType: row.volume_type ?? undefined,
    // UTC, and Cinder does not say so (reference openstack-powervc.md §A3).
    createdAt: row.created_at === null ? undefined : `${row.created_at.replace(/Z$/, "")}Z`,
  };
}

function unfinished({ pending }: State): Pending | undefined {
  const work = pending as Pending | undefined;
  return work?.operation === "create" && !work.failed ? work : undefined;
}

function placeIn(volumes: readonly string[], source: string | undefined): string {
  return `${volumes.indexOf(source ?? "") + 1}/${volumes.length}`;
}

function sameSet(a: unknown, b: unknown): boolean {
  return Array.isArray(a) && Array.isArray(b) && JSON.stringify([...a].sort()) === JSON.stringify([...b].sort());
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

function texts(value: unknown): Readonly<Record<string, string>> {
  return typeof value === "object" && value !== null ? (value as Record<string, string>) : {};
}

// --- what the inputs may be ---

/** All that is wrong with the list at once. */
function sourceVolumes() {
  return z.unknown().transform((value, context): string[] => {
    const refuse = (message: string, ...path: number[]) => {
      context.addIssue({ code: "custom", message, path, input: value });
    };
    if (!Array.isArray(value)) {
      refuse(value === undefined ? "is required" : "must be a list of the UUIDs of volumes");
      return z.NEVER;
    }
    if (value.length === 0) refuse("must have at least one volume");
    const ids = value.map((id: unknown) => (typeof id === "string" ? id.toLowerCase() : id));
    for (const [index, id] of ids.entries()) {
      if (typeof id !== "string" || !UUID.test(id)) refuse(shape("a volume"), index);
      else if (ids.indexOf(id) < index) refuse(`is the same volume as volumes[${ids.indexOf(id)}]`, index);
    }
    return ids as string[];
  });
}

function shape(what: string): string {
  return `must be the UUID of ${what}, such as 11111111-2222-4333-8444-555555555555`;
}

function displayName() {
  return (
    printable()
      .min(1, "must not be empty")
      // The prefix is the server's: "clone-" by default. What is left is enough for it and for a number of 4 digits.
      .max(240, "must not be longer than 240 characters: a prefix and a number are added, and a name has at most 255")
      .refine((name) => !isTechnicalName(name), "must not look like a name of the provider's own")
  );
}

function description() {
  return printable()
    .max(255, "must not be longer than 255 characters")
    .transform((text) => (text === "" ? undefined : text));
}

function printable() {
  // Cinder strips blanks (reference openstack-powervc.md §A2): with them, every refresh would show a drift.
  return z
    .string("must be a string")
    .trim()
    .regex(/^\P{Cc}*$/u, "must not contain line breaks, tabs or other control characters");
}
