// The scenarios of VolumeFromSnapshot against the emulator. test/openstack/volumeFromSnapshot.test.ts runs them against a real Cinder.

import type { Emulator } from "../../../emulator";
import { volumeFromSnapshotScenarios } from "../../scenarios/volumeFromSnapshot";
import { emulatorVolumeBackend, type VolumeBackend } from "../../scenarios/volumes";
import { describeEngine } from "../harness";

describeEngine("VolumeFromSnapshot on the emulator", () => {
  let cloud: Emulator;
  let backend: VolumeBackend;
  beforeAll(async () => {
    const slow = { volumeCreate: 800, volumeExtend: 800 };
    const timings = { ...slow, volumeDelete: 300, snapshotCreate: 300, snapshotDelete: 300 };
    ({ cloud, backend } = await emulatorVolumeBackend(timings));
  });
  afterAll(() => cloud.close());

  volumeFromSnapshotScenarios(() => backend);
});
