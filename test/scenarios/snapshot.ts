// The life of a Snapshot on a real `pulumi`: one function for each scenario. The emulator's tests and those on a real
// Cinder run the same scenarios.

import { newStack, type Result } from "../engine/harness";
import type { Backend, BackendSnapshot } from "./backend";
import { changes, type Declared, type Life, type Scenarios, scenarioTests, until } from "./life";

const SCENARIOS: Scenarios<Backend> = {
  "up, no-op, update, foreign metadata, refresh with drift, destroy": wholeLife,
  "a snapshot deleted by hand: refresh removes it from the state, up creates another": deletedByHand,
  "a replacement by another volume, another trigger, --replace: creates the new one first, then deletes the old one":
    replacement,
  "a deadline records what was begun, and the next up resumes the wait": deadline,
  "a deadline, then destroy: deletes what was begun": deadlineThenDestroy,
  "kill -9 of the CLI in mid create: the next up adopts, nothing is created twice": (life) => killed(life, false),
  "kill -9 of both in mid create: the next up adopts, nothing is created twice": (life) => killed(life, true),
  "kill -9 of the provider alone: Pulumi records the create as ended, and the next up adopts all the same":
    killedProvider,
  "Ctrl-C in mid create: stops waiting at once, records, and the next up resumes": interruptedByCtrlC,
  "get reads what exists and leaves it alone; lookups find it": readOnly,
  "a get of what does not exist is an error, not an empty resource": missingGet,
  "what Cinder refuses appears in one line, in Cinder's own words": refusedByCinder,
  "a wrong password: the error names where it came from, and no secret": wrongPassword,
};

export function snapshotScenarios(theBackend: () => Backend): void {
  scenarioTests(theBackend, program, SCENARIOS);
}

async function wholeLife(life: Life): Promise<void> {
  const { backend, stack } = life;
  const [volumeId] = backend.volumes;
  life.declare({
    nightly: { args: { volumeId, description: "the day before", metadata: { keep: "7", team: "shop" } } },
  });
  await life.ok(stack.up());

  const { id, outputs } = await life.resource("nightly");
  expect(outputs).toMatchObject({
    volumeId,
    status: "available",
    name: expect.stringMatching(/^nightly-[0-9a-f]{7}$/),
    description: "the day before",
    metadata: { keep: "7", team: "shop" },
    createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
    sizeGiB: expect.any(Number),
  });
  expect(JSON.stringify(outputs.metadata)).not.toContain("snapclone:");
  const made = (await life.ours())[0];
  expect(made).toMatchObject({ id, volume_id: volumeId, status: "available" });
  // The create wrote the record. The end of the run writes nothing.
  expect(attempt(made)).toBe(outputs.__attempt);
  expect(made?.metadata).not.toHaveProperty("snapclone:phase");

  expect(changes(await life.ok(stack.up()))).toEqual({ same: 2 });

  // In place: the id stays the same, and metadata of others stays.
  await backend.setMetadata(id, { backup: "tape 7" });
  const second = { volumeId, name: "weekly", metadata: { keep: "30" } };
  life.declare({ nightly: { args: second } });
  expect(changes(await life.ok(stack.up()))).toEqual({ same: 1, update: 1 });
  const [changed] = await life.ours();
  expect(changed).toMatchObject({ id, name: "weekly", metadata: { keep: "30", backup: "tape 7" } });
  expect(changed?.description || null).toBeNull();
  expect(changed?.metadata).not.toHaveProperty("team");
  expect((await life.resource("nightly")).outputs).toMatchObject({ name: "weekly", metadata: { keep: "30" } });
  expect(changes(await life.ok(stack.up()))).toEqual({ same: 2 });

  // After changes by hand, refresh records them, preview shows them, and up restores what the program says.
  await backend.rename(id, "renamed by hand");
  await backend.setMetadata(id, { keep: "0" });
  await life.ok(stack.refresh());
  expect((await life.resource("nightly")).outputs).toMatchObject({ name: "renamed by hand", metadata: { keep: "0" } });
  const preview = await life.ok(stack.preview({ args: ["--diff"] }));
  expect(preview.stdout).toMatch(/name\s*: "renamed by hand" => "weekly"/);
  expect(preview.stdout).toMatch(/keep: "0" => "30"/);
  await life.ok(stack.up());
  expect((await life.ours())[0]).toMatchObject({ id, name: "weekly", metadata: { keep: "30", backup: "tape 7" } });

  await life.ok(stack.destroy());
  expect(await life.ours()).toEqual([]);
  expect(stack.providers()).toEqual([]);
}

async function deletedByHand(life: Life): Promise<void> {
  const { backend, stack } = life;
  life.declare({ nightly: { args: { volumeId: backend.volumes[0] } } });
  await life.ok(stack.up());
  const { id } = await life.resource("nightly");
  await backend.remove(id);
  expect(changes(await life.ok(stack.refresh()))).toMatchObject({ delete: 1 });
  await life.ok(stack.up());
  const again = await life.resource("nightly");
  expect(again.id).not.toBe(id);
  expect((await life.ours()).map((row) => row.id)).toEqual([again.id]);
  await life.ok(stack.destroy());
}

async function replacement(life: Life): Promise<void> {
  const { backend, stack } = life;
  const [one, two] = backend.volumes;
  life.declare({ nightly: { args: { volumeId: one, triggers: ["mon"] } } });
  await life.ok(stack.up());
  const ids = [(await life.resource("nightly")).id];
  const replaced = async (result: Result) => {
    expect(changes(result)).toMatchObject({ replace: 1 });
    const { id } = await life.resource("nightly");
    expect(ids).not.toContain(id);
    expect((await life.ours()).map((row) => row.id)).toEqual([id]);
    ids.push(id);
  };

  life.declare({ nightly: { args: { volumeId: two, triggers: ["mon"] } } });
  await replaced(await life.ok(stack.up()));
  life.declare({ nightly: { args: { volumeId: two, triggers: ["tue"] } } });
  await replaced(await life.ok(stack.up()));
  const urn = (await stack.resources()).find(({ id }) => id === ids.at(-1))?.urn ?? "";
  await replaced(await life.ok(stack.up({ args: ["--replace", urn] })));
  expect(changes(await life.ok(stack.up()))).toEqual({ same: 2 });
  await life.ok(stack.destroy());
  expect(await life.ours()).toEqual([]);
}

async function deadline(life: Life): Promise<void> {
  const { backend, stack } = life;
  const volumeId = backend.volumes[0];
  life.declare({ nightly: { args: { volumeId }, opts: { customTimeouts: { create: "1ms" } } } });
  const late = await life.fails(stack.up());
  expect(late.stdout + late.stderr).toContain("the next `pulumi up` resumes the wait");
  const { id, outputs, initErrors } = await life.resource("nightly");
  expect(outputs).toMatchObject({ pending: { operation: "create" }, __provider: expect.any(String) });
  expect(initErrors).toHaveLength(1);

  life.declare({ nightly: { args: { volumeId } } });
  await life.ok(stack.up());
  const resumed = await life.resource("nightly");
  expect(resumed).toMatchObject({ id, outputs: { status: "available" }, initErrors: [] });
  expect(resumed.outputs).not.toHaveProperty("pending");
  expect(await life.ours()).toHaveLength(1);
  expect(changes(await life.ok(stack.up()))).toEqual({ same: 2 });
  await life.ok(stack.destroy());
  expect(await life.ours()).toEqual([]);
}

async function deadlineThenDestroy(life: Life): Promise<void> {
  const { backend, stack } = life;
  life.declare({ nightly: { args: { volumeId: backend.volumes[0] }, opts: { customTimeouts: { create: "1ms" } } } });
  await life.fails(stack.up());
  await life.ok(stack.destroy());
  expect(await life.ours()).toEqual([]);
}

/** Kills `pulumi`, and with it the provider or not. */
async function killed(life: Life, both: boolean): Promise<void> {
  const { backend, stack } = life;
  life.declare({ nightly: { args: { volumeId: backend.volumes[0], metadata: { keep: "7" } } } });
  const { run, begun } = await life.upUntilBegun();
  // The emulator's rows are live, so the attempt is read before anything changes it.
  const killedAttempt = attempt(begun);
  const provider = stack.providers()[0];
  if (both && provider !== undefined) process.kill(provider, "SIGKILL");
  process.kill(run.pid, "SIGKILL");
  await run.result.catch(() => undefined);
  // A provider without its CLI must end by itself.
  await until(async () => (stack.providers().length === 0 ? true : undefined));
  await life.ok(stack.cancel());

  // An input that can change in place may change before the next run.
  life.declare({ nightly: { args: { volumeId: backend.volumes[0], name: "adopted" } } });
  const up = await life.ok(stack.up());
  const { id, outputs } = await life.resource("nightly");
  expect(id).toBe(begun?.id);
  expect(adoptions(up)).toHaveLength(1);
  expect(outputs).toMatchObject({ name: "adopted", status: "available" });
  const rows = await life.ours();
  expect(rows).toHaveLength(1);
  expect(rows[0]).toMatchObject({ id, name: "adopted" });
  // The record now has the attempt of the create that adopted.
  expect(attempt(rows[0])).toBe(outputs.__attempt);
  expect(attempt(rows[0])).not.toBe(killedAttempt);
  expect(rows[0]?.metadata).not.toHaveProperty("keep");
  await life.ok(stack.destroy());
  expect(await life.ours()).toEqual([]);
}

async function killedProvider(life: Life): Promise<void> {
  const { backend, stack } = life;
  life.declare({ nightly: { args: { volumeId: backend.volumes[0] } } });
  const { run, begun } = await life.upUntilBegun();
  for (const provider of stack.providers()) process.kill(provider, "SIGKILL");
  await life.fails(run.result);
  const up = await life.ok(stack.up());
  expect((await life.resource("nightly")).id).toBe(begun?.id);
  expect(adoptions(up)).toHaveLength(1);
  expect(await life.ours()).toHaveLength(1);
  await life.ok(stack.destroy());
  expect(await life.ours()).toEqual([]);
}

async function interruptedByCtrlC(life: Life): Promise<void> {
  const { backend, stack } = life;
  life.declare({ nightly: { args: { volumeId: backend.volumes[0] } } });
  const { run, begun } = await life.upUntilBegun();
  run.child.kill("SIGINT");
  const stopped = await life.fails(run.result);
  const { id, outputs } = await life.resource("nightly");
  expect(id).toBe(begun?.id);
  // A fast backend may finish before the signal arrives. Nothing is pending then.
  if (stopped.stdout.includes("the run was stopped while waiting")) {
    expect(outputs).toMatchObject({ pending: { operation: "create" } });
  }
  await life.ok(stack.up());
  expect(await life.resource("nightly")).toMatchObject({ id, outputs: { status: "available" }, initErrors: [] });
  expect(await life.ours()).toHaveLength(1);
  await life.ok(stack.destroy());
}

async function readOnly(life: Life): Promise<void> {
  const { backend, stack } = life;
  life.declare({ nightly: { args: { volumeId: backend.volumes[0], name: "to be read", metadata: { a: "1" } } } });
  await life.ok(stack.up());
  const { id } = await life.resource("nightly");
  const reader = await newStack({
    name: "reader",
    program: { js: readerOf(id, backend.volumes[0]) },
    config: backend.connections,
  });
  try {
    await life.ok(reader.up());
    const read = (await reader.resources())[0];
    expect(read).toMatchObject({ id, outputs: { name: "to be read", metadata: { a: "1" }, status: "available" } });
    const { deployment } = await reader.export();
    const outputs = deployment.resources?.find(({ type }) => type === "pulumi:pulumi:Stack")?.outputs;
    expect(outputs).toMatchObject({ byId: id, byName: id, listed: [id], metadata: { a: "1" } });
    await life.ok(reader.destroy());
    expect((await life.ours()).map((row) => row.id)).toEqual([id]);
  } finally {
    await reader.close();
  }
  await life.ok(stack.destroy());
}

async function missingGet(life: Life): Promise<void> {
  const { backend } = life;
  const reader = await newStack({
    name: "reader",
    program: { js: `require("pulumi-snapclone").Snapshot.get("x", "99999999-9999-4999-8999-999999999999");` },
    config: backend.connections,
  });
  try {
    const result = await life.fails(reader.up());
    expect(result.stdout).toContain("there is no snapshot with the id 99999999-9999-4999-8999-999999999999");
  } finally {
    await reader.close();
  }
}

async function refusedByCinder(life: Life): Promise<void> {
  const { stack } = life;
  life.declare({ nightly: { args: { volumeId: "99999999-9999-4999-8999-999999999999", name: "of nothing" } } });
  const result = await life.fails(stack.up());
  expect(result.stdout).toContain('cannot create snapshot "of nothing"');
  expect(result.stdout).toContain("Volume 99999999-9999-4999-8999-999999999999 could not be found.");
  expect(result.stdout).toMatch(/request id req-/);
  expect(result.stdout).not.toMatch(/^\s+at .*\.js:\d+/m);
  expect(await life.ours()).toEqual([]);
}

async function wrongPassword(life: Life): Promise<void> {
  const { backend, stack } = life;
  await stack.setConfig("snapclone:connections.default.password", `${backend.secret}-wrong`, { secret: true });
  life.declare({ nightly: { args: { volumeId: backend.volumes[0] } } });
  const result = await life.fails(stack.up());
  expect(result.stdout).toContain("snapclone:connections.default");
  expect(result.stdout).toContain("--run-program");
}

/** The attempt in the snapshot's record: the create that made or adopted it. */
function attempt(row: BackendSnapshot | undefined): string | undefined {
  return row?.metadata["snapclone:attempt"];
}

/** Permanent messages that report an adoption. */
function adoptions({ events }: Result) {
  return events.filter(
    ({ diagnosticEvent: message }) => message?.ephemeral !== true && /^adopted the/.test(message?.message ?? ""),
  );
}

function program(declared: Record<string, Declared>): { js: string } {
  return {
    js: `
const { Snapshot } = require("pulumi-snapclone");
for (const [name, { args, opts }] of Object.entries(${JSON.stringify(declared)})) {
  const snapshot = new Snapshot(name, args, opts);
  exports[name] = { id: snapshot.id, status: snapshot.status };
}`,
  };
}

function readerOf(id: string, volumeId: string): string {
  return `
const { Snapshot, getSnapshot, getSnapshotOutput, listSnapshots } = require("pulumi-snapclone");
const read = Snapshot.get("read", ${JSON.stringify(id)});
exports.metadata = read.metadata;
exports.byId = getSnapshotOutput({ id: read.id }).apply((found) => found.id);
exports.byName = getSnapshot({ name: "to be read", volumeId: ${JSON.stringify(volumeId)} }).then((found) => found.id);
exports.listed = listSnapshots({ volumeId: ${JSON.stringify(volumeId)}, metadata: { a: "1" } })
  .then((all) => all.map((found) => found.id));`;
}
