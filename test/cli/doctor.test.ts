// `snapclone doctor` against the emulator: every kind of connection when all is well, and each fault of a login. No secret is
// shown, and nothing is created.

import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { kinds } from "../../cli/connections";
import { type Emulator, startEmulator } from "../../emulator";
import { CERT, KEY } from "../support/certificate";
import { type CliSetup, snapclone, stackConfig } from "./fixture";

interface Finding {
  level: string;
  what: string;
  text: string;
  hint?: string;
}

let emulator: Emulator;
beforeEach(async () => {
  emulator = await startEmulator({ clock: "manual" });
});
afterEach(() => emulator.close());

type Connections = Record<string, Record<string, unknown>>;
const connections = () => emulator.connections() as Connections;

async function examine(name: string, entries: Connections, setup: CliSetup = {}, more: readonly string[] = []) {
  const stdin = stackConfig(entries);
  const result = await snapclone(["doctor", name, "--stack-config", "-", "--json", ...more], { stdin, ...setup });
  const { sections } = result.json() as { sections: { title: string; findings: Finding[] }[] };
  const findings = sections.filter(({ title }) => title !== "this machine").flatMap((section) => section.findings);
  const of = (level: string) => findings.filter((one) => one.level === level);
  return { ...result, sections, findings, of };
}
const secrets = () =>
  Object.values(connections()).flatMap((one) =>
    Object.entries(one).flatMap(([key, value]) => (/password|secret/i.test(key) ? [String(value)] : [])),
  );

test("every kind can be examined", () => {
  expect(kinds().filter(({ diagnose }) => diagnose === undefined)).toEqual([]);
});

test.each(["default", "powervc", "vipr", "zstack"])(
  "%s: no socket stays open when the command has ended",
  async (name) => {
    const left = () => process.getActiveResourcesInfo().filter((one) => one === "TCPSocketWrap").length;
    const before = left();
    for (const command of ["doctor", "orphans", "graph"]) {
      const named = command === "orphans" ? ["--connection", name] : [name];
      const stdin = stackConfig({ [name]: connections()[name] ?? {} });
      expect((await snapclone([command, ...named, "--stack-config", "-"], { stdin })).code).toBe(0);
      // The emulator's side of a socket ends a moment after the other. One that is kept for more requests lives four seconds.
      const deadline = Date.now() + 2_000;
      while (left() > before && Date.now() < deadline) await delay(5);
      expect(left()).toBeLessThanOrEqual(before);
    }
  },
);

test.each([
  [
    "default",
    [],
    "openstack",
    ["settings", "Keystone", "login", "Cinder", "microversion", "clock", "rights", "filters", "quota", "Nova"],
  ],
  [
    "powervc",
    ["--kind", "powervc"],
    "powervc",
    ["settings", "Keystone", "login", "Cinder", "microversion", "clock", "rights", "filters", "quota", "clone API"],
  ],
  ["vipr", [], "vipr", ["settings", "ViPR", "login", "clock", "rights"]],
  ["zstack", [], "zstack", ["settings", "ZStack", "version", "login", "clock", "rights"]],
])("%s: nothing is wrong, nothing is created, no secret is shown", async (name, more, kind, examined) => {
  const before = emulator.cinder.snapshots.size;
  const { code, sections, findings, stdout, of } = await examine(name, connections(), {}, more);
  expect([of("wrong"), of("warning")]).toEqual([[], []]);
  expect([code, sections.map(({ title }) => title)]).toEqual([0, ["this machine", `${kind} "${name}"`]]);
  expect([...new Set(findings.map(({ what }) => what))]).toEqual(examined);
  const changing = emulator.requests.filter(
    ({ method, path }) => method !== "GET" && !/auth\/tokens|login|actions|accounts\/sessions/.test(path),
  );
  expect([changing, emulator.cinder.snapshots.size]).toEqual([[], before]);
  // "secret" itself is the emulator's password for some, and an ordinary word.
  for (const secret of secrets()) expect(stdout).not.toContain(`"${secret}"`);
});

test.each([
  ["default", "password", /401|requires authentication/],
  ["vipr", "password", /refused/],
  ["zstack", "password", /account/i],
])("%s: a wrong password is told once, with where it came from, and not shown", async (name, field, message) => {
  const entries = { ...connections(), [name]: { ...connections()[name], [field]: "planted-password" } };
  const { code, of, stdout, stderr } = await examine(name, entries);
  expect([code, of("wrong")]).toEqual([
    1,
    [expect.objectContaining({ what: "login", text: expect.stringMatching(message) })],
  ]);
  expect(of("wrong")[0]?.hint).toContain("snapclone:connections");
  expect(stdout + stderr).not.toContain("planted-password");
});

test("a missing field, and a field that is no field", async () => {
  const { password: _, ...incomplete } = connections().vipr ?? {};
  const { code, of } = await examine("vipr", { vipr: { ...incomplete, kind: "vipr", pasword: "planted" } });
  expect([code, of("wrong")]).toEqual([
    1,
    [expect.objectContaining({ what: "settings", hint: expect.stringContaining("pulumi config set") })],
  ]);
  expect(of("wrong")[0]?.text).toContain("unknown field `pasword`; did you mean");
});

test("no connection of the name: what was looked at, for each kind", async () => {
  const { code, of } = await examine("backup", {});
  expect(code).toBe(1);
  expect(of("wrong").map(({ what }) => what)).toEqual(["openstack", "vipr", "zstack"]);
  for (const { text } of of("wrong")) expect(text).toContain('connection "backup"');
});

test.each([
  ["socks5://proxy.example", "only http:// and https:// proxies can be used"],
  ["http://user:planted-password@127.0.0.1:9", "the proxy http://127.0.0.1:9"],
])("a proxy %s: which one was chosen, and why", async (proxy, message) => {
  const { code, of, stdout } = await examine(
    "vipr",
    { vipr: connections().vipr ?? {} },
    { env: { HTTP_PROXY: proxy } },
  );
  expect(code).toBe(1);
  expect(JSON.stringify([of("wrong"), of("ok")])).toContain(message);
  expect(stdout).not.toContain("planted-password");
});

test("NO_PROXY exempts the address", async () => {
  const env = { HTTP_PROXY: "http://127.0.0.1:9", NO_PROXY: "127.0.0.1" };
  const { code, of } = await examine("vipr", { vipr: connections().vipr ?? {} }, { env });
  expect(code).toBe(0);
  expect(of("ok").find(({ what }) => what === "ViPR")?.text).toContain("directly, without a proxy");
});

test("a certificate that is not trusted: what to set; and with insecure a warning", async () => {
  const server = createServer({ cert: CERT, key: KEY }, (_request, response) => response.writeHead(503).end());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const url = `https://localhost:${(server.address() as AddressInfo).port}`;
    const vipr = { kind: "vipr", username: "root", password: "planted-password", url };
    const { code, of } = await examine("vipr", { vipr });
    expect([code, of("wrong")]).toEqual([
      1,
      [
        expect.objectContaining({
          text: expect.stringContaining("is not trusted"),
          hint: expect.stringContaining("cacert"),
        }),
      ],
    ]);
    const { of: insecurely } = await examine("vipr", { vipr: { ...vipr, insecure: true } });
    expect(insecurely("warning")).toEqual([expect.objectContaining({ text: expect.stringContaining("not verified") })]);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test.each(["default", "vipr", "zstack"])("%s: a server's clock that is an hour ahead", async (name) => {
  await emulator.clock.tick(3_600_000);
  const { code, of } = await examine(name, connections());
  expect(code).toBe(0);
  expect(of("warning")).toEqual([
    expect.objectContaining({ what: "clock", text: expect.stringMatching(/(1 h|60 min).* behind the server's/) }),
  ]);
});

test("an old Cinder: what it is too old for", async () => {
  await emulator.close();
  emulator = await startEmulator({ clock: "manual", maxMicroversion: "3.59" });
  const { code, of } = await examine("default", connections());
  expect([code, of("warning")]).toEqual([
    0,
    [expect.objectContaining({ what: "microversion", text: expect.stringContaining("force: true") })],
  ]);
});

test("a cloud without the metadata filter, and a full quota", async () => {
  await emulator.close();
  const snapshotFilters = ["name", "status", "volume_id"];
  emulator = await startEmulator({ clock: "manual", snapshotFilters, quotas: { snapshots: 0 } });
  const { code, of } = await examine("default", connections());
  expect([code, of("warning").map(({ what }) => what)]).toEqual([0, ["filters", "quota"]]);
  expect(of("warning")[0]?.hint).toContain("resource_filters.json");
});

test("a policy that forbids a list: the rule that is missing", async () => {
  emulator.faults.add({
    match: { operation: "volumes.detail" },
    times: Infinity,
    status: 403,
    body: JSON.stringify({ forbidden: { code: 403, message: "Policy doesn't allow volume:get_all to be performed." } }),
  });
  const { code, of } = await examine("default", connections());
  const [wrong, ...others] = of("wrong");
  expect([code, others, wrong]).toEqual([1, [], expect.objectContaining({ what: "rights" })]);
  expect(wrong?.text).toContain("volume:get_all");
});

test.each<[string[], string, RegExp]>([
  [["reader"], "warning", /has the role reader alone.*create nothing/],
  [["member", "reader"], "unknown", /its roles are member, reader\. AssistedSnapshot needs an administrator/],
  [["admin"], "unknown", /its roles are admin\.$/],
])("a login with the roles %j may list; of the rest: %s", async (roles, level, text) => {
  const { keystone } = emulator;
  for (const name of roles) if (!keystone.roles.has(name)) keystone.roles.set(name, { id: name, name });
  for (const assignment of keystone.assignments) assignment.roles = roles;
  const { code, findings } = await examine("default", connections());
  const rights = findings.filter(({ what }) => what === "rights");
  expect([code, rights.slice(0, -1).map((one) => [one.level, one.text])]).toEqual([
    0,
    [
      ["ok", "may list snapshots"],
      ["ok", "may list volumes"],
    ],
  ]);
  expect(rights.at(-1)).toMatchObject({ level, text: expect.stringMatching(text), hint: expect.any(String) });
});

test("without a name: all connections of the stack config, and what this machine has", async () => {
  const stdin = stackConfig({ one: connections().vipr ?? {}, two: connections().zstack ?? {} });
  const { stdout, code } = await snapclone(["doctor", "--stack-config", "-"], { stdin });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^this machine\n {2}ok {5} {2}pulumi-snapclone: [\s\S]*vipr "one"[\s\S]*zstack "two"/);
  expect(stdout).toMatch(/\n\d+ warning, \d+ unknown, \d+ ok\.\n$/);
});
