// The lifecycle: create, and the end of a run.

import { SnapcloneError } from "../../../provider/core/errors";
import { create, update } from "../../../provider/core/lifecycle";
import { partial } from "../../support/failures";
import type { FakeBackend } from "../../support/fakeBackend";
import { HIDDEN, NEWS, OWNER, PROVIDER, setUp } from "./lifecycleFixture";

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
    const failure = await partial(clock.run(() => create(definition, run, { ...NEWS, __attempt: "1234567890abcdef" })));
    expect(failure.reasons[0]).toContain("cannot create fake a: reset");
    expect(failure.id).toBe("unknown-1234567890abcdef");
    expect(failure.properties).toMatchObject({
      source: "vol-1",
      pending: { operation: "create", task: { outcome: "unknown" } },
    });
    expect(cloud.lists).toBe(5);
  });

  test("a lost reply is recorded by its attempt also when the run is stopped during the search", async () => {
    const { cloud, definition, clock, run } = setUp();
    const list = definition.listOwned.bind(definition);
    definition.listOwned = (...args) => {
      // The object shows with the next list.
      if (cloud.posts === 0) return list(...args);
      run.stop("cancelled");
      return Promise.resolve([]);
    };
    cloud.nextPost = "lost";
    const failure = await partial(clock.run(() => create(definition, run, { ...NEWS, __attempt: "1234567890abcdef" })));
    expect(failure.id).toBe("unknown-1234567890abcdef");
    expect(failure.reasons[0]).toContain("cannot create fake a: connection reset");
    expect([failure.properties.pending, cloud.posts]).toMatchObject([{ task: { outcome: "unknown" } }, 1]);
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
    const failure = await partial(clock.run(() => create(definition, run, { ...NEWS, __timeouts: { create: "1m" } })));
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
    const failure = await partial(clock.run(() => create(definition, run, NEWS)));
    expect(failure.properties.pending).toMatchObject({ operation: "create", failed: true });
    expect(failure.reasons[0]).toContain("the next `pulumi up` replaces it");
  });

  test("a refused look is no failed creation: the next up goes on with it", async () => {
    const { cloud, definition, clock, run } = setUp();
    cloud.readErrors = [new SnapcloneError({ kind: "refused", message: "malformed request url", status: 400 })];
    const failure = await partial(clock.run(() => create(definition, run, NEWS)));
    expect(failure.properties.pending).not.toHaveProperty("failed");
  });

  test("even a state that Pulumi can't store does not lose the object", async () => {
    const { definition, clock, run } = setUp();
    const { read, waitForCreate } = definition;
    const broken = { state: { since: new Date() } };
    definition.waitForCreate = async (...args) => ({ ...(await waitForCreate(...args)), ...broken });
    definition.read = async (...args) => ({ ...(await read(...args)), ...broken });
    const failure = await partial(clock.run(() => create(definition, run, NEWS)));
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
    const failure = await partial(clock.run(() => create(definition, run, NEWS)));
    expect(failure).toMatchObject({ id: "fake-1", properties: { pending: { task: { kind: "make" } } } });
  });

  test("an object that the list shows under another id than the answer did is recorded by its attempt", async () => {
    const { definition, clock, run } = setUp();
    const { beginCreate } = definition;
    definition.beginCreate = async (...args) => ({ ...(await beginCreate(...args)), id: "somebody else" });
    const failure = await partial(clock.run(() => create(definition, run, { ...NEWS, __attempt: "1234567890abcdef" })));
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
    const failure = await partial(clock.run(() => create(definition, run, NEWS)));
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
    const failure = await partial(clock.run(() => create(definition, run, NEWS)));
    expect(failure.reasons[0]).toContain("the run was stopped while waiting");
    expect(failure.properties.pending).toMatchObject({ operation: "create" });
    await run.end();
    await expect(create(definition, run, { ...NEWS, __owner: "other" })).rejects.toThrow("stopped");
    expect(cloud.posts).toBe(1);
  });
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
