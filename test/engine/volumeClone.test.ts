// VolumeClone on the real engine, against the emulator: one stack, the whole life of a set of three.

import { type Emulator, startEmulator, type VolumeRow } from "../../emulator";
import { describeEngine, newStack, type Result, type Stack } from "./harness";

const SOURCES = [
  "11111111-1111-4111-8111-111111111111",
  "22222222-2222-4222-8222-222222222222",
  "33333333-3333-4333-8333-333333333333",
];
const SECRET = "Planted-Pa55word/ä&<7>";

describeEngine("VolumeClone on the emulator", () => {
  let cloud: Emulator;
  let stack: Stack;
  const output: string[] = [];

  beforeAll(async () => {
    cloud = await startEmulator({ timings: { cloneStep: 60, volumeDelete: 300 } });
    cloud.cinder.createVolume({ id: SOURCES[2] ?? "", name: "temp", size: 5 });
    const user = cloud.keystone.createUser({ name: "operator", password: SECRET });
    cloud.keystone.assign(user.id, cloud.cinder.projectId, ["member"]);
    stack = await newStack({ program: program({}) });
    const connection = { ...cloud.powervc.connection(), username: "operator", password: SECRET };
    for (const [key, value] of Object.entries(connection)) {
      await stack.setConfig(`snapclone:connections.default.${key}`, value, { secret: key === "password" });
    }
  });

  afterAll(async () => {
    await stack.close();
    await cloud.close();
    for (const text of output) {
      expect(text).not.toContain(SECRET);
      expect(text).not.toMatch(/gAAAA[\w-]{20}/);
    }
    expect(output.length).toBeGreaterThan(0);
  });

  const ok = async (running: Promise<Result>): Promise<Result> => {
    const result = await running;
    output.push(result.stdout, result.stderr);
    if (result.code !== 0) throw new Error(`exit code ${result.code}\n${result.stdout}\n${result.stderr}`);
    return result;
  };
  const fails = async (running: Promise<Result>): Promise<string> => {
    const result = await running;
    output.push(result.stdout, result.stderr);
    expect(result.code).not.toBe(0);
    return result.stdout + result.stderr;
  };
  const changes = (result: Result) =>
    result.events.find(({ summaryEvent }) => summaryEvent)?.summaryEvent?.resourceChanges ?? {};
  const declare = (args: object, opts: object = {}) => stack.setProgram(program({ volumes: SOURCES, ...args }, opts));
  const resource = async () => {
    const [found] = await stack.resources();
    if (!found?.id) throw new Error("nothing in the state");
    return { id: found.id, outputs: found.outputs ?? {}, initErrors: found.initErrors ?? [] };
  };
  const clones = (): VolumeRow[] => {
    cloud.powervc.advance();
    return [...cloud.cinder.volumes.values()].filter(({ id }) => !SOURCES.includes(id));
  };
  const names = () =>
    clones()
      .map(({ name }) => name)
      .sort();
  const records = () =>
    SOURCES.flatMap((id) =>
      Object.keys(cloud.cinder.volumes.get(id)?.metadata ?? {}).filter((key) => /snapclone/.test(key)),
    );
  const requests = () => cloud.requests.count({ operation: "clones.create" });

  test("a deadline and resume, no-op, rename in place, one deleted by hand, a flow that is REVERTED, destroy", async () => {
    declare({ displayName: "before", description: "v1" }, { customTimeouts: { create: "1ms" } });
    expect(await fails(stack.up())).toContain("the next `pulumi up` resumes the wait");
    const begun = await resource();
    expect(begun.outputs).toMatchObject({ pending: { operation: "create", task: { taskId: expect.any(String) } } });
    expect(begun.initErrors).toHaveLength(1);
    declare({ displayName: "before", description: "v1" });
    await ok(stack.up());
    const { id, outputs, initErrors } = await resource();
    expect([id, initErrors, requests()]).toEqual([begun.id, [], 1]);
    expect(outputs).toMatchObject({
      clonedVolumes: SOURCES.map((sourceId, n) => ({ sourceId, name: `clone-before-${n + 1}`, description: "v1" })),
      flow: { cloneFlow: "SUCCESS" },
    });
    expect(Object.keys(outputs.clones as object)).toEqual(SOURCES);
    expect(outputs).not.toHaveProperty("pending");
    expect(changes(await ok(stack.up()))).toEqual({ same: 2 });
    expect(records()).toEqual([]);

    declare({ displayName: "after" });
    expect(changes(await ok(stack.up()))).toEqual({ same: 1, update: 1 });
    expect(names()).toEqual(["clone-after-1", "clone-after-2", "clone-after-3"]);
    expect(clones().map(({ description }) => description)).toEqual([null, null, null]);
    expect((await resource()).id).toBe(id);

    // One deleted by hand: the refresh says what follows, the preview shows a replacement of the whole.
    const [gone] = clones().filter(({ source_volid }) => source_volid === SOURCES[1]);
    cloud.cinder.removeVolume(gone?.id ?? "");
    const refreshed = await ok(stack.refresh());
    expect(refreshed.stdout).toContain(`1 of 3 clones are gone: those of ${SOURCES[1]}`);
    expect((await resource()).outputs).toMatchObject({ volumes: SOURCES, missing: [SOURCES[1]] });
    const preview = await ok(stack.preview({ args: ["--diff"] }));
    expect(changes(preview)).toMatchObject({ replace: 1 });
    cloud.powervc.failNext("wait_for_group_snapshot", "EXP0023E: no space in pool 7");
    expect(await fails(stack.up())).toMatch(
      /REVERTED.*EXP0023E: no space in pool 7\. No volume of the set is left behind/,
    );
    expect(clones()).toHaveLength(2);
    const rows = (await ok(stack.up())).events.flatMap(({ diagnosticEvent }) => diagnosticEvent?.message ?? []);
    expect(rows.filter((text) => /\d+ % · \w+/.test(text))).not.toEqual([]);
    const healed = await resource();
    expect(healed.id).not.toBe(id);
    expect(names()).toEqual(["clone-after-1", "clone-after-2", "clone-after-3"]);
    expect(new Set(clones().map(({ id: clone }) => clone))).toEqual(
      new Set(Object.values(healed.outputs.clones as object)),
    );
    expect(requests()).toBe(3);

    await ok(stack.destroy());
    expect([clones(), records()]).toEqual([[], []]);
  });

  test("kill -9 of the provider in mid flow: the next up adopts, and nothing is made twice", async () => {
    const before = requests();
    declare({ displayName: "first" });
    const slow = cloud.powervc.behaviour({ step: "wait_for_group_snapshot", takes: 3_000, times: 1 });
    const run = stack.start("up");
    // Killed as soon as PowerVC has accepted it, while no clone exists yet.
    const limit = Date.now() + 60_000;
    while (cloud.powervc.tasks.size === before && Date.now() < limit)
      await new Promise((resolve) => setTimeout(resolve, 20));
    const provider = stack.providers()[0];
    if (provider === undefined) throw new Error("no provider process");
    process.kill(provider, "SIGKILL");
    await run.result.catch(() => undefined);
    expect(clones()).toEqual([]);
    expect(records().length).toBeGreaterThan(0);
    slow.remove();

    declare({ displayName: "second" });
    await ok(stack.up());
    expect(requests() - before).toBe(1);
    expect(names()).toEqual(["clone-second-1", "clone-second-2", "clone-second-3"]);
    expect(records()).toEqual([]);
    await ok(stack.destroy());
    expect([clones(), records()]).toEqual([[], []]);
  });
});

function program(args: object, opts: object = {}): { js: string } {
  return {
    js: `
const { VolumeClone } = require("pulumi-snapclone");
const args = ${JSON.stringify(args)};
if (args.volumes) {
  const set = new VolumeClone("db", args, ${JSON.stringify(opts)});
  exports.clones = set.clones;
  exports.first = set.clonedVolumes[0].name;
}`,
  };
}
