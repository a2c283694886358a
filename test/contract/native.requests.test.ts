// What only the native service gets of Pulumi's engine: the options of an update and of a diff, lookups, and a cancel.

import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { type Emulator, SEED_VOLUMES } from "../../emulator";
import { send } from "../../provider/native/properties";
import { connectionsOf, LIVES, startCloud } from "../smoke/shortLives";
import { Engine, type Values, values } from "./nativeEngineFixture";

let cloud: Emulator;
let engine: Engine;

async function start(clock: "instant" | "manual" = "instant"): Promise<void> {
  cloud = await startCloud(clock);
  engine = await Engine.start({ connections: JSON.stringify(connectionsOf(cloud)) });
}
async function stop(): Promise<void> {
  await engine?.close();
  await cloud?.close();
}

async function made(type: string, given: Values = {}) {
  const life = LIVES[type];
  const { inputs, failures } = await engine.check(type, { ...life?.before, connection: life?.connection, ...given });
  expect(failures).toEqual([]);
  return { inputs, ...(await engine.create(type, inputs)) };
}

describe("ignoreChanges", () => {
  afterEach(stop);

  test("a name that somebody else has given stays, also in an update of something else", async () => {
    await start();
    const { inputs, id, outputs } = await made("Snapshot");
    Object.assign(cloud.cinder.snapshots.get(id) ?? {}, { name: "by hand" });
    const { inputs: news } = await engine.check(
      "Snapshot",
      { ...LIVES.Snapshot?.before, description: "d" },
      values(inputs),
    );
    const updated = await engine.update("Snapshot", id, outputs, news, { ignore: ["name"] });
    expect(cloud.cinder.snapshots.get(id)).toMatchObject({ name: "by hand", description: "d" });
    expect(values(updated)).toMatchObject({ name: "by hand", description: "d" });
  });

  test("a volume that somebody else has made larger can still be described", async () => {
    await start();
    const given = { ...LIVES.VolumeFromSnapshot?.before, sizeGiB: 10 };
    const { inputs, id, outputs } = await made("VolumeFromSnapshot", given);
    Object.assign(cloud.cinder.volumes.get(id) ?? {}, { size: 20 });
    const { inputs: news } = await engine.check("VolumeFromSnapshot", { ...given, description: "d" }, values(inputs));
    const update = (ignore: string[]) => engine.update("VolumeFromSnapshot", id, outputs, news, { ignore });
    await expect(update([])).rejects.toThrow(/20/);
    expect(values(await update(["sizeGiB"]))).toMatchObject({ sizeGiB: 20, description: "d" });
  });

  test("[*] keeps the inputs, and not the owner: a rename is still written", async () => {
    await start();
    const { inputs, id, outputs } = await made("Snapshot");
    const { inputs: news } = await engine.check(
      "Snapshot",
      { ...LIVES.Snapshot?.before, name: "other" },
      values(inputs),
    );
    expect((await engine.diff("Snapshot", id, outputs, news, ["*"])).some).toBe(false);
    const { __owner } = values(outputs);
    const former = { ...values(outputs), __owner: String(__owner).replace(/::one$/, "::former") };
    expect(await engine.diff("Snapshot", id, send(former), news, ["*"])).toMatchObject({ some: true, details: {} });
  });
});

describe("a lookup", () => {
  afterEach(stop);

  test("that waits for a rate limit ends with the run", async () => {
    await start("manual");
    cloud.faults.add({
      match: { operation: "snapshots.detail" },
      status: 429,
      headers: { "Retry-After": "60" },
      times: 99,
    });
    const asked = engine.invoke("listSnapshots", {}).then(() => "answered", String);
    while (!cloud.requests.some(({ path }) => path.includes("snapshots/detail")))
      await new Promise((resolve) => setTimeout(resolve, 10));
    await engine.call("cancel", new Empty());
    expect(await asked).toMatch(/the run was stopped/);
  });

  test("takes null for an absent condition", async () => {
    await start("manual");
    const { id } = cloud.cinder.createSnapshot({ volume_id: SEED_VOLUMES.data, name: "mine" });
    const nulls = {
      id: null,
      volumeId: null,
      metadata: null,
      connection: null,
      sort: null,
      status: null,
      mostRecent: null,
    };
    const found = await engine.invoke("getSnapshot", { ...nulls, name: "mine" });
    expect(values(found.result)).toMatchObject({ id });
    const listed = await engine.invoke("listSnapshots", { metadata: null, connection: null, name: "mine" });
    expect(values(listed.result)).toMatchObject({ snapshots: [{ id }] });
    const byId = await engine.invoke("getSnapshot", { ...nulls, id, name: null });
    expect(values(byId.result)).toMatchObject({ id });
  });
});

describe.each(Object.entries(LIVES))("%s", (type, { after, connection }) => {
  let one: Awaited<ReturnType<typeof made>>;
  beforeAll(async () => {
    await start();
    one = await made(type);
  });
  afterAll(stop);

  test("a diff without a replacement says, too, whether a forced one deletes first", async () => {
    const { inputs: news } = await engine.check(type, { ...after, connection }, values(one.inputs));
    const deleteFirst = type === "AssistedSnapshot";
    for (const inputs of [one.inputs, news]) {
      expect(await engine.diff(type, one.id, one.outputs, inputs)).toMatchObject({ replaces: [], deleteFirst });
    }
  });

  test("`get` on any connection, with nothing but its name", async () => {
    const state = send({ connection });
    const read = await engine.read(type, one.id, state, state);
    expect([read.id, values(read.outputs)]).toEqual([one.id, expect.objectContaining({ connection })]);
  });
});
