// How the flow of tasks that clones volumes comes to its end: by PowerVC's word on its task, and, where there is no such
// word, by what it leaves to be seen on the volumes.

import type { Job } from "../core/definition";
import { type Verdict, waitFor } from "../core/wait";
import type { VolumeRow } from "../openstack/cinder";
import type { Progress } from "./client";
import type { PowerVc } from "./cloud";
import { type Member, membersOf } from "./marks";

export interface Flow {
  id: string;
  sources: readonly string[];
  taskId: string | undefined;
  /** The group that the first source was in before. */
  groupBefore: string | undefined;
}

export type Outcome =
  | { is: "made"; clones: Readonly<Record<string, string>>; flow: Readonly<Record<string, string>> }
  | { is: "failed"; said: string; clones: Readonly<Record<string, string>> }
  /** Nothing of it is to be seen, and has not been for a good while. */
  | { is: "nothing" };

/** Group clones take minutes; the document gives no interval. */
const PACE = { first: 1_000, most: 10_000 };
/**
 * From the request to the moment when the flow puts the source volumes into a group of its own, nothing shows: two tasks
 * of the document's list come before that (create_group_type, create_src_vol_group). Far longer than these take.
 */
const NOTHING_SHOWS_MS = 120_000;

type Seen = { progress: Progress } | { rows: readonly VolumeRow[] };

export async function flowEnd(cloud: PowerVc, flow: Flow, job: Job): Promise<Outcome> {
  const steps = new Steps();
  const traces = new Traces(flow, job);
  let outcome: Outcome | undefined;
  await waitFor<Seen>({
    what: flow.taskId === undefined ? "a trace of the clones" : `PowerVC's task ${flow.taskId}`,
    look: async (signal) => {
      const progress = flow.taskId === undefined ? undefined : await cloud.client.progress(flow.taskId, signal);
      // Tasks are forgotten, for example when PowerVC starts anew (§H): then the volumes have to tell.
      return progress ? { progress } : { rows: await cloud.cinder.listVolumesDetail({}, signal) };
    },
    judge: (seen): Verdict => {
      outcome = "progress" in seen ? judgeProgress(seen.progress, flow, steps) : traces.judge(seen.rows);
      const progress = "progress" in seen ? steps.text(seen.progress) : traces.text;
      return { is: outcome ? "done" : "pending", progress };
    },
    pace: PACE,
    job,
  });
  return outcome ?? { is: "nothing" };
}

/** "progress 100" does not mean success: the flows' states count, whatever the flows are called (§F1). */
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
    const how = bad ? `ended in ${bad[1]}` : "failed";
    const why = failure ?? "it gives no reason";
    return { is: "failed", said: `PowerVC's clone task ${how}${steps.failedAt()}: ${why}`, clones };
  }
  // An answer without any flow proves nothing unless all of the clones are in it.
  if (states.length === 0 && sources.some((source) => clones[source] === undefined)) return undefined;
  return { is: "made", clones, flow: flows };
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
  private quietSince: number | undefined;
  private before = "";

  constructor(
    private readonly flow: Flow,
    private readonly job: Job,
  ) {}

  judge(rows: readonly VolumeRow[]): Outcome | undefined {
    const { id, sources, groupBefore } = this.flow;
    const members = membersOf(rows, id, sources);
    const group = rows.find((row) => row.id === sources[0])?.group_id ?? undefined;
    const inFlow = (group !== undefined && group !== groupBefore) || members.some(({ row }) => row.group_id != null);
    const made = members.filter(({ row }) => /^(available|in-use)$/i.test(row.status));
    this.text = inFlow
      ? `${made.length} of ${sources.length} clones there, the source is in PowerVC's group ${group ?? "no more"}`
      : `${made.length} of ${sources.length} clones there`;
    if (!inFlow && made.length === members.length && members.length >= sources.length) return whole(members, sources);

    const picture = JSON.stringify([group, members.map(({ row }) => [row.id, row.status, row.group_id])]);
    const now = this.job.clock.now();
    if (inFlow || picture !== this.before || this.quietSince === undefined) this.quietSince = now;
    this.before = picture;
    if (now - this.quietSince < NOTHING_SHOWS_MS) return undefined;
    if (members.length === 0) return { is: "nothing" };
    const said = `PowerVC does not know the task any more, and made ${made.length} of ${sources.length} clones`;
    return { is: "failed", said, clones: mapOf(members) };
  }
}

function whole(members: readonly Member[], sources: readonly string[]): Outcome {
  const clones = mapOf(members);
  if (sources.every((source) => clones[source] !== undefined)) return { is: "made", clones, flow: {} };
  const ids = members.map(({ row }) => row.id).join(", ");
  const said = `PowerVC does not know the task any more: the clones are there (${ids}), and nothing tells which is whose`;
  return { is: "failed", said, clones };
}

function mapOf(members: readonly Member[]): Record<string, string> {
  return Object.fromEntries(members.flatMap(({ row, source }) => (source === undefined ? [] : [[source, row.id]])));
}
