// The scenarios of SnapshotSeries against the emulator. test/openstack/snapshotSeries.test.ts runs them against a real Cinder.

import type { Emulator } from "../../../emulator";
import { snapshotSeriesScenarios } from "../../scenarios/snapshotSeries";
import { emulatorVolumeBackend, type VolumeBackend } from "../../scenarios/volumes";
import { describeEngine } from "../harness";

describeEngine("SnapshotSeries on the emulator", () => {
  let cloud: Emulator;
  let backend: VolumeBackend;
  beforeAll(async () => {
    ({ cloud, backend } = await emulatorVolumeBackend({ snapshotCreate: 800, snapshotDelete: 400 }));
  });
  afterAll(() => cloud.close());

  snapshotSeriesScenarios(() => backend);
});
