// LinkedTargetSet on the real engine, against the emulator.

import { type Emulator, SEED_SESSIONS, startEmulator } from "../../emulator";
import { describeEngine, newStack, type Result, type Stack } from "./harness";

const SECRET = "Planted-Pa55word/ä&<7>";

describeEngine("LinkedTargetSet on the emulator", () => {
  let cloud: Emulator;
  let stack: Stack;
  const output: string[] = [];

  beforeAll(async () => {
    cloud = await startEmulator({ timings: { viprLink: 1_500, viprUnlink: 300, viprRelink: 300 } });
    cloud.vipr.auth.addUser({ name: "scenario", password: SECRET, role: "admin" });
    stack = await newStack({ program: program({}) });
    const connection = { ...cloud.vipr.connection(), username: "scenario", password: SECRET };
    for (const [key, value] of Object.entries(connection)) {
      await stack.setConfig(`snapclone:connections.default.${key}`, value, { secret: key === "password" });
    }
  });

  afterAll(async () => {
    await stack?.close();
    await cloud?.close();
  });

  const ok = async (running: Promise<Result>): Promise<Result> => {
    const result = await running;
    output.push(result.stdout, result.stderr);
    if (result.code !== 0) throw new Error(`exit code ${result.code}\n${result.stdout}\n${result.stderr}`);
    return result;
  };
  const changes = (result: Result) =>
    result.events.find(({ summaryEvent }) => summaryEvent)?.summaryEvent?.resourceChanges ?? {};
  const set = async () => {
    const [found] = await stack.resources();
    if (!found?.id) throw new Error("no set in the state");
    return { id: found.id, outputs: found.outputs ?? {}, targets: (found.outputs?.targets ?? []) as { id: string }[] };
  };
  const linked = () => cloud.vipr.linkedNames(SEED_SESSIONS.monday).length;
  const posts = (operation: string) => cloud.requests.count({ operation: `sessions.${operation}` });
  const args = { snapshotSessionId: SEED_SESSIONS.monday, targetName: "dev", count: 2 };

  test("count 2 -> 4 -> 1, session A -> B, copy mode, drift, destroy; no token is left", async () => {
    stack.setProgram(program(args));
    await ok(stack.up());
    const first = await set();
    expect(first.outputs).toMatchObject({ ...args, copyMode: "nocopy", promotedVolumes: [] });
    expect(changes(await ok(stack.up()))).toEqual({ same: 2 });

    stack.setProgram(program({ ...args, count: 4 }));
    expect(changes(await ok(stack.up()))).toEqual({ same: 1, update: 1 });
    expect((await set()).targets.slice(0, 2)).toEqual(first.targets);
    expect([linked(), posts("link")]).toEqual([4, 2]);

    stack.setProgram(program({ ...args, count: 1 }));
    await ok(stack.up());
    expect((await set()).targets).toEqual(first.targets.slice(0, 1));
    expect(linked()).toBe(1);

    stack.setProgram(program({ ...args, count: 1, snapshotSessionId: SEED_SESSIONS.tuesday }));
    expect(changes(await ok(stack.up()))).toEqual({ same: 1, update: 1 });
    const moved = await set();
    expect(moved.targets).toMatchObject([{ id: first.targets[0]?.id, snapshotSessionId: SEED_SESSIONS.tuesday }]);
    expect([moved.id, linked()]).toEqual([first.id, 0]);

    const copied = { ...args, copyMode: "copy" };
    stack.setProgram(program(copied));
    expect(changes(await ok(stack.up()))).toEqual({ same: 1, replace: 1 });
    const second = await set();
    expect(second.id).not.toBe(first.id);
    expect(cloud.vipr.active().map(({ id }) => id)).toEqual(second.targets.map(({ id }) => id));

    cloud.vipr.unlinkNow(second.targets[0]?.id ?? "");
    await ok(stack.refresh());
    expect((await set()).outputs.count).toBe(1);

    await ok(stack.destroy());
    expect(cloud.vipr.active()).toEqual([]);
    expect([cloud.vipr.auth.alive, stack.providers()]).toEqual([0, []]);
  });

  test("kill -9 of the provider in mid create: the next up adopts, nothing is linked twice", async () => {
    const before = posts("link");
    stack.setProgram(program(args));
    const run = stack.start("up");
    while (posts("link") === before) await new Promise((resolve) => setTimeout(resolve, 20));
    for (const provider of stack.providers()) process.kill(provider, "SIGKILL");
    expect((await run.result).code).not.toBe(0);
    expect(await stack.resources()).toEqual([]);

    // The program may have changed in what can be changed.
    stack.setProgram(program({ ...args, count: 3 }));
    const up = await ok(stack.up());
    const { id, outputs, targets } = await set();
    const lines = up.events.flatMap(({ diagnosticEvent }) => diagnosticEvent?.message ?? []);
    expect(lines).toContainEqual(expect.stringContaining(`adopted the linked target set ${id}`));
    expect(outputs.count).toBe(3);
    expect(
      cloud.vipr
        .active()
        .map(({ id }) => id)
        .sort(),
    ).toEqual(targets.map(({ id }) => id).sort());
    expect(posts("link")).toBe(before + 2);
  });

  test("kill -9 in mid count-up: the next up counts what was begun", async () => {
    const before = posts("link");
    stack.setProgram(program({ ...args, count: 5 }));
    const run = stack.start("up");
    while (posts("link") === before) await new Promise((resolve) => setTimeout(resolve, 20));
    for (const provider of stack.providers()) process.kill(provider, "SIGKILL");
    await run.result;
    await ok(stack.up());
    expect((await set()).outputs.count).toBe(5);
    expect([linked(), posts("link")]).toEqual([5, before + 1]);
    await ok(stack.destroy());
    expect(cloud.vipr.active()).toEqual([]);
  });

  test("the password: in no state and in no output", async () => {
    expect(output.join("\n")).not.toContain(SECRET);
    expect(JSON.stringify(await stack.export())).not.toContain(SECRET);
  });
});

function program(args: Record<string, unknown>): { js: string } {
  return {
    js: `
const { LinkedTargetSet } = require("pulumi-snapclone");
const args = ${JSON.stringify(args)};
if (args.count) exports.targets = new LinkedTargetSet("dev", args).targets;`,
  };
}
