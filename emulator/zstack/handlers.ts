// What ZStack's API does with VMs, tags and its own node.

import type { Reply } from "../core/http";
import { parse } from "./body";
import type { Context, Work } from "./context";
import { checkUuidForm, Failure, invalidArgument, notFound, operationFailed, Refusal, wrongState } from "./errors";
import { ZSTACK_SEED, type ZStackModel } from "./model";
import { checkMandatory } from "./parameters";
import type { ZStackTag, ZStackVm } from "./rows";
import { result, tagView, vmView } from "./views";

export function managementNode(context: Context): Reply {
  const { model, request } = context;
  const body = parse(request.text);
  if ("getVersion" in body) return result(context, { success: true, version: model.settings.version });
  if ("getSupportAPIs" in body) {
    const clone = model.canClone ? ["APICloneVmInstanceMsg"] : [];
    return result(context, { success: true, supportApis: [...clone, "APIQueryVmInstanceMsg"] });
  }
  // The one call by which a client without a session learns the server's time (ApiMediatorImpl.java:173–182).
  if ("getCurrentTime" in body) {
    const now = Math.floor(model.clock.nowMs());
    const currentTime = { MillionSeconds: now, Seconds: Math.floor(now / 1000) };
    return result(context, { success: true, currentTime });
  }
  throw new Refusal(400, "the body doesn't contain action mapping to the URL[/v1/management-nodes/actions]");
}

/** ZonedDateTime.now() of the server (ApiMediatorImpl.java:159–165). */
export function platformTimeZone(context: Context): Reply {
  const { offsetMinutes } = context.model.settings;
  const two = (number: number) => String(number).padStart(2, "0");
  const minutes = Math.abs(offsetMinutes);
  const offset = `${offsetMinutes < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
  const timezone = offsetMinutes === 480 ? "Asia/Shanghai" : `GMT${offset}`;
  return result(context, { success: true, timezone, offset: offsetMinutes === 0 ? "Z" : offset });
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
    checkUuidForm("uuid", params.uuid ?? "");
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

/** TagApiInterceptor.java:77–80, TagManagerImpl.java:233–256. */
export function createTag({ model, fields }: Context): Work {
  checkMandatory(fields, ["resourceType", "resourceUuid", "tag"]);
  const resourceType = String(fields.resourceType);
  const resourceUuid = String(fields.resourceUuid);
  const tag = String(fields.tag);
  const { [resourceType]: rows } = { VmInstanceVO: model.vms, VolumeVO: model.volumes } as Record<string, Taggable>;
  if (rows && !rows.has(resourceUuid)) throw new Failure(notFound("resourceUuid", resourceUuid, "ResourceVO"));
  return {
    ms: quickMs(model),
    validate: () => {
      if (!rows) throw new Failure(invalidArgument(`no resource type[${resourceType}] found in tag system`));
    },
    run: () => {
      const same = [...model.tags.values()].some((one) => one.resourceUuid === resourceUuid && one.tag === tag);
      if (same) {
        const of = `tag:${tag}, type:User, resourceType:${resourceType}, resourceUuid:${resourceUuid}`;
        throw new Failure(operationFailed(`Duplicated Tag[${of}]`));
      }
      const createdMs = model.clock.nowMs();
      const row: ZStackTag = { uuid: model.uuid("tag"), resourceType, resourceUuid, tag, createdMs };
      model.tags.set(row.uuid, row);
      return { inventory: tagView(row) };
    },
  };
}

type Taggable = ReadonlyMap<string, object> | undefined;

export function findVm(model: ZStackModel, uuid: string | undefined, field = "uuid"): ZStackVm {
  const row = model.vms.get(uuid ?? "");
  if (!row) throw new Failure(notFound(field, uuid ?? "", "VmInstanceVO"));
  return row;
}
