// The emulator's servers, their lists and attachments, as nova 26.2.2 shows them (docs/wire/openstack.md#servers).

import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { type OpenStackUser, openstackUser } from "./openstackUser";

const SERVER = "99999999-9999-4999-8999-999999999999";

let emulator: Emulator;
let member: OpenStackUser;
let admin: OpenStackUser;

beforeEach(async () => {
  emulator = await startEmulator({ clock: "instant" });
  [member, admin] = await Promise.all([openstackUser(emulator), openstackUser(emulator, "admin")]);
  emulator.nova.createServer({ id: SERVER, name: "Web-1" });
  emulator.cinder.attach(emulator.cinder.createVolume({ name: "two" }).id, SERVER, "/dev/vdc");
});
afterEach(() => emulator.close());

const ids = async (query: string, as = member, minor = 1) =>
  (await as.nova(`/servers${query}`, minor)).body.servers?.map(({ id }: { id: string }) => id);
const seedServer = () => emulator.cinder.volumes.get(SEED_VOLUMES.logs)?.attachments[0]?.server_id;

describe("the list of servers", () => {
  test.each([
    "?name=web",
    "?name=%5EWEB-.%24",
    "?status=active&name=web",
    "?flavor=1&name=web",
    "?changes-since=2020-01-01T00:00:00Z&name=web",
  ])("%s finds one: names are expressions in any case of letters", async (query) => {
    expect(await ids(query)).toEqual([SERVER]);
  });
  test.each([
    "?name=nomatch",
    "?status=SHUTOFF",
    "?flavor=9",
    "?ip=1.2.3.4",
    "?image=x",
    "?changes-since=2035-01-01T00:00:00Z",
  ])("%s finds none", async (query) => {
    expect(await ids(query)).toEqual([]);
  });
  test("a status is that of the machine in any task, or of the task", async () => {
    const server = emulator.nova.servers.get(SERVER);
    if (server !== undefined) server.task_state = "rebooting";
    expect(await ids("?status=REBOOT")).toEqual([SERVER]);
    expect(await ids("?status=ACTIVE")).toHaveLength(2);
    // With a status of the machine by itself, Nova compares no task.
    expect(await ids("?status=SHUTOFF&status=REBOOT")).toHaveLength(2);
    expect((await member.nova(`/servers/${SERVER}`)).body.server.status).toBe("REBOOT");
  });
  test("a member's other filters are dropped, an administrator's are not", async () => {
    for (const query of ["?host=compute-9", `?uuid=${seedServer()}x`, "?display_name=zzz", "?vm_state=stopped"]) {
      expect(await ids(query)).toHaveLength(2);
      expect(await ids(query, admin)).toEqual([]);
    }
    expect(await ids("?vm_state=stopped", member, 83)).toEqual([]);
  });
  test.each([
    "?limit=abc",
    "?limit=-1",
    "?limit=",
    "?name=%28",
    "?sort_key=banana",
    "?sort_dir=banana",
    "?marker=banana",
    "?all_tenants=banana",
  ])("%s is a 400, in the list and in detail", async (query) => {
    for (const list of ["/servers", "/servers/detail"])
      expect(await member.nova(`${list}${query}`)).toMatchObject({ status: 400 });
  });
  test("an unknown parameter is a 400 from 2.75 on", async () => {
    expect(await ids("?bogus=1")).toHaveLength(2);
    expect(await member.nova("/servers?bogus=1", 75)).toMatchObject({ status: 400 });
  });
  test("all_tenants is a member's 403, and an administrator's way to all projects", async () => {
    const foreign = emulator.cinder.createVolume({ project_id: emulator.keystone.projectNamed("other").id });
    emulator.cinder.attach(foreign.id, "88888888-8888-4888-8888-888888888888", "/dev/vdb");
    expect(await member.nova("/servers?all_tenants=1")).toMatchObject({ status: 403 });
    expect(await member.nova("/servers?all_tenants")).toMatchObject({ status: 403 });
    expect(await ids("", admin)).toHaveLength(2);
    expect(await ids("?all_tenants=1", admin)).toHaveLength(3);
  });
  test("a page that is exactly full has a link, the next one is empty", async () => {
    const { body } = await member.nova("/servers?limit=2&name=.");
    expect(body.servers).toHaveLength(2);
    const next = new URL(body.servers_links[0].href);
    expect(next.search).toBe(`?limit=2&name=.&marker=${body.servers[1].id}`);
    expect((await member.nova(`/servers${next.search}`)).body).toEqual({ servers: [] });
    expect((await member.nova("/servers?limit=3")).body).not.toHaveProperty("servers_links");
    expect((await member.nova("/servers?limit=0")).body).toEqual({ servers: [] });
  });
  test("the newest comes first, or what sort_key says", async () => {
    expect(await ids("")).toEqual([SERVER, seedServer()]);
    const server = emulator.nova.serverOf(SEED_VOLUMES.logs);
    if (server !== undefined) server.name = "a";
    expect((await ids("?sort_key=display_name&sort_dir=desc"))?.[0]).toBe(seedServer());
    expect(await member.nova("/servers?sort_key=host")).toMatchObject({ status: 403 });
  });
});

describe("attachments", () => {
  const first = async (minor: number) =>
    (await member.nova(`/servers/${SERVER}/os-volume_attachments`, minor)).body.volumeAttachments[0];

  test("have a tag from 2.70, delete_on_termination from 2.79, and other ids from 2.89 on", async () => {
    const volumeId = [...emulator.cinder.volumes.keys()].at(-1);
    const plain = { volumeId, serverId: SERVER, device: "/dev/vdc" };
    expect(await first(69)).toEqual({ id: volumeId, ...plain });
    expect(await first(70)).toEqual({ id: volumeId, ...plain, tag: null });
    expect(await first(79)).toEqual({ id: volumeId, ...plain, tag: null, delete_on_termination: false });
    const uuid = expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    const later = { tag: null, delete_on_termination: false, attachment_id: uuid, bdm_uuid: uuid };
    expect(await first(89)).toEqual({ ...plain, ...later });
    expect(await first(93)).toEqual(await first(89));
  });
  test("are shown one by one, and limited", async () => {
    const path = `/servers/${SERVER}/os-volume_attachments`;
    const { volumeId } = await first(1);
    expect((await member.nova(`${path}/${volumeId}`)).body.volumeAttachment).toEqual(await first(1));
    expect(await member.nova(`${path}/${SEED_VOLUMES.logs}`)).toMatchObject({ status: 404 });
    expect((await member.nova(`${path}?offset=1`)).body).toEqual({ volumeAttachments: [] });
    expect((await member.nova(`${path}?limit=0`)).body.volumeAttachments).toHaveLength(1);
    expect(await member.nova(`${path}?limit=abc`)).toMatchObject({ status: 400 });
  });
  test("of a volume that is attached twice are each server's own", async () => {
    const volume = emulator.cinder.createVolume({ multiattach: true });
    const other = "88888888-8888-4888-8888-888888888888";
    emulator.cinder.attach(volume.id, SERVER, "/dev/vdd");
    emulator.cinder.attach(volume.id, other, "/dev/vde");
    expect((await member.nova(`/servers/${other}`)).body.server.id).toBe(other);
    const { body } = await member.nova(`/servers/${other}/os-volume_attachments`);
    expect(body.volumeAttachments).toMatchObject([{ serverId: other, device: "/dev/vde" }]);
  });
});

test("limits and quotas: the defaults, and what the servers of the project use", async () => {
  const { absolute } = (await member.nova("/limits")).body.limits;
  expect(absolute).toMatchObject({ maxTotalInstances: 10, totalInstancesUsed: 2, totalRAMUsed: 1024 });
  const { quota_set } = (await member.nova(`/os-quota-sets/${member.projectId}/detail`, 93)).body;
  expect(quota_set).toMatchObject({ cores: { limit: 20, in_use: 2, reserved: 0 } });
  expect(quota_set).not.toHaveProperty("floating_ips");
  expect(await member.nova("/os-quota-sets/zzz")).toMatchObject({ status: 403 });
});

test("flavors: the one of all servers", async () => {
  const { flavor } = (await member.nova(`/servers/${SERVER}`)).body.server;
  const { flavors } = (await member.nova("/flavors/detail?is_public=None")).body;
  expect(flavors).toMatchObject([{ id: flavor.id, name: "m1.tiny" }]);
  expect((await member.nova(`/servers/${SERVER}`, 47)).body.server.flavor).toMatchObject({ original_name: "m1.tiny" });
  expect(await member.nova("/flavors/9")).toMatchObject({ status: 404 });
});
