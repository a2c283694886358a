// What ZStack's API does with VMs, volumes, tags and its own node.

import type { Reply } from "../core/http";
import { parse } from "./body";
import type { Context, Work } from "./context";
import { Failure, invalidArgument, notFound, operationFailed, Refusal, wrongState } from "./errors";
import { ZSTACK_SEED, type ZStackModel, type ZStackTag, type ZStackVm, type ZStackVolume } from "./model";
import { ofClass } from "./schema";
import { result, tagView, vmView, volumeView } from "./views";

export function managementNode(context: Context): Reply {
  const { model, request } = context;
  const body = parse(request.text);
  if ("getVersion" in body) return result(context, { success: true, version: model.settings.version });
  if ("getSupportAPIs" in body) {
    const clone = model.canClone ? ["APICloneVmInstanceMsg"] : [];
    return result(context, { success: true, supportApis: [...clone, "APIQueryVmInstanceMsg"] });
  }
  throw new Refusal(400, "the body doesn't contain action mapping to the URL[/v1/management-nodes/actions]");
}

export function updateVm(model: ZStackModel, row: ZStackVm, fields: Record<string, unknown>): object {
  const { name, description } = fields;
  if (typeof name === "string") {
    const taken = [...model.vms.values()].some((other) => other !== row && other.name === name);
    if (model.settings.uniqueVmName && taken) throw new Failure(operationFailed(`the name ${name} is taken`));
    row.name = name.trimEnd();
  }
  if (typeof description === "string") row.description = description;
  row.changedMs = model.clock.nowMs();
  return { inventory: vmView(model, row) };
}

export function changePower(model: ZStackModel, row: ZStackVm, from: readonly string[], to: string): object {
  if (!from.includes(row.state)) throw new Failure(wrongState(row, `${to}VmInstanceMsg`, from));
  if (to === "Running" && row.rootVolumeUuid === null) model.furnish(row);
  row.state = to;
  row.hostUuid = to === "Running" ? (row.lastHostUuid ?? ZSTACK_SEED.host) : null;
  row.changedMs = model.clock.nowMs();
  return { inventory: vmView(model, row) };
}

/** Policy Delay: the row stays as Destroyed; ZStack detaches and keeps data volumes (docs/wire/zstack.md#destroy). */
export function destroy({ model, params }: Context): Work {
  const row = model.vms.get(params.uuid ?? "");
  if (!row) {
    // An unknown VM is a success if the text has the form of a UUID (successIfResourceNotExisting).
    if (!/^[0-9a-f]{12}[1-5][0-9a-f]{3}[89ab][0-9a-f]{15}$/.test(params.uuid ?? "")) findVm(model, params.uuid);
    return { ms: 0, run: () => ({}) };
  }
  if (/^(Starting|Stopping|Rebooting|Migrating|Pausing|Resuming)$/.test(row.state)) {
    throw new Failure(wrongState(row, "DestroyVmInstanceMsg", ["Running", "Stopped", "Paused", "Unknown", "Created"]));
  }
  if (row.state !== "Destroyed") {
    const before = row.state;
    return {
      ms: model.timings.zstackAction,
      begin: () => model.beginDestroy(row),
      run: () => {
        if (before === "Created") model.removeVm(row.uuid);
        row.state = "Destroyed";
        row.hostUuid = null;
        for (const volume of model.volumesOf(row.uuid, "Data")) {
          model.detach(volume);
          if (model.settings.deleteDataVolumes) volume.status = "Deleted";
        }
        return {};
      },
    };
  }
  return { ms: 0, run: () => ({}) };
}

export function expunge(model: ZStackModel, row: ZStackVm): object {
  if (row.state !== "Destroyed") throw new Failure(wrongState(row, "ExpungeVmMsg", ["Destroyed"]));
  model.removeVm(row.uuid);
  return {};
}

export function quickMs(model: ZStackModel): number {
  return model.timings.zstackQuick ?? 0;
}

export function globalConfigs(model: ZStackModel): object[] {
  const { deleteDataVolumes, uniqueVmName } = model.settings;
  const row = (name: string, value: boolean) =>
    ofClass("core.config.GlobalConfigInventory", { category: "vm", name, value: String(value), defaultValue: "false" });
  return [row("dataVolume.deleteOnVmDestroy", deleteDataVolumes), row("uniqueVmName", uniqueVmName)];
}

/** The guest of a running VM has to release the volume (APIDetachDataVolumeFromVmMsg). */
export function detachVolume({ model, params: { uuid } }: Context): Work {
  const volume = model.volumes.get(uuid ?? "");
  if (!volume) throw new Failure(notFound("uuid", uuid ?? "", "VolumeVO"));
  return {
    ms: quickMs(model),
    run: () => {
      const vm = model.vms.get(volume.vmInstanceUuid ?? "");
      if (vm?.state === "Running" && !model.settings.hotUnplug) {
        throw new Failure(operationFailed("the guest does not give the volume back"));
      }
      if (vm && !["Running", "Stopped", "Paused", "Destroyed"].includes(vm.state)) {
        throw new Failure(wrongState(vm, "DetachDataVolumeFromVmMsg", ["Running", "Stopped", "Paused"]));
      }
      model.detach(volume);
      return { inventory: volumeView(volume) };
    },
  };
}

export function volumeWork({ model, params: { uuid } }: Context, run: (row: ZStackVolume) => void): Work {
  return {
    ms: quickMs(model),
    run: () => {
      const row = model.volumes.get(uuid ?? "");
      if (row) run(row);
      return {};
    },
  };
}

export function createTag({ model, fields }: Context): Work {
  const { resourceType, resourceUuid, tag } = fields;
  if (typeof resourceType !== "string" || typeof resourceUuid !== "string" || typeof tag !== "string") {
    throw new Failure(invalidArgument("resourceType, resourceUuid and tag are mandatory"));
  }
  const rows = resourceType === "VolumeVO" ? model.volumes : model.vms;
  if (!rows.has(resourceUuid)) throw new Failure(notFound("resourceUuid", resourceUuid, resourceType));
  return {
    ms: quickMs(model),
    run: () => {
      const same = [...model.tags.values()].some((one) => one.resourceUuid === resourceUuid && one.tag === tag);
      if (same) throw new Failure({ code: "TAG.1000", description: "Duplicated tag", details: "duplicated tag" });
      const createdMs = model.clock.nowMs();
      const row: ZStackTag = { uuid: model.uuid("tag"), resourceType, resourceUuid, tag, createdMs };
      model.tags.set(row.uuid, row);
      return { inventory: tagView(row) };
    },
  };
}

export function findVm(model: ZStackModel, uuid: string | undefined, field = "uuid"): ZStackVm {
  const row = model.vms.get(uuid ?? "");
  if (!row) throw new Failure(notFound(field, uuid ?? "", "VmInstanceVO"));
  return row;
}
