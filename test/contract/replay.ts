// Defines a test for each exchange recorded from a real service, in the order of the recording. What answers is a stage:
// the emulator (emulator.exchanges.test.ts) or a real OpenStack (test/openstack/exchanges.test.ts).

import { type Answer, differences, type Exchange, readExchanges, type Translation } from "./recording";

export interface Stage {
  /** What the recorded paths stand behind. */
  readonly url: string;
  readonly translation: Translation;
  close(): Promise<void>;
}

/** The ids that it is given are its own, not those of the recording. */
export interface CinderStage extends Stage {
  /** By the names of CINDER_CALLERS. */
  readonly tokens: Tokens;
  /** Returns when the work that was accepted on these paths has ended. */
  waitForWork(paths: readonly string[]): void | Promise<void>;
  setVolume(id: string, fields: Fields): void;
  setSnapshot(id: string, fields: Fields): void;
  removeSnapshot(id: string): void;
  /** The part of an answer that is the replay's own; all of it, where nobody else is about. */
  ownPart?(exchange: Exchange, text: string): string;
}

export interface NovaStage extends Stage {
  /** By the names of NOVA_CALLERS. */
  readonly tokens: Tokens;
  set(state: NovaState): void;
}

/** Where nothing is said: the volume is attached, once, to an instance that runs on a host and is idle. */
export interface NovaState {
  readonly attached?: boolean;
  readonly multiattach?: boolean;
  readonly server?: Fields;
}

/** Columns of a row; the emulator's rows have the names of Cinder's and Nova's tables. */
export type Fields = Readonly<Record<string, string | null>>;
export type Tokens = Readonly<Record<string, string>>;
/** The project is that of the recording. */
export type Callers = Readonly<Record<string, { readonly projectId: string; readonly roles: readonly string[] }>>;
/** Exchanges that can't be replayed, by their title, with the reason. */
export type LeftOut = Readonly<Record<string, string>>;

const PROJECT = "38d2d7a82d9c4142a295298087bf9459";
const OTHER_PROJECT = "48d2d7a82d9c4142a295298087bf9459";

export const CINDER_PROJECT = PROJECT;
/** A volume of 1 GiB, there from the beginning; the quotas are 10 volumes, 10 snapshots, 1000 GiB. */
export const CINDER_VOLUME = "808d0720-70a7-4e92-8dff-d516ff6dce06";
export const CINDER_CALLERS: Callers = {
  member: { projectId: PROJECT, roles: ["member"] },
  reader: { projectId: PROJECT, roles: ["reader"] },
  other: { projectId: OTHER_PROJECT, roles: ["member"] },
  admin: { projectId: PROJECT, roles: ["admin"] },
};
export const KEYSTONE_ADMIN = "91abff162a124af1ad2a2792889f5800";
export const KEYSTONE_PASSWORD = "testpw";
export const NOVA_VOLUME = "521752a6-acf6-4b2d-bc7a-119f9148cd8c";
export const NOVA_SERVER = "aaaaaaaa-0000-0000-0000-000000000001";
export const NOVA_CALLERS: Callers = Object.fromEntries(
  ["admin,member,reader", "member,reader", "service"].map((roles) => [
    roles,
    { projectId: PROJECT, roles: roles.split(",") },
  ]),
);

export function replayCinder(where: string, setUp: () => Promise<CinderStage>, leftOut: LeftOut = {}): void {
  const accepted: string[] = [];
  replay("cinder", where, setUp, leftOut, async (stage, exchange, name) => {
    if (!IMMEDIATE.has(exchange.title)) await stage.waitForWork(accepted.splice(0));
    (BEFORE[name] ?? BEFORE[exchange.title])?.(stage, (recorded) => stage.translation.apply(recorded));
    const answer = await send(stage, exchange, cinderHeaders(exchange, stage.tokens));
    accepted.push(...acceptedWork(stage.translation.apply(exchange.path), exchange.method, answer));
    return { ...answer, text: stage.ownPart?.(exchange, answer.text) ?? answer.text };
  });
}

export function replayKeystone(where: string, setUp: () => Promise<Stage>, leftOut: LeftOut = {}): void {
  let token = "";
  replay("keystone", where, setUp, leftOut, async (stage, exchange) => {
    const headers: Record<string, string> = {
      "Content-Type": exchange.title === "text/plain" ? "text/plain" : "application/json",
    };
    for (const [, header = "", value = ""] of exchange.note.matchAll(/'(X-[^']+)': '([^']*)'/g))
      headers[header] = value.startsWith("gAAAA") ? token : value;
    const answer = await send(stage, exchange, headers);
    if (exchange.title === "password project scoped") {
      token = answer.headers.get("x-subject-token") ?? "";
      stage.translation.learn("gAAAAAB-REDACTED-FERNET-TOKEN", token);
    }
    return answer;
  });
}

export function replayNova(where: string, setUp: () => Promise<NovaStage>, leftOut: LeftOut = {}): void {
  replay("nova", where, setUp, leftOut, (stage, exchange) => {
    stage.set(NOVA_AT[exchange.title] ?? {});
    const version = /\((compute [^)]+)\)/.exec(exchange.note)?.[1];
    return send(stage, exchange, {
      "X-Auth-Token": stage.tokens[/\[([\w,]+)\]/.exec(exchange.note)?.[1] ?? ""] ?? "",
      "Content-Type": "application/json",
      Accept: "application/json",
      ...(version === undefined ? {} : { "OpenStack-API-Version": version }),
    });
  });
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

type Step = (stage: CinderStage, id: (recorded: string) => string) => void;

const FIRST_SNAPSHOT = "9b9e0504-bec0-4e6d-a5ba-83cce6a19555";

/** What was done to the real service beside the API before an exchange was recorded. */
const BEFORE: Readonly<Record<string, Step>> = {
  "in-use, no force, 3.65": (stage, id) => stage.setVolume(id(CINDER_VOLUME), { status: "in-use" }),
  ...Object.fromEntries(
    ["error", "maintenance", "creating", "deleting", "error_deleting", "attaching", "retyping"].map(
      (status): [string, Step] => [
        `volume status ${status}`,
        (stage, id) => stage.setVolume(id(CINDER_VOLUME), { status }),
      ],
    ),
  ),
  "volume migrating": (stage, id) =>
    stage.setVolume(id(CINDER_VOLUME), { status: "available", migration_status: "migrating" }),
  "reader role creates": (stage, id) => stage.setVolume(id(CINDER_VOLUME), { migration_status: null }),
  "delete a snapshot in a group snapshot": (stage, id) =>
    stage.setSnapshot(id(FIRST_SNAPSHOT), { group_snapshot_id: "g" }),
  "delete while backing-up": (stage, id) =>
    stage.setSnapshot(id(FIRST_SNAPSHOT), { group_snapshot_id: null, status: "backing-up" }),
  "volume from snapshot": (stage, id) => stage.setSnapshot(id(FIRST_SNAPSHOT), { status: "available" }),
  // The revert before has left it in `reverting`; somebody has set that right.
  "215 volume clone (source_volid)": (stage, id) => stage.setVolume(id(CINDER_VOLUME), { status: "available" }),
  "delete in-use volume": (stage, id) =>
    stage.setVolume(id("cc09dc26-b550-4bac-a96b-b2097c7dc045"), { status: "in-use" }),
  "force delete a snapshot in a group snapshot": (stage, id) =>
    stage.setSnapshot(id("3c9d8e47-2a6f-4f0b-8c1d-6e5b4a392817"), { group_snapshot_id: "g" }),
  "delete a snapshot that has failed": (stage, id) =>
    stage.setSnapshot(id("3c9d8e47-2a6f-4f0b-8c1d-6e5b4a392817"), { group_snapshot_id: null }),
  "cascade delete": (stage, id) => {
    for (const name of ["5008fe2c-f9f7-45a7-bc86-beddd06ba4d9", "4f22f084-3ee8-43d2-b3c8-f1d93325a024"])
      stage.removeSnapshot(id(name));
  },
};

/** Callers that aren't who the note says: `[other]` stood for two in the recording. */
const CALLERS: Readonly<Record<string, string>> = {
  "reader other user same project": "reader",
  "reader role creates": "reader",
};

/** The instance and the volume as they were before these were recorded. */
const NOVA_AT: Readonly<Record<string, NovaState>> = {
  "no such attachment": { attached: false },
  "task_state set": { server: { task_state: "rebooting" } },
  "stopped instance": { server: { vm_state: "stopped" } },
  "no host": { server: { host: null } },
  "never launched": { server: { launched_at: null } },
  "delete intermediary while stopped": { server: { vm_state: "stopped" } },
  "delete top while stopped": { server: { vm_state: "stopped" } },
  "delete while rebooting": { server: { task_state: "rebooting" } },
  "multiattach create": { multiattach: true },
  "multiattach delete": { multiattach: true },
};

function replay<S extends Stage>(
  service: "cinder" | "keystone" | "nova",
  where: string,
  setUp: () => Promise<S>,
  leftOut: LeftOut,
  answerTo: (stage: S, exchange: Exchange, name: string) => Promise<Answer>,
): void {
  const exchanges = readExchanges(service);
  // Titles are not unique; the number tells where in the file it is.
  const named = exchanges.map((exchange, index): [string, Exchange] => [
    `${index + 1} ${exchange.title || `${exchange.method} ${exchange.path.slice(0, 60)}`}`,
    exchange,
  ]);
  let replayed = 0;
  let stage: S | undefined;

  // A guest may have to boot.
  beforeAll(async () => {
    stage = await setUp();
  }, 300_000);
  afterAll(async () => {
    await stage?.close();
    const left = exchanges.filter(({ title }) => title in leftOut).map(({ title }) => `  ${title}: ${leftOut[title]}`);
    const counts = `${replayed} of ${exchanges.length} exchanges replayed, ${left.length} left out`;
    process.stdout.write(`${[`${service}, ${where}: ${counts}`, ...left].join("\n")}\n`);
  }, 120_000);

  it.each(named.filter(([, { title }]) => !(title in leftOut)))(
    "%s",
    async (name, exchange) => {
      if (stage === undefined) throw new Error(`${where} has not come up`);
      const answer = await answerTo(stage, exchange, name);
      expect(differences(exchange, answer, stage.translation)).toEqual([]);
      replayed += 1;
    },
    120_000,
  );
}

async function send(
  { url, translation }: Stage,
  { method, path, requestBody, body }: Exchange,
  headers: Record<string, string>,
): Promise<Answer> {
  const response = await fetch(url + translation.apply(path), {
    method,
    headers,
    redirect: "manual",
    signal: AbortSignal.timeout(60_000),
    ...(requestBody === undefined ? {} : { body: translation.apply(requestBody) }),
  });
  const text = await response.text();
  if (method === "POST" && response.ok && body !== "") translation.learnFrom(JSON.parse(body), JSON.parse(text));
  return { status: response.status, headers: response.headers, text };
}

function cinderHeaders(exchange: Exchange, tokens: Tokens): Record<string, string> {
  const caller = CALLERS[exchange.title] ?? /\[(\w+)\]/.exec(exchange.note)?.[1] ?? "";
  const version = /\((volume [^)]+)\)/.exec(exchange.note)?.[1];
  return {
    "X-Auth-Token": tokens[caller] ?? "",
    // Without it an address that is not routed answers with a web page (webob).
    Accept: "application/json",
    ...(version === undefined ? {} : { "OpenStack-API-Version": version }),
    ...(exchange.requestBody === undefined
      ? {}
      : { "Content-Type": exchange.title === "bad content type" ? "text/plain" : "application/json" }),
  };
}

/** The path of what is created or deleted after this answer. Actions only set columns. */
function acceptedWork(path: string, method: string, { status, text }: Answer): string[] {
  if (status !== 202 || path.endsWith("/action")) return [];
  if (method === "DELETE") return [path.replace(/\?.*/, "")];
  const [created] = Object.values(JSON.parse(text) as Record<string, { id: string }>);
  return created === undefined ? [] : [`${path}/${created.id}`];
}
