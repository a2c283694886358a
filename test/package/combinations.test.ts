// The packed package, installed in an empty project, from the first `up` to `destroy` on the emulator: once for each row
// of the table in combinations.ts.

import * as fs from "node:fs";
import * as path from "node:path";
import { type Emulator, startEmulator } from "../../emulator";
import { COMBINATIONS, type Combination, nameOf, nameOfInstallation } from "./combinations";
import { installed, nodeFolder, prepared, repository, testWith, type Workplace, workplace } from "./prepared";

let emulator: Emulator;
const seconds = new Map<string, number>();

beforeAll(async () => {
  // Long enough for the wait to say something, which is how one sees that the provider has found the engine.
  emulator = await startEmulator({ timings: { snapshotCreate: 700, snapshotDelete: 100 } });
});

// What a row that failed has left is not the next one's.
beforeEach(() => emulator.reset());

afterAll(async () => {
  await emulator.close();
  const lines = [...seconds].map(([name, taken]) => `  ${taken.toFixed(1).padStart(5)} s  ${name}`);
  process.stderr.write(`\nCombinations:\n${lines.join("\n")}\n\n`);
});

for (const combination of COMBINATIONS) {
  const name = nameOf(combination);
  const needs = [prepared.engine, installed(nameOfInstallation(combination.installed)), nodeFolder(combination.node)];
  testWith(name, needs, async (enginePath = "", folder = "", nodePath = "") => {
    const started = Date.now();
    const files = filesOf(combination);
    const project = workplace({ folder, enginePath, nodePath, files, env: emulator.openstack.env() });
    try {
      if (combination.run === "compiled") await project.ok("node", ["node_modules/typescript/bin/tsc", "-p", "."]);
      await entriesLoad(project);
      await wholeLife(project, combination);
    } finally {
      project.close();
      seconds.set(name, (Date.now() - started) / 1000);
    }
  });
}

test("docs/compatibility.md shows these combinations", () => {
  const text = fs.readFileSync(path.join(repository, "docs", "compatibility.md"), "utf8");
  const rows = text.split("\n").map((line) => line.split("|").map((cell) => cell.trim()));
  for (const {
    node,
    installed: { manager, pulumi, typescript = "" },
    modules,
  } of COMBINATIONS) {
    const wanted = ["", node, manager, pulumi, typescript, modules];
    expect(rows.map((row) => row.slice(0, wanted.length))).toContainEqual(wanted);
  }
});

async function wholeLife(project: Workplace, { node }: Combination): Promise<void> {
  const rows = () => {
    emulator.cinder.advance();
    return [...emulator.cinder.snapshots.values()];
  };
  await project.pulumi(["stack", "init"]);

  const up = await project.pulumi(["up", "--yes", "--skip-preview"]);
  const [row, ...others] = rows();
  expect(others).toEqual([]);
  expect(row).toMatchObject({ status: "available", metadata: { keep: "7" } });
  const { deployment } = await project.exported();
  const stack = deployment.resources?.find(({ type }) => type === "pulumi:pulumi:Stack");
  expect(stack?.outputs).toEqual({ id: row?.id, status: "available", listed: [row?.id], node: `v${node}` });
  // Progress reaches the terminal only if Pulumi's internals were found where this package manager puts them.
  expect(up.events.some(({ diagnosticEvent }) => diagnosticEvent?.ephemeral === true)).toBe(true);
  expect(complaints(up.output)).toEqual([]);

  // The types have been checked by `up`.
  await project.pulumi(["preview", "--expect-no-changes"], { PULUMI_NODEJS_TRANSPILE_ONLY: "true" });
  await project.pulumi(["destroy", "--yes", "--skip-preview"]);
  expect(rows()).toEqual([]);
}

/**
 * Each entry point by `require` and by `import`, with the names that an ES module sees. States load `dynamic/v1` by
 * `require`; an ES module sees its names on the default export.
 */
async function entriesLoad(project: Workplace): Promise<void> {
  const script = `
    const assert = require("node:assert");
    const expected = { "pulumi-snapclone": "Snapshot", "pulumi-snapclone/emulator": "startEmulator", "pulumi-snapclone/dynamic/v1": "snapshot", "pulumi-snapclone/native": "Snapshot" };
    (async () => {
      for (const [entry, name] of Object.entries(expected)) {
        const required = require(entry);
        const imported = await import(entry);
        assert.ok(required[name], entry + " has no " + name);
        const seen = entry.endsWith("/dynamic/v1") ? imported.default : imported;
        for (const key of Object.keys(required)) assert.strictEqual(seen[key], required[key], entry + ": " + key);
      }
      const { url, close } = await require("pulumi-snapclone/emulator").startEmulator();
      assert.strictEqual((await fetch(url + "/_emulator/state")).status, 200);
      await close();
      const own = require.resolve("pulumi-snapclone/package.json");
      assert.ok(own.startsWith(process.cwd()), own);
    })().then(() => process.exit(0));`;
  fs.writeFileSync(path.join(project.folder, "entries.cjs"), script);
  await project.ok("node", ["entries.cjs"]);
}

/** Lines of Node's and Pulumi's that a user would ask about. The one left out is ts-node 10.9.2's, on Node 22 and ESM. */
function complaints(output: string): string[] {
  const tsNodes = /\[DEP0180\]|--trace-deprecation/;
  return output.split("\n").filter((line) => /deprecat|experimental|warning/i.test(line) && !tsNodes.test(line));
}

function filesOf({ modules, run }: Combination): Record<string, string> {
  const type = modules === "ESM" ? { type: "module" } : {};
  const project = (main: string, withTypeScript: boolean) => ({
    "package.json": json({ private: true, main, ...type }),
    "Pulumi.yaml": json({ name: "tried", runtime: { name: "nodejs", options: { typescript: withTypeScript } } }),
  });
  if (run === "JavaScript") {
    return { ...project("index.js", false), "index.js": program(modules === "ESM" ? "program.mjs" : "program.cjs") };
  }
  const source = { "index.ts": program("program.ts"), "tsconfig.json": TSCONFIG };
  if (run === "node") return { ...project("index.ts", false), ...source };
  if (run === "compiled") return { ...project("bin/index.js", false), ...source };
  return { ...project("index.ts", true), ...source };
}

/** One that all three versions of TypeScript take. */
const TSCONFIG = json({
  compilerOptions: {
    target: "es2022",
    module: "nodenext",
    moduleResolution: "nodenext",
    types: ["node"],
    strict: true,
    skipLibCheck: true,
    rootDir: ".",
    outDir: "bin",
  },
  files: ["index.ts"],
});

function program(name: string): string {
  return fs.readFileSync(path.join(__dirname, "programs", name), "utf8");
}

function json(value: unknown): string {
  return JSON.stringify(value, null, 2);
}
