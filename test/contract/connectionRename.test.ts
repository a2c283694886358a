// A connection that gets another name: the resources stay if the settings reach the same backend.

import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { Connections } from "../../provider/core/connection/connections";
import { openstack } from "../../provider/openstack/context";
import { snapshot } from "../../provider/openstack/snapshot/resource";
import { powervc } from "../../provider/powervc/context";
import { vipr } from "../../provider/vipr/context";
import { zstack } from "../../provider/zstack/context";
import { FakeEngine } from "../support/fakeEngine";
import { ScaledClock } from "../support/scaledClock";

const SCALE = 50;
const clock = new ScaledClock(SCALE);

let emulator: Emulator;
beforeAll(async () => {
  emulator = await startEmulator({ clock: "manual" });
  clock.drive(emulator);
});
afterEach(() => emulator.cinder.snapshots.clear());
afterAll(() => emulator.close());

const programOn = (connection?: string) => ({
  nightly: { volumeId: SEED_VOLUMES.data, name: "nightly", ...(connection === undefined ? {} : { connection }) },
});
const requests = (operation: string) => emulator.requests.count({ operation });

/** A stack whose snapshot was made by way of `default`. Then the stack config changes. */
async function made(after: Record<string, unknown>) {
  const config = { connections: JSON.stringify({ default: emulator.openstack.connection() }) };
  const engine = new FakeEngine(snapshot, { clock, config, type: "Snapshot" });
  expect((await engine.up(programOn())).errors).toEqual([]);
  config.connections = JSON.stringify(after);
  return { engine, id: engine.idOf("nightly"), creates: requests("snapshots.create") };
}

test("another name for the same project: an update, and the record names the new fingerprint", async () => {
  const { engine, id, creates } = await made({ prod: emulator.openstack.connection() });
  const before = { ...emulator.cinder.snapshots.get(id ?? "")?.metadata };
  expect((await engine.up(programOn("prod"))).errors).toEqual([]);
  expect([engine.idOf("nightly"), requests("snapshots.create")]).toEqual([id, creates]);
  const after = emulator.cinder.snapshots.get(id ?? "")?.metadata;
  expect(after).toEqual({ ...before, "snapclone:inputs": expect.any(String), "snapclone:attempt": expect.any(String) });
  expect(after?.["snapclone:inputs"]).not.toBe(before["snapclone:inputs"]);
  const sent = requests("snapshots.metadata.merge");
  expect((await engine.up(programOn("prod"))).errors).toEqual([]);
  expect(requests("snapshots.metadata.merge")).toBe(sent);
});

test("the record could not be written: the next run writes it", async () => {
  const { engine, id, creates } = await made({ prod: emulator.openstack.connection() });
  const before = emulator.cinder.snapshots.get(id ?? "")?.metadata["snapclone:inputs"];
  emulator.faults.add({ match: { operation: "snapshots.metadata.merge" }, times: 9, status: 500, body: "{}" });
  expect((await engine.up(programOn("prod"))).errors).toHaveLength(1);
  emulator.faults.clear();
  expect((await engine.up(programOn("prod"))).errors).toEqual([]);
  expect([engine.idOf("nightly"), requests("snapshots.create")]).toEqual([id, creates]);
  expect(emulator.cinder.snapshots.get(id ?? "")?.metadata["snapclone:inputs"]).not.toBe(before);
});

test("another password is the same backend; another project, region or Keystone is another", async () => {
  const connection = emulator.openstack.connection();
  const rotated = await made({ prod: { ...connection, password: "secret", insecure: true } });
  await rotated.engine.up(programOn("prod"));
  expect([rotated.engine.idOf("nightly"), requests("snapshots.create")]).toEqual([rotated.id, rotated.creates]);

  const elsewhere = await made({ prod: emulator.openstack.connection("other") });
  await elsewhere.engine.up(programOn("prod"));
  // The volume is not in that project: Cinder refuses the new snapshot, and the old one stays.
  expect(requests("snapshots.create")).toBe(elsewhere.creates + 1);
  expect(emulator.cinder.snapshots.has(elsewhere.id ?? "")).toBe(true);
});

test("a name without settings replaces as before, and nothing is lost", async () => {
  const { engine, id } = await made({ default: emulator.openstack.connection() });
  const { errors } = await engine.up(programOn("prod"));
  expect(String(errors[0])).toMatch(/there is no OpenStack connection "prod"/);
  expect(engine.idOf("nightly")).toBe(id);
});

describe("the target of a connection", () => {
  const targets = (kind: typeof openstack | typeof powervc | typeof vipr | typeof zstack, all: object) => {
    const open = new Connections(
      () => JSON.stringify(all),
      () => {},
      () => ({ deadline: 0, progress: () => {} }),
    );
    return Object.keys(all).map((name) => open.target(kind as typeof openstack, name));
  };

  test.each([
    ["openstack", openstack, () => emulator.openstack.connection(), "projectName"],
    ["powervc", powervc, () => emulator.powervc.connection(), "projectName"],
    ["vipr", vipr, () => emulator.vipr.connection(), "username"],
    ["zstack", zstack, () => emulator.zstack.connection(), "accountName"],
  ] as const)("%s: the same for other secrets, another for %s", (_, kind, connection, field) => {
    const given = connection();
    const [a, b, c, broken] = targets(kind, {
      a: given,
      b: { ...given, password: "another" },
      c: { ...given, [field]: "another" },
      broken: { ...given, nonsense: 1 },
    });
    expect(a).toMatch(/^[0-9a-f]{12}$/);
    expect(b).toBe(a);
    expect(c).not.toBe(a);
    expect(broken).toBeUndefined();
  });
});

describe("other settings under the same name", () => {
  const WARNING =
    /the connection "default" reach another address, project or region than those by which snapshot "nightly"/;
  const warnings = (log: string[]) => log.filter((text) => WARNING.test(text));

  test.each([
    ["another project", () => emulator.openstack.connection("other")],
    ["another Keystone", () => ({ ...emulator.openstack.connection(), authUrl: "http://127.0.0.1:9/identity/v3" })],
  ])("%s: no difference, but a warning that names the backend of the state, once", async (_what, settings) => {
    const { engine, id } = await made({ default: settings() });
    const { errors, log } = await engine.up({ ...programOn() });
    expect([errors, engine.idOf("nightly")]).toEqual([[], id]);
    expect(warnings(log)).toEqual([expect.stringMatching(/\(project \w+, region RegionOne\)/)]);
  });

  test("an update and a deletion fail, and the object stays", async () => {
    const { engine, id } = await made({ default: emulator.openstack.connection("other") });
    const change = await engine.up({ nightly: { ...programOn().nightly, description: "d" } });
    expect(String(change.errors[0])).toMatch(/does not prove that it is gone: it is on/);
    const removal = await engine.up({});
    expect(String(removal.errors[0])).toMatch(/does not prove that it is gone: it is on/);
    expect([engine.idOf("nightly"), emulator.cinder.snapshots.has(id ?? "")]).toEqual([id, true]);
  });

  test("another password warns of nothing, and neither does a refresh of the same backend by another address", async () => {
    const rotated = await made({ default: { ...emulator.openstack.connection(), password: "secret", insecure: true } });
    expect(warnings((await rotated.engine.up(programOn())).log)).toEqual([]);
    const { authUrl, ...rest } = emulator.openstack.connection() as { authUrl: string };
    const moved = await made({ default: { ...rest, authUrl: authUrl.replace("127.0.0.1", "localhost") } });
    expect(warnings((await moved.engine.up(programOn())).log)).toHaveLength(1);
    await moved.engine.refresh();
    expect(warnings((await moved.engine.up(programOn())).log)).toEqual([]);
  });
});
