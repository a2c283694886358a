// What ViPR Controller knows: volumes, consistency groups, snapshot sessions, linked targets (BlockSnapshot), tasks, and
// how work on them goes on (docs/wire/vipr.md#s3, #s4). Nothing runs in the background: settle() brings it up to date.

import type { Clock } from "../core/clock";
import type { Ids } from "../core/ids";

export interface ViprTimings {
  /** From the answer to the end of the task, however many targets. */
  viprLink: number;
  viprUnlink: number;
  viprRelink: number;
  /** How long what is inactive can still be seen: ten minutes at least on the real one (docs/wire/vipr.md#s0-12). */
  viprGarbage: number;
  viprTokenLife: number;
  viprTokenIdle: number;
}

export const VIPR_TIMINGS: ViprTimings = {
  viprLink: 2_000,
  viprUnlink: 1_000,
  viprRelink: 1_000,
  viprGarbage: 600_000,
  viprTokenLife: 8 * 3_600_000,
  viprTokenIdle: 2 * 3_600_000,
};

interface Deletable {
  id: string;
  inactive: boolean;
  /** Milliseconds; set with `inactive`. */
  inactiveSince?: number;
}

export interface ViprVolume extends Deletable {
  label: string;
  wwn: string;
  nativeId: string;
  capacityGb: number;
  /** The consistency group it is in. */
  group?: string;
}

export interface ViprGroup extends Deletable {
  label: string;
  /** The replication group on the array. */
  replicationGroup: string;
}

export interface ViprSession extends Deletable {
  label: string;
  /** One of the two. */
  volume?: string;
  group?: string;
  /** May hold ids of what is inactive (docs/wire/vipr.md#s0-11). */
  linked: Set<string>;
  createdAt: number;
}

export interface ViprTarget extends Deletable {
  label: string;
  /** The label without what an array can't have; decides about collisions (docs/wire/vipr.md#names). */
  snapsetLabel: string;
  /** The volume that it is a copy of. */
  parent: string;
  /** Stored and never shown (docs/wire/vipr.md#s0-8). */
  copyMode: string;
  tags: Set<string>;
  exported: boolean;
  createdAt: number;
  /** Only when it has been linked. */
  wwn?: string;
  nativeId?: string;
}

export interface ViprTask {
  id: string;
  opId: string;
  name: string;
  description: string;
  resource: { id: string; name: string; path: string };
  state: string;
  progress: number;
  startedAt: number;
  endedAt?: number;
  workflow?: string;
  message?: string;
  error?: { code: number; description: string; details: string };
  allowedOperations: string;
}

/** What becomes of the next task of this kind. */
export interface ViprBehaviour {
  operation: "link" | "unlink" | "relink";
  /** So many targets (or groups of them) come off well, the others fail, and the task ends in error. */
  succeed?: number;
  /** The task stops before it begins, until `resume` or `rollback`. */
  suspend?: "suspended_error" | "suspended_no_error";
  /** It never ends. */
  stuck?: boolean;
  /**
   * ViPR's API finds no controller service: 503/9501, and what was prepared is taken back
   * (docs/wire/vipr.md#what-link-does).
   */
  undispatched?: boolean;
  ms?: number;
}

export const SEED_SESSIONS = {
  /** Two instants of one volume. */
  monday: "urn:storageos:BlockSnapshotSession:aaaaaaaa-1111-4111-8111-111111111111:vdc1",
  tuesday: "urn:storageos:BlockSnapshotSession:aaaaaaaa-2222-4222-8222-222222222222:vdc1",
  /** Of another volume. */
  logs: "urn:storageos:BlockSnapshotSession:bbbbbbbb-1111-4111-8111-111111111111:vdc1",
  /** Of a consistency group of two volumes. */
  shopMonday: "urn:storageos:BlockSnapshotSession:cccccccc-1111-4111-8111-111111111111:vdc1",
  shopTuesday: "urn:storageos:BlockSnapshotSession:cccccccc-2222-4222-8222-222222222222:vdc1",
} as const;

const LINKED_MOST = 1024;
const NAME_MOST = 63;

/** Refused by ViPR; the service words it (docs/wire/vipr.md#s5). */
export class ViprError extends Error {
  constructor(
    readonly status: number,
    readonly code: number,
    readonly details?: string,
  ) {
    super(details ?? `code ${code}`);
  }
}

interface Due {
  at: number;
  run(): void;
}

/** One target, or all of a consistency group that belong together. */
interface Step {
  targets: ViprTarget[];
}

export class ViprModel {
  readonly volumes = new Map<string, ViprVolume>();
  readonly groups = new Map<string, ViprGroup>();
  readonly sessions = new Map<string, ViprSession>();
  readonly targets = new Map<string, ViprTarget>();
  readonly tasks = new Map<string, ViprTask>();
  private behaviours: ViprBehaviour[] = [];
  private due: Due[] = [];
  private suspended = new Map<string, { resume(): void; rollback(): void }>();
  private serial = 0;

  constructor(
    private readonly clock: Clock,
    private readonly ids: Ids,
    private readonly timings: ViprTimings,
  ) {}

  // --- for tests

  failNext(behaviour: ViprBehaviour): void {
    this.behaviours.push(behaviour);
  }

  createVolume(label: string, { capacityGb = 10, group }: { capacityGb?: number; group?: string } = {}): ViprVolume {
    const volume: ViprVolume = {
      id: this.urn("Volume"),
      label,
      ...this.device(),
      capacityGb,
      inactive: false,
      ...(group === undefined ? {} : { group }),
    };
    this.volumes.set(volume.id, volume);
    return volume;
  }

  createGroup(label: string): ViprGroup {
    const group: ViprGroup = {
      id: this.urn("BlockConsistencyGroup"),
      label,
      replicationGroup: label,
      inactive: false,
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
      inactive: false,
      createdAt: this.clock.nowMs(),
    };
    this.sessions.set(session.id, session);
    return session;
  }

  setExported(targetId: string, exported = true): void {
    this.target(targetId).exported = exported;
  }

  /** Active targets in the order of their making. */
  active(): ViprTarget[] {
    this.settle();
    return [...this.targets.values()].filter(({ inactive }) => !inactive);
  }

  /** The names of what is linked to a session, sorted. */
  linkedNames(sessionId: string): string[] {
    this.settle();
    const linked = [...(this.sessions.get(sessionId)?.linked ?? [])].map((id) => this.targets.get(id));
    return linked.flatMap((target) => (target && !target.inactive ? [target.label] : [])).sort();
  }

  /** As if a user had done it in ViPR, at once. */
  unlinkNow(targetId: string, keep = false): void {
    this.settle();
    const target = this.target(targetId);
    for (const session of this.sessions.values()) session.linked.delete(targetId);
    if (keep) this.promote(target);
    this.deactivate(target);
  }

  /**
   * As if a user had linked a target under just this name, at once: a `link-targets` names what it makes `<name>-<number>`,
   * so a user who takes one of your names for a new `target_name` gets names like yours.
   */
  linkNow(sessionId: string, label: string): ViprTarget {
    this.settle();
    const session = this.session(sessionId);
    const [source] = this.sourcesOf(session);
    const target = this.createTarget(label, sanitised(label), source?.id ?? "", "nocopy");
    Object.assign(target, this.device());
    session.linked.add(target.id);
    return target;
  }

  /** With its targets left behind, which ViPR itself refuses (docs/wire/vipr.md#s3, "deactivate session"). */
  deleteSessionNow(sessionId: string): void {
    this.settle();
    this.deactivate(this.session(sessionId));
  }

  relinkNow(targetId: string, sessionId: string): void {
    this.settle();
    for (const session of this.sessions.values()) session.linked.delete(targetId);
    this.session(sessionId).linked.add(targetId);
  }

  /** Takes away what is inactive without waiting for its time. */
  collectGarbage(): void {
    for (const rows of [this.volumes, this.sessions, this.targets] as Map<string, Deletable>[]) {
      for (const [id, row] of rows) if (row.inactive) rows.delete(id);
    }
  }

  resume(taskId: string): void {
    this.suspended.get(taskId)?.resume();
    this.suspended.delete(taskId);
  }

  rollback(taskId: string): void {
    this.suspended.get(taskId)?.rollback();
    this.suspended.delete(taskId);
  }

  // --- what the API does

  /** Checks in ViPR's order (docs/wire/vipr.md#validation-of-link-targets); `count` and names as they came. */
  link(session: ViprSession, count: number, name: string, copyMode: string): ViprTask {
    if (count === 0) throw new ViprError(400, 1008, "Invalid request to link 0 new targets to a snapshot session.");
    const already = this.linkedOf(session);
    // For a group, the lookup by parent does not match (docs/wire/vipr.md#limits).
    if ((session.group === undefined ? already : 0) + count > LINKED_MOST) {
      const source = session.group ?? this.volumes.get(session.volume ?? "")?.label;
      throw new ViprError(
        400,
        1008,
        `The requested linked_targets count ${count.toLocaleString("en-US")} would exceed the maximum allowed for the block snapshot sessions of source ${source}. Try a value less than or equal to ${LINKED_MOST - count}.`,
      );
    }
    if (copyMode !== "copy" && copyMode !== "nocopy") {
      const said = `The copy_mode ${copyMode} is not a valid value. The value must be either "copy" or "nocopy".`;
      throw new ViprError(400, 1008, said);
    }
    const sources = this.sourcesOf(session);
    const steps: Step[] = [];
    // What is made before a name is refused stays (docs/wire/vipr.md#s0-6).
    for (let index = 1; index <= count; index += 1) {
      const base = `${name}-${index}`;
      this.checkName(session, base);
      const targets = sources.map((source, part) => {
        const label = sources.length > 1 ? `${base}-${part + 1}` : base;
        return this.createTarget(label, sanitised(base), source.id, copyMode);
      });
      steps.push({ targets });
    }
    const work = this.begin(session, "LINK SNAPSHOT SESSION TARGETS", "links target volumes to a snapshot session");
    this.run(work, "link", this.timings.viprLink, steps, {
      done: ({ targets }) => {
        for (const target of targets) {
          // Its time is that of the copy on the array (docs/wire/vipr.md#s4).
          Object.assign(target, this.device(), { createdAt: this.clock.nowMs() });
          session.linked.add(target.id);
        }
      },
      failed: ({ targets }) => {
        for (const target of targets) this.deactivate(target);
      },
      why: "Linking target for snapshot session",
    });
    return work;
  }

  /** A bad one among them refuses all (docs/wire/vipr.md#unlink). */
  unlink(session: ViprSession, wanted: ReadonlyMap<string, boolean>): ViprTask {
    const steps = this.stepsOf([...wanted.keys()].map((id) => this.target(id)));
    const work = this.begin(
      session,
      "UNLINK SNAPSHOT SESSION TARGETS",
      "unlinks target volumes from a snapshot session",
    );
    this.run(work, "unlink", this.timings.viprUnlink, steps, {
      done: ({ targets }) => {
        const remove = targets.some(({ id }) => wanted.get(id) === true);
        for (const target of targets) {
          session.linked.delete(target.id);
          if (!remove) this.promote(target);
          this.deactivate(target);
        }
      },
      failed: () => {},
      why: "Unlinking target from snapshot session",
    });
    return work;
  }

  relink(session: ViprSession, targets: readonly ViprTarget[]): ViprTask {
    const [name, description] =
      session.group === undefined
        ? ["RELINK SNAPSHOT SESSION TARGETS", "re-links target volumes to a snapshot session"]
        : [
            "RELINK CONSISTENCY GROUP SNAPSHOT SESSION TARGETS",
            "re-links consistency group target volumes to a snapshot session",
          ];
    const work = this.begin(session, name, description);
    this.run(work, "relink", this.timings.viprRelink, this.stepsOf(targets), {
      done: (step) => {
        for (const target of step.targets) {
          for (const other of this.sessions.values()) other.linked.delete(target.id);
          session.linked.add(target.id);
        }
      },
      failed: () => {},
      why: "Relinking target to snapshot session",
    });
    return work;
  }

  /** Not linked any more in ViPR's books, and still named by the session (docs/wire/vipr.md#related, inferred). */
  forget(target: ViprTarget): ViprTask {
    const task = this.makeTask(
      { id: target.id, name: target.label, path: "/block/snapshots" },
      "DELETE VOLUME SNAPSHOT",
      "delete volume snapshot",
    );
    const was = target.inactive;
    if (!was) this.deactivate(target);
    this.end(task, was ? "The snapshot has already been deleted" : undefined);
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
      // The apostrophe is lost in ViPR's own message format.
      throw new ViprError(400, 1013, "The snapshot session cant be deleted because it has active linked targets.");
    }
    const task = this.begin(session, "DELETE SNAPSHOT SESSION", "delete snapshot session");
    this.deactivate(session);
    this.end(task);
    return task;
  }

  isLinkedTo(target: ViprTarget): ViprSession | undefined {
    return [...this.sessions.values()].find(({ linked, inactive }) => !inactive && linked.has(target.id));
  }

  sourceOf(session: ViprSession): string {
    return session.volume ?? session.group ?? "";
  }

  // --- time

  settle(): void {
    const now = this.clock.nowMs();
    for (;;) {
      const next = this.due.filter(({ at }) => at <= now).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.due.splice(this.due.indexOf(next), 1);
      next.run();
    }
    for (const rows of [this.volumes, this.sessions, this.targets] as Map<string, Deletable>[]) {
      for (const [id, { inactiveSince }] of rows) {
        if (inactiveSince !== undefined && inactiveSince + this.timings.viprGarbage <= now) rows.delete(id);
      }
    }
  }

  reset(): void {
    for (const rows of [this.volumes, this.groups, this.sessions, this.targets, this.tasks]) rows.clear();
    this.behaviours = [];
    this.due = [];
    this.suspended.clear();
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

  /** Active ones, of the session's source or of it alone. */
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
      tags: new Set(),
      exported: false,
      inactive: false,
      createdAt: this.clock.nowMs(),
    };
    this.targets.set(target.id, target);
    return target;
  }

  /** A volume of its own from now on, under a URN that nothing tells (docs/wire/vipr.md#s0-14). */
  private promote(target: ViprTarget): void {
    const volume: ViprVolume = {
      id: this.urn("Volume"),
      label: target.label,
      wwn: target.wwn ?? "",
      nativeId: target.nativeId ?? "",
      capacityGb: this.volumes.get(target.parent)?.capacityGb ?? 0,
      inactive: false,
    };
    this.volumes.set(volume.id, volume);
  }

  private deactivate(row: Deletable): void {
    row.inactive = true;
    row.inactiveSince = this.clock.nowMs();
  }

  /** Of a group all that have the same number go together (docs/wire/vipr.md#consistency-groups). */
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
    return this.makeTask({ id, name: label, path: "/block/snapshot-sessions" }, name, description);
  }

  private makeTask(resource: ViprTask["resource"], name: string, description: string): ViprTask {
    const task: ViprTask = {
      id: this.urn("Task"),
      opId: this.ids.uuid("vipr operation"),
      name,
      description,
      resource,
      state: "pending",
      progress: 0,
      startedAt: this.clock.nowMs(),
      allowedOperations: "none_specified",
    };
    this.tasks.set(task.id, task);
    return task;
  }

  /** Each step is seen as soon as it is done, before the task is (docs/wire/vipr.md#what-link-does). */
  private run(
    task: ViprTask,
    operation: ViprBehaviour["operation"],
    usual: number,
    steps: readonly Step[],
    outcome: { done(step: Step): void; failed(step: Step): void; why: string },
  ): void {
    const index = this.behaviours.findIndex((behaviour) => behaviour.operation === operation);
    const behaviour = index < 0 ? undefined : this.behaviours.splice(index, 1)[0];
    if (behaviour?.undispatched) this.refuseDispatch(task, operation, steps);
    const length = this.clock.duration(behaviour?.ms ?? usual);
    const good = behaviour?.succeed ?? steps.length;
    const later = (ms: number, run: () => void) => this.due.push({ at: this.clock.nowMs() + ms, run });
    // The answer shows no workflow: it is built before the work is handed over.
    later(0, () => {
      task.workflow = this.urn("Workflow");
    });
    const go = () => {
      for (const [number, step] of steps.entries()) {
        later((length * (number + 1)) / (steps.length + 1), () => {
          if (number < good) outcome.done(step);
          else outcome.failed(step);
          task.progress = Math.floor((100 * (number + 1)) / (steps.length + 1));
        });
      }
      later(length, () => {
        if (good >= steps.length) this.end(task);
        else this.fail(task, outcome.why);
      });
    };
    if (behaviour?.stuck) return;
    if (behaviour?.suspend === undefined) {
      go();
      return;
    }
    const { suspend } = behaviour;
    later(0, () => {
      task.state = suspend;
      task.allowedOperations = suspend === "suspended_error" ? "retry_and_rollback" : "resume_only";
    });
    const pending = (then: () => void) => () => {
      task.state = "pending";
      then();
    };
    this.suspended.set(task.id, {
      resume: pending(go),
      rollback: pending(() => {
        for (const step of steps) outcome.failed(step);
        this.fail(task, outcome.why);
      }),
    });
  }

  private refuseDispatch(task: ViprTask, operation: ViprBehaviour["operation"], steps: readonly Step[]): never {
    const said =
      "Unable to locate service with name: controllersvc, version: 1, tag: vmax and end point key: BlockController";
    if (operation === "link") for (const target of steps.flatMap(({ targets }) => targets)) this.deactivate(target);
    const error = { code: 9501, description: "The coordinator was unable to locate the service", details: said };
    Object.assign(task, { state: "error", progress: 100, endedAt: this.clock.nowMs(), error });
    throw new ViprError(503, 9501, said);
  }

  private end(task: ViprTask, message = "Operation completed successfully"): void {
    Object.assign(task, { state: "ready", progress: 100, message, endedAt: this.clock.nowMs() });
  }

  /** No message then: it is in the details (docs/wire/vipr.md#task-model). */
  private fail(task: ViprTask, why: string): void {
    Object.assign(task, {
      state: "error",
      progress: 100,
      endedAt: this.clock.nowMs(),
      error: {
        code: 16001,
        description: "Unable to contact the SMIS provider",
        details: `Message: Unable to call Storage Provider successfully. Caused by: Failed to create target device\nDescription: ${why} ${task.resource.id}\n`,
      },
    });
  }
}

/** ResourceOnlyNameGenerator (docs/wire/vipr.md#names). */
function sanitised(name: string): string {
  return name.replace(/[^a-zA-Z0-9_#@+-]/g, "").slice(0, NAME_MOST);
}
