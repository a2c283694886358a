// The programs of examples/native in a language on the real engine, on the SDK of this repository: previewed, created, left
// alone, changed in place, deleted. The schema shows the same files (tools/docs/languages.ts).

import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { type Emulator, SEED_SESSIONS, SEED_VOLUMES } from "../../../emulator";
import { resourceNames, typeOf } from "../../../provider/resources";
import { connectionsOf, operationsOf, startCloud } from "../../smoke/shortLives";
import { type CommandOptions, describeEngine, newStack, pluginOnPath, type Result, type Stack } from "../harness";
import { LANGUAGES } from "./languages";

/** What every program's outputs hold. The others are ids and times. */
const OUTPUTS = {
  snapshotSize: 10,
  restoredSize: 12,
  yearEndSize: 50,
  newest: "year-end",
  inPlace: true,
  replicaStatus: "available",
};
const OTHERS = ["snapshotId", "latest", "nights", "restoredVolumeId", "cloneOfData", "wwns", "addresses", "yearEndId"];
const CHANGED = ["before-release", "nightly", "restored", "upgrade", "database", "testers", "preview"];
const UNCHANGED = ["dr", "replica", "last-night", "before-upgrade"];

const settingsOf = (cloud: Emulator) => ({
  team: "shop",
  testerCount: 2,
  manageStatus: true,
  authUrl: cloud.openstack.connection().authUrl,
});

/** What the backends have of the programs' resources. */
function onBackends(cloud: Emulator) {
  for (const service of [cloud.cinder, cloud.powervc, cloud.nova]) service.advance();
  const snapshots = [...cloud.cinder.snapshots.values()].filter(({ name }) => name !== "year-end");
  const volumes = [...cloud.cinder.volumes.values()];
  return {
    snapshots: snapshots.length,
    teams: [...snapshots, ...volumes].flatMap(({ metadata }) => metadata.team ?? []).sort(),
    restored: volumes.filter(({ snapshot_id }) => snapshot_id !== null).map(({ size }) => size),
    clones: volumes.flatMap(({ source_volid, name }) => (source_volid === null ? [] : [name])).sort(),
    targets: cloud.vipr.linkedNames(SEED_SESSIONS.monday).length,
    vms: cloud.zstack
      .living()
      .flatMap(({ name, description }) => (/^pr-/.test(name) ? [`${name}: ${description}`] : [])),
  };
}

async function startBackends(): Promise<Emulator> {
  const cloud = await startCloud();
  cloud.cinder.snapshots.clear();
  cloud.cinder.createSnapshot({ name: "year-end", volume_id: SEED_VOLUMES.logs, volume_size: 50 });
  cloud.nova.createFile(SEED_VOLUMES.logs, "upgrade.qcow2");
  return cloud;
}

/** One test: the stack goes through all of it. */
export function describeLanguage(name: keyof typeof LANGUAGES): void {
  const language = LANGUAGES[name]();
  if ("missing" in language) {
    process.stderr.write(`\nSKIPPED, as there is no ${language.missing}: the programs in ${name}\n\n`);
    test.skip(`the programs in ${name} (skipped: no ${language.missing})`, () => {});
    return;
  }

  describeEngine(`each resource in ${name}`, () => {
    let cloud: Emulator;
    let stack: Stack;
    const folder = mkdtempSync(path.join(os.tmpdir(), "snapclone-language-"));
    const run = async (running: Promise<Result>) => {
      const result = await running;
      if (result.code !== 0) throw new Error(result.stdout + result.stderr);
      return { done: operationsOf(result), backend: onBackends(cloud), result };
    };
    const all = (names: readonly string[], operation: string) =>
      Object.fromEntries(names.map((resource) => [resource, operation]));

    beforeAll(async () => {
      const { program, env, path: folders } = language.prepare(folder);
      cloud = await startBackends();
      const settings = Object.entries(settingsOf(cloud)).map(([key, value]) => [
        `snapclone-test:${key}`,
        String(value),
      ]);
      const { PATH = "" } = pluginOnPath();
      stack = await newStack({
        program,
        config: connectionsOf(cloud),
        settings: Object.fromEntries(settings),
        env: { ...env, PATH: [...folders, PATH].join(path.delimiter) },
      });
      await stack.setConfig("snapclone-test:password", "secret", { secret: true });
    }, 600_000);
    afterAll(async () => {
      await stack?.close();
      await cloud?.close();
      rmSync(folder, { recursive: true, force: true });
    });

    test("is previewed, created, left alone, changed in place, deleted", async () => {
      const none = onBackends(cloud);
      const previewed = await run(stack.preview());
      expect(previewed).toMatchObject({ done: all([...CHANGED, ...UNCHANGED], "create"), backend: none });

      const created = await run(stack.up());
      expect(created.done).toMatchObject(all([...CHANGED, ...UNCHANGED], "create"));
      expect(created.backend).toEqual({
        snapshots: 5,
        teams: ["shop", "shop", "shop"],
        restored: [12],
        clones: [expect.stringContaining("shop"), expect.stringContaining("shop")],
        targets: 2,
        vms: ["pr-42-app: shop", "pr-42-worker: shop"],
      });
      const { resources = [] } = (await stack.export()).deployment;
      const types = resourceNames.map((resource) => `snapclone:index:${typeOf(resource)}`);
      expect(resources.map(({ type }) => type)).toEqual(expect.arrayContaining(types));
      const outputs = resources.find(({ type }) => type === "pulumi:pulumi:Stack")?.outputs ?? {};
      expect(outputs).toMatchObject(OUTPUTS);
      expect(OTHERS.filter((output) => /""|null|\[\]/.test(JSON.stringify(outputs[output] ?? null)))).toEqual([]);
      const explicit = JSON.stringify(resources.find(({ urn }) => urn.endsWith("::dr")));
      expect(explicit).toContain("ciphertext");
      expect(explicit).not.toMatch(/password|authUrl/);

      const again = await run(stack.up());
      expect(again).toMatchObject({ done: all([...CHANGED, ...UNCHANGED], "same"), backend: created.backend });

      const config = ["team=ops", "testerCount=3", "manageStatus=false"].flatMap((setting) => ["--config", setting]);
      const options: CommandOptions = { args: config };
      const changed = await run(stack.up(options));
      expect(changed.done).toMatchObject({ ...all(CHANGED, "update"), ...all(UNCHANGED, "same") });
      expect(changed.backend).toEqual({
        ...created.backend,
        // A snapshot of the series keeps what it was taken with.
        teams: ["ops", "ops", "shop"],
        clones: [expect.stringContaining("ops"), expect.stringContaining("ops")],
        targets: 3,
        vms: ["pr-42-app: ops", "pr-42-worker: ops"],
      });

      const deleted = await run(stack.destroy());
      expect(deleted).toMatchObject({ done: all([...CHANGED, ...UNCHANGED], "delete"), backend: none });
    });
  });
}
