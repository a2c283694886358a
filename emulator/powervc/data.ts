// The data that a user gives PowerVC: volumes to clone. They are in the same Cinder as `cinder.volumes`.

import * as z from "zod";
import { type CinderVolume, loadVolume, volumeReferences, volumeSchema } from "../cinder/data";
import type { CinderModel } from "../cinder/model";
import type { DataDefinition } from "../core/data";
import type { KeystoneModel } from "../keystone/model";
import type { PowerVcModel } from "./model";

export interface PowerVcData {
  volumes?: CinderVolume[] | undefined;
}

interface Behind {
  readonly cinder: CinderModel;
  readonly keystone: KeystoneModel;
}

export function powervcData(behind: () => Behind): DataDefinition<PowerVcModel, PowerVcData> {
  return {
    schema: z.strictObject({ volumes: z.array(volumeSchema).optional() }),
    references: volumeReferences,
    known: () => ({ volumes: [...behind().cinder.volumes.values()] }),
    load(_model, { volumes = [] }) {
      const { cinder, keystone } = behind();
      for (const volume of volumes) loadVolume(cinder, keystone, volume);
    },
  };
}
