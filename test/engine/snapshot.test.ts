// Snapshot on the real engine, against the emulator: what the scenarios (scenarios/snapshot.test.ts) do not say.

import type { Emulator } from "../../emulator";
import { type Backend, emulatorBackend } from "../scenarios/backend";
import { describeEngine, newStack } from "./harness";

describeEngine("Snapshot on the emulator", () => {
  let cloud: Emulator;
  let backend: Backend;

  beforeAll(async () => {
    ({ cloud, backend } = await emulatorBackend({ snapshotCreate: 1_500, snapshotDelete: 500 }));
  });

  afterAll(() => cloud.close());

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

  test("120 of them, on a cloud that takes 0.6 s a write: written once each, and nothing at the end of the run", async () => {
    const count = 120;
    const slow = cloud.faults.add({ match: { operation: "snapshots.create" }, times: Infinity, delayMs: 600 });
    const stack = await newStack({
      program: {
        js: `
const { Snapshot } = require("pulumi-snapclone");
for (let n = 1; n <= ${count}; n += 1) new Snapshot("s" + n, { volumeId: "${backend.volumes[0]}" });`,
      },
      config: backend.connections,
    });
    try {
      const before = cloud.requests.length;
      const up = await stack.up({ parallel: 32 });
      expect([up.code, up.stdout]).toEqual([0, expect.not.stringMatching(/adopted the|in no state/)]);
      const sent = cloud.requests.slice(before).filter(({ service }) => service === "cinder");
      expect(sent.filter(({ method }) => method !== "GET").map(({ operation }) => operation)).toEqual(
        Array(count).fill("snapshots.create"),
      );
      expect(sent.length).toBeLessThanOrEqual(1.1 * count + 20);
      // The state holds all of them, so none of them can be adopted.
      const held = (await stack.resources()).map(({ id }) => id).sort();
      expect(held).toEqual([...cloud.cinder.snapshots.keys()].sort());
      expect((await stack.export()).deployment.pending_operations ?? []).toEqual([]);
    } finally {
      slow.remove();
      await stack.close();
      cloud.cinder.snapshots.clear();
    }
  });
});
