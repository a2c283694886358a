// The state of PowerVC's clone-volumes: flows over the volumes of the block storage service, with the steps that IBM's
// document shows, and ways to make a step slow or fail (docs/wire/powervc.md#f1-tasks, #g5).

import type { CinderModel, VolumeRow } from "../cinder/model";
import type { Clock } from "../core/clock";
import type { Ids } from "../core/ids";
import { TaskRunner } from "../core/tasks";

/**
 * The tasks of the document's sample, in the only order that makes sense. Each has the ending of its name in the sample:
 * the flow's number, the name of the clones, or nothing.
 */
const STEPS = [
  ["create_group_type", "_number"],
  ["create_src_vol_group", "_number"],
  ["wait_for_src_vol_group", "_"],
  ["add_vols_to_group", ""],
  ["wait_for_group_AddVolsToGroup", ""],
  ["create_group_snapshot", "_number"],
  ["wait_for_group_snapshot", "_number"],
  ["create_group_clone", "-name"],
  ["get_clones_from_group", ""],
  ["wait_for_vol_update_in_group", ""],
  ["set_metadata_for_volume", ""],
  ["remove_vols_from_tgt_grp", ""],
  ["delete_group-tgt_grp", ""],
  ["wait_for_tgt_grp_delete", ""],
  ["delete_group_snapshot", ""],
  ["remove_vols_from_src_grp", ""],
  ["wait_for_src_group_RemoveVolumesFromGroup", ""],
  ["delete_group-src_group", ""],
  ["wait_for_src_grp_delete", ""],
  ["delete_group_type", ""],
] as const;

export type CloneStep = (typeof STEPS)[number][0];

export const CLONE_STEPS: readonly CloneStep[] = STEPS.map(([step]) => step);

/** What happens at one step of the flows that begin from now on. */
export interface FlowBehaviour {
  readonly step: CloneStep;
  /** The step fails with this message, and the flow reverts: REVERTING, then REVERTED. */
  readonly fails?: string;
  /** How many clones a flow leaves behind when it reverts; default: none. */
  readonly leaves?: number;
  /** How many clones are gone after the step, as if another client had deleted them. */
  readonly loses?: number;
  /** How long the step takes, in milliseconds of the emulator's time; Infinity never ends. */
  readonly takes?: number;
  /** How many flows the rule applies to; default: all. */
  readonly times?: number;
}

export interface CloneRequest {
  displayName: string | undefined;
  description: string | undefined;
  volumes: readonly string[];
  volumeTypeId: string | undefined;
}

export interface CloneTask {
  id: string;
  project_id: string;
  user_id: string;
  request: CloneRequest;
  /** The state of the flow `cloneFlow`. */
  state: "RUNNING" | "SUCCESS" | "REVERTING" | "REVERTED";
  /** The steps with the names and states that the API shows. */
  steps: { step: CloneStep; name: string; state: string }[];
  failure: string | undefined;
  /** Source volume to clone. */
  clones: Map<string, string>;
}

type Event =
  | { readonly kind: "ended"; readonly at: number; readonly loses: number }
  | { readonly kind: "failed"; readonly at: number }
  | { readonly kind: "reverted"; readonly leaves: number };

export class PowerVcModel {
  readonly tasks = new Map<string, CloneTask>();
  /** `powervc-config storage clone-name-prefix` */
  prefix = "clone-";
  /** The host in task_uri: a name that only PowerVC itself can resolve. */
  internalHost = "powervc.internal:9000";
  /**
   * Where an answer has progress and states: `beside` the details as in the document's first sample, or `inside` of them
   * as in its use cases, which show no tasks.
   */
  form: "beside" | "inside" = "beside";
  /** The answer about a task that PowerVC has forgotten; `unrouted` is the 404 of an address that no route matches. */
  forgets: "404" | "empty" | "unrouted" = "404";
  /** Whether a clone shows its source. No document says so (docs/wire/powervc.md#h), so a client must tolerate both. */
  tellsSource = true;
  private behaviours: { rule: FlowBehaviour; left: number }[] = [];
  private readonly runner: TaskRunner<CloneTask, Event>;

  constructor(
    clock: Clock,
    private readonly ids: Ids,
    private readonly cinder: CinderModel,
    private readonly stepMs: () => number,
  ) {
    this.runner = new TaskRunner(clock, (task, event) => event !== undefined && this.after(task, event));
  }

  reset(): void {
    this.tasks.clear();
    this.behaviours = [];
    this.runner.reset();
    this.prefix = "clone-";
    this.form = "beside";
    this.forgets = "404";
    this.tellsSource = true;
  }

  /** Finishes the work that is due, here and at Cinder. */
  advance(): void {
    this.runner.advance();
    this.cinder.advance();
  }

  /** @deprecated Use `advance`. */
  settle(): void {
    this.advance();
  }

  behaviour(rule: FlowBehaviour): { remove(): void } {
    if (!CLONE_STEPS.includes(rule.step)) throw new Error(`no such step: ${rule.step} (${CLONE_STEPS.join(", ")})`);
    const entry = { rule, left: rule.times ?? Infinity };
    this.behaviours.push(entry);
    return {
      remove: () => {
        this.behaviours = this.behaviours.filter((other) => other !== entry);
      },
    };
  }

  /** Makes the next flow fail at this step and revert. */
  failNext(step: CloneStep, message: string, leaves = 0): void {
    this.behaviour({ step, fails: message, leaves, times: 1 });
  }

  /** Forgets all tasks, as a restart of PowerVC does. Their work goes on (docs/wire/powervc.md#h). */
  forgetTasks(): void {
    this.tasks.clear();
  }

  start(request: CloneRequest, project_id: string, user_id: string): CloneTask {
    const number = this.ids.hex("flow").slice(0, 8);
    const name = this.nameOf(request, 0, "") ?? "clone";
    const endings: Record<string, string> = { "": "", _: "_", _number: `_${number}`, "-name": `-${name}` };
    const task: CloneTask = {
      id: this.ids.uuid("clone task"),
      project_id,
      user_id,
      request,
      state: "RUNNING",
      steps: STEPS.map(([step, ending], at) => ({
        step,
        name: `${step}${endings[ending] ?? ""}-${this.ids.hex("step").slice(0, 8)}`,
        state: at === 0 ? "RUNNING" : "PENDING",
      })),
      failure: undefined,
      clones: new Map(),
    };
    this.tasks.set(task.id, task);
    this.runner.start(task, { while: { state: "RUNNING" }, steps: this.script(task) });
    return task;
  }

  private script(task: CloneTask) {
    const script: { afterMs: number; set?: Partial<CloneTask>; emit: Event }[] = [];
    for (const [at, step] of CLONE_STEPS.entries()) {
      const rule = this.take(step);
      const afterMs = rule?.takes ?? this.stepMs();
      // A volume is in one group at a time, so a volume of another group can't be added (cinder/group/api.py update).
      const failure = rule?.fails ?? (step === "add_vols_to_group" ? this.groupedElsewhere(task) : undefined);
      if (failure !== undefined) {
        task.failure = failure;
        script.push({ afterMs, set: { state: "REVERTING" }, emit: { kind: "failed", at } });
        script.push({
          afterMs: this.stepMs(),
          set: { state: "REVERTED" },
          emit: { kind: "reverted", leaves: rule?.leaves ?? 0 },
        });
        return script;
      }
      const last = at === CLONE_STEPS.length - 1;
      const ended: Event = { kind: "ended", at, loses: rule?.loses ?? 0 };
      script.push({ afterMs, ...(last ? { set: { state: "SUCCESS" as const } } : {}), emit: ended });
    }
    return script;
  }

  private take(step: CloneStep): FlowBehaviour | undefined {
    const found = this.behaviours.find(({ rule, left }) => left > 0 && rule.step === step);
    if (found !== undefined) found.left -= 1;
    return found?.rule;
  }

  private groupedElsewhere(task: CloneTask): string | undefined {
    const grouped = this.sources(task).find(({ group_id }) => group_id !== null);
    return grouped && `Invalid volume: Volume ${grouped.id} is part of group ${grouped.group_id}.`;
  }

  private after(task: CloneTask, event: Event): void {
    if (event.kind === "reverted") {
      this.revert(task, event.leaves);
      return;
    }
    const step = task.steps[event.at];
    const next = task.steps[event.at + 1];
    if (step === undefined) return;
    step.state = event.kind === "failed" ? "FAILURE" : "SUCCESS";
    if (event.kind === "failed") return;
    this.execute(step.step, task);
    for (const clone of [...task.clones.values()].slice(0, event.loses)) this.cinder.removeVolume(clone);
    if (next !== undefined) next.state = "RUNNING";
  }

  private execute(step: CloneStep, task: CloneTask): void {
    const clones = () => [...task.clones.values()].flatMap((id) => this.cinder.volumes.get(id) ?? []);
    if (step === "add_vols_to_group") {
      const group = this.ids.uuid("group");
      for (const row of this.sources(task)) row.group_id = group;
    }
    if (step === "create_group_clone") {
      const group = this.ids.uuid("group");
      for (const source of this.sources(task)) this.createClone(task, source, group);
    }
    if (step === "get_clones_from_group") for (const row of clones()) row.status = "available";
    if (step === "set_metadata_for_volume")
      for (const [index, row] of clones().entries()) this.setMetadata(task, row, index);
    if (step === "remove_vols_from_tgt_grp") for (const row of clones()) row.group_id = null;
    if (step === "remove_vols_from_src_grp") for (const row of this.sources(task)) row.group_id = null;
  }

  /** Cinder gives the volumes of a cloned group no names (cinder/group/api.py _create_group_from_group_snapshot). */
  private createClone(task: CloneTask, source: VolumeRow, group_id: string): void {
    const clone = this.cinder.createVolume({
      project_id: task.project_id,
      user_id: task.user_id,
      size: source.size,
      status: "creating",
      bootable: source.bootable,
      source_volid: this.tellsSource ? source.id : null,
      volume_type_id: task.request.volumeTypeId ?? source.volume_type_id,
      group_id,
    });
    task.clones.set(source.id, clone.id);
  }

  /**
   * The document does not say which metadata the step sets (docs/wire/powervc.md#f1-tasks). The source's own are the
   * hardest case for a client.
   */
  private setMetadata(task: CloneTask, row: VolumeRow, index: number): void {
    const { request } = task;
    const source = this.cinder.volumes.get([...task.clones.keys()][index] ?? "");
    row.metadata = { ...source?.metadata };
    row.name = this.nameOf(request, index, row.id, source?.name ?? undefined) ?? null;
    // "Description of cloned volumes in case of single volume clone."
    if (request.volumes.length === 1) row.description = request.description ?? null;
    row.updated_at = this.cinder.stamp();
  }

  /** "Cloned Volume – Naming Format" of the document. */
  private nameOf(request: CloneRequest, index: number, id: string, sourceName?: string): string | undefined {
    const { displayName, volumes } = request;
    if (volumes.length > 1)
      return displayName === undefined ? `volume-${id}` : `${this.prefix}${displayName}-${index + 1}`;
    const name = displayName ?? sourceName;
    return name === undefined ? undefined : `${this.prefix}${name}`;
  }

  private revert(task: CloneTask, leaves: number): void {
    for (const step of task.steps) if (step.state !== "PENDING") step.state = "REVERTED";
    for (const row of this.sources(task)) row.group_id = null;
    for (const [index, [source, clone]] of [...task.clones].entries()) {
      const row = this.cinder.volumes.get(clone);
      if (index < leaves && row !== undefined) {
        row.group_id = null;
        row.status = "error";
        this.setMetadata(task, row, index);
      } else {
        this.cinder.removeVolume(clone);
        task.clones.delete(source);
      }
    }
  }

  private sources(task: CloneTask): VolumeRow[] {
    return task.request.volumes.flatMap((id) => this.cinder.volumes.get(id) ?? []);
  }
}
