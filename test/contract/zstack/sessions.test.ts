// The emulator's sessions, clock and management node against ZStack 5.2.1 (docs/wire/zstack.md#s1-2, #s1-4, #s2-7).

import { ZSTACK_SEED } from "../../../emulator";
import { fault, ZStackApi } from "./api";

let api: ZStackApi;

beforeEach(async () => {
  api = await ZStackApi.start();
});

afterEach(() => api.emulator.close());

const renew = (body: unknown, uuid = api.session) => api.change("PUT", `/accounts/sessions/${uuid}/renew`, body);
/** A time of an answer as if it were UTC. */
const instant = (time: string) => Date.parse(`${time} UTC`);
const serverNow = () => api.emulator.clock.now().getTime() + api.emulator.zstack.settings.offsetMinutes * 60_000;

test("a session is renewed for the time that the call asks for, or for its life", async () => {
  const seconds = async (body: unknown) => {
    const { inventory } = (await renew(body)).body;
    expect(inventory).toMatchObject({ uuid: api.session, accountUuid: ZSTACK_SEED.account });
    return (instant(inventory.expiredDate) - serverNow()) / 1000;
  };
  expect(await seconds({ renewSession: { duration: 86_400 } })).toBeCloseTo(86_400, -1);
  // The job query is no authorised call, so the end stays.
  const [session] = api.emulator.zstack.sessions.values();
  expect(session?.endMs).toBeGreaterThan(api.emulator.clock.now().getTime() + 86_000_000);
  expect(await seconds({})).toBeCloseTo(7200, -1);
});

test.each([
  [{ renewSession: { duration: 59 } }, fault("SYS.1007", /^field\[duration\] must be in range of \[60, 31536000\]$/)],
  [{ renewSession: { duration: 31_536_001 } }, fault("SYS.1007", /range/)],
  [
    { renewSession: { duration: "long" } },
    { status: 400, text: "[duration] field is excepted an int or long, but was [long]." },
  ],
])("a renewal with %j is refused (APIRenewSessionMsg.java:21–27)", async (body, answer) => {
  expect(await renew(body)).toMatchObject(answer);
});

test("a renewal of an unknown session, and by an ended one", async () => {
  expect(await renew({}, "0".repeat(32))).toMatchObject(fault("SYS.1003", /field\[sessionUuid\].*type:SessionVO/));
  const path = `/accounts/sessions/${api.session}/renew`;
  expect(await api.change("PUT", path, {}, "ended")).toMatchObject(fault("ID.1001", /expired/));
  // The log masks the session.
  expect(
    api.emulator.requests.filter(({ operation }) => operation === "sessions.renew").map(({ path: one }) => one),
  ).toEqual(["/zstack/v1/accounts/sessions/***/renew", "/zstack/v1/accounts/sessions/***/renew"]);
});

test("the server tells its time to everybody, and its zone to who is logged in", async () => {
  const time = await api.ask("PUT", "/management-nodes/actions", { getCurrentTime: {} }, "ended");
  expect(time.status).toBe(200);
  const { MillionSeconds, Seconds } = time.body.currentTime;
  expect(Math.abs(MillionSeconds - api.emulator.clock.now().getTime())).toBeLessThan(60_000);
  expect(Seconds).toBe(Math.floor(MillionSeconds / 1000));
  const zone = async () => (await api.ask("GET", "/management-nodes/platform-timezone")).body;
  expect(await zone()).toMatchObject({ timezone: "Asia/Shanghai", offset: "+08:00" });
  api.emulator.zstack.settings.offsetMinutes = -210;
  expect(await zone()).toMatchObject({ timezone: "GMT-03:30", offset: "-03:30" });
  api.emulator.zstack.settings.offsetMinutes = 0;
  expect(await zone()).toMatchObject({ offset: "Z" });
  const ended = await api.ask("GET", "/management-nodes/platform-timezone", undefined, "ended");
  expect(ended).toMatchObject(fault("ID.1001", /expired/));
});

test.each([480, 0, -210])(
  "times are the server's own, %d minutes ahead of UTC: in answers, in jobs, in conditions",
  async (minutes) => {
    api.emulator.zstack.settings.offsetMinutes = minutes;
    const near = (time: string) => expect(Math.abs(instant(time) - serverNow())).toBeLessThan(600_000);
    const [vm] = (await api.ask("GET", `/vm-instances/${ZSTACK_SEED.web}`)).body.inventories;
    for (const { createDate, lastOpDate } of [vm, vm.vmNics[0], vm.vmNics[0].usedIps[0], vm.allVolumes[0]]) {
      near(createDate);
      near(lastOpDate);
    }
    const update = { updateVmInstance: { description: "d" } };
    near((await api.change("PUT", `/vm-instances/${ZSTACK_SEED.web}/actions`, update)).body.inventory.lastOpDate);
    const sql = (ms: number) => new Date(ms).toISOString().slice(0, 19).replace("T", " ");
    const between = [`createDate>${sql(serverNow() - 600_000)}`, `createDate<${sql(serverNow() + 600_000)}`];
    expect(
      await api.names(`/zones?${new URLSearchParams(between.map((one): [string, string] => ["q", one]))}`),
    ).toEqual(["zone"]);
  },
);

test("a NIC and a volume have the fields of docs/wire/zstack.md#s9-2", async () => {
  const [{ vmNics, allVolumes, guestOsType }] = (await api.ask("GET", `/vm-instances/${ZSTACK_SEED.web}`)).body
    .inventories;
  expect(vmNics[0]).toMatchObject({ driverType: "virtio", state: "enable", deviceId: 0, usedIps: [{ ipVersion: 4 }] });
  expect(allVolumes[0]).toMatchObject({ installPath: expect.stringMatching(/^\//), deviceId: 0 });
  expect(guestOsType).toBe("Linux");
});
