// How the flow of tasks that clones volumes comes to its end: by PowerVC's word on its task, and, where there is no such
// word, by what it leaves to be seen on the volumes.

import type { OperationContext } from "../../core/definition";
import { type Evaluation, poll } from "../../core/poll";
import { formatDuration } from "../../core/util/duration";
import type { VolumeRow } from "../../openstack/cinder";
import type { Progress } from "../client";
import type { PowerVcContext } from "../context";
import { type Member, membersOf } from "./ownership";

export interface Flow {
  id: string;
  sources: readonly string[];
  taskId: string | undefined;
  /** When PowerVC was asked, or was about to be, by its own clock. */
  since?: string | undefined;
  /** The source that the request was noted on; the first of them where that is not known. */
  place?: string;
  /** The group that this one was in before, or the beginning of its id. */
  groupBefore: string | undefined;
  /** This process has just asked for it: there is nothing to be seen yet. */
  isNew?: boolean;
}

export type Outcome =
  | { is: "made"; clones: Readonly<Record<string, string>>; flow: Readonly<Record<string, string>> }
  | { is: "failed"; message: string; clones: Readonly<Record<string, string>> }
  /** Nothing of it is to be seen, and has not been for a good while. */
  | { is: "nothing" };

/** Group clones take minutes; the document gives no interval. */
const PACE = { first: 1_000, most: 10_000 };
/**
 * From the request to the moment when the flow puts the source volumes into a group of its own, nothing shows: two tasks
 * of the document's list come before that (create_group_type, create_src_vol_group). Far longer than these take.
 */
const NOTHING_SHOWS_MS = 120_000;
/** Of these, so much is looked for in any case: one look may meet a replica that lags behind. */
const LOOKED_FOR_MS = 10_000;

type Seen = { progress: Progress } | { rows: readonly VolumeRow[] };

const NOTHING_YET: Progress = {
  percent: undefined,
  flows: {},
  completed: {},
  pending: {},
  clones: {},
  failure: undefined,
};

export async function flowEnd(cloud: PowerVcContext, flow: Flow, context: OperationContext): Promise<Outcome> {
  const steps = new Steps();
  const traces = new Traces(flow, context, cloud);
  let outcome: Outcome | undefined;
  await poll<Seen>({
    description: flow.taskId === undefined ? `a trace of the clones ${flow.id}` : `PowerVC's task ${flow.taskId}`,
    fetch: async (signal) => {
      const progress = flow.taskId === undefined ? undefined : await cloud.client.progress(flow.taskId, signal);
      if (progress) return { progress };
      // Tasks are forgotten, for example when PowerVC starts anew (docs/wire/powervc.md#h): then the volumes have to tell.
      return { rows: await cloud.listAll(signal) };
    },
    evaluate: (seen): Evaluation => {
      if ("progress" in seen) traces.told = { ...traces.told, ...seen.progress.clones };
      outcome = "progress" in seen ? judgeProgress(seen.progress, flow, steps) : traces.judge(seen.rows);
      const progress = "progress" in seen ? steps.text(seen.progress) : traces.text;
      return { is: outcome ? "done" : "pending", progress };
    },
    ...(flow.isNew ? { initial: { progress: NOTHING_YET } } : {}),
    interval: PACE,
    estimator: cloud.experience.cloning,
    context: context,
  });
  return outcome ?? { is: "nothing" };
}

/** "progress 100" does not mean success: the flows' states count, whatever the flows are called (docs/wire/powervc.md#f1-progress). */
function judgeProgress(seen: Progress, { sources }: Flow, steps: Steps): Outcome | undefined {
  steps.note(seen);
  const { clones, flows, failure } = seen;
  const states = Object.values(flows).map((state) => state.toUpperCase());
  // TaskFlow ends in REVERTED, or in FAILURE when taking back has failed too; until then it is on its way there.
  const bad = Object.entries(flows).find(([, state]) => /^(REVERTED|FAILURE)$/i.test(state));
  const ended =
    states.length === 0 ? seen.percent === 100 : states.every((state) => /^(SUCCESS|REVERTED|FAILURE)$/.test(state));
  if (!ended) return undefined;
  if (bad || failure !== undefined) {
    const how = bad ? `ended in ${bad[1].toUpperCase()}` : "failed";
    const why = failure === undefined ? "it gives no reason" : withoutStop(failure);
    return { is: "failed", message: `PowerVC's clone task ${how}${steps.failedAt()}: ${why}`, clones };
  }
  // An answer without any flow proves nothing unless all of the clones are in it.
  if (states.length === 0 && sources.some((source) => clones[source] === undefined)) return undefined;
  return { is: "made", clones, flow: flows };
}

/** Our sentence goes on after PowerVC's. */
function withoutStop(text: string): string {
  return text.trim().replace(/\.+$/, "");
}

/** What the flow is doing, and what it was doing when it failed. */
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
    // All that was done is taken back, and says so; the one among it that was never seen to succeed is where it failed.
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

/** TaskFlow's own atom, among the tasks in the document's sample (taskflow/storage.py). */
const INJECTOR = "_TaskFlow_INJECTOR";

function isSuccess(state: string): boolean {
  return /^SUCCESS$/i.test(state);
}

function current(pending: Readonly<Record<string, string>>): string | undefined {
  const entries = Object.entries(pending);
  const [running = entries[0]] = entries.filter(([, state]) => /^(RUNNING|REVERTING|RETRYING)$/i.test(state));
  return nameOf(running?.[0]);
}

/** `wait_for_group_snapshot_7cd566e9-ca88e5fc` is `wait_for_group_snapshot` to people; so is what ends in our own name. */
function nameOf(task: string | undefined): string | undefined {
  return task
    ?.replace(/-[0-9a-f]{8}$/, "")
    .replace(/-[^-]*-?snapclone-[0-9a-f]{24}.*$/, "")
    .replace(/_[0-9a-f]{8}$/, "")
    .replace(/_+$/, "");
}

/** Without a task: what can be seen of the flow on the volumes, and for how long nothing has moved. */
class Traces {
  text = "";
  /** Source to clone, as far as PowerVC has told before it forgot. */
  told: Readonly<Record<string, string>> = {};
  private quietSince: number | undefined;
  private before = "";
  private hasShown = false;

  constructor(
    private readonly flow: Flow,
    private readonly context: OperationContext,
    private readonly cloud: PowerVcContext,
  ) {}

  judge(rows: readonly VolumeRow[]): Outcome | undefined {
    const { sources, place = sources[0], groupBefore } = this.flow;
    const members = this.identified(rows);
    const group = rows.find((row) => row.id === place)?.group_id ?? undefined;
    const isSame = group !== undefined && groupBefore !== undefined && group.startsWith(groupBefore);
    const inFlow = (group !== undefined && !isSame) || members.some(({ row }) => row.group_id != null);
    const made = members.filter(({ row }) => /^(available|in-use)$/i.test(row.status));
    const there = `${made.length} of ${sources.length} clones there`;
    this.text = inFlow ? `${there}, the source is in PowerVC's group ${group ?? "no more"}` : there;
    if (!inFlow && made.length === members.length && members.length >= sources.length) return whole(members, sources);

    const picture = JSON.stringify([group, members.map(({ row }) => [row.id, row.status, row.group_id])]);
    const now = this.context.clock.now();
    const shows = inFlow || members.length > 0;
    this.hasShown ||= shows;
    if (inFlow || picture !== this.before || this.quietSince === undefined) {
      // Where nothing has shown at all, it has not since PowerVC was asked.
      this.quietSince = this.hasShown ? now : now - Math.min(this.age(), NOTHING_SHOWS_MS - LOOKED_FOR_MS);
    }
    this.before = picture;
    const left = NOTHING_SHOWS_MS - (now - this.quietSince);
    if (!shows) this.text = `nothing shows yet of the set ${this.flow.id}; ${this.limitText(left)}`;
    if (left > 0) return undefined;
    if (members.length === 0) return { is: "nothing" };
    const message = `PowerVC does not know the task any more, and made ${made.length} of ${sources.length} clones`;
    return { is: "failed", message, clones: mapOf(members) };
  }

  private limitText(left: number): string {
    const { taskId, isNew } = this.flow;
    const asksAgain = isNew ? "this run looks no longer" : "PowerVC is asked for it again";
    // To ten seconds, so that not every look is a line.
    const time = formatDuration(Math.max(0, Math.ceil(left / 10_000) * 10_000));
    return `${taskId === undefined ? asksAgain : "it counts as failed"} in ${time}`;
  }

  /** How long ago PowerVC was asked, as far as that is known. */
  private age(): number {
    const since = Date.parse(this.flow.since ?? "");
    return Number.isNaN(since) ? 0 : Math.max(0, this.cloud.now().getTime() - since);
  }

  private identified(rows: readonly VolumeRow[]): Member[] {
    const { id, sources } = this.flow;
    const inverse = new Map(Object.entries(this.told).map(([source, clone]) => [clone, source]));
    const members = membersOf(rows, id, sources).map((member) => ({
      ...member,
      source: member.source ?? inverse.get(member.row.id),
    }));
    return bySize(members, rows, sources);
  }
}

/**
 * Tells by size and type which of the untold clones is whose, where only one assignment is possible. A clone has its
 * source's size; it has the source's type unless another was asked for.
 */
function bySize(members: readonly Member[], rows: readonly VolumeRow[], sources: readonly string[]): Member[] {
  const untold = members.filter(({ source }) => source === undefined);
  const left = sources
    .filter((source) => !members.some((member) => member.source === source))
    .flatMap((source) => rows.find(({ id }) => id === source) ?? []);
  if (untold.length === 0 || untold.length !== left.length) return [...members];
  const keys: ((row: VolumeRow) => string)[] = [
    ({ size }) => String(size),
    ({ size, volume_type }) => JSON.stringify([size, volume_type]),
  ];
  for (const key of keys) {
    const ofClones = untold.map(({ row }) => key(row));
    const ofSources = left.map(key);
    const isOneToOne = new Set(ofClones).size === untold.length || untold.length === 1;
    if (!isOneToOne || JSON.stringify([...ofClones].sort()) !== JSON.stringify([...ofSources].sort())) continue;
    return members.map((member) => {
      const at = untold.indexOf(member);
      return at < 0 ? member : { ...member, source: left[ofSources.indexOf(ofClones[at] ?? "")]?.id };
    });
  }
  return [...members];
}

function whole(members: readonly Member[], sources: readonly string[]): Outcome {
  const clones = mapOf(members);
  if (sources.every((source) => clones[source] !== undefined)) return { is: "made", clones, flow: {} };
  const ids = members.map(({ row }) => row.id).join(", ");
  const message = `PowerVC does not know the task any more: the clones are there (${ids}), and nothing tells which is whose`;
  return { is: "failed", message, clones };
}

function mapOf(members: readonly Member[]): Record<string, string> {
  return Object.fromEntries(members.flatMap(({ row, source }) => (source === undefined ? [] : [[source, row.id]])));
}
