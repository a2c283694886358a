// An asset or archive among the triggers: a Diff, and what an Update or Read knows of the state, have its hash alone, and a
// Create, a Check and the inputs of an Update have its path or text, too (docs/wire/pulumi-engine.md#native). Only another
// hash is another value.

import { type Emulator, SEED_VOLUMES } from "../../emulator";
import { canonical, earlierCanonical } from "../../provider/core/diff";
import { digest } from "../../provider/core/util/digest";
import { send } from "../../provider/native/properties";
import { connectionsOf, LIVES, startCloud } from "../smoke/shortLives";
import { Engine, type Values, values } from "./nativeEngineFixture";

const SIGNATURE = "4dabf18193072939515e22adb298388d";
const FORMS = {
  FileAsset: { [SIGNATURE]: "c44067f5952c0a294b673a41bacd8c17", hash: "abcd" },
  FileArchive: { [SIGNATURE]: "0def7320c3a5731c473e5ecbe6d01bc7", hash: "abcd" },
};
const FILE = FORMS.FileAsset;

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

/** As the engine hands a value of the state over. */
function elided(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(elided);
  if (typeof value !== "object" || value === null) return value;
  const { [SIGNATURE]: signature, hash, ...rest } = value as Values;
  if (signature !== undefined) return { [SIGNATURE]: signature, hash };
  return Object.fromEntries(Object.entries(rest).map(([key, inner]) => [key, elided(inner)]));
}

const stateOf = (struct: Parameters<typeof values>[0]) => send(elided(values(struct)) as Values);

async function made(type: string, given: Values) {
  const { inputs, failures } = await engine.check(type, given);
  expect(failures).toEqual([]);
  return { inputs, ...(await engine.create(type, inputs)) };
}

/** The program on another machine changes `change` alone. */
async function changed(type: string, { inputs, id, outputs }: Awaited<ReturnType<typeof made>>, given: Values) {
  const { inputs: news, failures } = await engine.check(type, given, elided(values(inputs)) as Values);
  expect(failures).toEqual([]);
  const diff = await engine.diff(type, id, stateOf(outputs), stateOf(news));
  const sent = cloud.requests.length;
  const updated = values(await engine.update(type, id, stateOf(outputs), news));
  // ViPR reads several objects by a POST.
  const isPost = ({ method, path }: { method: string; path: string }) => method === "POST" && !path.endsWith("/bulk");
  return { diff, updated, posts: cloud.requests.slice(sent).filter(isPost) };
}

const LISTS: [type: string, triggers: string, change: Values][] = [
  ["Snapshot", "triggers", { description: "changed" }],
  ["Snapshot", "revertTriggers", { description: "changed" }],
  ["SnapshotSeries", "triggers", { keep: 5 }],
  ["SnapshotSeries", "revertTriggers", { keep: 5 }],
  ["VolumeClone", "triggers", { description: "changed" }],
  ["LinkedTargetSet", "refreshTriggers", { deleteTargetsOnUnlink: false }],
];

describe.each(Object.entries(FORMS))("a %s", (_form, hashed) => {
  test.each(LISTS)("%s: the same file among %s is no change, wherever it lies", async (type, triggers, change) => {
    const life = LIVES[type];
    const given = { ...life?.before, connection: life?.connection };
    if (triggers === "revertTriggers") Object.assign(given, { volumeId: cloud.cinder.createVolume({}).id });
    const before = await made(type, { ...given, [triggers]: ["1", { ...hashed, path: "/home/me/a.sql" }] });
    expect(await engine.diff(type, before.id, stateOf(before.outputs), stateOf(before.inputs))).toMatchObject({
      some: false,
      details: {},
    });
    const after = { ...given, ...change, [triggers]: ["1", { ...hashed, path: "/builds/ci/a.sql" }] };
    const { diff, updated, posts } = await changed(type, before, after);
    expect([diff.replaces, Object.keys(diff.details)]).toEqual([[], Object.keys(change)]);
    // Nothing is taken, relinked or reverted.
    expect(posts.map(({ path }) => path)).toEqual([]);
    expect(updated).toMatchObject(change);
    await engine.delete(type, before.id, send(updated));
  });
});

test("another hash is a change of the element, and not of its path", async () => {
  const given = { volumeId: SEED_VOLUMES.data, triggers: [{ ...FILE, path: "a.sql" }] };
  const olds = send({ ...given, __owner: "o" });
  const news = send({ ...given, triggers: [{ ...FILE, hash: "ef01", path: "b.sql" }] });
  expect((await engine.diff("Snapshot", "id", olds, news)).details).toEqual({ "triggers[0]": "UPDATE_REPLACE" });
});

test("a revert and a new snapshot are refused together only if the triggers have another hash", async () => {
  const volumeId = SEED_VOLUMES.data;
  const olds = { volumeId, name: "n", triggers: ["1"], revertTriggers: [FILE] };
  const check = async (hash: string) => {
    const news = { volumeId, name: "n", triggers: ["2"], revertTriggers: [{ ...FILE, hash, path: "a.sql" }] };
    return (await engine.check("Snapshot", news, olds)).failures.map(([property]) => property);
  };
  expect([await check("abcd"), await check("ef01")]).toEqual([[], ["revertTriggers"]]);
});

test("an interrupted create is the same create on another machine", async () => {
  const bearing = async (path: string) => {
    const { id } = await made("Snapshot", { ...LIVES.Snapshot?.before, triggers: [{ ...FILE, path }] });
    return cloud.cinder.snapshots.get(id)?.metadata["snapclone:inputs"];
  };
  expect(await bearing("/home/me/a.sql")).toBe(await bearing("/builds/ci/a.sql"));
});

test("the canonical form of an asset without a hash, and of any other object, keeps all its fields", () => {
  const { hash, ...unhashed } = FILE;
  expect(
    JSON.parse(
      canonical([
        { ...unhashed, path: "a" },
        { hash, path: "a" },
      ]),
    ),
  ).toEqual([
    { ...unhashed, path: "a" },
    { hash, path: "a" },
  ]);
});

describe("a state of an early build, whose digests have the path in them", () => {
  const earlierDigest = (triggers: unknown) => digest(earlierCanonical(triggers));

  test.each(["/home/me/a.sql", "/builds/ci/a.sql"])("reverts nothing for the file at %s", async (path) => {
    const given = { volumeId: cloud.cinder.createVolume({}).id, name: "n" };
    const revertTriggers = [{ ...FILE, path: "/home/me/a.sql" }];
    const before = await made("Snapshot", { ...given, revertTriggers });
    before.outputs = send({ ...values(before.outputs), revertedFor: earlierDigest(revertTriggers) });
    const read = await engine.read("Snapshot", before.id, stateOf(before.outputs), stateOf(before.inputs));
    expect(values(read.outputs).revertTriggers).toEqual(elided(revertTriggers));
    const after = { ...given, description: "d", revertTriggers: [{ ...FILE, path }] };
    const { updated, posts } = await changed("Snapshot", before, after);
    expect(posts.map((post) => post.path)).toEqual([]);
    expect(updated.revertedFor).toBe(values((await made("Snapshot", after)).outputs).revertedFor);
  });

  test("takes no snapshot of a series, and deletes none", async () => {
    const triggers = [{ ...FILE, path: "a.sql" }];
    const given = { ...LIVES.SnapshotSeries?.before, triggers };
    const before = await made("SnapshotSeries", given);
    const [row] = [...cloud.cinder.snapshots.values()].filter(({ metadata }) => "snapclone:series" in metadata);
    if (row) row.metadata["snapclone:series-instant"] = earlierDigest(triggers);
    before.outputs = send({ ...values(before.outputs), takenFor: earlierDigest(triggers) });
    const { updated } = await changed("SnapshotSeries", before, { ...given, keep: 5 });
    expect(updated.snapshots).toEqual(values(before.outputs).snapshots);
    expect(
      await engine.diff("SnapshotSeries", before.id, stateOf(send(updated)), stateOf(before.inputs)),
    ).toMatchObject({ details: { keep: "UPDATE" } });
    await engine.delete("SnapshotSeries", before.id, send(updated));
  });
});
