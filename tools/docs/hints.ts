// The tables of docs/troubleshooting.md: what a backend says, and the provider's hint, from the provider's own tables.
//
//   <!-- hints of cinder: made by `npm run docs` -->
//   …
//   <!-- end -->

import { readFileSync } from "node:fs";
import path from "node:path";
import { HINTS as cinder } from "../../provider/openstack/cinderErrors";
import { HINTS as nova } from "../../provider/openstack/nova";
import { HINTS as zstack } from "../../provider/zstack/errors";
import { markdownTable } from "./tables";

type Hints = readonly (readonly [RegExp, string])[];

const HINTS: Readonly<Record<string, Hints>> = { cinder, nova, zstack };
const PART = /^<!-- hints of (\w+): .*-->\n[\s\S]*?^<!-- end -->$/gm;

export function renderHints(root: string): { file: string; before: string; after: string } {
  const file = path.join(root, "docs", "troubleshooting.md");
  const before = readFileSync(file, "utf8");
  const missing = new Set(Object.keys(HINTS));
  const after = before.replaceAll(PART, (_part, of: string) => {
    const hints = HINTS[of];
    if (hints === undefined) throw new Error(`${file} has a generated part for ${of}, which has no table of hints`);
    missing.delete(of);
    const rows = hints.map(([pattern, hint]) => [readable(pattern), hint]);
    const table = markdownTable([["it says", "what it means, and what to do"], ...rows]);
    return `<!-- hints of ${of}: made by \`npm run docs\` -->\n\n${table}\n\n<!-- end -->`;
  });
  if (missing.size > 0) throw new Error(`${file} has no generated part for ${[...missing].join(", ")}`);
  return { file, before, after };
}

/** A pattern as a reader would quote the text: `…` for what varies, alternatives apart. */
export function readable({ source }: RegExp): string {
  return alternatives(source)
    .map((text) =>
      text
        .replaceAll(/^\^|\$$|\\b/g, "")
        .replaceAll(/\(\w+_\)\?/g, "")
        .replaceAll(/-\?/g, "-")
        .replaceAll(/(?:\.|\\w|\\S|\[[^\]]*\])[*+]/g, "…")
        .replaceAll(/…+/g, "…")
        .replaceAll(/\\([/.])/g, "$1")
        .replaceAll(/\(([^)]*)\)/g, (_group, inner: string) => inner.split("|").join("/"))
        .trim(),
    )
    .map((text) => `\`${text.replace(/^…|…$/g, "").trim()}\``)
    .join(" or ");
}

/** Splits at the bars that are in no parentheses. */
function alternatives(source: string): string[] {
  const parts = [""];
  let depth = 0;
  for (const character of source) {
    if (character === "(") depth += 1;
    if (character === ")") depth -= 1;
    if (character === "|" && depth === 0) parts.push("");
    else parts[parts.length - 1] += character;
  }
  return parts;
}
