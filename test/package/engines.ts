// Other versions of Pulumi's engine than the one that all other tests use, compiled with Go as tools/engine does it.

import * as fs from "node:fs";
import * as path from "node:path";
import { resolveEngine } from "../../tools/engine";
import { run } from "../../tools/engine/processes";
import { cache, type Had } from "./installs";

const repository = path.resolve(__dirname, "..", "..");
/** Compiling takes five minutes for each, so it is not done unasked. */
const COMPILE = "SNAPCLONE_COMPILE_ENGINES";

/** The folder of an engine of this version: compiled by an earlier run, or now if the environment asks for it. */
export async function otherEngine(version: string): Promise<Had> {
  const compile = process.env[COMPILE] !== undefined;
  const root = path.join(cache, `engine-${version}`);
  const ready = fs.existsSync(path.join(root, "tidied"));
  if (!ready && !compile) return { missing: `Pulumi's engine ${version} is compiled only with ${COMPILE}=1` };
  if (!ready) {
    const failure = await prepare(root, version);
    if (failure !== undefined) return { missing: failure };
  }
  // Of this checkout: another one may have compiled the engine.
  for (const name of ["dist", "node_modules"]) {
    fs.rmSync(path.join(root, name), { force: true });
    fs.symlinkSync(path.join(repository, name), path.join(root, name));
  }
  const env = { ...process.env, SNAPCLONE_ENGINE: "built" };
  const engine = await resolveEngine({ root, env, onlyReady: !compile });
  return engine.kind === "none" ? { missing: engine.reason } : { path: engine.path };
}

/** What tools/engine reads of a repository, with a go.mod for this version. */
async function prepare(root: string, version: string): Promise<string | undefined> {
  const folder = path.join(root, "tools", "engine");
  fs.rmSync(root, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(
    path.join(folder, "go.mod"),
    `module engine

go 1.26

tool github.com/pulumi/pulumi/pkg/v3/cmd/pulumi

require (
	github.com/pulumi/pulumi/pkg/v3 v${version}
	github.com/pulumi/pulumi/sdk/v3 v${version}
)

replace github.com/atotto/clipboard => github.com/tgummerer/clipboard v0.0.0-20241001131231-d02d263e614e
`,
  );
  const env = { ...process.env, GOTOOLCHAIN: "local", GOWORK: "off" };
  const tidied = await run("go", ["mod", "tidy", "-e"], { cwd: folder, env, timeoutMs: 300_000 });
  if (!tidied.ok) return `go mod tidy for Pulumi's engine ${version}: ${tidied.problem}`;
  fs.writeFileSync(path.join(root, "tidied"), "");
  return undefined;
}
