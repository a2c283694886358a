import type { Definition } from "../../../provider/core/definition";
import { SnapcloneError } from "../../../provider/core/errors";
import { create, PartialFailure, read, remove, update } from "../../../provider/core/lifecycle";
import { type Living, Run } from "../../../provider/core/run";
import { FakeClock } from "../../support/fakeClock";
import { ToyCloud, type ToyInputs, toyDefinition } from "../../support/toyCloud";

const OWNER = "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:Toy::nightly";
const PROVIDER = "exports.handler=()=>require('x')";
const NEWS = { source: "vol-1", name: "a", __owner: OWNER, __provider: PROVIDER };

function setUp() {
  const cloud = new ToyCloud();
  const definition = toyDefinition(cloud) as Definition<ToyInputs, ToyCloud>;
  const clock = new FakeClock();
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
    expect(id).toBe("toy-1");
    expect(outs).toEqual({ ...NEWS, status: "ready" });
    expect(cloud.posts).toBe(1);
  });

  test("shows the progress in the resource's row", async () => {
    const { cloud, definition, clock, log, run } = setUp();
    cloud.looksUntilReady = 5;
    await clock.run(() => create(definition, run, NEWS));
    expect(log).toEqual(["status: making", "status: ready"]);
  });

  test("adopts what an interrupted run has left, and gives it the name of today's program", async () => {
    const { cloud, definition, clock, newRun, run } = setUp();
    await clock.run(() => create(definition, run, NEWS));
    const again = await clock.run(() => create(definition, newRun(), { ...NEWS, name: "b" }));
    expect(again.id).toBe("toy-1");
    expect(again.outs.name).toBe("b");
    expect(cloud.posts).toBe(1);
  });

  test("does not adopt what was made from other inputs that can't change, and says that it is there", async () => {
    const { cloud, definition, clock, log, newRun, run } = setUp();
    await clock.run(() => create(definition, run, NEWS));
    const other = await clock.run(() => create(definition, newRun(), { ...NEWS, source: "vol-2" }));
    expect(other.id).toBe("toy-2");
    expect(cloud.rows.size).toBe(2);
    expect(log.filter((line) => line.startsWith("warning"))).toEqual([expect.stringContaining("toy-1")]);
  });

  test("does not adopt another resource's object", async () => {
    const { cloud, definition, clock, newRun, run } = setUp();
    await clock.run(() => create(definition, run, NEWS));
    await clock.run(() => create(definition, newRun(), { ...NEWS, __owner: `${OWNER}2` }));
    expect(cloud.posts).toBe(2);
  });

  test("does not adopt a settled object: after an orderly end, a forced replacement makes a new one", async () => {
    const { cloud, definition, clock, newRun, run } = setUp();
    await clock.run(() => create(definition, run, NEWS));
    await run.end();
    expect(cloud.rows.get("toy-1")?.phase).toBe("settled");
    expect((await clock.run(() => create(definition, newRun(), NEWS))).id).toBe("toy-2");
  });

  test("does not adopt an open object whose id the engine has shown in this run, and settles it", async () => {
    const { cloud, definition, clock, newRun, run } = setUp();
    await clock.run(() => create(definition, run, NEWS));
    const next = newRun();
    next.sawId(definition, "toy-1");
    expect((await clock.run(() => create(definition, next, NEWS))).id).toBe("toy-2");
    expect(cloud.rows.get("toy-1")?.phase).toBe("settled");
  });

  test("a create of a run never takes what another create of the same run has made", async () => {
    const { definition, clock, run } = setUp();
    await clock.run(() => create(definition, run, NEWS));
    expect((await clock.run(() => create(definition, run, NEWS))).id).toBe("toy-2");
  });

  test("one list answers for all creates of a run", async () => {
    const { cloud, definition, clock, run } = setUp();
    await clock.run(() =>
      Promise.all(Array.from({ length: 20 }, (_, n) => create(definition, run, { ...NEWS, __owner: `${OWNER}${n}` }))),
    );
    expect(cloud.lists).toBe(1);
  });

  test("where the backend can't list by phase, creates share the list of the place that they would be found in", async () => {
    const { cloud, definition, clock, run, newRun } = setUp();
    definition.markLengths = { owner: 8, inputs: 4 };
    definition.openIn = ({ owner }, { name }) => `${name}-${owner}`;
    const asked: string[] = [];
    const { listOpen } = definition;
    definition.listOpen = (client, place) => {
      asked.push(place);
      return listOpen(client, place);
    };
    await clock.run(() => Promise.all(["a", "a", "b"].map((name) => create(definition, run, { ...NEWS, name }))));
    expect(asked).toHaveLength(2);
    const [row] = cloud.rows.values();
    expect(asked[0]).toBe(`a-${row?.owner}`);
    expect((await clock.run(() => create(definition, newRun(), NEWS))).id).toBe("toy-1");
  });

  test("a failed list sends nothing, and the next create asks again", async () => {
    const { cloud, definition, clock, run } = setUp();
    const { listOpen } = definition;
    definition.listOpen = () => Promise.reject(new SnapcloneError({ kind: "transient", said: "503" }));
    await expect(clock.run(() => create(definition, run, NEWS))).rejects.toThrow("cannot create toy a: 503");
    expect(cloud.posts).toBe(0);
    definition.listOpen = listOpen;
    await clock.run(() => create(definition, run, NEWS));
  });

  test("a lost reply is looked for by the marker, and never sent again", async () => {
    const { cloud, definition, clock, run } = setUp();
    cloud.nextPost = "lost";
    const { id } = await clock.run(() => create(definition, run, NEWS));
    expect(id).toBe("toy-1");
    expect(cloud.posts).toBe(1);
  });

  test("a lost reply whose object can't be found is a plain failure, after several looks", async () => {
    const { cloud, definition, clock, run } = setUp();
    definition.start = () => Promise.reject(new SnapcloneError({ kind: "ambiguous", said: "reset" }));
    await expect(clock.run(() => create(definition, run, NEWS))).rejects.toThrow("cannot create toy a: reset");
    expect(cloud.lists).toBe(5);
  });

  test("a refusal records nothing", async () => {
    const { cloud, definition, clock, run } = setUp();
    cloud.nextPost = "refused";
    const thrown = await clock.run(() => create(definition, run, NEWS)).catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(SnapcloneError);
  });

  test("a deadline after acceptance is recorded with its task; the next update waits on and posts nothing", async () => {
    const { cloud, definition, clock, newRun, run } = setUp();
    cloud.looksUntilReady = 1_000_000;
    const failure = await failureOf(
      clock.run(() => create(definition, run, { ...NEWS, __timeouts: { create: "1m" } })),
    );
    expect(failure.id).toBe("toy-1");
    expect(failure.properties).toMatchObject({
      __provider: PROVIDER,
      __owner: OWNER,
      source: "vol-1",
      status: "making",
      pending: { operation: "create", task: { kind: "make" } },
    });
    expect(failure.reasons[0]).toMatch(
      /^cannot create toy a: waited 1 min for toy toy-1 to be ready; seen: making \(\d+×\)/,
    );
    expect(failure.reasons[0]).toContain("the next `pulumi up` goes on waiting");

    cloud.looksUntilReady = 1;
    const { outs } = await clock.run(() => update(definition, newRun(), "toy-1", failure.properties, NEWS));
    expect(outs).toEqual({ ...NEWS, status: "ready" });
    expect(cloud.posts).toBe(1);
  });

  test("a failed creation is recorded as such", async () => {
    const { cloud, definition, clock, run } = setUp();
    cloud.look = (id) => ({ ...(cloud.rows.get(id) as NonNullable<ReturnType<ToyCloud["look"]>>), status: "broken" });
    const failure = await failureOf(clock.run(() => create(definition, run, NEWS)));
    expect(failure.properties.pending).toMatchObject({ operation: "create", failed: true });
    expect(failure.reasons[0]).toContain("the next `pulumi up` replaces it");
  });

  test("a refused look is no failed creation: the next up goes on with it", async () => {
    const { cloud, definition, clock, run } = setUp();
    cloud.trouble = [new SnapcloneError({ kind: "refused", said: "malformed request url", status: 400 })];
    const failure = await failureOf(clock.run(() => create(definition, run, NEWS)));
    expect(failure.properties.pending).not.toHaveProperty("failed");
  });

  test("what was adopted and cannot be renamed is recorded as done, under the name it has", async () => {
    const { definition, clock, newRun, run } = setUp();
    await clock.run(() => create(definition, run, NEWS));
    const failure = await failureOf(clock.run(() => create(definition, newRun(), { ...NEWS, name: "refuse-me" })));
    expect(failure.properties).toMatchObject({ name: "a", status: "ready" });
    expect(failure.properties).not.toHaveProperty("pending");
  });

  test("even a state that Pulumi can't store does not lose the object", async () => {
    const { definition, clock, run } = setUp();
    const { observe, finish } = definition;
    const broken = { state: { since: new Date() } };
    definition.finish = async (...args) => ({ ...(await finish(...args)), ...broken });
    definition.observe = async (...args) => ({ ...(await observe(...args)), ...broken });
    const failure = await failureOf(clock.run(() => create(definition, run, NEWS)));
    expect(failure).toMatchObject({ id: "toy-1", properties: { source: "vol-1", __provider: PROVIDER } });
    expect(failure.reasons[0]).toContain("a Date at since");
  });

  test("what vanishes while it is being made is not recorded", async () => {
    const { cloud, definition, clock, run } = setUp();
    cloud.look = () => undefined;
    const thrown = await clock.run(() => create(definition, run, NEWS)).catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(SnapcloneError);
    expect(String(thrown)).toContain("vanished");
  });

  test("trouble that passes does not end the wait", async () => {
    const { cloud, definition, clock, run } = setUp();
    cloud.trouble = Array.from({ length: 5 }, () => new SnapcloneError({ kind: "transient", said: "503" }));
    await clock.run(() => create(definition, run, NEWS));
    expect(cloud.posts).toBe(1);
  });

  test("forbidden while waiting ends the wait, and what was accepted is recorded", async () => {
    const { cloud, definition, clock, run } = setUp();
    cloud.trouble = [new SnapcloneError({ kind: "forbidden", said: "no" })];
    const failure = await failureOf(clock.run(() => create(definition, run, NEWS)));
    expect(failure.properties.pending).toEqual(expect.objectContaining({ operation: "create" }));
    expect(failure.properties.pending).not.toHaveProperty("failed");
  });

  test("when the run is stopped, it records what is pending, leaves the mark open, and starts nothing more", async () => {
    const { cloud, definition, clock, run } = setUp();
    let looks = 0;
    cloud.look = (id) => {
      looks += 1;
      if (looks === 3) run.stop("cancelled");
      return cloud.rows.get(id);
    };
    const failure = await failureOf(clock.run(() => create(definition, run, NEWS)));
    expect(failure.reasons[0]).toContain("the run was stopped while waiting");
    expect(failure.properties.pending).toMatchObject({ operation: "create" });
    await run.end();
    expect(cloud.rows.get("toy-1")?.phase).toBe("open");
    await expect(create(definition, run, { ...NEWS, __owner: "other" })).rejects.toThrow("stopped");
    expect(cloud.posts).toBe(1);
  });
});

test("what is mended is not said to be replaced", async () => {
  const { cloud, definition, clock, run } = setUp();
  definition.afterFailedCreate = "update";
  cloud.looksUntilReady = 9;
  const failure = await clock.run(async () => {
    const creating = failureOf(create(definition, run, NEWS));
    await clock.sleep(1);
    for (const row of cloud.rows.values()) row.status = "broken";
    return creating;
  });
  expect(failure.reasons[0]).toContain("the next `pulumi up` does what is left");
});

describe("the end of the run", () => {
  test("closes what it has opened, after it has settled", async () => {
    const { cloud, definition, clock, run } = setUp();
    const closed: string[] = [];
    definition.connection.close = async (client) => {
      closed.push([...client.rows.values()].map(({ phase }) => phase).join());
    };
    await clock.run(() => create(definition, run, NEWS));
    await run.end();
    await run.end();
    expect(closed).toEqual(["settled"]);
    expect(cloud.rows.size).toBe(1);
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
    expect(await read(definition, run, "toy-9", { ...NEWS, status: "ready" })).toEqual({});
  });

  test("get of what does not exist is an error", async () => {
    const { definition, run } = setUp();
    await expect(read(definition, run, "toy-9", { __provider: PROVIDER })).rejects.toThrow(
      "cannot read toy toy-9: there is no toy with the id toy-9",
    );
  });

  test.each(["forbidden", "unauthorized", "transient", "malformed"] as const)(
    "%s is an error, never gone",
    async (kind) => {
      const { definition, run } = setUp();
      definition.observe = () => Promise.reject(new SnapcloneError({ kind, said: "no" }));
      await expect(read(definition, run, "toy-1", { ...NEWS, status: "ready" })).rejects.toThrow("no");
    },
  );

  test("tells what a killed replacement has left for this resource in no state, and of no other", async () => {
    const { cloud, definition, clock, log, newRun, run } = setUp();
    const { id, outs } = await clock.run(() => create(definition, run, NEWS));
    await run.end();
    await clock.run(() => create(definition, newRun(), NEWS));
    await clock.run(() => create(definition, newRun(), { ...NEWS, __owner: `${OWNER}-2` }));
    log.length = 0;
    cloud.lists = 0;
    const refresh = newRun();
    await read(definition, refresh, id, outs);
    await read(definition, refresh, id, outs);
    expect(cloud.lists).toBe(1);
    expect(log).toEqual(Array(2).fill(expect.stringContaining("left the toy toy-2, made for this resource")));
    // Recorded: no debris, but in want of evidence, which this is.
    log.length = 0;
    const next = newRun();
    await read(definition, next, "toy-2", outs);
    await next.end();
    expect([log, cloud.rows.get("toy-2")?.phase]).toEqual([[], "settled"]);
  });

  test("does without that list where it can't be had", async () => {
    const { definition, clock, log, newRun, run } = setUp();
    const { id, outs } = await clock.run(() => create(definition, run, NEWS));
    definition.listOpen = () => Promise.reject(new SnapcloneError({ kind: "forbidden", said: "no" }));
    log.length = 0;
    expect((await read(definition, newRun(), id, outs)).id).toBe(id);
    expect(log).toEqual([]);
  });

  test("drift comes back as inputs", async () => {
    const { cloud, definition, clock, run } = setUp();
    const { id, outs } = await clock.run(() => create(definition, run, { ...NEWS, hint: "h" }));
    (cloud.rows.get(id) as { name: string }).name = "by hand";
    const answer = await read(definition, run, id, outs);
    expect(answer).toMatchObject({ id, props: { name: "by hand", status: "ready" } });
    expect(answer.inputs).toEqual({ ...NEWS, name: "by hand", hint: "h" });
  });

  test("a read that carries the id of an open object of ours settles it; another owner's it leaves alone", async () => {
    const { cloud, definition, clock, newRun, run } = setUp();
    const { id, outs } = await clock.run(() => create(definition, run, NEWS));
    await read(definition, newRun(), id, { ...outs, __owner: "somebody else" });
    await read(definition, newRun(), id, { __provider: PROVIDER });
    expect(cloud.rows.get(id)?.phase).toBe("open");
    await read(definition, newRun(), id, outs);
    expect(cloud.rows.get(id)?.phase).toBe("settled");
  });

  test("a resource of no use is said to be so, and its record of failure stays", async () => {
    const { cloud, definition, clock, log, run } = setUp();
    const { id, outs } = await clock.run(() => create(definition, run, NEWS));
    const row = cloud.rows.get(id);
    if (row) row.status = "broken";
    const pending = { operation: "create", task: {}, since: "x", failed: true };
    const answer = await read(definition, run, id, { ...outs, pending });
    expect(answer.props).toMatchObject({ pending });
    expect(log).toContain("warning: toy a: is broken");
    if (row) row.status = "ready";
    expect((await read(definition, run, id, { ...outs, pending })).props).not.toHaveProperty("pending");
  });
});

describe("update", () => {
  test("observes first, changes, and returns what is there", async () => {
    const { definition, clock, run } = setUp();
    const { id, outs } = await clock.run(() => create(definition, run, NEWS));
    const updated = await update(definition, run, id, outs, { ...NEWS, name: "b" });
    expect(updated.outs).toEqual({ ...NEWS, name: "b", status: "ready" });
  });

  test("a refused change is recorded with what is there, not with what was wanted", async () => {
    const { definition, clock, run } = setUp();
    const { id, outs } = await clock.run(() => create(definition, run, NEWS));
    const failure = await failureOf(update(definition, run, id, outs, { ...NEWS, name: "refuse-me" }));
    expect(failure.properties).toEqual(outs);
  });

  test("of what is gone says so, and that refresh helps", async () => {
    const { definition, run } = setUp();
    await expect(update(definition, run, "toy-9", { ...NEWS, status: "ready" }, NEWS)).rejects.toThrow(
      /pulumi refresh/,
    );
  });

  test("a failure before anything was touched leaves the state as it was", async () => {
    const { definition, run } = setUp();
    definition.observe = () => Promise.reject(new SnapcloneError({ kind: "forbidden", said: "no" }));
    const thrown = await update(definition, run, "toy-1", { ...NEWS }, NEWS).catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(SnapcloneError);
  });

  test("work that a change has begun is recorded, and the next update goes on with it before anything else", async () => {
    const { cloud, definition, clock, newRun, run } = setUp();
    const { id, outs } = await clock.run(() => create(definition, run, NEWS));
    definition.change = async (_cloud, _id, _from, _inputs, _known, job) => {
      job.accepted({ kind: "grow" });
      throw new SnapcloneError({ kind: "deadline", said: "too slow" });
    };
    const failure = await failureOf(update(definition, run, id, outs, { ...NEWS, name: "b" }));
    expect(failure.properties.pending).toMatchObject({ operation: "update", task: { kind: "grow" } });

    const finished: unknown[] = [];
    const { change } = toyDefinition(cloud);
    definition.change = change;
    const { finish } = definition;
    definition.finish = (client, accepted, ...rest) => {
      finished.push(accepted);
      return finish(client, accepted, ...rest);
    };
    const { outs: done } = await clock.run(() =>
      update(definition, newRun(), id, failure.properties, { ...NEWS, name: "b" }),
    );
    expect(finished).toEqual([{ id, task: { kind: "grow" } }]);
    expect(done).toEqual({ ...NEWS, name: "b", status: "ready" });
  });
});

describe("delete", () => {
  test("is done when it is gone, however that came", async () => {
    const { cloud, definition, clock, newRun, run } = setUp();
    const { id, outs } = await clock.run(() => create(definition, run, NEWS));
    await remove(definition, newRun(), id, outs);
    expect(cloud.rows.size).toBe(0);
    definition.remove = () => Promise.reject(new SnapcloneError({ kind: "notFound", said: "gone" }));
    await remove(definition, newRun(), id, outs);
  });

  test("leaves what this very run has adopted: it is the only copy. The user is told, and the next run replaces it", async () => {
    const { cloud, definition, clock, log, newRun, run } = setUp();
    const { outs: old } = await clock.run(() => create(definition, run, NEWS));
    const next = newRun();
    const { id, outs } = await clock.run(() => create(definition, next, NEWS));
    await remove(definition, next, id, old);
    expect(cloud.rows.size).toBe(1);
    expect(log.filter((line) => line.startsWith("warning"))).toEqual([expect.stringContaining("was not replaced")]);
    await next.end();
    const third = newRun();
    expect((await clock.run(() => create(definition, third, NEWS))).id).toBe("toy-2");
    await remove(definition, third, id, outs);
    expect([...cloud.rows.keys()]).toEqual(["toy-2"]);
  });

  test("leaves what another process of this run has adopted: --replace of everything replaces the provider, too", async () => {
    const { cloud, definition, clock, run } = setUp();
    const { id, outs: old } = await clock.run(() => create(definition, run, NEWS));
    const sameRun = () => new Run({ clock, id: "one run", log: () => {} });
    await clock.run(() => create(definition, sameRun(), NEWS));
    await remove(definition, sameRun(), id, old);
    expect(cloud.rows.size).toBe(1);
  });

  test("of the old entry leaves the object to the one that lives on, where a killed run left two entries with its id", async () => {
    const { cloud, definition, clock, newRun, run } = setUp();
    const { id, outs: old } = await clock.run(() => create(definition, run, NEWS));
    const { outs: adopted } = await clock.run(() => create(definition, newRun(), NEWS));
    const next = newRun();
    const { outs: renamed } = await update(definition, next, id, adopted, { ...NEWS, name: "b" });
    await remove(definition, next, id, old);
    expect(cloud.rows.size).toBe(1);
    // Destroy takes both, whichever comes first.
    const last = newRun();
    await remove(definition, last, id, old);
    await remove(definition, last, id, renamed);
    expect(cloud.rows.size).toBe(0);
  });

  test("does so when the old entry's provider is another process: the two tell each other what lives on", async () => {
    const { cloud, definition, clock, newRun, run } = setUp();
    const { id, outs: old } = await clock.run(() => create(definition, run, NEWS));
    const { outs: adopted } = await clock.run(() => create(definition, newRun(), NEWS));
    const told: Living[] = [];
    const siblings = { tell: (living: Living) => told.push(living), told: () => told, forget: () => (told.length = 0) };
    const processOfTheRun = () => new Run({ clock, id: "one run", log: () => {}, siblings });
    const [one, other] = [processOfTheRun(), processOfTheRun()];
    one.sawLiving(definition, id, adopted);
    await remove(definition, other, id, old);
    expect(cloud.rows.size).toBe(1);
    // The living entry itself may leave the program in the same run.
    await remove(definition, other, id, adopted);
    expect(cloud.rows.size).toBe(0);
    await one.end();
    expect(told).toEqual([]);
  });

  test("of what an earlier run adopted and recorded is a delete like any other", async () => {
    const { cloud, definition, clock, newRun, run } = setUp();
    await clock.run(() => create(definition, run, NEWS));
    const { id, outs } = await clock.run(() => create(definition, newRun(), NEWS));
    const next = newRun();
    const answer = await read(definition, next, id, outs);
    expect(answer.inputs).not.toHaveProperty("__adopted");
    await remove(definition, next, id, answer.props ?? {});
    expect(cloud.rows.size).toBe(0);
  });
});
