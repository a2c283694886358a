// The life of a VolumeFromSnapshot on a real `pulumi`: one function for each scenario. The emulator's tests and those on a
// real Cinder run the same scenarios.

import { killAll } from "../support/processes";
import { changes, isOurs, type Life, type ProgramOf, type Scenarios, scenarioTests, until } from "./life";
import { type BackendVolume, CANNOT_GROW, DEVICE, SERVER, type VolumeBackend } from "./volumes";

const SCENARIOS: Scenarios<VolumeBackend> = {
  "restored, bootable as it comes, changed and grown in place, drift, never deleted while attached, destroy": wholeLife,
  "refusals: in Cinder's own words; smaller than the snapshot or than the volume; deleted by somebody else": refusals,
  "a new snapshot makes a new volume first; on storage where volumes depend on snapshots, all goes in order":
    replacement,
  "a growth that the storage can't do: an error with Cinder's reason, and destroy works": failedGrowth,
  "kill -9 of the provider, of both, in mid create and in mid growth: nothing lost, nothing made twice": killed,
};

export function volumeFromSnapshotScenarios(theBackend: () => VolumeBackend): void {
  scenarioTests(theBackend, program, SCENARIOS);
}

type VolumeLife = Life<VolumeBackend>;

/** GiB of the first of the volumes, and so of its snapshots. */
const SIZE = 1;

async function wholeLife(life: VolumeLife): Promise<void> {
  const { backend, stack } = life;
  const plain = await backend.makeSnapshot(backend.volumes[0]);
  const source = await backend.makeVolume(plain);
  await backend.setBootable(source);
  const snapshotId = await backend.makeSnapshot(source);
  await up(life, { snapshotId, description: "as it was", metadata: { team: "shop", keep: "7" } });
  const { id, outputs } = await life.resource("restored");
  const [made] = await ours(life);
  expect(outputs).toMatchObject({
    snapshotId,
    name: expect.stringMatching(/^restored-[0-9a-f]{7}$/),
    status: "available",
    sizeGiB: SIZE,
    bootable: true,
    attachments: [],
    volumeType: expect.any(String),
    availabilityZone: "nova",
    createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
    metadata: { team: "shop", keep: "7" },
  });
  expect(made).toMatchObject({ id, snapshot_id: snapshotId, status: "available", description: "as it was" });
  expect(
    changes(await up(life, { snapshotId, description: "as it was", metadata: { team: "shop", keep: "7" } })),
  ).toEqual({
    same: 2,
  });

  const changed = { snapshotId, name: "weekly", sizeGiB: SIZE + 1, metadata: { keep: "30" } };
  expect(changes(await up(life, changed))).toEqual({ same: 1, update: 1 });
  const [grown] = await ours(life);
  expect(grown).toMatchObject({ id, name: "weekly", size: SIZE + 1, status: "available", metadata: { keep: "30" } });
  expect(grown?.metadata).not.toHaveProperty("team");
  expect(grown?.description || null).toBeNull();
  expect(changes(await up(life, changed))).toEqual({ same: 2 });

  await backend.renameVolume(id, "renamed by hand");
  await life.ok(stack.refresh());
  expect((await life.resource("restored")).outputs).toMatchObject({ name: "renamed by hand" });
  await up(life, changed);
  expect((await ours(life))[0]).toMatchObject({ id, name: "weekly" });

  await backend.attach(id);
  await life.ok(stack.refresh());
  expect((await life.resource("restored")).outputs).toMatchObject({
    status: "in-use",
    attachments: [{ serverId: SERVER, device: DEVICE }],
    metadata: { keep: "30" },
  });
  expect(changes(await up(life, changed))).toEqual({ same: 2 });
  await up(life, { ...changed, name: "in use", metadata: { keep: "365" } });
  expect((await ours(life))[0]).toMatchObject({ id, name: "in use", status: "in-use", metadata: { keep: "365" } });
  const refused = await life.fails(stack.destroy());
  expect(flat(refused.stdout)).toContain(`volume ${id} is attached to server ${SERVER} as ${DEVICE}`);
  expect((await ours(life)).map((row) => [row.id, row.status])).toEqual([[id, "in-use"]]);

  await backend.detach(id);
  await life.ok(stack.destroy());
  expect(await ours(life)).toEqual([]);
  // What it was made from is another's.
  expect((await backend.snapshots()).map((row) => row.id)).toContain(snapshotId);
  await backend.remove(snapshotId);
  await backend.removeVolume(source);
  await backend.remove(plain);
}

async function refusals(life: VolumeLife): Promise<void> {
  const { backend, stack } = life;
  const snapshotId = await backend.makeSnapshot(backend.volumes[0]);
  const large = await backend.makeVolume(snapshotId);
  await backend.grow(large, SIZE + 1);
  const largeSnapshot = await backend.makeSnapshot(large);
  const unknown = "99999999-9999-4999-8999-999999999999";
  const cases: [Record<string, unknown>, string][] = [
    [{ snapshotId: unknown }, `Snapshot ${unknown} could not be found.`],
    [{ snapshotId, volumeType: "gold" }, "Volume type with name gold could not be found."],
    [{ snapshotId, availabilityZone: "mars" }, "Availability zone 'mars' is invalid."],
    [{ snapshotId: largeSnapshot, sizeGiB: 1 }, "and a volume of 1 GiB can't hold it; nothing was sent"],
  ];
  for (const [args, text] of cases) {
    declare(life, args);
    expect(flat((await life.fails(stack.up())).stdout)).toContain(text);
  }
  expect(await ours(life)).toEqual([]);

  await up(life, { snapshotId, sizeGiB: SIZE + 1 });
  const { id } = await life.resource("restored");
  declare(life, { snapshotId, sizeGiB: SIZE });
  const preview = await life.fails(stack.preview());
  expect(flat(preview.stdout)).toContain(`the volume has ${SIZE + 1} GiB, and Cinder makes no volume smaller`);
  expect((await ours(life)).map((row) => [row.id, row.size])).toEqual([[id, SIZE + 1]]);

  await backend.removeVolume(id);
  expect(changes(await life.ok(stack.refresh()))).toMatchObject({ delete: 1 });
  await up(life, { snapshotId });
  const again = await life.resource("restored");
  expect(again.id).not.toBe(id);
  expect((await ours(life)).map((row) => row.id)).toEqual([again.id]);
  await life.ok(stack.destroy());
  await backend.remove(largeSnapshot);
  await backend.removeVolume(large);
  await backend.remove(snapshotId);
}

async function replacement(life: VolumeLife): Promise<void> {
  const { backend, stack } = life;
  const volumeId = backend.dependingVolume;
  await upWithSnapshot(life, volumeId, "mon");
  const [first] = await ours(life);
  expect(first?.snapshot_id).toBe((await life.resource("snapshot")).id);
  expect(changes(await upWithSnapshot(life, volumeId, "tue"))).toMatchObject({ replace: 2 });
  const [second, ...others] = await ours(life);
  expect(others).toEqual([]);
  expect(second?.id).not.toBe(first?.id);
  const { id } = await life.resource("snapshot");
  expect(second?.snapshot_id).toBe(id);
  expect((await life.ours()).map((row) => row.id)).toEqual([id]);
  await life.ok(stack.destroy());
  expect([await ours(life), await life.ours()]).toEqual([[], []]);
}

async function failedGrowth(life: VolumeLife): Promise<void> {
  const { backend, stack } = life;
  const snapshotId = await backend.makeSnapshot(backend.dependingVolume);
  await up(life, { snapshotId, name: CANNOT_GROW });
  declare(life, { snapshotId, name: CANNOT_GROW, sizeGiB: 3 });
  const failed = await life.fails(stack.up());
  expect(flat(failed.stdout)).toContain("from 1 to 3 GiB");
  expect(flat(failed.stdout)).toContain("extend volume:Volume Driver failed to extend volume.");
  expect((await ours(life)).map(({ size, status }) => [size, status])).toEqual([[1, "error_extending"]]);
  await life.ok(stack.destroy());
  expect(await ours(life)).toEqual([]);
  await backend.remove(snapshotId);
}

async function killed(life: VolumeLife): Promise<void> {
  const { backend, stack } = life;
  const snapshotId = await backend.makeSnapshot(backend.volumes[0]);
  const interrupt = async (victims: string, when: (row: BackendVolume | undefined) => boolean) => {
    const run = stack.start("up");
    const row = await until(async () => {
      const [found] = await ours(life);
      return when(found) ? found : undefined;
    });
    killAll(stack.providers());
    if (victims === "both") run.child.kill("SIGKILL");
    await run.result.catch(() => undefined);
    await life.ok(stack.cancel());
    return row;
  };
  for (const victims of ["provider", "both"]) {
    declare(life, { snapshotId });
    const begun = await interrupt(victims, (row) => row !== undefined);
    expect((await up(life, { snapshotId, name: "adopted" })).stdout).toContain("adopted the");
    expect(await ours(life)).toMatchObject([{ id: begun.id, name: "adopted", status: "available" }]);
    expect((await life.resource("restored")).id).toBe(begun.id);
    if (victims === "provider") await life.ok(stack.destroy());
  }
  const grown = { snapshotId, name: "adopted", sizeGiB: SIZE + 1 };
  declare(life, grown);
  const { id } = await interrupt("both", (row) => row?.status === "extending" || row?.size === SIZE + 1);
  await up(life, grown);
  expect(await ours(life)).toMatchObject([{ id, size: SIZE + 1, status: "available" }]);
  await life.ok(stack.destroy());
  await backend.remove(snapshotId);
}

async function ours(life: VolumeLife): Promise<BackendVolume[]> {
  return (await life.backend.volumesFromSnapshots()).filter(isOurs);
}

function declare(life: VolumeLife, args: Record<string, unknown>): void {
  life.declare({ restored: { args } });
}

async function up(life: VolumeLife, args: Record<string, unknown>) {
  declare(life, args);
  return life.ok(life.stack.up());
}

/** The snapshot and the volume in one program. */
async function upWithSnapshot(life: VolumeLife, volumeId: string, trigger: string) {
  life.declare({ snapshot: { args: { volumeId, triggers: [trigger] } }, restored: { args: {} } });
  return life.ok(life.stack.up());
}

/** Long lines are broken in the terminal's table. */
function flat(text: string): string {
  return text.replaceAll(/\s+/g, " ");
}

const program: ProgramOf = (declared) => ({
  js: `
const { Snapshot, VolumeFromSnapshot } = require("pulumi-snapclone");
const { snapshot, restored } = ${JSON.stringify(declared)};
const source = snapshot && { snapshotId: new Snapshot("snapshot", snapshot.args).id };
if (restored) exports.status = new VolumeFromSnapshot("restored", { ...source, ...restored.args }).status;`,
});
