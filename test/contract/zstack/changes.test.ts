// The emulator's changes of volumes, VMs and tags against what ZStack 5.2.1 refuses (docs/wire/zstack.md#data-volumes,
// #update, #tags).

import { ZSTACK_SEED } from "../../../emulator";
import { fault, ZStackApi } from "./api";

let api: ZStackApi;

beforeEach(async () => {
  api = await ZStackApi.start();
});

afterEach(() => api.emulator.close());

const { web, db } = ZSTACK_SEED;
const ACTIONS = `/vm-instances/${web}/actions`;
/** Of a form that no UUID has, and of a UUID's that nobody has. */
const NO_UUID = "0".repeat(32);
const UNKNOWN = "00000000000041118000000000000000";
const DONE = { status: 200 };

const change = (method: string, path: string, body?: unknown) => api.change(method, path, body);
const update = (fields: object) => change("PUT", ACTIONS, { updateVmInstance: fields });
const volume = async (name: string) => (await api.ask("GET", `/volumes?q=name=${name}`)).body.inventories[0];

describe("volumes", () => {
  let root: string;
  let logs: string;

  beforeEach(async () => {
    root = (await volume("ROOT-for-web")).uuid;
    logs = (await volume("logs")).uuid;
  });

  test("a root volume is neither deleted nor detached nor attached", async () => {
    expect(await change("DELETE", `/volumes/${root}`)).toMatchObject(
      fault("SYS.1007", `^volume\\[uuid:${root}, type:Root\\] can't be deleted$`),
    );
    expect(await change("DELETE", `/volumes/${root}/vm-instances`)).toMatchObject(
      fault("SYS.1006", /type:Root\] can't detach it$/),
    );
    expect(await change("POST", `/volumes/${root}/vm-instances/${db}`, { params: {} })).toMatchObject(
      fault("SYS.1006", /is Root Volume, can't attach it$/),
    );
    expect((await api.ask("GET", `/vm-instances/${web}`)).body.inventories).toMatchObject([
      { rootVolumeUuid: root, allVolumes: [{ uuid: root, deviceId: 0 }] },
    ]);
  });

  test("what is detached is not detached again, and what is deleted is not deleted again", async () => {
    expect(await change("DELETE", `/volumes/${logs}/vm-instances`)).toMatchObject(DONE);
    expect(await change("DELETE", `/volumes/${logs}/vm-instances`)).toMatchObject(
      fault("SYS.1006", /is not attached to any vm, can't detach$/),
    );
    expect(await change("DELETE", `/volumes/${logs}`)).toMatchObject(DONE);
    expect(await change("DELETE", `/volumes/${logs}`)).toMatchObject(
      fault("SYS.1006", /is already in status of deleted$/),
    );
    expect(await change("POST", `/volumes/${logs}/vm-instances/${db}`, { params: {} })).toMatchObject(
      fault("SYS.1006", /is in status of deleted, cannot do the operation$/),
    );
    expect(await change("PUT", `/volumes/${logs}/actions`, { expungeDataVolume: {} })).toMatchObject(DONE);
  });

  test("what is not deleted is not expunged", async () => {
    expect(await change("PUT", `/volumes/${logs}/actions`, { expungeDataVolume: {} })).toMatchObject(
      fault("SYS.1006", /name:logs\] is not deleted yet, can't expunge it$/),
    );
  });

  test("the volume is checked before the session", async () => {
    expect(await api.change("DELETE", `/volumes/${root}`, undefined, "ended")).toMatchObject(fault("SYS.1007", /Root/));
    expect(await api.change("DELETE", `/volumes/${logs}`, undefined, "ended")).toMatchObject(
      fault("ID.1001", /expired/),
    );
    expect(api.emulator.zstack.volumes.get(logs)?.status).toBe("Ready");
  });

  test("an unknown volume: deletion and expunging succeed if it has a UUID's form, the others do not", async () => {
    for (const [method, path, body] of [
      ["DELETE", "", undefined],
      ["PUT", "/actions", { expungeDataVolume: {} }],
    ] as const) {
      expect(await change(method, `/volumes/${UNKNOWN}${path}`, body)).toMatchObject(DONE);
      expect(await change(method, `/volumes/${NO_UUID}${path}`, body)).toMatchObject(
        fault("SYS.1003", `^invalid value\\[${NO_UUID}\\] of field \\[uuid\\]$`),
      );
    }
    expect(await change("DELETE", `/volumes/${UNKNOWN}/vm-instances`)).toMatchObject(
      fault("SYS.1003", /type:VolumeVO/),
    );
    expect(await change("POST", `/volumes/${UNKNOWN}/vm-instances/${db}`, {})).toMatchObject(
      fault("SYS.1003", /field\[volumeUuid\].*type:VolumeVO/),
    );
    expect(await change("POST", `/volumes/${logs}/vm-instances/${UNKNOWN}`, {})).toMatchObject(
      fault("SYS.1003", /field\[vmInstanceUuid\].*type:VmInstanceVO/),
    );
    expect(await change("DELETE", `/vm-instances/${NO_UUID}`)).toMatchObject(fault("SYS.1003", /^invalid value/));
  });

  test("a guest that keeps its volume keeps it in a deletion, too (VolumeBase.java:1209–1238)", async () => {
    api.emulator.zstack.settings.hotUnplug = false;
    const kept = /^Failed to detach volume\[uuid=/;
    expect(await change("DELETE", `/volumes/${logs}/vm-instances`)).toMatchObject(fault("SYS.1006", kept));
    expect(await change("DELETE", `/volumes/${logs}`)).toMatchObject(fault("SYS.1004", kept));
    expect(api.emulator.zstack.volumes.get(logs)).toMatchObject({ status: "Ready", vmInstanceUuid: db });
  });

  test("a data volume moves to another VM, and the VM's state counts", async () => {
    const attach = () => change("POST", `/volumes/${logs}/vm-instances/${web}`, { params: {} });
    expect(await attach()).toMatchObject(fault("SYS.1006", /has been attached to some vm, can't attach again$/));
    // Not the volume's VM: nothing to detach.
    expect(await change("DELETE", `/volumes/${logs}/vm-instances?vmUuid=${web}`)).toMatchObject(DONE);
    expect(api.emulator.zstack.volumes.get(logs)?.vmInstanceUuid).toBe(db);
    const detached = await change("DELETE", `/volumes/${logs}/vm-instances?vmUuid=${db}`);
    expect(detached.body.inventory).toMatchObject({ lastVmInstanceUuid: db, lastDetachDate: expect.any(String) });
    expect(detached.body.inventory).not.toHaveProperty("vmInstanceUuid");
    const vm = api.emulator.zstack.vms.get(web);
    if (vm) vm.state = "Unknown";
    expect(await attach()).toMatchObject(fault("VM.1005", /vm instance state\[Unknown\] doesn't allow/));
    if (vm) vm.state = "Stopped";
    expect((await attach()).body.inventory).toMatchObject({ vmInstanceUuid: web, deviceId: 2 });
    if (vm) vm.state = "Unknown";
    expect(await change("DELETE", `/volumes/${logs}/vm-instances`)).toMatchObject(
      fault("SYS.1006", `^Detaching volume is not allowed when VM\\[uuid=${web}\\] is in state\\[Unknown\\]$`),
    );
  });
});

describe("updateVmInstance", () => {
  test("processors and memory change where the VM is stopped, and are refused where it runs", async () => {
    expect(await update({ cpuNum: 4 })).toMatchObject(fault("SYS.1007", /^the VM cannot do cpu hot plug/));
    expect(await update({ memorySize: 2 ** 34 })).toMatchObject(fault("SYS.1007", /^the VM cannot do memory hot plug/));
    // The same again is no change.
    expect(await update({ cpuNum: 1, memorySize: 8_589_934_592 })).toMatchObject(DONE);
    await change("PUT", ACTIONS, { stopVmInstance: {} });
    expect(
      (await update({ cpuNum: "4", memorySize: 2 ** 34, reservedMemorySize: 2 ** 33 })).body.inventory,
    ).toMatchObject({
      cpuNum: 4,
      memorySize: 2 ** 34,
      reservedMemorySize: 2 ** 33,
    });
  });

  test("what VmInstanceApiInterceptor refuses comes after the session, and in a dry run, too", async () => {
    expect(await api.change("PUT", ACTIONS, { updateVmInstance: { cpuNum: 4 } }, "ended")).toMatchObject(
      fault("ID.1001", /expired/),
    );
    const dryRun = { updateVmInstance: { cpuNum: 4 }, systemTags: ["ephemeral::validationOnly"] };
    expect(await change("PUT", ACTIONS, dryRun)).toMatchObject(fault("SYS.1007", /hot plug/));
    const vm = api.emulator.zstack.vms.get(web);
    if (vm) vm.state = "Paused";
    expect(await update({ cpuNum: 1 })).toMatchObject(
      fault("SYS.1006", /is Paused\. Only these state\[Running,Stopped\]/),
    );
  });

  test.each([
    [{ cpuNum: 0 }, "SYS.1007", /^field\[cpuNum\] must be in range of \[1, 1024\]$/],
    [{ cpuNum: 1025 }, "SYS.1007", /range/],
    [{ memorySize: 0 }, "SYS.1007", /^field\[memorySize\] must be in range of \[1, 9223372036854775807\]$/],
    [{ reservedMemorySize: 2 ** 40 }, "SYS.1007", /^reservedMemorySize\[1099511627776\] is greater than memorySize/],
    [{ state: "Paused" }, "SYS.1007", /are \[Stopped, Running\], but Paused found$/],
    [{ platform: "BeOS" }, "SYS.1007", /but BeOS found$/],
    [{ name: "n".repeat(256) }, "SYS.1007", /expected was <= 255, actual was 256$/],
    [{ description: "d".repeat(2049) }, "SYS.1007", /expected was <= 2048/],
    [{ defaultL3NetworkUuid: UNKNOWN }, "SYS.1003", /field\[defaultL3NetworkUuid\].*type:L3NetworkVO/],
  ])("%j is refused (APIUpdateVmInstanceMsg.java)", async (fields, code, details) => {
    expect(await update(fields)).toMatchObject(fault(code, details));
  });

  test.each(["four", "1.5", ""])("cpuNum %j is a 400 (TypeVerifier.java)", async (cpuNum) => {
    expect(await update({ cpuNum })).toMatchObject({
      status: 400,
      text: `[cpuNum] field is excepted an int or long, but was [${cpuNum}].`,
    });
  });

  test("the other fields change in each state", async () => {
    const fields = { name: "n", description: "", platform: "Windows", guestOsType: "Windows 11" };
    expect((await update(fields)).body.inventory).toMatchObject(fields);
  });
});

describe("tags", () => {
  const tag = (fields: object) => change("POST", "/user-tags", { params: fields });
  const params = { resourceType: "VmInstanceVO", resourceUuid: web, tag: "a::b" };

  test("the same tag again is an ordinary failure (TagManagerImpl.java:238–241)", async () => {
    expect((await tag(params)).body.inventory).toMatchObject({ ...params, type: "User" });
    expect(await tag(params)).toMatchObject(
      fault("SYS.1006", `^Duplicated Tag\\[tag:a::b, type:User, resourceType:VmInstanceVO, resourceUuid:${web}\\]$`),
    );
  });

  test.each([
    [{ ...params, tag: undefined }, "SYS.1007", /^field\[tag\] of message\[.*\] is mandatory, can not be null$/],
    [{ ...params, resourceType: "Nonsense" }, "SYS.1007", /^no resource type\[Nonsense\] found in tag system$/],
    [{ ...params, resourceUuid: UNKNOWN }, "SYS.1003", /field\[resourceUuid\].*type:ResourceVO/],
  ])("%j is refused", async (fields, code, details) => {
    expect(await tag(fields)).toMatchObject(fault(code, details));
  });
});
