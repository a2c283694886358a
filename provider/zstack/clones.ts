// The members of one set of clones: what there is of them, making more, putting them right, removing them. The order of
// steps is what keeps a killed run harmless:
//
//   making:   the intent on the source, the request, the end of its job, the tags on the clones, then their final names;
//             the intent goes with the names.
//   removing: the tag (on a clone that has none), the VM into the bin, its cloned volumes, and the VM out of the bin last,
//             since its tag tells which volumes those are.
//
// "reference" is zstack.md.

import { z } from "zod";
import type { OperationContext, OwnershipRecord, Task } from "../core/definition";
import { isKind, SnapcloneError } from "../core/errors";
import { sleepUnlessStopped } from "../core/stop";
import { waitFor } from "../core/wait";
import {
  faultIn,
  hasCode,
  isOutcomeUnknown,
  type JobAnswer,
  SESSION_LOST,
  type Submitted,
  type TagRow,
  type VmRow,
  type VolumeRow,
} from "./client";
import type { ClonedVmInputs } from "./clonedVmInputs";
import type { KnownVm } from "./clonedVmState";
import {
  combinedErrors,
  finalName,
  GRACE_MS,
  isGone,
  isTemporary,
  newUuid,
  type Step,
  temporaryName,
  type Waiting,
  type ZStackContext,
} from "./cloud";
import {
  type Intent,
  intentTag,
  isOwnTag,
  type MemberRecord,
  memberTag,
  NO_TAGS,
  type Placed,
  readTags,
  type SetTags,
  tagsOfSet,
} from "./ownership";

/** States in which a VM is between two others (reference §4, "States"). */
const MOVING = /^(Starting|Stopping|Rebooting|Migrating|Pausing|Resuming|VolumeMigrating|VolumeRecovering)$/;
/** States in which nothing more comes by itself. One that nobody has heard of is waited out. */
const RESTING = /^(Created|Running|Stopped|Paused|Unknown|NoState|Error|Crashed)$/;
/** A clone that stays in one of these never became a VM to use: without a root volume, or broken (reference §3.1, §3.4). */
const UNFINISHED = /^(Created|Error)$/;
/** In the bin, or being purged from it. */
const BINNED = /^(Destroyed|Expunging)$/;
const PACE = { first: 1_000, most: 5_000 };
/** After a lost reply: how long to look for the job, in milliseconds between looks. */
const LOST_REPLY_LOOKS_MS = [0, 1_000, 2_000, 4_000];
/** The server gets at least this long: what it gives up goes on all the same, and then nobody knows how far. */
const LEAST_TIMEOUT_SECONDS = 3600;
/** What the server may take beyond its limit before a job that still runs is taken for one that nobody works on. */
const SLACK_SECONDS = 300;
/** A job that the server does not know, and of which nothing was ever seen, has never reached it. */
const NEVER_SEEN_GRACE_MS = 60_000;
/** From this age on a job's progress is asked for, too: that keeps the session alive, as polling a job does not (§1.2). */
const PROGRESS_AFTER_MS = 5_000;

/** Inputs that an older server drops in silence, so that the clone would be another than was asked for (reference §2.7, §3.1). */
const SINCE: readonly (readonly [keyof ClonedVmInputs, string])[] = [
  ["full", "2.5.0"],
  ["primaryStorageUuidForRootVolume", "3.1.0"],
  ["primaryStorageUuidForDataVolume", "3.1.0"],
  ["volumeProvisioningStrategy", "3.1.0"],
  ["clusterUuid", "4.6.11"],
  ["hostUuid", "4.6.11"],
];

/** One VM of the set: it is its uuid, whatever the server calls it. */
export interface Member {
  uuid: string;
  /** The program's name for it. */
  name: string;
  /** undefined: the server does not show it. */
  row: VmRow | undefined;
  /** Data volumes that were cloned with it. */
  disks: readonly string[];
  tag: (MemberRecord & Placed) | undefined;
}

type Living = Member & { row: VmRow };

/** Clones that were asked for and have not come to their end, as far as anybody knows. */
interface Work {
  job: string;
  until: number | undefined;
  clones: number | undefined;
  /** For messages. */
  what: string;
}

/** What the ends of jobs tell of single VMs. */
interface Outcome {
  reasons: string[];
  /** By uuid: why ZStack says that it failed. */
  failed: Map<string, string>;
  /** ZStack says that these are whole. */
  whole: Set<string>;
  /** The job was turned away, since the session was lost. */
  isTurnedAway: boolean;
}

/** What is left of a VM that is gone. */
export interface Leftover {
  uuid: string;
  name: string;
  volumes: readonly string[];
}

export interface Removal {
  expunge: boolean;
  /** Cloned data volumes stay. */
  keep: boolean;
}

type Context = Waiting & Pick<OperationContext, "warn">;

export class Members {
  /** In no particular order; those in the bin and those that only the state knows are among them. */
  all: readonly Member[] = [];
  /** Clones that bear no tag yet. */
  newcomers: readonly VmRow[] = [];
  tags: SetTags = NO_TAGS;
  /** Why something that was asked for is not there. */
  readonly reasons: string[] = [];
  private tagRows: readonly TagRow[] = [];
  /** Jobs whose intents this process has written. */
  private readonly begun = new Set<string>();

  constructor(
    private readonly cloud: ZStackContext,
    readonly id: string,
    private readonly known: readonly KnownVm[],
    private readonly source: string | undefined,
  ) {}

  get living(): Living[] {
    return this.all.filter((member): member is Living => !isGone(member.row));
  }

  get gone(): Member[] {
    return this.all.filter(({ row }) => isGone(row));
  }

  /** A set of which nothing at all is to be seen. */
  get isNowhere(): boolean {
    return (
      this.newcomers.length === 0 && this.tags.intents.length === 0 && this.all.every(({ row }) => row === undefined)
    );
  }

  // --- what is there

  /** `listed`: the list of the run's beginning will do. `unnamed`: there may be clones that bear no tag yet. */
  async load(signal: AbortSignal, { unnamed = false, listed = false } = {}): Promise<void> {
    const shared = listed ? await this.cloud.listedTagsOf(this.id) : undefined;
    this.tagRows = shared ?? (await this.cloud.wire.queryUserTags([tagsOfSet(this.id)], signal));
    this.tags = readTags(this.tagRows).get(this.id) ?? NO_TAGS;
    // Where no intent is left, every clone has its tag.
    await this.loadRows(signal, unnamed || this.tags.intents.length > 0);
  }

  private async loadRows(signal: AbortSignal, unnamed: boolean): Promise<void> {
    const uuids = new Set([...this.tags.members.map(({ on }) => on), ...this.known.map(({ uuid }) => uuid)]);
    const [born, listed] = await Promise.all([
      unnamed ? this.queryNewcomers(signal) : [],
      this.cloud.vms([...uuids], signal),
    ]);
    this.newcomers = born.filter(({ uuid, state }) => !uuids.has(uuid) && !isGone({ state }));
    const rows = new Map([...born, ...listed].map((row) => [row.uuid, row]));
    for (const { uuid } of born) if (!this.newcomers.some((row) => row.uuid === uuid)) uuids.add(uuid);
    this.all = [...uuids].map((uuid) => this.memberOf(uuid, rows.get(uuid)));
  }

  private async queryNewcomers(signal: AbortSignal): Promise<VmRow[]> {
    const rows = await this.cloud.wire.queryVmInstances([`name~=%${temporaryName("", this.id)}`], signal);
    return rows.filter(({ name }) => isTemporary(name, this.id));
  }

  private memberOf(uuid: string, row: VmRow | undefined): Member {
    const tag = this.tags.members.find(({ on, name }) => on === uuid && name !== undefined);
    const oldTag = this.tags.members.find(({ on }) => on === uuid);
    const known = this.known.find((one) => one.uuid === uuid);
    const oldDisks = this.tags.oldDisks.filter(({ vm }) => vm === uuid).map(({ volume }) => volume);
    return {
      uuid,
      name: tag?.name ?? known?.name ?? finalName(row?.name ?? "", this.id),
      row,
      disks: [...new Set([...(tag?.disks ?? []), ...(known?.disks ?? []), ...oldDisks])],
      tag: tag ?? oldTag,
    };
  }

  /** Members by the name of the program. Where two bear one name, the state's own is the member. */
  named(name: string): Living | undefined {
    const found = this.living.filter((member) => member.name === name);
    return found.find(({ uuid }) => this.known.some((one) => one.uuid === uuid)) ?? found[0];
  }

  /** Living VMs that bear the name of another member: recovered from the bin after their successor was cloned. */
  get doubles(): Living[] {
    return this.living.filter((member) => this.named(member.name) !== member);
  }

  /** What was last read of their user tags, ours left out. */
  userTagsOf(uuid: string): TagRow[] {
    return this.tagRows.filter(({ resourceUuid, tag }) => resourceUuid === uuid && !isOwnTag(tag));
  }

  async loadUserTags(signal: AbortSignal): Promise<void> {
    this.tagRows = await this.cloud.tagsOn(
      this.living.map(({ uuid }) => uuid),
      signal,
    );
  }

  /** The record that the set's own tags show. */
  get record(): OwnershipRecord | undefined {
    return [...this.tags.members, ...this.tags.intents].find(({ record }) => record?.stack)?.record;
  }

  // --- making

  /** Says what it is about to do, then does it, once: whatever happens in between, the next run finds the intent. */
  async begin(
    names: readonly string[],
    inputs: ClonedVmInputs,
    record: OwnershipRecord,
    context: OperationContext,
    job = newUuid(),
  ): Promise<{ task: Task; intent: Intent }> {
    const { cloud, id } = this;
    const { vmInstanceUuid: source } = inputs;
    const [, disks] = await Promise.all([
      refuseUnsupported(cloud, inputs, context),
      inputs.full ? countDisks(cloud, source, context.signal) : 0,
    ]);
    const seconds = Math.max(LEAST_TIMEOUT_SECONDS, Math.ceil((context.deadline - context.clock.now()) / 1000));
    const time = cloud.now();
    const until = time + seconds + SLACK_SECONDS;
    const intent: Intent = { set: id, job, until, time, clones: names.length, disks, record, isOld: false };
    await this.writeIntent(intent, source, context).catch((error: unknown) => {
      if (!isKind(error, "notFound")) throw error;
      const said = `the VM ${source} does not exist, or belongs to another account`;
      throw new SnapcloneError({ ...error.parts, kind: "refused", said, remedy: "Correct vmInstanceUuid." });
    });
    this.begun.add(job);
    const task: Task = { job, until, names: [...names] };
    try {
      const send = () => sendClone(cloud, inputs, names, id, { job, timeoutSeconds: seconds });
      await this.sendOnce(send, job, context);
      return { task, intent };
    } catch (error) {
      // Its job and its clones tell what came of it.
      if (isKind(error, "ambiguous")) {
        this.reasons.push(`${error.parts.said}, and ZStack does not know the job ${job}`);
        return { task, intent };
      }
      if (isKind(error, "refused", "config", "unauthorized", "forbidden", "notFound", "transient")) {
        // A clear no: nothing is under way, and nothing has to be looked for.
        await this.withdraw(job).catch(() => {});
      }
      throw isKind(error, "refused") && error.parts.status === 400 ? await explained(cloud, error) : error;
    }
  }

  async writeIntent(intent: Intent, source: string, waiting: Waiting): Promise<void> {
    this.cloud.changedSets.add(this.id);
    const submit = (job: string) => this.cloud.wire.createUserTag("VmInstanceVO", source, intentTag(intent), job);
    await this.cloud.run(`tag the source VM ${source}`, submit, waiting).catch((error: unknown) => {
      // It is there already (reference §6).
      if (!hasCode(error, "TAG.1000")) throw error;
    });
  }

  /** Takes the intents back, or the one of this job: nothing is under way any more that they would tell of. */
  async withdraw(job?: string): Promise<void> {
    const rows = await this.cloud.wire.queryUserTags([tagsOfSet(this.id)]);
    const { intents, oldAdoptions } = readTags(rows).get(this.id) ?? NO_TAGS;
    const leaving = job === undefined ? [...intents, ...oldAdoptions] : intents.filter((one) => one.job === job);
    await this.untag(leaving, this.cloud.shortDeadline());
    this.tags = { ...this.tags, intents: [] };
  }

  private async untag(placed: readonly Placed[], waiting: Waiting): Promise<void> {
    if (placed.length === 0) return;
    this.cloud.changedSets.add(this.id);
    const bearers = [...new Set(placed.map(({ on }) => on))];
    const steps = placed.map((one) => this.untagging(one));
    await this.cloud.carryOut("removing tags", steps, (signal) => this.cloud.tagsOn(bearers, signal), waiting);
  }

  private untagging({ tag, on }: Placed): Step<readonly TagRow[]> {
    return {
      what: `remove a tag of ${on}`,
      submit: (job) => this.cloud.wire.deleteTag(tag, job),
      isDone: (rows) => !rows.some(({ uuid }) => uuid === tag),
    };
  }

  /** After a lost reply the job tells: its id was ours. Sent again only where the server would know it again (reference §5). */
  private async sendOnce(send: () => Promise<Submitted>, job: string, context: OperationContext): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await send();
        return;
      } catch (error) {
        if (!isKind(error, "ambiguous")) throw error;
        if (await this.isKnown(job, context)) return;
        const version = await this.cloud.version().catch(() => undefined);
        if (attempt > 1 || version === undefined || !atLeast(version, "4.5.0")) throw error;
      }
    }
  }

  private async isKnown(job: string, { clock, signal }: OperationContext): Promise<boolean> {
    for (const pause of LOST_REPLY_LOOKS_MS) {
      await sleepUnlessStopped(clock, pause, signal);
      const answer = await this.cloud.wire.queryJob(job, signal).catch(() => undefined);
      if (answer && answer.is !== "gone") return true;
    }
    return false;
  }

  /** Everything that was begun for this set: what the intents on the source say, and the state's own task. */
  works(task?: Task): Work[] {
    const what = "clones that an earlier run asked for";
    const works: Work[] = this.tags.intents.map(({ job, until, clones }) => ({ job, until, clones, what }));
    const own = workOf(task);
    return own && !works.some(({ job }) => job === own.job) ? [...works, own] : works;
  }

  /** Waits until these have come to their end, as far as anybody can tell, and their clones to rest. */
  async waitForWorks(works: readonly Work[], context: Context): Promise<Outcome> {
    const outcome: Outcome = { reasons: this.reasons, failed: new Map(), whole: new Set(), isTurnedAway: false };
    for (const work of works) await this.waitForWork(work, outcome, context);
    await this.waitUntilStable(outcome, context);
    return outcome;
  }

  /**
   * Waits until these have come to their end, and takes in what they made: what is whole gets its tag, what is broken is
   * removed. The clones that were taken in are members from then on, under their temporary names.
   */
  async takeIn(
    works: readonly Work[],
    inputs: ClonedVmInputs,
    intents: readonly Intent[],
    context: Context,
  ): Promise<Outcome> {
    const outcome = await this.waitForWorks(works, context);
    const { whole, broken } = this.judged(inputs, intents, outcome);
    const record = intents.find((one) => one.record)?.record ?? this.record;
    const time = intents.find((one) => one.time !== undefined)?.time ?? this.cloud.now();
    const withDisks = broken.filter((row) => dataVolumes(row).length > 0);
    // A run that is killed while it removes a broken clone leaves its volumes to whoever reads the tag.
    await this.note([...whole, ...withDisks], record, time, context);
    if (broken.length === 0) return outcome;
    const removed = broken.map((row) => this.memberOf(row.uuid, row));
    await this.remove(removed, { expunge: true, keep: false }, context);
    const isRemoved = (uuid: string) => broken.some((row) => row.uuid === uuid);
    this.all = this.all.filter(({ uuid }) => !isRemoved(uuid));
    this.tags = { ...this.tags, members: this.tags.members.filter(({ on }) => !isRemoved(on)) };
    return outcome;
  }

  private async waitForWork(work: Work, outcome: Outcome, context: Context): Promise<void> {
    const { wire, cloning } = this.cloud;
    const { job, what } = work;
    const begun = context.clock.now();
    const change = { of: "", at: begun };
    let wasSeen = false;
    type Look = { answer: JobAnswer; progress?: string | undefined; rows?: VmRow[] };
    const { answer } = await waitFor<Look>({
      what,
      ...(work.what === EARLIER ? {} : { first: { answer: { is: "running" } } }),
      look: async (signal) => {
        const answer = await wire.queryJob(job, signal);
        if (answer.is !== "gone") wasSeen = true;
        if (answer.is === "done" && !hasResult(answer.body)) throw withoutResult(job);
        if (hasEnded(answer)) return { answer };
        const isUnclear = answer.is !== "running" || isStuck(work, this.cloud.now());
        if (!isUnclear && context.clock.now() - begun < PROGRESS_AFTER_MS) return { answer };
        const progress = await wire.progress(job, signal).catch(() => undefined);
        return isUnclear ? { answer, progress, rows: await this.queryNewcomers(signal) } : { answer, progress };
      },
      judge: ({ answer, progress, rows }) => {
        const shown = `${what}${progress === undefined ? "" : ` ${progress} %`}`;
        if (hasEnded(answer)) return { is: "done", progress: `${what}: ended` };
        if (rows === undefined) return { is: "pending", progress: shown };
        // What it has done only the VMs can tell: a time-out is no end, and a job that is not known any more is none.
        const states = rows.map(({ uuid, state }) => `${uuid} ${state}`).sort();
        const seen = JSON.stringify([progress, states]);
        if (seen !== change.of) Object.assign(change, { of: seen, at: context.clock.now() });
        if (rows.length > 0 || progress !== undefined) wasSeen = true;
        const finished = rows.filter(({ state }) => RESTING.test(state) && !UNFINISHED.test(state));
        if (finished.length === rows.length && finished.length >= (work.clones ?? Number.POSITIVE_INFINITY)) {
          return { is: "done", progress: `${what}: all are there` };
        }
        const grace = wasSeen ? GRACE_MS : NEVER_SEEN_GRACE_MS;
        if (context.clock.now() - change.at >= grace) return { is: "done", progress: `${what}: nothing more comes` };
        const why = answer.is === "gone" ? "ZStack does not know their job" : "ZStack has given up waiting for them";
        return { is: "pending", progress: `${shown}: ${why}, ${rows.length} VMs are to be seen` };
      },
      pace: PACE,
      experience: cloning,
      job: context,
    });
    this.readEnd(answer, job, outcome);
  }

  private readEnd(answer: JobAnswer, job: string, outcome: Outcome): void {
    if (answer.is === "failed") {
      const error = this.cloud.wire.jobError(answer.fault, job);
      if (hasCode(error, SESSION_LOST)) outcome.isTurnedAway = true;
      else outcome.reasons.push(answer.fault.said);
    }
    if (answer.is !== "done") return;
    // A failed one's entry has an error, and may have its inventory (reference §3.4).
    for (const entry of resultSchema.safeParse(answer.body).data?.result?.inventories ?? []) {
      const fault = faultIn({ error: entry.error });
      if (entry.inventory && !fault) outcome.whole.add(entry.inventory.uuid);
      if (!fault) continue;
      const name = typeof entry.inventory?.name === "string" ? `"${finalName(entry.inventory.name, this.id)}": ` : "";
      if (!entry.inventory) outcome.reasons.push(fault.said);
      else if (!isOutcomeUnknown(fault)) outcome.failed.set(entry.inventory.uuid, `${name}${fault.said}`);
    }
  }

  /** Until none of the newcomers is between two states, and those are to be seen that ZStack says it has made. */
  private async waitUntilStable(outcome: Outcome, context: Context): Promise<void> {
    const begun = context.clock.now();
    this.newcomers = await waitFor<VmRow[]>({
      what: "the clones to come to rest",
      look: async (signal) => {
        const rows = await this.queryNewcomers(signal);
        return rows.filter(({ uuid, state }) => !isGone({ state }) && !this.all.some((member) => member.uuid === uuid));
      },
      judge: (rows) => {
        const moving = rows.filter(({ state }) => !RESTING.test(state));
        const unseen = [...outcome.whole].filter(
          (uuid) => !rows.some((row) => row.uuid === uuid) && !this.all.some((member) => member.uuid === uuid),
        );
        const isLate = context.clock.now() - begun >= UNSEEN_MS;
        if (moving.length === 0 && (unseen.length === 0 || isLate))
          return { is: "done", progress: `${rows.length} VMs` };
        const states = moving.map(({ name, state }) => `${finalName(name, this.id)} ${state}`).join(", ");
        return { is: "pending", progress: states || "ZStack does not show all of them yet" };
      },
      pace: PACE,
      job: context,
    });
  }

  /** Completeness is judged by what was noted when the clones were asked for, never by the source afterwards. */
  private judged(inputs: ClonedVmInputs, intents: readonly Intent[], { failed, whole: named }: Outcome) {
    const disks = inputs.full ? Math.max(0, ...intents.map((one) => one.disks ?? 0)) : 0;
    const taken = new Set(this.living.map(({ name }) => name));
    const whole: VmRow[] = [];
    const broken: VmRow[] = [];
    for (const row of this.newcomers.toSorted((a, b) => (a.uuid < b.uuid ? -1 : 1))) {
      const name = finalName(row.name, this.id);
      const has = dataVolumes(row).length;
      const why =
        (failed.has(row.uuid) ? `failed (${failed.get(row.uuid)})` : undefined) ??
        (UNFINISHED.test(row.state) ? `was left in state ${row.state}` : undefined) ??
        (has < disks && !named.has(row.uuid) ? `has ${has} of ${disks} data volumes` : undefined) ??
        (taken.has(name) ? "was cloned twice" : undefined);
      if (why === undefined) {
        taken.add(name);
        whole.push(row);
      } else {
        broken.push(row);
        this.reasons.push(`"${name}" ${why}, and was removed`);
      }
    }
    // ZStack itself removes a clone whose first start fails: its entry alone says why.
    for (const [uuid, said] of failed) {
      if (!this.newcomers.some((row) => row.uuid === uuid)) this.reasons.push(`${said} (ZStack removed it)`);
    }
    return { whole, broken };
  }

  /** Tags clones: from then on the tag, or the state, tells whose they are and what the program calls them. */
  private async note(
    rows: readonly VmRow[],
    record: OwnershipRecord | undefined,
    time: number,
    waiting: Waiting,
  ): Promise<void> {
    const texts = new Map(
      rows.map((row) => [
        row.uuid,
        memberTag({ set: this.id, time, disks: dataVolumes(row), record, name: finalName(row.name, this.id) }),
      ]),
    );
    this.cloud.changedSets.add(this.id);
    const steps = [...texts].map(([vm, tag]) => this.tagging(vm, tag, `"${finalName(rowName(rows, vm), this.id)}"`));
    const bearers = [...texts.keys(), ...(this.source === undefined ? [] : [this.source])];
    if (steps.length > 0) {
      this.tagRows = await this.cloud.carryOut(
        "tagging the clones",
        steps,
        (signal) => this.cloud.tagsOn(bearers, signal),
        waiting,
      );
      // What a list leaves out that lags is there all the same: its job has said so.
      const made = [...texts].map(([resourceUuid, tag]) => ({ uuid: "", resourceUuid, tag }));
      const seen = (row: { resourceUuid: string; tag: string }) =>
        this.tagRows.some((one) => one.resourceUuid === row.resourceUuid && one.tag === row.tag);
      const found = readTags([...this.tagRows, ...made.filter((row) => !seen(row))]).get(this.id) ?? NO_TAGS;
      const others = this.tags.members.filter(({ on }) => !texts.has(on));
      const intents = found.intents.length > 0 ? found.intents : this.tags.intents;
      this.tags = { ...this.tags, intents, members: [...others, ...found.members.filter(({ on }) => texts.has(on))] };
    }
    const noted = rows.map((row) => this.memberOf(row.uuid, row));
    this.all = [...this.all.filter(({ uuid }) => !texts.has(uuid)), ...noted];
    this.newcomers = this.newcomers.filter(({ uuid }) => !texts.has(uuid));
  }

  private tagging(vm: string, tag: string, member: string): Step<readonly TagRow[]> {
    const submit = async (job: string) => this.cloud.wire.createUserTag("VmInstanceVO", vm, tag, job);
    return {
      what: `tag ${member}`,
      member: member.replaceAll('"', ""),
      submit,
      isDone: (rows) => rows.some((row) => row.resourceUuid === vm && row.tag === tag),
    };
  }

  /** Writes this record on everything of the set, and takes the older ones away. */
  async rewrite(record: OwnershipRecord, waiting: Waiting): Promise<void> {
    this.cloud.changedSets.add(this.id);
    const { members, intents, oldAdoptions } = this.tags;
    const wanted = new Map<string, string>();
    for (const { uuid, name, disks, tag } of this.living) {
      wanted.set(uuid, memberTag({ set: this.id, time: tag?.time, disks, record, name }));
    }
    const texts: [string, string][] = [
      ...wanted,
      ...intents.map((one): [string, string] => [one.on, intentTag({ ...one, record })]),
    ];
    const there = (on: string, text: string) =>
      this.tagRows.some(({ resourceUuid, tag }) => resourceUuid === on && tag === text);
    const bearers = [...new Set(texts.map(([on]) => on))];
    const adding = texts.filter(([on, text]) => !there(on, text)).map(([on, text]) => this.tagging(on, text, on));
    const look = (signal: AbortSignal) => this.cloud.tagsOn(bearers, signal);
    if (adding.length > 0) await this.cloud.carryOut("writing the ownership record", adding, look, waiting);
    const isCurrent = ({ tag: uuid }: Placed) =>
      this.tagRows.some((row) => row.uuid === uuid && texts.some(([, text]) => text === row.tag));
    await this.untag(
      [...members, ...intents, ...oldAdoptions].filter((one) => !isCurrent(one)),
      waiting,
    );
  }

  // --- putting right

  /** Names, descriptions and user tags as they should be, and no tags that have done their duty: only what differs. */
  async reconcile(inputs: ClonedVmInputs, managed: readonly string[] | "all", waiting: Waiting): Promise<void> {
    const { wire } = this.cloud;
    const members = this.living.filter((member) => !this.doubles.includes(member));
    const steps: Step<Seen>[] = [];
    for (const { uuid, name, row } of members) {
      const changes = {
        ...(row.name === name ? {} : { name }),
        ...(inputs.description === undefined || inputs.description === (row.description ?? "")
          ? {}
          : { description: inputs.description }),
      };
      if (Object.keys(changes).length === 0) continue;
      steps.push({
        what: `${changes.name === undefined ? "describe" : "rename"} "${name}"`,
        member: name,
        submit: (job) => wire.updateVmInstance(uuid, changes, job),
        isDone: ({ rows }) => rows.some((seen) => seen.uuid === uuid && isLike(seen, changes)),
      });
    }
    const onTags = ({ what, submit, isDone, ...rest }: Step<readonly TagRow[]>): Step<Seen> => ({
      what,
      submit,
      isDone: ({ tags }) => isDone(tags),
      ...(rest.member === undefined ? {} : { member: rest.member }),
    });
    const wanted = inputs.userTags ?? [];
    for (const { uuid, name } of managed.length === 0 && wanted.length === 0 ? [] : members) {
      const own = this.userTagsOf(uuid);
      for (const tag of wanted) {
        if (!own.some((one) => one.tag === tag)) steps.push(onTags(this.tagging(uuid, tag, `"${name}"`)));
      }
      const unset = own.filter(({ tag }) => !wanted.includes(tag) && (managed === "all" || managed.includes(tag)));
      steps.push(...unset.map((one) => onTags(this.untagging({ tag: one.uuid, on: uuid }))));
    }
    // Every clone bears its tag by now.
    if ([...this.begun].some((job) => !this.tags.intents.some((one) => one.job === job))) {
      const rows = await wire.queryUserTags([tagsOfSet(this.id)], waiting.signal);
      this.tags = { ...this.tags, intents: readTags(rows).get(this.id)?.intents ?? [] };
    }
    const done = [...this.tags.intents, ...this.tags.oldAdoptions];
    steps.push(...done.map((one) => onTags(this.untagging(one))));
    if (steps.length === 0) return;

    const uuids = members.map(({ uuid }) => uuid);
    const bearers = [...new Set([...uuids, ...done.map(({ on }) => on)])];
    const seen = await this.cloud.carryOut<Seen>(
      "putting the clones right",
      steps,
      async (signal) => {
        const [rows, tags] = await Promise.all([this.cloud.vms(uuids, signal), this.cloud.tagsOn(bearers, signal)]);
        return { rows, tags };
      },
      waiting,
    );
    this.tagRows = seen.tags;
    this.tags = { ...this.tags, intents: [], oldAdoptions: [] };
    this.begun.clear();
    this.refresh(seen.rows);
  }

  private refresh(rows: readonly VmRow[]): void {
    const now = new Map(rows.map((row) => [row.uuid, row]));
    this.all = this.all.map((member) => {
      const row = now.get(member.uuid);
      return row ? { ...member, row } : member;
    });
  }

  async power(wanted: "Running" | "Stopped", waiting: Waiting): Promise<void> {
    const { wire } = this.cloud;
    await this.waitUntilResting(this.living, waiting);
    const members = this.living.filter(({ row }) => row.state !== wanted);
    if (members.length === 0) return;
    const steps = members.map(({ uuid, name, row }): Step<readonly VmRow[]> => {
      const stateOf = (rows: readonly VmRow[]) => rows.find((seen) => seen.uuid === uuid)?.state;
      return {
        what: `bring "${name}" into the state ${wanted}`,
        member: name,
        submit: (job) => {
          if (wanted === "Stopped") return wire.stopVmInstance(uuid, "grace", job);
          return row.state === "Paused" ? wire.resumeVmInstance(uuid, job) : wire.startVmInstance(uuid, job);
        },
        isDone: (rows) => stateOf(rows) === wanted,
        isUnderWay: (rows) => MOVING.test(stateOf(rows) ?? ""),
        shown: (rows) => `${name} ${stateOf(rows) ?? "gone"}`,
      };
    });
    const uuids = this.living.map(({ uuid }) => uuid);
    const what = `${listed(members)} to be ${wanted}`;
    this.refresh(await this.cloud.carryOut(what, steps, (signal) => this.cloud.vms(uuids, signal), waiting));
  }

  /** A VM that migrates, stops or starts can be asked for nothing else meanwhile. */
  private async waitUntilResting(members: readonly Member[], waiting: Waiting): Promise<void> {
    const moving = members.filter(({ row }) => row && MOVING.test(row.state));
    if (moving.length === 0) return;
    const rows = await waitFor<VmRow[]>({
      what: `${listed(moving)} to come to rest`,
      look: (signal) =>
        this.cloud.vms(
          moving.map(({ uuid }) => uuid),
          signal,
        ),
      judge: (seen) => ({
        is: seen.some(({ state }) => MOVING.test(state)) ? "pending" : "done",
        progress: seen.map(({ name, state }) => `${finalName(name, this.id)} ${state}`).join(", ") || "gone",
      }),
      pace: PACE,
      job: waiting,
    });
    this.refresh(rows);
  }

  // --- removing

  /** Everything that was begun, and that the state or a tag names. */
  everything(): Member[] {
    return [...this.all, ...this.newcomers.map((row) => this.memberOf(row.uuid, row))];
  }

  /** They have been removed. */
  forget(members: readonly Member[]): void {
    this.all = this.all.filter(({ uuid }) => !members.some((one) => one.uuid === uuid));
  }

  /** A killed run must not leave the volumes of a clone without a tag to nobody. */
  async noteNewcomers(waiting: Waiting): Promise<void> {
    const withDisks = this.newcomers.filter((row) => dataVolumes(row).length > 0);
    if (withDisks.length > 0) await this.note(withDisks, this.record, this.cloud.now(), waiting);
  }

  /** Returns when the server says that they are gone: in the bin, or expunged. Their cloned volumes go along, or stay. */
  async remove(members: readonly Member[], how: Removal, context: Context): Promise<void> {
    const errors: SnapcloneError[] = [];
    const attempt = async (work: () => Promise<void>) => {
      try {
        await work();
      } catch (error) {
        if (!(error instanceof SnapcloneError)) throw error;
        errors.push(error);
      }
    };
    await this.waitUntilResting(members, context);
    const now = new Map(this.all.map((member) => [member.uuid, member.row]));
    let left: readonly Member[] = members.map((member) => ({ ...member, row: now.get(member.uuid) ?? member.row }));
    const withheld = await this.detachWhatStays(left, how, context, errors);
    left = left.filter(({ uuid }) => !withheld.has(uuid));
    await attempt(async () => {
      left = await this.destroy(left, context, errors);
    });
    // What has not gone keeps its volumes, and its tag.
    const gone = left.filter(({ row }) => BINNED.test(row?.state ?? "Expunging"));
    if (!how.keep) await attempt(() => this.deleteDisks(gone, how.expunge, context));
    if (errors.length === 0) {
      const inBin = gone.filter(({ row }) => row?.state === "Destroyed");
      if (how.expunge) await attempt(() => this.expunge(inBin, context));
      // Its volumes are dealt with: a VM that comes back out of the bin, or a volume, is the user's.
      else
        await attempt(() =>
          this.untag(
            inBin.flatMap(({ disks, tag }) => (disks.length > 0 && tag?.tag ? tag : [])),
            context,
          ),
        );
    }
    if (errors.length > 0) throw combinedErrors(errors);
  }

  /**
   * ZStack deletes data volumes with their VM where its `vm/dataVolume.deleteOnVmDestroy` is on (reference §4, "Data
   * volumes"). Those that must stay are detached first. Returns the VMs that must not be destroyed.
   */
  private async detachWhatStays(
    members: readonly Member[],
    { keep }: Removal,
    context: Context,
    errors: SnapcloneError[],
  ) {
    const steps: (Step<readonly VolumeRow[]> & { vm: string })[] = [];
    for (const { uuid: vm, name, row, disks } of members) {
      const attached = isGone(row) || !row ? [] : dataVolumes(row);
      for (const volume of attached.filter((one) => keep || !disks.includes(one))) {
        steps.push({
          vm,
          what: `detach the data volume ${volume} from "${name}"`,
          submit: (job) => this.cloud.wire.detachDataVolume(volume, vm, job),
          isDone: (rows) => rows.every((seen) => seen.uuid !== volume || seen.vmInstanceUuid !== vm),
        });
      }
    }
    if (steps.length === 0) return new Set<string>();
    const volumes = steps.flatMap(({ what }) => /[0-9a-f]{32}/.exec(what)?.[0] ?? []);
    try {
      await this.cloud.carryOut(
        "detaching volumes that stay",
        steps,
        (signal) => this.queryVolumes(volumes, signal),
        context,
      );
      return new Set<string>();
    } catch (error) {
      if (!(error instanceof SnapcloneError) || error.kind === "stopped") throw error;
      const setting = await this.cloud.wire
        .globalConfig("vm", DELETE_ON_DESTROY, context.signal)
        .catch(() => undefined);
      if (setting === "false") return new Set<string>();
      const rows = await this.queryVolumes(volumes, context.signal);
      const stuck = steps.filter((step) => !step.isDone(rows)).map(({ vm }) => vm);
      const is = setting === undefined ? "may be" : "is";
      errors.push(
        new SnapcloneError({
          ...error.parts,
          said: `${error.parts.said}. Its VM was not destroyed: ZStack ${is} set to delete data volumes with their VM (vm/${DELETE_ON_DESTROY})`,
          remedy: "Detach the volume by hand, then run again.",
        }),
      );
      return new Set(stuck);
    }
  }

  /** The same members, as they are after it. */
  private async destroy(members: readonly Member[], waiting: Waiting, errors: SnapcloneError[]): Promise<Member[]> {
    const present = members.filter(({ row }) => row !== undefined && !BINNED.test(row.state));
    const uuids = present.map(({ uuid }) => uuid);
    const steps = present.map(({ uuid, name }): Step<readonly VmRow[]> => {
      const stateOf = (rows: readonly VmRow[]) => rows.find((seen) => seen.uuid === uuid)?.state;
      return {
        what: `destroy "${name}"`,
        submit: (job) => this.cloud.wire.destroyVmInstance(uuid, job),
        isDone: (rows) => BINNED.test(stateOf(rows) ?? "Expunging"),
        isUnderWay: (rows) => stateOf(rows) === "Destroying",
        shown: (rows) => `${name} ${stateOf(rows) ?? "gone"}`,
      };
    });
    if (steps.length === 0) return [...members];
    const look = (signal: AbortSignal) => this.cloud.vms(uuids, signal);
    let rows: readonly VmRow[];
    try {
      rows = await this.cloud.carryOut(`${listed(present)} to be gone`, steps, look, waiting);
    } catch (error) {
      if (!(error instanceof SnapcloneError) || error.kind === "stopped") throw error;
      errors.push(error);
      rows = await look(waiting.signal);
    }
    const now = <One extends Member>(member: One): One =>
      uuids.includes(member.uuid) ? { ...member, row: rows.find(({ uuid }) => uuid === member.uuid) } : member;
    this.all = this.all.map(now);
    return members.map(now);
  }

  /** Destroying a VM detaches its data volumes and keeps them (reference §4, "Data volumes"). */
  private async deleteDisks(members: readonly Member[], expunge: boolean, context: Context): Promise<void> {
    const owners = new Map(members.flatMap(({ uuid, disks }) => disks.map((disk) => [disk, uuid] as const)));
    if (owners.size === 0) return;
    const { wire } = this.cloud;
    const look = (uuids: readonly string[]) => (signal: AbortSignal) => this.queryVolumes(uuids, signal);
    const rows = (await look([...owners.keys()])(context.signal)).filter((row) => {
      const { vmInstanceUuid: at, uuid } = row;
      if (!at || at === owners.get(uuid)) return true;
      context.warn(
        `the data volume ${uuid} was cloned with ${owners.get(uuid)} and is attached to the VM ${at} now: it was left alone`,
      );
      return false;
    });
    const steps = (
      kind: string,
      some: readonly VolumeRow[],
      step: {
        submit(uuid: string, job: string): Promise<Submitted>;
        isDone(row: VolumeRow | undefined): boolean;
      },
    ) =>
      some.map(
        ({ uuid }): Step<readonly VolumeRow[]> => ({
          what: `${kind} the data volume ${uuid}`,
          submit: (job) => step.submit(uuid, job),
          isDone: (seen) => step.isDone(seen.find((row) => row.uuid === uuid)),
        }),
      );
    const uuids = rows.map(({ uuid }) => uuid);
    const deleting = steps(
      "delete",
      rows.filter(({ status }) => status !== "Deleted"),
      {
        submit: (uuid, job) => wire.deleteDataVolume(uuid, job),
        isDone: (row) => row === undefined || row.status === "Deleted",
      },
    );
    if (deleting.length > 0) await this.cloud.carryOut("deleting data volumes", deleting, look(uuids), context);
    const expunging = steps("expunge", expunge ? rows : [], {
      submit: (uuid, job) => wire.expungeDataVolume(uuid, job),
      isDone: (row) => row === undefined,
    });
    if (expunging.length > 0) await this.cloud.carryOut("expunging data volumes", expunging, look(uuids), context);
  }

  private async expunge(members: readonly Member[], waiting: Waiting): Promise<void> {
    const uuids = members.map(({ uuid }) => uuid);
    // Not idempotent: what is gone already is an error there (reference §4, "Expunge").
    const steps = members.map(
      ({ uuid, name }): Step<readonly VmRow[]> => ({
        what: `expunge "${name}"`,
        submit: (job) => this.cloud.wire.expungeVmInstance(uuid, job),
        isDone: (rows) => !rows.some((seen) => seen.uuid === uuid),
        isUnderWay: (rows) => rows.some((seen) => seen.uuid === uuid && seen.state === "Expunging"),
      }),
    );
    if (steps.length === 0) return;
    await this.cloud.carryOut("expunging VMs", steps, (signal) => this.cloud.vms(uuids, signal), waiting);
  }

  /** What there still is of VMs that are gone: cloned volumes that are attached to nothing else, VMs that were to be expunged. */
  async leftovers({ expunge, keep }: Removal, signal: AbortSignal): Promise<Leftover[]> {
    const disks = keep ? [] : this.gone.flatMap((member) => member.disks);
    const rows = disks.length === 0 ? [] : await this.queryVolumes(disks, signal);
    const isLeft = (disk: string, vm: string) =>
      rows.some(
        (row) => row.uuid === disk && row.status !== "Deleted" && (!row.vmInstanceUuid || row.vmInstanceUuid === vm),
      );
    const isKnown = (uuid: string) => this.known.some((one) => one.uuid === uuid);
    return this.gone
      .map((member) => ({ ...member, volumes: member.disks.filter((disk) => isLeft(disk, member.uuid)) }))
      .filter(
        ({ uuid, row, volumes }) => volumes.length > 0 || (expunge && isKnown(uuid) && row?.state === "Destroyed"),
      )
      .map(({ uuid, name, volumes }) => ({ uuid, name, volumes }));
  }

  private async queryVolumes(uuids: readonly string[], signal: AbortSignal): Promise<VolumeRow[]> {
    const rows: VolumeRow[] = [];
    for (let at = 0; at < uuids.length; at += 100) {
      const some = uuids.slice(at, at + 100);
      const found = await this.cloud.wire.queryVolumes([`uuid?=${some.join(",")}`], signal);
      rows.push(...found.filter(({ uuid }) => some.includes(uuid)));
    }
    return rows;
  }
}

interface Seen {
  rows: readonly VmRow[];
  tags: readonly TagRow[];
}

const EARLIER = "clones that an earlier run asked for";
/** VMs that the job's result names, and that no list shows: for so long a list may lag. */
const UNSEEN_MS = 30_000;
const DELETE_ON_DESTROY = "dataVolume.deleteOnVmDestroy";

function hasEnded(answer: JobAnswer): boolean {
  return answer.is === "done" || (answer.is === "failed" && !isOutcomeUnknown(answer.fault));
}

/** Its management node has crashed: the row says "processing" for ever (reference §2.4). */
function isStuck({ until }: Work, now: number): boolean {
  return until !== undefined && now >= until;
}

/** Of a clone there always is a result, if of none that was made (reference §3.4). */
function hasResult(body: unknown): boolean {
  return resultSchema.safeParse(body).data?.result !== undefined;
}

function withoutResult(job: string): SnapcloneError {
  const said = "ZStack's answer says that the clones' job has ended, and has no result of it";
  return new SnapcloneError({ kind: "malformed", said, request: `job ${job}` });
}

export const resultSchema = z.looseObject({
  result: z
    .looseObject({
      inventories: z.array(
        z.looseObject({
          error: z.unknown().optional(),
          inventory: z.looseObject({ uuid: z.string(), name: z.unknown().optional() }).nullish(),
        }),
      ),
    })
    .optional(),
});

/** Of a task in the state; undefined for one that is not about clones. */
export function workOf(task: Task | undefined): Work | undefined {
  const { job, until, names } = task ?? {};
  if (typeof job !== "string" || !/^[0-9a-f]{32}$/i.test(job)) return undefined;
  const wanted = Array.isArray(names) ? names.length : undefined;
  const what = wanted === 1 ? `cloning ${names}` : `cloning ${wanted ?? ""} VMs`;
  return { job, until: typeof until === "number" ? until : undefined, clones: wanted, what };
}

export function cloneFailure(
  missing: readonly string[],
  members: Members,
  jobUuid: string | undefined,
): SnapcloneError {
  const there = members.living.map(({ name }) => name);
  const done = there.length === 0 ? "none was cloned" : `cloned: ${there.join(", ")}`;
  const why = members.reasons.length === 0 ? "ZStack gives no reason" : [...new Set(members.reasons)].join("; ");
  return new SnapcloneError({
    // Nothing at all came of it: there is nothing to record.
    kind: there.length === 0 ? "notFound" : "failed",
    said: `${missing.join(", ")} could not be cloned (${done}): ${why}`,
    request: jobUuid === undefined ? undefined : `job ${jobUuid}`,
    remedy: there.length === 0 ? "Nothing was left behind. Run again when the cause is gone." : undefined,
  });
}

export function sendClone(
  cloud: ZStackContext,
  inputs: ClonedVmInputs,
  names: readonly string[],
  set: string,
  options: { job: string; timeoutSeconds?: number; more?: readonly string[] },
): Promise<Submitted> {
  const { affinityGroupUuid, volumeProvisioningStrategy, systemTags: tags = [], full } = inputs;
  const provisioning =
    volumeProvisioningStrategy === undefined
      ? undefined
      : [`volumeProvisioningStrategy::${volumeProvisioningStrategy}`];
  const request = {
    names: names.map((name) => temporaryName(name, set)),
    strategy: inputs.strategy ?? "InstantStart",
    full: full === true,
    // Provisioning is a tag of the volumes, the affinity group one of the VM (the vendor's page for CloneVmInstance).
    rootVolumeSystemTags: provisioning,
    dataVolumeSystemTags: full ? provisioning : undefined,
    primaryStorageUuidForRootVolume: inputs.primaryStorageUuidForRootVolume,
    primaryStorageUuidForDataVolume: inputs.primaryStorageUuidForDataVolume,
    clusterUuid: inputs.clusterUuid,
    hostUuid: inputs.hostUuid,
  };
  const group = affinityGroupUuid === undefined ? [] : [`affinityGroupUuid::${affinityGroupUuid}`];
  const { more = [], ...rest } = options;
  return cloud.wire.cloneVmInstance(inputs.vmInstanceUuid, request, {
    ...rest,
    systemTags: [...group, ...tags, ...more],
  });
}

export async function explained(cloud: ZStackContext, error: SnapcloneError): Promise<SnapcloneError> {
  const apis = await cloud.wire.getSupportAPIs().catch(() => undefined);
  if (apis === undefined || apis.includes("APICloneVmInstanceMsg")) return error;
  const said = "this edition of ZStack cannot clone VMs (it has no APICloneVmInstanceMsg)";
  return new SnapcloneError({ ...error.parts, said, remedy: "The call is part of the enterprise editions." });
}

/** Inputs that this server would drop are refused before anything is sent. */
export async function refuseUnsupported(
  cloud: ZStackContext,
  inputs: ClonedVmInputs,
  context: Pick<OperationContext, "warn">,
): Promise<void> {
  const gated = SINCE.filter(([input]) => inputs[input] !== undefined && inputs[input] !== false);
  const needed = inputs.strategy === "CreateStopped" ? [...gated, ["strategy", "3.9.0"] as const] : gated;
  if (needed.length === 0) return;
  const version = await cloud.version();
  if (version === undefined) {
    const list = needed.map(([input]) => input).join(", ");
    context.warn(
      `ZStack does not tell its version: whether it knows ${list} is not checked, and an old one drops them`,
    );
    return;
  }
  const missing = needed.filter(([, since]) => !atLeast(version, since));
  if (missing.length === 0) return;
  const list = missing.map(([input, since]) => `${input} (since ${since})`).join(", ");
  throw new SnapcloneError({
    kind: "refused",
    said: `this ZStack is ${version} and would drop ${list} in silence`,
    remedy: "Leave it out, or use a newer ZStack.",
  });
}

async function countDisks(cloud: ZStackContext, vm: string, signal: AbortSignal): Promise<number> {
  const rows = await cloud.wire.queryVolumes([`vmInstanceUuid=${vm}`, "type=Data"], signal);
  return rows.filter((row) => row.vmInstanceUuid === vm && row.type === "Data").length;
}

function dataVolumes({ allVolumes }: VmRow): string[] {
  return (allVolumes ?? []).filter(({ type }) => type === "Data").map(({ uuid }) => uuid);
}

/** `"web-1", "web-2", …`. */
function listed(members: readonly Member[]): string {
  const names = members.slice(0, 5).map(({ name }) => `"${name}"`);
  return [...names, ...(members.length > names.length ? ["…"] : [])].join(", ");
}

function rowName(rows: readonly VmRow[], uuid: string): string {
  return rows.find((row) => row.uuid === uuid)?.name ?? uuid;
}

function isLike(row: VmRow, changes: { name?: string; description?: string }): boolean {
  const { name = row.name, description = row.description ?? "" } = changes;
  return row.name === name && (row.description ?? "") === description;
}

/** Versions below 1.9 had no REST API (reference §3.1): such a number is ZSvirt's, which counts anew and has all of it (§0). */
function atLeast(version: string, wanted: string): boolean {
  const numbers = (text: string) => text.split(".").map((part) => Number.parseInt(part, 10) || 0);
  const compare = (a: number[], b: number[]) => {
    const at = b.findIndex((part, index) => (a[index] ?? 0) !== part);
    return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
  };
  const own = numbers(version);
  return compare(own, [1, 9]) < 0 || compare(own, numbers(wanted)) >= 0;
}
