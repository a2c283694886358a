// The order of the ids in the option `import` of a SnapshotSeries says nothing: it may change at any time.

import type { Properties } from "../../provider/core/operation";
import type { FakeEngine } from "../support/fakeEngine";
import { begin, changes, emulator, up, VOLUME } from "./snapshotSeriesFixture";

let engine: FakeEngine;
let ids: string[];

beforeEach(() => {
  engine = begin();
  // Cinder's ids are random: this order is neither that of the ids nor that of the times.
  ids = ["c", "a", "b"].map(
    (digit, day) =>
      emulator.cinder.createSnapshot({
        id: `${digit.repeat(8)}-0000-4000-8000-000000000000`,
        volume_id: VOLUME,
        created_at: `2026-01-0${day + 1}T00:00:00.000000`,
      }).id,
  );
});

const imports = (order: readonly string[], more: Properties = {}) => ({
  keep: 3,
  triggers: ["mon"],
  __import: order.join(", "),
  ...more,
});
const messages = async (args: Properties, fault?: Parameters<typeof up>[2]) =>
  (await up(engine, args, fault)).errors.map((error) => (error as Error).message).join("\n");
const held = () => ((engine.state.entries[0]?.outputs.snapshots ?? []) as { id: string }[]).map(({ id }) => id);

test("another order changes nothing; other ids are another import", async () => {
  expect(await messages(imports(ids))).toBe("");
  for (const order of [ids.toReversed(), ids.toSorted(), ids]) {
    expect(await messages(imports(order))).toBe("");
    expect([changes(), held()]).toEqual([[], ids.toReversed()]);
  }
  expect(await messages(imports(ids.slice(1)))).toContain("this resource is in the state already");
});

test("a state of an early build has the ids in the program's order", async () => {
  expect(await messages(imports(ids))).toBe("");
  const [entry] = engine.state.entries;
  for (const values of [entry?.inputs ?? {}, entry?.outputs ?? {}])
    Object.assign(values, { __import: ids.join(), __imported: ids.join() });
  for (const order of [ids, ids.toReversed()]) {
    expect(await messages(imports(order))).toBe("");
    expect(changes()).toEqual([]);
  }
  expect(await messages(imports(ids, { keep: 4 }))).toBe("");
  expect(held()).toEqual(ids.toReversed());
});

test("killed before or after any request, and run again with another order: finished, and nothing is taken twice", async () => {
  for (const when of ["before", "after"] as const) {
    for (let nth = 1; ; nth += 1) {
      engine.state = { entries: [], pending: [] };
      for (const { metadata } of emulator.cinder.snapshots.values())
        for (const key of Object.keys(metadata)) delete metadata[key];
      const { killed } = await up(engine, imports(ids), { nth, kind: `is where the process is killed, ${when}` });
      // An early build noted the ids in the program's order.
      for (const { inputs } of engine.state.pending) inputs.__import = ids.join();
      expect(await messages(imports(ids.toReversed()))).toBe("");
      expect([held(), emulator.cinder.snapshots.size]).toEqual([ids.toReversed(), 3]);
      if (!killed) break;
    }
  }
});
