// VolumeFromSnapshot on the real engine, against the emulator: what the scenarios do not say.

import { type Emulator, SEED_VOLUMES } from "../../emulator";
import { emulatorVolumeBackend, type VolumeBackend } from "../scenarios/volumes";
import { describeEngine, newStack } from "./harness";

describeEngine("VolumeFromSnapshot on the emulator", () => {
  let cloud: Emulator;
  let backend: VolumeBackend;

  beforeAll(async () => {
    const slow = { volumeCreate: 800, volumeExtend: 800 };
    const timings = { ...slow, volumeDelete: 300, snapshotCreate: 300, snapshotDelete: 300 };
    ({ cloud, backend } = await emulatorVolumeBackend(timings));
  });
  afterAll(() => cloud.close());

  test("a new snapshot makes a smaller volume: the copies stand before the old ones go; a smaller size sends nothing", async () => {
    const programOf = (trigger: string, sizeGiB: number) => ({
      js: `
const { Snapshot, VolumeFromSnapshot } = require("pulumi-snapclone");
const snapshot = new Snapshot("snapshot", { volumeId: "${SEED_VOLUMES.data}", triggers: ["${trigger}"] });
new VolumeFromSnapshot("restored", { snapshotId: snapshot.id, sizeGiB: ${sizeGiB} });`,
    });
    const stack = await newStack({ program: programOf("monday", 14), config: backend.connections });
    try {
      expect((await stack.up()).code).toBe(0);
      let since = cloud.requests.length;
      stack.setProgram(programOf("monday", 10));
      expect((await stack.preview()).code).not.toBe(0);
      expect(cloud.requests.length).toBe(since);
      since = cloud.requests.length;
      stack.setProgram(programOf("tuesday", 12));
      expect((await stack.up()).code).toBe(0);
      const changes = cloud.requests.slice(since).map(({ operation }) => operation);
      expect(changes.filter((operation) => /^(snapshots|volumes)\.(create|delete|os-extend)$/.test(operation))).toEqual(
        ["snapshots.create", "volumes.create", "volumes.delete", "snapshots.delete"],
      );
      expect((await backend.volumesFromSnapshots()).map(({ size }) => size)).toEqual([12]);
      expect((await stack.destroy()).code).toBe(0);
    } finally {
      await stack.close();
    }
  });
});
