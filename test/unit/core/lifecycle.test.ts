import { SnapcloneError } from "../../../provider/core/errors";
import { create, read, remove, update } from "../../../provider/core/lifecycle";
import type { StateEntry } from "../../../provider/core/ownership";
import { Run } from "../../../provider/core/run";
import { partial } from "../../support/failures";
import { fakeDefinition } from "../../support/fakeBackend";
import { HIDDEN, NEWS, OWNER, PROVIDER, setUp } from "./lifecycleFixture";

test("what is mended is not said to be replaced", async () => {
  const { cloud, definition, clock, run } = setUp();
  definition.onFailedCreate = "update";
  cloud.readsUntilReady = 9;
  const failure = await clock.run(async () => {
    const creating = partial(create(definition, run, NEWS));
    await clock.sleep(1);
    for (const row of cloud.rows.values()) row.status = "broken";
    return creating;
  });
  expect(failure.reasons[0]).toContain("the next `pulumi up` does what is left");
});

describe("read", () => {
  test("gone is an empty answer", async () => {
    const { definition, run } = setUp();
    expect(await read(definition, run, "fake-9", { ...NEWS, status: "ready" })).toEqual({});
  });

  test("get of what does not exist is an error", async () => {
    const { definition, run } = setUp();
    await expect(read(definition, run, "fake-9", { __provider: PROVIDER })).rejects.toThrow(
      "cannot read fake fake-9: there is no fake with the id fake-9",
    );
  });

  test.each(["forbidden", "unauthorized", "transient", "malformed"] as const)(
    "%s is an error, never gone",
    async (kind) => {
      const { definition, run } = setUp();
      definition.read = () => Promise.reject(new SnapcloneError({ kind, message: "no" }));
      await expect(read(definition, run, "fake-1", { ...NEWS, status: "ready" })).rejects.toThrow("no");
    },
  );

  test("a list that can't be had at the end changes nothing", async () => {
    const { definition, clock, log, newRun, run } = setUp();
    const { id, outs } = await clock.run(() => create(definition, run, NEWS));
    definition.listOwned = () => Promise.reject(new SnapcloneError({ kind: "forbidden", message: "no" }));
    log.length = 0;
    const refresh = newRun();
    expect((await read(definition, refresh, id, outs)).id).toBe(id);
    await refresh.end();
    expect(log).toEqual([]);
  });

  test("an absence on another backend is an error that names both, and nothing leaves the state", async () => {
    const { cloud, definition, clock, newRun, run } = setUp();
    const { id, outs } = await clock.run(() => create(definition, run, NEWS));
    cloud.rows.clear();
    cloud.identity = "backend 2";
    const told =
      /does not prove that it is gone: it is on another backend: the state says backend 1, and the connection reaches backend 2/;
    await expect(read(definition, newRun(), id, outs)).rejects.toThrow(told);
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(told);
    await expect(update(definition, newRun(), id, outs, { ...NEWS, name: "b" })).rejects.toThrow(told);
    cloud.identity = "backend 1";
    expect(await read(definition, newRun(), id, outs)).toEqual({});
    await remove(definition, newRun(), id, outs);
  });

  test("an absence that the backend itself casts doubt on is an error", async () => {
    const { cloud, definition, clock, newRun, run } = setUp();
    const { id, outs } = await clock.run(() => create(definition, run, NEWS));
    cloud.rows.clear();
    definition.doubtAbsence = async () => "this login sees nothing of it";
    await expect(read(definition, newRun(), id, outs)).rejects.toThrow("this login sees nothing of it");
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow("this login sees nothing of it");
  });

  test("of what is still being made looks for half a minute before it counts as gone", async () => {
    const { cloud, definition, clock, newRun, run } = setUp();
    cloud.readsUntilReady = 1_000_000;
    const failure = await partial(clock.run(() => create(definition, run, { ...NEWS, __timeouts: { create: "1m" } })));
    cloud.staleReads = 3;
    expect((await clock.run(() => read(definition, newRun(), failure.id, failure.properties))).id).toBe("fake-1");
    cloud.rows.clear();
    const before = clock.now();
    expect(await clock.run(() => read(definition, newRun(), failure.id, failure.properties))).toEqual({});
    expect(clock.now() - before).toBe(30_000);
  });

  test("drift comes back as inputs", async () => {
    const { cloud, definition, clock, run } = setUp();
    const { id, outs } = await clock.run(() => create(definition, run, { ...NEWS, hint: "h" }));
    (cloud.rows.get(id) as { name: string }).name = "by hand";
    const answer = await read(definition, run, id, outs);
    expect(answer).toMatchObject({ id, props: { name: "by hand", status: "ready" } });
    expect(answer.inputs).toEqual({ ...NEWS, name: "by hand", hint: "h" });
  });

  test("a resource of no use is said to be so, and its record of failure stays", async () => {
    const { cloud, definition, clock, log, run } = setUp();
    const { id, outs } = await clock.run(() => create(definition, run, NEWS));
    const row = cloud.rows.get(id);
    if (row) row.status = "broken";
    const pending = { operation: "create", task: {}, since: "x", failed: true };
    const answer = await read(definition, run, id, { ...outs, pending });
    expect(answer.props).toMatchObject({ pending });
    expect(log).toContain("warning: fake a: is broken");
    if (row) row.status = "ready";
    expect((await read(definition, run, id, { ...outs, pending })).props).not.toHaveProperty("pending");
  });
});

describe("update", () => {
  test("observes first, changes, and returns what is there", async () => {
    const { definition, clock, run } = setUp();
    const { id, outs } = await clock.run(() => create(definition, run, NEWS));
    const updated = await update(definition, run, id, outs, { ...NEWS, name: "b" });
    expect(updated.outs).toEqual({ ...NEWS, ...HIDDEN, name: "b", status: "ready" });
  });

  test("a refused change is recorded with what is there, not with what was wanted", async () => {
    const { definition, clock, run } = setUp();
    const { id, outs } = await clock.run(() => create(definition, run, NEWS));
    const failure = await partial(update(definition, run, id, outs, { ...NEWS, name: "refuse-me" }));
    expect(failure.properties).toEqual(outs);
  });

  test("of what is gone says so, and that refresh helps", async () => {
    const { definition, run } = setUp();
    await expect(update(definition, run, "fake-9", { ...NEWS, status: "ready" }, NEWS)).rejects.toThrow(
      /pulumi refresh/,
    );
  });

  test("a failure before anything was touched leaves the state as it was", async () => {
    const { definition, run } = setUp();
    definition.read = () => Promise.reject(new SnapcloneError({ kind: "forbidden", message: "no" }));
    const thrown = await update(definition, run, "fake-1", { ...NEWS }, NEWS).catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(SnapcloneError);
  });

  test("work that a change has begun is recorded, and the next update goes on with it before anything else", async () => {
    const { cloud, definition, clock, newRun, run } = setUp();
    const { id, outs } = await clock.run(() => create(definition, run, NEWS));
    definition.update = async (_cloud, _id, _from, _inputs, _known, job) => {
      job.accepted({ kind: "grow" });
      throw new SnapcloneError({ kind: "deadline", message: "too slow" });
    };
    const failure = await partial(update(definition, run, id, outs, { ...NEWS, name: "b" }));
    expect(failure.properties.pending).toMatchObject({ operation: "update", task: { kind: "grow" } });

    const finished: unknown[] = [];
    definition.update = fakeDefinition(cloud).update;
    const { waitForCreate } = definition;
    definition.waitForCreate = (client, accepted, ...rest) => {
      finished.push(accepted);
      return waitForCreate(client, accepted, ...rest);
    };
    const { outs: done } = await clock.run(() =>
      update(definition, newRun(), id, failure.properties, { ...NEWS, name: "b" }),
    );
    expect(finished).toEqual([{ id, task: { kind: "grow" } }]);
    expect(done).toEqual({ ...NEWS, ...HIDDEN, name: "b", status: "ready" });
  });
});

describe("delete", () => {
  test("is done when it is gone, however that came", async () => {
    const { cloud, definition, clock, newRun, run } = setUp();
    const { id, outs } = await clock.run(() => create(definition, run, NEWS));
    await remove(definition, newRun(), id, outs);
    expect(cloud.rows.size).toBe(0);
    definition.delete = () => Promise.reject(new SnapcloneError({ kind: "notFound", message: "gone" }));
    await remove(definition, newRun(), id, outs);
  });

  test("where an early build left two entries with one id, the old entry leaves the object to the one that stays, and says so", async () => {
    const { cloud, definition, clock, log, run } = setUp();
    const { id, outs } = await clock.run(() => create(definition, run, NEWS));
    const { __stack, __backend, ...old } = outs;
    const twin: StateEntry = { urn: OWNER, id, leaving: false, external: false, adopted: "a run" };
    const runWith = (...entries: StateEntry[]) =>
      new Run({
        clock,
        log: (severity, text) => log.push(`${severity}: ${text}`),
        askState: async () => ({ entries, pendingCreates: [] }),
      });
    log.length = 0;
    await remove(definition, runWith({ ...twin, leaving: true, adopted: undefined }, twin), id, old);
    expect(cloud.rows.size).toBe(1);
    expect(log).toEqual([
      expect.stringMatching(
        /^warning: fake a was not deleted: another entry of the state, urn:.*::nightly, has the same id/,
      ),
    ]);
    // A `get` is no entry, and neither is one that is to be deleted itself.
    await remove(definition, runWith({ ...twin, external: true }, { ...twin, leaving: true }), id, old);
    expect(cloud.rows.size).toBe(0);
  });

  test("of a create with an unknown outcome removes what has its attempt, and nothing else", async () => {
    const { cloud, definition, clock, newRun, run } = setUp();
    const { beginCreate } = definition;
    definition.beginCreate = async (...args) => {
      await beginCreate(...args);
      throw new SnapcloneError({ kind: "ambiguous", message: "reset" });
    };
    const { listOwned } = definition;
    definition.listOwned = () => Promise.resolve([]);
    const unknown = { ...NEWS, __attempt: "1234567890abcdef" };
    const failure = await partial(clock.run(() => create(definition, run, unknown)));
    await partial(clock.run(() => create(definition, newRun(), { ...NEWS, __attempt: "fedcba0987654321" })));
    definition.listOwned = listOwned;
    expect(await read(definition, newRun(), failure.id, failure.properties)).toMatchObject({ id: failure.id });
    const askState = async () => ({ entries: [], pendingCreates: [] });
    const destroy = () =>
      remove(definition, new Run({ clock, log: () => {}, askState }), failure.id, failure.properties);
    await destroy();
    expect([...cloud.rows.values()]).toMatchObject([{ attempt: "fedcba0987654321" }]);
    await destroy();
    expect(cloud.rows.size).toBe(1);
  });
});
