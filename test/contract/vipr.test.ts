// The ViPR client against the emulator: every call, and the surprising answers of ViPR (docs/wire/vipr.md#s0).

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Emulator, type EmulatorOptions, SEED_SESSIONS, startEmulator } from "../../emulator";
import { SnapcloneError } from "../../provider/core/errors";
import { codeOf, ViprClient } from "../../provider/vipr/client";
import type { ViprSettings } from "../../provider/vipr/connection";

const { monday, tuesday, logs, shopMonday } = SEED_SESSIONS;
const NOWHERE = monday.replace("aaaaaaaa", "dddddddd");

const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

async function start(options: EmulatorOptions = {}) {
  const emulator = await startEmulator({ clock: "instant", ...options });
  endings.push(() => emulator.close());
  return { emulator, client: clientOf(emulator) };
}

function clientOf(emulator: Emulator, changes: Partial<ViprSettings> = {}): ViprClient {
  const { kind: _kind, ...login } = emulator.vipr.connection();
  const client = new ViprClient({
    ...login,
    tls: { insecure: false },
    source: "a test",
    sourceKind: "environment",
    warnings: [],
    ...changes,
  });
  endings.unshift(() => client.logout().catch(() => {}));
  return client;
}

async function failure(work: Promise<unknown>): Promise<SnapcloneError> {
  const error: unknown = await work.then(
    () => new Error("expected a failure"),
    (reason: unknown) => reason,
  );
  if (!(error instanceof SnapcloneError)) throw error;
  return error;
}

/** Sends a request that the client never sends. */
async function raw(emulator: Emulator, path: string, init: RequestInit = {}) {
  const response = await fetch(`${emulator.url}/vipr${path}`, { redirect: "manual", ...init });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text };
}

async function tokenOf(emulator: Emulator): Promise<string> {
  const authorization = `Basic ${Buffer.from("root:secret").toString("base64")}`;
  const { headers } = await raw(emulator, "/login", { headers: { authorization } });
  return headers.get("x-sds-auth-token") ?? "";
}

const linked = (emulator: Emulator) => emulator.vipr.active().map(({ id }) => id);

describe("calls", () => {
  it("link, show, tag, relink and unlink targets, and tasks name no targets", async () => {
    const { emulator, client } = await start({ clock: "manual" });
    const [task] = await client.linkTargets(monday, { count: 2, target_name: "dev", copy_mode: "copy" });
    expect(task).toMatchObject({ name: "LINK SNAPSHOT SESSION TARGETS", state: "pending", progress: 0 });
    expect(task.resource).toMatchObject({ id: monday });
    expect(task.associated_resources).toEqual([]);
    expect(task).not.toHaveProperty("workflow");

    // ViPR makes the targets at once, and provisions them later.
    const ids = (await client.searchTargets("DEV-")).map(({ id }) => id);
    expect(await client.bulkTargets(ids)).toMatchObject([
      { name: "dev-1", inactive: false, native_id: "" },
      { name: "dev-2", inactive: false },
    ]);
    expect((await client.showTarget(ids[0] ?? "")).wwn).toBeUndefined();
    expect((await client.showSession(monday)).linked_targets).toEqual([]);

    // The targets are linked one by one before the task is ready.
    emulator.clock.tick(700);
    expect((await client.showSession(monday)).linked_targets).toHaveLength(1);
    expect(await client.showTask(task.id)).toMatchObject({ state: "pending", workflow: { id: expect.any(String) } });
    emulator.clock.tick(2_000);
    expect(await client.bulkTasks([task.id])).toMatchObject([
      { id: task.id, state: "ready", message: "Operation completed successfully" },
    ]);
    expect((await client.listSessionTasks(monday)).map(({ id }) => id)).toEqual([task.id]);
    const [first] = await client.bulkTargets(ids);
    expect(first).toMatchObject({ wwn: expect.stringMatching(/^6000/), provisioned_capacity_gb: "10.00" });
    // ViPR never shows the copy mode (docs/wire/vipr.md#s0-8), nor the session of a target.
    expect(Object.keys(first ?? {}).filter((key) => /copy|session/.test(key))).toEqual([]);
    expect(emulator.vipr.active().map(({ copyMode }) => copyMode)).toEqual(["copy", "copy"]);

    await client.tagTarget(ids[0] ?? "", { add: ["snapclone:settled"], remove: ["nothing there"] });
    await client.tagTarget(ids[0] ?? "", { add: ["snapclone:settled"] });
    expect((await client.showTarget(ids[0] ?? "")).tags).toEqual(["snapclone:settled"]);

    await client.relinkTargets(tuesday, ids);
    emulator.clock.tick(2_000);
    const [moved] = await client.bulkSessions([tuesday]);
    expect(moved?.linked_targets.map(({ id }) => id).sort()).toEqual([...ids].sort());
    expect(await client.showTarget(ids[0] ?? "")).toMatchObject({ wwn: first?.wwn, tags: ["snapclone:settled"] });

    const [unlinking] = await client.unlinkTargets(tuesday, [
      { id: ids[0] ?? "", delete_target: true },
      { id: ids[1] ?? "", delete_target: false },
    ]);
    expect(unlinking).toMatchObject({ name: "UNLINK SNAPSHOT SESSION TARGETS", state: "pending" });
    emulator.clock.tick(2_000);
    // ViPR shows an unlinked target as inactive for a while.
    expect(await client.showTarget(ids[0] ?? "")).toMatchObject({ inactive: true });
    emulator.clock.tick(600_000);
    expect((await failure(client.showTarget(ids[0] ?? ""))).kind).toBe("notFound");

    // A kept target becomes a volume with another id. Only the WWN leads to it.
    const { wwn } = emulator.vipr.volumes.get((await client.searchVolumes({ name: "dev-2" }))[0] ?? "") ?? {};
    const [volume] = await client.searchVolumes({ wwn: wwn?.toLowerCase() ?? "" });
    expect(await client.bulkVolumes([volume ?? ""])).toMatchObject([{ id: volume, name: "dev-2", inactive: false }]);
  });

  it("list the sessions of a volume and of a consistency group", async () => {
    const { client } = await start();
    const session = await client.showSession(monday);
    expect(session).toMatchObject({ name: "monday", inactive: false, parent: { id: expect.any(String) } });
    expect(await client.listSessions(session.parent?.id ?? "")).toEqual([monday, tuesday]);
    const group = await client.showSession(shopMonday);
    expect(group).not.toHaveProperty("parent");
    expect(group).toMatchObject({ replication_group_instance: "shop", session_set_name: "shop-monday" });
    expect(await client.listSessions(group.consistency_group?.id ?? "")).toContain(shopMonday);
    expect((await client.bulkSessions([monday, NOWHERE])).map(({ id }) => id)).toEqual([monday]);
  });

  it("share one login, and send the only media type for which also ViPR's errors are JSON", async () => {
    const { emulator, client } = await start();
    await Promise.all(Array.from({ length: 20 }, () => client.showSession(monday)));
    expect(emulator.requests.count({ operation: "login" })).toBe(1);
    const xml = await raw(emulator, `/block/snapshot-sessions/${NOWHERE}`, {
      headers: { accept: "application/json;charset=utf-8", "x-sds-auth-token": await tokenOf(emulator) },
    });
    expect(xml.text).toMatch(/^<\?xml[\s\S]*<error><code>2000<\/code>/);
  });

  it("accept nothing but a URN as a part of a path", async () => {
    const { emulator, client } = await start();
    expect((await failure(client.showSession("../../logout?force=true"))).kind).toBe("input");
    expect(emulator.requests.length).toBe(0);
  });
});

describe("refusals have ViPR's message", () => {
  it("for a link", async () => {
    const { emulator, client } = await start();
    const link = (target_name: string, count = 1, copy_mode = "copy") =>
      client.linkTargets(monday, { count, target_name, copy_mode });
    const refused = async (work: Promise<unknown>) => (await failure(work)).parts.message;
    expect(await refused(link("dev", 0))).toBe(
      "ViPR answered 400: code 1008, Parameter was provided but invalid: Invalid request to link 0 new targets to a snapshot session.",
    );
    expect(await refused(link("dev", 1, "COPY"))).toContain('The value must be either "copy" or "nocopy".');
    expect(await refused(link("dev", 2000))).toContain("count 2,000 would exceed");
    await link("dev copy", 2);
    // ViPR compares names without the characters that it removes, over all sessions of the source
    // (docs/wire/vipr.md#s0-5, #s4).
    expect(
      await refused(client.linkTargets(tuesday, { count: 1, target_name: "devcopy", copy_mode: "copy" })),
    ).toContain("A component/resource with the label devcopy-1 already exists.");
    await client.linkTargets(logs, { count: 1, target_name: "devcopy", copy_mode: "copy" });
    expect(await refused(link("x".repeat(62)))).toContain("maximum length is 63");
    expect(codeOf(await failure(link("dev", 0)))).toBe(1008);
    const [volume] = emulator.vipr.volumes.values();
    // The targets before the refused name stay (docs/wire/vipr.md#s0-6).
    emulator.vipr.createSession("left-2", { volume: volume?.id ?? "" });
    expect(await refused(link("left", 3))).toContain("left-2 already exists");
    const [left] = await client.bulkTargets((await client.searchTargets("left-")).map(({ id }) => id));
    expect(left).toMatchObject({ name: "left-1", inactive: false });
    expect((await client.showSession(monday)).linked_targets.map(({ id }) => id)).not.toContain(left?.id);
    await client.forgetTarget(left?.id ?? "");
    expect(await client.showTarget(left?.id ?? "")).toMatchObject({ inactive: true });
  });

  it("for an unlink and a relink", async () => {
    const { emulator, client } = await start();
    const messageOf = async (work: Promise<unknown>) => (await failure(work)).message;
    const unlink = (id: string, session: string = monday) =>
      client.unlinkTargets(session, [{ id, delete_target: true }]);
    expect(await messageOf(unlink(NOWHERE.replace("Session", "")))).toContain("does not have any linked targets");
    await client.linkTargets(monday, { count: 2, target_name: "dev", copy_mode: "copy" });
    const [one = "", two = ""] = linked(emulator);
    // ViPR answers 404 to an unknown id in a path, and 400 to one in a body (docs/wire/vipr.md#s5-b).
    expect((await failure(client.showTarget(NOWHERE.replace("Session", "")))).kind).toBe("notFound");
    expect(codeOf(await failure(unlink(NOWHERE.replace("Session", ""))))).toBe(1004);
    await client.linkTargets(tuesday, { count: 1, target_name: "other", copy_mode: "copy" });
    emulator.vipr.advance();
    expect(await messageOf(unlink(one, tuesday))).toContain(
      `Target ${one} is not linked to snapshot session ${tuesday}.`,
    );
    emulator.vipr.setExported(two);
    const exported = await failure(
      client.unlinkTargets(monday, [
        { id: one, delete_target: true },
        { id: two, delete_target: true },
      ]),
    );
    expect(exported.kind).toBe("refused");
    expect(exported.message).toMatch(/currently exported to a host\.[\s\S]*Take the target out of its export groups/);
    expect(emulator.vipr.linkedNames(monday)).toEqual(["dev-1", "dev-2"]);
    expect(await messageOf(client.relinkTargets(logs, [one]))).toContain("must have the same source");
    emulator.vipr.unlinkNow(one);
    expect(codeOf(await failure(client.relinkTargets(tuesday, [one])))).toBe(1006);
  });

  it("for an object that is missing, deleted or forbidden", async () => {
    const { emulator, client } = await start();
    expect((await failure(client.showSession(NOWHERE))).kind).toBe("notFound");
    const session = emulator.vipr.sessions.get(tuesday);
    if (session) emulator.vipr.deactivateSession(session);
    expect(await client.showSession(tuesday)).toMatchObject({ inactive: true });
    const link = { count: 1, target_name: "dev", copy_mode: "copy" };
    const inactive = await failure(client.linkTargets(tuesday, link));
    expect([inactive.kind, codeOf(inactive)]).toEqual(["notFound", 2001]);
    const monitor = clientOf(emulator, { username: "monitor" });
    expect(await monitor.showSession(monday)).toMatchObject({ id: monday });
    expect((await failure(monitor.linkTargets(monday, link))).kind).toBe("forbidden");
    const stranger = clientOf(emulator, { username: "stranger" });
    expect((await failure(stranger.showSession(monday))).kind).toBe("forbidden");
    await client.linkTargets(monday, link);
    expect(await stranger.searchTargets("dev")).toEqual([]);
  });

  it("for the delete of a session with a pending task, although another link is accepted (docs/wire/vipr.md#s0-13)", async () => {
    const { emulator, client } = await start({ clock: "manual" });
    const link = (target_name: string) => client.linkTargets(monday, { count: 1, target_name, copy_mode: "copy" });
    await Promise.all([link("a"), link("b")]);
    const token = await tokenOf(emulator);
    const headers = { accept: "application/json", "x-sds-auth-token": token };
    const path = `/block/snapshot-sessions/${monday}/deactivate`;
    expect(JSON.parse((await raw(emulator, path, { method: "POST", headers })).text)).toMatchObject({ code: 1056 });
    emulator.clock.tick(5_000);
    expect((await raw(emulator, path, { method: "POST", headers })).text).toContain("session cant be deleted");
  });
});

describe("the login", () => {
  it("renews an expired token once, after a 302 and after a 401", async () => {
    const { emulator, client } = await start();
    await client.showSession(monday);
    emulator.vipr.auth.revokeAll();
    await client.showSession(monday);
    expect(emulator.requests.map(({ operation, status }) => [operation, status])).toEqual([
      ["login", 200],
      ["sessions.show", 200],
      ["sessions.show", 302],
      ["login", 200],
      ["sessions.show", 200],
    ]);
    emulator.vipr.auth.revokeAll();
    await client.linkTargets(monday, { count: 1, target_name: "dev", copy_mode: "copy" });
    expect(
      emulator.requests.filter(({ operation }) => operation === "sessions.link").map(({ status }) => status),
    ).toEqual([401, 202]);
    expect(linked(emulator)).toHaveLength(1);
  });

  it("is repeated when the token has expired by age or by idleness", async () => {
    const { emulator, client } = await start({ clock: "manual" });
    await client.showSession(monday);
    for (let hour = 0; hour < 8; hour += 1) {
      emulator.clock.tick(3_600_000);
      await client.showSession(monday);
    }
    expect(emulator.requests.count({ operation: "login" })).toBe(2);
    emulator.clock.tick(2 * 3_600_000);
    await client.showSession(monday);
    expect(emulator.requests.count({ operation: "login" })).toBe(3);
  });

  it("is sent once when it is refused, for all callers, because ten bad logins lock the address", async () => {
    const { emulator } = await start();
    const wrong = clientOf(emulator, { password: "not it" });
    const errors = await Promise.all(Array.from({ length: 30 }, () => failure(wrong.showSession(monday))));
    errors.push(await failure(wrong.showSession(monday)));
    expect(new Set(errors.map(({ kind }) => kind))).toEqual(new Set(["unauthorized"]));
    expect(errors[0]?.message).toMatch(/login of "root" is refused[\s\S]*credentials come from a test/);
    expect(emulator.requests.count({ operation: "login" })).toBe(1);
    expect(errors[0]?.message).not.toContain("not it");
  });

  it("explains a locked address, and a user with too many tokens", async () => {
    const { emulator } = await start();
    const authorization = `Basic ${Buffer.from("root:wrong").toString("base64")}`;
    const answers = [];
    for (let n = 0; n < 10; n += 1) answers.push(await raw(emulator, "/login", { headers: { authorization } }));
    expect(new Set(answers.map(({ status, text }) => `${status}${text}`))).toEqual(new Set(["401"]));
    expect(answers[0]?.headers.get("www-authenticate")).toBe('basic realm="ViPR"');
    const locked = await failure(clientOf(emulator).showSession(monday));
    expect(locked.message).toContain("Exceeding invalid login limit from the client after 10 invalid login attempts");

    emulator.reset();
    for (let n = 0; n < 100; n += 1) await tokenOf(emulator);
    const capped = await failure(clientOf(emulator).showSession(monday));
    expect(capped.message).toMatch(/Max number of tokens exceeded for this user[\s\S]*logout\?force=true/);
  });

  it("is repeated when the client is used after its logout", async () => {
    const { emulator, client } = await start();
    await client.logout();
    expect(emulator.requests.length).toBe(0);
    await client.showSession(monday);
    expect(emulator.vipr.auth.alive).toBe(1);
    await client.logout();
    await client.logout();
    expect(emulator.vipr.auth.alive).toBe(0);
    expect(emulator.requests.count({ operation: "logout" })).toBe(1);
    await client.showSession(monday);
  });

  it("carries the letters of ISO 8859-1 as ViPR reads them (docs/wire/vipr.md#credentials)", async () => {
    const { emulator } = await start();
    emulator.vipr.auth.addUser({ name: "jürgen", password: "Schlüssel", role: "monitor" });
    const client = clientOf(emulator, { username: "jürgen", password: "Schlüssel" });
    expect(await client.showSession(monday)).toMatchObject({ id: monday });
  });

  it("emulator: answers in XML to an unreadable token", async () => {
    const { emulator } = await start();
    for (const path of ["/login", `/block/snapshot-sessions/${monday}`]) {
      const { status, headers, text } = await raw(emulator, path, {
        headers: { accept: "application/json", "x-sds-auth-token": "rubbish" },
      });
      expect([status, headers.get("content-type")]).toEqual([401, "application/xml"]);
      expect(text).toContain("<code>10001</code>");
    }
  });

  it("trusts the appliance's own certificate if it is given as cacert", async () => {
    const folder = mkdtempSync(join(tmpdir(), "snapclone-vipr-"));
    endings.push(() => rmSync(folder, { recursive: true, force: true }));
    const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
    const subject = ["-subj", "/CN=vipr", "-addext", "subjectAltName=IP:127.0.0.1"];
    const options = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert];
    execFileSync("openssl", [...options, ...subject], { stdio: "ignore" });
    const tls = { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
    const { emulator, client } = await start({ tls });
    const untrusted = await failure(client.showSession(monday));
    expect([untrusted.kind, untrusted.message]).toEqual(["config", expect.stringContaining("cacert")]);
    for (const trusted of [{ cacert: cert, insecure: false }, { insecure: true }]) {
      expect(await clientOf(emulator, { tls: trusted }).showSession(monday)).toMatchObject({ id: monday });
    }
  });
});

describe("emulator", () => {
  const post = async (path: string, body: unknown, more: Record<string, string> = {}) => {
    const { emulator } = await start();
    const headers = {
      accept: "application/json",
      "content-type": "application/json",
      "x-sds-auth-token": await tokenOf(emulator),
      ...more,
    };
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const answer = await raw(emulator, `/block/snapshot-sessions/${path}`, { method: "POST", headers, body: text });
    return [answer.status, answer.text.startsWith("{") ? JSON.parse(answer.text) : answer.text] as const;
  };
  const targets = { count: 1, target_name: "dev" };

  it.each([
    [
      "a root element (docs/wire/vipr.md#s0-1)",
      { snapshot_session_link_targets: { new_linked_targets: targets } },
      400,
      1013,
    ],
    ["a misspelt field", { new_linked_targets: { ...targets, copymode: "copy" } }, 400, 1013],
    ["nothing", {}, 400, 1005],
    ["null", null, 400, 1002],
    ["an empty body", "", 500, 999],
    ["no JSON", "{", 400, 1013],
    ["no count", { new_linked_targets: { target_name: "dev" } }, 500, 999],
    ["a count that is no number", { new_linked_targets: { ...targets, count: "two" } }, 400, 1013],
  ])("refuses a link with %s", async (_what, body, status, code) => {
    expect(await post(`${monday}/link-targets`, body)).toMatchObject([status, { code, retryable: false }]);
  });

  it.each([
    ["a count as text", { ...targets, count: "2" }],
    ["a negative count, which links nothing", { ...targets, count: -1 }],
    ["no name at all", { count: 1 }],
    ["copy_mode null", { ...targets, copy_mode: null }],
  ])("accepts a link with %s", async (_what, new_linked_targets) => {
    expect((await post(`${monday}/link-targets`, { new_linked_targets }))[0]).toBe(202);
  });

  it("refuses a wrong media type, method, path or id", async () => {
    expect(await post(`${monday}/link-targets`, {}, { "content-type": "text/plain" })).toMatchObject([
      415,
      { code: 1003 },
    ]);
    expect(await post(monday, {})).toMatchObject([405, { code: 1007 }]);
    expect(await post(`${monday}/nonsense`, {})).toEqual([404, expect.not.objectContaining({ details: "" })]);
    expect(await post("nightly-1/link-targets", {})).toMatchObject([400, { code: 1002 }]);
    expect(await post(`${monday}/relink-targets`, { ids: [] })).toMatchObject([500, { code: 999 }]);
    expect(await post(`${monday}/relink-targets`, {})).toMatchObject([400, { code: 1005 }]);
  });
});
