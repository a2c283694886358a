// The lineage as a picture: from left to right, each source beside the first of its copies, one box for each object.

import { printable } from "../printable";
import { Markup, markup } from "./markup";
import { inOrder, type Lineage, type Owner, type Tree } from "./model";
import { ageText, labelOf, OWNER_HELP, OWNER_NAMES, ownerText, shortId, sizeText, summaryOf } from "./words";

const BOX = { width: 250, height: 62 };
const GAP = { x: 46, y: 12 };
const MARGIN = 20;
const TITLE_HEIGHT = 56;
const LEGEND_HEIGHT = 26;
const MIN_WIDTH = 760;
/** The width of a character, in pixels. Longer text is cut; the box's tooltip has all of it. */
const CHARACTER = 6.7;

/** In each colour and shape, so that nobody needs to see the colours. */
const SIGNS: Readonly<Record<Owner["is"], { sign: string; className: string }>> = {
  recorded: { sign: "●", className: "recorded" },
  unrecorded: { sign: "◆", className: "unrecorded" },
  pending: { sign: "◐", className: "unrecorded" },
  newer: { sign: "◔", className: "claimed" },
  "other stack": { sign: "▲", className: "other" },
  claimed: { sign: "◇", className: "claimed" },
  nobody: { sign: "○", className: "nobody" },
};

/** The style of the picture, alone and in a page. */
export const SVG_STYLE = `
svg.lineage { --ground: #f6f7f9; --panel: #ffffff; --text: #1a2230; --muted: #566072; --line: #9aa5b5;
  --recorded: #17683a; --unrecorded: #8a4b00; --other: #0b5fae; --claimed: #6a3da8; --nobody: #566072; --bad: #b3161d;
  background: var(--ground); font: 13px system-ui, "DejaVu Sans", sans-serif; }
@media (prefers-color-scheme: dark) {
  svg.lineage { --ground: #11151b; --panel: #1a2029; --text: #e6eaf0; --muted: #a3adbd; --line: #566072;
    --recorded: #74d399; --unrecorded: #efbd62; --other: #7db9f5; --claimed: #c5a5f5; --nobody: #a3adbd; --bad: #ff8f92; }
}
.lineage text { fill: var(--text); }
.lineage .title { font-size: 16px; font-weight: 600; }
.lineage .name { font-weight: 600; }
.lineage .small { font-size: 12px; }
.lineage .muted { fill: var(--muted); }
.lineage .bad { fill: var(--bad); font-weight: 600; }
.lineage .box { fill: var(--panel); stroke: var(--line); }
.lineage .absent { stroke-dasharray: 5 4; }
.lineage .edge { fill: none; stroke: var(--line); stroke-width: 1.5; }
.lineage .ground { fill: var(--ground); }
.lineage .recorded { fill: var(--recorded); }
.lineage .unrecorded { fill: var(--unrecorded); font-weight: 600; }
.lineage .other { fill: var(--other); }
.lineage .claimed { fill: var(--claimed); }
.lineage .nobody { fill: var(--nobody); }
`;

/** One document, which needs nothing from outside. */
export function svgDocument(lineages: readonly Lineage[]): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${svgOf(lineages, markup`<style>${new Markup(SVG_STYLE)}</style>`).text}\n`;
}

/** `style` is empty where the page around it has SVG_STYLE. */
export function svgOf(lineages: readonly Lineage[], style: Markup): Markup {
  const parts: Markup[] = [];
  let width = MIN_WIDTH;
  let top = MARGIN;
  for (const lineage of lineages) {
    const drawn = draw(lineage, top);
    parts.push(drawn.markup);
    width = Math.max(width, drawn.width);
    top += drawn.height;
  }
  const used = new Set(
    lineages.flatMap(({ forest }) => [...inOrder(forest)].map(({ tree: { node } }) => node.owner.is)),
  );
  const legend = legendOf(used, top);
  const height = top + legend.height + MARGIN;
  return markup`<svg xmlns="http://www.w3.org/2000/svg" class="lineage" role="img" aria-labelledby="lineage-title" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<title id="lineage-title">Lineage of copies</title>
${style}
<rect class="ground" width="${width}" height="${height}"/>
${parts}
${legend.markup}
</svg>`;
}

function draw(lineage: Lineage, top: number): { markup: Markup; width: number; height: number } {
  const { connection, backend, forest, now, notes } = lineage;
  const places = layOut(forest, top + TITLE_HEIGHT);
  const boxes: Markup[] = [];
  const edges: Markup[] = [];
  for (const [tree, place] of places) {
    boxes.push(box(tree, place, now));
    for (const child of tree.children) {
      const to = places.get(child);
      if (to !== undefined) edges.push(edge(place, to));
    }
  }
  let [right, bottom] = [0, top + TITLE_HEIGHT];
  for (const { x, y } of places.values()) {
    right = Math.max(right, x + BOX.width);
    bottom = Math.max(bottom, y + BOX.height + GAP.y);
  }
  const title = `${connection.kind} ${connection.name}: ${backend}`;
  const below = [summaryOf(lineage), ...notes.map((note) => `${note}.`)].join(" ");
  return {
    markup: markup`<text class="title" x="${MARGIN}" y="${top + 16}">${printable(title)}</text>
<text class="muted" x="${MARGIN}" y="${top + 37}">${printable(below)}</text>
${edges}
${boxes}`,
    width: Math.max(right, MARGIN + Math.max(title.length, below.length) * CHARACTER * 1.15) + MARGIN,
    height: bottom - top + GAP.y,
  };
}

interface Place {
  x: number;
  y: number;
}

/** A row for each object without copies. What has copies is in the row of the first one. */
function layOut(forest: readonly Tree[], top: number): Map<Tree, Place> {
  const places = new Map<Tree, Place>();
  let row = 0;
  for (const { tree, depth } of inOrder(forest)) {
    places.set(tree, { x: MARGIN + depth * (BOX.width + GAP.x), y: top + row * (BOX.height + GAP.y) });
    if (tree.children.length === 0) row += 1;
  }
  return places;
}

/** A box clips what is in it: no text reaches its neighbours. */
function box({ node }: Tree, { x, y }: Place, now: Date): Markup {
  const { sign, className } = SIGNS[node.owner.is];
  const isAbsent = /not found|not visible/.test(node.state);
  const isBad = /error|fail|not found/i.test(node.state);
  const rest = [sizeText(node), ageText(node, now)].filter((one) => one !== "");
  const lines = [labelOf(node), node.id, node.state, ...rest, ownerText(node.owner)].map(printable);
  return markup`<svg x="${x}" y="${y}" width="${BOX.width}" height="${BOX.height}"><title>${lines.join("\n")}</title>
<rect class="${isAbsent ? "box absent" : "box"}" x="0.5" y="0.5" width="${BOX.width - 1}" height="${BOX.height - 1}" rx="6"/>
<text x="12" y="19"><tspan class="muted">${node.kind} </tspan><tspan class="name">${cut(nameOf(node), 26 - node.kind.length)}</tspan></text>
<text class="small" x="12" y="36"><tspan class="${isBad ? "bad" : ""}">${cut(printable(node.state), 34 - rest.join(" · ").length)}</tspan><tspan class="muted">${rest.map((one) => ` · ${one}`).join("")}</tspan></text>
<text class="${`small ${className}`}" x="12" y="53">${sign} ${cut(printable(ownerText(node.owner)), 34)}</text></svg>
`;
}

function nameOf(node: Tree["node"]): string {
  return node.name === "" ? shortId(node.id) : printable(node.name);
}

function edge(from: Place, to: Place): Markup {
  const [x1, y1] = [from.x + BOX.width, from.y + BOX.height / 2];
  const [x2, y2] = [to.x, to.y + BOX.height / 2];
  const middle = (x1 + x2) / 2;
  return markup`<path class="edge" d="M ${x1} ${y1} C ${middle} ${y1} ${middle} ${y2} ${x2} ${y2}"/>
`;
}

function legendOf(used: ReadonlySet<Owner["is"]>, top: number): { markup: Markup; height: number } {
  const entries = (Object.keys(SIGNS) as Owner["is"][]).filter((is) => used.has(is));
  const lines = entries.map((is, at) => {
    const { sign, className } = SIGNS[is];
    return markup`<text class="small" x="${MARGIN}" y="${top + 14 + at * LEGEND_HEIGHT}"><tspan class="${className}">${sign} ${OWNER_NAMES[is]}</tspan><tspan class="muted">: ${OWNER_HELP[is]}</tspan></text>
`;
  });
  return { markup: markup`${lines}`, height: entries.length * LEGEND_HEIGHT };
}

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/** At most so many characters; a wide one (Chinese, emoji) counts as two. */
function cut(text: string, most: number): string {
  if (text.length <= most && /^[\x20-\x7e]*$/.test(text)) return text;
  let width = 0;
  let kept = "";
  for (const { segment } of graphemes.segment(text)) {
    width += (segment.codePointAt(0) ?? 0) >= 0x1100 ? 2 : 1;
    if (width > most) return `${kept}…`;
    kept += segment;
  }
  return text;
}
