// The generated parts of docs/*.md, between markers:
//
//   <!-- inputs of snapshot: made from sdk/snapshot.ts by `npm run docs` -->
//   …
//   <!-- end -->

import { readFileSync } from "node:fs";
import path from "node:path";
import { type ResourceName, resources, slugOf } from "../../provider/resources";
import { readSdk } from "./sdkSource";
import { inputsTable, outputsTable } from "./tables";

const PART = /^<!-- (inputs|outputs) of (\w+): .*-->\n[\s\S]*?^<!-- end -->$/gm;

/** The page of a resource with its generated parts made anew. */
export function renderPage(root: string, name: ResourceName): { file: string; before: string; after: string } {
  const file = path.join(root, "docs", `${slugOf(name)}.md`);
  const before = readFileSync(file, "utf8");
  const found = new Set<string>();
  const sdk = readSdk(root, name);
  const after = before.replaceAll(PART, (_part, kind: "inputs" | "outputs", of: string) => {
    if (of !== name) throw new Error(`${file} has a generated part for ${of}; only ${name} belongs there`);
    found.add(kind);
    const table = kind === "inputs" ? inputsTable(sdk) : outputsTable(sdk, resources[name]());
    return `<!-- ${kind} of ${name}: made from sdk/${name}.ts by \`npm run docs\` -->\n\n${table}\n\n<!-- end -->`;
  });
  for (const kind of ["inputs", "outputs"]) {
    if (!found.has(kind)) throw new Error(`${file} has no part <!-- ${kind} of ${name}: … --> … <!-- end -->`);
  }
  return { file, before, after };
}
