// Snapshot on the real engine, against the emulator.

import type { Emulator } from "../../emulator";
import { type Backend, emulatorBackend } from "../scenarios/backend";
import { snapshotScenarios } from "../scenarios/snapshot";
import { describeEngine, newStack } from "./harness";

describeEngine("Snapshot on the emulator", () => {
  let cloud: Emulator;
  let backend: Backend;

  beforeAll(async () => {
    ({ cloud, backend } = await emulatorBackend({ snapshotCreate: 1_500, snapshotDelete: 500 }));
  });

  afterAll(() => cloud.close());

  snapshotScenarios(() => backend);

  test("SNAPCLONE_IGNORE_CANCEL=1: a cancelled run waits for what it has begun", async () => {
    const stack = await newStack({
      program: { js: `new (require("pulumi-snapclone").Snapshot)("nightly", { volumeId: "${backend.volumes[0]}" });` },
      config: backend.connections,
      env: { SNAPCLONE_IGNORE_CANCEL: "1" },
    });
    try {
      const run = stack.start("up");
      while (cloud.cinder.snapshots.size === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      run.child.kill("SIGINT");
      expect((await run.result).code).not.toBe(0);
      const [made] = await stack.resources();
      expect(made?.outputs).toMatchObject({ status: "available" });
      expect(made?.outputs).not.toHaveProperty("pending");
      expect((await stack.destroy()).code).toBe(0);
    } finally {
      await stack.close();
    }
  });
});
