// ZStack's own Java SDK against the emulator: each call that ClonedVm uses, and the calls around them that a user's tools
// make. The SDK makes typed objects of the answers by their schema, and crashes on what does not fit.

import { type Emulator, startEmulator, ZSTACK_SEED } from "../../emulator";
import { JavaClient, missingTools } from "./javaClient";
import { type Answer, misfits } from "./zstackFields";

const reason = missingTools();
if (reason !== undefined) console.warn(`ZStack's Java SDK is not run: ${reason}`);
const suite = reason === undefined ? describe : describe.skip;

suite("ZStack's Java SDK", () => {
  let emulator: Emulator;
  let sdk: JavaClient;
  let sessionId: string;

  beforeAll(async () => {
    emulator = await startEmulator({ timings: { zstackImage: 50, zstackClone: 50, zstackAction: 20 } });
    const { port } = new URL(emulator.url);
    sdk = JavaClient.start("ZStackCalls", "zstack-sdk.jar", "zstack-pom.xml", [], [port]);
    emulator.zstack.settings.locale = "en_US";
    const { value } = await call("LogInByAccount", { accountName: "admin", password: sha512("password") });
    sessionId = value.inventory.uuid;
  }, 600_000);

  afterAll(async () => {
    await sdk?.stop();
    await emulator?.close();
  });

  /**
   * Runs a call. Whatever it answers, the SDK has to know each field, to have a class for each object, and to find each
   * field that the server always sends.
   */
  async function call(action: string, fields: object = {}): Promise<Answer> {
    const answer = await sdk.call<Answer>({ action, fields });
    expect({ action, crash: answer.crash }).toEqual({ action, crash: undefined });
    expect({ action, ...misfits(answer, "fields" in fields) }).toEqual({
      action,
      untyped: [],
      unknown: [],
      missing: [],
    });
    return answer;
  }

  const run = (action: string, fields: object = {}) => call(action, { ...fields, sessionId });

  test("login: the session is typed, a wrong password is the server's error", async () => {
    const { value, classes } = await call("LogInByAccount", { accountName: "admin", password: sha512("password") });
    expect(classes).toEqual({ inventory: "SessionInventory" });
    expect(value.inventory.expiredDate).toEqual(expect.any(String));
    expect(await call("ValidateSession", { sessionUuid: value.inventory.uuid })).toMatchObject({
      value: { valid: true },
    });
    await call("LogOut", { sessionUuid: value.inventory.uuid });
    expect(await call("ValidateSession", { sessionUuid: value.inventory.uuid })).toMatchObject({
      value: { valid: false },
    });
    const refused = await call("LogInByAccount", { accountName: "admin", password: sha512("other") });
    // Of a synchronous call's error the SDK shows the body only.
    expect(refused.error?.details).toContain('"code":"ID.1000"');
  });

  test("access keys are accepted in place of a session", async () => {
    emulator.zstack.settings.offsetMinutes = -new Date().getTimezoneOffset();
    const { accessKeyId, accessKeySecret } = ZSTACK_SEED;
    const { value } = await call("QueryVmInstance", { conditions: ["name=web"], accessKeyId, accessKeySecret });
    expect(value.inventories).toHaveLength(1);
  });

  test("a query's VMs are typed to the last object", async () => {
    const { value, classes } = await run("QueryVmInstance", { conditions: ["name=db"] });
    expect(value.inventories).toMatchObject([{ uuid: ZSTACK_SEED.db, state: "Running", vmNics: [{ deviceId: 0 }] }]);
    expect(classes).toEqual({
      "inventories[0]": "VmInstanceInventory",
      "inventories[0].vmNics[0]": "VmNicInventory",
      "inventories[0].vmNics[0].usedIps[0]": "UsedIpInventory",
      "inventories[0].allVolumes[0]": "VolumeInventory",
      "inventories[0].allVolumes[1]": "VolumeInventory",
      "inventories[0].allVolumes[2]": "VolumeInventory",
    });
  });

  test("a query pages, sorts, counts and selects fields", async () => {
    const names = async (fields: object) => {
      const { value } = await run("QueryVolume", fields);
      return { names: value.inventories?.map(({ name }: { name: string }) => name), total: value.total };
    };
    const conditions = ["type=Data"];
    expect(await names({ conditions, sortBy: "name", sortDirection: "desc" })).toEqual({ names: ["logs", "data"] });
    expect(await names({ conditions, sortBy: "name", sortDirection: "asc", start: 1, limit: 1 })).toEqual({
      names: ["logs"],
    });
    expect(await names({ conditions, count: true })).toEqual({ total: 2 });
    expect(await names({ conditions, limit: 1, replyWithCount: true })).toMatchObject({ total: 2 });
    const { value } = await run("QueryVolume", { conditions, fields: ["uuid", "size"], limit: 1 });
    expect(Object.keys(value.inventories[0]).sort()).toEqual(["size", "uuid"]);
  });

  test("each operator of a query", async () => {
    const found = async (...conditions: string[]) => {
      const { value, error } = await run("QueryVmInstance", { conditions });
      return error?.details ?? value.inventories.map(({ name }: { name: string }) => name).sort();
    };
    expect(await found("name=web")).toEqual(["web"]);
    expect(await found("name~=d%")).toEqual(["db"]);
    expect(await found("name?=web,db")).toEqual(["db", "web"]);
    expect(await found("name!=web", "state=Running")).toEqual(["db"]);
    expect(await found("name!?=web,other")).toEqual(["db"]);
    expect(await found("name!~=%e%")).toEqual(["db"]);
    expect(await found("description is null", "uuid not null")).toEqual(["db", "web"]);
    expect(await found("memorySize>1", "cpuNum<9")).toEqual(["db", "web"]);
    expect(await found("memorySize>=8589934592", "cpuNum<=1")).toEqual(["db", "web"]);
    expect([await found("memorySize>8589934592"), await found("cpuNum<1")]).toEqual([[], []]);
    expect(await found("hypervisorType=KVM", "vmNics.ip~=192.168.%")).toEqual(["db", "web"]);
    expect(await found("nothing")).toContain("doesn't contain any query operator");
    expect(await found("nonsense=1")).toContain("not having field[nonsense]");
  });

  test("a clone's result is typed, also where one VM of it failed", async () => {
    emulator.zstack.cloneBehaviour({ outcome: "start-failed", match: { name: "c2" } });
    const fields = { vmInstanceUuid: ZSTACK_SEED.db, names: ["c1", "c2"], strategy: "InstantStart", full: true };
    const { value, classes, error } = await run("CloneVmInstance", fields);
    expect(error).toBeUndefined();
    expect(value.result.numberOfClonedVm).toBe(1);
    expect(classes).toMatchObject({
      result: "CloneVmInstanceResults",
      "result.inventories[0]": "CloneVmInstanceInventory",
      "result.inventories[0].inventory": "VmInstanceInventory",
    });
    expect(Object.values(classes ?? {})).toContain("ErrorCodeList");
  });

  test("a clone of an unknown VM, and one with a strange strategy, are the server's errors", async () => {
    const unknown = await run("CloneVmInstance", { vmInstanceUuid: "0".repeat(32), names: ["n"] });
    expect(unknown.error).toMatchObject({ code: "SYS.1003" });
    emulator.zstack.settings.edition = "community";
    const refused = await run("CloneVmInstance", { vmInstanceUuid: ZSTACK_SEED.web, names: ["n"] });
    emulator.zstack.settings.edition = "enterprise";
    expect(refused.error?.details).toContain("doesn't contain action mapping");
  });

  test("a VM's life: stop, start, pause, resume, reboot, rename, destroy, recover, expunge", async () => {
    const { value } = await run("CloneVmInstance", {
      vmInstanceUuid: ZSTACK_SEED.web,
      names: ["life"],
      strategy: "InstantStart",
    });
    const { uuid } = value.result.inventories[0].inventory;
    const state = async (action: string, fields: object = { uuid }) => {
      const answer = await run(action, fields);
      if (answer.error) return answer.error.code;
      if (answer.value.inventory) expect(answer.classes?.inventory).toBe("VmInstanceInventory");
      const { value: now } = await run("QueryVmInstance", { conditions: [`uuid=${uuid}`] });
      return now.inventories[0]?.state;
    };
    expect(await state("StopVmInstance")).toBe("Stopped");
    expect(await state("StartVmInstance")).toBe("Running");
    expect(await state("PauseVmInstance")).toBe("Paused");
    expect(await state("ResumeVmInstance")).toBe("Running");
    expect(await state("RebootVmInstance")).toBe("Running");
    expect(await state("UpdateVmInstance", { uuid, name: "renamed", description: "d" })).toBe("Running");
    expect(await state("ExpungeVmInstance")).toBe("SYS.1006");
    expect(await state("DestroyVmInstance")).toBe("Destroyed");
    expect(await state("RecoverVmInstance")).toBe("Stopped");
    expect(await state("DestroyVmInstance")).toBe("Destroyed");
    expect(await state("ExpungeVmInstance")).toBeUndefined();
  });

  test("tags: made, found, refused twice, removed", async () => {
    const fields = { resourceType: "VmInstanceVO", resourceUuid: ZSTACK_SEED.web, tag: "a::b" };
    const { value, classes } = await run("CreateUserTag", fields);
    expect(classes).toEqual({ inventory: "UserTagInventory" });
    expect((await run("CreateUserTag", fields)).error?.code).toBe("SYS.1006");
    const found = await run("QueryUserTag", { conditions: ["tag=a::b"] });
    expect(found.value.inventories).toMatchObject([{ uuid: value.inventory.uuid, type: "User" }]);
    expect((await run("QueryVmInstance", { conditions: ["__userTag__=a::b"] })).value.inventories).toHaveLength(1);
    expect((await run("DeleteTag", { uuid: value.inventory.uuid })).error).toBeUndefined();
    expect((await run("QueryUserTag", { conditions: ["tag=a::b"] })).value.inventories ?? []).toEqual([]);
  });

  test("volumes: detached, attached, deleted, expunged; a root volume stays", async () => {
    const { value } = await run("QueryVolume", { conditions: ["name=logs", "vmInstanceUuid not null"] });
    const { uuid } = value.inventories[0];
    const attach = { volumeUuid: uuid, vmInstanceUuid: ZSTACK_SEED.web };
    expect((await run("DetachDataVolumeFromVm", { uuid })).classes).toEqual({ inventory: "VolumeInventory" });
    expect((await run("DetachDataVolumeFromVm", { uuid })).error?.code).toBe("SYS.1006");
    expect((await run("AttachDataVolumeToVm", attach)).value.inventory).toMatchObject({
      vmInstanceUuid: ZSTACK_SEED.web,
      deviceId: expect.any(Number),
    });
    expect((await run("AttachDataVolumeToVm", attach)).error?.code).toBe("SYS.1006");
    const root = (await run("QueryVmInstance", { conditions: ["name=web"] })).value.inventories[0].rootVolumeUuid;
    expect((await run("DetachDataVolumeFromVm", { uuid: root })).error?.code).toBe("SYS.1006");
    expect((await run("DeleteDataVolume", { uuid: root })).error?.code).toBe("SYS.1007");
    expect((await run("ExpungeDataVolume", { uuid })).error?.code).toBe("SYS.1006");
    expect((await run("DeleteDataVolume", { uuid })).error).toBeUndefined();
    expect((await run("DeleteDataVolume", { uuid })).error?.code).toBe("SYS.1006");
    expect((await run("ExpungeDataVolume", { uuid })).error).toBeUndefined();
  });

  test("what VMs are placed in, the settings, the version and a job's progress", async () => {
    expect((await run("QueryZone")).classes).toEqual({ "inventories[0]": "ZoneInventory" });
    expect((await run("QueryCluster")).classes).toEqual({ "inventories[0]": "ClusterInventory" });
    expect((await run("QueryHost")).classes).toEqual({ "inventories[0]": "KVMHostInventory" });
    expect((await run("QueryPrimaryStorage")).classes).toEqual({ "inventories[0]": "PrimaryStorageInventory" });
    expect((await run("QueryL3Network")).classes).toEqual({
      "inventories[0]": "L3NetworkInventory",
      "inventories[0].ipRanges[0]": "IpRangeInventory",
    });
    const configs = await run("QueryGlobalConfig", { conditions: ["category=vm"] });
    expect(configs.classes).toMatchObject({ "inventories[0]": "GlobalConfigInventory" });
    expect((await call("GetVersion")).value.version).toBe(emulator.zstack.settings.version);
    const none = await run("GetTaskProgress", { apiId: "0".repeat(32) });
    expect(none.value.inventories ?? []).toEqual([]);
  });

  test("a running clone's progress is typed", async () => {
    emulator.zstack.failNextClone("stuck");
    const job = "1".repeat(32);
    await fetch(`${emulator.url}/zstack/v1/vm-instances/${ZSTACK_SEED.web}/actions`, {
      method: "PUT",
      headers: { Authorization: `OAuth ${sessionId}`, "X-Job-UUID": job },
      body: JSON.stringify({ cloneVmInstance: { names: ["stuck"] } }),
    });
    const { value, classes } = await run("GetTaskProgress", { apiId: job });
    expect(classes).toEqual({ "inventories[0]": "TaskProgressInventory" });
    expect(value.inventories).toMatchObject([{ taskUuid: job, content: "10", time: expect.any(Number) }]);
  });

  test("the server's time and zone are those of its answers", async () => {
    const { value: time } = await call("GetCurrentTime");
    const { Seconds } = time.currentTime;
    expect(Math.abs(Seconds * 1000 - Date.now())).toBeLessThan(60_000);
    emulator.zstack.settings.offsetMinutes = -210;
    const { value: zone } = await run("GetPlatformTimeZone");
    const { value: login } = await call("LogInByAccount", { accountName: "admin", password: sha512("password") });
    expect(zone.offset).toBe("-03:30");
    const created = Date.parse(`${login.inventory.createDate} GMT${zone.offset.replace(":", "")}`);
    expect(Math.abs(created - Seconds * 1000)).toBeLessThan(60_000);
  });

  test("processors and memory of a stopped VM change, those of a running one do not", async () => {
    const { value } = await run("CloneVmInstance", {
      vmInstanceUuid: ZSTACK_SEED.web,
      names: ["bigger"],
      strategy: "CreateStopped",
    });
    const { uuid } = value.result.inventories[0].inventory;
    const bigger = { uuid, cpuNum: 4, memorySize: 2 ** 34 };
    expect((await run("UpdateVmInstance", bigger)).value.inventory).toMatchObject(bigger);
    expect((await run("StartVmInstance", { uuid })).error).toBeUndefined();
    expect((await run("UpdateVmInstance", { uuid, cpuNum: 8 })).error?.code).toBe("SYS.1007");
    expect((await run("QueryVmInstance", { conditions: [`uuid=${uuid}`] })).value.inventories).toMatchObject([bigger]);
  });

  test("a call that the emulator does not have is refused in the server's own words", async () => {
    const login = { accountName: "admin", userName: "user", password: sha512("password") };
    const refusals = await Promise.all([run("QueryImage"), run("QuerySystemTag"), call("LogInByUser", login)]);
    expect(refusals.map(({ error }) => error?.details)).toEqual([
      "no api mapping to /v1/images",
      "no api mapping to /v1/system-tags",
      "no api mapping to /v1/accounts/users/login",
    ]);
  });

  test("a session is renewed, for the time that the client asks for", async () => {
    const { value } = await call("LogInByAccount", { accountName: "admin", password: sha512("password") });
    const sessionUuid: string = value.inventory.uuid;
    const renewed = await run("RenewSession", { sessionUuid, duration: 86_400 });
    expect(renewed.classes).toEqual({ inventory: "SessionInventory" });
    const life = Date.parse(renewed.value.inventory.expiredDate) - Date.parse(renewed.value.inventory.createDate);
    expect(Math.abs(life - 86_400_000)).toBeLessThan(60_000);
    expect((await run("RenewSession", { sessionUuid: "0".repeat(32) })).error?.code).toBe("SYS.1003");
    await call("LogOut", { sessionUuid });
  });

  test("an expired session is the server's error", async () => {
    const { value } = await call("LogInByAccount", { accountName: "admin", password: sha512("password") });
    emulator.zstack.endSession(value.inventory.uuid);
    const { error } = await call("QueryVmInstance", { sessionId: value.inventory.uuid });
    expect(error?.details).toContain('"code":"ID.1001"');
  });
});

function sha512(text: string): string {
  return require("node:crypto").createHash("sha512").update(text).digest("hex");
}
