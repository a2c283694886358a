// `snapclone graph` against the emulators: what is shown, whose it is, what is written, and what happens when a backend does
// not answer. With UPDATE=1 it writes the output and the picture in docs/graph.md.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { snapclone, stackConfig } from "./fixture";
import {
  addSnapshot,
  addVolume,
  configOf,
  fillOpenStack,
  fillPowerVc,
  fillVipr,
  fillZStack,
  stateOf,
  urnOf,
} from "./lineageFixture";

const DOCS = resolve(__dirname, "..", "..", "docs");
const GONE_VOLUME = "urn:storageos:Volume:00000000-0000-4000-8000-000000000000:vdc1";
const UTF8 = { LANG: "C.UTF-8" };
let emulator: Emulator;
let cwd: string;

beforeEach(async () => {
  emulator = await startEmulator({ clock: "manual" });
  cwd = mkdtempSync(join(tmpdir(), "snapclone-graph-"));
});

afterEach(async () => {
  await emulator.close();
  rmSync(cwd, { recursive: true });
});

interface Shown {
  objects: {
    kind: string;
    id: string;
    name: string;
    state: string;
    depth: number;
    owner: { is: string; who?: string };
  }[];
  lone: number;
  notes: string[];
  kind: string;
  name: string;
}

function run(args: readonly string[], state?: string, connections: readonly string[] = ["default"], env = UTF8) {
  writeFileSync(join(cwd, "config.json"), configOf(emulator, ...connections));
  const from = state === undefined ? [] : ["--state", "-"];
  const setup = { cwd, env, ...(state === undefined ? {} : { stdin: state }) };
  return snapclone(["graph", "--stack-config", "config.json", ...from, ...args], setup);
}

async function shown(state?: string, connections: readonly string[] = ["default"], args: readonly string[] = []) {
  const ran = await run(["--json", ...args], state, connections);
  expect([ran.code, ran.stderr]).toEqual([0, ""]);
  return (ran.json() as { connections: Shown[] }).connections;
}

const lines = ([one]: readonly Shown[]) =>
  one?.objects.map(({ depth, kind, name, state, owner }) =>
    [".".repeat(depth) + kind, name, state, owner.is, owner.who ?? ""].join("|"),
  );

describe("OpenStack", () => {
  it("volumes, series, overlays and what was made from snapshots, beside the state", async () => {
    expect(lines(await shown(stateOf(...fillOpenStack(emulator))))).toEqual([
      "volume|data|available|nobody|",
      ".series|weekly|3 snapshots of 3 triggers|recorded|weekly",
      "..snapshot|weekly-1|available|recorded|weekly",
      "..snapshot|weekly-2|available|recorded|weekly",
      "..snapshot|weekly-3|available|recorded|weekly",
      ".snapshot|audit|available|other stack|shop/prod audit",
      ".snapshot|before-upgrade|available|recorded|before-upgrade",
      "..volume|restored|in-use|recorded|restored",
      "...snapshot|by hand|available|nobody|",
      ".snapshot|left behind|available|unrecorded|nightly",
      ".snapshot|failed|error|other stack|shop/prod failed",
      ".snapshot||not found|recorded|vanished",
      "volume|logs|in-use|nobody|",
      ".snapshot|overlay-base|available|nobody|",
      "..overlay|overlay-1.qcow2|made|recorded|live",
    ]);
  });

  it("what an interrupted create has made, and what is newer than the state", async () => {
    const owner = urnOf("Snapshot", "begun");
    const [begun, unnamed, newer] = [
      addSnapshot(emulator, "begun", { owner, metadata: { "snapclone:attempt": "0123456789abcdef" } }),
      addSnapshot(emulator, "unnamed", { owner: urnOf("Snapshot", "first") }),
      addSnapshot(emulator, "newer", { owner: urnOf("Snapshot", "newer"), ageMs: 0 }),
    ];
    expect([begun, unnamed, newer]).toHaveLength(3);
    const state = JSON.parse(stateOf());
    const operation = (urn: string, inputs: object) => ({
      type: "creating",
      resource: { urn, type: "pulumi-nodejs:dynamic/snapclone:Snapshot", inputs },
    });
    state.deployment.resources = [
      { urn: "urn:pulumi:dev::shop::pulumi:pulumi:Stack::shop-dev", type: "pulumi:pulumi:Stack" },
    ];
    state.deployment.manifest.time = new Date(emulator.clock.now().getTime() - 60_000).toISOString();
    state.deployment.pending_operations = [
      operation(owner, { __attempt: "0123456789abcdef0123456789abcdef" }),
      operation(urnOf("Snapshot", "first"), {}),
    ];
    expect(lines(await shown(JSON.stringify(state)))?.slice(1)).toEqual([
      ".snapshot|begun|available|pending|begun",
      ".snapshot|unnamed|available|pending|first",
      ".snapshot|newer|available|newer|newer",
    ]);
    expect((await run([], JSON.stringify(state))).stdout).toContain(
      "2 of this stack pending, 1 of this stack newer than",
    );
  });

  it("in another environment than the runs' it says that it is not sure whose what is", async () => {
    addSnapshot(emulator, "left behind", { owner: urnOf("Snapshot", "nightly") });
    writeFileSync(
      join(cwd, "elsewhere.json"),
      stackConfig(emulator.connections(), { "snapclone:origin": "elsewhere" }),
    );
    const stdin = stateOf({ type: "Snapshot", name: "s", id: "1", inputs: { volumeId: SEED_VOLUMES.data } });
    const args = ["graph", "--state", "-", "--stack-config", "elsewhere.json", "default"];
    const { code, stdout, stderr } = await snapclone(args, { cwd, stdin, env: UTF8 });
    expect([code, stderr]).toEqual([0, expect.stringContaining("warning: what is this stack's is not sure")]);
    expect(stdout).toContain("this stack, in no state: nightly");
  });

  it("without a state, the records alone", async () => {
    fillOpenStack(emulator);
    const owners = (await shown())[0]?.objects.map(({ owner }) => owner) ?? [];
    expect(new Set(owners.map(({ is }) => is))).toEqual(new Set(["nobody", "claimed"]));
    expect(owners).toContainEqual({ is: "claimed", who: "shop/dev before-upgrade" });
  });

  it("no objects, and volumes without copies only with --all", async () => {
    expect(await shown()).toMatchObject([{ objects: [], lone: 2 }]);
    expect((await shown(undefined, ["default"], ["--all"]))[0]?.objects).toHaveLength(2);
    emulator.cinder.volumes.clear();
    expect((await run([])).stdout).toContain("No copies.");
  });

  it("forty snapshots, and a chain of forty volumes and snapshots", async () => {
    for (let at = 1; at <= 40; at += 1) addSnapshot(emulator, `many-${at}`, { ageMs: 3_600_000 * (100 - at) });
    let volume: string = SEED_VOLUMES.logs;
    for (let at = 1; at <= 40; at += 1) {
      const snapshot = addSnapshot(emulator, `deep-${at}`, { volume });
      volume = addVolume(emulator, `copy-${at}`, { snapshot_id: snapshot }).id;
    }
    const [one] = await shown();
    expect(one?.objects).toHaveLength(2 + 40 + 80);
    expect(one?.objects.at(-1)).toMatchObject({ name: "copy-40", depth: 80 });
    expect(one?.objects.slice(1, 41).map(({ name }) => name)).toEqual(
      Array.from({ length: 40 }, (_, at) => `many-${at + 1}`),
    );
  });

  it("sources that are gone, and circles that cannot be", async () => {
    addVolume(emulator, "orphaned", { snapshot_id: "77777777-7777-4777-8777-777777777777" });
    const one = addVolume(emulator, "one", {});
    const two = addVolume(emulator, "two", { source_volid: one.id });
    Object.assign(one, { source_volid: two.id });
    const text = lines(await shown());
    expect(text).toEqual(
      expect.arrayContaining(["snapshot||not visible|nobody|", ".volume|orphaned|available|nobody|"]),
    );
    expect(text?.join()).toContain("source is its own copy");
  });

  it("a name that the program keeps secret is not shown", async () => {
    const id = addSnapshot(emulator, "confidential", { owner: urnOf("Snapshot", "s") });
    const inputs = { volumeId: SEED_VOLUMES.data, __secrets: ["name"] };
    const state = stateOf({ type: "Snapshot", name: "s", id, inputs });
    const ran = await run(["--svg", "out.svg"], state);
    expect(ran.stdout + readFileSync(join(cwd, "out.svg"), "utf8")).not.toContain("confidential");
    expect(ran.stdout).toContain(`snapshot ${id.slice(0, 8)}`);
  });
});

it("PowerVC: clones under their sources, by our tags", async () => {
  const state = stateOf(...fillPowerVc(emulator));
  expect(lines(await shown(state, ["powervc"]))).toEqual([
    "volume|data|available|nobody|",
    ".volume|clone-data|available|recorded|test-data",
  ]);
  // The same project through another connection: what the state has is not called "in no state".
  expect(lines(await shown(state, ["default"]))).toContain(".volume|clone-data|available|recorded|test-data");
});

it("PowerVC: a flow that was begun is a set under its first source", async () => {
  const value = "11111111 - 2026-11-28T10:00:00Z stack inputs - - urn:pulumi:dev::shop::t::half";
  const volume = emulator.cinder.volumes.get(SEED_VOLUMES.data);
  Object.assign(volume?.metadata ?? {}, { "snapclone:snapclone-00112233445566778899aabb:pending": value });
  expect(lines(await shown(undefined, ["powervc"]))).toEqual([
    "volume|data|available|nobody|",
    ".clone set|half|being made|claimed|shop/dev half",
  ]);
});

it("ViPR: all sessions of a source and their targets, beginning at what the state or --source names", async () => {
  const entries = fillVipr(emulator);
  const expected = [
    "volume|data|active|nobody|",
    ".session|monday|active|nobody|",
    "..target|by hand|linked|nobody|",
    "..target|restore-0123456789abcdef01g1-1|linked|recorded|restore",
    "..target|restore-0123456789abcdef01g1-2|linked|recorded|restore",
    ".session|tuesday|active|nobody|",
  ];
  expect(lines(await shown(stateOf(...entries), ["vipr"]))).toEqual(expected);
  const [volume] = emulator.vipr.volumes.values();
  const [bySource] = await shown(undefined, ["vipr"], ["--source", volume?.id ?? ""]);
  expect(bySource?.objects).toHaveLength(6);
  const [nothing] = await shown(undefined, ["vipr"]);
  expect([nothing?.objects, nothing?.notes]).toEqual([[], [expect.stringContaining("give --state, or --source")]]);
});

it("ViPR: a volume that was kept after unlinking, under the session that it was linked to", async () => {
  const [entry] = fillVipr(emulator);
  if (entry === undefined) throw new Error("no entry");
  const [leaving, ...targets] = (entry.outputs?.targets ?? []) as [{ id: string }, ...{ id: string }[]];
  const session = emulator.vipr.sessions.get(String(entry.inputs?.snapshotSessionId));
  if (session === undefined) throw new Error("no session");
  emulator.vipr.unlink(session, new Map([[leaving.id, false]]));
  await emulator.clock.tick(600_000);
  emulator.vipr.advance();
  const [kept] = [...emulator.vipr.volumes.values()].filter(({ label }) => label.startsWith("restore-"));
  const state = stateOf({ ...entry, outputs: { targets, promotedVolumes: [{ id: kept?.id }, { id: GONE_VOLUME }] } });
  expect(lines(await shown(state, ["vipr"]))).toEqual(
    expect.arrayContaining([
      `..volume|${kept?.label}|kept after unlinking|recorded|restore`,
      "..volume||not found|recorded|restore",
    ]),
  );
});

it("ViPR: a consistency group and its sessions", async () => {
  const [group] = emulator.vipr.groups.values();
  const [one] = await shown(undefined, ["vipr"], ["--source", group?.id ?? ""]);
  expect(lines(one ? [one] : [])).toEqual([
    "group|shop|2 volumes|nobody|",
    ".session|shop-monday|active|nobody|",
    ".session|shop-tuesday|active|nobody|",
  ]);
});

it("ZStack: sets of clones under their sources", async () => {
  const entries = fillZStack(emulator);
  expect(lines(await shown(stateOf(...entries), ["zstack"]))).toEqual([
    "VM|web|Running|nobody|",
    ".clone set|web-test|2 clones|recorded|web-test",
    "..VM|web-test-1|Running|recorded|web-test",
    "..VM|web-test-2|Running|recorded|web-test",
  ]);
  // Without the state, nothing tells the source.
  expect(lines(await shown(undefined, ["zstack"]))?.[0]).toBe(
    "clone set|web-test|2 clones, source not known|claimed|shop/dev web-test",
  );
});

describe("the command", () => {
  it("shows every connection, and one that fails hides no other: exit code 3", async () => {
    emulator.faults.add({ match: { service: "vipr" }, status: 403, times: Infinity });
    addSnapshot(emulator, "seen");
    const { code, stdout, stderr } = await run([], undefined, ["default", "vipr", "zstack"]);
    expect(code).toBe(3);
    expect(stdout).toContain("snapshot seen");
    expect(stdout).toContain("zstack zstack: account admin");
    expect(stderr).toMatch(/^vipr vipr: /);
    expect(stdout + stderr).not.toContain("secret");
  });

  it("reads one connection by its name, and changes nothing", async () => {
    fillOpenStack(emulator);
    const { stdout } = await run(["default"], undefined, ["default", "zstack"]);
    expect(stdout).toContain("openstack default");
    expect(stdout).not.toContain("zstack");
    const writes = emulator.requests.filter(
      ({ method, operation }) => method !== "GET" && operation !== "tokens.issue",
    );
    expect(writes).toEqual([]);
  });

  it("refuses what it can't do: exit code 2", async () => {
    const refusals: [readonly string[], string][] = [
      [["nowhere"], "nowhere"],
      [["--kind", "aws"], "--kind is one of"],
      [["--svg", "no/such/folder/x.svg"], "no such file"],
      [["--state", "-", "--stack-config", "-"], "can be stdin"],
    ];
    for (const [args, message] of refusals) {
      const { code, stderr } = await run(args);
      expect([args, code === 2 || code === 3, stderr]).toEqual([args, true, expect.stringContaining(message)]);
    }
  });

  it("ASCII where the locale is not UTF-8", async () => {
    addSnapshot(emulator, "naïve");
    for (const env of [{}, { LANG: "C" }, { LC_ALL: "POSIX", LANG: "C.UTF-8" }]) {
      const { stdout } = await run([], undefined, ["default"], env as typeof UTF8);
      expect(stdout).toContain("`- snapshot na\\u{ef}ve");
    }
    expect((await run([])).stdout).toContain("└─ snapshot naïve");
  });

  it("the output and the picture in docs/graph.md", async () => {
    const { stdout } = await run(["--svg", "graph.svg", "--html", "graph.html"], stateOf(...fillOpenStack(emulator)));
    const svg = readFileSync(join(cwd, "graph.svg"), "utf8");
    expect(existsSync(join(cwd, "graph.html"))).toBe(true);
    const [page, picture] = [join(DOCS, "graph.md"), join(DOCS, "images", "graph.svg")];
    const [before = "", rest = ""] = readFileSync(page, "utf8").split("<!-- output -->\n");
    const after = rest.slice(rest.indexOf("<!-- end -->"));
    const expected = `${before}<!-- output -->\n\n\`\`\`console\n$ pulumi stack export | snapclone graph --state - --stack-config config.json\n${stdout}\`\`\`\n\n${after}`;
    if (process.env.UPDATE === "1") {
      writeFileSync(page, expected);
      writeFileSync(picture, svg);
    }
    expect(readFileSync(page, "utf8")).toBe(expected);
    expect(readFileSync(picture, "utf8")).toBe(svg);
  });
});
