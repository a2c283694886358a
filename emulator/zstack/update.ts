// ZStack's updateVmInstance: what it refuses, and what it changes (docs/wire/zstack.md#update).

import { optionalInteger } from "./body";
import type { Context, Work } from "./context";
import { Failure, invalidArgument, notFound, operationFailed } from "./errors";
import { findVm } from "./handlers";
import { ZSTACK_SEED, type ZStackModel } from "./model";
import { checkLength, checkRange, checkValue, LONG_MAX } from "./parameters";
import type { ZStackVm } from "./rows";
import { vmView } from "./views";

const LENGTHS = { name: 255, description: 2048, guestOsType: 255 } as const;
const VALUES = {
  state: ["Stopped", "Running"],
  platform: ["Linux", "Windows", "Other", "Paravirtualization", "WindowsVirtio"],
} as const;
const RANGES = { cpuNum: [1, 1024], memorySize: [1, LONG_MAX], reservedMemorySize: [0, LONG_MAX] } as const;

/** APIUpdateVmInstanceMsg.java:22–43, VmInstanceApiInterceptor.java:489–555 (docs/wire/zstack.md#update). */
export function updateVm({ model, params, fields }: Context): Work {
  checkUpdate(fields);
  const row = findVm(model, params.uuid);
  const { defaultL3NetworkUuid } = fields;
  if (typeof defaultL3NetworkUuid === "string" && defaultL3NetworkUuid !== ZSTACK_SEED.l3Network) {
    throw new Failure(notFound("defaultL3NetworkUuid", defaultL3NetworkUuid, "L3NetworkVO"));
  }
  return {
    ms: model.timings.zstackAction,
    validate: () => validateSize(model, row, fields),
    run: () => {
      applyUpdate(model, row, fields);
      return { inventory: vmView(model, row) };
    },
  };
}

function checkUpdate(fields: Record<string, unknown>): void {
  for (const [name, most] of Object.entries(LENGTHS)) checkLength(name, fields[name], most);
  for (const [name, valid] of Object.entries(VALUES)) checkValue(name, fields[name], valid);
  for (const [name, range] of Object.entries(RANGES)) checkRange(name, fields[name], range);
}

function validateSize(model: ZStackModel, row: ZStackVm, fields: Record<string, unknown>): void {
  const cpuNum = optionalInteger(fields.cpuNum);
  const memorySize = optionalInteger(fields.memorySize);
  const reserved = optionalInteger(fields.reservedMemorySize);
  const memory = memorySize ?? row.memorySize;
  if (reserved !== undefined && reserved > memory) {
    throw new Failure(invalidArgument(`reservedMemorySize[${reserved}] is greater than memorySize[${memory}]`));
  }
  if (cpuNum === undefined && memorySize === undefined) return;
  checkUniqueName(model, row, fields.name);
  if (row.state === "Stopped") return;
  // `vm/numa` is off by default, and the emulator has no such setting.
  if (cpuNum !== undefined && cpuNum !== row.cpuNum) throw noHotPlug("cpu");
  if (memorySize !== undefined && memorySize !== row.memorySize) throw noHotPlug("memory");
  if (row.state === "Running") return;
  const { uuid, state } = row;
  throw new Failure(
    operationFailed(
      `The state of vm[uuid:${uuid}] is ${state}. Only these state[Running,Stopped] is allowed to update cpu or memory.`,
    ),
  );
}

function applyUpdate(model: ZStackModel, row: ZStackVm, fields: Record<string, unknown>): void {
  const { name, description, state, platform, guestOsType } = fields;
  if (typeof name === "string") {
    checkUniqueName(model, row, name);
    row.name = name.trimEnd();
  }
  if (typeof description === "string") row.description = description;
  if (typeof state === "string") row.state = state;
  if (typeof platform === "string") row.platform = platform;
  if (typeof guestOsType === "string") row.guestOsType = guestOsType;
  row.cpuNum = optionalInteger(fields.cpuNum) ?? row.cpuNum;
  row.memorySize = optionalInteger(fields.memorySize) ?? row.memorySize;
  row.reservedMemorySize = optionalInteger(fields.reservedMemorySize) ?? row.reservedMemorySize;
  row.changedMs = model.clock.nowMs();
}

function checkUniqueName(model: ZStackModel, row: ZStackVm, name: unknown): void {
  if (!model.settings.uniqueVmName) return;
  const isTaken = [...model.vms.values()].some((other) => other !== row && other.name === name);
  if (isTaken) throw new Failure(operationFailed(`could not create vm, a vm with the name [${name}] already exists`));
}

function noHotPlug(what: "cpu" | "memory"): Failure {
  return new Failure(
    invalidArgument(
      `the VM cannot do ${what} hot plug because of disabling ${what} hot plug. Please stop the VM then do the ${what} hot plug again`,
    ),
  );
}
