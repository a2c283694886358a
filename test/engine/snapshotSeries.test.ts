// SnapshotSeries on the real engine, against the emulator: the preview, the update, and kill -9 of it.

import type { Emulator } from "../../emulator";
import { type Backend, emulatorBackend } from "../scenarios/backend";
import { killAll } from "../support/processes";
import { describeEngine, newStack, type Result, type Run, type Stack } from "./harness";

interface SeriesOutputs {
  latest?: string;
  snapshots: { id: string; createdAt: string }[];
  pruned: { id: string }[];
}

describeEngine("SnapshotSeries on the emulator", () => {
  let cloud: Emulator;
  let backend: Backend;
  let stack: Stack;

  beforeAll(async () => {
    ({ cloud, backend } = await emulatorBackend({ snapshotCreate: 1_200, snapshotDelete: 600 }));
  });
  afterAll(() => cloud.close());

  const programOf = (args: Record<string, unknown>, opts = {}) => ({
    js: `
const { SnapshotSeries } = require("pulumi-snapclone");
const args = ${JSON.stringify({ keep: 2, ...args })};
const series = new SnapshotSeries("db", { volumeId: "${backend.volumes[0]}", ...args }, ${JSON.stringify(opts)});
exports.latest = series.latest;`,
  });
  const rows = () => {
    cloud.cinder.advance();
    return [...cloud.cinder.snapshots.values()];
  };
  const operationOf = ({ events }: Result) =>
    events.find(({ resourcePreEvent }) => resourcePreEvent?.metadata.urn.endsWith("::db"))?.resourcePreEvent?.metadata
      .op;
  const outputs = async () =>
    (await stack.resources()).find(({ type }) => type.endsWith(":SnapshotSeries"))?.outputs as unknown as SeriesOutputs;
  const up = async (args: Record<string, unknown>, opts = {}) => {
    stack.setProgram(programOf(args, opts));
    const result = await stack.up();
    expect([result.code, result.stdout]).toEqual([0, result.stdout]);
    return result;
  };

  const kill = ({ child }: Run, victims: "provider" | "both") => {
    killAll(stack.providers());
    if (victims === "both") child.kill("SIGKILL");
  };

  beforeEach(async () => {
    stack = await newStack({ program: programOf({ triggers: ["1"] }), config: backend.connections });
  });
  afterEach(async () => {
    await stack.close();
    cloud.cinder.snapshots.clear();
  });

  test("a life: taken, previewed as an update, pruned, lowered, emptied by hand, destroyed", async () => {
    await up({ triggers: ["1"] });
    const first = (await outputs()).latest;
    stack.setProgram(programOf({ triggers: ["2"] }));
    const preview = await stack.preview();
    expect(operationOf(preview)).toBe("update");
    expect(rows()).toHaveLength(1);
    await up({ triggers: ["2"] });
    await up({ triggers: ["3"] });
    expect(await outputs()).toMatchObject({ pruned: [{ id: first }] });
    expect(rows().map(({ id }) => id)).not.toContain(first);
    const before = cloud.requests.length;
    await up({ triggers: ["3"] });
    expect(cloud.requests.length).toBe(before);
    await up({ triggers: ["3"], keep: 1 });
    const { latest } = await outputs();
    expect(rows()).toMatchObject([{ id: latest }]);
    cloud.cinder.removeSnapshot(latest ?? "");
    expect((await stack.refresh()).code).toBe(0);
    expect((await outputs()).snapshots).toEqual([]);
    await up({ triggers: ["3"], keep: 1 });
    await up({ triggers: ["4"], keep: 5 });
    const destroyed = await stack.destroy();
    expect([destroyed.code, destroyed.stdout]).toEqual([
      0,
      expect.stringContaining("deleted 2 snapshots of the series"),
    ]);
    expect(rows()).toEqual([]);
  });

  test("kill -9 while an update takes a snapshot: the next up adopts it as the newest, and takes no other", async () => {
    await up({ triggers: ["1"] });
    for (const victims of ["provider", "both"] as const) {
      const day = victims;
      const count = rows().length;
      stack.setProgram(programOf({ triggers: [day], keep: 5 }));
      const run = stack.start("up");
      while (cloud.cinder.snapshots.size === count) await new Promise((resolve) => setTimeout(resolve, 10));
      kill(run, victims);
      await run.result;
      await stack.cancel();
      await up({ triggers: [day], keep: 5 });
      expect(rows().map(({ status }) => status)).toEqual(Array(count + 1).fill("available"));
      const { snapshots, latest } = await outputs();
      expect(snapshots.map(({ id }) => id).sort()).toEqual(
        rows()
          .map(({ id }) => id)
          .sort(),
      );
      expect(latest).toBe(rows().at(-1)?.id);
    }
    expect((await stack.destroy()).code).toBe(0);
    expect(rows()).toEqual([]);
  });

  test("kill -9 while an update deletes an old one: the next up ends with what the program keeps", async () => {
    await up({ triggers: ["1"], keep: 1 });
    stack.setProgram(programOf({ triggers: ["2"], keep: 1 }));
    const run = stack.start("up");
    while (!rows().some(({ status }) => status === "deleting")) await new Promise((resolve) => setTimeout(resolve, 10));
    kill(run, "both");
    await run.result;
    await stack.cancel();
    await up({ triggers: ["2"], keep: 1 });
    expect(rows()).toMatchObject([{ id: (await outputs()).latest, status: "available" }]);
    expect((await stack.destroy()).code).toBe(0);
  });

  test("retainOnDelete keeps all", async () => {
    await up({ triggers: ["1"] }, { retainOnDelete: true });
    await up({ triggers: ["2"] }, { retainOnDelete: true });
    expect((await stack.destroy()).code).toBe(0);
    expect(rows()).toHaveLength(2);
  });
});
