// A VolumeClone whose request was refused, lost, or failed, and what later runs know of its clones.

import type { HttpRequest } from "../../provider/core/http/request";
import { FakeEngine } from "../support/fakeEngine";
import { ARGS, type Kill, LOGS, VolumeCloneFixture } from "./volumeCloneFixture";

const fixture = new VolumeCloneFixture();
const { clones, clock, definition, newProcess, pass, pendingKeys, requests, start, volume } = fixture;
afterEach(fixture.close);

let engine: FakeEngine;
beforeEach(async () => {
  await start();
  engine = new FakeEngine(definition, { clock, isDead: () => fixture.http.dead });
});

const up = (args = ARGS, kill?: Kill) => {
  newProcess(kill);
  return engine.up({ before: args }, { firstCheckWithoutSeed: false });
};
const destroy = () => {
  newProcess();
  return engine.destroy();
};
const at = (method: string, path: RegExp, nth = 1) => {
  let seen = 0;
  return (request: HttpRequest<unknown>) => {
    if (request.method !== method || !path.test(request.url)) return false;
    seen += 1;
    return seen === nth;
  };
};
const CLONE = /\/clone-volumes$/;
const PROGRESS = /get_progress/;
const METADATA = /\/metadata$/;

describe("a set that PowerVC refused and whose note could not be removed", () => {
  beforeEach(async () => {
    volume(LOGS).status = "error";
    fixture.emulator.faults.add({ match: { operation: "volumes.metadata.delete" }, times: 3, status: 503 });
    await up();
    expect(engine.state.entries[0]?.outputs).toMatchObject({ pending: { task: { unsent: true } } });
    volume(LOGS).status = "in-use";
  });

  test("is asked for at once by the next up", async () => {
    const before = fixture.elapsed;
    expect((await up()).errors).toEqual([]);
    expect(fixture.elapsed - before).toBeLessThan(20_000);
    expect([clones().length, requests("clones.create"), pendingKeys()]).toEqual([3, 2, []]);
  });

  test("is removed at once by a destroy", async () => {
    const before = fixture.elapsed;
    expect((await destroy()).errors).toEqual([]);
    expect(fixture.elapsed - before).toBeLessThan(20_000);
    expect([clones(), pendingKeys()]).toEqual([[], []]);
  });

  const KILLS: readonly (readonly [string, () => Kill])[] = [
    ["after the request and before its answer", () => ({ at: at("POST", CLONE), carriedOut: true })],
    ["before the task's id is written", () => ({ at: at("POST", METADATA, 2), carriedOut: false })],
    ["while the flow runs", () => ({ at: at("GET", PROGRESS), carriedOut: true })],
    ["before the note is removed", () => ({ at: at("DELETE", /\/metadata\/[^/]+$/), carriedOut: false })],
    ["after the note was removed", () => ({ at: at("DELETE", /\/metadata\/[^/]+$/), carriedOut: true })],
  ];

  test.each(KILLS)("and that a killed run asked for again (%s): the next up goes on with it", async (_when, kill) => {
    expect((await up(ARGS, kill())).killed).toBe(true);
    pass(1_000);
    expect((await up()).errors).toEqual([]);
    pass(60_000);
    expect([clones().length, fixture.emulator.powervc.tasks.size, pendingKeys()]).toEqual([3, 1, []]);
  });

  test.each(KILLS)("and that a killed run asked for again (%s): destroy leaves nothing", async (_when, kill) => {
    expect((await up(ARGS, kill())).killed).toBe(true);
    expect((await destroy()).errors).toEqual([]);
    pass(60_000);
    expect([clones().map(({ name }) => name), pendingKeys(), engine.state.entries]).toEqual([[], [], []]);
  });
});
