// ToyCopy's lifecycle against the emulator, case by case: what becomes of it and what the user is told.

import { type Emulator, startEmulator } from "../../emulator";
import { TOY_VOLUMES } from "../../emulator/toy/model";
import { HttpClient } from "../../provider/core/http/client";
import type { HttpRequest, RawResponse } from "../../provider/core/http/request";
import { ToyClient } from "../../provider/toy/client";
import { resolveToy } from "../../provider/toy/connection";
import { ToyContext } from "../../provider/toy/context";
import { toyCopy } from "../../provider/toy/toyCopy/resource";
import { AutoAdvancingClock } from "../support/autoAdvancingClock";
import { FakeEngine } from "../support/fakeEngine";

const [SOURCE, OTHER] = TOY_VOLUMES;

/** Time does not jump while a request is running. */
class UnhurriedHttp extends HttpClient {
  constructor(private readonly testClock: AutoAdvancingClock) {
    super({ clock: testClock });
  }

  protected override exchange(request: HttpRequest<unknown>): Promise<RawResponse> {
    return this.testClock.during(() => super.exchange(request));
  }
}

let emulator: Emulator;
let http: HttpClient;
let engine: FakeEngine;

beforeEach(async () => {
  emulator = await startEmulator({ clock: "instant" });
  const clock = new AutoAdvancingClock(20);
  http = new UnhurriedHttp(clock);
  const config = emulator.toy.connection();
  const settings = resolveToy({ name: "default", config, env: {}, cwd: "/", home: "/" });
  const context = new ToyContext(new ToyClient(settings, { http, clock }));
  const definition = { ...toyCopy, connection: { kind: "toy", open: () => context } };
  engine = new FakeEngine(definition, { clock, type: "ToyCopy" });
});

afterEach(async () => {
  await http.close();
  await emulator.close();
});

const copies = () => {
  emulator.toy.advance();
  return [...emulator.toy.copies.values()];
};

test("create: one POST, available, with the ownership record from its first moment", async () => {
  expect(await engine.up({ a: { source: SOURCE, name: "nightly" } })).toMatchObject({ errors: [] });
  expect(copies()).toMatchObject([{ source: SOURCE, name: "nightly", status: "available" }]);
  expect(copies()[0]?.labels).toMatchObject({
    "snapclone-owner": engine.urn("a"),
    "snapclone-stack": expect.stringMatching(/./),
    "snapclone-attempt": expect.stringMatching(/./),
  });
  expect(emulator.requests.count({ operation: "copies.create" })).toBe(1);
});

test("create: the reply is lost, and the copy that was made is found", async () => {
  emulator.faults.add({ match: { operation: "copies.create" }, action: "drop-response", times: 1 });
  expect(await engine.up({ a: { source: SOURCE, name: "nightly" } })).toMatchObject({ errors: [] });
  expect(copies()).toHaveLength(1);
  expect(emulator.requests.count({ operation: "copies.create" })).toBe(1);
});

test("create: what ends in error is recorded, and the next up replaces it", async () => {
  emulator.toy.failNext();
  const { errors } = await engine.up({ a: { source: SOURCE, name: "nightly" } });
  expect(errors.map(String).join()).toContain('its status is "error"');
  expect(await engine.up({ a: { source: SOURCE, name: "nightly" } })).toMatchObject({ errors: [] });
  expect(copies()).toMatchObject([{ status: "available" }]);
});

test("create: what a killed run has left is adopted, not made again", async () => {
  const program = { a: { source: SOURCE, name: "nightly" } };
  await engine.up(program);
  const [left] = copies();
  // As the engine's state is when the process dies before the create is saved.
  engine.edit((state) => {
    const [entry] = state.entries.splice(0);
    if (entry) state.pending.push({ urn: entry.urn, inputs: entry.inputs });
  });
  const { errors, log } = await engine.up(program);
  expect(errors).toEqual([]);
  expect(log.join("\n")).toContain("adopted");
  expect(copies().map(({ id }) => id)).toEqual([left?.id]);
});

test("update: the name in place; another source replaces", async () => {
  await engine.up({ a: { source: SOURCE, name: "nightly" } });
  const [first] = copies();
  await engine.up({ a: { source: SOURCE, name: "weekly" } });
  expect(copies()).toMatchObject([{ id: first?.id, name: "weekly" }]);
  await engine.up({ a: { source: OTHER, name: "weekly" } });
  expect(copies()).toMatchObject([{ source: OTHER }]);
  expect(copies()[0]?.id).not.toBe(first?.id);
});

test("delete: gone when destroy returns; what somebody else has deleted counts as deleted", async () => {
  await engine.up({ a: { source: SOURCE, name: "a" }, b: { source: SOURCE, name: "b" } });
  const [gone] = copies();
  emulator.toy.copies.delete(gone?.id ?? "");
  expect(await engine.destroy()).toMatchObject({ errors: [] });
  expect(copies()).toEqual([]);
});

test("refresh: a copy that is gone leaves the state", async () => {
  await engine.up({ a: { source: SOURCE, name: "nightly" } });
  emulator.toy.copies.clear();
  await engine.refresh();
  expect(engine.state.entries).toEqual([]);
});
