// The emulator's queries against RestServer, ZQL and the inventories of ZStack 5.2.1 (docs/wire/zstack.md#query-gotchas).

import { ZSTACK_SEED } from "../../../emulator";
import { fault, ZStackApi } from "./api";

let api: ZStackApi;

beforeEach(async () => {
  api = await ZStackApi.start();
});

afterEach(() => api.emulator.close());

const get = (path: string) => api.ask("GET", path);
const encoded = (path: string, condition: string) => `${path}?q=${encodeURIComponent(condition)}`;

test.each([
  ["/vm-instances", "hypervisorType=KVM", ["db", "web"]],
  ["/vm-instances", "platform=linux", ["db", "web"]],
  ["/vm-instances", "memorySize>=8589934592", ["db", "web"]],
  ["/vm-instances", "memorySize>8589934592", []],
  ["/vm-instances", "memorySize<=8589934592", ["db", "web"]],
  ["/vm-instances", "cpuNum<5", ["db", "web"]],
  // As texts, 10 is less than 5.
  ["/vm-instances", "cpuNum<10", ["db", "web"]],
  ["/vm-instances", "cpuNum?=2,1", ["db", "web"]],
  ["/vm-instances", "createDate>2020-01-01", ["db", "web"]],
  ["/vm-instances", "createDate<2020-01-01 10:00:00", []],
  ["/vm-instances", "name>e", ["web"]],
  ["/vm-instances", "name!~=%E%", ["db"]],
  ["/vm-instances", "name~=_b", ["db"]],
  ["/vm-instances", "name=web  ", ["web"]],
  ["/vm-instances", "reservedMemorySize is null", ["db", "web"]],
  ["/volumes", "format=qcow2", ["ROOT-for-db", "ROOT-for-web", "data", "logs"]],
  ["/volumes", "isShareable=false", ["ROOT-for-db", "ROOT-for-web", "data", "logs"]],
  ["/volumes", "isShareable!=false", []],
  ["/volumes", "size>30000000000", ["ROOT-for-db", "ROOT-for-web"]],
  ["/volumes", "deviceId=1", ["data"]],
  ["/hosts", "status=Connected", ["host"]],
  ["/clusters", "hypervisorType=KVM", ["cluster"]],
  ["/zones", "isDefault=true", ["zone"]],
  ["/l3-networks", "system=true", []],
  ["/primary-storage", `attachedClusterUuids?=${ZSTACK_SEED.cluster},x`, ["primary storage"]],
  ["/primary-storage", "attachedClusterUuids=x", []],
])("GET %s?q=%s compares by the field's type, as MySQL does", async (path, condition, found) => {
  expect((await api.names(encoded(path, condition))).sort()).toEqual(found);
});

test("a condition is about the answer's fields: a tag's type, a configuration's id", async () => {
  const params = { resourceType: "VmInstanceVO", resourceUuid: ZSTACK_SEED.web, tag: "a::b" };
  await api.change("POST", "/user-tags", { params });
  expect((await get("/user-tags?q=type=User")).body.inventories).toMatchObject([{ tag: "a::b" }]);
  expect((await get("/global-configurations?q=id>1")).body.inventories).toMatchObject([{ name: "uniqueVmName" }]);
});

test.each([
  ["/vm-instances", "vmNics.ip~=192.168.%", ["db", "web"]],
  ["/vm-instances", "vmNics.ip=10.0.0.1", []],
  ["/vm-instances", "allVolumes.name=logs", ["db"]],
  ["/vm-instances", "allVolumes.size>1", ["db", "web"]],
  ["/vm-instances", "host.name=host", ["db", "web"]],
  ["/vm-instances", "vmNics.l3Network.name=network", ["db", "web"]],
  ["/volumes", "vmInstance.name=web", ["ROOT-for-web"]],
  ["/volumes", `vmInstance.uuid=${ZSTACK_SEED.web}`, ["ROOT-for-web"]],
  ["/l3-networks", "vmNic.vmInstance.name=db", ["network"]],
])("GET %s?q=%s reaches other inventories (ZQLMetadata.java, expandQueries)", async (path, condition, found) => {
  expect((await api.names(encoded(path, condition))).sort()).toEqual(found);
});

test("no comparison holds for null, not even a negative one: SQL", async () => {
  const names = (condition: string) => api.names(encoded("/vm-instances", condition));
  expect([await names("description!=x"), await names("description!~=x%"), await names("description!?=x")]).toEqual([
    [],
    [],
    [],
  ]);
  expect((await names("description is null")).sort()).toEqual(["db", "web"]);
});

test("a negative condition on tags finds what has no such tag (SQLConditionBuilder.java:156–163)", async () => {
  for (const tag of ["a::1", "a::2"]) {
    await api.change("POST", "/user-tags", {
      params: { resourceType: "VmInstanceVO", resourceUuid: ZSTACK_SEED.web, tag },
    });
  }
  const names = (condition: string) => api.names(encoded("/vm-instances", condition));
  expect(await names("__userTag__!=a::1")).toEqual(["db"]);
  expect(await names("__userTag__!~=a::%")).toEqual(["db"]);
  expect(await names("__userTag__?=a::1,x")).toEqual(["web"]);
  expect(await names("__userTag__ not null")).toEqual(["web"]);
  expect([await names("__systemTag__=x"), (await names("__systemTag__!=x")).sort()]).toEqual([[], ["db", "web"]]);
});

test.each([
  [
    "/vm-instances?q=nonsense!=1",
    /inventory class\[class org\.zstack\.header\.vm\.VmInstanceInventory\] not having field\[nonsense\]$/,
  ],
  ["/user-tags?q=nonsense=1", /UserTagInventory\] not having field\[nonsense\]$/],
  ["/vm-instances?q=usedIpUuid=1", /not having field\[usedIpUuid\]$/],
  ["/vm-instances?q=vmNics.usedIpUuid=1", /VmNicInventory\] not having field\[usedIpUuid\]$/],
  ["/vm-instances?q=nics.ip=1", /the expanded target\[class .*VmInstanceInventory\] have no expanded query\[nics\]$/],
  ["/vm-instances?q=image.name=1", /have no expanded query\[image\]$/],
  ["/vm-instances?q=vmNics=1", /could not resolve property: vmNics/],
  ["/vm-instances?q=na-me=1", /ParseCancellationException/],
  ["/vm-instances?q=name=a>=b", /ParseCancellationException/],
  ["/volumes?q=isShareable=maybe", /could not resolve property: maybe/],
  [
    "/vm-instances?sort=-nonsense",
    /invalid order by clause, inventory\[VmInstanceInventory\] doesn't have field\[nonsense\]$/,
  ],
  ["/global-configurations?sort=-uuid", /inventory\[GlobalConfigInventory\] doesn't have field\[uuid\]$/],
  ["/vm-instances?sort=", /ParseCancellationException/],
  ["/vm-instances?fields=uuid,nonsense", /has no field\[nonsense\]$/],
  ["/vm-instances?limit=-1", /Negative value \(-1\)$/],
  ["/vm-instances?start=-2", /Negative value \(-2\)$/],
  ["/vm-instances?filterName=zone:a", /unable to find QueryBelongFilter with type\[zone:a\]$/],
])("GET %s is an error, not an empty or a full list", async (path, details) => {
  expect(await get(path)).toMatchObject(fault("SYS.1000", details));
  // Whether there are rows or not.
  api.emulator.zstack.settings.revoked = true;
  expect(await get(path)).toMatchObject(fault("SYS.1000", details));
});

test("a filter without a type is an argument's error (QueryFacadeImpl.java:517–522)", async () => {
  expect(await get("/vm-instances?filterName=zone")).toMatchObject(
    fault("SYS.1007", /^filterName must be formatted as/),
  );
});

test("sort: ascending without a sign, and by the field's type", async () => {
  api.emulator.zstack.addVm({ name: "newest", createdMs: Date.now() + 60_000, cpuNum: 10 });
  expect(await api.names("/vm-instances?sort=name")).toEqual(["db", "newest", "web"]);
  expect(await api.names("/vm-instances?sort=%2Bname&start=1")).toEqual(["newest", "web"]);
  expect((await api.names("/vm-instances?sort=-createDate"))[0]).toBe("newest");
  expect((await api.names("/vm-instances?sort=-cpuNum"))[0]).toBe("newest");
  expect((await api.names("/volumes?sort=-size"))[0]).toMatch(/^ROOT/);
  // null comes first.
  expect((await api.names("/vm-instances?sort=hostUuid"))[0]).toBe("newest");
});

test.each([
  ["/vm-instances?limit=abc", "Invalid query parameter. 'limit' must be an integer"],
  ["/vm-instances?start=1.5", "Invalid query parameter. 'start' must be an integer"],
  ["/vm-instances?q==x", "Invalid query parameter. The '=x' in parameter[q] is not a key-value pair split by ="],
  [
    "/vm-instances?q=name",
    "Invalid query parameter. The 'name' in the parameter[q] doesn't contain any query operator. Valid query operators are [[!=, >=, <=, !?=, !~=, ~=, ?=, =, >, <, is null, not null]]",
  ],
])("GET %s is a 400, before the session is checked (RestServer.java:1074–1197)", async (path, text) => {
  expect(await get(path)).toMatchObject({ status: 400, text });
  expect(await api.ask("GET", path, undefined, "ended")).toMatchObject({ status: 400, text });
});

test.each(["/vm-instances", "/volumes", "/user-tags", "/zones", "/clusters", "/hosts", "/l3-networks"])(
  "GET %s/{uuid} is a query by the uuid (the message's optionalPaths)",
  async (path) => {
    const params = { resourceType: "VmInstanceVO", resourceUuid: ZSTACK_SEED.web, tag: "a::b" };
    await api.change("POST", "/user-tags", { params });
    const [{ uuid }] = (await get(path)).body.inventories;
    // The server reads no other parameter then.
    expect(await get(`${path}/${uuid}?q=uuid=x&limit=abc`)).toMatchObject({
      status: 200,
      body: { inventories: [{ uuid }] },
    });
    expect(await get(`${path}/${"0".repeat(32)}`)).toMatchObject({
      status: 200,
      body: { inventories: [], schema: {} },
    });
  },
);

test.each([
  ["GET", "/images", 404, "no api mapping to /v1/images"],
  ["GET", "/system-tags", 404, "no api mapping to /v1/system-tags"],
  ["GET", "/primary-storage/x", 404, "no api mapping to /v1/primary-storage/x"],
  ["PUT", "/accounts/users/login", 404, "no api mapping to /v1/accounts/users/login"],
  ["POST", "/vm-instances", 500, "No creational API found for the path[/zstack/v1/vm-instances]"],
  ["DELETE", "/volumes", 500, "No delete API found for the path[/zstack/v1/volumes]"],
  ["GET", "/tags/x", 500, "No query API found for the path[/zstack/v1/tags/x]"],
  ["PUT", "/volumes", 400, "the body doesn't contain action mapping to the URL[/v1/volumes]"],
  ["PATCH", "/volumes", 405, "The method[PATCH] is not allowed for the path[/zstack/v1/volumes]"],
])(
  "%s %s: what the emulator lacks is refused in RestServer's words (RestServer.java:673–809)",
  async (method, path, status, text) => {
    expect(await api.ask(method, path)).toMatchObject({ status, text });
  },
);
