// The data that a user gives ZStack: VMs with their data volumes. ZStack calls an id a uuid, without dashes.

import * as z from "zod";
import { type DataDefinition, gibibytes, given } from "../core/data";
import type { ZStackModel } from "./model";

export interface ZStackData {
  vms?: ZStackDataVm[] | undefined;
}

export interface ZStackDataVm {
  id?: string | undefined;
  name: string;
  description?: string | undefined;
  /** @default "Running" */
  state?: "Running" | "Stopped" | undefined;
  /** @default 1 */
  cpus?: number | undefined;
  /** @default 8192 */
  memoryMiB?: number | undefined;
  dataVolumes?: { id?: string | undefined; name: string; sizeGiB?: number | undefined }[] | undefined;
}

const uuid = () => z.string().regex(/^[0-9a-f]{32}$/, "must be 32 hexadecimal digits");
const name = () => z.string().min(1, "must not be empty").max(255);

const MIB = 2 ** 20;
const GIB = 2 ** 30;

export const data: DataDefinition<ZStackModel, ZStackData> = {
  schema: z.strictObject({
    vms: z
      .array(
        z.strictObject({
          id: uuid().optional(),
          name: name(),
          description: z.string().max(2048).optional(),
          state: z.enum(["Running", "Stopped"]).optional(),
          cpus: z.int().min(1).optional(),
          memoryMiB: z.int().min(1).optional(),
          dataVolumes: z
            .array(z.strictObject({ id: uuid().optional(), name: name(), sizeGiB: gibibytes().optional() }))
            .optional(),
        }),
      )
      .optional(),
  }),
  known: ({ vms }) => ({ vms: [...vms.values()].map((vm) => ({ id: vm.uuid, name: vm.name })) }),
  load(model, { vms = [] }) {
    for (const { id, name: vmName, description, state = "Running", cpus, memoryMiB, dataVolumes = [] } of vms) {
      const memorySize = memoryMiB === undefined ? undefined : memoryMiB * MIB;
      const vm = model.addVm({ name: vmName, state, ...given({ uuid: id, description, cpuNum: cpus, memorySize }) });
      model.furnish(vm);
      // A stopped VM is on no host.
      if (state === "Stopped") vm.hostUuid = null;
      for (const volume of dataVolumes) {
        const size = volume.sizeGiB === undefined ? undefined : volume.sizeGiB * GIB;
        const fields = given({ uuid: volume.id, size });
        model.addVolume({ name: volume.name, type: "Data", vmInstanceUuid: vm.uuid, ...fields });
      }
    }
  },
};
