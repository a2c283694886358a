// Runs once before the tests of this folder: packs the package and installs it, with all that the tests need, in
// folders outside the repository (installs.ts). What can't be had here is noted with the reason, and the tests that need it
// are skipped.

import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { resolveEngine } from "../../tools/engine";
import { temporaryBeside } from "../../tools/engine/cache";
import { withLock } from "../../tools/engine/lock";
import {
  COMBINATIONS,
  ENGINES,
  type Installation,
  NODE_TYPES,
  nameOfInstallation,
  OPENSTACK,
  TOOLS,
  TS_NODE,
  TYPESCRIPTS,
} from "./combinations";
import { otherEngine } from "./engines";
import { bun, cache, type Had, hash, installedFolder, npm, npmFolder, removeUnused, yarn } from "./installs";
import { LAYOUTS } from "./layouts";

export type { Had } from "./installs";

export interface Prepared {
  engine: Had;
  tarball: { path: string; bytes: number; unpackedBytes: number; files: string[] };
  /** By version: the folder of the binary. */
  nodes: Record<string, Had>;
  /** By name of the installation or layout, and `types`, `tools`: the folder in which it was installed. */
  projects: Record<string, Had>;
  bun: Had;
  yarn: Had;
  /** By version: other engines than the one above. */
  engines: Record<string, Had>;
}

const repository = path.resolve(__dirname, "..", "..");

interface Manifest {
  dependencies: Record<string, string>;
  peerDependencies: Record<string, string>;
}

export default async function setup(): Promise<void> {
  fs.mkdirSync(cache, { recursive: true });
  await withLock(
    path.join(cache, "setup.lock"),
    (pid) => process.stderr.write(`── package: waiting for process ${pid}, which prepares the same\n`),
    async () => {
      const file = path.join(cache, "prepared.json");
      fs.writeFileSync(file, JSON.stringify(await prepare()));
      removeUnused();
      process.env.SNAPCLONE_PACKAGE_PREPARED = file;
    },
  );
}

async function prepare(): Promise<Prepared> {
  const engine = await resolveEngine({ onlyReady: true });
  const tarball = await pack();
  const { dependencies, peerDependencies } = JSON.parse(
    fs.readFileSync(path.join(repository, "package.json"), "utf8"),
  ) as Manifest;
  const ours = { dependencies, peerDependencies };

  const nodes: Record<string, Had> = {};
  const projects: Record<string, Had> = {};
  const jobs = [
    ...distinct(COMBINATIONS.map(({ node }) => node)).map((version) => async () => {
      nodes[version] = await nodeBinary(version);
    }),
    ...distinct(COMBINATIONS.map(({ installed }) => installed)).map((installation) => async () => {
      const name = nameOfInstallation(installation);
      projects[name] = await project(name, installation.manager, projectManifest(installation), tarball.path, ours);
    }),
    ...LAYOUTS.map(({ name, manager, files }) => async () => {
      const identity = { manager, files: files(""), ...ours };
      projects[name] = await installedFolder(folderName(name), manager, identity, files(tarball.path));
    }),
    async () => {
      projects.types = await project("types", "npm", typesManifest(), tarball.path, ours);
    },
    async () => {
      projects.openstack = await project("openstack", "npm", openstackManifest(), tarball.path, ours);
    },
    async () => {
      projects.tools = await npmFolder("tools", { ...TOOLS, typescript: TYPESCRIPTS[6], "@types/node": NODE_TYPES });
    },
  ];
  await twoAtATime(jobs);
  const engines: Record<string, Had> = {};
  for (const version of Object.values(ENGINES)) engines[version] = await otherEngine(version);
  return {
    engine: engine.kind === "none" ? { missing: engine.reason } : { path: engine.path },
    tarball,
    nodes,
    projects,
    bun: await bun(),
    yarn: await yarn(),
    engines,
  };
}

/** The name carries the content: a lock file that knows an older one would refuse another under the same name. */
async function pack(): Promise<Prepared["tarball"]> {
  const temporary = temporaryBeside(path.join(cache, "pack"));
  try {
    const ran = await npm(
      ["pack", "--ignore-scripts", "--silent", "--json", "--pack-destination", temporary],
      repository,
    );
    if (!ran.ok) throw new Error(`npm pack: ${ran.problem}\n${ran.output}`);
    const [report] = JSON.parse(ran.output.slice(ran.output.search(/^\[/m))) as [
      { filename: string; size: number; unpackedSize: number; files: { path: string }[] },
    ];
    const packed = path.join(temporary, report.filename);
    const target = path.join(cache, `pulumi-snapclone-${hash(fs.readFileSync(packed))}.tgz`);
    fs.renameSync(packed, target);
    const files = report.files.map((file) => file.path);
    return { path: target, bytes: report.size, unpackedBytes: report.unpackedSize, files };
  } finally {
    fs.rmSync(temporary, { recursive: true, force: true });
  }
}

async function nodeBinary(version: string): Promise<Had> {
  const platform = process.platform === "win32" ? "win" : process.platform;
  const name = `node-${platform}-${process.arch}`;
  const had = await npmFolder(`node-${version}`, { [name]: version });
  return "missing" in had ? had : { path: path.join(had.path, "node_modules", name, "bin") };
}

interface ProjectManifest {
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  overrides?: Record<string, Record<string, string>>;
}

function projectManifest({ pulumi, typescript, tsNode }: Installation): ProjectManifest {
  // TypeScript that is newer than what this version of Pulumi knows: npm refuses unless it is told so, pnpm warns.
  const ahead = typescript !== undefined && Number.parseInt(typescript, 10) > 6;
  return {
    dependencies: { "@pulumi/pulumi": pulumi },
    devDependencies: {
      ...(typescript === undefined ? {} : { typescript, "@types/node": NODE_TYPES }),
      ...(tsNode ? { "ts-node": TS_NODE } : {}),
    },
    ...(ahead ? { overrides: { "@pulumi/pulumi": { typescript: "$typescript" } } } : {}),
  };
}

/** Under other names, so that all three can be there. */
function typesManifest(): ProjectManifest {
  const compilers = Object.entries(TYPESCRIPTS).map(([major, version]) => [
    `typescript-${major}`,
    `npm:typescript@${version}`,
  ]);
  return {
    dependencies: { "@pulumi/pulumi": "3.248.0" },
    devDependencies: { ...Object.fromEntries(compilers), "@types/node": NODE_TYPES },
  };
}

/** What examples/restore-attach needs besides. */
function openstackManifest(): ProjectManifest {
  return {
    dependencies: { "@pulumi/pulumi": "3.248.0", "@pulumi/openstack": OPENSTACK },
    devDependencies: { typescript: TYPESCRIPTS[6], "@types/node": NODE_TYPES },
  };
}

/** A project with the packed package among its dependencies. */
function project(
  name: string,
  manager: "npm" | "pnpm",
  wanted: ProjectManifest,
  tarball: string,
  ours: Manifest,
): Promise<Had> {
  const manifest = {
    private: true,
    ...wanted,
    dependencies: { ...wanted.dependencies, "pulumi-snapclone": `file:${tarball}` },
  };
  // As strict as pnpm gets: a package finds its own dependencies and nothing else. The build script belongs to a
  // dependency of Pulumi's and only prints; pnpm wants it to be decided upon.
  const settings = { "pnpm-workspace.yaml": "hoist: false\nallowBuilds:\n  protobufjs: false\n" };
  const files = { "package.json": JSON.stringify(manifest), ...(manager === "pnpm" ? settings : {}) };
  return installedFolder(name, manager, { wanted, ...ours }, files);
}

function folderName(name: string): string {
  return `layout-${name.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`;
}

async function twoAtATime(jobs: readonly (() => Promise<void>)[]): Promise<void> {
  const queue = [...jobs];
  const workers = Array.from({ length: Math.min(2, os.availableParallelism()) }, async () => {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) await job();
  });
  await Promise.all(workers);
}

function distinct<T>(all: readonly T[]): T[] {
  return [...new Map(all.map((one) => [JSON.stringify(one), one])).values()];
}
