// The life of a SnapshotSeries on a real `pulumi`: one function for each scenario. The emulator's tests and those on a real
// Cinder run the same scenarios.

import { killAll } from "../support/processes";
import type { BackendSnapshot } from "./backend";
import { changes, type Life, type ProgramOf, type Scenarios, scenarioTests, until } from "./life";
import type { VolumeBackend } from "./volumes";

const SCENARIOS: Scenarios<VolumeBackend> = {
  "rotation: each trigger takes one in place, the oldest goes by count or by age, keep up does nothing, destroy":
    rotation,
  "a deadline is resumed; one deleted by somebody else is not made again, and of an emptied series one is":
    deletedByHand,
  "volumes that depend on snapshots: the update and the destroy delete the others, name these, and try again": blocked,
  "kill -9 of the provider, of both, while an update takes one or deletes one: nothing lost, nothing taken twice":
    killed,
};

export function snapshotSeriesScenarios(theBackend: () => VolumeBackend): void {
  scenarioTests(theBackend, program, SCENARIOS);
}

type SeriesLife = Life<VolumeBackend>;

interface Shown {
  latest?: string;
  snapshots: { id: string; name: string; createdAt: string; sizeGiB: number; status: string }[];
  pruned: { id: string }[];
  overdue: string[];
}

async function rotation(life: SeriesLife): Promise<void> {
  const { backend, stack } = life;
  const foreign = await backend.makeSnapshot(backend.volumes[0]);
  await up(life, { triggers: ["mon"], name: "nightly", metadata: { team: "shop" } });
  const first = await shown(life);
  expect(first).toMatchObject({
    latest: first.snapshots[0]?.id,
    pruned: [],
    overdue: [],
    snapshots: [
      { name: expect.stringMatching(/^nightly-\d{8}T\d{6}Z$/), status: "available", createdAt: expect.any(String) },
    ],
  });
  expect((await life.ours())[0]?.metadata).toMatchObject({ team: "shop", "snapclone:series": expect.any(String) });

  // The preview shows the new snapshot as what it is, an update in place, and sends nothing.
  declare(life, { triggers: ["tue"], name: "nightly" });
  expect(changes(await life.ok(stack.preview()))).toMatchObject({ update: 1 });
  expect(await life.ours()).toHaveLength(1);
  await up(life, { triggers: ["tue"], name: "nightly" });
  await up(life, { triggers: ["wed"], name: "nightly" });
  const third = await shown(life);
  expect(third.pruned.map(({ id }) => id)).toEqual([first.latest]);
  expect(idsOf(third.snapshots)).toEqual(newestFirst(await life.ours()));
  expect(third.snapshots).toHaveLength(2);

  const same = await up(life, { triggers: ["wed"], name: "nightly" });
  expect(changes(same)).toEqual({ same: 2 });
  await up(life, { triggers: ["wed"], name: "nightly", keep: 5 });
  expect(idsOf((await shown(life)).snapshots)).toEqual(idsOf(third.snapshots));
  await up(life, { triggers: ["wed"], name: "nightly", keep: 1 });
  expect(idsOf(await life.ours())).toEqual([third.latest]);

  // Beyond keep, and young.
  await up(life, { triggers: ["thu"], name: "nightly", keep: 1, keepWithin: "1h" });
  expect(await life.ours()).toHaveLength(2);
  expect((await shown(life)).overdue).toEqual([]);
  await up(life, { triggers: ["thu"], name: "nightly", keep: 1, keepWithin: "1s" });
  expect(idsOf(await life.ours())).toEqual([(await shown(life)).latest]);

  await up(life, { triggers: ["fri"], name: "nightly", keep: 2 });
  const destroyed = await life.ok(stack.destroy());
  expect(destroyed.stdout).toContain("deleted 2 snapshots of the series");
  expect(await life.ours()).toEqual([]);
  expect(idsOf(await backend.snapshots())).toContain(foreign);
  await backend.remove(foreign);
}

async function deletedByHand(life: SeriesLife): Promise<void> {
  const { backend, stack } = life;
  await up(life, { triggers: ["1"], keep: 3 });
  declare(life, { triggers: ["2"], keep: 3 }, { customTimeouts: { update: "1ms" } });
  const late = await life.fails(stack.up());
  expect(flat(late.stdout + late.stderr)).toContain("the next `pulumi up` resumes the wait");
  const begun = await life.ours();
  await up(life, { triggers: ["2"], keep: 3 });
  expect(idsOf(await life.ours()).sort()).toEqual(idsOf(begun).sort());
  const { snapshots } = await shown(life);
  expect(snapshots.map(({ status }) => status)).toEqual(["available", "available"]);
  const [newest = "", older = ""] = idsOf(snapshots);
  await backend.remove(newest);
  await life.ok(stack.refresh());
  expect(await shown(life)).toMatchObject({ latest: older, snapshots: [{ id: older }] });
  // Its instant has passed.
  expect(changes(await up(life, { triggers: ["2"], keep: 3 }))).toEqual({ same: 2 });
  await backend.remove(older);
  await life.ok(stack.refresh());
  expect((await shown(life)).snapshots).toEqual([]);
  await up(life, { triggers: ["2"], keep: 3 });
  expect(idsOf(await life.ours())).toEqual([(await shown(life)).latest]);
  await life.ok(stack.destroy());
}

async function blocked(life: SeriesLife): Promise<void> {
  const { backend, stack } = life;
  const volumeId = backend.dependingVolume;
  await up(life, { volumeId, triggers: ["1"], keep: 1 });
  const first = (await shown(life)).latest ?? "";
  const dependent = await backend.makeVolume(first);
  const blocked = await up(life, { volumeId, triggers: ["2"], keep: 1 });
  expect(flat(blocked.stdout)).toContain(`snapshot ${first}`);
  expect(flat(blocked.stdout)).toContain(
    "should have been deleted and is still there: Cinder began to delete snapshot",
  );
  expect(flat(blocked.stdout)).toContain("Snapshot is busy");
  expect(await shown(life)).toMatchObject({ overdue: [first], pruned: [] });
  expect(await life.ours()).toHaveLength(2);

  await up(life, { volumeId, triggers: ["2"], keep: 1 });
  expect(await life.ours()).toHaveLength(2);
  await backend.removeVolume(dependent);
  await up(life, { volumeId, triggers: ["2"], keep: 1 });
  expect(await shown(life)).toMatchObject({ overdue: [], pruned: [{ id: first }] });
  expect(idsOf(await life.ours())).toEqual([(await shown(life)).latest]);

  await up(life, { volumeId, triggers: ["3"], keep: 2 });
  const [, older = ""] = idsOf((await shown(life)).snapshots);
  const another = await backend.makeVolume(older);
  const refused = await life.fails(stack.destroy());
  expect(flat(refused.stdout)).toMatch(new RegExp(`snapshot ${older} .*Snapshot is busy`));
  expect(idsOf(await life.ours())).toEqual([older]);
  await backend.removeVolume(another);
  await life.ok(stack.destroy());
  expect(await life.ours()).toEqual([]);
}

async function killed(life: SeriesLife): Promise<void> {
  const { stack } = life;
  await up(life, { triggers: ["0"], keep: 5 });
  for (const victims of ["provider", "both"]) {
    const count = (await life.ours()).length;
    declare(life, { triggers: [victims], keep: 5 });
    const run = stack.start("up");
    await until(async () => ((await life.ours()).length > count ? true : undefined));
    killAll(stack.providers());
    if (victims === "both") run.child.kill("SIGKILL");
    await run.result.catch(() => undefined);
    await life.ok(stack.cancel());
    // The next run adopts it as the newest.
    await up(life, { triggers: [victims], keep: 5 });
    const rows = await life.ours();
    expect(rows.map(({ status }) => status)).toEqual(Array(count + 1).fill("available"));
    expect(idsOf((await shown(life)).snapshots)).toEqual(newestFirst(rows));
  }
  declare(life, { triggers: ["both"], keep: 1 });
  const run = stack.start("up");
  await until(async () => {
    const rows = await life.ours();
    return rows.length < 3 || rows.some(({ status }) => status === "deleting") ? true : undefined;
  });
  killAll(stack.providers());
  run.child.kill("SIGKILL");
  await run.result.catch(() => undefined);
  await life.ok(stack.cancel());
  await up(life, { triggers: ["both"], keep: 1 });
  expect(idsOf(await life.ours())).toEqual([(await shown(life)).latest]);
  await life.ok(stack.destroy());
  expect(await life.ours()).toEqual([]);
}

function declare(life: SeriesLife, args: Record<string, unknown>, opts?: Record<string, unknown>): void {
  const { backend } = life;
  life.declare({
    db: { args: { volumeId: backend.volumes[0], keep: 2, ...args }, ...(opts === undefined ? {} : { opts }) },
  });
}

async function up(life: SeriesLife, args: Record<string, unknown>) {
  declare(life, args);
  return life.ok(life.stack.up());
}

async function shown(life: SeriesLife): Promise<Shown> {
  return (await life.resource("db")).outputs as unknown as Shown;
}

function idsOf(rows: readonly { id: string }[]): string[] {
  return rows.map(({ id }) => id);
}

/** No two of a scenario's snapshots are of one second. */
function newestFirst(rows: readonly BackendSnapshot[]): string[] {
  return idsOf([...rows].sort((a, b) => b.created_at.localeCompare(a.created_at)));
}

/** Long lines are broken in the terminal's table. */
function flat(text: string): string {
  return text.replaceAll(/\s+/g, " ");
}

const program: ProgramOf = (declared) => ({
  js: `
const { SnapshotSeries } = require("pulumi-snapclone");
for (const [name, { args, opts }] of Object.entries(${JSON.stringify(declared)})) {
  exports[name] = new SnapshotSeries(name, args, opts).latest;
}`,
});
