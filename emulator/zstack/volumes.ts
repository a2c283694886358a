// ZStack's data volumes: attach, detach, delete, expunge. VolumeApiInterceptor refuses what does not fit the volume before
// the session is checked, and the VM refuses in the job (docs/wire/zstack.md#data-volumes).

import type { Context, Work } from "./context";
import { checkUuidForm, Failure, invalidArgument, notFound, operationFailed, wrongState } from "./errors";
import { findVm, quickMs } from "./handlers";
import type { ZStackModel } from "./model";
import type { ZStackVolume } from "./rows";
import { volumeView } from "./views";

const ATTACHABLE = ["Running", "Stopped", "Paused"];

/** VolumeApiInterceptor.java:304–319. */
export function detachVolume({ model, request, params }: Context): Work {
  const volume = findVolume(model, params.uuid, "uuid");
  const vmUuid = request.query.get("vmUuid") ?? undefined;
  if (vmUuid !== undefined) findVm(model, vmUuid, "vmUuid");
  const { uuid, name, type, vmInstanceUuid } = volume;
  if (vmInstanceUuid === null) {
    throw new Failure(operationFailed(`data volume[uuid:${uuid}] is not attached to any vm, can't detach`));
  }
  if (type !== "Data") {
    throw new Failure(operationFailed(`the volume[uuid:${uuid}, name:${name}, type:${type}] can't detach it`));
  }
  return {
    ms: quickMs(model),
    run: () => {
      detachNow(model, volume, vmUuid);
      return { inventory: volumeView(volume) };
    },
  };
}

/** VolumeApiInterceptor.java:321–416, for what the emulator's volumes can be. */
export function attachVolume({ model, params }: Context): Work {
  const vm = findVm(model, params.vmInstanceUuid, "vmInstanceUuid");
  const volume = findVolume(model, params.volumeUuid, "volumeUuid");
  const { uuid, name, type, status } = volume;
  const refused =
    type === "Root"
      ? `the volume[uuid:${uuid}, name:${name}] is Root Volume, can't attach it`
      : status === "Deleted"
        ? `the volume[uuid:${uuid}] is in status of deleted, cannot do the operation`
        : volume.vmInstanceUuid === null
          ? undefined
          : `data volume[uuid:${uuid}] has been attached to some vm, can't attach again`;
  if (refused !== undefined) throw new Failure(operationFailed(refused));
  return {
    ms: quickMs(model),
    run: () => {
      if (!ATTACHABLE.includes(vm.state)) {
        const refusal = wrongState(vm, "AttachDataVolumeToVmMsg", ATTACHABLE);
        throw new Failure({ ...refusal, code: "VM.1005", description: "Unable to attach data volume to a vm" });
      }
      model.attach(volume, vm);
      return { inventory: volumeView(volume) };
    },
  };
}

/** VolumeApiInterceptor.java:475–503: what is unknown is a success, what is deleted already is none. */
export function deleteVolume({ model, params: { uuid = "" } }: Context): Work {
  const volume = model.volumes.get(uuid);
  if (!volume) return unknownVolume(uuid);
  if (volume.type !== "Data") {
    throw new Failure(invalidArgument(`volume[uuid:${uuid}, type:${volume.type}] can't be deleted`));
  }
  if (volume.status === "Deleted") {
    throw new Failure(operationFailed(`volume[uuid:${uuid}] is already in status of deleted`));
  }
  return {
    ms: quickMs(model),
    run: () => {
      if (volume.vmInstanceUuid !== null) detachToDelete(model, volume);
      volume.status = "Deleted";
      volume.changedMs = model.clock.nowMs();
      return {};
    },
  };
}

/** VolumeBase.java:889–899. */
export function expungeVolume({ model, params: { uuid = "" } }: Context): Work {
  if (!model.volumes.has(uuid)) return unknownVolume(uuid);
  return {
    ms: quickMs(model),
    run: () => {
      const row = model.volumes.get(uuid);
      if (row && row.status !== "Deleted") {
        const { name } = row;
        throw new Failure(
          operationFailed(`the volume[uuid:${uuid}, name:${name}] is not deleted yet, can't expunge it`),
        );
      }
      model.volumes.delete(uuid);
      return {};
    },
  };
}

function unknownVolume(uuid: string): Work {
  checkUuidForm("uuid", uuid);
  return { ms: 0, run: () => ({}) };
}

function findVolume(model: ZStackModel, uuid: string | undefined, field: string): ZStackVolume {
  const row = model.volumes.get(uuid ?? "");
  if (!row) throw new Failure(notFound(field, uuid ?? "", "VolumeVO"));
  return row;
}

/** The deletion of an attached volume detaches it first, and fails with that (VolumeBase.java:1209–1238, 2677). */
function detachToDelete(model: ZStackModel, volume: ZStackVolume): void {
  try {
    detachNow(model, volume, undefined);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const { details } = error.error;
    throw new Failure({ code: "SYS.1004", description: "Unable to delete a resource", details, cause: error.error });
  }
}

/** What the VM answers (VmInstanceBase.java:6573–6700). */
function detachNow(model: ZStackModel, volume: ZStackVolume, vmUuid: string | undefined): void {
  const vm = model.vms.get(vmUuid ?? volume.vmInstanceUuid ?? "");
  if (vm && vm.state !== "Destroyed") {
    if (!ATTACHABLE.includes(vm.state)) {
      throw new Failure(
        operationFailed(`Detaching volume is not allowed when VM[uuid=${vm.uuid}] is in state[${vm.state}]`),
      );
    }
    // Another VM than the volume's: there is nothing to detach.
    if (volume.vmInstanceUuid !== vm.uuid) return;
    // The guest of a running VM has to release the volume.
    if (vm.state === "Running" && !model.settings.hotUnplug) {
      throw new Failure(
        operationFailed(
          `Failed to detach volume[uuid=${volume.uuid}] of VM[uuid=${vm.uuid}]`,
          operationFailed("the guest does not give the volume back"),
        ),
      );
    }
  }
  if (volume.vmInstanceUuid !== null) model.detach(volume);
}
