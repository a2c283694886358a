// The command `snapclone` against a real Cinder with forty snapshots: doctor, orphans, graph, and the import of a snapshot that
// the command `openstack` made.

import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { stackDigest } from "../../provider/core/ownership";
import { ORIGIN, snapclone, stackConfig } from "../cli/fixture";
import { describeEngine, newStack } from "../engine/harness";
import { describeOpenStack } from "./lab";

const run = promisify(execFile);
const TYPE = "pulumi-nodejs:dynamic/snapclone:Snapshot";
const urnOf = (name: string, stack = "dev") => `urn:pulumi:${stack}::shop::${TYPE}::${name}`;
const digestOf = (stack: string) => stackDigest(ORIGIN, undefined, { project: "shop", stack });
const range = (count: number) => Array.from({ length: count }, (_, at) => at);

describeOpenStack("the command snapclone against a real Cinder", (lab) => {
  let folder: string;
  let volume: string;
  let restored: string;
  let byHand: string;
  let [recorded, lost, theirs, nobodys]: [string[], string[], string[], string[]] = [[], [], [], []];

  const request = async (method: string, path: string, body: unknown, status: number) => {
    const answer = await lab().request(method, path, body);
    expect([method, path, answer.status]).toEqual([method, path, status]);
    return answer.body as Record<string, { id: string; status: string }>;
  };
  const make = async (kind: "volume" | "snapshot", args: object): Promise<string> => {
    const { id = "" } = (await request("POST", `/${kind}s`, { [kind]: args }, 202))[kind] ?? {};
    return id;
  };
  const becomes = async (kind: "volume" | "snapshot", id: string, wanted: string) => {
    const deadline = Date.now() + 60_000;
    for (;;) {
      const { status, body } = await lab().request("GET", `/${kind}s/${id}`);
      const now = (body as Record<string, { status?: string }>)[kind]?.status ?? String(status);
      if (now === wanted) return;
      if (/^error/.test(now) || Date.now() > deadline) throw new Error(`${kind} ${id} is ${now}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  };
  const snapshots = (count: number, stack?: string) =>
    Promise.all(
      range(count).map((at) => {
        const name = `${stack ?? "plain"}-${at}`;
        const record = { "snapclone:owner": urnOf(name, stack), "snapclone:stack": digestOf(stack ?? "") };
        return make("snapshot", { volume_id: volume, name, metadata: { team: "shop", ...(stack ? record : {}) } });
      }),
    );
  const command = (...argv: string[]) => snapclone([...argv, "--stack-config", "config.json"], { cwd: folder });
  /** What `pulumi stack export` would write. */
  const stateOf = (entries: readonly (readonly [name: string, id: string])[]) =>
    JSON.stringify({
      version: 3,
      deployment: {
        manifest: { time: new Date(Date.now() + 3_600_000) },
        resources: entries.map(([name, id]) => ({
          urn: urnOf(name),
          type: TYPE,
          custom: true,
          id,
          inputs: { volumeId: volume },
          outputs: { volumeId: volume, __stack: digestOf("dev") },
        })),
      },
    });

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "snapclone-command-"));
    const config = stackConfig({ default: lab().connection }, { "snapclone:origin": ORIGIN });
    writeFileSync(join(folder, "config.json"), config);
    // The driver without storage: forty snapshots take seconds.
    volume = await make("volume", { size: 1, name: "command", availability_zone: "faulty" });
    await becomes("volume", volume, "available");
    const { authUrl, region, username, password, projectName, userDomainName, projectDomainName } = lab().connection;
    const env = {
      PATH: process.env.PATH,
      OS_AUTH_URL: authUrl,
      OS_REGION_NAME: region,
      OS_USERNAME: username,
      OS_PASSWORD: password,
      OS_PROJECT_NAME: projectName,
      OS_USER_DOMAIN_NAME: userDomainName,
      OS_PROJECT_DOMAIN_NAME: projectDomainName,
      OS_IDENTITY_API_VERSION: "3",
    };
    const args = ["volume", "snapshot", "create", "--volume", volume, "--description", "of a person", "-f", "value"];
    const made = run("openstack", [...args, "-c", "id", "--property", "team=shop", "by hand"], { env });
    [recorded, theirs, nobodys] = await Promise.all([snapshots(13, "dev"), snapshots(13, "prod"), snapshots(13)]);
    byHand = (await made).stdout.trim();
    for (const id of [byHand, ...recorded, ...theirs, ...nobodys]) await becomes("snapshot", id, "available");
    lost = recorded.splice(10);
    restored = await make("volume", {
      size: 1,
      name: "restored",
      snapshot_id: recorded[0],
      availability_zone: "faulty",
    });
    await becomes("volume", restored, "available");
    writeFileSync(join(folder, "state.json"), stateOf(recorded.map((id, at) => [`dev-${at}`, id])));
  }, 120_000);

  afterAll(async () => {
    await lab().request("DELETE", `/volumes/${restored}`);
    await becomes("volume", restored, "404");
    const all = [byHand, ...recorded, ...lost, ...theirs, ...nobodys];
    await Promise.all(all.map((id) => lab().request("DELETE", `/snapshots/${id}`)));
    for (const id of all) await becomes("snapshot", id, "404");
    await lab().request("DELETE", `/volumes/${volume}`);
    rmSync(folder, { recursive: true });
  }, 120_000);

  test("doctor: nothing is wrong, and the password is not shown", async () => {
    const { code, stdout, stderr } = await command("doctor", "default", "--kind", "openstack");
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain(`project ${lab().projectId}, region ${lab().connection.region}`);
    expect(stdout).toMatch(/ {2}ok {7}microversion: Cinder 3\.\d+/);
    expect(stdout).toMatch(/ {2}ok {7}clock: /);
    expect(stdout).toMatch(/ {2}ok {7}quota: \d+ of \d+ snapshots are used/);
    expect(stdout).not.toContain(` ${lab().connection.password}`);
  });

  test("doctor: a wrong password", async () => {
    const stdin = stackConfig({ default: { ...lab().connection, password: "planted" } });
    const { code, stdout } = await snapclone(["doctor", "default", "--stack-config", "-"], { stdin });
    expect([code, stdout]).toEqual([1, expect.stringMatching(/wrong {4}login: .*401/)]);
    expect(stdout).not.toContain("planted");
  });

  test("orphans: of forty snapshots those with a record, each in its place", async () => {
    const { code, json } = await command("orphans", "--state", "state.json", "--kind", "openstack", "--json");
    const { objects, failures } = json();
    expect([code, failures]).toEqual([1, []]);
    const of = (status: string) =>
      objects.filter((one: { status: string }) => one.status === status).map(({ id }: { id: string }) => id);
    const mine = [...recorded, ...lost, ...theirs];
    const counted = ["recorded", "in no state", "another stack's"].map((status) =>
      of(status)
        .filter((id: string) => mine.includes(id))
        .sort(),
    );
    expect(counted).toEqual([[...recorded].sort(), [...lost].sort(), [...theirs].sort()]);
    expect(of("in no state").sort()).toEqual([...lost].sort());
    const listed = objects.map(({ id }: { id: string }) => id);
    expect([byHand, ...nobodys].filter((id) => listed.includes(id))).toEqual([]);
  });

  test("orphans: one is removed, and two are kept by a program", async () => {
    const [gone = "", ...kept] = lost.splice(0, 1).concat(lost);
    const state = ["--state", "state.json", "--kind", "openstack"];
    const { code, stdout } = await command("orphans", ...state, "--remove", gone, "--yes");
    expect([code, stdout]).toEqual([0, `deleted Snapshot ${gone}\n`]);
    await request("GET", `/snapshots/${gone}`, undefined, 404);
    const program = await command("orphans", ...state, ...kept.flatMap((id) => ["--import", id]));
    expect([program.code, kept.filter((id) => program.stdout.includes(`import: "${id}"`))]).toEqual([0, kept]);
  });

  test("graph: forty snapshots under their volume, and what was made from one of them", async () => {
    const argv = ["graph", "default", "--kind", "openstack", "--state", "state.json", "--svg", "out.svg", "--json"];
    const { code, json, stderr } = await command(...argv);
    expect([code, stderr]).toEqual([0, "wrote out.svg\n"]);
    const [{ objects }] = json().connections;
    const under = (parent: string) => objects.filter((one: { parent?: string }) => one.parent === parent);
    const owners = under(`volume ${volume}`).map(({ owner }: { owner: { is: string } }) => owner.is);
    const count = (is: string) => owners.filter((one: string) => one === is).length;
    expect([owners.length, ...["recorded", "unrecorded", "other stack", "nobody"].map(count)]).toEqual([
      39, 10, 2, 13, 14,
    ]);
    expect(under(`snapshot ${recorded[0]}`)).toMatchObject([{ id: restored, name: "restored", depth: 2 }]);
    expect(readFileSync(join(folder, "out.svg"), "utf8")).toContain(byHand);
  });

  describeEngine("import of what the command openstack made", () => {
    test("the printed program takes the snapshot over, changes nothing, and destroys it", async () => {
      const { code, stdout } = await command("import", "Snapshot", "nightly", byHand);
      expect([code, stdout]).toEqual([0, expect.stringContaining('description: "of a person"')]);
      const js = stdout.replace(/import \{ (\w+) \} from "(.*)";/, 'const { $1 } = require("$2");');
      const stack = await newStack({ program: { js }, config: { default: { ...lab().connection } } });
      try {
        const up = await stack.up();
        expect([up.code, up.stdout]).toEqual([0, expect.stringContaining(`took over the snapshot ${byHand}`)]);
        expect(up.stdout).not.toContain("brought into line");
        expect((await stack.up({ args: ["--expect-no-changes"] })).code).toBe(0);
        const { snapshot } = await request("GET", `/snapshots/${byHand}`, undefined, 200);
        expect(snapshot).toMatchObject({
          name: "by hand",
          description: "of a person",
          metadata: { team: "shop", "snapclone:owner": expect.stringMatching(/::nightly$/) },
        });
        expect((await stack.destroy()).code).toBe(0);
        await request("GET", `/snapshots/${byHand}`, undefined, 404);
      } finally {
        await stack.close();
      }
    });
  });
});
