// The real OpenStack that the tests of this folder run against: brought up by up.sh where there is none yet. Requests
// made here go by plain fetch, so that what a test asserts doesn't pass through the provider under test.

import { spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** lab.json, as populate.py writes it. */
interface LabFile {
  authUrl: string;
  region: string;
  username: string;
  password: string;
  userDomainName: string;
  projectName: string;
  projectDomainName: string;
  projectId: string;
  admin: Account;
  stranger: Account;
  cinderUrl: string;
  volumes: string[];
  nova: boolean;
  novaUrl: string;
  folder: string;
}

interface Account {
  username: string;
  password: string;
  projectName: string;
}

/** An entry of snapclone:connections. */
export interface LabConnection extends Account {
  authUrl: string;
  region: string;
  userDomainName: string;
  projectDomainName: string;
}

export interface LabAnswer {
  status: number;
  headers: Headers;
  /** Parsed, where it is JSON; else the text. */
  body: unknown;
}

export interface OpenStackLab {
  /** An ordinary member of an ordinary project, the owner of the volumes. */
  connection: LabConnection;
  adminConnection: LabConnection;
  /** A member of another project. */
  strangerConnection: LabConnection;
  /** Ids of volumes of 1 GiB. */
  volumes: readonly string[];
  /** Cinder's endpoint of the project: `…/v3/<project id>`. */
  cinderUrl: string;
  projectId: string;
  nova: boolean;
  /** Nova's endpoint: `…/v2.1`. */
  novaUrl: string;
  /** The folder: logs in `log`, configuration, clouds.yaml, openrc. */
  folder: string;
  /** A signed-in request; a text goes out as it is. `path` is below cinderUrl, or a whole URL. The microversion is 3.66 unless a header says otherwise. */
  request(method: string, path: string, body?: unknown, options?: RequestOptions): Promise<LabAnswer>;
  /** Signs in. */
  token(as: LabConnection): Promise<string>;
}

export interface RequestOptions {
  as?: LabConnection;
  headers?: Record<string, string>;
}

const UP_DEADLINE_MS = 20 * 60_000;
const TEST_MS = 180_000;
const FOLDER = process.env.SNAPCLONE_OPENSTACK_LAB ?? join(tmpdir(), "snapclone-openstack");
/** Why there is no Nova, where there is none. */
const WITHOUT_NOVA = join(FOLDER, "without-nova");
/** Says that a test run, not a person, started the lab: teardown.ts ends it. */
const STARTED_BY_TESTS = join(FOLDER, "started-by-tests");

/** `describe` for tests on a real OpenStack. On a machine that cannot run one it skips them and prints the reason. */
export function describeOpenStack(name: string, tests: (lab: () => OpenStackLab) => void): void {
  const reason = impossible();
  if (reason !== undefined) {
    process.stderr.write(`\nSKIPPED: ${name}: a real OpenStack ${reason}\n\n`);
    describe.skip(`${name} (skipped: ${reason})`, () => tests(noLab));
    return;
  }
  describe(name, () => {
    // `.ci/run` runs these tests beside the engine's, on two cores: an answer of Cinder may take seconds.
    jest.setTimeout(TEST_MS);
    let lab: OpenStackLab | undefined;
    beforeAll(async () => {
      lab = await bringUp();
    }, UP_DEADLINE_MS + 60_000);
    tests(() => lab ?? noLab());
  });
}

/** The same for tests that need Nova and a guest in QEMU; setup.ts has found out whether there can be one. */
export function describeNova(name: string, tests: (lab: () => OpenStackLab) => void): void {
  const reason = impossible() ?? (existsSync(WITHOUT_NOVA) ? readFileSync(WITHOUT_NOVA, "utf8") : undefined);
  if (reason === undefined) {
    describeOpenStack(name, tests);
    return;
  }
  process.stderr.write(`\nSKIPPED: ${name}: a real Nova ${reason}\n\n`);
  describe.skip(`${name} (skipped: ${reason})`, () => tests(noLab));
}

/** Brings the lab up with Nova, or else without: then describeNova says why. Whatever else fails is left to the tests. */
export async function setUp(): Promise<void> {
  if (impossible() !== undefined) return;
  const wasThere = existsSync(join(FOLDER, "lab.json"));
  try {
    await run("up.sh", UP_DEADLINE_MS, ["--nova"]);
  } catch (error) {
    process.stderr.write(`\nno Nova on this machine, going on without it: ${String(error)}\n`);
    if (wasThere) return writeFileSync(WITHOUT_NOVA, "could not be added to the lab that was there");
    // A lab that has begun to set up Nova keeps trying.
    await run("down.sh", 120_000);
    await run("up.sh", UP_DEADLINE_MS).catch(() => {});
    if (existsSync(FOLDER)) writeFileSync(WITHOUT_NOVA, "could not be brought up: the reason is above");
  }
  if (!wasThere && existsSync(FOLDER)) writeFileSync(STARTED_BY_TESTS, "");
}

function noLab(): never {
  throw new Error("the lab is not up yet: ask for it inside a test or a beforeAll");
}

/** A lab that a test run has started, unless SNAPCLONE_KEEP_LAB=1. */
function endsWithTheRun(): boolean {
  return existsSync(STARTED_BY_TESTS) && process.env.SNAPCLONE_KEEP_LAB !== "1";
}

export async function down(): Promise<void> {
  if (endsWithTheRun()) await run("down.sh", 120_000);
}

/** Brought up if it isn't: minutes, the first time. */
async function bringUp(): Promise<OpenStackLab> {
  const wasThere = existsSync(join(FOLDER, "lab.json"));
  await run("up.sh", UP_DEADLINE_MS);
  if (!wasThere) writeFileSync(STARTED_BY_TESTS, "");
  const file = JSON.parse(readFileSync(join(FOLDER, "lab.json"), "utf8")) as LabFile;
  const { authUrl, region, userDomainName, projectDomainName } = file;
  const connect = ({ username, password, projectName }: Account): LabConnection => ({
    authUrl,
    region,
    userDomainName,
    projectDomainName,
    username,
    password,
    projectName,
  });
  const connection = connect(file);
  return {
    connection,
    adminConnection: connect(file.admin),
    strangerConnection: connect(file.stranger),
    volumes: file.volumes,
    cinderUrl: file.cinderUrl,
    projectId: file.projectId,
    nova: file.nova,
    novaUrl: file.novaUrl,
    folder: file.folder,
    request: (method, path, body, { as = connection, headers = {} } = {}) =>
      request(method, path.startsWith("http") ? path : `${file.cinderUrl}${path}`, body, as, headers),
    token: signIn,
  };
}

function impossible(): string | undefined {
  if (process.platform !== "linux") return `needs Linux (this is ${process.platform})`;
  const release = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  if (!/^ID=debian$/m.test(release) || !/^VERSION_ID="?12"?$/m.test(release))
    return "needs Debian 12, for its packages";
  if (process.getuid?.() !== 0) return "needs root, for packages and a mount";
  return undefined;
}

/** Shows the script's output: minutes of silence would look like a hang. */
function run(script: string, deadlineMs: number, args: readonly string[] = []): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(join(__dirname, script), args, {
      stdio: ["ignore", 2, 2],
      env: { ...process.env, SNAPCLONE_OPENSTACK_LAB: FOLDER },
    });
    const timer = setTimeout(() => child.kill("SIGTERM"), deadlineMs);
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve();
      else
        reject(
          new Error(`${script} ended with ${signal ?? code}; its last words are above, its logs in ${FOLDER}/log`),
        );
    });
  });
}

const tokens = new Map<string, string>();

async function request(
  method: string,
  url: string,
  body: unknown,
  as: LabConnection,
  headers: Record<string, string>,
): Promise<LabAnswer> {
  const send = async () =>
    await fetch(url, {
      method,
      headers: {
        "X-Auth-Token": tokens.get(as.username) ?? (await signIn(as)),
        "OpenStack-API-Version": "volume 3.66",
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    });
  let response = await send();
  if (response.status === 401) {
    // The lab may hand out tokens of a few seconds (TOKEN_EXPIRATION).
    tokens.delete(as.username);
    await response.arrayBuffer();
    response = await send();
  }
  const text = await response.text();
  const json = response.headers.get("content-type")?.includes("json") === true && text !== "";
  return { status: response.status, headers: response.headers, body: json ? JSON.parse(text) : text };
}

async function signIn(as: LabConnection): Promise<string> {
  const user = { name: as.username, password: as.password, domain: { name: as.userDomainName } };
  const project = { name: as.projectName, domain: { name: as.projectDomainName } };
  const response = await fetch(`${as.authUrl}/auth/tokens`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ auth: { identity: { methods: ["password"], password: { user } }, scope: { project } } }),
    signal: AbortSignal.timeout(60_000),
  });
  const token = response.headers.get("x-subject-token");
  const text = await response.text();
  if (token === null) throw new Error(`the lab's Keystone answered ${response.status}: ${text.slice(0, 300)}`);
  tokens.set(as.username, token);
  return token;
}
