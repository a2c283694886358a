// An input that was secret and is given in clear, through the native service: the state never holds the former value in clear.

import type { Emulator } from "../../emulator";
import type { SecretPath } from "../../provider/native/properties";
import { connectionsOf, LIVES, startCloud } from "../smoke/shortLives";
import { Engine, initFailure, secretsIn, type Values, values } from "./nativeEngineFixture";

type Outputs = Parameters<typeof values>[0];

const SECRET = "hush-hush";
let cloud: Emulator;
let engine: Engine;

beforeEach(async () => {
  cloud = await startCloud();
  engine = await Engine.start({ connections: JSON.stringify(connectionsOf(cloud)) });
});
afterEach(async () => {
  await engine?.close();
  await cloud?.close();
});

async function checked(type: string, given: Values, secrets: SecretPath[] = [], olds: Values = {}) {
  const { inputs, failures } = await engine.check(type, given, olds, secrets);
  expect(failures).toEqual([]);
  return inputs;
}

/** What the engine writes in clear. A secret is an object with a signature. */
function clear(outputs: Outputs): string {
  return JSON.stringify(outputs?.toJavaScript(), (_key, value: unknown) => {
    const { "4dabf18193072939515e22adb298388d": signature } = (value ?? {}) as Values;
    return signature === "1b47061264138c4ac30d75fd1eb44270" ? "[secret]" : value;
  });
}

const SECRET_INPUTS: [type: string, given: Values, path: SecretPath][] = [
  ["Snapshot", { name: SECRET }, ["name"]],
  ["Snapshot", { metadata: { k: SECRET, other: "o" } }, ["metadata", "k"]],
  ["SnapshotSeries", { name: SECRET }, ["name"]],
  ["VolumeClone", { displayName: SECRET }, ["displayName"]],
  ["VolumeFromSnapshot", { description: SECRET }, ["description"]],
  ["ClonedVm", { description: SECRET }, ["description"]],
];

test.each(SECRET_INPUTS)(
  "%s: %j that becomes plain, in an update that fails, and in one that does not",
  async (type, given, path) => {
    const life = LIVES[type];
    const before = { ...life?.before, connection: life?.connection, ...given };
    const inputs = await checked(type, before, [path]);
    const { id, outputs } = await engine.create(type, inputs);
    expect(clear(outputs)).not.toContain(SECRET);
    const plain = JSON.parse(JSON.stringify(before).replaceAll(SECRET, "open-now")) as Values;
    const news = await checked(
      type,
      { ...plain, ...(type === "SnapshotSeries" ? { triggers: ["2"] } : {}) },
      [],
      values(inputs),
    );

    for (const method of ["PUT", "POST", "PATCH"]) cloud.faults.add({ match: { method }, status: 400, times: 99 });
    const failed = await initFailure(engine.update(type, id, outputs, news));
    expect(clear(failed.outputs)).not.toContain(SECRET);
    expect(JSON.stringify(failed.outputs?.toJavaScript())).toContain(SECRET);
    cloud.faults.clear();

    const updated = await engine.update(type, id, failed.outputs, news);
    expect(clear(updated)).not.toContain(SECRET);
    expect(clear(updated)).toContain("open-now");
  },
);

test("the older snapshots of a series keep their names secret as long as they exist, also through a refresh", async () => {
  const given = { ...LIVES.SnapshotSeries?.before, keep: 2 };
  const first = await checked("SnapshotSeries", { ...given, name: SECRET, triggers: ["0"] }, [["name"]]);
  const { id, outputs } = await engine.create("SnapshotSeries", first);
  let [inputs, state] = [first, outputs];
  const seen: string[][] = [];
  for (const trigger of ["1", "2", "3", "4"]) {
    inputs = await checked("SnapshotSeries", { ...given, name: "open-now", triggers: [trigger] }, [], values(inputs));
    state = await engine.update("SnapshotSeries", id, state, inputs);
    const read = await engine.read("SnapshotSeries", id, state, inputs);
    expect([clear(state), clear(read.outputs)].filter((text) => text.includes(SECRET))).toEqual([]);
    state = read.outputs;
    seen.push(secretsIn(state));
  }
  // The second update deletes the snapshot that has the name, and `pruned` names it until the third deletes another.
  expect(seen).toEqual([["snapshots.1.name"], ["pruned.0.name"], [], []]);
});

test("a secret that is given in clear with the same value is none any more", async () => {
  const given = { ...LIVES.SnapshotSeries?.before, name: "same" };
  const inputs = await checked("SnapshotSeries", given, [["name"], ["triggers", "0"]]);
  const { id, outputs } = await engine.create("SnapshotSeries", inputs);
  expect(secretsIn(outputs)).toEqual(expect.arrayContaining(["name", "snapshots", "takenFor", "triggers"]));
  const news = await checked("SnapshotSeries", { ...given, keep: 3 }, [], values(inputs));
  expect(secretsIn(await engine.update("SnapshotSeries", id, outputs, news))).toEqual([]);
});
