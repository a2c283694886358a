import type { Definition } from "../../../provider/core/definition";
import { SnapcloneError } from "../../../provider/core/errors";
import { create, PartialFailure, read, remove, update } from "../../../provider/core/lifecycle";
import type { StateEntry } from "../../../provider/core/ownership";
import { Run } from "../../../provider/core/run";
import { FakeBackend, type FakeInputs, fakeDefinition } from "../../support/fakeBackend";
import { FakeClock } from "../../support/fakeClock";

const OWNER = "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:Fake::nightly";
const PROVIDER = "exports.handler=()=>require('x')";
const NEWS = { source: "vol-1", name: "a", __owner: OWNER, __organization: "acme", __provider: PROVIDER };
/** What goes into the state beside inputs and outputs. */
const HIDDEN = { __stack: expect.stringMatching(/^[0-9a-f]{32}$/), __backend: "backend 1" };

function setUp() {
  const clock = new FakeClock();
  const cloud = new FakeBackend(clock);
  const definition = fakeDefinition(cloud) as Definition<FakeInputs, FakeBackend>;
  const log: string[] = [];
  const newRun = () => new Run({ clock, log: (severity, text) => log.push(`${severity}: ${text}`) });
  return { cloud, definition, clock, log, newRun, run: newRun() };
}

async function failureOf(work: Promise<unknown>): Promise<PartialFailure> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof PartialFailure)) throw new Error(`not a PartialFailure: ${String(error)}`);
  return error;
}

describe("create", () => {
  test("returns the inputs, what was observed and the provider's text, and nothing undefined", async () => {
    const { cloud, definition, clock, run } = setUp();
    const { id, outs } = await clock.run(() => create(definition, run, NEWS));
    expect(id).toBe("fake-1");
    expect(outs).toEqual({ ...NEWS, ...HIDDEN, status: "ready" });
    expect(cloud.posts).toBe(1);
  });

  test("shows the progress in the resource's row", async () => {
    const { cloud, definition, clock, log, run } = setUp();
    cloud.readsUntilReady = 5;
    await clock.run(() => create(definition, run, NEWS));
    expect(log).toEqual(["status: making", "status: ready"]);
  });

  test("a create of a run never takes what another create of the same run has made", async () => {
    const { definition, clock, run } = setUp();
    await clock.run(() => create(definition, run, NEWS));
    expect((await clock.run(() => create(definition, run, NEWS))).id).toBe("fake-2");
  });

  test("one list answers for all creates of a run", async () => {
    const { cloud, definition, clock, run } = setUp();
    await clock.run(() =>
      Promise.all(Array.from({ length: 20 }, (_, n) => create(definition, run, { ...NEWS, __owner: `${OWNER}${n}` }))),
    );
    expect(cloud.lists).toBe(1);
  });

  test("where the backend can't list by stack, creates share the list of the place that they would be found in", async () => {
    const { cloud, definition, clock, run } = setUp();
    definition.recordLengths = { owner: 8, inputs: 4, attempt: 6 };
    definition.listScope = ({ owner }, { name }) => `${name}-${owner}`;
    const asked: string[] = [];
    const { listOwned } = definition;
    definition.listOwned = (client, scope) => {
      asked.push(scope.place);
      return listOwned(client, scope);
    };
    await clock.run(() => Promise.all(["a", "a", "b"].map((name) => create(definition, run, { ...NEWS, name }))));
    expect(asked).toHaveLength(2);
    const [row] = cloud.rows.values();
    expect(asked[0]).toBe(`a-${row?.owner}`);
    expect(row).toMatchObject({
      owner: /^[0-9a-f]{8}$/.exec(row?.owner ?? "")?.[0],
      attempt: expect.stringMatching(/^[0-9a-f]{6}$/),
    });
  });

  test("a failed list sends nothing, and the next create asks again", async () => {
    const { cloud, definition, clock, run } = setUp();
    const { listOwned } = definition;
    definition.listOwned = () => Promise.reject(new SnapcloneError({ kind: "transient", message: "503" }));
    await expect(clock.run(() => create(definition, run, NEWS))).rejects.toThrow("cannot create fake a: 503");
    expect(cloud.posts).toBe(0);
    definition.listOwned = listOwned;
    await clock.run(() => create(definition, run, NEWS));
  });

  test("a lost reply is looked for by the marker, and never sent again", async () => {
    const { cloud, definition, clock, run } = setUp();
    cloud.nextPost = "lost";
    const { id } = await clock.run(() => create(definition, run, NEWS));
    expect(id).toBe("fake-1");
    expect(cloud.posts).toBe(1);
  });

  test("a lost reply whose object can't be found is recorded by its attempt, after several looks", async () => {
    const { cloud, definition, clock, run } = setUp();
    definition.beginCreate = () => Promise.reject(new SnapcloneError({ kind: "ambiguous", message: "reset" }));
    const failure = await failureOf(
      clock.run(() => create(definition, run, { ...NEWS, __attempt: "1234567890abcdef" })),
    );
    expect(failure.reasons[0]).toContain("cannot create fake a: reset");
    expect(failure.id).toBe("unknown-1234567890abcdef");
    expect(failure.properties).toMatchObject({
      source: "vol-1",
      pending: { operation: "create", task: { outcome: "unknown" } },
    });
    expect(cloud.lists).toBe(5);
  });

  test("a refusal records nothing", async () => {
    const { cloud, definition, clock, run } = setUp();
    cloud.nextPost = "refused";
    const thrown = await clock.run(() => create(definition, run, NEWS)).catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(SnapcloneError);
  });

  test('a time-out of "0" is the default and no deadline that has passed', async () => {
    const { definition, clock, run } = setUp();
    const { outs } = await clock.run(() => create(definition, run, { ...NEWS, __timeouts: { create: "0" } }));
    expect(outs.status).toBe("ready");
  });

  test("a deadline after acceptance is recorded with its task; the next update waits on and posts nothing", async () => {
    const { cloud, definition, clock, newRun, run } = setUp();
    cloud.readsUntilReady = 1_000_000;
    const failure = await failureOf(
      clock.run(() => create(definition, run, { ...NEWS, __timeouts: { create: "1m" } })),
    );
    expect(failure.id).toBe("fake-1");
    expect(failure.properties).toMatchObject({
      __provider: PROVIDER,
      __owner: OWNER,
      source: "vol-1",
      status: "making",
      pending: { operation: "create", task: { kind: "make" } },
    });
    expect(failure.reasons[0]).toMatch(
      /^cannot create fake a: waited 1 min for fake fake-1 to be ready; seen: making \(\d+×\)/,
    );
    expect(failure.reasons[0]).toContain("the next `pulumi up` resumes the wait");

    cloud.readsUntilReady = 1;
    const { outs } = await clock.run(() => update(definition, newRun(), "fake-1", failure.properties, NEWS));
    expect(outs).toEqual({ ...NEWS, ...HIDDEN, status: "ready" });
    expect(cloud.posts).toBe(1);
  });

  test("a failed creation is recorded as such", async () => {
    const { cloud, definition, clock, run } = setUp();
    cloud.read = (id) => ({
      ...(cloud.rows.get(id) as NonNullable<ReturnType<FakeBackend["read"]>>),
      status: "broken",
    });
    const failure = await failureOf(clock.run(() => create(definition, run, NEWS)));
    expect(failure.properties.pending).toMatchObject({ operation: "create", failed: true });
    expect(failure.reasons[0]).toContain("the next `pulumi up` replaces it");
  });

  test("a refused look is no failed creation: the next up goes on with it", async () => {
    const { cloud, definition, clock, run } = setUp();
    cloud.readErrors = [new SnapcloneError({ kind: "refused", message: "malformed request url", status: 400 })];
    const failure = await failureOf(clock.run(() => create(definition, run, NEWS)));
    expect(failure.properties.pending).not.toHaveProperty("failed");
  });

  test("even a state that Pulumi can't store does not lose the object", async () => {
    const { definition, clock, run } = setUp();
    const { read, waitForCreate } = definition;
    const broken = { state: { since: new Date() } };
    definition.waitForCreate = async (...args) => ({ ...(await waitForCreate(...args)), ...broken });
    definition.read = async (...args) => ({ ...(await read(...args)), ...broken });
    const failure = await failureOf(clock.run(() => create(definition, run, NEWS)));
    expect(failure).toMatchObject({ id: "fake-1", properties: { source: "vol-1", __provider: PROVIDER } });
    expect(failure.reasons[0]).toContain("a Date at since");
  });

  test("what vanishes while it is being made, and is in no list, is not recorded", async () => {
    const { cloud, definition, clock, run } = setUp();
    cloud.read = (id) => {
      cloud.rows.delete(id);
      return undefined;
    };
    const thrown = await clock.run(() => create(definition, run, NEWS)).catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(SnapcloneError);
    expect(String(thrown)).toContain("vanished");
  });

  test.each([1, 3])("%d reads that miss the object right after the create prove nothing", async (staleReads) => {
    const { cloud, definition, clock, run } = setUp();
    cloud.staleReads = staleReads;
    expect((await clock.run(() => create(definition, run, NEWS))).outs).toMatchObject({ status: "ready" });
  });

  test("looks that miss what the list shows leave it recorded", async () => {
    const { cloud, definition, clock, run } = setUp();
    cloud.staleReads = Number.POSITIVE_INFINITY;
    const failure = await failureOf(clock.run(() => create(definition, run, NEWS)));
    expect(failure).toMatchObject({ id: "fake-1", properties: { pending: { task: { kind: "make" } } } });
  });

  test("an object that the list shows under another id than the answer did is recorded by its attempt", async () => {
    const { definition, clock, run } = setUp();
    const { beginCreate } = definition;
    definition.beginCreate = async (...args) => ({ ...(await beginCreate(...args)), id: "somebody else" });
    const failure = await failureOf(
      clock.run(() => create(definition, run, { ...NEWS, __attempt: "1234567890abcdef" })),
    );
    expect(failure).toMatchObject({
      id: "unknown-1234567890abcdef",
      properties: { pending: { task: { outcome: "unknown" } } },
    });
  });

  test("an error that passes by itself does not end the wait", async () => {
    const { cloud, definition, clock, run } = setUp();
    cloud.readErrors = Array.from({ length: 5 }, () => new SnapcloneError({ kind: "transient", message: "503" }));
    await clock.run(() => create(definition, run, NEWS));
    expect(cloud.posts).toBe(1);
  });

  test("forbidden while waiting ends the wait, and what was accepted is recorded", async () => {
    const { cloud, definition, clock, run } = setUp();
    cloud.readErrors = [new SnapcloneError({ kind: "forbidden", message: "no" })];
    const failure = await failureOf(clock.run(() => create(definition, run, NEWS)));
    expect(failure.properties.pending).toEqual(expect.objectContaining({ operation: "create" }));
    expect(failure.properties.pending).not.toHaveProperty("failed");
  });

  test("when the run is stopped, it records what is pending, and starts nothing more", async () => {
    const { cloud, definition, clock, run } = setUp();
    let looks = 0;
    cloud.read = (id) => {
      looks += 1;
      if (looks === 3) run.stop("cancelled");
      return cloud.rows.get(id);
    };
    const failure = await failureOf(clock.run(() => create(definition, run, NEWS)));
    expect(failure.reasons[0]).toContain("the run was stopped while waiting");
    expect(failure.properties.pending).toMatchObject({ operation: "create" });
    await run.end();
    await expect(create(definition, run, { ...NEWS, __owner: "other" })).rejects.toThrow("stopped");
    expect(cloud.posts).toBe(1);
  });
});

test("what is mended is not said to be replaced", async () => {
  const { cloud, definition, clock, run } = setUp();
  definition.onFailedCreate = "update";
  cloud.readsUntilReady = 9;
  const failure = await clock.run(async () => {
    const creating = failureOf(create(definition, run, NEWS));
    await clock.sleep(1);
    for (const row of cloud.rows.values()) row.status = "broken";
    return creating;
  });
  expect(failure.reasons[0]).toContain("the next `pulumi up` does what is left");
});

describe("the end of the run", () => {
  test("closes what it has opened, and asks the backend nothing more", async () => {
    const { cloud, definition, clock, run } = setUp();
    let closed = 0;
    definition.connection.close = async () => {
      closed += 1;
    };
    await clock.run(() => create(definition, run, NEWS));
    const { length } = cloud.requests;
    await run.end();
    await run.end();
    expect(closed).toBe(1);
    expect(cloud.requests).toHaveLength(length);
  });

  test("one that can't be closed keeps no other open, and no run from ending", async () => {
    const { definition, clock, run } = setUp();
    const closed: string[] = [];
    definition.connection.close = (client) => {
      closed.push("tried");
      return Promise.reject(new Error(String(client)));
    };
    await clock.run(() => create(definition, run, NEWS));
    await clock.run(() => create(definition, run, { ...NEWS, connection: "other" }));
    await run.end();
    expect(closed).toEqual(["tried", "tried"]);
  });

  test("leaves open what is in use: a login that is taken away would fail what is still under way", async () => {
    const { definition, clock, run } = setUp();
    let closed = 0;
    definition.connection.close = async () => {
      closed += 1;
    };
    await clock.run(async () => {
      const creating = create(definition, run, NEWS);
      await run.end();
      await creating;
    });
    expect(closed).toBe(0);
    await run.end();
    expect(closed).toBe(1);
  });
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
    const failure = await failureOf(
      clock.run(() => create(definition, run, { ...NEWS, __timeouts: { create: "1m" } })),
    );
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
    const failure = await failureOf(update(definition, run, id, outs, { ...NEWS, name: "refuse-me" }));
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
    const failure = await failureOf(update(definition, run, id, outs, { ...NEWS, name: "b" }));
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

  test("where a build before 0.2 left two entries with one id, the old entry leaves the object to the one that stays, and says so", async () => {
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

  test("of a create with an unknown outcome removes what bears its attempt, and nothing else", async () => {
    const { cloud, definition, clock, newRun, run } = setUp();
    const { beginCreate } = definition;
    definition.beginCreate = async (...args) => {
      await beginCreate(...args);
      throw new SnapcloneError({ kind: "ambiguous", message: "reset" });
    };
    const { listOwned } = definition;
    definition.listOwned = () => Promise.resolve([]);
    const unknown = { ...NEWS, __attempt: "1234567890abcdef" };
    const failure = await failureOf(clock.run(() => create(definition, run, unknown)));
    await failureOf(clock.run(() => create(definition, newRun(), { ...NEWS, __attempt: "fedcba0987654321" })));
    definition.listOwned = listOwned;
    expect(await read(definition, newRun(), failure.id, failure.properties)).toMatchObject({ id: failure.id });
    await remove(definition, newRun(), failure.id, failure.properties);
    expect([...cloud.rows.values()]).toMatchObject([{ attempt: "fedcba0987654321" }]);
    await remove(definition, newRun(), failure.id, failure.properties);
    expect(cloud.rows.size).toBe(1);
  });
});
