// Runs once before the tests of this folder: packs the package and installs it, with all that the tests need, in
// folders outside the repository. What can't be had here (a registry that doesn't answer, no Node for this platform) is
// noted with the reason, and the tests that need it are skipped.

import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { resolveEngine } from "../../tools/engine";
import { cacheFolder, publish, temporaryBeside } from "../../tools/engine/cache";
import { withLock } from "../../tools/engine/lock";
import { run } from "../../tools/engine/processes";
import {
  COMBINATIONS,
  type Installation,
  NODE_TYPES,
  nameOfInstallation,
  OPENSTACK,
  PNPM,
  TOOLS,
  TS_NODE,
  TYPESCRIPTS,
} from "./combinations";

/** A path, or why there is none. */
export type Had = { path: string } | { missing: string };

export interface Prepared {
  engine: Had;
  tarball: { path: string; bytes: number; unpackedBytes: number; files: string[] };
  /** By version: the folder of the binary. */
  nodes: Record<string, Had>;
  /** By name of the installation, and `types`, `tools`: the folder that holds `node_modules`. */
  projects: Record<string, Had>;
}

const repository = path.resolve(__dirname, "..", "..");
const cache = path.join(cacheFolder(process.env), "package");
const TIMEOUT_MS = 300_000;

interface Manifest {
  dependencies: Record<string, string>;
  peerDependencies: Record<string, string>;
}

export default async function setup(): Promise<void> {
  fs.mkdirSync(cache, { recursive: true });
  await withLock(
    path.join(cache, "setup.lock"),
    (pid) => say(`waiting for process ${pid}, which prepares the same`),
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
  const wanted = distinct(COMBINATIONS.map(({ installed }) => installed));
  const manifest = JSON.parse(fs.readFileSync(path.join(repository, "package.json"), "utf8")) as Manifest;

  const nodes: Record<string, Had> = {};
  const projects: Record<string, Had> = {};
  const pnpm = await npmFolder(`pnpm-${PNPM}`, { pnpm: PNPM });
  const jobs = [
    ...distinct(COMBINATIONS.map(({ node }) => node)).map((version) => async () => {
      nodes[version] = await nodeBinary(version);
    }),
    ...wanted.map((installation) => async () => {
      const name = nameOfInstallation(installation);
      projects[name] =
        installation.manager === "npm"
          ? await npmProject(name, projectManifest(installation), tarball.path, manifest)
          : await pnpmProject(name, projectManifest(installation), tarball.path, manifest, pnpm);
    }),
    async () => {
      projects.types = await npmProject("types", typesManifest(), tarball.path, manifest);
    },
    async () => {
      projects.openstack = await npmProject("openstack", openstackManifest(), tarball.path, manifest);
    },
    async () => {
      projects.tools = await npmFolder("tools", { ...TOOLS, typescript: TYPESCRIPTS[6], "@types/node": NODE_TYPES });
    },
  ];
  await twoAtATime(jobs);
  return {
    engine: engine.kind === "none" ? { missing: engine.reason } : { path: engine.path },
    tarball,
    nodes,
    projects,
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

async function npmProject(name: string, wanted: ProjectManifest, tarball: string, ours: Manifest): Promise<Had> {
  return project(name, wanted, tarball, ours, (folder) =>
    npm(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"], folder),
  );
}

async function pnpmProject(
  name: string,
  wanted: ProjectManifest,
  tarball: string,
  ours: Manifest,
  pnpm: Had,
): Promise<Had> {
  if ("missing" in pnpm) return pnpm;
  const executable = path.join(pnpm.path, "node_modules", ".bin", "pnpm");
  return project(name, wanted, tarball, ours, (folder) => {
    // As strict as pnpm gets: a package finds its own dependencies and nothing else. The build script belongs to a
    // dependency of Pulumi's and only prints; pnpm wants it to be decided upon.
    const settings = "hoist: false\nallowBuilds:\n  protobufjs: false\n";
    fs.writeFileSync(path.join(folder, "pnpm-workspace.yaml"), settings);
    const args = ["install", "--no-frozen-lockfile", "--store-dir", path.join(cache, "pnpm-store")];
    return run(executable, args, { cwd: folder, env: cleanEnvironment(), timeoutMs: TIMEOUT_MS });
  });
}

/**
 * A project with the packed package among its dependencies. A folder is made anew when what is to be installed has
 * changed, and only gets the other tarball when the package's code has.
 */
async function project(
  name: string,
  wanted: ProjectManifest,
  tarball: string,
  ours: Manifest,
  install: (folder: string) => Promise<{ ok: boolean; output: string; problem: string }>,
): Promise<Had> {
  const asked = { wanted, dependencies: ours.dependencies, peerDependencies: ours.peerDependencies };
  const folder = path.join(cache, `${name}-${hash(JSON.stringify(asked))}`);
  const file = path.join(folder, "package.json");
  const text = JSON.stringify({
    private: true,
    ...wanted,
    dependencies: { ...wanted.dependencies, "pulumi-snapclone": `file:${tarball}` },
  });
  const done = path.join(folder, "installed.json");
  if (fs.existsSync(done) && fs.readFileSync(done, "utf8") === text) return used(folder);
  say(`installing ${name}`);
  fs.mkdirSync(folder, { recursive: true });
  fs.rmSync(done, { force: true });
  fs.writeFileSync(file, text);
  const ran = await install(folder);
  if (ran.ok) {
    fs.writeFileSync(done, text);
    return { path: folder };
  }
  return missingOrFail(`installing ${name}`, ran);
}

/** Exact versions of foreign packages, installed by npm. */
async function npmFolder(name: string, dependencies: Record<string, string>): Promise<Had> {
  const text = JSON.stringify({ private: true, dependencies });
  const folder = path.join(cache, `${name}-${hash(text)}`);
  if (fs.existsSync(folder)) return used(folder);
  say(`installing ${name}`);
  const temporary = temporaryBeside(folder);
  fs.writeFileSync(path.join(temporary, "package.json"), text);
  const args = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"];
  const ran = await npm(args, temporary);
  if (ran.ok) {
    publish(temporary, folder);
    return { path: folder };
  }
  fs.rmSync(temporary, { recursive: true, force: true });
  return missingOrFail(`installing ${name}`, ran);
}

/** What isn't the package's fault: nobody answers, or there is no such binary for this platform. */
function missingOrFail(what: string, ran: { output: string; problem: string }): Had {
  const unreachable =
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT|EBADPLATFORM|E404|E429|E50\d|ERR_PNPM_(?:META_)?FETCH|took longer than/;
  if (!unreachable.test(`${ran.output} ${ran.problem}`)) throw new Error(`${what}: ${ran.problem}\n${ran.output}`);
  const reason = ran.output.split("\n").find((line) => unreachable.test(line)) ?? ran.problem;
  say(`${what} failed: ${reason}`);
  return { missing: `${what}: ${reason.trim()}` };
}

const UNUSED_AFTER_MS = 7 * 24 * 3600 * 1000;

/** What no run has asked for in a week: older versions, tarballs of older builds. */
function removeUnused(): void {
  for (const name of fs.readdirSync(cache)) {
    const file = path.join(cache, name);
    if (name === "pnpm-store" || Date.now() - fs.statSync(file).mtimeMs < UNUSED_AFTER_MS) continue;
    fs.rmSync(file, { recursive: true, force: true });
  }
}

/** Says that it is in use. */
function used(folder: string): Had {
  fs.utimesSync(folder, new Date(), new Date());
  return { path: folder };
}

function npm(args: readonly string[], cwd: string) {
  return run("npm", args, { cwd, env: cleanEnvironment(), timeoutMs: TIMEOUT_MS });
}

/** Nothing of the npm that has started this run: it tells where *its* project is. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^(npm_|NODE_OPTIONS$|JEST_)/.test(key)));
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

function hash(content: string | Buffer): string {
  return createHash("sha256").update(content).digest("hex").slice(0, 12);
}

function say(text: string): void {
  process.stderr.write(`── package: ${text}\n`);
}
