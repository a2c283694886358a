// AssistedSnapshot, two entries with one id: an overlay's id names its snapshot, and a forced replacement (`--replace`, `taint`)
// makes the new overlay first unless the program says otherwise (docs/native.md). Where the old entry has no overlay any more,
// the new one is made, and the deletion of the old entry must not merge it.

import type { FakeEngine } from "../support/fakeEngine";
import { OVERLAY, textOf, useAssistedSnapshot, VOLUME } from "./assistedSnapshotFixture";

const fixture = useAssistedSnapshot();
const { newEngine, chain, novaRequests, phase } = fixture;

/** The native provider's process has the seed of each check. */
const SEEDED = { firstCheckWithoutSeed: false };

test("a create that Nova could not carry out: the replacement's overlay stays, and goes with its own entry", async () => {
  fixture.emulator.nova.failNext("create", "error");
  const engine = newEngine();
  expect((await engine.up({ overlay: fixture.args() }, SEEDED)).errors).toHaveLength(1);
  expect(engine.state.entries).toMatchObject([{ initError: true }]);
  const { errors, log } = await engine.up({ overlay: fixture.args() }, { ...SEEDED, replace: ["overlay"] });
  expect(textOf(errors)).toBe("");
  expect(log).toContainEqual(
    expect.stringMatching(/was not deleted: another entry of the state, .*::overlay, has the same id$/),
  );
  await expectOne(engine, OVERLAY);
});

test("an overlay that a killed delete has merged: the same", async () => {
  let dead = false;
  const engine = newEngine({ isDead: () => dead });
  expect((await engine.up({ overlay: fixture.args() }, SEEDED)).errors).toEqual([]);
  const remove = fixture.cloud.cinder.deleteSnapshotMetadataKey.bind(fixture.cloud.cinder);
  jest.spyOn(fixture.cloud.cinder, "deleteSnapshotMetadataKey").mockImplementation(async (id, key) => {
    await remove(id, key);
    if (key === "snapclone:assisted-step") dead = true;
  });
  expect(await engine.up({})).toMatchObject({ killed: true });
  jest.restoreAllMocks();
  dead = false;
  expect([chain(), phase(), engine.state.entries]).toMatchObject([[OVERLAY], undefined, [{ leaving: false }]]);
  fixture.emulator.nova.createFile(VOLUME, "overlay-2", { backing: OVERLAY });
  const args = { ...fixture.args(), newFile: "overlay-2" };
  const { errors } = await engine.up({ overlay: args }, { ...SEEDED, replace: ["overlay"] });
  expect(textOf(errors)).toBe("");
  await expectOne(engine, "overlay-2");
});

/** The overlay is there and in the state, nobody has asked for a merge since, and a destroy merges it. */
async function expectOne(engine: FakeEngine, file: string): Promise<void> {
  const merges = novaRequests("delete").length;
  expect([chain()[0], chain().length, phase()]).toEqual([file, 2, "made"]);
  expect(engine.state.entries).toMatchObject([{ leaving: false, outputs: { newFile: file, verified: true } }]);
  expect((await engine.refresh()).errors).toEqual([]);
  expect([chain()[0], phase(), novaRequests("delete").length]).toEqual([file, "made", merges]);
  expect((await engine.destroy()).errors).toEqual([]);
  expect([chain(), phase(), novaRequests("delete").length]).toEqual([[file], undefined, merges + 1]);
}
