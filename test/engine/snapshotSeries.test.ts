// SnapshotSeries on the real engine, against the emulator: what the scenarios do not say.

import type { Emulator } from "../../emulator";
import { emulatorVolumeBackend, type VolumeBackend } from "../scenarios/volumes";
import { describeEngine, newStack } from "./harness";

describeEngine("SnapshotSeries on the emulator", () => {
  let cloud: Emulator;
  let backend: VolumeBackend;

  beforeAll(async () => {
    ({ cloud, backend } = await emulatorVolumeBackend({ snapshotCreate: 800, snapshotDelete: 400 }));
  });
  afterAll(() => cloud.close());

  test("an unchanged series sends nothing; with retainOnDelete, destroy keeps all", async () => {
    const programOf = (trigger: string) => ({
      js: `
const { SnapshotSeries } = require("pulumi-snapclone");
const args = { volumeId: "${backend.volumes[0]}", keep: 2, triggers: ["${trigger}"] };
new SnapshotSeries("db", args, { retainOnDelete: true });`,
    });
    const stack = await newStack({ program: programOf("1"), config: backend.connections });
    try {
      expect((await stack.up()).code).toBe(0);
      stack.setProgram(programOf("2"));
      expect((await stack.up()).code).toBe(0);
      const before = cloud.requests.length;
      expect((await stack.up()).code).toBe(0);
      expect(cloud.requests.length).toBe(before);
      expect((await stack.destroy()).code).toBe(0);
      expect(cloud.cinder.snapshots.size).toBe(2);
    } finally {
      await stack.close();
      cloud.cinder.snapshots.clear();
    }
  });
});
