// The end of `npm run build`: the native provider as one file that needs nothing but Node, in dist/plugin. `npm` links it into
// node_modules/.bin, where the engine finds it on the PATH of npm scripts, and `pulumi plugin install --file` copies the folder.

import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { buildSync } from "esbuild";

/** The name by which the engine looks for the plugin of the package `snapclone`. */
export const PLUGIN = "pulumi-resource-snapclone";

/** From dist/tools/plugin. */
const ROOT = path.resolve(__dirname, "..", "..", "..");

export function bundle(root: string, folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const executable = path.join(folder, PLUGIN);
  const { metafile } = buildSync({
    absWorkingDir: root,
    entryPoints: ["provider/native/main.ts"],
    outfile: executable,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    minifySyntax: true,
    minifyWhitespace: true,
    // The names of classes and functions are in stacks of errors that users report. `keepNames` would keep them among short
    // identifiers by a call at each creation of a function: a wait creates twenty, and needed 10 KiB more for that.
    minifyIdentifiers: false,
    legalComments: "none",
    banner: { js: "#!/usr/bin/env node" },
    metafile: true,
    logLevel: "warning",
  });
  chmodSync(executable, 0o755);
  writeFileSync(`${executable}.cmd`, `@node "%~dp0\\${PLUGIN}" %*\r\n`);
  writeFileSync(path.join(folder, "LICENSES.txt"), licensesOf(root, Object.keys(metafile.inputs)));
}

/** The licences of the packages whose code is in the bundle ask for their text to go with it. */
function licensesOf(root: string, inputs: readonly string[]): string {
  const folders = inputs.map((input) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0]);
  const packages = [...new Set(folders.filter((folder) => folder !== undefined))].sort();
  const texts = packages.map((folder) => {
    const file = readdirSync(path.join(root, folder)).find((name) => /^licen[cs]e/i.test(name));
    const { name, version, license } = JSON.parse(readFileSync(path.join(root, folder, "package.json"), "utf8"));
    const text = file === undefined ? "" : readFileSync(path.join(root, folder, file), "utf8").trim();
    return `${name} ${version} (${license})\n\n${text}`;
  });
  return `${texts.join(`\n\n${"-".repeat(80)}\n\n`)}\n`;
}

if (require.main === module) bundle(ROOT, path.join(ROOT, "dist", "plugin"));
