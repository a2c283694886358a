// Where programs live: folders, package managers and runtimes other than one folder with npm or pnpm (those are in
// combinations.ts). docs/compatibility.md shows this list to users.

import { BUN, ESBUILD, PNPM, PULUMIS, TSX, YARN, YARN_CLASSIC } from "./combinations";
import type { Manager } from "./installs";

export interface Layout {
  name: string;
  manager: Manager;
  /** Below the layout's folder. */
  program: string;
  /** `told`: the constructor says in one sentence what to install where, before anything is planned. */
  outcome: "works" | "told";
  /** How it is started, where not by plain `pulumi` with Node. */
  start?: "yarn exec" | "bun runtime" | "esbuild";
  files(tarball: string): Record<string, string>;
}

const SNAPSHOT = '{ volumeId: "11111111-1111-4111-8111-111111111111", name: "nightly" }';
/** A lookup, too: its code is loaded on its first use. */
const PROGRAM = `const { listSnapshotsOutput, Snapshot } = require("pulumi-snapclone");
const nightly = new Snapshot("nightly", ${SNAPSHOT});
exports.id = nightly.id;
exports.listed = listSnapshotsOutput({ name: nightly.name }).apply((all) => all.map(({ id }) => id));
`;
const PNP = { ".yarnrc.yml": "nodeLinker: pnp\n" };
const NODE_MODULES = { ".yarnrc.yml": "nodeLinker: node-modules\n" };
const HOISTED = "workspaces, the package a dependency of a library";

export const LAYOUTS: readonly Layout[] = [
  single("one folder, Yarn 1", "yarn 1"),
  single("one folder, Yarn 4 with `nodeLinker: node-modules`", "yarn 4", NODE_MODULES),
  single("one folder, Yarn 4 with `nodeLinker: pnpm`", "yarn 4", { ".yarnrc.yml": "nodeLinker: pnpm\n" }),
  { ...single("one folder, Yarn 4 Plug'n'Play, `yarn exec pulumi`", "yarn 4", PNP), start: "yarn exec" },
  single("one folder, Bun as the package manager", "bun"),
  {
    ...single("one folder, Bun as Pulumi's runtime", "bun", { "Pulumi.yaml": json({ name: "tried", runtime: "bun" }) }),
    start: "bun runtime",
  },
  workspaces(`${HOISTED}, npm`, "npm", "works"),
  workspaces(`${HOISTED}, Yarn 1`, "yarn 1", "works"),
  workspaces(`${HOISTED}, Yarn 4 with \`nodeLinker: node-modules\``, "yarn 4", "works", NODE_MODULES),
  { ...workspaces(`${HOISTED}, Yarn 4 Plug'n'Play`, "yarn 4", "told", PNP), start: "yarn exec" },
  workspaces(`${HOISTED}, pnpm`, "pnpm", "told", {
    "pnpm-workspace.yaml": "packages: [library, app]\nallowBuilds:\n  protobufjs: false\n",
  }),
  workspaces(`${HOISTED}, Bun`, "bun", "told"),
  {
    name: "a folder of its own (`main: infra/`), the package installed there",
    manager: "npm",
    program: ".",
    outcome: "works",
    files: (tarball) => ({
      "package.json": manifest(dependencies(tarball)),
      "Pulumi.yaml": project({ main: "infra/" }),
      "infra/package.json": json({ private: true, main: "index.js" }),
      "infra/index.js": PROGRAM,
    }),
  },
  {
    name: `TypeScript by tsx ${TSX} (\`nodeargs: --import tsx\`)`,
    manager: "npm",
    program: ".",
    outcome: "works",
    files: (tarball) => ({
      "package.json": manifest({ ...dependencies(tarball), tsx: TSX }, { main: "index.ts" }),
      "Pulumi.yaml": json({
        name: "tried",
        runtime: { name: "nodejs", options: { typescript: false, nodeargs: "--import tsx" } },
      }),
      "index.ts": `import { Snapshot, type SnapshotArgs } from "pulumi-snapclone";
const args: SnapshotArgs = ${SNAPSHOT};
enum Kind { Nightly = "nightly" }
export const id = new Snapshot(Kind.Nightly, args).id;
`,
    }),
  },
  {
    name: `a bundle by esbuild ${ESBUILD}, the package installed beside it`,
    manager: "npm",
    program: ".",
    outcome: "works",
    start: "esbuild",
    files: (tarball) => ({
      "package.json": manifest({ ...dependencies(tarball), esbuild: ESBUILD }, { main: "bundle.js" }),
      "Pulumi.yaml": project(),
      "program.js": PROGRAM,
    }),
  },
];

/** What the page shows beside the name. */
export function managerOf({ manager }: Layout): string {
  const versions: Record<Manager, string> = {
    npm: "npm",
    pnpm: `pnpm ${PNPM}`,
    "yarn 1": `yarn ${YARN_CLASSIC}`,
    "yarn 4": `yarn ${YARN}`,
    bun: `bun ${BUN}`,
  };
  return versions[manager];
}

function single(name: string, manager: Manager, more: Record<string, string> = {}): Layout {
  return {
    name,
    manager,
    program: ".",
    outcome: "works",
    files: (tarball) => ({
      "package.json": manifest(dependencies(tarball)),
      "Pulumi.yaml": project(),
      "index.js": PROGRAM,
      ...more,
    }),
  };
}

function workspaces(
  name: string,
  manager: Manager,
  outcome: Layout["outcome"],
  more: Record<string, string> = {},
): Layout {
  const library = manager === "pnpm" || manager === "yarn 4" || manager === "bun" ? "workspace:*" : "*";
  return {
    name,
    manager,
    program: "app",
    outcome,
    files: (tarball) => ({
      ...more,
      "package.json": json({ private: true, name: "root", workspaces: ["library", "app"] }),
      "library/package.json": json({
        name: "library",
        version: "1.0.0",
        main: "index.js",
        dependencies: dependencies(tarball),
      }),
      "library/index.js": `exports.nightly = () => new (require("pulumi-snapclone").Snapshot)("nightly", ${SNAPSHOT});\n`,
      "app/package.json": json({
        name: "app",
        version: "1.0.0",
        main: "index.js",
        dependencies: { library, "@pulumi/pulumi": PULUMIS.forNode20 },
      }),
      "app/Pulumi.yaml": project(),
      "app/index.js": 'exports.id = require("library").nightly().id;\n',
    }),
  };
}

function dependencies(tarball: string): Record<string, string> {
  return { "@pulumi/pulumi": PULUMIS.forNode20, "pulumi-snapclone": `file:${tarball}` };
}

function manifest(wanted: Record<string, string>, more: Record<string, unknown> = {}): string {
  return json({ private: true, main: "index.js", dependencies: wanted, ...more });
}

function project(more: Record<string, unknown> = {}): string {
  return json({ name: "tried", runtime: { name: "nodejs", options: { typescript: false } }, ...more });
}

function json(value: unknown): string {
  return JSON.stringify(value, null, 2);
}
