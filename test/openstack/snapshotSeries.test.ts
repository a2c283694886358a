// SnapshotSeries on the real engine, against a real Cinder: the scenarios of the emulator, word for word.

import { describeEngine } from "../engine/harness";
import { snapshotSeriesScenarios } from "../scenarios/snapshotSeries";
import type { VolumeBackend } from "../scenarios/volumes";
import { labVolumeBackend } from "./backend";
import { describeOpenStack } from "./lab";

describeOpenStack("a real Cinder", (lab) => {
  describeEngine("SnapshotSeries", () => {
    let backend: VolumeBackend;
    beforeAll(async () => {
      backend = await labVolumeBackend(lab());
    });
    afterAll(() => backend.close());

    snapshotSeriesScenarios(() => backend);
  });
});
