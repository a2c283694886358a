// The native provider's gRPC service, called as Pulumi's engine calls it: each resource through its life, and what only this
// shell has. test/engine/native has the engine itself.

import * as grpc from "@grpc/grpc-js";
import * as pb from "@pulumi/pulumi/proto/provider_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { type Emulator, SEED_VOLUMES } from "../../emulator";
import { UNKNOWN } from "../../provider/core/check";
import { type SecretPath, send } from "../../provider/native/properties";
import { connectionsOf, LIVES, onBackends, startCloud } from "../smoke/shortLives";
import { Engine, initFailure, secretsIn, urnOf, type Values, values } from "./nativeEngineFixture";

describe("each resource", () => {
  let cloud: Emulator;
  let engine: Engine;

  beforeAll(async () => {
    cloud = await startCloud();
    engine = await Engine.start({ connections: JSON.stringify(connectionsOf(cloud)) });
  });
  afterAll(async () => {
    await engine?.close();
    await cloud?.close();
  });

  test.each(Object.entries(LIVES))("%s: preview, create, no change, update, read, delete", async (type, life) => {
    const [created, changed, deleted] = life.expected;
    const before = { ...life.before, connection: life.connection };
    const { inputs, failures } = await engine.check(type, before);
    expect(failures).toEqual([]);
    expect(Object.keys(values(inputs)).filter((key) => key.startsWith("__"))).toEqual(["__attempt"]);

    const preview = values((await engine.create(type, inputs, { preview: true })).outputs);
    expect(Object.keys(preview).filter((key) => key.startsWith("__"))).toEqual([]);
    expect(Object.values(preview)).toContain(UNKNOWN);
    const { __attempt, ...given } = values(inputs);
    expect(preview).toMatchObject(given);

    const { id, outputs } = await engine.create(type, inputs);
    expect([id === "", onBackends(cloud)[type]]).toEqual([false, created]);
    expect(values(outputs)).toMatchObject({
      __owner: `urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:${type}::one`,
      __stack: expect.any(String),
    });
    expect(Object.keys(values(outputs))).not.toEqual(expect.arrayContaining(["__provider"]));
    expect(await engine.diff(type, id, outputs, inputs)).toMatchObject({ some: false, replaces: [], details: {} });
    // What was a stack of the dynamic classes has more hidden values. They are no difference.
    const dynamic = send({ ...values(outputs), __provider: "p", __timeouts: { create: "1h" } });
    expect(await engine.diff(type, id, dynamic, inputs)).toMatchObject({ some: false });

    const after = { ...life.after, connection: life.connection };
    const news = (await engine.check(type, after, values(inputs))).inputs;
    expect(values(news).__attempt).toBe(values(inputs).__attempt);
    const difference = await engine.diff(type, id, outputs, news);
    expect([difference.some, difference.replaces]).toEqual([true, []]);
    expect(Object.keys(difference.details)).not.toEqual([]);
    const { __attempt: _, ...changes } = values(news);
    expect(values(await engine.update(type, id, outputs, news, { preview: true }))).toMatchObject(changes);
    const updated = await engine.update(type, id, outputs, news);
    expect(onBackends(cloud)[type]).toEqual(changed);

    const read = await engine.read(type, id, updated, news);
    expect([read.id, values(read.inputs)]).toEqual([id, expect.objectContaining({ __attempt })]);
    expect(await engine.diff(type, id, read.outputs, news)).toMatchObject({ some: false });
    await engine.delete(type, id, read.outputs);
    expect(onBackends(cloud)[type]).toEqual(deleted);
  });

  test("a process that is configured for the next run signs out of the last one first", async () => {
    const { inputs } = await engine.check("ClonedVm", { ...LIVES.ClonedVm?.before, connection: "zstack" });
    const { id, outputs } = await engine.create("ClonedVm", inputs, { name: "next" });
    await engine.delete("ClonedVm", id, outputs);
    expect(cloud.zstack.sessions.size).toBe(1);
    const args = send({ connections: JSON.stringify(connectionsOf(cloud)) }, [["connections"]]);
    await engine.call("configure", new pb.ConfigureRequest().setArgs(args));
    expect(cloud.zstack.sessions.size).toBe(0);
  });

  test("AssistedSnapshot: an import says why not", async () => {
    await expect(engine.read("AssistedSnapshot", "an-id")).rejects.toThrow(/can't be imported/);
  });

  test("an unknown type, and calls that this provider does not answer", async () => {
    await expect(engine.check("Nothing", {})).rejects.toThrow(/no resource type snapclone:index:Nothing/);
    await expect(engine.call("construct", new pb.ConstructRequest())).rejects.toMatchObject({
      code: grpc.status.UNIMPLEMENTED,
    });
    expect(((await engine.call("getPluginInfo", new Empty())) as { getVersion(): string }).getVersion()).toMatch(/^\d/);
  });
});

describe("a Snapshot", () => {
  let cloud: Emulator;
  let engine: Engine;
  const inputsOf = async (given: Values = {}, secrets: SecretPath[] = []) =>
    (await engine.check("Snapshot", { volumeId: SEED_VOLUMES.data, name: "n", ...given }, {}, secrets)).inputs;

  beforeEach(async () => {
    cloud = await startCloud("manual");
    engine = await Engine.start({ connections: JSON.stringify(connectionsOf(cloud)) });
  });
  afterEach(async () => {
    await engine?.close();
    await cloud?.close();
  });

  test("Cancel: fifty waits end at once, and each is recorded with its id", async () => {
    const waiting = cloud.cinder.snapshots.size;
    const inputs = await Promise.all(Array.from({ length: 50 }, () => inputsOf()));
    const creates = inputs.map((one, n) => initFailure(engine.create("Snapshot", one, { name: `s${n}` })));
    while (cloud.cinder.snapshots.size < waiting + 50) await new Promise((resolve) => setTimeout(resolve, 10));
    const started = Date.now();
    await engine.call("cancel", new Empty());
    const failures = await Promise.all(creates);
    // Snapshots that are not ready would be waited for until the deadline. The bench says how fast it is.
    expect(Date.now() - started).toBeLessThan(15_000);
    expect(new Set(failures.map(({ id }) => id)).size).toBe(50);
    for (const { id, outputs, reasons } of failures) {
      expect(cloud.cinder.snapshots.has(id)).toBe(true);
      expect(values(outputs)).toMatchObject({ status: "creating", pending: { operation: "create" } });
      expect(reasons).toEqual([expect.stringContaining("resumes the wait")]);
    }
    const progress = engine.messages.filter(({ ephemeral }) => ephemeral);
    expect(progress).toContainEqual({ text: expect.any(String), urn: urnOf("Snapshot", "s7"), ephemeral: true });
  });

  test("the request's timeout ends the wait; a read keeps the reason; an update resumes", async () => {
    const inputs = await inputsOf();
    const failed = await initFailure(engine.create("Snapshot", inputs, { timeout: 1 }));
    const read = await initFailure(engine.read("Snapshot", failed.id, failed.outputs, inputs));
    expect([read.id, read.reasons]).toEqual([failed.id, [expect.stringContaining("has not ended")]]);
    expect(await engine.diff("Snapshot", failed.id, read.outputs, inputs)).toMatchObject({
      some: true,
      replaces: [],
      details: { pending: "DELETE" },
    });
    cloud.clock.tick(600_000);
    const outputs = await engine.update("Snapshot", failed.id, read.outputs, inputs);
    expect(values(outputs)).toMatchObject({ status: "available" });
    expect(values(outputs)).not.toHaveProperty("pending");
  });

  test("secrets: marked in inputs, outputs and failures, and in no message", async () => {
    const inputs = await inputsOf({ name: "hush-hush", metadata: { a: "quiet-too", b: "open" } }, [
      ["name"],
      ["metadata", "a"],
    ]);
    expect(secretsIn(inputs)).toEqual(["metadata.a", "name"]);
    const failed = await initFailure(engine.create("Snapshot", inputs, { timeout: 1 }));
    expect(secretsIn(failed.outputs)).toEqual(["metadata.a", "name"]);
    expect(`${failed.error.message} ${failed.reasons}`).not.toMatch(/hush-hush|quiet-too/);
    cloud.clock.tick(600_000);
    const outputs = await engine.update("Snapshot", failed.id, failed.outputs, inputs);
    const read = await engine.read("Snapshot", failed.id, outputs, inputs);
    expect([secretsIn(outputs), secretsIn(read.outputs), secretsIn(read.inputs)]).toEqual(
      Array(3).fill(expect.arrayContaining(["metadata.a", "name"])),
    );
    cloud.faults.add({
      match: { operation: "snapshots.create" },
      status: 400,
      body: { badRequest: { message: "no hush-hush" } },
    });
    await expect(engine.create("Snapshot", inputs, { name: "two" })).rejects.toThrow(/no \[redacted\]/);
  });

  test("ignoreChanges, and the kinds of a detailed diff", async () => {
    const olds = send({
      volumeId: SEED_VOLUMES.data,
      name: "n",
      metadata: { a: "1", b: "2" },
      __owner: "o",
      status: "available",
    });
    const news = send({ volumeId: SEED_VOLUMES.logs, metadata: { a: "9", c: "3" }, name: "m" });
    const all = await engine.diff("Snapshot", "id", olds, news);
    expect([all.replaces, all.details]).toEqual([
      ["volumeId"],
      {
        volumeId: "UPDATE_REPLACE",
        name: "UPDATE",
        "metadata.a": "UPDATE",
        "metadata.b": "DELETE",
        "metadata.c": "ADD",
      },
    ]);
    // Pulumi's rows (`[diff: ~metadata,name]`) show only inputs that are named here, and `replaceOnChanges` needs the paths.
    const paths = ["metadata.a", "metadata.b", "metadata.c"];
    expect(all.changed.sort()).toEqual(["metadata", ...paths, "name", "volumeId"]);
    const some = await engine.diff("Snapshot", "id", olds, news, ["volumeId", "metadata.a", "name"]);
    expect([some.replaces, some.details]).toEqual([[], { "metadata.b": "DELETE", "metadata.c": "ADD" }]);
  });

  test("an object that is gone: a read answers without an id, and `get` fails", async () => {
    const nowhere = "99999999-9999-4999-8999-999999999999";
    const inputs = send({ volumeId: SEED_VOLUMES.data });
    const olds = send({ volumeId: SEED_VOLUMES.data, status: "available", __owner: urnOf("Snapshot") });
    expect((await engine.read("Snapshot", nowhere, olds, inputs)).id).toBe("");
    await expect(engine.read("Snapshot", nowhere, send({}), send({}))).rejects.toThrow(/there is no snapshot/);
    // Whether the state holds it can't be asked here, so nothing is taken over.
    const { id } = cloud.cinder.createSnapshot({ volume_id: SEED_VOLUMES.data });
    await expect(engine.read("Snapshot", id)).rejects.toThrow(/not known/);
    await expect(engine.read("Snapshot", `nobody/${id}`)).rejects.toThrow(/"nobody"/);
  });

  test("bad inputs fail with their path, and nothing is sent", async () => {
    const sent = cloud.requests.length;
    const { failures } = await engine.check("Snapshot", { volumeId: "7", metadata: { a: 7 }, volumeid: "x" });
    expect(failures.map(([property]) => property)).toEqual(["volumeid", "volumeId", "metadata.a"]);
    expect(cloud.requests.length).toBe(sent);
  });

  test("the lookups: results, conditions, bad arguments", async () => {
    const { id } = cloud.cinder.createSnapshot({ volume_id: SEED_VOLUMES.data, name: "mine" });
    const invoke = async (name: string, args: Values) => {
      const { result, failed } = await engine.invoke(name, args);
      return [values(result), failed];
    };
    expect(await invoke("getSnapshot", { name: "mine" })).toEqual([expect.objectContaining({ id, name: "mine" }), []]);
    expect(await invoke("listSnapshots", { name: "mine" })).toEqual([
      { snapshots: [expect.objectContaining({ id })] },
      [],
    ]);
    expect(await invoke("getSnapshot", { nme: "mine", mostRecent: "yes" })).toEqual([{}, ["mostRecent", "nme"]]);
    expect(await invoke("getNothing", {})).toEqual([{}, [""]]);
    await expect(invoke("getSnapshot", { name: "nobody's" })).rejects.toThrow(/no snapshot meets these conditions/);
  });
});

describe("the configuration", () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await Engine.start({});
  });
  afterAll(() => engine?.close());

  const check = async (news: Values) => {
    const answer: pb.CheckResponse = await engine.call("checkConfig", new pb.CheckRequest().setNews(send(news)));
    return answer.getFailuresList().map((failure) => failure.getProperty());
  };

  test("is checked with the path, and unknown values pass", async () => {
    expect(await check({ connections: { default: {} }, adoptWithin: "72h", version: "0.1.0" })).toEqual([]);
    expect(await check({ connections: '{"default":{}}', adoptWithin: "0" })).toEqual([]);
    expect(await check({ connections: UNKNOWN, adoptWithin: UNKNOWN })).toEqual([]);
    expect(await check({ connections: "{", adoptWithin: "soon", origin: 7 })).toEqual([
      "connections",
      "adoptWithin",
      "origin",
    ]);
    expect(await check({ connections: { default: "x" } })).toEqual(["connections.default"]);
  });

  test("a change of it replaces nothing", async () => {
    const request = new pb.DiffRequest()
      .setOldInputs(send({ connections: "{}" }))
      .setNews(send({ connections: "{ }" }));
    const answer: pb.DiffResponse = await engine.call("diffConfig", request);
    expect([answer.getDiffsList(), answer.getReplacesList()]).toEqual([["connections"], []]);
  });

  test.each([
    ["default_0_1_0", false],
    ["backup", true],
  ])("the error of a resource of the provider %s says where its connections are", async (name, isExplicit) => {
    const asked = await Engine.start({}, name);
    const { inputs } = await asked.check("Snapshot", { volumeId: SEED_VOLUMES.data, connection: "missing" });
    const error = await asked.create("Snapshot", inputs).catch(String);
    await asked.close();
    expect(error).toMatch(/no OpenStack connection "missing"/);
    expect(/argument `connections` in the program/.test(String(error))).toBe(isExplicit);
  });

  test("a resource without a connection says what it has looked for", async () => {
    const { inputs } = await engine.check("LinkedTargetSet", { ...LIVES.LinkedTargetSet?.before });
    await expect(engine.create("LinkedTargetSet", inputs)).rejects.toThrow(/snapclone:connections/);
  });
});
