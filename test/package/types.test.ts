// A program that uses every export compiles with each supported TypeScript and module resolution, as CommonJS and as ESM, under
// settings as strict as they get; and it does use every export.

import * as fs from "node:fs";
import * as path from "node:path";
import ts from "typescript";
import { run } from "../../tools/engine/processes";
import { TYPESCRIPTS } from "./combinations";
import { installed, repository, testWith } from "./prepared";

const FOLDER = path.join(__dirname, "programs");
const PROGRAMS = [
  "everyEmulatorExport.ts",
  "everyNativeExport.ts",
  ...fs.readdirSync(path.join(FOLDER, "exports")).map((name) => path.join("exports", name)),
];
/** `skipLibCheck` off: our declarations, and all that they lead to, are right by themselves. */
const SETTINGS = [
  { type: "commonjs", module: "node16", moduleResolution: "node16", skipLibCheck: true },
  { type: "module", module: "nodenext", moduleResolution: "nodenext", skipLibCheck: false },
  { type: "module", module: "esnext", moduleResolution: "bundler", skipLibCheck: true },
];

for (const [major, version] of Object.entries(TYPESCRIPTS)) {
  testWith(
    `TypeScript ${version}: node16, nodenext, bundler, as CommonJS and ESM`,
    [installed("types")],
    async (base) => {
      const compiler = path.join(base ?? "", "node_modules", `typescript-${major}`, "bin", "tsc");
      for (const { type, ...settings } of SETTINGS) {
        const options = { target: "es2022", lib: ["es2023"], types: ["node"], ...STRICT, ...settings };
        await compiles(compiler, inside(base ?? "", `ts${major}`, type), options, PROGRAMS);
      }
    },
  );
}

testWith(
  `TypeScript ${TYPESCRIPTS[5]} as \`pulumi new typescript\` sets it up: module commonjs`,
  [installed("types")],
  async (base) => {
    // Without `exports`, by package.json's `main`, `types` and `typesVersions`. TypeScript 6 warns of it, 7 is without it.
    const compiler = path.join(base ?? "", "node_modules", "typescript-5", "bin", "tsc");
    const options = {
      target: "es2020",
      module: "commonjs",
      moduleResolution: "node",
      strict: true,
      skipLibCheck: true,
    };
    await compiles(compiler, inside(base ?? "", "node10", "commonjs"), options, PROGRAMS);
  },
);

test("the programs use every export", () => {
  const { exports } = JSON.parse(fs.readFileSync(path.join(repository, "package.json"), "utf8")) as {
    exports: Record<string, string | { types: string }>;
  };
  const text = PROGRAMS.map((name) => fs.readFileSync(path.join(FOLDER, name), "utf8")).join("\n");
  const used = new Set(text.match(/\w+/g));
  for (const entry of Object.values(exports)) {
    if (typeof entry === "string") continue;
    const names = exportsOf(path.join(repository, entry.types));
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => !used.has(name))).toEqual([]);
  }
});

const STRICT = {
  strict: true,
  noEmit: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  noImplicitOverride: true,
  isolatedModules: true,
};

async function compiles(
  compiler: string,
  folder: string,
  compilerOptions: Record<string, unknown>,
  files: readonly string[],
): Promise<void> {
  fs.writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
  const ran = await run(process.execPath, [compiler, "-p", folder, "--noEmit"], {
    cwd: folder,
    env: process.env,
    timeoutMs: 120_000,
  });
  if (!ran.ok) throw new Error(`${path.basename(folder)} ${JSON.stringify(compilerOptions)}\n${ran.output}`);
}

/** A folder of the project that has the package installed, so that the compilers find it upwards. */
function inside(base: string, name: string, type: string): string {
  const folder = path.join(base, "programs", `${name}-${type}`);
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(path.join(folder, "exports"), { recursive: true });
  fs.writeFileSync(path.join(folder, "package.json"), JSON.stringify({ private: true, type }));
  for (const program of PROGRAMS) {
    fs.copyFileSync(path.join(FOLDER, program), path.join(folder, program));
  }
  return folder;
}

function exportsOf(declarations: string): string[] {
  const program = ts.createProgram([declarations], { module: ts.ModuleKind.Node16, skipLibCheck: true });
  const checker = program.getTypeChecker();
  const file = program.getSourceFile(declarations);
  const symbol = file && checker.getSymbolAtLocation(file);
  if (symbol === undefined) return [];
  // `export =` (dynamic/v1) names a constant: the package's names are its properties.
  const whole = symbol.exports?.get(ts.InternalSymbolName.ExportEquals);
  const all = whole
    ? checker.getPropertiesOfType(checker.getTypeOfSymbol(checker.getAliasedSymbol(whole)))
    : checker.getExportsOfModule(symbol);
  return all.map(({ name }) => name);
}
