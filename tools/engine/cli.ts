// `node dist/tools/engine/cli.js`: names the Pulumi engine of the tests and the demo, and gets an engine if none is there.
//   --print-path   prints only the folders to put before PATH
//   --json         prints the whole answer as JSON
//   --yaml-path    prints only the folder of the host for YAML programs
//   --python-path  prints only the virtual environment for Python programs
//   --ready        downloads and compiles nothing

import { type Engine, resolveEngine, resolvePythonSdk, resolveYaml } from ".";

/** What goes with an engine, by the option that asks for its folder. */
const COMPANIONS = { "--yaml-path": resolveYaml, "--python-path": resolvePythonSdk };
const OPTIONS = ["--print-path", "--json", ...Object.keys(COMPANIONS), "--ready"];

async function main(args: readonly string[]): Promise<number> {
  const unknown = args.find((arg) => !OPTIONS.includes(arg));
  if (unknown !== undefined) {
    process.stderr.write(`unknown option ${unknown}; the options are ${OPTIONS.join(", ")}\n`);
    return 2;
  }
  const onlyReady = args.includes("--ready");
  const engine = await resolveEngine({ onlyReady });
  const companion = Object.entries(COMPANIONS).find(([option]) => args.includes(option));
  if (companion !== undefined && engine.kind !== "none") {
    const [, resolve] = companion;
    const found = await resolve(engine, { onlyReady });
    if ("folder" in found) process.stdout.write(`${found.folder}\n`);
    else process.stderr.write(`${found.failure}\n`);
    return "folder" in found ? 0 : 1;
  }
  if (args.includes("--json")) process.stdout.write(`${JSON.stringify(engine)}\n`);
  else if (engine.kind === "none") process.stderr.write(`${engine.reason}\n`);
  else process.stdout.write(args.includes("--print-path") ? `${engine.path}\n` : describe(engine));
  return engine.kind === "none" ? 1 : 0;
}

function describe(engine: Exclude<Engine, { kind: "none" }>): string {
  const host = engine.languageHost === "vendor" ? "the vendor's" : "this repository's stand-in";
  return `Pulumi ${engine.version} (${engine.kind}): ${engine.pulumi}\nNode.js language host: ${host}\nPATH: ${engine.path}\n`;
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  },
);
