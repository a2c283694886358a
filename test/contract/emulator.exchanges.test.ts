// The emulator answers as the real services did: every recorded exchange is replayed, in the order of the recording.

import { type Emulator, startEmulator } from "../../emulator";
import { type Answer, differences, type Exchange, readExchanges, Translation } from "./emulatorExchanges";

/** Exchanges that can't be replayed, with the reason. */
const LEFT_OUT: Readonly<Record<Recorded, Readonly<Record<string, string>>>> = {
  cinder: {},
  keystone: {},
  nova: {},
};

type Recorded = "cinder" | "keystone" | "nova";

const P = "38d2d7a82d9c4142a295298087bf9459";
const OTHER = "48d2d7a82d9c4142a295298087bf9459";
const VOLUME = "808d0720-70a7-4e92-8dff-d516ff6dce06";

describe("cinder", () => {
  const exchanges = readExchanges("cinder");
  const replayed: string[] = [];
  const translation = new Translation();
  let emulator: Emulator;
  let tokens: Record<string, string>;

  beforeAll(async () => {
    emulator = await startEmulator({ clock: "manual", quotas: { volumes: 10, snapshots: 10, gigabytes: 1000 } });
    tokens = prepareCinder(emulator);
  });
  afterAll(async () => {
    await emulator.close();
    report("cinder", exchanges, replayed);
  });

  it.each(named(exchanges))("%s", async (name, exchange) => {
    if (isLeftOut("cinder", exchange)) return;
    if (!IMMEDIATE.has(exchange.title)) emulator.clock.tick(10_000);
    const id = (recorded: string) => translation.apply(recorded);
    (BEFORE[name] ?? BEFORE[exchange.title])?.(emulator, id);
    const answer = await send(`${emulator.url}/volume`, exchange, translation, cinderHeaders(exchange, tokens));
    expect(differences(exchange, answer, translation)).toEqual([]);
    replayed.push(name);
  });
});

describe("keystone", () => {
  const exchanges = readExchanges("keystone");
  const replayed: string[] = [];
  const translation = new Translation();
  let emulator: Emulator;
  let token = "";

  beforeAll(async () => {
    emulator = await startEmulator({ clock: "manual" });
    prepareKeystone(emulator);
  });
  afterAll(async () => {
    await emulator.close();
    report("keystone", exchanges, replayed);
  });

  it.each(named(exchanges))("%s", async (name, exchange) => {
    if (isLeftOut("keystone", exchange)) return;
    const headers: Record<string, string> = {
      "Content-Type": exchange.title === "text/plain" ? "text/plain" : "application/json",
    };
    for (const [, header = "", value = ""] of exchange.note.matchAll(/'(X-[^']+)': '([^']*)'/g))
      headers[header] = value.startsWith("gAAAA") ? token : value;
    const answer = await send(`${emulator.url}/identity`, exchange, translation, headers);
    if (exchange.title === "password project scoped") {
      token = answer.headers.get("x-subject-token") ?? "";
      translation.learn("gAAAAAB-REDACTED-FERNET-TOKEN", token);
    }
    expect(differences(exchange, answer, translation)).toEqual([]);
    replayed.push(name);
  });
});

describe("nova", () => {
  const exchanges = readExchanges("nova");
  const replayed: string[] = [];
  const translation = new Translation();
  let emulator: Emulator;
  let token: (roles: string) => string;

  beforeAll(async () => {
    emulator = await startEmulator({ clock: "manual" });
    token = prepareNova(emulator);
  });
  afterAll(async () => {
    await emulator.close();
    report("nova", exchanges, replayed);
  });

  it.each(named(exchanges))("%s", async (name, exchange) => {
    if (isLeftOut("nova", exchange)) return;
    // The first of them is before the volume was attached.
    const attached = exchange.title !== "no such attachment";
    setNova(emulator, attached, INSTANCE_AT[exchange.title] ?? {});
    const version = /\((compute [^)]+)\)/.exec(exchange.note)?.[1];
    const answer = await send(`${emulator.url}/compute`, exchange, translation, {
      "X-Auth-Token": token(/\[([\w,]+)\]/.exec(exchange.note)?.[1] ?? ""),
      "Content-Type": "application/json",
      ...(version === undefined ? {} : { "OpenStack-API-Version": version }),
    });
    expect(differences(exchange, answer, translation)).toEqual([]);
    replayed.push(name);
  });
});

const NOVA_VOLUME = "521752a6-acf6-4b2d-bc7a-119f9148cd8c";
const INSTANCE = "aaaaaaaa-0000-0000-0000-000000000001";

/** The instance and the volume as they were before these were recorded; else running, on a host, and idle. */
const INSTANCE_AT: Readonly<Record<string, object>> = {
  "task_state set": { task_state: "rebooting" },
  "stopped instance": { vm_state: "stopped" },
  "no host": { host: null },
  "never launched": { launched_at: null },
  "delete intermediary while stopped": { vm_state: "stopped" },
  "delete top while stopped": { vm_state: "stopped" },
  "delete while rebooting": { task_state: "rebooting" },
  "multiattach create": { multiattach: true },
  "multiattach delete": { multiattach: true },
};

function prepareNova(emulator: Emulator): (roles: string) => string {
  const { keystone, cinder, nova } = emulator;
  const user = keystone.createUser({ name: "nova-caller", password: "x" });
  cinder.createVolume({ id: NOVA_VOLUME });
  nova.createServer({ id: INSTANCE });
  return (roles) =>
    keystone.issue({
      userId: user.id,
      methods: ["password"],
      projectId: cinder.projectId,
      system: false,
      roles: roles.split(","),
      applicationCredentialId: null,
    }).id;
}

function setNova(emulator: Emulator, attached: boolean, changes: { multiattach?: boolean }): void {
  const { multiattach = false, ...server } = changes;
  const idle = { host: "compute-1", vm_state: "active", task_state: null, launched_at: "2026-11-21T01:00:00.000000" };
  Object.assign(emulator.nova.servers.get(INSTANCE) ?? {}, idle, server);
  const attachment = {
    id: NOVA_VOLUME,
    attachment_id: "11111111-2222-4333-8444-555555555555",
    volume_id: NOVA_VOLUME,
    server_id: INSTANCE,
    host_name: null,
    device: "/dev/vda",
    attached_at: "2026-11-21T01:00:00.000000",
  };
  const attachments = attached ? [attachment] : [];
  Object.assign(emulator.cinder.volumes.get(NOVA_VOLUME) ?? {}, { multiattach, attachments });
}

/** The clock stands still before these: they look at work that is under way. */
const IMMEDIATE = new Set([
  "show while creating",
  "delete while creating",
  "update while creating",
  "immediately",
  "just after",
  "snapshot during cascade",
]);

type Step = (emulator: Emulator, id: (recorded: string) => string) => void;

/** What was done to the real service beside the API before an exchange was recorded. */
const BEFORE: Readonly<Record<string, Step>> = {
  "in-use, no force, 3.65": (emulator) => setVolume(emulator, { status: "in-use" }),
  ...Object.fromEntries(
    ["error", "maintenance", "creating", "deleting", "error_deleting", "attaching", "retyping"].map(
      (status): [string, Step] => [`volume status ${status}`, (emulator) => setVolume(emulator, { status })],
    ),
  ),
  "volume migrating": (emulator) => setVolume(emulator, { status: "available", migration_status: "migrating" }),
  "reader role creates": (emulator) => setVolume(emulator, { migration_status: null }),
  "delete a snapshot in a group snapshot": (emulator, id) =>
    setSnapshot(emulator, id(FIRST), { group_snapshot_id: "g" }),
  "delete while backing-up": (emulator, id) =>
    setSnapshot(emulator, id(FIRST), { group_snapshot_id: null, status: "backing-up" }),
  "volume from snapshot": (emulator, id) => setSnapshot(emulator, id(FIRST), { status: "available" }),
  // The revert before has left it in `reverting`; somebody has set that right.
  "215 volume clone (source_volid)": (emulator) => setVolume(emulator, { status: "available" }),
  "delete in-use volume": (emulator, id) => {
    const row = emulator.cinder.volumes.get(id("cc09dc26-b550-4bac-a96b-b2097c7dc045"));
    if (row !== undefined) row.status = "in-use";
  },
  "cascade delete": (emulator, id) => {
    for (const name of ["5008fe2c-f9f7-45a7-bc86-beddd06ba4d9", "4f22f084-3ee8-43d2-b3c8-f1d93325a024"])
      emulator.cinder.removeSnapshot(id(name));
  },
};

const FIRST = "9b9e0504-bec0-4e6d-a5ba-83cce6a19555";

/** Callers that aren't who the note says: `[other]` stood for two in the recording. */
const CALLERS: Readonly<Record<string, string>> = {
  "reader other user same project": "reader",
  "reader role creates": "reader",
};

function prepareCinder(emulator: Emulator): Record<string, string> {
  const { keystone, cinder } = emulator;
  for (const id of [P, OTHER]) keystone.createProject({ id, name: id });
  const callers = {
    member: { id: "22222222222222222222222222222222", projectId: P, roles: ["member"] },
    reader: { id: "55", projectId: P, roles: ["reader"] },
    other: { id: "33333333333333333333333333333333", projectId: OTHER, roles: ["member"] },
    admin: { id: "44444444444444444444444444444444", projectId: P, roles: ["admin"] },
  };
  cinder.volumes.clear();
  cinder.createVolume({ id: VOLUME, project_id: P, name: "v", size: 1 });
  // The driver of the recording looked at the name (reference E, mydriver.py).
  cinder.behaviour({ match: { name: /fail-create/ }, create: "error" });
  cinder.behaviour({ match: { name: /busy/ }, delete: "busy" });
  cinder.behaviour({ match: { name: /fail-delete/ }, delete: "error" });
  return Object.fromEntries(
    Object.entries(callers).map(([name, { id, projectId, roles }]) => {
      keystone.createUser({ id, name, password: "x" });
      const token = keystone.issue({
        userId: id,
        methods: ["password"],
        projectId,
        system: false,
        roles,
        applicationCredentialId: null,
      });
      return [name, token.id];
    }),
  );
}

function prepareKeystone({ keystone }: Emulator): void {
  keystone.users.clear();
  keystone.projects.clear();
  const user = keystone.createUser({ id: "91abff162a124af1ad2a2792889f5800", name: "admin", password: "testpw" });
  const project = keystone.createProject({ id: "af49f3e6d2fb48cd8ada7c864649e767", name: "admin" });
  for (const scope of [project.id, null]) keystone.assign(user.id, scope, ["admin", "member", "reader"]);
}

function cinderHeaders(exchange: Exchange, tokens: Record<string, string>): Record<string, string> {
  const caller = CALLERS[exchange.title] ?? /\[(\w+)\]/.exec(exchange.note)?.[1] ?? "";
  const version = /\((volume [^)]+)\)/.exec(exchange.note)?.[1];
  return {
    "X-Auth-Token": tokens[caller] ?? "",
    ...(version === undefined ? {} : { "OpenStack-API-Version": version }),
    ...(exchange.requestBody === undefined
      ? {}
      : { "Content-Type": exchange.title === "bad content type" ? "text/plain" : "application/json" }),
  };
}

async function send(
  base: string,
  exchange: Exchange,
  translation: Translation,
  headers: Record<string, string>,
): Promise<Answer> {
  const { method, path, requestBody } = exchange;
  const response = await fetch(base + translation.apply(path), {
    method,
    headers,
    redirect: "manual",
    ...(requestBody === undefined ? {} : { body: translation.apply(requestBody) }),
  });
  const text = await response.text();
  if (method === "POST" && response.ok && exchange.body !== "")
    translation.learnFrom(JSON.parse(exchange.body), JSON.parse(text));
  return { status: response.status, headers: response.headers, text };
}

/** Titles are not unique; the number tells where in the file it is. */
function named(exchanges: readonly Exchange[]): [string, Exchange][] {
  return exchanges.map((exchange, index) => [
    `${index + 1} ${exchange.title || `${exchange.method} ${exchange.path.slice(0, 60)}`}`,
    exchange,
  ]);
}

function isLeftOut(service: Recorded, exchange: Exchange): boolean {
  return exchange.title in LEFT_OUT[service];
}

function report(service: Recorded, exchanges: readonly Exchange[], replayed: readonly string[]): void {
  const left = exchanges.filter((exchange) => isLeftOut(service, exchange));
  const reasons = left.map(({ title }) => `  ${title}: ${LEFT_OUT[service][title]}`);
  process.stdout.write(
    [
      `${service}: ${replayed.length} of ${exchanges.length} exchanges replayed, ${left.length} left out`,
      ...reasons,
      "",
    ].join("\n"),
  );
}

function setVolume(emulator: Emulator, fields: object): void {
  Object.assign(emulator.cinder.volumes.get(VOLUME) ?? {}, fields);
}

function setSnapshot(emulator: Emulator, id: string, fields: object): void {
  Object.assign(emulator.cinder.snapshots.get(id) ?? {}, fields);
}
