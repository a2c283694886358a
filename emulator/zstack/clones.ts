// ZStack's clone call: its parameters, and the steps of its job from the snapshot to the started VMs.

import { optionalText, strings } from "./body";
import type { Context, Work } from "./context";
import {
  Failure,
  invalidArgument,
  localised,
  NO_HOST,
  operationFailed,
  TIMED_OUT,
  wrongState,
  type ZStackError,
} from "./errors";
import { findVm } from "./handlers";
import { endJob } from "./jobs";
import type { CloneBehaviour, ZStackModel } from "./model";
import type { JobOutcome, ZStackJob, ZStackVm } from "./rows";
import { ofClass } from "./schema";
import { vmView } from "./views";

interface ClonePlan {
  readonly source: ZStackVm;
  readonly names: readonly string[];
  readonly strategy: string;
  readonly full: boolean;
  readonly clusterUuid: string | null;
  readonly hostUuid: string | undefined;
  readonly rootStorage: string | undefined;
  readonly dataStorage: string | undefined;
  readonly rootTags: readonly string[];
  readonly dataTags: readonly string[];
}

const CLONE_TIMEOUT_MS = 36 * 3_600_000;

/** The outcomes that concern the whole call (CLONE_OUTCOMES). */
const CALL_OUTCOMES: readonly CloneBehaviour["outcome"][] = [
  "refused",
  "orphans",
  "unattached",
  "timeout",
  "stuck",
  "purged",
  "given-up",
  "forgotten",
];

export function clone(context: Context): Work {
  const { model } = context;
  const plan = readPlan(context);
  // ZStack accepts `userTags` and drops them (docs/wire/zstack.md#s3-6).
  const drive = (job: ZStackJob) => new CloneRun(model, plan, job).start();
  return { ms: 0, run: () => ({}), drive, timeoutMs: CLONE_TIMEOUT_MS };
}

function readPlan({ model, fields, params, systemTags }: Context): ClonePlan {
  const names = strings(fields.names, "names");
  if (names.length === 0) throw new Failure(invalidArgument("field[names] must be a nonempty list"));
  const strategy = String(fields.strategy ?? "InstantStart");
  checkStrategy(model, strategy);
  // The server accepts only tags that fit a registered pattern (docs/wire/zstack.md#s3-6).
  const strange = systemTags.find((tag) => !/^(affinityGroupUuid|ephemeral|resourceConfig)::/.test(tag));
  if (strange !== undefined) throw new Failure(invalidArgument(`no system tag matches[${strange}]`));
  const source = findVm(model, params.uuid, "vmInstanceUuid");
  checkQuota(model, names.length);
  // The server drops unknown fields without an error, and likewise fields of later versions
  // (docs/wire/zstack.md#s2-7).
  const since = <T>(version: string, value: T) => (model.isAtLeast(version) ? value : undefined);
  return {
    source,
    names,
    strategy,
    full: since("2.5.0", fields.full) === true || fields.full === "true",
    clusterUuid: optionalText(since("4.6.11", fields.clusterUuid)) ?? source.clusterUuid,
    hostUuid: optionalText(since("4.6.11", fields.hostUuid)),
    rootStorage: optionalText(since("3.1.0", fields.primaryStorageUuidForRootVolume)),
    dataStorage: optionalText(since("3.1.0", fields.primaryStorageUuidForDataVolume)),
    rootTags: strings(since("3.1.0", fields.rootVolumeSystemTags), "rootVolumeSystemTags"),
    dataTags: strings(since("3.1.0", fields.dataVolumeSystemTags), "dataVolumeSystemTags"),
  };
}

function checkStrategy(model: ZStackModel, strategy: string): void {
  const strategies = ["InstantStart", "JustCreate", ...(model.isAtLeast("3.9.0") ? ["CreateStopped"] : [])];
  if (strategies.includes(strategy)) return;
  const message = "org.zstack.header.vm.APICloneVmInstanceMsg";
  throw new Failure(
    invalidArgument(
      `valid value for field[strategy] of message[${message}] are [${strategies.join(", ")}], but ${strategy} found`,
    ),
  );
}

function checkQuota(model: ZStackModel, count: number): void {
  if (model.living().length + count <= model.settings.vmQuota) return;
  throw new Failure({
    code: "ID.1003",
    description: "The user exceeds a quota of a resource",
    details: `quota exceeding. quota[name: vm.num, value: ${model.settings.vmQuota}], Request:${count}`,
  });
}

/** One clone call: snapshot and image, then the VMs' rows, then their starts. Each step fails where the server's does. */
class CloneRun {
  private readonly outcome: CloneBehaviour["outcome"] | undefined;
  private readonly entries: Record<string, unknown>[] = [];
  private readonly created: ZStackVm[] = [];

  constructor(
    private readonly model: ZStackModel,
    private readonly plan: ClonePlan,
    private readonly job: ZStackJob,
  ) {
    this.outcome = model.matchBehaviour(plan.names[0] ?? "", CALL_OUTCOMES);
  }

  start(): void {
    const { model, job } = this;
    if (this.outcome === "given-up") {
      endJob(model, job, () => {
        throw new Failure(TIMED_OUT);
      });
    }
    if (this.outcome === "forgotten") model.jobs.delete(job.uuid);
    model.reportProgress(job, "10");
    model.after(model.timings.zstackImage, () => this.createRows());
  }

  private createRows(): void {
    const { model, plan, job } = this;
    const { source, names } = plan;
    if (!["Running", "Stopped", "Paused"].includes(source.state)) {
      this.fail(wrongState(source, "CloneVmInstanceMsg", ["Paused", "Running", "Stopped"]));
      return;
    }
    const running = model.living().filter(({ state }) => state === "Running").length;
    if (this.outcome === "refused" || running >= model.settings.capacity) {
      this.fail(NO_HOST);
      return;
    }
    model.sourceSnapshots.push({ name: `for-clone-vm-${names[0]}`, volumeUuid: source.rootVolumeUuid ?? "" });
    for (const name of names) this.createRow(name);
    model.reportProgress(job, "45");
    model.after(model.timings.zstackClone, () => this.finish());
  }

  private createRow(name: string): void {
    const { model, plan } = this;
    const { uniqueVmName } = model.settings;
    if (model.matchBehaviour(name, ["no-host"])) {
      this.entries.push(this.entry({ error: { ...NO_HOST, code: "SYS.1006" } }));
      return;
    }
    if (uniqueVmName && model.named(name)) {
      this.entries.push(this.entry({ error: operationFailed(`the name ${name} is taken`) }));
      return;
    }
    const description = `cloned from vm[uuid:${plan.source.uuid}]`;
    this.created.push(
      model.addVm({ name, description, clusterUuid: plan.clusterUuid, hostUuid: plan.hostUuid ?? null }),
    );
  }

  private finish(): void {
    const { model, job, outcome, entries } = this;
    // The entries are in the order in which the VMs happen to end (docs/wire/zstack.md#s3-4).
    for (const vm of [...this.created].reverse()) {
      if (model.vms.has(vm.uuid)) entries.unshift(this.finishVm(vm));
    }
    model.reportProgress(job, "95");
    if (outcome === "orphans" || outcome === "unattached") {
      this.fail(operationFailed("failed to attach the data volumes", NO_HOST));
    } else if (outcome === "timeout") {
      this.fail(TIMED_OUT);
    } else if (outcome === "stuck") {
      job.stuck = true;
    } else {
      const cloned = entries.filter((entry) => !("error" in entry)).length;
      const result = ofClass("header.vm.CloneVmInstanceResults", { numberOfClonedVm: cloned, inventories: entries });
      this.end(() => ({ status: 200, body: { result, success: true } }));
      if (outcome === "purged") model.jobs.delete(job.uuid);
    }
  }

  private finishVm(vm: ZStackVm): Record<string, unknown> {
    const { model, plan } = this;
    const failed = model.matchBehaviour(vm.name, ["start-failed", "start-failed-gone"]);
    if (failed) {
      const inventory = vmView(model, vm);
      // On ZSvirt a VM whose first start failed leaves the database (docs/wire/zstack.md#s3-4).
      if (failed === "start-failed-gone") model.removeVm(vm.uuid);
      const error = {
        code: "VM.1001",
        description: "Unable to start a vm",
        details: "failed to start VM",
        opaque: { "vm.uuid": vm.uuid },
        causes: [NO_HOST],
      };
      return this.entry({ error, inventory });
    }
    if (plan.strategy === "JustCreate") return this.entry({ inventory: vmView(model, vm) });
    model.furnish(vm, plan.rootStorage, [...plan.rootTags]);
    if (plan.full && this.outcome !== "unattached") this.cloneDataVolumes(vm);
    vm.state = plan.strategy === "InstantStart" ? "Running" : "Stopped";
    if (vm.state === "Stopped") vm.hostUuid = null;
    vm.changedMs = model.clock.nowMs();
    return this.entry({ inventory: vmView(model, vm) });
  }

  private entry({ error, inventory }: { error?: ZStackError; inventory?: object }): Record<string, unknown> {
    const { locale } = this.model.settings;
    const failed = error === undefined ? {} : { error: errorView(localised(error, locale)) };
    return ofClass("header.vm.CloneVmInstanceInventory", { ...failed, ...(inventory ? { inventory } : {}) });
  }

  private cloneDataVolumes(vm: ZStackVm): void {
    const { model, plan } = this;
    for (const disk of model.volumesOf(plan.source.uuid, "Data")) {
      model.addVolume({
        name: `${disk.name}-clone`,
        description: `for-clone-vm-${plan.source.uuid}-volume-${disk.uuid}`,
        type: "Data",
        size: disk.size,
        vmInstanceUuid: vm.uuid,
        systemTags: [...plan.dataTags],
        ...(plan.dataStorage ? { primaryStorageUuid: plan.dataStorage } : {}),
      });
    }
  }

  /** Ends the job, unless the server has given it up already while the work continued. */
  private end(outcome: () => JobOutcome): void {
    this.model.progress.delete(this.job.uuid);
    if (!this.job.outcome) endJob(this.model, this.job, outcome);
  }

  private fail(error: ZStackError): void {
    this.end(() => {
      throw new Failure(error);
    });
  }
}

/** An error inside a result is an object of the result and has its place in the schema. */
function errorView(error: ZStackError): object {
  const { cause, causes } = error;
  return ofClass(`header.errorcode.${causes ? "ErrorCodeList" : "ErrorCode"}`, {
    ...error,
    ...(cause ? { cause: errorView(cause) } : {}),
    ...(causes ? { causes: causes.map(errorView) } : {}),
  });
}
