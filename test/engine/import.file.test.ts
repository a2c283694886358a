// `snapclone import --file` on the real engine: `pulumi import --file` takes the file, the ownership record is on the objects
// before Pulumi has them in its state, and the printed program changes nothing.

import * as fs from "node:fs";
import * as path from "node:path";
import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { snapclone, stackConfig } from "../cli/fixture";
import { killAll, processesIn } from "../support/processes";
import { describeEngine, newStack, pluginOnPath, type Result, type Stack } from "./harness";
import { stateFolder } from "./ownership/fixture";

describeEngine("snapclone import --file", () => {
  let cloud: Emulator;
  let stack: Stack;
  let config: Record<string, object>;

  beforeAll(async () => {
    cloud = await startEmulator({ timings: { snapshotDelete: 100 } });
    config = {
      default: { ...cloud.openstack.connection() },
      other: { ...cloud.openstack.connection() },
      powervc: { ...cloud.powervc.connection() },
    };
  });
  beforeEach(async () => {
    stack = await newStack({ program: { js: "" }, config, env: pluginOnPath() });
  });
  afterEach(async () => {
    await stack?.close();
    cloud.reset();
  });
  afterAll(() => cloud?.close());

  const byHand = (given: object = {}) =>
    cloud.cinder.createSnapshot({ volume_id: SEED_VOLUMES.data, name: "by hand", metadata: { team: "shop" }, ...given })
      .id;
  const row = (id: string) => cloud.cinder.snapshots.get(id);
  const ok = async (running: Promise<Result>): Promise<Result> => {
    const result = await running;
    expect([result.code, result.stdout + result.stderr]).toEqual([0, result.stdout + result.stderr]);
    return result;
  };
  /** What the command prints for these objects, after it has written them into `import.json`. */
  const declare = async (...objects: string[][]): Promise<string> => {
    const programs: string[] = [];
    for (const args of objects) {
      const argv = ["import", ...args, "--stack-config", "-", "--file", "import.json", "--json"];
      const result = await snapclone(argv, { cwd: stack.dir, stdin: stackConfig(config) });
      expect([result.code, result.stderr]).toEqual([0, expect.stringContaining("pulumi import --file import.json")]);
      programs.push(result.json().program);
    }
    return programs
      .map((text) => text.replace(/import \{ (\w+) \} from "(.*)";/, 'var { $1 } = require("$2");'))
      .join("\n");
  };
  const importFile = (how: "--yes" | "--preview-only" = "--yes") =>
    stack.command(["import", "--file", "import.json", how, "--generate-code=false", "--stack", stack.name]);
  const written = () =>
    cloud.requests
      .filter(({ service, method }) => service === "cinder" && method !== "GET")
      .map(({ operation }) => operation);

  test("objects of two types and three connections: no preview writes, the import does, and `up` changes nothing", async () => {
    const [one, two] = [byHand({ description: "of a person" }), byHand({ volume_id: SEED_VOLUMES.logs })];
    const volumes = [SEED_VOLUMES.data, SEED_VOLUMES.logs];
    const clones = volumes.map((of, at) => cloud.cinder.createVolume({ name: `night-${at}`, source_volid: of }).id);
    const given = ["--inputs", JSON.stringify({ volumes })];
    const js = await declare(
      ["Snapshot", "nightly", one],
      ["Snapshot", "by hand", two, "--connection", "other"],
      ["VolumeClone", "copies", clones.join(","), "--connection", "powervc", ...given],
    );
    await ok(importFile("--preview-only"));
    expect(written()).toEqual([]);

    expect((await ok(importFile())).stdout).toContain("= 3 imported");
    const owners = [row(one), row(two), ...clones.map((id) => cloud.cinder.volumes.get(id))].map(
      (object) => /::([^:]+)$/.exec(object?.metadata["snapclone:owner"] ?? "")?.[1],
    );
    expect(owners).toEqual(["nightly", "by hand", "copies", "copies"]);
    expect(row(one)).toMatchObject({ description: "of a person", metadata: { team: "shop" } });

    const before = written();
    stack.setProgram({ js });
    await ok(stack.up({ args: ["--expect-no-changes"] }));
    expect(written()).toEqual(before);
    // A dynamic program takes the entries over by its classes' aliases. The resource itself is not touched.
    stack.setProgram({ js: js.replaceAll("pulumi-snapclone/native", "pulumi-snapclone") });
    await ok(stack.up());
    expect(written()).toEqual(before);
  });

  test("killed in the middle: a preview still writes nothing, and the same command imports it", async () => {
    const id = byHand();
    const js = await declare(["Snapshot", "nightly", id]);
    const held = cloud.faults.add({ match: { operation: "snapshots.metadata.merge" }, times: 1, action: "hang" });
    const killed = importFile().catch(() => undefined);
    while (held.hits === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    killAll(processesIn(path.dirname(stack.dir)));
    await killed;
    held.remove();
    await ok(stack.cancel());
    const { deployment } = await stack.export();
    expect(deployment.pending_operations).toMatchObject([{ type: "importing", resource: { importID: id } }]);

    await ok(importFile("--preview-only"));
    expect(row(id)?.metadata).toEqual({ team: "shop" });
    await ok(importFile());
    stack.setProgram({ js });
    await ok(stack.up({ args: ["--expect-no-changes"] }));

    // What the state has let go has the resource's own record. Under another name it does not come back.
    const [{ urn = "" } = {}] = await stack.resources();
    await ok(stack.command(["state", "delete", urn, "--yes", "--force", "--stack", stack.name]));
    await declare(["Snapshot", "other", id]);
    const other = await importFile();
    expect([other.code === 0, other.stdout]).toEqual([
      false,
      expect.stringContaining("has the record of another resource"),
    ]);
    fs.rmSync(path.join(stack.dir, "import.json"));
    fs.writeFileSync(path.join(stack.dir, "state.json"), JSON.stringify(await stack.export()));
    const argv = ["orphans", "--state", "state.json", "--stack-config", "-", "--import", id, "--file", "import.json"];
    const env = { PULUMI_BACKEND_URL: `file://${stateFolder(stack)}` };
    const kept = await snapclone(argv, { cwd: stack.dir, stdin: stackConfig(config), env });
    expect([kept.code, kept.stdout]).toEqual([0, expect.stringContaining('new Snapshot("nightly", {')]);
    expect((await ok(importFile())).stdout).toContain("= 1 imported");
  });
});
