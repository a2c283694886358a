// The lineage for a terminal: one line for each object, indented by branches.

import type { Output, Part, Style } from "../output";
import { printable } from "../printable";
import { type CopyNode, inOrder, type Lineage, type Owner } from "./model";
import { ageText, labelOf, ownerText, shortId, sizeText, summaryOf } from "./words";

const UNICODE = { branch: "├─ ", last: "└─ ", through: "│  ", blank: "   " };
const ASCII = { branch: "|- ", last: "`- ", through: "|  ", blank: "   " };

const STYLES: Readonly<Partial<Record<Owner["is"], Style>>> = {
  recorded: "green",
  unrecorded: "yellow",
  pending: "yellow",
  "other stack": "cyan",
  nobody: "dim",
};

export function writeText(output: Output, lineage: Lineage, characters: "unicode" | "ascii"): void {
  const { kind, name } = lineage.connection;
  const lines = characters === "unicode" ? UNICODE : ASCII;
  const plain = (text: string) => (characters === "unicode" ? text : toAscii(text));
  output.line(output.style("bold", plain(`${kind} ${name}: ${printable(lineage.backend)}`)));
  const above: boolean[] = [];
  const rows = [...inOrder(lineage.forest)].map(({ tree: { node }, depth, isLast }) => {
    above.length = Math.max(0, depth - 1);
    if (depth > 0) above.push(isLast);
    return [
      plain(branches(above, lines) + labelOf(node)),
      plain(shortId(node.id)),
      coloured(output, node, plain(printable(node.state))),
      sizeText(node),
      ageText(node, lineage.now),
      output.style(STYLES[node.owner.is] ?? "bold", plain(printable(ownerText(node.owner)))),
    ];
  });
  output.table(rows, "  ");
  output.line(`  ${summaryOf(lineage)}`);
  for (const note of lineage.notes) output.line(`  ${note}.`);
}

/** POSIX: the first of these that is set and not empty. Without any, only Windows' own terminal shows all characters. */
export function charactersOf(env: NodeJS.ProcessEnv): "unicode" | "ascii" {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG;
  if (locale) return /utf-?8/i.test(locale) ? "unicode" : "ascii";
  return env.WT_SESSION ? "unicode" : "ascii";
}

/** `above`: for each level but that of the roots, whether its latest object is the last of its source's copies. */
function branches(above: readonly boolean[], lines: typeof UNICODE): string {
  const through = above.slice(0, -1).map((isLast) => (isLast ? lines.blank : lines.through));
  // The roots have no branch.
  return above.length === 0 ? "" : through.join("") + (above.at(-1) ? lines.last : lines.branch);
}

function coloured(output: Output, { state }: CopyNode, text: string): Part {
  if (/error|fail|not found/i.test(state)) return output.style("red", text);
  return /ing\b/i.test(state) ? output.style("yellow", text) : text;
}

function toAscii(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/gu, (one) => `\\u{${one.codePointAt(0)?.toString(16)}}`);
}
