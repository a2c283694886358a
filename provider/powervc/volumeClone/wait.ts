// Waits for PowerVC's flow of tasks, which clones the volumes. PowerVC's answers about its task say how the flow ended. If
// PowerVC does not know the task, the volumes themselves show it.

import type { AcceptedOperation, OperationContext } from "../../core/definition";
import { SnapcloneError } from "../../core/errors";
import { type Evaluation, poll } from "../../core/poll";
import { retryUntilFound } from "../../core/retryUntilFound";
import { formatDuration } from "../../core/util/duration";
import type { VolumeRow } from "../../openstack/cinder";
import { isMade } from "../../openstack/volumes";
import type { Progress } from "../client";
import type { PowerVcContext } from "../context";
import { otherBackend, stuckFlowHint } from "./errors";
import {
  canBeCloneOf,
  createdAt,
  isLater,
  isOfFailedTask,
  isTagged,
  isTemporaryName,
  type Member,
  membersOf,
  OWNERSHIP_KEYS,
  type PendingCreate,
  textsIn,
} from "./ownership";

export interface Flow {
  id: string;
  sources: readonly string[];
  taskId: string | undefined;
  /** When the request was sent, or was about to be sent, by PowerVC's clock. */
  since?: string | undefined;
  /** The source that the pending create is written on. Default: the first. */
  volumeId?: string;
  /** Id, or beginning of the id, of the group that this source was in before the request. */
  groupBefore: string | undefined;
  /** This process has just sent the request, so nothing is visible yet. */
  isNew?: boolean;
}

export type Outcome =
  | { is: "made"; clones: Readonly<Record<string, string>>; flow: Readonly<Record<string, string>> }
  | { is: "failed"; message: string; clones: Readonly<Record<string, string>>; perhaps?: readonly string[] }
  /** Nothing is visible of the flow, and has not been for `QUIET_MS`. `perhaps`: see `possibleClones`. */
  | { is: "nothing"; perhaps?: readonly string[] };

/** Group clones take minutes. IBM's document gives no interval. */
const INTERVAL = { first: 1_000, most: 10_000 };
/**
 * Nothing is visible of a flow until it moves the source volumes into a group of its own. Two tasks of the document's list
 * come before that (create_group_type, create_src_vol_group). They take far less than this.
 */
const QUIET_MS = 120_000;
/** The volumes are watched for at least this part of `QUIET_MS`: a single list may come from a replica that lags behind. */
const MIN_WATCH_MS = 10_000;

/** `snapclone-` and eight of the id's digits. */
const NAME_PART = 18;

type Seen = { progress: Progress } | { rows: readonly VolumeRow[] };

const NO_PROGRESS: Progress = {
  percent: undefined,
  flows: {},
  completed: {},
  pending: {},
  clones: {},
  failure: undefined,
};

export function flowOf({ id, volumeId, since, groupBefore, taskId }: PendingCreate, sources: readonly string[]): Flow {
  return { id, sources, taskId, volumeId, since, groupBefore };
}

/** On another backend nothing is visible of the set, which would prove nothing about it. */
export async function refuseOtherBackend(
  cloud: PowerVcContext,
  { id, task }: Pick<AcceptedOperation, "id" | "task">,
): Promise<void> {
  const { backend } = textsIn(task);
  const present = backend === undefined ? undefined : await cloud.session.identity("blockStorage");
  if (present !== backend) throw otherBackend(id, backend, present);
}

export async function flowEnd(cloud: PowerVcContext, flow: Flow, context: OperationContext): Promise<Outcome> {
  const steps = new Steps();
  const traces = new Traces(flow, context, cloud);
  const task = new TaskReader(cloud, flow, context);
  const { volumeId = flow.sources[0] ?? "" } = flow;
  let outcome: Outcome | undefined;
  await poll<Seen>({
    description: flow.taskId === undefined ? `a trace of the clones ${flow.id}` : `PowerVC's task ${flow.taskId}`,
    fetch: async (signal) => {
      const progress = await task.progress(signal);
      if (progress) return { progress };
      // PowerVC forgets tasks, for example when it restarts (docs/wire/powervc.md#h).
      return { rows: await cloud.listAll(signal) };
    },
    evaluate: (seen): Evaluation => {
      if ("progress" in seen) traces.note(seen.progress);
      outcome = "progress" in seen ? evaluateProgress(seen.progress, flow, steps) : traces.evaluate(seen.rows);
      const progress = "progress" in seen ? steps.text(seen.progress) : traces.text;
      return { is: outcome ? "done" : "pending", progress };
    },
    ...(flow.isNew ? { initial: { progress: NO_PROGRESS } } : {}),
    interval: INTERVAL,
    estimator: cloud.estimators.cloning,
    stuckHint: () => stuckFlowHint({ ...flow, volumeId }),
    context,
  });
  if (outcome?.is === "made") return { ...outcome, clones: await allNamed(cloud, flow, outcome.clones, context) };
  return outcome ?? { is: "nothing" };
}

/**
 * Reads the progress of the flow's task. How PowerVC answers for a task that it has forgotten is not said; a 500 is a way
 * (docs/wire/powervc.md#h). If it stays, the task counts as forgotten, and the volumes show the flow.
 */
class TaskReader {
  private failingSince: number | undefined;

  constructor(
    private readonly cloud: PowerVcContext,
    private readonly flow: Flow,
    private readonly context: OperationContext,
  ) {}

  /** undefined if there is no task, or if PowerVC has forgotten it. */
  async progress(signal: AbortSignal): Promise<Progress | undefined> {
    const { taskId } = this.flow;
    if (taskId === undefined) return undefined;
    try {
      const progress = await this.cloud.client.progress(taskId, signal);
      this.failingSince = undefined;
      return progress;
    } catch (error) {
      if (!isInternalError(error)) throw error;
      const now = this.context.clock.now();
      this.failingSince ??= now;
      if (now - this.failingSince < QUIET_MS) throw error;
      return undefined;
    }
  }
}

/** The service itself, and no gateway, has answered with a 500. */
export function isInternalError(error: unknown): error is SnapcloneError {
  return error instanceof SnapcloneError && error.parts.status === 500;
}

/**
 * IBM's table calls the results a list of texts, and then nothing in them tells the sources. Which clone is whose is then seen in
 * the volumes, as for a task that PowerVC has forgotten.
 */
async function allNamed(
  cloud: PowerVcContext,
  { id, sources }: Flow,
  named: Readonly<Record<string, string>>,
  context: OperationContext,
): Promise<Readonly<Record<string, string>>> {
  let all = named;
  const isWhole = () => sources.every((source) => all[source] !== undefined);
  const look = async () => {
    if (isWhole()) return all;
    const rows = await cloud.listAll(context.signal);
    all = { ...mapOf(matchedBySize(membersOf(rows, id, sources), rows, sources)), ...named };
    return isWhole() ? all : undefined;
  };
  return (await retryUntilFound(look, context)) ?? all;
}

/**
 * A flow of TaskFlow that fails ends in REVERTED, or in FAILURE if reverting has failed too. The others are states of its tasks
 * (taskflow/states.py), or mean the same. IBM's document does not list the states of a flow.
 */
const FAILED = /^(REVERTED|FAILURE|REVERT_FAILURE|FAILED|ERROR)$/i;

/**
 * The flows' states count, whatever the flows are called. "progress 100" does not mean success
 * (docs/wire/powervc.md#f1-progress).
 */
function evaluateProgress(seen: Progress, { sources }: Flow, steps: Steps): Outcome | undefined {
  steps.note(seen);
  const { clones, flows, failure } = seen;
  const states = Object.values(flows).map((state) => state.toUpperCase());
  const bad = Object.entries(flows).find(([, state]) => FAILED.test(state));
  const ended =
    states.length === 0 ? seen.percent === 100 : states.every((state) => state === "SUCCESS" || FAILED.test(state));
  if (!ended) return undefined;
  if (bad || failure !== undefined) {
    const how = bad ? `ended in ${bad[1].toUpperCase()}` : "failed";
    const why = failure === undefined ? "it gives no reason" : withoutStop(failure);
    return { is: "failed", message: `PowerVC's clone task ${how}${steps.failedAt()}: ${why}`, clones };
  }
  // An answer without any flow proves nothing unless it names a clone of each volume.
  if (states.length === 0 && sources.some((source) => clones[source] === undefined)) return undefined;
  return { is: "made", clones, flow: flows };
}

/** PowerVC's text becomes part of a sentence. */
function withoutStop(text: string): string {
  return text.trim().replace(/\.+$/, "");
}

/** The step that the flow is at, and the step at which it failed. */
class Steps {
  private failed: string | undefined;
  private last: string | undefined;
  private readonly succeeded = new Set<string>();

  note({ completed, pending, flows }: Progress): void {
    const all = [...Object.entries(completed), ...Object.entries(pending)];
    this.failed ??= nameOf(all.find(([, state]) => /^(FAILURE|FAILED|ERROR|REVERT_FAILURE)$/i.test(state))?.[0]);
    const backwards = Object.values(flows).some((state) => /^(REVERT|FAIL)/i.test(state));
    if (!backwards) {
      this.last = current(pending) ?? this.last;
      for (const [task, state] of Object.entries(completed)) if (isSuccess(state)) this.succeeded.add(task);
      return;
    }
    // Reverted tasks are listed as completed. If only one of them was never seen to succeed, the flow failed at that one.
    const unseen = Object.entries(completed).filter(([task, state]) => !isSuccess(state) && !this.succeeded.has(task));
    if (unseen.length === 1) this.failed ??= nameOf(unseen[0]?.[0]);
  }

  failedAt(): string {
    if (this.failed !== undefined) return ` at the step ${this.failed}`;
    return this.last === undefined ? "" : ` (it was last seen at the step ${this.last})`;
  }

  text({ percent, completed, pending, flows }: Progress): string {
    const states = Object.values(flows);
    const odd = states.find((state) => !/^(RUNNING|SUCCESS|PENDING)$/i.test(state));
    const done = Object.keys(completed).filter((task) => task !== INJECTOR).length;
    const over = states.length > 0 && states.every(isSuccess);
    const step = over
      ? undefined
      : (current(pending) ?? (done > 0 ? `${done} ${done === 1 ? "step" : "steps"} done` : undefined));
    return [percent === undefined ? undefined : `${percent} %`, odd, step].filter(Boolean).join(" · ") || "cloning";
  }
}

/** An atom of TaskFlow itself (taskflow/storage.py), which IBM's sample lists among the tasks. */
const INJECTOR = "_TaskFlow_INJECTOR";

function isSuccess(state: string): boolean {
  return /^SUCCESS$/i.test(state);
}

function current(pending: Readonly<Record<string, string>>): string | undefined {
  const entries = Object.entries(pending);
  const [running = entries[0]] = entries.filter(([, state]) => /^(RUNNING|REVERTING|RETRYING)$/i.test(state));
  return nameOf(running?.[0]);
}

/** Shortens `wait_for_group_snapshot_7cd566e9-ca88e5fc` to `wait_for_group_snapshot`, and removes our temporary name. */
function nameOf(task: string | undefined): string | undefined {
  return task
    ?.replace(/-[0-9a-f]{8}$/, "")
    .replace(/-[^-]*-?snapclone-[0-9a-f]{24}.*$/, "")
    .replace(/_[0-9a-f]{8}$/, "")
    .replace(/_+$/, "");
}

/** Without a task: what the volumes show of the flow, and for how long nothing has changed. */
class Traces {
  text = "";
  /** From source to clone, as PowerVC's answers named them before it forgot the task. */
  private mapped: Readonly<Record<string, string>> = {};
  private wasRunning = false;
  private quietSince: number | undefined;
  private before = "";
  private wasVisible = false;

  constructor(
    private readonly flow: Flow,
    private readonly context: OperationContext,
    private readonly cloud: PowerVcContext,
  ) {}

  /** PowerVC knows the task. If it forgets the task now, the flow may be at any of its steps. */
  note(progress: Progress): void {
    this.mapped = { ...this.mapped, ...progress.clones };
    if (progress === NO_PROGRESS) return;
    this.wasRunning = true;
    this.quietSince = undefined;
  }

  evaluate(rows: readonly VolumeRow[]): Outcome | undefined {
    const { sources, volumeId = sources[0], groupBefore } = this.flow;
    const members = this.identified(rows);
    const group = rows.find((row) => row.id === volumeId)?.group_id ?? undefined;
    const isSameGroup = group !== undefined && groupBefore !== undefined && group.startsWith(groupBefore);
    const inFlow = (group !== undefined && !isSameGroup) || members.some(({ row }) => row.group_id != null);
    const made = members.filter(({ row }) => isMade(row));
    const count = `${made.length} of ${sources.length} clones exist`;
    this.text = inFlow
      ? `${count}, the source is in ${group ? `PowerVC's group ${group}` : "no group any more"}`
      : count;
    if (!inFlow && made.length === members.length && members.length >= sources.length) return whole(members, sources);

    const picture = JSON.stringify([group, members.map(({ row }) => [row.id, row.status, row.group_id])]);
    const now = this.context.clock.now();
    const isVisible = inFlow || members.length > 0;
    this.wasVisible ||= isVisible;
    if (inFlow || picture !== this.before || this.quietSince === undefined) {
      // If nothing was ever visible, nothing has been since the request.
      this.quietSince = this.wasVisible || this.wasRunning ? now : now - Math.min(this.age(), QUIET_MS - MIN_WATCH_MS);
    }
    this.before = picture;
    const left = QUIET_MS - (now - this.quietSince);
    if (!isVisible) this.text = `nothing is visible yet of the set ${this.flow.id}; ${this.limitText(left)}`;
    if (left > 0) return undefined;
    const perhaps = possibleClones(rows, this.flow);
    if (members.length === 0) return { is: "nothing", perhaps };
    const message = `PowerVC does not know the task any more, and made ${made.length} of ${sources.length} clones`;
    return { is: "failed", message, clones: mapOf(members), perhaps };
  }

  private limitText(left: number): string {
    const { taskId, isNew } = this.flow;
    const next = isNew ? "this run stops waiting for it" : "the request is sent again";
    // Rounded up to ten seconds, so that the text does not change with each fetch.
    const time = formatDuration(Math.max(0, Math.ceil(left / 10_000) * 10_000));
    return `${taskId === undefined ? next : "it counts as failed"} in ${time}`;
  }

  /** Time since the request, if that is known. */
  private age(): number {
    const since = Date.parse(this.flow.since ?? "");
    return Number.isNaN(since) ? 0 : Math.max(0, this.cloud.now().getTime() - since);
  }

  private identified(rows: readonly VolumeRow[]): Member[] {
    const { id, sources } = this.flow;
    const sourceOf = new Map(Object.entries(this.mapped).map(([source, clone]) => [clone, source]));
    const members = membersOf(rows, id, sources).map((member) => ({
      ...member,
      source: member.source ?? sourceOf.get(member.row.id),
    }));
    return matchedBySize(members, rows, sources);
  }
}

/**
 * Ids of volumes that were made from a source since the request, and have no name and no tags of any set. They may be clones of
 * this set that somebody has renamed, or have nothing to do with it. Without a source, a part of the set's name tells them:
 * a storage may cut a name, or change its case.
 */
function possibleClones(rows: readonly VolumeRow[], { id, sources, since }: Flow): string[] {
  const isOfNoSet = (row: VolumeRow) => !isTagged(row) && !isTemporaryName(row.name);
  const isTraceOfSet = (row: VolumeRow) => row.source_volid != null || hasPartOfName(row.name, id);
  const can = rows.filter((row) => isTraceOfSet(row) && isOfNoSet(row) && canBeCloneOf(row, id, sources, since));
  return can.map((row) => row.id);
}

/** True if a name has the beginning of the set's id, in any case: its random digits are no one else's. */
function hasPartOfName(name: string | null, id: string): boolean {
  return (name ?? "").toLowerCase().includes(id.slice(0, NAME_PART));
}

/**
 * Why PowerVC's task can't mean this volume, although it names it as a clone: it is a clone of another set, or an older volume
 * with another name. A task id that PowerVC has given twice would lead there.
 */
export function isNoCloneOf(row: VolumeRow, id: string, since: string | undefined): boolean {
  if (isTagged(row) && row.metadata[OWNERSHIP_KEYS.set] !== undefined) return row.metadata[OWNERSHIP_KEYS.set] !== id;
  return since !== undefined && createdAt(row) !== undefined && !isLater(row, since) && !hasPartOfName(row.name, id);
}

/**
 * Finds the sources of clones by size and type, if only one assignment is possible. A clone has its source's size, and its
 * source's type unless the request names another.
 */
function matchedBySize(members: readonly Member[], rows: readonly VolumeRow[], sources: readonly string[]): Member[] {
  const unmatched = members.filter(({ source }) => source === undefined);
  const left = sources
    .filter((source) => !members.some((member) => member.source === source))
    .flatMap((source) => rows.find(({ id }) => id === source) ?? []);
  if (unmatched.length === 0 || unmatched.length !== left.length) return [...members];
  const keys: ((row: VolumeRow) => string)[] = [
    ({ size }) => String(size),
    ({ size, volume_type }) => JSON.stringify([size, volume_type]),
  ];
  for (const key of keys) {
    const ofClones = unmatched.map(({ row }) => key(row));
    const ofSources = left.map(key);
    const isOneToOne = new Set(ofClones).size === unmatched.length || unmatched.length === 1;
    if (!isOneToOne || JSON.stringify([...ofClones].sort()) !== JSON.stringify([...ofSources].sort())) continue;
    return members.map((member) => {
      const at = unmatched.indexOf(member);
      return at < 0 ? member : { ...member, source: left[ofSources.indexOf(ofClones[at] ?? "")]?.id };
    });
  }
  return [...members];
}

function whole(members: readonly Member[], sources: readonly string[]): Outcome {
  const clones = mapOf(members);
  if (members.some(({ row }) => isOfFailedTask(row))) {
    return { is: "failed", message: "PowerVC's clone task had failed, and PowerVC does not know it any more", clones };
  }
  if (sources.every((source) => clones[source] !== undefined)) return { is: "made", clones, flow: {} };
  const ids = members.map(({ row }) => row.id).join(", ");
  const message = `PowerVC does not know the task any more: the clones exist (${ids}), and nothing tells which is whose`;
  return { is: "failed", message, clones };
}

function mapOf(members: readonly Member[]): Record<string, string> {
  return Object.fromEntries(members.flatMap(({ row, source }) => (source === undefined ? [] : [[source, row.id]])));
}
