// The handles of the emulator's platforms, and the names of the last release that still work.

import {
  type Emulator,
  FAULT_ACTIONS,
  type FaultAction,
  type NovaFailure,
  SEED_VOLUMES,
  startEmulator,
} from "../../emulator";
import type { Login, NovaTrouble } from "../../emulator/index";
import { SERVICES } from "../../emulator/services";

let emulator: Emulator;

beforeEach(async () => {
  emulator = await startEmulator({ clock: "manual" });
});

afterEach(() => emulator.close());

describe("handles", () => {
  it("each service of the registry is a handle, and its routes are in the coverage", async () => {
    const reply = await fetch(`${emulator.url}/_emulator/coverage`);
    const { operations } = (await reply.json()) as { operations: { service: string }[] };
    const served = new Set(operations.map(({ service }) => service));
    for (const [key, definition] of Object.entries(SERVICES)) {
      expect(emulator).toHaveProperty(key);
      expect(served.has(key)).toBe("service" in definition);
    }
  });

  it("openstack: the member by default, other users by name", () => {
    const { openstack } = emulator;
    expect(openstack.connection()).toEqual({
      kind: "openstack",
      authUrl: `${emulator.url}/identity/v3`,
      username: "demo",
      password: "secret",
      projectName: "demo",
      userDomainName: "Default",
      projectDomainName: "Default",
      region: "RegionOne",
    });
    expect(openstack.connection("admin")).toMatchObject({ username: "admin", projectName: "admin" });
    expect(openstack.env("other")).toMatchObject({ OS_AUTH_URL: openstack.authUrl, OS_USERNAME: "other" });
    expect([openstack.keystone, openstack.cinder, openstack.nova]).toEqual([
      emulator.keystone,
      emulator.cinder,
      emulator.nova,
    ]);
    expect(() => openstack.connection("nobody")).toThrow("no user nobody");
  });

  it("powervc: the users of Keystone, behind PowerVC's own address", () => {
    emulator.keystone.createUser({ name: "operator", password: "own" });
    expect(emulator.powervc.connection("operator")).toMatchObject({
      kind: "powervc",
      authUrl: `${emulator.url}/powervc/openstack/identity/v3`,
      username: "operator",
      password: "own",
    });
    expect(emulator.powervc.env()).toMatchObject({ OS_USERNAME: "demo" });
  });

  it("vipr: root by default, other users by name", () => {
    const url = `${emulator.url}/vipr`;
    expect(emulator.vipr.connection()).toEqual({ kind: "vipr", url, username: "root", password: "secret" });
    emulator.vipr.auth.addUser({ name: "guest", password: "own", role: "none" });
    expect(emulator.vipr.env("guest")).toEqual({ VIPR_URL: url, VIPR_USERNAME: "guest", VIPR_PASSWORD: "own" });
    expect(() => emulator.vipr.connection("nobody")).toThrow("no ViPR user nobody");
  });

  it("zstack: the administrator by default, other accounts by name", () => {
    const { url } = emulator;
    expect(emulator.zstack.connection()).toEqual({ kind: "zstack", url, accountName: "admin", password: "password" });
    emulator.zstack.accounts.set("guest", "own");
    expect(emulator.zstack.env("guest")).toMatchObject({ ZSTACK_ACCOUNT_NAME: "guest" });
    expect(() => emulator.zstack.connection("nobody")).toThrow("no ZStack account nobody");
  });

  it("connections: one for each platform, and the administrator's of OpenStack", () => {
    const { openstack, powervc, vipr, zstack } = emulator;
    expect(emulator.connections()).toEqual({
      default: openstack.connection(),
      admin: openstack.connection("admin"),
      powervc: powervc.connection(),
      vipr: vipr.connection(),
      zstack: zstack.connection(),
    });
  });

  it("the action expire-token revokes the token of the request's own service", async () => {
    const { username, password } = emulator.vipr.connection();
    const basic = Buffer.from(`${username}:${password}`).toString("base64");
    const login = await fetch(`${emulator.url}/vipr/login`, { headers: { Authorization: `Basic ${basic}` } });
    const token = login.headers.get("x-sds-auth-token") ?? "";
    emulator.faults.add({ match: { service: "vipr" }, action: "expire-token" });
    const tenant = () =>
      fetch(`${emulator.url}/vipr/tenant`, { redirect: "manual", headers: { "X-SDS-AUTH-TOKEN": token } });
    expect((await tenant()).status).toBe(302);
    expect(emulator.vipr.auth.alive).toBe(0);
  });
});

describe("names of the last release", () => {
  it("logins", () => {
    const { openstack, powervc, vipr, zstack } = emulator;
    const login: Login = emulator.admin;
    expect(emulator.authUrl).toBe(openstack.authUrl);
    expect(emulator.connection()).toEqual(openstack.connection("demo"));
    expect(emulator.env()).toEqual(openstack.env("demo"));
    expect([login.connection(), login.env()]).toEqual([openstack.connection("admin"), openstack.env("admin")]);
    expect(emulator.powervcLogin.connection()).toEqual(powervc.connection());
    expect(emulator.viprLogin.env()).toEqual(vipr.env());
    expect(emulator.viprAuth).toBe(vipr.auth);
    expect(emulator.zstackLogin.connection()).toEqual(zstack.connection());
  });

  it("settle() advances the models", () => {
    emulator.vipr.linkNow([...emulator.vipr.sessions.keys()][0] ?? "", "linked");
    emulator.vipr.settle();
    emulator.zstack.settle();
    expect(emulator.vipr.active()).toHaveLength(1);
    for (const model of [emulator.cinder, emulator.nova, emulator.powervc]) {
      const snapshot = emulator.cinder.createSnapshot({ volume_id: SEED_VOLUMES.data, status: "creating" });
      emulator.cinder.startSnapshotCreate(snapshot, "req-1");
      emulator.clock.tick(10_000);
      model.settle();
      expect(snapshot.status).toBe("available");
    }
  });

  const renamed: [FaultAction, (typeof FAULT_ACTIONS)[number]][] = [
    ["lose-reply", "drop-response"],
    ["trickle", "slow-body"],
    ["endless", "infinite-body"],
  ];
  it.each(renamed)("the fault action %s is %s", async (earlier, current) => {
    const rule = { match: { operation: "snapshots.create" }, action: earlier };
    emulator.faults.add(rule);
    const added = await fetch(`${emulator.url}/_emulator/faults`, { method: "POST", body: JSON.stringify(rule) });
    expect(added.status).toBe(201);
    const state = await (await fetch(`${emulator.url}/_emulator/state`)).json();
    expect(state).toMatchObject({ faults: [{ action: current }, { action: current }] });
    expect(FAULT_ACTIONS).not.toContain(earlier);
  });

  it("the type NovaTrouble", () => {
    const failure: NovaTrouble = "lost";
    const same: NovaFailure = failure;
    expect(same).toBe("lost");
  });
});
