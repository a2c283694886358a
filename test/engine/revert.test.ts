// A revert on the real engine, against the emulator. The emulator has no data: its count of reverts stands for them.

import type { Emulator } from "../../emulator";
import { emulatorBackend } from "../scenarios/backend";
import { type RevertBackend, revertScenario } from "../scenarios/revert";
import { describeEngine } from "./harness";

describeEngine("revertTriggers on the emulator", () => {
  let cloud: Emulator;
  let revertBackend: RevertBackend;

  beforeAll(async () => {
    const { cloud: started, backend } = await emulatorBackend({
      snapshotCreate: 300,
      snapshotDelete: 300,
      snapshotRevert: 2_500,
    });
    cloud = started;
    const reverts = async () => cloud.requests.count({ operation: "volumes.revert", status: 202 });
    let before = 0;
    revertBackend = {
      ...backend,
      async newVolume() {
        before = await reverts();
        return cloud.cinder.createVolume({ size: 1 }).id;
      },
      takeSnapshot: async (volume_id) => cloud.cinder.createSnapshot({ volume_id, name: "by hand" }).id,
      write: async () => {},
      isUntouched: async () => (await reverts()) > before,
      reverts: async () => (await reverts()) - before,
      // The emulator runs in this process, so the scenario sees a revert as soon as there is one.
      holdReverts: () => () => {},
    };
  });
  afterAll(() => cloud.close());

  // A series reverts by the same code, which the tests on a real Cinder run (test/openstack/revert.test.ts).
  revertScenario(() => revertBackend, ["Snapshot"]);
});
