// What is published, judged by others' rules: publint and attw (are the types wrong?) look at the tarball, knip at the
// repository. And what the package weighs.

import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { cacheFolder } from "../../tools/engine/cache";
import { run } from "../../tools/engine/processes";
import { nameOfInstallation, PULUMIS } from "./combinations";
import { installed, prepared, repository, testWith } from "./prepared";

testWith("publint has nothing to say about the tarball", [installed("tools")], async (tools) => {
  const ran = await tool(tools, "publint/src/cli.js", ["run", prepared.tarball.path, "--strict"]);
  expect(ran.output).toMatch(/All good!\s*$/);
  expect(ran.ok).toBe(true);
});

testWith("attw finds every entry's types, in every resolution", [installed("tools")], async (tools) => {
  const ran = await tool(tools, "@arethetypeswrong/cli/dist/index.js", [prepared.tarball.path, "--format", "ascii"]);
  if (!ran.ok) throw new Error(ran.output);
  expect(ran.output).toContain("No problems found");
});

testWith("knip finds no dead code and no undeclared dependency", [installed("tools")], async (tools) => {
  const ran = await tool(tools, "knip/bin/knip.js", ["--directory", repository, "--no-progress"]);
  if (!ran.ok) throw new Error(ran.output);
});

test("the tarball holds the build, the docs, the examples and nothing else", () => {
  const { files } = prepared.tarball;
  const foreign = files.filter(
    (file) =>
      !/^(dist\/(sdk|provider|emulator|plugin|cli)|docs|examples)\/|^[A-Z_]+(\.md)?$|^package\.json$/.test(file),
  );
  expect(foreign).toEqual([]);
  expect(files.filter((file) => /\.(map|test\.\w+)$/.test(file))).toEqual([]);
  expect(files).toEqual(expect.arrayContaining(["dist/emulator/cli.js", "dist/emulator/page/client.js"]));
  // The plugin has the native shell: as single files it would need packages that this one does not depend on.
  expect(files).toContain("dist/plugin/pulumi-resource-snapclone");
  expect(files.filter((file) => file.startsWith("dist/provider/native/"))).toEqual([]);
});

const plain = installed(nameOfInstallation({ manager: "npm", pulumi: PULUMIS.oldest, tsNode: false }));

testWith("the footprint: what the package and its dependencies add to a project", [plain], async (folder = "") => {
  const modules = path.join(folder, "node_modules");
  const lock = JSON.parse(readFileSync(path.join(folder, "package-lock.json"), "utf8")) as Lock;
  const own = withDependencies("pulumi-snapclone", lock);
  const footprint = {
    tarballBytes: prepared.tarball.bytes,
    unpackedBytes: prepared.tarball.unpackedBytes,
    files: prepared.tarball.files.length,
    packages: own.length,
    installedBytes: own.reduce((sum, name) => sum + bytesIn(path.join(modules, name)), 0),
    projectBytes: bytesIn(modules),
  };
  process.stderr.write(`\nFootprint: ${JSON.stringify(footprint)}\n`);
  // tools/bench reads it there.
  writeFileSync(path.join(cacheFolder(process.env), "footprint.json"), `${JSON.stringify(footprint, null, 2)}\n`);
  expect(own.sort()).toEqual(["pulumi-snapclone", "undici", "yaml", "zod"]);
  // Of that, the plugin with all that it needs is 0.7 MB.
  expect(footprint.tarballBytes).toBeLessThan(1_700_000);
  expect(footprint.installedBytes).toBeLessThan(20_000_000);
  expect(existsSync(path.join(modules, "@pulumi", "pulumi"))).toBe(true);
});

interface Lock {
  packages: Record<string, { dependencies?: Record<string, string> }>;
}

/** Without the peer: a Pulumi program has it anyway. */
function withDependencies(name: string, lock: Lock, found: string[] = []): string[] {
  if (found.includes(name)) return found;
  found.push(name);
  for (const next of Object.keys(lock.packages[`node_modules/${name}`]?.dependencies ?? {})) {
    withDependencies(next, lock, found);
  }
  return found;
}

function bytesIn(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(path.join(entry.parentPath, entry.name)).size, 0);
}

function tool(tools: string | undefined, script: string, args: readonly string[]) {
  return run(process.execPath, [path.join(tools ?? "", "node_modules", script), ...args], {
    cwd: repository,
    env: { ...process.env, NO_COLOR: "1" },
    timeoutMs: 120_000,
  });
}
