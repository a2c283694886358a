// ClonedVm on the real engine, against the emulator: one stack, its whole life.

import { type Emulator, startEmulator, ZSTACK_SEED } from "../../emulator";
import { describeEngine, newStack, type Result, type Stack } from "./harness";

const PASSWORD = "Planted-Pa55word/ä&<7>";

describeEngine("ClonedVm on the emulator", () => {
  let emulator: Emulator;
  let stack: Stack;
  const output: string[] = [];

  beforeAll(async () => {
    const timings = { zstackImage: 400, zstackClone: 200, zstackAction: 100 };
    emulator = await startEmulator({ timings });
    emulator.zstack.accounts.set("admin", PASSWORD);
    const { password: _, ...connection } = emulator.zstack.connection();
    stack = await newStack({ program: program({}), config: { default: connection } });
    await stack.setConfig("snapclone:connections.default.password", PASSWORD, { secret: true });
  });

  afterAll(async () => {
    await stack.close();
    await emulator.close();
  });

  const declare = (args: object) => stack.setProgram(program({ vmInstanceUuid: ZSTACK_SEED.web, ...args }));
  const ok = async (running: Promise<Result>): Promise<Result> => {
    const result = await running;
    output.push(result.stdout, result.stderr);
    if (result.code !== 0) throw new Error(`exit code ${result.code}\n${result.stdout}\n${result.stderr}`);
    return result;
  };
  const changes = (result: Result) =>
    result.events.find(({ summaryEvent }) => summaryEvent)?.summaryEvent?.resourceChanges ?? {};
  const clones = () => emulator.zstack.living().filter(({ name }) => name !== "web" && name !== "db");
  const names = () =>
    clones()
      .map(({ name }) => name)
      .sort();
  const state = async () => {
    const [found] = await stack.resources();
    return { id: found?.id ?? "", outputs: found?.outputs ?? {}, initErrors: found?.initErrors ?? [] };
  };
  const sourceTags = () => emulator.zstack.tagsOf(ZSTACK_SEED.web);
  const asked = () => emulator.requests.count({ operation: "vms.cloneVmInstance" });

  test("names 2 → 3 → 1, power off and on, partial success", async () => {
    declare({ names: ["web-1", "web-2"], userTags: ["team::shop"] });
    await ok(stack.up());
    const { id, outputs } = await state();
    expect(outputs.vms).toMatchObject([
      { name: "web-1", state: "Running", ips: [expect.any(String)] },
      { name: "web-2", state: "Running" },
    ]);
    expect([names(), asked(), sourceTags()]).toEqual([["web-1", "web-2"], 1, []]);
    expect(changes(await ok(stack.up()))).toEqual({ same: 2 });

    // One of three can't be cloned: the others are there, the next run clones that one.
    emulator.zstack.cloneBehaviour({ match: { name: "web-4" }, outcome: "no-host", times: 1 });
    declare({ names: ["web-1", "web-2", "web-3", "web-4"], userTags: ["team::shop"] });
    const partly = await stack.up();
    output.push(partly.stdout, partly.stderr);
    expect(partly.code).not.toBe(0);
    expect(partly.stdout).toMatch(/web-4 could not be cloned \(cloned: .*web-3.*\)/);
    expect(await state()).toMatchObject({ id, outputs: { names: ["web-1", "web-2", "web-3"] } });
    await ok(stack.up());
    expect(names()).toEqual(["web-1", "web-2", "web-3", "web-4"]);

    declare({ names: ["web-3"], powerState: "Stopped" });
    expect(changes(await ok(stack.up()))).toEqual({ same: 1, update: 1 });
    expect(clones()).toMatchObject([{ name: "web-3", state: "Stopped" }]);

    // Somebody wakes it, half: refresh shows what it is.
    for (const vm of clones()) vm.state = "Paused";
    await ok(stack.refresh());
    expect((await state()).outputs).toMatchObject({ powerState: "Paused", vms: [{ state: "Paused" }] });
    declare({ names: ["web-3"], powerState: "Running" });
    await ok(stack.up());
    expect(clones()).toMatchObject([{ name: "web-3", state: "Running" }]);
    expect((await state()).id).toBe(id);
    await ok(stack.destroy());
    expect([names(), sourceTags()]).toEqual([[], []]);
    // Each run has signed out.
    expect(emulator.zstack.sessions.size).toBe(0);
  });

  test("kill -9 before there are any VMs: the next up adopts, no second set", async () => {
    emulator.zstack.timings.zstackImage = 3_000;
    declare({ names: ["web-1", "web-2"] });
    const before = asked();
    const run = stack.start("up");
    while (asked() === before) await new Promise((resolve) => setTimeout(resolve, 20));
    const [provider] = stack.providers();
    if (provider !== undefined) process.kill(provider, "SIGKILL");
    process.kill(run.pid, "SIGKILL");
    await run.result.catch(() => undefined);
    expect([names(), sourceTags()]).toEqual([[], [expect.stringMatching(/^snapclone::intent::/)]]);
    await ok(stack.cancel());

    declare({ names: ["web-2", "web-3"] });
    emulator.zstack.timings.zstackImage = 400;
    await ok(stack.up());
    expect([names(), sourceTags()]).toEqual([["web-2", "web-3"], []]);
    // One call of the killed run, one for the name that was new.
    expect(asked()).toBe(before + 2);
    await ok(stack.destroy());
    expect(names()).toEqual([]);
  });

  test("a full clone goes with its disks, or leaves them", async () => {
    const disks = () =>
      [...emulator.zstack.volumes.values()]
        .filter(({ name, status }) => name.endsWith("-clone") && status === "Ready")
        .map(({ vmInstanceUuid }) => vmInstanceUuid !== null);
    const full = { vmInstanceUuid: ZSTACK_SEED.db, names: ["db-1"], full: true, deletion: "expunge" };
    declare(full);
    await ok(stack.up());
    expect(disks()).toEqual([true, true]);
    await ok(stack.destroy());
    expect([disks(), names()]).toEqual([[], []]);

    declare({ ...full, keepDataVolumes: true });
    await ok(stack.up());
    await ok(stack.destroy());
    expect([disks(), names()]).toEqual([[false, false], []]);
  });

  test("bad input is refused in the preview, all at once, and a dry run asks the server", async () => {
    const before = emulator.requests.length;
    declare({ names: ["a", "a", "b!=c"], hostUuid: ZSTACK_SEED.host, clusterUuid: ZSTACK_SEED.cluster });
    const refused = await stack.preview();
    expect(refused.code).not.toBe(0);
    for (const text of ["names[2]", "hostUuid"]) expect(refused.stdout).toContain(text);
    expect(emulator.requests.length).toBe(before);

    declare({ vmInstanceUuid: "00000000000041118000000000000000", names: ["a"] });
    await stack.setConfig("snapclone:connections.default.dryRun", "true");
    const rehearsed = await stack.preview();
    expect(rehearsed.code).not.toBe(0);
    expect(rehearsed.stdout).toMatch(/vmInstanceUuid[\s\S]*SYS\.1003/);
    expect(names()).toEqual([]);
  });

  test("the password: in no state and in no output", async () => {
    const all = [...output, JSON.stringify(await stack.export())].join("\n");
    expect(output.length).toBeGreaterThan(0);
    expect(all).not.toContain(PASSWORD);
    expect(all).not.toContain(JSON.stringify(PASSWORD).slice(1, -1));
    for (const uuid of emulator.zstack.sessions.keys()) expect(all).not.toContain(uuid);
  });
});

function program(args: object): { js: string } {
  return {
    js: `
const { ClonedVm } = require("pulumi-snapclone");
const args = ${JSON.stringify(args)};
if (args.names) exports.vms = new ClonedVm("web", args).vms;`,
  };
}
