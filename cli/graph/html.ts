// The lineage as one HTML page: the picture and a table of the same objects with all of their fields. The page has no
// program and loads nothing.

import { createHash } from "node:crypto";
import { printable } from "../printable";
import { Markup, markup } from "./markup";
import { inOrder, type Lineage, type Owner } from "./model";
import { SVG_STYLE, svgOf } from "./svg";
import { ageText, labelOf, OWNER_HELP, OWNER_NAMES, ownerText, sizeText, summaryOf } from "./words";

const STYLE = `
:root { color-scheme: light dark; --ground: #f6f7f9; --text: #1a2230; --muted: #566072; --line: #d4d9e1; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #11151b; --text: #e6eaf0; --muted: #a3adbd; --line: #343d4a; }
}
body { margin: 0; padding: 1rem; background: var(--ground); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
h1 { margin: 0 0 0.5rem; font-size: 1.35rem; }
h2 { margin: 1.5rem 0 0.3rem; font-size: 1.1rem; overflow-wrap: anywhere; }
p { margin: 0 0 0.6rem; color: var(--muted); }
section > div { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { padding: 0.25rem 1rem 0.25rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { color: var(--muted); font-weight: 600; }
td { white-space: nowrap; }
td.name, td.owner { max-width: 24rem; white-space: normal; overflow-wrap: anywhere; }
code { font: 0.85em ui-monospace, "DejaVu Sans Mono", monospace; }
:focus-visible { outline: 3px solid #0b5fae; }
`;

export function htmlDocument(lineages: readonly Lineage[], madeAt: Date): string {
  const style = STYLE + SVG_STYLE;
  const hash = createHash("sha256").update(style).digest("base64");
  const policy = `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`;
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lineage of copies</title>
<style>${new Markup(style)}</style>
</head>
<body>
<h1>Lineage of copies</h1>
<p>Made by <code>snapclone graph</code> on ${madeAt.toISOString().slice(0, 16).replace("T", " ")} UTC.</p>
<section aria-label="Picture"><div tabindex="0" role="region" aria-label="Picture of the lineage">${svgOf(lineages, new Markup(""))}</div></section>
${lineages.map(table)}
<h2>Who owns an object</h2>
<dl>${(Object.keys(OWNER_NAMES) as Owner["is"][]).map(
    (is) => markup`<dt>${OWNER_NAMES[is]}</dt><dd>${OWNER_HELP[is]}</dd>
`,
  )}</dl>
</body>
</html>
`.text;
}

function table(lineage: Lineage): Markup {
  const { kind, name } = lineage.connection;
  const title = printable(`${kind} ${name}: ${lineage.backend}`);
  const heads = ["Object", "Id", "State", "Size", "Age", "Made", "Made from", "Owner"];
  return markup`<section>
<h2>${title}</h2>
<p>${printable([summaryOf(lineage), ...lineage.notes].join(" "))}</p>
<div tabindex="0" role="region" aria-label="${`Table of ${title}`}">
<table>
<thead><tr>${heads.map((head) => markup`<th scope="col">${head}</th>`)}</tr></thead>
<tbody>${rowsOf(lineage)}</tbody>
</table>
</div>
</section>
`;
}

function rowsOf({ forest, now }: Lineage): Markup[] {
  return [...inOrder(forest)].map(({ tree: { node } }) => {
    const { id, state, createdAt = "", parent = "", owner } = node;
    return markup`<tr><td class="name">${labelOf(node)}</td><td><code>${printable(id)}</code></td><td>${printable(state)}</td><td>${sizeText(node)}</td><td>${ageText(node, now)}</td><td>${printable(createdAt)}</td><td><code>${printable(parent)}</code></td><td class="owner">${printable(ownerText(owner))}</td></tr>
`;
  });
}
