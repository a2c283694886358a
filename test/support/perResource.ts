// What the suites have for each resource in a file of its own, found by the registry: a new resource adds its files, and
// no list is edited.

import { existsSync } from "node:fs";
import path from "node:path";
import { type ResourceName, resourceNames } from "../../provider/resources";

const ROOT = path.resolve(__dirname, "..", "..");

/** Loads `<folder>/<resource>.ts` for each resource and takes the export of that name. */
export function loadForEachResource<Value>(folder: string): Value[] {
  return resourceNames.map((name) => loadFor<Value>(folder, name));
}

function loadFor<Value>(folder: string, name: ResourceName): Value {
  const file = `${folder}/${name}.ts`;
  if (!existsSync(path.join(ROOT, file))) throw new Error(`the resource ${name} needs ${file}`);
  const value = (require(path.join(ROOT, folder, name)) as Record<string, Value | undefined>)[name];
  if (value === undefined) throw new Error(`${file} does not export \`${name}\``);
  return value;
}
