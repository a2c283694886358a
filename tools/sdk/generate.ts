// `npm run sdk`: the SDKs for Python and Go, sdk/python and sdk/go, as the engine's code generators make them of
// provider/native/schema.json. The generators are compiled once from the Go module proxy.

import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { goEnvironment, usableGo } from "../engine/build";
import { compileOnce } from "../engine/goCommand";
import { run, withCleanup } from "../engine/processes";
import type { Context } from "../engine/types";

const TIDY_TIMEOUT_MS = 5 * 60_000;
const LANGUAGES = ["python", "go"] as const;

/** What the committed SDKs were made of. test/unit/native/sdks.test.ts compares this without Go. */
export interface Stamp {
  schema: string;
  generator: string;
  sdks: string;
}

/** Writes python/ and go/ below `into`. Returns why it can't. */
export async function generateSdks(context: Context, into: string): Promise<string | undefined> {
  const compiled = await compileGenerator(context);
  if ("failure" in compiled) return compiled.failure;
  const work = fs.mkdtempSync(path.join(into, ".sdk-"));
  const tidyUp = () => fs.rmSync(work, { recursive: true, force: true });
  return withCleanup(tidyUp, async () => {
    const failure = await generateInto(work, path.join(compiled.folder, "generator"), context);
    if (failure !== undefined) return failure;
    for (const language of LANGUAGES) {
      fs.rmSync(path.join(into, language), { recursive: true, force: true });
      fs.renameSync(path.join(work, language), path.join(into, language));
    }
    return undefined;
  });
}

async function generateInto(work: string, generator: string, context: Context): Promise<string | undefined> {
  const schema = path.join(work, "schema.json");
  fs.writeFileSync(schema, schemaWithVersion(context.root));
  const ran = await run(generator, [schema, work], { env: context.env, timeoutMs: 60_000 });
  if (!ran.ok) return `the code generators failed (${ran.problem}): ${ran.output.trim()}`;
  complete(context.root, work);
  return tidy(context, path.join(work, "go"));
}

export function stampOf(root: string): Stamp {
  return {
    schema: hash(schemaWithVersion(root)),
    generator: hash(...Object.values(generatorFiles(root))),
    sdks: hash(...filesOf(path.join(root, "sdk"), LANGUAGES)),
  };
}

/** Every file below the folders, by path and content. What Python and its tools leave there is not of the SDK. */
export function filesOf(root: string, folders: readonly string[]): string[] {
  return folders.flatMap((folder) =>
    fs
      .readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => !/(^|\/)(__pycache__|build|dist|[^/]*\.egg-info)(\/|$)/.test(name.replaceAll(path.sep, "/")))
      .filter((name) => fs.statSync(path.join(root, folder, name)).isFile())
      .sort()
      .map((name) => `${folder}/${name}\n${fs.readFileSync(path.join(root, folder, name), "utf8")}`),
  );
}

function compileGenerator(context: Context) {
  const command = {
    name: "generator",
    folder: "sdk-generator",
    title: "the code generators of the SDKs",
    duration: "a minute on two cores",
    files: generatorFiles(context.root),
    target: ".",
  };
  return compileOnce(command, context, false);
}

function generatorFiles(root: string): Record<string, string> {
  const names = ["go.mod", "go.sum", "main.go"];
  return Object.fromEntries(
    names.map((name) => [name, fs.readFileSync(path.join(root, "tools", "sdk", name), "utf8")]),
  );
}

/** As the plugin answers GetSchema. */
function schemaWithVersion(root: string): string {
  const read = (file: string) => JSON.parse(fs.readFileSync(path.join(root, file), "utf8"));
  return JSON.stringify({ ...read("provider/native/schema.json"), version: read("package.json").version });
}

/** What the generators leave to a project: the README that pyproject.toml names, and the licence. */
function complete(root: string, work: string): void {
  fs.copyFileSync(path.join(work, "python", "pulumi_snapclone", "README.md"), path.join(work, "python", "README.md"));
  for (const language of LANGUAGES) fs.copyFileSync(path.join(root, "LICENSE"), path.join(work, language, "LICENSE"));
}

/** The generator's go.mod names Pulumi's SDK alone, and there is no go.sum. */
async function tidy(context: Context, folder: string): Promise<string | undefined> {
  const go = await usableGo(context);
  if ("failure" in go) return go.failure;
  const env = { ...goEnvironment(context.env), GOFLAGS: "-mod=mod" };
  const ran = await run(go.go, ["mod", "tidy"], { env, cwd: folder, timeoutMs: TIDY_TIMEOUT_MS });
  return ran.ok ? undefined : `\`go mod tidy\` of sdk/go failed (${ran.problem}): ${ran.output.trim()}`;
}

function hash(...texts: string[]): string {
  return createHash("sha256").update(texts.join("\0")).digest("hex");
}
