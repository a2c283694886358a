// The programs of examples/native, one of each resource, as one program in each language.

import { type ExecFileSyncOptions, execFileSync } from "node:child_process";
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parse } from "yaml";
import { goModule } from "../../../tools/docs/languages";
import { executablesOnPath } from "../../../tools/engine/onPath";
import { type Program, pythonFolder, yamlHostFolder } from "../harness";

const repository = path.resolve(__dirname, "..", "..", "..");
const EXAMPLES = path.join(repository, "examples", "native");
/** The program of the same names in each language. */
const EXAMPLE_NAMES = readdirSync(EXAMPLES).flatMap((name) => (name.endsWith(".ts") ? [name.slice(0, -3)] : []));

export interface LanguageRun {
  program: Program;
  env: NodeJS.ProcessEnv;
  /** Folders that go first in PATH. */
  path: string[];
}

/** A language in which the tests can run, or what is missing. `folder` is removed after the test. */
type Language = { prepare: (folder: string) => LanguageRun } | { missing: string };

export const LANGUAGES = { TypeScript, YAML, Python, Go } satisfies Record<string, () => Language>;

function TypeScript(): Language {
  const files = Object.fromEntries(EXAMPLE_NAMES.map((name) => [`${name}.ts`, example(name, "ts")]));
  files["index.ts"] = EXAMPLE_NAMES.map((name) => `export * from "./${name}";\n`).join("");
  files["package.json"] = JSON.stringify({ private: true, main: "index.ts" });
  // `npm run typecheck` has checked the types.
  const env = { PULUMI_NODEJS_TRANSPILE_ONLY: "true" };
  return { prepare: () => ({ program: { files, runtime: { name: "nodejs", options: {} } }, env, path: [] }) };
}

function YAML(): Language {
  const host = yamlHostFolder();
  if (host === undefined) return { missing: "host for YAML programs" };
  const yaml: Record<string, unknown> = {};
  for (const section of ["config", "resources", "variables", "outputs"]) {
    yaml[section] = Object.assign({}, ...EXAMPLE_NAMES.map((name) => parse(example(name, "yaml"))[section] ?? {}));
  }
  return { prepare: () => ({ program: { yaml }, env: {}, path: [host] }) };
}

function Python(): Language {
  const virtualenv = pythonFolder();
  if (virtualenv === undefined) return { missing: "virtual environment (python3, PyPI, or the runner of programs)" };
  const files = Object.fromEntries(EXAMPLE_NAMES.map((name) => [`${moduleName(name)}.py`, example(name, "py")]));
  files["__main__.py"] = EXAMPLE_NAMES.map((name) => `import ${moduleName(name)}\n`).join("");
  const program = { files, runtime: { name: "python", options: { virtualenv } } };
  const prepare = (folder: string): LanguageRun => {
    // A copy, as the build leaves files in the sources.
    const sources = path.join(folder, "sources");
    cpSync(path.join(repository, "sdk", "python"), sources, { recursive: true });
    const packages = path.join(folder, "packages");
    // Without the network: the virtual environment has what pyproject.toml asks for.
    const offline = ["--no-index", "--no-deps", "--no-build-isolation", "--quiet"];
    run(path.join(virtualenv, "bin", "python"), ["-m", "pip", "install", ...offline, "--target", packages, sources]);
    const env = { PYTHONPATH: packages, PYTHONDONTWRITEBYTECODE: "1" };
    return { program, env, path: [path.join(virtualenv, "bin")] };
  };
  return { prepare };
}

/** Each program's function `main` becomes a function of its own. Nothing else of the files changes. */
function Go(): Language {
  if (executablesOnPath("go", process.env).length === 0) return { missing: "`go` on PATH" };
  const files = Object.fromEntries(
    EXAMPLE_NAMES.map((name) => {
      const begun = replaced(
        example(name, "go"),
        "func main() {\n\tpulumi.Run(",
        `var ${goName(name)} = pulumi.RunFunc(`,
      );
      return [`${name}.go`, replaced(begun, "\n\t})\n}\n", "\n\t})\n")];
    }),
  );
  const all = { ...files, "main.go": goMain(), "go.mod": goModFile() };
  const prepare = (folder: string): LanguageRun => {
    for (const [name, text] of Object.entries(all)) writeFileSync(path.join(folder, name), text);
    // As the engine is compiled, so that both share what Go has compiled.
    const settings = { GOWORK: "off", GOTOOLCHAIN: "local", CGO_ENABLED: "0" };
    const options = { cwd: folder, env: { ...process.env, ...settings, GOFLAGS: "-mod=mod" } };
    run("go", ["mod", "tidy"], options);
    // Compiles Pulumi's SDK, which takes a minute once.
    run("go", ["build", "-o", path.join(folder, "program"), "."], options);
    const modules = ["go.mod", "go.sum"].map((name) => [name, readFileSync(path.join(folder, name), "utf8")]);
    const keys = ["GOPATH", "GOCACHE", "GOMODCACHE", "GOPROXY"];
    const values = run("go", ["env", ...keys], options).split("\n");
    const env = Object.fromEntries(keys.map((key, index) => [key, values[index] ?? ""]));
    return {
      program: { files: { ...all, ...Object.fromEntries(modules) }, runtime: { name: "go", options: {} } },
      env: { ...env, ...settings, GOFLAGS: "-mod=readonly" },
      path: [],
    };
  };
  return { prepare };
}

function goMain(): string {
  return `package main

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		for _, program := range []pulumi.RunFunc{${EXAMPLE_NAMES.map(goName).join(", ")}} {
			if err := program(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}
`;
}

/** As `go get` would write it, with this repository's SDK and the engine's version of Pulumi's. */
function goModFile(): string {
  const engine = readFileSync(path.join(repository, "tools", "engine", "go.mod"), "utf8");
  const pulumi = /github\.com\/pulumi\/pulumi\/sdk\/v3 \S+/.exec(engine)?.[0];
  const sdk = goModule(repository);
  const replacement = `replace ${sdk} => ${path.join(repository, "sdk", "go")}`;
  return ["module example", "go 1.26", `require ${pulumi}`, `require ${sdk} v0.0.0`, replacement, ""].join("\n");
}

/** Fails with what the command says. */
function run(file: string, args: readonly string[], options: ExecFileSyncOptions = {}): string {
  return execFileSync(file, args, {
    ...options,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 600_000,
  });
}

function example(name: string, ending: string): string {
  return readFileSync(path.join(EXAMPLES, `${name}.${ending}`), "utf8");
}

function replaced(text: string, from: string, to: string): string {
  if (text.split(from).length !== 2) throw new Error(`an example has not exactly one ${JSON.stringify(from)}`);
  return text.replace(from, to);
}

function moduleName(name: string): string {
  return `example_${name.replaceAll("-", "_")}`;
}

function goName(name: string): string {
  return `example${name.replaceAll(/(?:^|-)(.)/g, (_all, letter: string) => letter.toUpperCase())}`;
}
