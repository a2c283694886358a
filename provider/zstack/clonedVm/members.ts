// The members of one set of clones: listing them, creating more, reconciling them with the program, deleting them.
//
// The order of the steps keeps a killed run harmless. A create first tags the source VM (the pending create), then requests
// the clones under temporary names, waits for the job, tags the clones, gives them their final names, and removes the tag
// from the source. At any moment a later run finds everything of the set by the set's id. The facts are in
// docs/wire/zstack.md.

import type { OperationContext, OwnershipRecord, State, Task } from "../../core/definition";
import { isKind, SnapcloneError } from "../../core/errors";
import { poll } from "../../core/poll";
import type { TagRow, VmRow } from "../answers";
import type { Submitted } from "../client";
import { isGone, newUuid, runAll, type WaitContext, type ZStackContext } from "../context";
import { addJobEnd, type CloneJob, divideClones, earlierJobs, type JobOutcome, newOutcome, STABLE } from "./create";
import { type DeleteOptions, Deletion, releaseBinned } from "./delete";
import { explainRefusal, lackingVolumesWarning, missingSource, otherVolumesWarning } from "./errors";
import type { ClonedVmInputs } from "./inputs";
import {
  cachedTags,
  finalName,
  isOwnTag,
  isTagOn,
  isTemporary,
  type MemberTag,
  memberTag,
  NO_TAGS,
  type PendingCreate,
  pendingCreateTag,
  readTags,
  removeCopies,
  removeTags,
  requestedName,
  type SetTags,
  type TagReference,
  tagStep,
  tagsOfSet,
  temporaryName,
  untagStep,
  userTagSteps,
} from "./ownership";
import { POLL_INTERVAL, STUCK_HINT, setPowerState, waitUntilStable, withRows } from "./power";
import { renameSteps } from "./rename";
import { countDataVolumes, refuseUnsupportedInputs, sendCloneRequest, waitForJob } from "./request";
import { asTexts, type KnownVm, knownVms, sourceOf } from "./state";
import { divideVolumes } from "./volumes";

/** ZStack gets at least this long: if it gives a job up, the work goes on, and nobody knows how far. */
const MIN_TIMEOUT_SECONDS = 3600;
/** After its timeout and this margin, a job that still runs counts as stuck. */
const TIMEOUT_MARGIN_SECONDS = 300;
/** How long a list may lag behind a job's result that names a VM. */
const LIST_LAG_MS = 30_000;
/** One VM of the set. Its uuid identifies it: its name on the server may change. */
export interface Member {
  uuid: string;
  /** The program's name for the VM. */
  name: string;
  /** undefined if the server does not show the VM. */
  row: VmRow | undefined;
  /** Data volumes that were cloned with the VM. */
  disks: readonly string[];
  tag: (MemberTag & TagReference) | undefined;
  /** All tags of the set on the VM: a run that was killed may have left an older one. */
  tags: readonly TagReference[];
}

export type LivingMember = Member & { row: VmRow };

export type MembersContext = WaitContext & Pick<OperationContext, "warn" | "warnForbidden">;

export class Members {
  /** In no particular order. Includes VMs in the recycle bin, and VMs that only the state knows. */
  all: readonly Member[] = [];
  /** Clones without a tag. */
  untagged: readonly VmRow[] = [];
  tags: SetTags = NO_TAGS;
  tagRows: readonly TagRow[] = [];
  /** Why requested clones do not exist. */
  readonly reasons: string[] = [];
  private readonly known: readonly KnownVm[];
  private readonly source: string | undefined;
  private readonly full: unknown;
  /**
   * By uuid, the program's names for the set's clones that a list or a job's result has shown. Somebody may rename a clone
   * before it has its tag, and then only its uuid identifies it.
   */
  private readonly cloneNames = new Map<string, string | undefined>();
  /** The names of the clones that this run has requested. */
  readonly requested: string[] = [];
  /** The data volumes that the results of clone jobs name. */
  private readonly namedVolumes = new Set<string>();
  /** Jobs whose pending creates this run has written, and no list has shown yet. */
  private readonly written = new Set<string>();

  constructor(
    readonly cloud: ZStackContext,
    readonly id: string,
    readonly context: MembersContext,
    state: State,
  ) {
    this.known = knownVms(state);
    this.source = sourceOf(state);
    this.full = state.full;
  }

  // --- list

  /** `cached`: the run's first list may be used. `unnamed`: VMs with temporary names may exist without a pending create. */
  async list({ cached = false, unnamed = false } = {}): Promise<void> {
    const { signal } = this.context;
    const fromCache = cached ? await cachedTags(this.cloud, this.id) : undefined;
    this.tagRows = fromCache ?? (await this.cloud.client.queryUserTags([tagsOfSet(this.id)], signal));
    this.tags = readTags(this.tagRows).get(this.id) ?? NO_TAGS;
    const uuids = new Set([...this.tags.members.map(({ vmUuid }) => vmUuid), ...this.known.map(({ uuid }) => uuid)]);
    const [unnamedRows, rows] = await Promise.all([
      unnamed || this.tags.pendingCreates.length > 0 ? this.queryUnnamed(signal) : [],
      this.cloud.vms([...uuids], signal),
    ]);
    this.untagged = unnamedRows.filter((row) => !uuids.has(row.uuid) && !isGone(row));
    const all = new Map([...unnamedRows, ...rows].map((row) => [row.uuid, row]));
    for (const { uuid } of this.untagged) all.delete(uuid);
    this.all = [...new Set([...uuids, ...all.keys()])].map((uuid) => this.memberOf(uuid, all.get(uuid)));
  }

  /** For an import: these VMs are the members, as their rows and tags show them. No VM has a tag of this set yet. */
  show(rows: readonly VmRow[], tags: readonly TagRow[]): void {
    this.tagRows = tags;
    this.all = rows.map((row) => this.memberOf(row.uuid, row));
  }

  /** The VMs that have this set's temporary names, and those that had such a name when this process learnt of them. */
  private async queryUnnamed(signal: AbortSignal): Promise<VmRow[]> {
    const rows = await this.cloud.client.queryVmInstances([`name~=%${temporaryName("", this.id)}%`], signal);
    const found = rows.filter(({ name }) => isTemporary(name, this.id));
    for (const { uuid, name } of found) this.cloneNames.set(uuid, this.programName(name));
    const isFound = (uuid: string) => [...found, ...this.all].some((one) => one.uuid === uuid);
    const others = [...this.cloneNames.keys()].filter((uuid) => !isFound(uuid));
    return others.length === 0 ? found : [...found, ...(await this.cloud.vms(others, signal))];
  }

  private programName(name: string): string {
    return requestedName(name, this.id, this.requested) ?? finalName(name, this.id);
  }

  private nameOf({ uuid, name }: Pick<VmRow, "uuid" | "name">): string {
    return this.cloneNames.get(uuid) ?? this.programName(name);
  }

  private memberOf(uuid: string, row: VmRow | undefined): Member {
    const tags = this.tags.members.filter(({ vmUuid }) => vmUuid === uuid);
    const tag = tags.find(({ name }) => name !== undefined) ?? tags[0];
    const known = this.known.find((one) => one.uuid === uuid);
    const oldDisks = this.tags.oldDisks.filter(({ vm }) => vm === uuid).map(({ volume }) => volume);
    return {
      uuid,
      // An import that was killed may have written other names than the program has now.
      name: known?.name ?? tag?.name ?? this.nameOf({ uuid, name: row?.name ?? "" }),
      row,
      disks: [...new Set([...(tag?.disks ?? []), ...(known?.disks ?? []), ...oldDisks])],
      tag,
      tags: [...tags, ...this.tags.notes.filter(({ vmUuid }) => vmUuid === uuid)],
    };
  }

  /** For VMs without a tag: which of their data volumes were cloned with them. */
  private volumesOf(row: VmRow): { cloned: string[]; others: string[] } {
    const { pendingCreates } = this.tags;
    const isFull = this.full === true || (this.full === undefined && pendingCreates.some(({ disks = 0 }) => disks > 0));
    const source = this.source ?? pendingCreates[0]?.vmUuid;
    return divideVolumes(row, { source, isFull, named: this.namedVolumes });
  }

  get living(): LivingMember[] {
    return this.all.filter((member): member is LivingMember => !isGone(member.row));
  }

  /** All members, and the clones without a tag. */
  get everything(): Member[] {
    return [...this.all, ...this.untagged.map((row) => this.memberOf(row.uuid, row))];
  }

  isKnown(uuid: string): boolean {
    return this.known.some((one) => one.uuid === uuid);
  }

  /** The member with the program's name for it. If two VMs have the name, the VM in the state is the member. */
  named(name: string): LivingMember | undefined {
    const found = this.living.filter((member) => member.name === name);
    return found.find(({ uuid }) => this.isKnown(uuid)) ?? found[0];
  }

  missing(names: readonly string[]): string[] {
    return names.filter((name) => this.named(name) === undefined);
  }

  /** VMs with the name of another member: they were recovered from the bin after their successor was cloned. */
  get duplicates(): LivingMember[] {
    return this.living.filter((member) => this.named(member.name) !== member);
  }

  /** The ownership record in the set's own tags. */
  get record(): OwnershipRecord | undefined {
    return [...this.tags.members, ...this.tags.pendingCreates].find(({ record }) => record?.stack)?.record;
  }

  async listUserTags(): Promise<void> {
    const uuids = this.living.map(({ uuid }) => uuid);
    this.tagRows = await this.cloud.tagsOn(uuids, this.context.signal);
  }

  /** The VM's tags of the latest query, without the provider's own. */
  userTagsOf(uuid: string): TagRow[] {
    return this.tagRows.filter(({ resourceUuid, tag }) => resourceUuid === uuid && !isOwnTag(tag));
  }

  forgetNotes(notes: SetTags["notes"]): void {
    this.tags = { ...this.tags, notes: this.tags.notes.filter((note) => !notes.includes(note)) };
  }

  // --- create

  /** Requests clones once. Writes the pending create first, so that the next run finds it, whatever happens then. */
  async create(
    names: readonly string[],
    inputs: ClonedVmInputs,
    record: OwnershipRecord,
    job = newUuid(),
  ): Promise<{ task: Task; pending: PendingCreate }> {
    const { cloud, context } = this;
    const { vmInstanceUuid: source } = inputs;
    const [, disks] = await Promise.all([
      refuseUnsupportedInputs(cloud, inputs, context.warn),
      inputs.full ? countDataVolumes(cloud, source, context.signal) : 0,
    ]);
    const seconds = Math.max(MIN_TIMEOUT_SECONDS, Math.ceil((context.deadline - context.clock.now()) / 1000));
    const time = cloud.now();
    const until = time + seconds + TIMEOUT_MARGIN_SECONDS;
    this.requested.push(...names);
    let pending: PendingCreate = { set: this.id, job, until, time, clones: names.length, disks, record, isOld: false };
    await this.writePendingCreate(pending, source).catch((error: unknown) => {
      throw isKind(error, "notFound") ? missingSource(error, source) : error;
    });
    let submitted: Submitted | undefined;
    try {
      submitted = await sendCloneRequest(cloud, inputs, { set: this.id, names, job, seconds }, context);
    } catch (error) {
      // The job and its VMs show the outcome.
      if (isKind(error, "ambiguous"))
        this.reasons.push(`${error.parts.message}, and ZStack does not know the job ${job}`);
      // ZStack accepted nothing, so there is nothing to find.
      else if (isKind(error, "refused", "config", "unauthorized", "forbidden", "notFound", "transient")) {
        await this.clearPendingCreates(job).catch(() => {});
        throw await explainRefusal(cloud.client, error);
      } else throw error;
    }
    if (submitted && submitted.job !== job) pending = await this.renamePendingCreate(pending, source, submitted.job);
    return { task: { job: pending.job, until, names: [...names], accepted: submitted !== undefined }, pending };
  }

  /** The server has chosen the job's id itself: a later run can ask for no other. */
  private async renamePendingCreate(pending: PendingCreate, source: string, job: string): Promise<PendingCreate> {
    const renamed = { ...pending, job };
    await this.writePendingCreate(renamed, source)
      .then(() => this.clearPendingCreates(pending.job))
      .catch(() => {});
    return renamed;
  }

  async writePendingCreate(pending: PendingCreate, source: string): Promise<void> {
    const { cloud, context } = this;
    cloud.changedSets.add(this.id);
    const tag = pendingCreateTag(pending);
    const submit = (job: string) => cloud.client.createUserTag("VmInstanceVO", source, tag, job);
    const change = { action: "tag", operation: `tag the source VM ${source}`, submit } as const;
    await cloud.run(change, context).catch(async (error: unknown) => {
      // ZStack continues the job although this run has stopped, so the next run must look for the tag.
      if (isKind(error, "stopped")) throw new SnapcloneError({ ...error.parts, kind: "ambiguous" });
      // A repeated request says that the tag exists, with a code that other failures have, too (docs/wire/zstack.md#tags), and
      // ZStack may have forgotten the job.
      const rows = await cloud.tagsOn([source], context.signal).catch(() => []);
      if (!rows.some((row) => isTagOn(row, source, tag))) throw error;
    });
    this.expectPendingCreate(pending);
  }

  /** Another object for this set has written the pending create. */
  expectPendingCreate({ job }: PendingCreate): void {
    this.written.add(job);
  }

  /** The clone jobs that may still run: those of pending creates, and the state's own task. */
  jobs(task?: Task): CloneJob[] {
    // Clones get their tags when their job has ended, and the tags have the time of its request.
    const tagged = (time: number) => this.tags.members.filter((tag) => tag.time === time).length;
    const ended = this.tags.pendingCreates.filter(({ time, clones }) => time && clones && tagged(time) >= clones);
    const names = asTexts(task?.names);
    const isOver = names.length > 0 && names.every((name) => this.named(name)?.tag !== undefined);
    const over = [...ended.map(({ job }) => job), ...(isOver ? [task?.job] : [])];
    return earlierJobs(this.tags.pendingCreates, task).filter(
      ({ job }) => !this.cloud.endedJobs.has(job) && !over.includes(job),
    );
  }

  /**
   * Waits for the jobs, then tags the complete clones and deletes the broken ones. The tagged clones are members under their
   * temporary names.
   */
  async finish(
    jobs: readonly CloneJob[],
    inputs: ClonedVmInputs,
    pendingCreates: readonly PendingCreate[],
  ): Promise<JobOutcome> {
    const disks = inputs.full ? Math.max(0, ...pendingCreates.map((one) => one.disks ?? 0)) : 0;
    const outcome = await this.waitForJobs(jobs.map((job) => ({ ...job, disks: job.disks ?? disks })));
    const taken = new Set(this.living.map(({ name }) => name));
    // Since an earlier run, somebody may have begun to use a clone: the recycle bin gives it back.
    const isUnused = jobs.length > 0 && jobs.every(({ isEarlier }) => !isEarlier);
    const expunge = isUnused || inputs.deletion === "expunge";
    const { complete, lacking, broken } = divideClones(
      this.untagged,
      { nameOf: (row) => this.nameOf(row), disks, taken, fate: expunge ? "was removed" : "is in the recycle bin" },
      outcome,
    );
    for (const row of lacking) this.context.warn(lackingVolumesWarning(this.nameOf(row), row.uuid, disks));
    const record = pendingCreates.find((one) => one.record)?.record ?? this.record;
    const time = pendingCreates.find((one) => one.time !== undefined)?.time ?? this.cloud.now();
    // If this run is killed while it deletes a broken clone, the tag shows the next run which volumes to delete.
    const withDisks = broken.filter((row) => this.volumesOf(row).cloned.length > 0);
    await this.tag([...complete, ...lacking, ...withDisks], record, time);
    const members = broken.map((row) => this.memberOf(row.uuid, row));
    if (members.length > 0) await this.delete(members, { expunge, keep: inputs.keepDataVolumes === true });
    return outcome;
  }

  /** Waits until the jobs have ended, as far as ZStack shows, and until their VMs are stable, or for `limitMs`. */
  async waitForJobs(jobs: readonly CloneJob[], limitMs = Number.POSITIVE_INFINITY): Promise<JobOutcome> {
    const outcome = newOutcome(this.reasons);
    for (const job of jobs) {
      const queryClones = (signal: AbortSignal) => this.queryUnnamed(signal);
      addJobEnd(outcome, await waitForJob(this.cloud, job, queryClones, this.context), this.id);
      this.cloud.endedJobs.add(job.job);
    }
    // Nothing that a result says makes the source a clone.
    for (const uuid of [this.source, ...this.tags.pendingCreates.map(({ vmUuid }) => vmUuid)])
      outcome.succeeded.delete(uuid ?? "");
    for (const volume of outcome.volumes) this.namedVolumes.add(volume);
    for (const uuid of outcome.succeeded) {
      const name = outcome.names.get(uuid);
      this.cloneNames.set(uuid, name === undefined ? this.cloneNames.get(uuid) : this.programName(name));
    }
    const { clock } = this.context;
    const begun = clock.now();
    const isMember = (uuid: string) => this.all.some((member) => member.uuid === uuid);
    this.untagged = await poll<VmRow[]>({
      description: "the clones to reach a stable state",
      fetch: async (signal) => (await this.queryUnnamed(signal)).filter((row) => !isGone(row) && !isMember(row.uuid)),
      evaluate: (rows) => {
        const transient = rows.filter(({ state }) => !STABLE.test(state));
        const isListed = (uuid: string) => isMember(uuid) || rows.some((row) => row.uuid === uuid);
        const areListed = [...outcome.succeeded].every(isListed) || clock.now() - begun >= LIST_LAG_MS;
        const isStable = transient.length === 0 || clock.now() - begun >= limitMs;
        if (isStable && areListed) return { is: "done", progress: `${rows.length} VMs` };
        const states = transient.map(({ uuid, name, state }) => `${this.nameOf({ uuid, name })} ${state}`).join(", ");
        return { is: "pending", progress: states || "ZStack does not list all clones yet" };
      },
      interval: POLL_INTERVAL,
      stuckHint: () => STUCK_HINT,
      context: this.context,
    });
    return outcome;
  }

  /** Makes clones members: from now on their tags, or the state, have their owner and the program's names for them. */
  private async tag(rows: readonly VmRow[], record: OwnershipRecord | undefined, time: number): Promise<void> {
    if (rows.length === 0) return;
    const { cloud } = this;
    cloud.changedSets.add(this.id);
    const texts = rows.map((row) => {
      const name = this.nameOf(row);
      const { cloned, others } = this.volumesOf(row);
      if (others.length > 0) this.context.warn(otherVolumesWarning(name, others));
      return { row, name, text: memberTag({ set: this.id, vm: row.uuid, time, disks: cloned, record, name }) };
    });
    const steps = texts.map(({ row, text, name }) => tagStep(cloud, row.uuid, text, name));
    const uuids = rows.map(({ uuid }) => uuid);
    // The same query shows the pending creates on the source, which `reconcile` removes.
    const queried = [...uuids, ...(this.source === undefined ? [] : [this.source])];
    const query = (signal: AbortSignal) => cloud.tagsOn(queried, signal);
    this.tagRows = await cloud.runSteps("the clones to be tagged", steps, query, this.context);
    await removeCopies(cloud, this.tagRows, { set: this.id, clones: uuids }, this.context);
    // A list that lags omits tags whose jobs have reported success.
    const unlisted = texts.filter(({ row, text }) => !this.tagRows.some((one) => isTagOn(one, row.uuid, text)));
    const added = unlisted.map(({ row, text }) => ({ uuid: "", resourceUuid: row.uuid, tag: text }));
    const found = readTags([...this.tagRows, ...added]).get(this.id) ?? NO_TAGS;
    const isNew = ({ vmUuid }: TagReference) => uuids.includes(vmUuid);
    this.tags = {
      ...this.tags,
      pendingCreates: found.pendingCreates.length > 0 ? found.pendingCreates : this.tags.pendingCreates,
      members: [...this.tags.members.filter((tag) => !isNew(tag)), ...found.members.filter(isNew)],
    };
    const others = this.all.filter(({ uuid }) => !uuids.includes(uuid));
    this.all = [...others, ...rows.map((row) => this.memberOf(row.uuid, row))];
    this.untagged = this.untagged.filter(({ uuid }) => !uuids.includes(uuid));
  }

  /** Before a deletion: if this run is killed, the tag shows the next run which volumes to delete. */
  async tagClonesWithDisks(): Promise<void> {
    const withDisks = this.untagged.filter((row) => this.volumesOf(row).cloned.length > 0);
    await this.tag(withDisks, this.record, this.cloud.now());
  }

  /** Removes all pending creates, or the one of this job, when its clones have tags or do not exist. */
  async clearPendingCreates(job?: string): Promise<void> {
    // The operation's deadline may have passed.
    await this.listPendingCreates(this.cloud.shortDeadline().signal);
    const { pendingCreates, oldAdoptions } = this.tags;
    const cleared =
      job === undefined ? [...pendingCreates, ...oldAdoptions] : pendingCreates.filter((one) => one.job === job);
    if (cleared.length > 0) this.cloud.changedSets.add(this.id);
    await removeTags(this.cloud, cleared, this.cloud.shortDeadline(), this.context);
    const kept = pendingCreates.filter((one) => !cleared.includes(one));
    this.tags = { ...this.tags, pendingCreates: kept, oldAdoptions: [] };
  }

  /** Queries the uuids of the tags that this run has just written. */
  private async listPendingCreates(signal: AbortSignal): Promise<void> {
    const isListed = (job: string) => this.tags.pendingCreates.some((one) => one.job === job);
    if ([...this.written].every(isListed)) return;
    const rows = await this.cloud.client.queryUserTags([tagsOfSet(this.id)], signal);
    this.tags = { ...this.tags, pendingCreates: readTags(rows).get(this.id)?.pendingCreates ?? [] };
    this.written.clear();
  }

  // --- reconcile

  /**
   * Sets names, descriptions, user tags and power states where they differ from the program, and removes pending creates
   * whose clones have all been tagged. `managed`: the user tags that the provider may remove.
   */
  async reconcile(inputs: ClonedVmInputs, managed: readonly string[]): Promise<void> {
    const { cloud, context } = this;
    const duplicates = this.duplicates;
    const members = this.living.filter((member) => !duplicates.includes(member));
    const uuids = members.map(({ uuid }) => uuid);
    const changes = members.flatMap((member) => renameSteps(cloud, member, inputs));
    const tagging = members.flatMap((member) => {
      return userTagSteps(cloud, member, this.userTagsOf(member.uuid), { wanted: inputs.userTags ?? [], managed });
    });
    await this.listPendingCreates(context.signal);
    const done = this.untagged.length > 0 ? [] : [...this.tags.pendingCreates, ...this.tags.oldAdoptions];
    if (done.length > 0) cloud.changedSets.add(this.id);
    tagging.push(...done.map((one) => untagStep(cloud, one, context)));
    const tagged = [...new Set([...uuids, ...done.map(({ vmUuid }) => vmUuid)])];
    await runAll(
      async () => {
        if (changes.length === 0) return;
        const query = (signal: AbortSignal) => cloud.vms(uuids, signal);
        this.update(await cloud.runSteps("the clones to be changed", changes, query, context));
      },
      async () => {
        if (tagging.length === 0) return;
        const query = (signal: AbortSignal) => cloud.tagsOn(tagged, signal);
        this.tagRows = await cloud.runSteps("the tags to be changed", tagging, query, context);
        if (done.length > 0) this.tags = { ...this.tags, pendingCreates: [], oldAdoptions: [] };
      },
    );
    if (inputs.powerState === undefined) return;
    // Beside its successor, a recovered VM would be a second copy with the same data and addresses.
    const isMember = ({ uuid }: Member) => uuids.includes(uuid);
    const stable = await waitUntilStable<Member>(cloud, this.living.filter(isMember), context);
    this.all = this.all.map((member) => stable.find(({ uuid }) => uuid === member.uuid) ?? member);
    this.update(await setPowerState(cloud, this.living.filter(isMember), inputs.powerState, context));
  }

  private update(rows: readonly VmRow[]): void {
    const uuids = rows.map(({ uuid }) => uuid);
    this.all = withRows(this.all, uuids, rows);
  }

  // --- delete

  /** Returns when these VMs are gone. They are then no longer members. */
  async delete(members: readonly Member[], options: DeleteOptions): Promise<void> {
    this.cloud.changedSets.add(this.id);
    await new Deletion(this.cloud, options, this.context).run(members);
    const isDeleted = (uuid: string) => members.some((one) => one.uuid === uuid);
    this.all = this.all.filter(({ uuid }) => !isDeleted(uuid));
    this.untagged = this.untagged.filter(({ uuid }) => !isDeleted(uuid));
    this.tags = { ...this.tags, members: this.tags.members.filter(({ vmUuid }) => !isDeleted(vmUuid)) };
  }

  /** Releases the VMs in the recycle bin whose names have left the program, if no cloned volume of theirs is left to delete. */
  async releaseBinned(names: readonly string[]): Promise<void> {
    const binned = this.all.filter(
      ({ name, row, disks }) => row?.state === "Destroyed" && disks.length === 0 && !names.includes(name),
    );
    if (binned.some(({ tags }) => tags.length > 0)) this.cloud.changedSets.add(this.id);
    await releaseBinned(this.cloud, binned, this.context);
  }
}
