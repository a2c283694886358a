// ZStack's client against the emulator, and the emulator against the exchanges in docs/wire/zstack.md#s9.

import { type Emulator, startEmulator, ZSTACK_SEED } from "../../emulator";
import { type Clock, systemClock } from "../../provider/core/util/clock";
import { ZStackClient } from "../../provider/zstack/client";
import { resolveZStack } from "../../provider/zstack/connection";
import { newUuid } from "../../provider/zstack/context";
import { hasCode } from "../../provider/zstack/errors";

let emulator: Emulator;
let zstack: ZStackClient;

async function start(options: Parameters<typeof startEmulator>[0] = {}, auth: object = {}): Promise<void> {
  emulator = await startEmulator({ clock: "instant", ...options });
  const config = { ...emulator.zstack.connection(), ...auth };
  const settings = resolveZStack({ name: "default", config, env: {}, cwd: "/", home: "/" });
  const clock: Clock = { ...systemClock, date: () => emulator.clock.now() };
  zstack = new ZStackClient(settings, { clock });
}

afterEach(async () => {
  await zstack.close();
  await emulator.close();
});

/** Sends a request without the client. */
async function raw(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const response = await fetch(`${emulator.url}/zstack/v1${path}`, {
    method,
    headers,
    ...(text === undefined ? {} : { body: text }),
  });
  return { status: response.status, type: response.headers.get("content-type"), text: await response.text() };
}

async function session(): Promise<Record<string, string>> {
  await zstack.queryVmInstances([]);
  return { authorization: `OAuth ${[...emulator.zstack.sessions.keys()].at(-1)}` };
}

const ACTIONS = `/vm-instances/${ZSTACK_SEED.web}/actions`;
const OAUTH = { authorization: "OAuth deadbeef" };

test("client: every call has an operation in the emulator, and every answer fits its schema", async () => {
  await start({ timings: { zstackClone: 0 } });
  expect(await zstack.getVersion()).toBe("5.2.1");
  expect(await zstack.getSupportAPIs()).toContain("APICloneVmInstanceMsg");
  const clone = await zstack.cloneVmInstance(ZSTACK_SEED.db, { names: ["a"], full: true }, { job: newUuid() });
  expect(clone).toMatchObject({ apiTimeout: 129_600_000 });
  expect(await zstack.queryJob(clone.job)).toMatchObject({ is: "done", body: { result: { numberOfClonedVm: 1 } } });
  const [vm] = await zstack.queryVmInstances(["name=a", "state!=Destroyed"]);
  const uuid = vm?.uuid ?? "";
  expect(vm).toMatchObject({ state: "Running", vmNics: [{ ip: expect.any(String) }] });
  expect(vm?.allVolumes?.map(({ type }) => type)).toEqual(["Root", "Data", "Data"]);

  const ended = async (submitted: Promise<{ job: string }>) => zstack.queryJob((await submitted).job);
  const good = { is: "done" };
  expect(await ended(zstack.updateVmInstance(uuid, { name: "b", description: "d" }, newUuid()))).toMatchObject(good);
  expect(await ended(zstack.stopVmInstance(uuid, "grace", newUuid()))).toMatchObject(good);
  expect(await ended(zstack.startVmInstance(uuid, newUuid()))).toMatchObject(good);
  expect(await ended(zstack.createUserTag("VmInstanceVO", uuid, "x::y", newUuid()))).toMatchObject(good);
  expect(await ended(zstack.createUserTag("VmInstanceVO", uuid, "x::y", newUuid()))).toMatchObject({
    is: "failed",
    fault: { codes: ["SYS.1006"] },
  });
  const [tag] = await zstack.queryUserTags([`resourceUuid?=${uuid}`, "tag~=x::%"]);
  expect(await zstack.queryVmInstances(["__userTag__=x::y"])).toMatchObject([{ uuid, name: "b", description: "d" }]);
  expect(await ended(zstack.deleteTag(tag?.uuid ?? "", newUuid()))).toMatchObject(good);
  const [disk] = await zstack.queryVolumes([`vmInstanceUuid=${uuid}`, "type=Data"]);
  // Expunge only from Destroyed, and not twice.
  expect(await ended(zstack.expungeVmInstance(uuid, newUuid()))).toMatchObject({
    is: "failed",
    fault: { codes: ["SYS.1006", "VM.1010"] },
  });
  expect(await ended(zstack.destroyVmInstance(uuid, newUuid()))).toMatchObject(good);
  expect(await zstack.queryVmInstances([`uuid=${uuid}`])).toMatchObject([{ state: "Destroyed" }]);
  expect(await zstack.queryVolumes([`lastVmInstanceUuid=${uuid}`])).toHaveLength(2);
  expect(await ended(zstack.deleteDataVolume(disk?.uuid ?? "", newUuid()))).toMatchObject(good);
  expect(await ended(zstack.expungeDataVolume(disk?.uuid ?? "", newUuid()))).toMatchObject(good);
  expect(await ended(zstack.expungeVmInstance(uuid, newUuid()))).toMatchObject(good);
  expect(await ended(zstack.expungeVmInstance(uuid, newUuid()))).toMatchObject({
    is: "failed",
    fault: { codes: ["SYS.1003"] },
  });
  expect(await ended(zstack.destroyVmInstance(uuid, newUuid()))).toMatchObject(good);
  expect(emulator.requests.count({ operation: "unrouted" })).toBe(0);
});

test("access keys: a signature with the server's wall clock is accepted, and one of another zone is refused", async () => {
  const key = {
    accountName: undefined,
    password: undefined,
    accessKeyId: ZSTACK_SEED.accessKeyId,
    accessKeySecret: ZSTACK_SEED.accessKeySecret,
  };
  await start({}, { ...key, timeZone: "Asia/Shanghai" });
  expect(await zstack.queryVmInstances(["name=web"])).toHaveLength(1);
  expect(emulator.requests.count({ operation: "accounts.login" })).toBe(0);
  emulator.zstack.settings.offsetMinutes = 0;
  await expect(zstack.queryVmInstances([])).rejects.toThrow(/requestTimeTooSkewed[\s\S]*Asia\/Shanghai/);
  emulator.zstack.settings.offsetMinutes = 480;
  await zstack.close();
  await emulator.close();
  await start({}, { ...key, accessKeySecret: "another secret", timeZone: "+08:00" });
  await expect(zstack.queryVmInstances([])).rejects.toThrow(/wrong accessKey signature/);
});

test("lost session: a query fails at once, and a change fails in its job without an effect", async () => {
  await start();
  await session();
  emulator.zstack.endAllSessions();
  const { job } = await zstack.cloneVmInstance(ZSTACK_SEED.web, { names: ["a"] }, { job: newUuid() });
  expect(await zstack.queryJob(job)).toMatchObject({ is: "failed", fault: { codes: ["ID.1001"] } });
  expect(emulator.zstack.vms.size).toBe(2);
  const error = await raw("GET", "/vm-instances", undefined, OAUTH);
  expect([error.status, JSON.parse(error.text).error.code]).toEqual([503, "ID.1001"]);
});

test("login: ends all other sessions with enable.unique.session", async () => {
  await start({ zstack: { uniqueSession: true } });
  const { authorization } = await session();
  const login = { logInByAccount: { accountName: "admin", password: "0" } };
  expect((await raw("PUT", "/accounts/login", login)).status).toBe(503);
  emulator.zstack.endAllSessions();
  await zstack.queryVmInstances([]);
  expect((await session()).authorization).not.toBe(authorization);
});

test("logOut: leaves no session behind", async () => {
  await start();
  await zstack.logOut();
  expect(emulator.requests.length).toBe(0);
  await zstack.queryVmInstances([]);
  expect(emulator.zstack.sessions.size).toBe(1);
  await zstack.logOut();
  expect(emulator.zstack.sessions.size).toBe(0);
  expect(await zstack.queryVmInstances(["name=web"])).toHaveLength(1);
});

test("control: another process can change the emulator", async () => {
  await start();
  const tell = (method: string, path: string, body?: unknown) =>
    fetch(`${emulator.url}/_emulator/${path}`, { method, ...(body ? { body: JSON.stringify(body) } : {}) });
  expect((await tell("POST", "zstack/clone-behaviours", { outcome: "none" })).status).toBe(400);
  expect((await tell("PATCH", "zstack/settings", { verison: "1" })).status).toBe(400);
  expect((await tell("PATCH", "zstack/settings", { version: "4.4.0" })).status).toBe(200);
  expect(await zstack.getVersion()).toBe("4.4.0");
  const rule = { match: { name: "re:^b" }, outcome: "no-host" };
  expect((await tell("POST", "zstack/clone-behaviours", rule)).status).toBe(201);
  const { job } = await zstack.cloneVmInstance(ZSTACK_SEED.web, { names: ["a", "b"] }, { job: newUuid() });
  expect(await zstack.queryJob(job)).toMatchObject({ body: { result: { numberOfClonedVm: 1 } } });
  expect((await tell("DELETE", `zstack/vms/${emulator.zstack.named("a")?.uuid}`)).status).toBe(200);
  expect((await tell("DELETE", "tokens")).status).toBe(200);
  expect([emulator.zstack.vms.size, emulator.zstack.sessions.size]).toEqual([2, 0]);
  const rows = (await (await tell("GET", "state")).json()) as { services: { zstack: { vms: unknown[] } } };
  expect(rows.services.zstack.vms).toHaveLength(2);
});

test("jobs: report their progress, and are purged after three hours", async () => {
  await start({ clock: "manual" });
  const { job } = await zstack.cloneVmInstance(ZSTACK_SEED.web, { names: ["a"] }, { job: newUuid() });
  expect([await zstack.queryJob(job), await zstack.progress(job)]).toEqual([{ is: "running" }, "10"]);
  emulator.clock.tick(1000);
  expect(await zstack.progress(job)).toBe("45");
  emulator.clock.tick(1000);
  expect((await zstack.queryJob(job)).is).toBe("done");
  emulator.clock.tick(10_800_000);
  expect(await zstack.queryJob(job)).toEqual({ is: "gone" });
});

test("client: reads a setting, which has no uuid that rows could be sorted by", async () => {
  await start({ zstack: { deleteDataVolumes: true } });
  expect(await zstack.globalConfig("vm", "dataVolume.deleteOnVmDestroy")).toBe("true");
  expect(await zstack.globalConfig("vm", "uniqueVmName")).toBe("false");
});

test("client: reads numbers that are sent as doubles", async () => {
  await start({ zstack: { floats: true } });
  const text = (await raw("GET", `/vm-instances/${ZSTACK_SEED.web}`, undefined, await session())).text;
  expect(text).toContain('"memorySize":8.589934592E9');
  expect(text).toContain('"cpuNum":1.0');
  const [vm] = await zstack.queryVmInstances([`uuid=${ZSTACK_SEED.web}`]);
  expect(vm?.allVolumes?.[0]?.size).toBe(107_374_182_400);
});

test("jobs: before 4.5 the server executes the same job id twice", async () => {
  await start({ zstack: { version: "4.4.0" } });
  const job = newUuid();
  const send = () => zstack.cloneVmInstance(ZSTACK_SEED.web, { names: ["a"] }, { job });
  await send();
  await send();
  await zstack.queryJob(job);
  expect(await zstack.queryVmInstances(["name=a"])).toHaveLength(2);
});

test("queries: a name that contains an operator is misread, as by RestServer", async () => {
  await start();
  emulator.zstack.addVm({ name: "a>=b" });
  await expect(zstack.queryVmInstances(["name=a>=b"])).rejects.toThrow(/SYS\.1000/);
  expect(await zstack.queryVmInstances(["name~=a%"])).toHaveLength(1);
});

describe("refusals (docs/wire/zstack.md#s9-5, #s9-9)", () => {
  beforeEach(() => start());

  test.each<[string, string, unknown, Record<string, string>, number, RegExp]>([
    ["PUT", ACTIONS, { startVmInstance: {} }, {}, 400, /^missing header 'Authorization'$/],
    [
      "PUT",
      ACTIONS,
      { startVmInstance: {} },
      { authorization: "Bearer x" },
      400,
      /^Authorization type must be 'OAuth'$/,
    ],
    [
      "PUT",
      ACTIONS,
      { cloneVm: {} },
      {},
      400,
      /^the body doesn't contain action mapping to the URL\[\/v1\/vm-instances/,
    ],
    ["PUT", ACTIONS, { startVmInstance: {} }, { ...OAUTH, "x-job-uuid": "1".repeat(31) }, 400, /must be a UUID/],
    [
      "PUT",
      ACTIONS,
      { cloneVmInstance: { full: "yes" } },
      OAUTH,
      400,
      /^Invalid value for boolean field \[full\], \[yes\]/,
    ],
    ["PUT", ACTIONS, "{", OAUTH, 400, /action mapping|Json/],
    ["GET", "/vm-instances?q=name", undefined, OAUTH, 400, /^Invalid query parameter/],
    ["GET", "/vm-instances", undefined, OAUTH, 503, /ID\.1001/],
    ["GET", "/nonsense", undefined, {}, 404, /^no api mapping to \/v1\/nonsense$/],
    ["GET", `/api-jobs/${"0".repeat(32)}`, undefined, {}, 404, /^the job has been expired$/],
    ["POST", `/api-jobs/${"0".repeat(32)}`, undefined, {}, 405, /GET/],
  ])("server: answers %s %s %j with the documented refusal", async (method, path, body, headers, status, message) => {
    const answer = await raw(method, path, body, headers);
    expect([answer.status === 500 ? 400 : answer.status, answer.type]).toEqual([status, null]);
    expect(answer.text).toMatch(message);
  });

  test("queries: an unknown VM gives an empty list, and a bad condition a 400", async () => {
    const signed = await session();
    const unknown = await raw("GET", "/vm-instances/00000000000041118000000000000000", undefined, signed);
    expect([unknown.status, JSON.parse(unknown.text)]).toEqual([200, { inventories: [], schema: {} }]);
    expect((await raw("GET", "/vm-instances?q=name", undefined, signed)).status).toBe(400);
  });

  test.each([
    [{ names: [] }, "SYS.1007"],
    [{ names: ["a"], strategy: "Foo" }, "SYS.1007"],
    [{ names: ["a"], extra: "ignored" }, undefined],
  ])("jobs: %j is accepted first, and refused in the job if it is wrong", async (cloneVmInstance, code) => {
    const job = newUuid();
    const headers = { ...(await session()), "x-job-uuid": job };
    const answer = await raw("PUT", ACTIONS, { cloneVmInstance }, headers);
    expect([answer.status, answer.text]).toEqual([202, expect.stringContaining("http://172.20.14.227:8080")]);
    const end = await zstack.queryJob(job);
    expect(end.is === "failed" ? end.fault.codes[0] : undefined).toBe(code);
    expect((await raw("PUT", ACTIONS, { cloneVmInstance }, headers)).text).toBe(`Duplicate job uuid[${job}]`);
  });

  test("clone: refuses a system tag without a pattern and drops user tags", async () => {
    const request = { names: ["a"] };
    const { job } = await zstack.cloneVmInstance(ZSTACK_SEED.web, request, { job: newUuid(), systemTags: ["mine::1"] });
    expect(await zstack.queryJob(job)).toMatchObject({ is: "failed", fault: { codes: ["SYS.1007"] } });
    const body = { cloneVmInstance: { names: ["b"] }, userTags: ["mine"] };
    await raw("PUT", ACTIONS, body, await session());
    const vm = emulator.zstack.named("b");
    expect(emulator.zstack.tagsOf(vm?.uuid ?? "")).toEqual([]);
  });

  test("jobError: keeps codes and Chinese details", async () => {
    const error: unknown = await zstack.updateVmInstance(ZSTACK_SEED.web, {}, newUuid()).then(async ({ job }) => {
      const end = await zstack.queryJob(job);
      return end.is === "failed" ? zstack.jobError(end.fault, job) : undefined;
    });
    expect(error).toBeUndefined();
    const vm = emulator.zstack.vms.get(ZSTACK_SEED.web);
    if (vm) vm.state = "Error";
    const { job } = await zstack.startVmInstance(ZSTACK_SEED.web, newUuid());
    const end = await zstack.queryJob(job);
    const failed = end.is === "failed" ? zstack.jobError(end.fault, job) : undefined;
    expect([hasCode(failed, "VM.1010"), failed?.kind]).toEqual([true, "failed"]);
    expect(failed?.message).toMatch(/SYS\.1006: 错误信息/);
  });
});
