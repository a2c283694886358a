// Writes a backend with one resource: all files that CONTRIBUTING.md names, as a small backend that works. The
// template in template/ is a backend `toy` with a resource `ToyCopy`.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { checkNames, type Names, renamer } from "./names";

/** The files that list the resources and the services: a new one adds a line or two to each. */
const REGISTRIES: Record<string, (text: string, rename: (text: string) => string) => string> = {
  "provider/resources.ts": (text, rename) =>
    insertBefore(
      text,
      "} satisfies Record",
      rename(
        '  toyCopy: () => (require("./toy/toyCopy/resource") as typeof import("./toy/toyCopy/resource")).toyCopy,\n',
      ),
    ),
  "emulator/services.ts": (text, rename) => {
    const imported = insertBefore(text, "\nexport const SERVICES", rename('import { toy } from "./toy";\n'));
    return insertBefore(imported, "};\n", rename("  toy,\n"), imported.indexOf("export const SERVICES"));
  },
  "sdk/native.ts": (text, rename) => {
    const typed = insertBefore(text, '} from "./index";', rename("  ToyCopyArgs,\n"));
    return insertBefore(
      typed,
      "\n/** The provider's configuration",
      rename(
        "/** The {@link dynamic.ToyCopy} of the native provider. */\nexport class ToyCopy extends native(dynamic.ToyCopy) {}\n",
      ),
    );
  },
  "sdk/index.ts": (text, rename) => `${text}${rename('export { ToyCopy, type ToyCopyArgs } from "./toyCopy";\n')}`,
};

export interface Written {
  created: string[];
  edited: string[];
}

/** `root` is the repository. Throws before it writes if a name is wrong or a file is already there. */
export function scaffold(root: string, names: Names): Written {
  checkNames(names);
  const template = path.join(root, "tools", "scaffold", "template");
  const rename = renamer(names);
  const sources = readdirSync(template, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(template, path.join(entry.parentPath, entry.name)));
  const files = sources.map((source) => ({ source, target: rename(source) }));
  const taken = files.filter(({ target }) => existsSync(path.join(root, target)));
  if (taken.length > 0)
    throw new Error(
      `the scaffold overwrites no file, and these exist: ${taken.map(({ target }) => target).join(", ")}`,
    );
  for (const { source, target } of files) {
    mkdirSync(path.dirname(path.join(root, target)), { recursive: true });
    writeFileSync(path.join(root, target), rename(readFileSync(path.join(template, source), "utf8")));
  }
  for (const [file, edit] of Object.entries(REGISTRIES)) {
    const registry = path.join(root, file);
    writeFileSync(registry, edit(readFileSync(registry, "utf8"), rename));
  }
  return { created: files.map(({ target }) => target).sort(), edited: Object.keys(REGISTRIES) };
}

/** The new names sort and wrap in other ways than the template's. */
export function format(root: string, { created, edited }: Written): void {
  const biome = path.join(root, "node_modules", "@biomejs", "biome", "bin", "biome");
  const code = [...created.filter((file) => /\.(ts|json)$/.test(file)), ...edited];
  execFileSync(process.execPath, [biome, "check", "--write", ...code], { cwd: root, stdio: "pipe" });
}

function insertBefore(text: string, place: string, line: string, from = 0): string {
  const index = text.indexOf(place, from);
  if (index < 0)
    throw new Error(`the registry has no line ${JSON.stringify(place.trim())}, which the scaffold inserts before`);
  return text.slice(0, index) + line + text.slice(index);
}
