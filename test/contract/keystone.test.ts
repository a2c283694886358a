// KeystoneSession against the emulator, over real sockets.

import { type Emulator, startEmulator } from "../../emulator";
import { CinderClient } from "../../provider/openstack/cinder";
import type { OpenStackSettings } from "../../provider/openstack/connection";
import { KeystoneSession } from "../../provider/openstack/keystone";
import { failure } from "../support/failures";

let emulator: Emulator;
const sessions: KeystoneSession[] = [];

beforeEach(async () => {
  emulator = await startEmulator({ clock: "instant" });
});
afterEach(async () => {
  for (const session of sessions.splice(0)) await session.close();
  await emulator.close();
});

const domain = { name: "Default" };
const project = { project: { name: "demo", domain } };
const password = (changes: object = {}) =>
  ({ method: "password", user: { name: "demo", domain }, password: "secret", scope: project, ...changes }) as const;

function open(changes: Partial<OpenStackSettings> = {}): { session: KeystoneSession; cinder: CinderClient } {
  const session = new KeystoneSession({
    authUrl: emulator.openstack.authUrl,
    auth: password(),
    region: "RegionOne",
    interface: "public",
    endpointOverride: {},
    serviceType: {},
    serviceRegion: {},
    serviceInterface: {},
    tls: { insecure: false },
    source: "OS_* of the environment",
    sourceKind: "environment",
    warnings: [],
    ...changes,
  });
  sessions.push(session);
  return { session, cinder: new CinderClient(session) };
}

const logins = () => emulator.requests.count({ service: "keystone", method: "POST" });

describe("logins", () => {
  const demo = () => emulator.keystone.projectNamed("demo").id;

  it("login: works with a password, by names and by ids", async () => {
    expect(await open().session.projectId()).toBe(demo());
    const user = { id: emulator.keystone.userNamed("demo").id };
    const { session } = open({ auth: password({ user, scope: { project: { id: demo() } } }) });
    expect([await session.projectId(), await session.userId()]).toEqual([demo(), user.id]);
  });

  it("login: works with an application credential, by id and by name", async () => {
    const [credential] = [...emulator.keystone.applicationCredentials.values()];
    if (!credential) throw new Error("the emulator has no application credential");
    const secret = "app-secret";
    const byId = open({ auth: { method: "applicationCredential", id: credential.id, secret } });
    const user = { name: "demo", domain };
    const byName = open({ auth: { method: "applicationCredential", name: credential.name, user, secret } });
    for (const { session } of [byId, byName]) expect(await session.projectId()).toBe(demo());
  });

  it("login: works with a token, whose end stays the same", async () => {
    const token = await open().session.token();
    const { session, cinder } = open({ auth: { method: "token", token, scope: project } });
    expect(await session.projectId()).toBe(demo());
    expect((await cinder.listSnapshotsDetail()).snapshots).toEqual([]);
    emulator.keystone.revokeAll();
    const error = await failure(cinder.listSnapshotsDetail());
    expect([error.kind, error.message]).toEqual(["unauthorized", expect.stringContaining("cannot be renewed")]);
  });

  it("login: works without a project, and requests to services do not", async () => {
    for (const scope of ["unscoped", { system: true }] as const) {
      const user = { name: "admin", domain };
      const { session, cinder } = open({ auth: password({ user, scope }) });
      expect(await session.token()).not.toBe("");
      const error = await failure(cinder.listSnapshotsDetail());
      expect([error.kind, error.message]).toEqual(["config", expect.stringContaining("no project")]);
    }
  });

  const refused: [string, OpenStackSettings["auth"], string][] = [
    ["a wrong password", password({ password: "wrong-one" }), "unauthorized"],
    ["an unknown user", password({ user: { name: "nobody", domain } }), "unauthorized"],
    ["an unknown domain", password({ user: { name: "demo", domain: { name: "Nope" } } }), "unauthorized"],
    ["an unknown project", password({ scope: { project: { name: "zzz", domain } } }), "unauthorized"],
    ["no role on the project", password({ scope: { project: { name: "other", domain } } }), "unauthorized"],
    ["no role on the domain", password({ scope: { domain } }), "unauthorized"],
    ["a user without a domain", password({ user: { name: "demo" } }), "config"],
    ["a project without a domain", password({ scope: { project: { name: "demo" } } }), "config"],
    [
      "an unknown application credential",
      { method: "applicationCredential", id: "nope", secret: "wrong-one" },
      "unauthorized",
    ],
    ["a bad token", { method: "token", token: "gAAAAbogus", scope: "unscoped" }, "unauthorized"],
  ];
  it.each(refused)("login: is refused after one request for %s", async (_name, auth, kind) => {
    const { session, cinder } = open({ auth });
    const errors = await Promise.all([failure(session.token()), failure(cinder.listSnapshotsDetail())]);
    errors.push(await failure(session.token()));
    for (const error of errors) {
      expect(error.kind).toBe(kind);
      expect(error.message).toContain("OS_* of the environment");
      expect(error.message).not.toContain("wrong-one");
    }
    expect(logins()).toBe(1);
  });

  it("login: an address without a Keystone is a config error", async () => {
    for (const authUrl of [`${emulator.url}/identity/nowhere/v3`, `${emulator.url}/v3`]) {
      const error = await failure(open({ authUrl }).session.token());
      expect([error.kind, error.message]).toEqual(["config", expect.stringContaining("up to and including /v3")]);
    }
  });
});

describe("a token that expires during the run", () => {
  it.each(["expireAll", "revokeAll"] as const)("login: after %s, 50 requests share one new login", async (end) => {
    const { cinder } = open();
    await cinder.microversion();
    emulator.keystone[end]();
    await Promise.all(Array.from({ length: 50 }, () => cinder.listSnapshotsDetail()));
    expect(logins()).toBe(2);
  });

  it("create: is sent once if the token expires during it", async () => {
    const { cinder } = open();
    const [volume] = [...emulator.cinder.volumes.values()];
    if (!volume) throw new Error("the emulator has no volume");
    await cinder.microversion();
    emulator.faults.add({ match: { operation: "snapshots.create" }, action: "expire-token" });
    await cinder.createSnapshot({ volume_id: volume.id });
    expect([emulator.cinder.snapshots.size, logins()]).toEqual([1, 2]);
  });

  it("request: a service that refuses every token is an error after one new login", async () => {
    const { cinder } = open();
    await cinder.microversion();
    emulator.faults.add({ match: { operation: "snapshots.detail" }, status: 401, times: 10 });
    const error = await failure(cinder.listSnapshotsDetail());
    expect([error.kind, error.message]).toEqual(["unauthorized", expect.stringContaining("a moment ago")]);
    expect([logins(), emulator.requests.count({ operation: "snapshots.detail" })]).toEqual([2, 2]);
  });
});

describe("the catalogue", () => {
  it("catalogue: finds Cinder by type, interface and region", async () => {
    const endpoint = `${emulator.url}/volume/v3/${emulator.keystone.projectNamed("demo").id}`;
    expect(await open().session.endpoint("blockStorage")).toBe(endpoint);
    expect(await open({ serviceType: { blockStorage: "volumev3" } }).session.endpoint("blockStorage")).toBe(endpoint);
    expect(await open({ interface: "internal" }).session.endpoint("blockStorage")).toBe(endpoint);
  });

  it("catalogue: an unknown region is a config error that names the known ones", async () => {
    const error = await failure(open({ region: "Nowhere" }).session.endpoint("blockStorage"));
    expect([error.kind, error.message]).toEqual([
      "config",
      expect.stringContaining("block-storage (public, RegionOne)"),
    ]);
  });

  it.each(["", "/v3", "/v3/another-project/"])("endpoint: can be overridden with …/volume%s", async (path) => {
    const { cinder } = open({ endpointOverride: { blockStorage: `${emulator.url}/volume${path}` } });
    expect((await cinder.listSnapshotsDetail()).snapshots).toEqual([]);
  });

  it("endpoint: an override that is not Cinder's address is a config error, not an absence", async () => {
    const { cinder } = open({ endpointOverride: { blockStorage: `${emulator.url}/volume/nope/v3` } });
    expect((await failure(cinder.showSnapshot("9b9e0504-bec0-4e6d-a5ba-83cce6a19555"))).kind).toBe("config");
  });
});

it("login: an unreachable Keystone is asked again", async () => {
  emulator.faults.add({ match: { service: "keystone" }, times: 3, status: 503 });
  const { session } = open();
  expect((await failure(session.token())).kind).toBe("transient");
  await new Promise((resolve) => setTimeout(resolve, 2_050));
  expect(await session.token()).not.toBe("");
});
