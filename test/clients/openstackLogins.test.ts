// The OpenStack clients' other logins, and the commands on servers, quotas and application credentials.

import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { clientHome, hasCommand, hasSdk, openstack, refusedCommand, runScript } from "./openstackClient";

let emulator: Emulator;
const home = clientHome();

beforeAll(async () => {
  emulator = await startEmulator({ clock: { scale: 100 }, timings: { tokenLife: 1e9 } });
});
afterAll(async () => {
  await emulator.close();
  home.remove();
});

/** Logins without a password, all of them as the member of demo. */
function logins(): Record<string, Record<string, string>> {
  const { keystone } = emulator;
  const { OS_AUTH_URL = "", OS_REGION_NAME = "" } = emulator.openstack.env();
  const user = keystone.userNamed("demo");
  const project = keystone.projectNamed("demo");
  const [credential] = keystone.applicationCredentials.values();
  const common = { OS_AUTH_URL, OS_REGION_NAME };
  const secret = { OS_AUTH_TYPE: "v3applicationcredential", OS_APPLICATION_CREDENTIAL_SECRET: "app-secret" };
  const token = keystone.issue({
    userId: user.id,
    methods: ["password"],
    projectId: project.id,
    system: false,
    roles: ["member", "reader"],
    applicationCredentialId: null,
  });
  return {
    "by its id": { ...common, ...secret, OS_APPLICATION_CREDENTIAL_ID: credential?.id ?? "" },
    "by its name": {
      ...common,
      ...secret,
      OS_APPLICATION_CREDENTIAL_NAME: "ci",
      OS_USERNAME: "demo",
      OS_USER_DOMAIN_NAME: "Default",
    },
    token: { ...common, OS_AUTH_TYPE: "v3token", OS_TOKEN: token.id, OS_PROJECT_ID: project.id },
  };
}

(hasSdk ? describe : describe.skip)("openstacksdk", () => {
  test("logs in by application credential, by its id or its name, and by token", async () => {
    const calls = [SEED_VOLUMES.data, "identity", "servers"];
    const outcomes = Object.entries(logins()).map(async ([name, login]) => [
      name,
      await runScript("openstack_calls.py", calls, home.env(login)),
    ]);
    const { id } = emulator.keystone.projectNamed("demo");
    const expected = { identity: { "project id": id }, servers: { servers: 1, status: "ACTIVE" } };
    expect(Object.fromEntries(await Promise.all(outcomes))).toMatchObject({
      "by its id": expected,
      "by its name": expected,
      token: expected,
    });
  }, 180_000);
  test("at PowerVC: volumes, metadata, snapshots and servers", async () => {
    const env = home.env(emulator.powervc.env());
    const groups = ["identity", "volumes", "volume metadata", "snapshots", "servers"];
    expect(await runScript("openstack_calls.py", [SEED_VOLUMES.data, ...groups], env)).toMatchObject({
      identity: { project: "demo" },
      volumes: { size: 2 },
      "volume metadata": { after: { b: "2", c: "3" } },
      snapshots: { status: "available", restored: true },
      servers: { servers: 1 },
    });
  }, 130_000);
});

(hasCommand ? describe : describe.skip)("the command openstack", () => {
  const as = (user?: string) => home.env(emulator.openstack.env(user));

  test("logs in by application credential, by its id or its name, and by token", async () => {
    const lists = Object.values(logins()).map((login) => openstack(home.env(login), "volume", "list"));
    expect((await Promise.all(lists)).map(({ length }) => length)).toEqual([2, 2, 2]);
  }, 180_000);

  test("servers: by name and status, of all projects, with their volumes", async () => {
    const server = emulator.nova.serverOf(SEED_VOLUMES.logs);
    if (server !== undefined) server.name = "web-1";
    const list = async (...words: string[]) =>
      (await openstack(as(), "server", "list", ...words)).map(({ Name }: { Name: string }) => Name);
    const [all, named, other, running, off] = await Promise.all([
      list(),
      list("--name", "^web"),
      list("--name", "nomatch"),
      list("--status", "ACTIVE"),
      list("--status", "SHUTOFF"),
    ]);
    expect({ all, named, other, running, off }).toEqual({
      all: ["web-1"],
      named: ["web-1"],
      other: [],
      running: ["web-1"],
      off: [],
    });
    expect(await refusedCommand(as(), "server", "list", "--all-projects")).toMatch(/403/);
    expect(await openstack(as("admin"), "server", "list", "--all-projects")).toHaveLength(1);
    expect(await openstack(as(), "server", "volume", "list", "web-1")).toEqual([
      expect.objectContaining({ Device: "/dev/vdb", "Volume ID": SEED_VOLUMES.logs }),
    ]);
  }, 180_000);

  test("PowerVC's volumes and servers", async () => {
    const env = home.env(emulator.powervc.env());
    const [volumes, servers] = await Promise.all([openstack(env, "volume", "list"), openstack(env, "server", "list")]);
    expect([volumes.length, servers.length]).toEqual([2, 1]);
  }, 100_000);

  test("application credentials: with a role, shown by name, refused when they are there, and removed", async () => {
    const credential = (...words: string[]) => ["application", "credential", ...words];
    const made = await openstack(
      as(),
      ...credential("create", "one", "--role", "reader", "--expiration", "2031-01-01T00:00:00"),
    );
    expect(made).toMatchObject({ name: "one", roles: "reader", expires_at: "2031-01-01T00:00:00.000000" });
    expect(await openstack(as(), ...credential("show", "one"))).toMatchObject({ id: made.id, name: "one" });
    const refusals = await Promise.all([
      refusedCommand(as(), ...credential("create", "one")),
      refusedCommand(as(), ...credential("create", "two", "--role", "admin")),
      refusedCommand(as(), ...credential("create", "two", "--expiration", "2001-01-01T00:00:00")),
    ]);
    expect(refusals).toEqual([
      expect.stringMatching(/Duplicate entry found with name one/),
      expect.stringMatching(/unassigned role/),
      expect.stringMatching(/must not be before now/),
    ]);
    await refusedCommand(as(), ...credential("delete", "one"));
    expect(await refusedCommand(as(), ...credential("show", "one"))).toMatch(
      /No applicationcredential|not found|No application/i,
    );
  }, 180_000);

  test("a quota is set and shown, and limits show what is used", async () => {
    const admin = home.env({ ...emulator.openstack.env("admin"), OS_PROJECT_NAME: "demo" });
    const { id } = emulator.keystone.projectNamed("demo");
    emulator.cinder.quotas.set(id, { volumes: 30 });
    const [quota, limits] = await Promise.all([
      openstack(admin, "quota", "show"),
      openstack(as(), "limits", "show", "--absolute"),
    ]);
    expect(quota).toMatchObject({ volumes: 30, cores: 20, "per-volume-gigabytes": -1 });
    const named = Object.fromEntries(limits.map(({ Name, Value }: { Name: string; Value: number }) => [Name, Value]));
    expect(named).toMatchObject({ maxTotalVolumes: 30, totalVolumesUsed: 2, totalInstancesUsed: 1 });
  }, 100_000);
});
