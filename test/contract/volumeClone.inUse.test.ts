// A VolumeClone whose create was interrupted, and whose clones somebody has begun to use before the next run: they are made, and
// stay what they are.

import { FakeEngine } from "../support/fakeEngine";
import { ARGS, type Kill, VolumeCloneFixture } from "./volumeCloneFixture";

const fixture = new VolumeCloneFixture();
const { clones, clock, definition, newProcess, pass, pendingKeys, requests, start } = fixture;
afterEach(fixture.close);

let engine: FakeEngine;
beforeEach(async () => {
  await start();
  engine = new FakeEngine(definition, { clock, isDead: () => fixture.http.dead });
});

const up = (kill?: Kill) => {
  newProcess(kill);
  return engine.up({ before: ARGS }, { firstCheckWithoutSeed: false });
};

const STATUSES = [
  "in-use",
  "reserved",
  "attaching",
  "extending",
  "error_extending",
  "backing-up",
  "error_backing-up",
  "retyping",
  "awaiting-transfer",
];

describe.each([
  ["PowerVC knows its task", () => {}],
  ["PowerVC has forgotten its task", () => fixture.emulator.powervc.tasks.clear()],
])("%s", (_name, forget) => {
  test.each(STATUSES)("a clone that is %s counts as made", async (status) => {
    expect((await up({ at: ({ url }) => /get_progress/.test(url), carriedOut: true })).killed).toBe(true);
    pass(600_000);
    const before = clones().map(({ id }) => id);
    const [first] = clones();
    if (first) first.status = status;
    forget();
    const started = fixture.elapsed;
    expect((await up()).errors).toEqual([]);
    expect(fixture.elapsed - started).toBeLessThan(180_000);
    expect([clones().map(({ id }) => id), requests("clones.create"), pendingKeys()]).toEqual([before, 1, []]);
  });
});
