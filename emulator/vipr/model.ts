// What ViPR Controller knows, and what linking, unlinking and relinking do to it (docs/wire/vipr.md#s3, #s4). Nothing runs
// in the background: advance() brings the rows up to date.

import type { Clock } from "../core/clock";
import type { Ids } from "../core/ids";
import { ViprAuth } from "./auth";
import { ViprError } from "./errors";
import {
  type Deletable,
  SEED_SESSIONS,
  type ViprGroup,
  type ViprSession,
  type ViprTarget,
  type ViprTask,
  type ViprTimings,
  type ViprVolume,
} from "./rows";
import { type Step, type ViprBehaviour, ViprTasks } from "./tasks";

const LINKED_MOST = 1024;
const NAME_MOST = 63;

export class ViprModel {
  readonly volumes = new Map<string, ViprVolume>();
  readonly groups = new Map<string, ViprGroup>();
  readonly sessions = new Map<string, ViprSession>();
  readonly targets = new Map<string, ViprTarget>();
  readonly tasks = new Map<string, ViprTask>();
  /** Users and their tokens. */
  readonly auth: ViprAuth;
  private readonly runner: ViprTasks;
  private serial = 0;

  constructor(
    private readonly clock: Clock,
    private readonly ids: Ids,
    private readonly timings: ViprTimings,
  ) {
    this.auth = new ViprAuth(clock, ids, timings);
    this.runner = new ViprTasks(this.tasks, clock, ids, (type) => this.urn(type));
  }

  // --- for tests

  /** Applies to the next task of `behaviour.operation`. */
  failNext(behaviour: ViprBehaviour): { remove(): void } {
    return this.runner.failNext(behaviour);
  }

  createVolume(
    label: string,
    { capacityGb = 10, group, id }: { capacityGb?: number; group?: string; id?: string } = {},
  ): ViprVolume {
    const volume: ViprVolume = {
      id: id ?? this.urn("Volume"),
      label,
      ...this.device(),
      capacityGb,
      ...this.newRow(),
      ...(group === undefined ? {} : { group }),
    };
    this.volumes.set(volume.id, volume);
    return volume;
  }

  createGroup(label: string, id?: string): ViprGroup {
    const group: ViprGroup = {
      id: id ?? this.urn("BlockConsistencyGroup"),
      label,
      replicationGroup: label,
      ...this.newRow(),
    };
    this.groups.set(group.id, group);
    return group;
  }

  createSession(label: string, of: { volume: string } | { group: string }, id?: string): ViprSession {
    const session: ViprSession = {
      id: id ?? this.urn("BlockSnapshotSession"),
      label,
      ...of,
      linked: new Set(),
      ...this.newRow(),
    };
    this.sessions.set(session.id, session);
    return session;
  }

  setExported(targetId: string, exported = true): void {
    this.target(targetId).exported = exported;
  }

  /** The active targets in the order in which they were created. */
  active(): ViprTarget[] {
    this.advance();
    return [...this.targets.values()].filter(({ inactive }) => !inactive);
  }

  /** The sorted names of the targets that are linked to a session. */
  linkedNames(sessionId: string): string[] {
    this.advance();
    const linked = [...(this.sessions.get(sessionId)?.linked ?? [])].map((id) => this.targets.get(id));
    return linked.flatMap((target) => (target && !target.inactive ? [target.label] : [])).sort();
  }

  /** Unlinks a target at once, as a user of ViPR does. With `keep`, the target becomes a volume. */
  unlinkNow(targetId: string, keep = false): void {
    this.advance();
    const target = this.target(targetId);
    for (const session of this.sessions.values()) session.linked.delete(targetId);
    if (keep) this.promote(target);
    this.deactivate(target);
  }

  /**
   * Links a new target at once under exactly this name, as a user of ViPR can: `link-targets` calls its targets
   * `<name>-<number>`, so a `target_name` chosen by a user can lead to one of your names.
   */
  linkNow(sessionId: string, label: string): ViprTarget {
    this.advance();
    const session = this.session(sessionId);
    const [source] = this.sourcesOf(session);
    const target = this.createTarget(label, sanitised(label), source?.id ?? "", "nocopy");
    Object.assign(target, this.device());
    session.linked.add(target.id);
    return target;
  }

  /** Leaves the linked targets behind. ViPR itself refuses that (docs/wire/vipr.md#s3, "deactivate session"). */
  deleteSessionNow(sessionId: string): void {
    this.advance();
    this.deactivate(this.session(sessionId));
  }

  relinkNow(targetId: string, sessionId: string): void {
    this.advance();
    for (const session of this.sessions.values()) session.linked.delete(targetId);
    this.session(sessionId).linked.add(targetId);
  }

  /** Removes inactive rows now, whatever their age. */
  collectGarbage(): void {
    for (const rows of [this.volumes, this.sessions, this.targets] as Map<string, Deletable>[]) {
      for (const [id, row] of rows) if (row.inactive) rows.delete(id);
    }
  }

  resume(taskId: string): void {
    this.runner.resume(taskId);
  }

  rollback(taskId: string): void {
    this.runner.rollback(taskId);
  }

  // --- operations of the API

  /** Checks the unmodified arguments in ViPR's order (docs/wire/vipr.md#validation-of-link-targets). */
  link(session: ViprSession, count: number, name: string, copyMode: string): ViprTask {
    if (count === 0) throw new ViprError(400, 1008, "Invalid request to link 0 new targets to a snapshot session.");
    const already = this.linkedOf(session);
    // ViPR looks up the targets by parent, which finds none for a group (docs/wire/vipr.md#limits).
    if ((session.group === undefined ? already : 0) + count > LINKED_MOST) {
      const source = session.group ?? this.volumes.get(session.volume ?? "")?.label;
      throw new ViprError(
        400,
        1008,
        `The requested linked_targets count ${count.toLocaleString("en-US")} would exceed the maximum allowed for the block snapshot sessions of source ${source}. Try a value less than or equal to ${LINKED_MOST - count}.`,
      );
    }
    if (copyMode !== "copy" && copyMode !== "nocopy") {
      const message = `The copy_mode ${copyMode} is not a valid value. The value must be either "copy" or "nocopy".`;
      throw new ViprError(400, 1008, message);
    }
    const sources = this.sourcesOf(session);
    const steps: Step[] = [];
    // Targets created before ViPR refuses a name stay (docs/wire/vipr.md#s0-6).
    for (let index = 1; index <= count; index += 1) {
      const base = `${name}-${index}`;
      this.checkName(session, base);
      const targets = sources.map((source, part) => {
        const label = sources.length > 1 ? `${base}-${part + 1}` : base;
        return this.createTarget(label, sanitised(base), source.id, copyMode);
      });
      steps.push({ targets });
    }
    const task = this.begin(session, "LINK SNAPSHOT SESSION TARGETS", "links target volumes to a snapshot session");
    this.runner.start(task, {
      operation: "link",
      durationMs: this.timings.viprLink,
      steps,
      done: ({ targets }) => {
        for (const target of targets) {
          // The creation time is that of the copy on the array (docs/wire/vipr.md#s4).
          Object.assign(target, this.device(), { createdAt: this.clock.nowMs() });
          session.linked.add(target.id);
        }
      },
      failed: ({ targets }) => {
        for (const target of targets) this.deactivate(target);
      },
      description: "Linking target for snapshot session",
    });
    return task;
  }

  /** One bad target refuses all (docs/wire/vipr.md#unlink). */
  unlink(session: ViprSession, wanted: ReadonlyMap<string, boolean>): ViprTask {
    const steps = this.stepsOf([...wanted.keys()].map((id) => this.target(id)));
    const task = this.begin(
      session,
      "UNLINK SNAPSHOT SESSION TARGETS",
      "unlinks target volumes from a snapshot session",
    );
    this.runner.start(task, {
      operation: "unlink",
      durationMs: this.timings.viprUnlink,
      steps,
      done: ({ targets }) => {
        const remove = targets.some(({ id }) => wanted.get(id) === true);
        for (const target of targets) {
          session.linked.delete(target.id);
          if (!remove) this.promote(target);
          this.deactivate(target);
        }
      },
      failed: () => {},
      description: "Unlinking target from snapshot session",
    });
    return task;
  }

  relink(session: ViprSession, targets: readonly ViprTarget[]): ViprTask {
    const [name, description] =
      session.group === undefined
        ? ["RELINK SNAPSHOT SESSION TARGETS", "re-links target volumes to a snapshot session"]
        : [
            "RELINK CONSISTENCY GROUP SNAPSHOT SESSION TARGETS",
            "re-links consistency group target volumes to a snapshot session",
          ];
    const task = this.begin(session, name, description);
    this.runner.start(task, {
      operation: "relink",
      durationMs: this.timings.viprRelink,
      steps: this.stepsOf(targets),
      done: (step) => {
        for (const target of step.targets) {
          for (const other of this.sessions.values()) other.linked.delete(target.id);
          session.linked.add(target.id);
        }
      },
      failed: () => {},
      description: "Relinking target to snapshot session",
    });
    return task;
  }

  /** For a target that no session has linked, or with VIPR_ONLY: its row alone (docs/wire/vipr.md#related, inferred). */
  forget(target: ViprTarget): ViprTask {
    const task = this.runner.create(
      { id: target.id, name: target.label, path: "/block/snapshots" },
      "DELETE VOLUME SNAPSHOT",
      "delete volume snapshot",
    );
    const was = target.inactive;
    if (!was) this.deactivate(target);
    this.runner.end(task, was ? "The snapshot has already been deleted" : undefined);
    return task;
  }

  deactivateSession(session: ViprSession): ViprTask {
    const pending = [...this.tasks.values()].some(({ resource, endedAt }) => resource.id === session.id && !endedAt);
    if (pending) {
      throw new ViprError(
        400,
        1056,
        `Attempted to execute operation on resource while there are pending tasks against it. The following resources have pending tasks against them: ${session.label}. Please retry when there are no pending tasks for the resources.`,
      );
    }
    if (this.linkedOf(session, "this") > 0) {
      // ViPR's message format loses the apostrophe of "can't".
      throw new ViprError(400, 1013, "The snapshot session cant be deleted because it has active linked targets.");
    }
    const task = this.begin(session, "DELETE SNAPSHOT SESSION", "delete snapshot session");
    this.deactivate(session);
    this.runner.end(task);
    return task;
  }

  isLinkedTo(target: ViprTarget): ViprSession | undefined {
    return [...this.sessions.values()].find(({ linked, inactive }) => !inactive && linked.has(target.id));
  }

  sourceOf(session: ViprSession): string {
    return session.volume ?? session.group ?? "";
  }

  // --- time

  /** Runs the work that is due and removes rows that have been inactive for long enough. */
  advance(): void {
    const now = this.clock.nowMs();
    this.runner.advance();
    for (const rows of [this.volumes, this.sessions, this.targets] as Map<string, Deletable>[]) {
      for (const [id, { inactiveSince }] of rows) {
        if (inactiveSince !== undefined && inactiveSince + this.timings.viprGarbage <= now) rows.delete(id);
      }
    }
  }

  /** @deprecated Use `advance`. */
  settle(): void {
    this.advance();
  }

  reset(): void {
    this.auth.reset();
    for (const rows of [this.volumes, this.groups, this.sessions, this.targets, this.tasks]) rows.clear();
    this.runner.reset();
    this.serial = 0;
    const [data, logs] = [this.createVolume("data"), this.createVolume("logs", { capacityGb: 20 })];
    this.createSession("monday", { volume: data.id }, SEED_SESSIONS.monday);
    this.createSession("tuesday", { volume: data.id }, SEED_SESSIONS.tuesday);
    this.createSession("monday", { volume: logs.id }, SEED_SESSIONS.logs);
    const shop = this.createGroup("shop");
    for (const label of ["shop-db", "shop-files"]) this.createVolume(label, { group: shop.id });
    this.createSession("shop-monday", { group: shop.id }, SEED_SESSIONS.shopMonday);
    this.createSession("shop-tuesday", { group: shop.id }, SEED_SESSIONS.shopTuesday);
  }

  urn(type: string): string {
    return `urn:storageos:${type}:${this.ids.uuid(`vipr ${type}`)}:vdc1`;
  }

  now(): number {
    return this.clock.nowMs();
  }

  // --- inside

  private session(id: string): ViprSession {
    const session = this.sessions.get(id);
    if (session === undefined) throw new Error(`the emulator has no snapshot session ${id}`);
    return session;
  }

  private target(id: string): ViprTarget {
    const target = this.targets.get(id);
    if (target === undefined) throw new Error(`the emulator has no linked target ${id}`);
    return target;
  }

  private device(): { wwn: string; nativeId: string } {
    this.serial += 1;
    const nativeId = this.serial.toString(16).toUpperCase().padStart(5, "0");
    return { wwn: `6000097000019670186853303${nativeId}00`.padEnd(32, "0"), nativeId };
  }

  /** The number of active targets that are linked to any session of the same source, or to this session. */
  private linkedOf(session: ViprSession, scope: "source" | "this" = "source"): number {
    const sessions = [...this.sessions.values()].filter(
      (other) => other === session || (scope === "source" && this.sourceOf(other) === this.sourceOf(session)),
    );
    return sessions
      .flatMap(({ linked }) => [...linked])
      .filter((id) => this.targets.get(id) && !this.targets.get(id)?.inactive).length;
  }

  private sourcesOf(session: ViprSession): ViprVolume[] {
    return [...this.volumes.values()]
      .filter(({ inactive }) => !inactive)
      .filter(({ id, group }) => (session.group === undefined ? id === session.volume : group === session.group))
      .sort((a, b) => (a.label.toLowerCase() < b.label.toLowerCase() ? -1 : 1));
  }

  private checkName(session: ViprSession, name: string): void {
    if (name.length > NAME_MOST) {
      throw new ViprError(
        400,
        1008,
        `Invalid value ${name} for parameter snapshotName, maximum length is ${NAME_MOST}`,
      );
    }
    const label = sanitised(name);
    const sources = new Set(this.sourcesOf(session).map(({ id }) => id));
    const taken =
      [...this.targets.values()].some(
        ({ parent, snapsetLabel, inactive }) => !inactive && sources.has(parent) && snapsetLabel === label,
      ) ||
      [...this.sessions.values()].some(
        (other) =>
          !other.inactive && this.sourceOf(other) === this.sourceOf(session) && sanitised(other.label) === label,
      );
    if (taken) throw new ViprError(400, 1008, `A component/resource with the label ${name} already exists.`);
  }

  private createTarget(label: string, snapsetLabel: string, parent: string, copyMode: string): ViprTarget {
    const target: ViprTarget = {
      id: this.urn("BlockSnapshot"),
      label,
      snapsetLabel,
      parent,
      copyMode,
      exported: false,
      ...this.newRow(),
    };
    this.targets.set(target.id, target);
    return target;
  }

  /** Makes the target a volume, under a URN that no answer contains (docs/wire/vipr.md#s0-14). */
  private promote(target: ViprTarget): void {
    const volume: ViprVolume = {
      id: this.urn("Volume"),
      label: target.label,
      wwn: target.wwn ?? "",
      nativeId: target.nativeId ?? "",
      capacityGb: this.volumes.get(target.parent)?.capacityGb ?? 0,
      ...this.newRow(),
      createdAt: target.createdAt,
    };
    this.volumes.set(volume.id, volume);
  }

  private newRow(): { inactive: boolean; tags: Set<string>; createdAt: number } {
    return { inactive: false, tags: new Set(), createdAt: this.clock.nowMs() };
  }

  private deactivate(row: Deletable): void {
    row.inactive = true;
    row.inactiveSince = this.clock.nowMs();
  }

  /** Targets of a group with the same number form one step (docs/wire/vipr.md#consistency-groups). */
  private stepsOf(targets: readonly ViprTarget[]): Step[] {
    const steps = new Map<string, ViprTarget[]>();
    for (const target of targets) {
      const group = this.volumes.get(target.parent)?.group;
      const together =
        group === undefined
          ? [target]
          : [...this.targets.values()].filter(
              (other) =>
                !other.inactive &&
                other.snapsetLabel === target.snapsetLabel &&
                this.volumes.get(other.parent)?.group === group,
            );
      steps.set(group === undefined ? target.id : target.snapsetLabel, together);
    }
    return [...steps.values()].map((together) => ({ targets: together }));
  }

  private begin({ id, label }: ViprSession, name: string, description: string): ViprTask {
    return this.runner.create({ id, name: label, path: "/block/snapshot-sessions" }, name, description);
  }
}

/** ResourceOnlyNameGenerator (docs/wire/vipr.md#names). */
function sanitised(name: string): string {
  return name.replace(/[^a-zA-Z0-9_#@+-]/g, "").slice(0, NAME_MOST);
}
