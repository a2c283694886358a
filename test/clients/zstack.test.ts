// ZStack's own Java SDK against the emulator: each call that ClonedVm uses, and the calls around them that a user's tools
// make. The SDK makes typed objects of the answers by their schema, and crashes on what does not fit.

import { type Emulator, startEmulator, ZSTACK_SEED } from "../../emulator";
import { JavaClient, missingTools } from "./javaClient";

interface Answer {
  readonly crash?: string;
  readonly error?: { code: string; description?: string; details?: string };
  // biome-ignore lint/suspicious/noExplicitAny: the SDK's results, of which each test asserts what it needs
  readonly value?: any;
  /** The SDK's class of each object in the result. */
  readonly classes?: Record<string, string>;
  /** What the server's answer has and the SDK's class has not. */
  readonly unknown?: string[];
}

/** The server sends it (@APINoSee in SessionInventory.java), and the generator of the SDK leaves it out. */
const NOT_IN_THE_SDK = new Set(["inventory.noSessionEvaluation"]);

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

  /** Runs a call. Whatever it answers, the SDK has to know each field, and has to have a class for each object. */
  async function call(action: string, fields: object = {}): Promise<Answer> {
    const answer = await sdk.call<Answer>({ action, fields });
    expect({ action, crash: answer.crash }).toEqual({ action, crash: undefined });
    const unknown = (answer.unknown ?? []).filter((path) => !NOT_IN_THE_SDK.has(path));
    const untyped = Object.entries(answer.classes ?? {}).filter(
      // An error's `opaque` is a map in ErrorCode.java itself.
      ([path, name]) => /Map|Object/.test(name) && !path.endsWith(".opaque"),
    );
    expect({ action, untyped, unknown }).toEqual({ action, untyped: [], unknown: [] });
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
    expect(await found("name~=d%")).toEqual(["db"]);
    expect(await found("name?=web,db")).toEqual(["db", "web"]);
    expect(await found("name!=web", "state=Running")).toEqual(["db"]);
    expect(await found("name!?=web,other")).toEqual(["db"]);
    expect(await found("name!~=%e%")).toEqual(["db"]);
    expect(await found("description is null", "uuid not null")).toEqual(["db", "web"]);
    expect(await found("nothing")).toContain("doesn't contain any query operator");
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
    expect((await run("CreateUserTag", fields)).error?.code).toBe("TAG.1000");
    const found = await run("QueryUserTag", { conditions: ["tag=a::b"] });
    expect(found.value.inventories).toMatchObject([{ uuid: value.inventory.uuid, type: "User" }]);
    expect((await run("QueryVmInstance", { conditions: ["__userTag__=a::b"] })).value.inventories).toHaveLength(1);
    expect((await run("DeleteTag", { uuid: value.inventory.uuid })).error).toBeUndefined();
    expect((await run("QueryUserTag", { conditions: ["tag=a::b"] })).value.inventories ?? []).toEqual([]);
  });

  test("volumes: detached, deleted, expunged", async () => {
    const { value } = await run("QueryVolume", { conditions: ["name=logs", "vmInstanceUuid not null"] });
    const { uuid } = value.inventories[0];
    expect((await run("DetachDataVolumeFromVm", { uuid })).classes).toEqual({ inventory: "VolumeInventory" });
    expect((await run("ExpungeDataVolume", { uuid })).error?.code).toBe("SYS.1006");
    expect((await run("DeleteDataVolume", { uuid })).error).toBeUndefined();
    expect((await run("ExpungeDataVolume", { uuid })).error).toBeUndefined();
  });

  test("what VMs are placed in, the settings, the version and a job's progress", async () => {
    expect((await run("QueryZone")).classes).toEqual({ "inventories[0]": "ZoneInventory" });
    expect((await run("QueryPrimaryStorage")).classes).toEqual({ "inventories[0]": "PrimaryStorageInventory" });
    expect((await run("QueryL3Network")).classes).toEqual({ "inventories[0]": "L3NetworkInventory" });
    const configs = await run("QueryGlobalConfig", { conditions: ["category=vm"] });
    expect(configs.classes).toMatchObject({ "inventories[0]": "GlobalConfigInventory" });
    expect((await call("GetVersion")).value.version).toBe(emulator.zstack.settings.version);
    const none = await run("GetTaskProgress", { apiId: "0".repeat(32) });
    expect(none.value.inventories ?? []).toEqual([]);
  });

  test("a call that the emulator does not have is refused in the server's own words", async () => {
    const { error } = await run("QueryImage");
    expect(error?.details).toBe("no api mapping to /v1/images");
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
