// Where programs live: each layout of layouts.ts with the packed package, from `up` to `destroy`; or the one sentence of the
// constructor where Pulumi's provider process can't find the package.

import * as fs from "node:fs";
import * as path from "node:path";
import { type Emulator, startEmulator } from "../../emulator";
import { LAYOUTS, type Layout, managerOf } from "./layouts";
import {
  installed,
  prepared,
  repository,
  testWith,
  type Workplace,
  type WorkplaceOptions,
  workplace,
} from "./prepared";
import type { Had } from "./setup";

/** With Pulumi in it, a bundle fails on files of Pulumi's own that esbuild does not see. */
const EXTERNAL = "--external:@pulumi/pulumi";

let emulator: Emulator;
let place: Workplace | undefined;

beforeAll(async () => {
  emulator = await startEmulator({ timings: { snapshotCreate: 100, snapshotDelete: 50 } });
});

afterEach(() => {
  place?.close();
  place = undefined;
  emulator.reset();
});

afterAll(() => emulator.close());

for (const layout of LAYOUTS) {
  const needs = [prepared.engine, installed(layout.name), ...toolOf(layout)];
  testWith(`${layout.name}: ${layout.outcome}`, needs, async (enginePath = "", folder = "", tool = "") => {
    const started = start(layout, { enginePath, folder, tool });
    if (layout.start === "esbuild") await bundle(started, [EXTERNAL]);
    await started.pulumi(["stack", "init"]);
    if (layout.outcome === "works") await wholeLife(started);
    else
      await expectMissingPackage(layout, started, folder, layout.start === "yarn exec" ? ["node", tool, "exec"] : []);
  });
}

const bundleLayout = LAYOUTS.find((layout) => layout.start === "esbuild") as Layout;
const bundled = installed(bundleLayout.name);
/** In the folder of the bundle, and in rows of their own on the page. */
const BUNDLES = [
  ["a bundle as an ES module, with `createRequire` in a banner", "npm", "works"],
  ["a bundle alone, without the package", "npm", "told"],
] as const;

testWith(BUNDLES[0].join(", "), [prepared.engine, bundled], async (enginePath = "", folder = "") => {
  const started = start(bundleLayout, { enginePath, folder, tool: "" });
  const manifest = path.join(folder, "package.json");
  const before = fs.readFileSync(manifest, "utf8");
  const banner = "import{createRequire}from'node:module';const require=createRequire(import.meta.url);";
  await bundle(started, [EXTERNAL, "--format=esm", `--banner:js=${banner}`]);
  fs.writeFileSync(manifest, JSON.stringify({ ...JSON.parse(before), type: "module" }));
  try {
    await started.pulumi(["stack", "init"]);
    await wholeLife(started);
  } finally {
    fs.writeFileSync(manifest, before);
  }
});

testWith(BUNDLES[1].join(", "), [prepared.engine, bundled], async (enginePath = "", folder = "") => {
  const started = start(bundleLayout, { enginePath, folder, tool: "" });
  await bundle(started, [EXTERNAL]);
  const own = path.join(folder, "node_modules", "pulumi-snapclone");
  fs.renameSync(own, `${own}.away`);
  try {
    await started.pulumi(["stack", "init"]);
    await expectMissingPackage(bundleLayout, started, folder, []);
  } finally {
    fs.renameSync(`${own}.away`, own);
  }
});

test("docs/compatibility.md shows these layouts and no others", () => {
  const text = fs.readFileSync(path.join(repository, "docs", "compatibility.md"), "utf8");
  const section = text.split("\n## Where programs live\n")[1]?.split("\n## ")[0] ?? "";
  const rows = section.split("\n").flatMap((line) => (line.startsWith("|") ? [cellsOf(line)] : []));
  const wanted = LAYOUTS.map((layout) => [layout.name, managerOf(layout), layout.outcome]);
  expect(rows.slice(2)).toEqual([...wanted, ...BUNDLES]);
});

interface Found {
  enginePath: string;
  folder: string;
  tool: string;
}

function toolOf({ start }: Layout): Had[] {
  if (start === "yarn exec") return [prepared.yarn];
  return start === "bun runtime" ? [prepared.bun] : [];
}

function start(layout: Layout, { enginePath, folder, tool }: Found): Workplace {
  const options: WorkplaceOptions = {
    folder,
    cwd: path.join(folder, layout.program),
    enginePath: layout.start === "bun runtime" ? bunHost(folder, enginePath, tool) : enginePath,
    files: {},
    keep: true,
    before: layout.start === "yarn exec" ? ["node", tool, "exec"] : [],
    env: emulator.openstack.env(),
  };
  place = workplace(options);
  return place;
}

/** The vendor's `pulumi-language-bun` is not in the Go module proxy: the repository's language host, run by Bun, is one. */
function bunHost(folder: string, enginePath: string, bun: string): string {
  const bin = path.join(folder, "host");
  fs.mkdirSync(bin, { recursive: true });
  const host = JSON.stringify(path.join(repository, "dist", "tools", "engine", "languageHost.js"));
  const text = `#!${bun}\nrequire(${host}).serve(${JSON.stringify(folder)}, "nodejs");\n`;
  fs.writeFileSync(path.join(bin, "pulumi-language-bun"), text, { mode: 0o755 });
  return [bin, enginePath].join(path.delimiter);
}

async function bundle(started: Workplace, args: readonly string[]): Promise<void> {
  const esbuild = path.join("node_modules", "esbuild", "bin", "esbuild");
  await started.ok("node", [esbuild, "program.js", "--bundle", "--platform=node", "--outfile=bundle.js", ...args]);
}

async function wholeLife(started: Workplace): Promise<void> {
  const up = await started.pulumi(["up", "--yes", "--skip-preview"]);
  expect(up.output).toContain("+ 2 created");
  expect([...emulator.cinder.snapshots.values()].map(({ name, status }) => ({ name, status }))).toEqual([
    { name: "nightly", status: "available" },
  ]);
  await started.pulumi(["destroy", "--yes", "--skip-preview"]);
  emulator.cinder.advance();
  expect(emulator.cinder.snapshots.size).toBe(0);
}

async function expectMissingPackage(
  layout: Layout,
  started: Workplace,
  folder: string,
  before: readonly string[],
): Promise<void> {
  const [command = "", ...args] = [
    ...before,
    "pulumi",
    "preview",
    "--stack",
    "dev",
    "--non-interactive",
    "--color",
    "never",
  ];
  const ran = await started.tried(command, args);
  expect(ran.ok).toBe(false);
  const [, diagnostics = ""] = ran.output.split("\nDiagnostics:\n");
  const sentence = `looks for this package in ${path.join(folder, layout.program)} and the folders above, and it is not there`;
  expect(diagnostics.split(sentence)).toHaveLength(2);
  expect(diagnostics).toContain("npm install pulumi-snapclone");
  expect(ran.output).not.toMatch(/^\s+at |Cannot find module|MODULE_NOT_FOUND/m);
}

function cellsOf(line: string): string[] {
  return line
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());
}
