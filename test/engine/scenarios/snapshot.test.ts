// The scenarios of Snapshot against the emulator. test/openstack/snapshot.test.ts runs them against a real Cinder.

import type { Emulator } from "../../../emulator";
import { type Backend, emulatorBackend } from "../../scenarios/backend";
import { snapshotScenarios } from "../../scenarios/snapshot";
import { describeEngine } from "../harness";

describeEngine("Snapshot on the emulator", () => {
  let cloud: Emulator;
  let backend: Backend;
  beforeAll(async () => {
    ({ cloud, backend } = await emulatorBackend({ snapshotCreate: 1_500, snapshotDelete: 500 }));
  });
  afterAll(() => cloud.close());

  snapshotScenarios(() => backend);
});
