// VolumeFromSnapshot on the real engine, against a real Cinder: the scenarios of the emulator, word for word.

import { describeEngine } from "../engine/harness";
import { volumeFromSnapshotScenarios } from "../scenarios/volumeFromSnapshot";
import type { VolumeBackend } from "../scenarios/volumes";
import { labVolumeBackend } from "./backend";
import { describeOpenStack } from "./lab";

describeOpenStack("a real Cinder", (lab) => {
  describeEngine("VolumeFromSnapshot", () => {
    let backend: VolumeBackend;
    beforeAll(async () => {
      backend = await labVolumeBackend(lab());
    });
    afterAll(() => backend.close());

    volumeFromSnapshotScenarios(() => backend);
  });
});
