// The option `import` of a SnapshotSeries: snapshots of one volume that something else has taken.

import { SEED_VOLUMES } from "../../emulator";
import type { Properties } from "../../provider/core/operation";
import type { FakeEngine } from "../support/fakeEngine";
import { begin, emulator, refresh, up, VOLUME } from "./snapshotSeriesFixture";

let engine: FakeEngine;
let ids: string[];
const make = (day: string, given: object = {}) =>
  emulator.cinder.createSnapshot({
    volume_id: VOLUME,
    name: day,
    created_at: `2026-01-0${day}T00:00:00.000000`,
    ...given,
  }).id;

beforeEach(() => {
  engine = begin();
  ids = ["1", "2", "3"].map((day) => make(day));
});

const imports = (more: Properties = {}): Properties => ({
  keep: 3,
  triggers: ["mon"],
  __import: ids.join(", "),
  ...more,
});
const messages = async (args: Properties, fault?: Parameters<typeof up>[2]) =>
  (await up(engine, args, fault)).errors.map((error) => (error as Error).message).join("\n");
const latest = () => {
  const { snapshots } = engine.state.entries[0]?.outputs ?? {};
  return ((snapshots ?? []) as { id: string }[]).map(({ id }) => id);
};
const there = () => [...emulator.cinder.snapshots.keys()].sort();
const writes = () => emulator.requests.filter(({ service, method }) => service === "cinder" && method !== "GET").length;

test("takes them over, takes and deletes nothing at the import, then goes on as any series", async () => {
  expect(await messages(imports())).toBe("");
  expect([latest(), there()]).toEqual([ids.toReversed(), [...ids].sort()]);
  const before = writes();
  for (const args of [imports(), imports({ __import: undefined })]) {
    expect(await messages(args)).toBe("");
    await refresh(engine);
  }
  expect([writes(), latest()]).toEqual([before, ids.toReversed()]);
  expect(await messages(imports({ triggers: ["tue"] }))).toBe("");
  expect([latest().slice(1), there()]).toEqual([[ids[2], ids[1]], expect.not.arrayContaining([ids[0]])]);
  expect((await engine.destroy()).errors).toEqual([]);
  expect(there()).toEqual([]);
});

test("refused, and nothing is written", async () => {
  const other = make("4", { volume_id: SEED_VOLUMES.logs });
  const broken = make("5", { status: "error" });
  const cases: [args: Properties, text: RegExp][] = [
    [{ keep: 2 }, new RegExp(`${ids[0]} would be deleted at once`)],
    [{ __import: [...ids, other].join() }, /are of several volumes/],
    [{ __import: [...ids, broken].join() }, /in status "error"/],
    [{ __import: `${ids[0]},99999999-9999-4999-8999-999999999999` }, /there is no snapshot 9999/],
    [{ __import: "99999999-9999-4999-8999-999999999999" }, /there is no snapshot series 9999/],
    [{ __import: `${ids[0]},${ids[0]}` }, /names one snapshot twice/],
    [{ __import: "mon" }, /must be the UUIDs of the snapshots/],
    [{ volumeId: SEED_VOLUMES.logs }, /volumeId is .* in the program and/],
  ];
  for (const [args, text] of cases) expect(await messages(imports(args))).toMatch(text);
  expect([writes(), engine.state.entries]).toEqual([0, []]);
});

test("a snapshot that a Snapshot or another stack's series owns is refused with whose it is", async () => {
  expect(await messages(imports())).toBe("");
  engine.state.entries = [];
  engine.stack = "prod";
  expect(await messages(imports())).toMatch(/belongs to urn:pulumi:dev::\S+::db of another stack/);
  const owned = make("6", { metadata: { "snapclone:owner": "urn:pulumi:x::y::z::own", "snapclone:stack": "s" } });
  expect(await messages(imports({ __import: owned, keep: 1 }))).toMatch(/belongs to urn:pulumi:x::y::z::own/);
});

test.each(["before", "after"] as const)("killed %s any request: the same command finishes it", async (when) => {
  for (let nth = 1; ; nth += 1) {
    engine = begin();
    ids = ["1", "2", "3"].map((day) => make(day));
    const { killed } = await up(engine, imports(), { nth, kind: `is where the process is killed, ${when}` });
    expect(await messages(imports())).toBe("");
    expect([latest(), there()]).toEqual([ids.toReversed(), [...ids].sort()]);
    if (!killed) {
      expect(nth).toBeGreaterThan(3);
      break;
    }
  }
});
