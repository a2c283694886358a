// The life of a Snapshot on a real `pulumi`, step by step. The same scenarios run on the emulator and on a real Cinder.

import { newStack, type Result, type Stack } from "../engine/harness";
import type { Backend, BackendSnapshot } from "./backend";

interface Declared {
  args: Record<string, unknown>;
  opts?: Record<string, unknown>;
}

export function snapshotScenarios(theBackend: () => Backend): void {
  let backend: Backend;
  let stack: Stack;
  const said: string[] = [];

  beforeAll(() => {
    backend = theBackend();
  });

  beforeEach(async () => {
    stack = await newStack({ program: program({}) });
    // The way a user sets it: the password as a secret, everything else in clear.
    for (const [name, connection] of Object.entries(backend.connections)) {
      for (const [key, value] of Object.entries(connection)) {
        const secret = /password|secret/i.test(key);
        await stack.setConfig(`snapclone:connections.${name}.${key}`, String(value), { secret });
      }
    }
  });

  afterEach(async () => {
    await stack.close();
    for (const { id } of await ours()) await backend.remove(id);
  });

  /** Only this stack's: a real project has other snapshots as well. */
  const ours = async (): Promise<BackendSnapshot[]> =>
    (await backend.snapshots()).filter(({ metadata }) =>
      metadata["snapclone:owner"]?.startsWith("urn:pulumi:dev::snapclone-test::"),
    );

  const declare = (declared: Record<string, Declared>) => stack.setProgram(program(declared));
  const ok = async (running: Promise<Result>): Promise<Result> => {
    const result = await running;
    said.push(result.stdout, result.stderr);
    if (result.code !== 0) throw new Error(`exit code ${result.code}\n${result.stdout}\n${result.stderr}`);
    return result;
  };
  const fails = async (running: Promise<Result>): Promise<Result> => {
    const result = await running;
    said.push(result.stdout, result.stderr);
    expect(result.code).not.toBe(0);
    return result;
  };
  const changes = (result: Result) =>
    result.events.find(({ summaryEvent }) => summaryEvent)?.summaryEvent?.resourceChanges ?? {};
  const resource = async (name: string) => {
    const found = (await stack.resources()).find(({ urn }) => urn.endsWith(`::${name}`));
    if (!found?.id) throw new Error(`no ${name} in the state`);
    return { id: found.id, outputs: found.outputs ?? {}, initErrors: found.initErrors ?? [] };
  };
  /** What the record says of the create that made it. */
  const attempt = (row: BackendSnapshot | undefined) => row?.metadata["snapclone:attempt"];
  const adoptions = ({ events }: Result) =>
    events.filter(({ diagnosticEvent: word }) => word?.ephemeral !== true && /^adopted the/.test(word?.message ?? ""));

  test("up, no-op, update, foreign metadata, refresh with drift, destroy", async () => {
    const [volumeId] = backend.volumes;
    declare({ nightly: { args: { volumeId, description: "the day before", metadata: { keep: "7", team: "shop" } } } });
    await ok(stack.up());

    const { id, outputs } = await resource("nightly");
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
    const made = (await ours())[0];
    expect(made).toMatchObject({ id, volume_id: volumeId, status: "available" });
    // The record was written with the create, and nothing is written when the run ends.
    expect(attempt(made)).toBe(outputs.__attempt);
    expect(made?.metadata).not.toHaveProperty("snapclone:phase");

    expect(changes(await ok(stack.up()))).toEqual({ same: 2 });

    // In place: the same id, and nothing of what others have put there is lost.
    await backend.setMetadata(id, { backup: "tape 7" });
    const second = { volumeId, name: "weekly", metadata: { keep: "30" } };
    declare({ nightly: { args: second } });
    expect(changes(await ok(stack.up()))).toEqual({ same: 1, update: 1 });
    const [changed] = await ours();
    expect(changed).toMatchObject({ id, name: "weekly", metadata: { keep: "30", backup: "tape 7" } });
    expect(changed?.description || null).toBeNull();
    expect(changed?.metadata).not.toHaveProperty("team");
    expect((await resource("nightly")).outputs).toMatchObject({ name: "weekly", metadata: { keep: "30" } });
    expect(changes(await ok(stack.up()))).toEqual({ same: 2 });

    // Somebody renames and retags it by hand: refresh takes note, preview shows it, up puts it right.
    await backend.rename(id, "renamed by hand");
    await backend.setMetadata(id, { keep: "0" });
    await ok(stack.refresh());
    expect((await resource("nightly")).outputs).toMatchObject({ name: "renamed by hand", metadata: { keep: "0" } });
    const preview = await ok(stack.preview({ args: ["--diff"] }));
    expect(preview.stdout).toMatch(/name\s*: "renamed by hand" => "weekly"/);
    expect(preview.stdout).toMatch(/keep: "0" => "30"/);
    await ok(stack.up());
    expect((await ours())[0]).toMatchObject({ id, name: "weekly", metadata: { keep: "30", backup: "tape 7" } });

    await ok(stack.destroy());
    expect(await ours()).toEqual([]);
    expect(stack.providers()).toEqual([]);
  });

  test("a snapshot deleted by hand: refresh sees it gone, up makes it again", async () => {
    declare({ nightly: { args: { volumeId: backend.volumes[0] } } });
    await ok(stack.up());
    const { id } = await resource("nightly");
    await backend.remove(id);
    expect(changes(await ok(stack.refresh()))).toMatchObject({ delete: 1 });
    await ok(stack.up());
    const again = await resource("nightly");
    expect(again.id).not.toBe(id);
    expect((await ours()).map((row) => row.id)).toEqual([again.id]);
    await ok(stack.destroy());
  });

  test("replacement: another volume, another trigger, --replace; the new one first, then the old one goes", async () => {
    const [one, two] = backend.volumes;
    declare({ nightly: { args: { volumeId: one, triggers: ["mon"] } } });
    await ok(stack.up());
    const ids = [(await resource("nightly")).id];
    const replaced = async (result: Result) => {
      expect(changes(result)).toMatchObject({ replace: 1 });
      const { id } = await resource("nightly");
      expect(ids).not.toContain(id);
      expect((await ours()).map((row) => row.id)).toEqual([id]);
      ids.push(id);
    };

    declare({ nightly: { args: { volumeId: two, triggers: ["mon"] } } });
    await replaced(await ok(stack.up()));
    declare({ nightly: { args: { volumeId: two, triggers: ["tue"] } } });
    await replaced(await ok(stack.up()));
    const urn = (await stack.resources()).find(({ id }) => id === ids.at(-1))?.urn ?? "";
    await replaced(await ok(stack.up({ args: ["--replace", urn] })));
    expect(changes(await ok(stack.up()))).toEqual({ same: 2 });
    await ok(stack.destroy());
    expect(await ours()).toEqual([]);
  });

  test("a deadline records what was begun, the next up goes on with it", async () => {
    const volumeId = backend.volumes[0];
    declare({ nightly: { args: { volumeId }, opts: { customTimeouts: { create: "1ms" } } } });
    const late = await fails(stack.up());
    expect(late.stdout + late.stderr).toContain("the next `pulumi up` resumes the wait");
    const { id, outputs, initErrors } = await resource("nightly");
    expect(outputs).toMatchObject({ pending: { operation: "create" }, __provider: expect.any(String) });
    expect(initErrors).toHaveLength(1);

    declare({ nightly: { args: { volumeId } } });
    await ok(stack.up());
    const resumed = await resource("nightly");
    expect(resumed).toMatchObject({ id, outputs: { status: "available" }, initErrors: [] });
    expect(resumed.outputs).not.toHaveProperty("pending");
    expect(await ours()).toHaveLength(1);
    expect(changes(await ok(stack.up()))).toEqual({ same: 2 });
    await ok(stack.destroy());
    expect(await ours()).toEqual([]);
  });

  test("a deadline, then destroy: what was begun is removed", async () => {
    declare({ nightly: { args: { volumeId: backend.volumes[0] }, opts: { customTimeouts: { create: "1ms" } } } });
    await fails(stack.up());
    await ok(stack.destroy());
    expect(await ours()).toEqual([]);
  });

  test.each(["the CLI", "both"])(
    "kill -9 of %s in mid create: the next up adopts, nothing is made twice",
    async (whom) => {
      declare({ nightly: { args: { volumeId: backend.volumes[0], metadata: { keep: "7" } } } });
      const run = stack.start("up");
      const [begun] = await until(async () => {
        const rows = await ours();
        return rows.length > 0 ? rows : undefined;
      });
      const begunBy = attempt(begun);
      const provider = stack.providers()[0];
      if (whom === "both" && provider !== undefined) process.kill(provider, "SIGKILL");
      process.kill(run.pid, "SIGKILL");
      await run.result.catch(() => undefined);
      // An orphan has to leave by itself, within seconds.
      await until(async () => (stack.providers().length === 0 ? true : undefined), 10_000);
      await ok(stack.cancel());

      // The program may have changed in what can be changed.
      declare({ nightly: { args: { volumeId: backend.volumes[0], name: "adopted" } } });
      const up = await ok(stack.up());
      const { id, outputs } = await resource("nightly");
      expect(id).toBe(begun?.id);
      expect(adoptions(up)).toHaveLength(1);
      expect(outputs).toMatchObject({ name: "adopted", status: "available" });
      const rows = await ours();
      expect(rows).toHaveLength(1);
      expect(rows[0]).toMatchObject({ id, name: "adopted" });
      // It bears the adopting create's attempt.
      expect(attempt(rows[0])).toBe(outputs.__attempt);
      expect(attempt(rows[0])).not.toBe(begunBy);
      expect(rows[0]?.metadata).not.toHaveProperty("keep");
      await ok(stack.destroy());
      expect(await ours()).toEqual([]);
    },
  );

  test("kill -9 of the provider alone: Pulumi notes the create as ended, and the next up adopts all the same", async () => {
    declare({ nightly: { args: { volumeId: backend.volumes[0] } } });
    const run = stack.start("up");
    const [begun] = await until(async () => {
      const rows = await ours();
      return rows.length > 0 ? rows : undefined;
    });
    for (const provider of stack.providers()) process.kill(provider, "SIGKILL");
    await fails(run.result);
    const up = await ok(stack.up());
    expect((await resource("nightly")).id).toBe(begun?.id);
    expect(adoptions(up)).toHaveLength(1);
    expect(await ours()).toHaveLength(1);
    await ok(stack.destroy());
    expect(await ours()).toEqual([]);
  });

  test("Ctrl-C in mid create: stops waiting at once, records, and the next up goes on", async () => {
    declare({ nightly: { args: { volumeId: backend.volumes[0] } } });
    const run = stack.start("up");
    const [begun] = await until(async () => {
      const rows = await ours();
      return rows.length > 0 ? rows : undefined;
    });
    run.child.kill("SIGINT");
    const stopped = await fails(run.result);
    const { id, outputs } = await resource("nightly");
    expect(id).toBe(begun?.id);
    // A fast backend may be done before the signal arrives; then there is nothing to go on with.
    if (stopped.stdout.includes("the run was stopped while waiting")) {
      expect(outputs).toMatchObject({ pending: { operation: "create" } });
    }
    await ok(stack.up());
    expect(await resource("nightly")).toMatchObject({ id, outputs: { status: "available" }, initErrors: [] });
    expect(await ours()).toHaveLength(1);
    await ok(stack.destroy());
  });

  test("get reads what exists and leaves it alone; lookups find it", async () => {
    declare({ nightly: { args: { volumeId: backend.volumes[0], name: "to be read", metadata: { a: "1" } } } });
    await ok(stack.up());
    const { id } = await resource("nightly");
    const reader = await newStack({
      name: "reader",
      program: { js: readerOf(id, backend.volumes[0]) },
      config: backend.connections,
    });
    try {
      await ok(reader.up());
      const read = (await reader.resources())[0];
      expect(read).toMatchObject({ id, outputs: { name: "to be read", metadata: { a: "1" }, status: "available" } });
      const { deployment } = await reader.export();
      const outputs = deployment.resources?.find(({ type }) => type === "pulumi:pulumi:Stack")?.outputs;
      expect(outputs).toMatchObject({ byId: id, byName: id, listed: [id], metadata: { a: "1" } });
      await ok(reader.destroy());
      expect((await ours()).map((row) => row.id)).toEqual([id]);
    } finally {
      await reader.close();
    }
    await ok(stack.destroy());
  });

  test("a get of what does not exist is an error, not an empty resource", async () => {
    const reader = await newStack({
      name: "reader",
      program: { js: `require("pulumi-snapclone").Snapshot.get("x", "99999999-9999-4999-8999-999999999999");` },
      config: backend.connections,
    });
    try {
      const result = await fails(reader.up());
      expect(result.stdout).toContain("there is no snapshot with the id 99999999-9999-4999-8999-999999999999");
    } finally {
      await reader.close();
    }
  });

  test("what Cinder refuses is said in a line with its own words", async () => {
    declare({ nightly: { args: { volumeId: "99999999-9999-4999-8999-999999999999", name: "of nothing" } } });
    const result = await fails(stack.up());
    expect(result.stdout).toContain('cannot create snapshot "of nothing"');
    expect(result.stdout).toContain("Volume 99999999-9999-4999-8999-999999999999 could not be found.");
    expect(result.stdout).toMatch(/request id req-/);
    expect(result.stdout).not.toMatch(/^\s+at .*\.js:\d+/m);
    expect(await ours()).toEqual([]);
  });

  test("a wrong password names where it came from, and no secret", async () => {
    await stack.setConfig("snapclone:connections.default.password", `${backend.secret}-wrong`, { secret: true });
    declare({ nightly: { args: { volumeId: backend.volumes[0] } } });
    const result = await fails(stack.up());
    expect(result.stdout).toContain("snapclone:connections.default");
    expect(result.stdout).toContain("--run-program");
  });

  afterAll(async () => {
    // Whatever was said or stored in all these runs, the password was not among it.
    for (const text of said) {
      expect(text).not.toContain(backend.secret);
      expect(text).not.toContain(encodeURIComponent(backend.secret));
      expect(text).not.toMatch(/gAAAA[\w-]{20}/);
    }
    expect(said.length).toBeGreaterThan(0);
  });
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

async function until<T>(look: () => Promise<T | undefined>, limitMs = 60_000): Promise<T> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (Date.now() > deadline) throw new Error(`not seen within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
