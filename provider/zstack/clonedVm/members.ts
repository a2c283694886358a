// The members of one set of clones: what there is of them, making more, putting them right. The order of steps is what keeps
// a killed run harmless: the intent on the source, the request, the end of its job, the tags on the clones, then their final
// names; the intent goes with the names. The facts are in docs/wire/zstack.md.

import type { OperationContext, OwnershipRecord, Task } from "../../core/definition";
import { isKind, SnapcloneError } from "../../core/errors";
import { poll } from "../../core/poll";
import { hasCode, type TagRow, type VmRow } from "../client";
import {
  finalName,
  isGone,
  isTemporary,
  newUuid,
  type Step,
  temporaryName,
  type Waiting,
  type ZStackContext,
} from "../context";
import {
  explained,
  type Outcome,
  RESTING,
  readEnd,
  refuseUnsupported,
  sendClone,
  sendOnce,
  UNFINISHED,
  type Work,
  waitForWork,
  workOf,
} from "./create";
import {
  dataVolumes,
  listed,
  type Member,
  MOVING,
  Removal,
  type RemovalOptions,
  waitUntilResting,
  withRows,
} from "./delete";
import type { ClonedVmInputs } from "./inputs";
import {
  type Intent,
  intentTag,
  isOwnTag,
  memberTag,
  NO_TAGS,
  type Placed,
  readTags,
  type SetTags,
  tagsOfSet,
} from "./ownership";
import type { KnownVm } from "./state";

const PACE = { first: 1_000, most: 5_000 };
/** The server gets at least this long: what it gives up goes on all the same, and then nobody knows how far. */
const LEAST_TIMEOUT_SECONDS = 3600;
/** What the server may take beyond its limit before a job that still runs is taken for one that nobody works on. */
const SLACK_SECONDS = 300;
/** VMs that the job's result names, and that no list shows: for so long a list may lag. */
const UNSEEN_MS = 30_000;

type Living = Member & { row: VmRow };

/** What is left of a VM that is gone. */
export interface Leftover {
  uuid: string;
  name: string;
  volumes: readonly string[];
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
  /** Jobs whose intents were written by this run. */
  private readonly begun = new Set<string>();

  constructor(
    private readonly cloud: ZStackContext,
    readonly id: string,
    private readonly known: readonly KnownVm[],
    private readonly source: string | undefined,
  ) {}

  // --- what is there

  /** `listed`: the list of the run's beginning will do. `unnamed`: there may be clones that bear no tag yet. */
  async load(signal: AbortSignal, { unnamed = false, listed = false } = {}): Promise<void> {
    const shared = listed ? await this.cloud.listedTagsOf(this.id) : undefined;
    this.tagRows = shared ?? (await this.cloud.wire.queryUserTags([tagsOfSet(this.id)], signal));
    this.tags = readTags(this.tagRows).get(this.id) ?? NO_TAGS;
    const uuids = new Set([...this.tags.members.map(({ on }) => on), ...this.known.map(({ uuid }) => uuid)]);
    const [born, rows] = await Promise.all([
      // Where no intent is left, every clone has its tag.
      unnamed || this.tags.intents.length > 0 ? this.queryBorn(signal) : [],
      this.cloud.vms([...uuids], signal),
    ]);
    this.newcomers = born.filter((row) => !uuids.has(row.uuid) && !isGone(row));
    const all = new Map([...born, ...rows].map((row) => [row.uuid, row]));
    for (const { uuid } of this.newcomers) all.delete(uuid);
    this.all = [...new Set([...uuids, ...all.keys()])].map((uuid) => this.memberOf(uuid, all.get(uuid)));
  }

  /** VMs that still have the temporary names of this set. */
  private async queryBorn(signal: AbortSignal): Promise<VmRow[]> {
    const rows = await this.cloud.wire.queryVmInstances([`name~=%${temporaryName("", this.id)}`], signal);
    return rows.filter(({ name }) => isTemporary(name, this.id));
  }

  private memberOf(uuid: string, row: VmRow | undefined): Member {
    const tags = this.tags.members.filter(({ on }) => on === uuid);
    const tag = tags.find(({ name }) => name !== undefined) ?? tags[0];
    const known = this.known.find((one) => one.uuid === uuid);
    const oldDisks = this.tags.oldDisks.filter(({ vm }) => vm === uuid).map(({ volume }) => volume);
    return {
      uuid,
      name: tag?.name ?? known?.name ?? finalName(row?.name ?? "", this.id),
      row,
      disks: [...new Set([...(tag?.disks ?? []), ...(known?.disks ?? []), ...oldDisks])],
      tag,
    };
  }

  get living(): Living[] {
    return this.all.filter((member): member is Living => !isGone(member.row));
  }

  get gone(): Member[] {
    return this.all.filter(({ row }) => isGone(row));
  }

  /** Nothing at all of the set is to be seen. */
  get isNowhere(): boolean {
    const { newcomers, tags, all } = this;
    return newcomers.length === 0 && tags.intents.length === 0 && all.every(({ row }) => row === undefined);
  }

  isKnown(uuid: string): boolean {
    return this.known.some((one) => one.uuid === uuid);
  }

  /** Members by the name of the program. Where two bear one name, the state's own is the member. */
  named(name: string): Living | undefined {
    const found = this.living.filter((member) => member.name === name);
    return found.find(({ uuid }) => this.isKnown(uuid)) ?? found[0];
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
    const uuids = this.living.map(({ uuid }) => uuid);
    this.tagRows = await this.cloud.tagsOn(uuids, signal);
  }

  /** The record that the set's own tags show. */
  get record(): OwnershipRecord | undefined {
    return [...this.tags.members, ...this.tags.intents].find(({ record }) => record?.stack)?.record;
  }

  /** What there still is of VMs that are gone: cloned volumes that are attached to nothing else, VMs that were to be expunged. */
  async leftovers({ expunge, keep }: RemovalOptions, signal: AbortSignal): Promise<Leftover[]> {
    const disks = keep ? [] : this.gone.flatMap((member) => member.disks);
    const rows = disks.length === 0 ? [] : await this.cloud.volumes(disks, signal);
    const isLeft = (disk: string, vm: string) =>
      rows.some(({ uuid, status, vmInstanceUuid: at }) => uuid === disk && status !== "Deleted" && (!at || at === vm));
    return this.gone.flatMap(({ uuid, name, row, disks: own }) => {
      const volumes = own.filter((disk) => isLeft(disk, uuid));
      const isBinned = expunge && this.isKnown(uuid) && row?.state === "Destroyed";
      return volumes.length > 0 || isBinned ? [{ uuid, name, volumes }] : [];
    });
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
      inputs.full ? this.countDisks(source, context.signal) : 0,
    ]);
    const seconds = Math.max(LEAST_TIMEOUT_SECONDS, Math.ceil((context.deadline - context.clock.now()) / 1000));
    const time = cloud.now();
    const until = time + seconds + SLACK_SECONDS;
    const intent: Intent = { set: id, job, until, time, clones: names.length, disks, record, isOld: false };
    await this.writeIntent(intent, source, context).catch((error: unknown) => {
      if (!isKind(error, "notFound")) throw error;
      const message = `the VM ${source} does not exist, or belongs to another account`;
      throw new SnapcloneError({ ...error.parts, kind: "refused", message, hint: "Correct vmInstanceUuid." });
    });
    const task: Task = { job, until, names: [...names] };
    try {
      const send = () => sendClone(cloud, inputs, names, id, { job, timeoutSeconds: seconds });
      await sendOnce(cloud, send, job, context);
    } catch (error) {
      // Its job and its clones tell what came of it.
      if (isKind(error, "ambiguous"))
        this.reasons.push(`${error.parts.message}, and ZStack does not know the job ${job}`);
      // A clear no: nothing is under way, and nothing has to be looked for.
      else if (isKind(error, "refused", "config", "unauthorized", "forbidden", "notFound", "transient")) {
        await this.withdraw(job).catch(() => {});
        throw await explained(cloud, error);
      } else throw error;
    }
    return { task, intent };
  }

  async writeIntent(intent: Intent, source: string, waiting: Waiting): Promise<void> {
    this.cloud.changedSets.add(this.id);
    const submit = (job: string) => this.cloud.wire.createUserTag("VmInstanceVO", source, intentTag(intent), job);
    await this.cloud.run(`tag the source VM ${source}`, submit, waiting).catch((error: unknown) => {
      // It is there already (docs/wire/zstack.md#s6).
      if (!hasCode(error, "TAG.1000")) throw error;
    });
    this.begun.add(intent.job);
  }

  private async countDisks(vm: string, signal: AbortSignal): Promise<number> {
    const rows = await this.cloud.wire.queryVolumes([`vmInstanceUuid=${vm}`, "type=Data"], signal);
    return rows.filter((row) => row.vmInstanceUuid === vm && row.type === "Data").length;
  }

  /** Takes the intents back, or the one of this job: nothing is under way any more that they would tell of. */
  async withdraw(job?: string): Promise<void> {
    await this.loadIntents(this.cloud.shortDeadline().signal);
    const { intents, oldAdoptions } = this.tags;
    const leaving = job === undefined ? [...intents, ...oldAdoptions] : intents.filter((one) => one.job === job);
    await this.untag(leaving, this.cloud.shortDeadline());
    this.tags = { ...this.tags, intents: intents.filter((one) => !leaving.includes(one)), oldAdoptions: [] };
  }

  /** `begin` of another object of this set has written it. */
  expectIntent({ job }: Intent): void {
    this.begun.add(job);
  }

  /** Those that were just written bear tags that nobody has seen yet. */
  private async loadIntents(signal: AbortSignal): Promise<void> {
    const isUnseen = (job: string) => !this.tags.intents.some((one) => one.job === job);
    if (![...this.begun].some(isUnseen)) return;
    const rows = await this.cloud.wire.queryUserTags([tagsOfSet(this.id)], signal);
    this.tags = { ...this.tags, intents: readTags(rows).get(this.id)?.intents ?? [] };
    this.begun.clear();
  }

  private untag(placed: readonly Placed[], waiting: Waiting): Promise<void> {
    if (placed.length > 0) this.cloud.changedSets.add(this.id);
    return this.cloud.untag(placed, waiting);
  }

  /** Everything that was begun for this set and may go on: what the intents on the source say, and the state's own task. */
  works(task?: Task): Work[] {
    const what = "clones that an earlier run asked for";
    const works: Work[] = this.tags.intents.map(({ job, until, clones }) => ({
      job,
      until,
      clones,
      what,
      isEarlier: true,
    }));
    const own = workOf(task);
    if (own && !works.some(({ job }) => job === own.job)) works.push({ ...own, isEarlier: true });
    return works.filter(({ job }) => !this.cloud.endedJobs.has(job));
  }

  /** Waits until these have come to their end, as far as anybody can tell, and their clones to rest. */
  async waitForWorks(works: readonly Work[], context: Context): Promise<Outcome> {
    const outcome: Outcome = { reasons: this.reasons, failed: new Map(), whole: new Set(), isTurnedAway: false };
    for (const work of works) {
      const answer = await waitForWork(this.cloud, work, (signal) => this.queryBorn(signal), context);
      readEnd(this.cloud, answer, work.job, this.id, outcome);
      this.cloud.endedJobs.add(work.job);
    }
    const begun = context.clock.now();
    const isMember = (uuid: string) => this.all.some((member) => member.uuid === uuid);
    this.newcomers = await poll<VmRow[]>({
      description: "the clones to come to rest",
      fetch: async (signal) => (await this.queryBorn(signal)).filter((row) => !isGone(row) && !isMember(row.uuid)),
      evaluate: (rows) => {
        const moving = rows.filter(({ state }) => !RESTING.test(state));
        const isSeen = (uuid: string) => isMember(uuid) || rows.some((row) => row.uuid === uuid);
        const areSeen = [...outcome.whole].every(isSeen) || context.clock.now() - begun >= UNSEEN_MS;
        if (moving.length === 0 && areSeen) return { is: "done", progress: `${rows.length} VMs` };
        const states = moving.map(({ name, state }) => `${finalName(name, this.id)} ${state}`).join(", ");
        return { is: "pending", progress: states || "ZStack does not show all of them yet" };
      },
      interval: PACE,
      context: context,
    });
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
    return outcome;
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
    for (const [uuid, message] of failed) {
      if (!this.newcomers.some((row) => row.uuid === uuid)) this.reasons.push(`${message} (ZStack removed it)`);
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
    if (rows.length === 0) return;
    this.cloud.changedSets.add(this.id);
    const written = rows.map((row) => {
      const name = finalName(row.name, this.id);
      return { row, name, tag: memberTag({ set: this.id, time, disks: dataVolumes(row), record, name }) };
    });
    const steps = written.map(({ row, name, tag }) => this.cloud.tagging(row.uuid, tag, name));
    const uuids = rows.map(({ uuid }) => uuid);
    // The source shows the intents, which have done their duty afterwards.
    const bearers = [...uuids, ...(this.source === undefined ? [] : [this.source])];
    const look = (signal: AbortSignal) => this.cloud.tagsOn(bearers, signal);
    this.tagRows = await this.cloud.runSteps("tagging the clones", steps, look, waiting);
    // What a list leaves out that lags is there all the same: its job has said so.
    const unlisted = written.filter(({ row, tag }) => !this.tagRows.some((one) => isTagOn(one, row.uuid, tag)));
    const made = unlisted.map(({ row, tag }) => ({ uuid: "", resourceUuid: row.uuid, tag }));
    const found = readTags([...this.tagRows, ...made]).get(this.id) ?? NO_TAGS;
    const others = this.tags.members.filter(({ on }) => !uuids.includes(on));
    const own = found.members.filter(({ on }) => uuids.includes(on));
    const intents = found.intents.length > 0 ? found.intents : this.tags.intents;
    this.tags = { ...this.tags, intents, members: [...others, ...own] };
    this.all = [
      ...this.all.filter(({ uuid }) => !uuids.includes(uuid)),
      ...rows.map((row) => this.memberOf(row.uuid, row)),
    ];
    this.newcomers = this.newcomers.filter(({ uuid }) => !uuids.includes(uuid));
  }

  /** A killed run must not leave the volumes of a clone without a tag to nobody. */
  async noteNewcomers(waiting: Waiting): Promise<void> {
    const withDisks = this.newcomers.filter((row) => dataVolumes(row).length > 0);
    await this.note(withDisks, this.record, this.cloud.now(), waiting);
  }

  /** Writes this record on everything of the set, and takes the older ones away. */
  async rewrite(record: OwnershipRecord, waiting: Waiting): Promise<void> {
    this.cloud.changedSets.add(this.id);
    const { members, intents, oldAdoptions } = this.tags;
    // A VM in the bin whose volumes are still there goes on telling of them.
    const telling = this.all.filter(({ row, disks }) => row !== undefined && (!isGone(row) || disks.length > 0));
    const wanted = [
      ...telling.map(({ uuid, name, disks, tag }) => {
        return { on: uuid, name, text: memberTag({ set: this.id, time: tag?.time, disks, record, name }) };
      }),
      ...intents.map((one) => ({ on: one.on, name: `the source VM ${one.on}`, text: intentTag({ ...one, record }) })),
    ];
    const missing = wanted.filter(({ on, text }) => !this.tagRows.some((row) => isTagOn(row, on, text)));
    const steps = missing.map(({ on, text, name }) => this.cloud.tagging(on, text, name));
    const look = (signal: AbortSignal) => this.cloud.tagsOn([...new Set(missing.map(({ on }) => on))], signal);
    if (steps.length > 0) await this.cloud.runSteps("writing the ownership record", steps, look, waiting);
    const isWanted = ({ uuid, tag }: TagRow) => uuid !== "" && wanted.some(({ text }) => text === tag);
    const current = new Set(this.tagRows.filter(isWanted).map(({ uuid }) => uuid));
    const older = [...members, ...intents, ...oldAdoptions].filter(({ tag }) => !current.has(tag));
    await this.untag(older, waiting);
  }

  // --- putting right

  /** Names, descriptions and user tags as they should be, and no tags that have done their duty: only what differs. */
  async reconcile(inputs: ClonedVmInputs, managed: readonly string[] | "all", waiting: Waiting): Promise<void> {
    const { cloud } = this;
    const doubles = this.doubles;
    const members = this.living.filter((member) => !doubles.includes(member));
    const changing = members.flatMap(({ uuid, name, row }): Step<readonly VmRow[]>[] => {
      const { description = row.description ?? "" } = inputs;
      const changes = {
        ...(row.name === name ? {} : { name }),
        ...((row.description ?? "") === description ? {} : { description }),
      };
      if (Object.keys(changes).length === 0) return [];
      const isLike = (seen: VmRow) => seen.name === name && (seen.description ?? "") === description;
      return [
        {
          what: `${changes.name === undefined ? "describe" : "rename"} "${name}"`,
          member: name,
          submit: (job) => cloud.wire.updateVmInstance(uuid, changes, job),
          isDone: (rows) => rows.some((seen) => seen.uuid === uuid && isLike(seen)),
        },
      ];
    });
    const wanted = inputs.userTags ?? [];
    const tagging = members.flatMap(({ uuid, name }) => {
      const own = this.userTagsOf(uuid);
      const missing = wanted.filter((tag) => !own.some((one) => one.tag === tag));
      const unset = own.filter(({ tag }) => !wanted.includes(tag) && (managed === "all" || managed.includes(tag)));
      return [
        ...missing.map((tag) => cloud.tagging(uuid, tag, name)),
        ...unset.map((one) => cloud.untagging({ tag: one.uuid, on: uuid })),
      ];
    });
    await this.loadIntents(waiting.signal);
    // Where every clone bears its tag, the intents have done their duty.
    const done = this.newcomers.length > 0 ? [] : [...this.tags.intents, ...this.tags.oldAdoptions];
    if (done.length > 0) cloud.changedSets.add(this.id);
    tagging.push(...done.map((one) => cloud.untagging(one)));

    const uuids = members.map(({ uuid }) => uuid);
    const bearers = [...new Set([...uuids, ...done.map(({ on }) => on)])];
    await cloud.together(
      async () => {
        if (changing.length === 0) return;
        const rows = await cloud.runSteps(
          "changing the clones",
          changing,
          (signal) => cloud.vms(uuids, signal),
          waiting,
        );
        this.all = withRows(
          this.all,
          rows.map(({ uuid }) => uuid),
          rows,
        );
      },
      async () => {
        if (tagging.length === 0) return;
        this.tagRows = await cloud.runSteps("tags", tagging, (signal) => cloud.tagsOn(bearers, signal), waiting);
        if (done.length > 0) this.tags = { ...this.tags, intents: [], oldAdoptions: [] };
      },
    );
  }

  async power(wanted: "Running" | "Stopped", waiting: Waiting): Promise<void> {
    const { wire } = this.cloud;
    this.all = await waitUntilResting(this.cloud, this.all, waiting);
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
    const uuids = members.map(({ uuid }) => uuid);
    const look = (signal: AbortSignal) => this.cloud.vms(uuids, signal);
    const rows = await this.cloud.runSteps(`${listed(members)} to be ${wanted}`, steps, look, waiting);
    this.all = withRows(
      this.all,
      rows.map(({ uuid }) => uuid),
      rows,
    );
  }

  // --- removing

  /** What the state or a tag names, and clones that bear no tag yet. */
  everything(): Member[] {
    return [...this.all, ...this.newcomers.map((row) => this.memberOf(row.uuid, row))];
  }

  /** They are members no more when this returns. */
  async remove(members: readonly Member[], options: RemovalOptions, context: Context): Promise<void> {
    await new Removal(this.cloud, options, context).remove(members);
    const isRemoved = (uuid: string) => members.some((one) => one.uuid === uuid);
    this.all = this.all.filter(({ uuid }) => !isRemoved(uuid));
    this.newcomers = this.newcomers.filter(({ uuid }) => !isRemoved(uuid));
    this.tags = { ...this.tags, members: this.tags.members.filter(({ on }) => !isRemoved(on)) };
  }
}

function isTagOn(row: TagRow, on: string, text: string): boolean {
  return row.resourceUuid === on && row.tag === text;
}

export function cloneFailure(missing: readonly string[], members: Members, job: string): SnapcloneError {
  const there = members.living.map(({ name }) => name);
  const done = there.length === 0 ? "none was cloned" : `cloned: ${there.join(", ")}`;
  const why = members.reasons.length === 0 ? "ZStack gives no reason" : [...new Set(members.reasons)].join("; ");
  return new SnapcloneError({
    // Nothing at all came of it: there is nothing to record.
    kind: there.length === 0 ? "notFound" : "failed",
    message: `${missing.join(", ")} could not be cloned (${done}): ${why}`,
    request: `job ${job}`,
    hint: there.length === 0 ? "Nothing was left behind. Run again when the cause is gone." : undefined,
  });
}
