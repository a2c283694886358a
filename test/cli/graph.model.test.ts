// The lineage as data and as markup, without a backend: whatever the backend says, each object is in one tree, and no name
// becomes an element.

import fc from "fast-check";
import { htmlDocument } from "../../cli/graph/html";
import { markup } from "../../cli/graph/markup";
import { buildForest, type CopyNode, inOrder, type Lineage } from "../../cli/graph/model";
import { svgDocument } from "../../cli/graph/svg";
import { writeText } from "../../cli/graph/text";
import { shortId } from "../../cli/graph/words";
import { Output } from "../../cli/output";
import { printable } from "../../cli/printable";

const NOW = new Date("2026-11-28T12:00:00Z");

function node(id: string, parent?: string, more: Partial<CopyNode> = {}): CopyNode {
  const key = `volume ${id}`;
  const source = parent === undefined ? {} : { parent: `volume ${parent}` };
  return { key, kind: "volume", id, name: id, state: "available", owner: { is: "nobody" }, ...source, ...more };
}

function lineage(nodes: readonly CopyNode[], more: Partial<Lineage> = {}): Lineage {
  const connection = { kind: "openstack", name: "default" };
  return { connection, backend: "project", now: NOW, forest: buildForest(nodes), lone: 0, notes: [], ...more };
}

function textOf(shown: Lineage, characters: "unicode" | "ascii" = "unicode"): string[] {
  let text = "";
  const stdout = { write: (part: string) => (text += part) };
  writeText(new Output({ stdout, stderr: stdout, env: {}, isTTY: false }, false), shown, characters);
  return text.split("\n");
}

describe("trees", () => {
  it("have each object once, whatever the backend says of sources", () => {
    const ids = fc.constantFrom("a", "b", "c", "d", "e", "f", "elsewhere");
    fc.assert(
      fc.property(fc.array(fc.tuple(ids, fc.option(ids, { nil: undefined })), { maxLength: 8 }), (pairs) => {
        const nodes = pairs.map(([id, parent]) => node(id, parent));
        const forest = buildForest(nodes);
        const keys = [...inOrder(forest)].map(({ tree }) => tree.node.key).sort();
        const named = nodes.filter(({ key }, at) => nodes.findIndex((one) => one.key === key) === at);
        const expected = new Set([...named.map(({ key }) => key), ...named.flatMap(({ parent }) => parent ?? [])]);
        expect(keys).toEqual([...expected].sort());
      }),
    );
  });

  it("have a circle cut open, and say so", () => {
    const forest = buildForest([node("a", "c"), node("b", "a"), node("c", "b"), node("self", "self")]);
    expect([...inOrder(forest)].map(({ tree, depth }) => `${depth} ${tree.node.id} ${tree.node.state}`)).toEqual([
      "0 a available (source is its own copy)",
      "1 b available",
      "2 c available",
      "0 self available (source is its own copy)",
    ]);
  });

  it("are sorted by age, then by name as people count, and what tells no time is last", () => {
    const at = (createdAt: string) => ({ createdAt });
    const forest = buildForest([
      node("x10", "r"),
      node("x9", "r"),
      node("new", "r", at("2026-02-01T00:00:00Z")),
      node("old", "r", at("2026-01-01T00:00:00Z")),
      node("r"),
    ]);
    expect(forest[0]?.children.map((child) => child.node.id)).toEqual(["old", "new", "x9", "x10"]);
  });

  it("may be deeper than calls, and wide", () => {
    const chain = Array.from({ length: 20_000 }, (_, at) => node(`v${at}`, at === 0 ? undefined : `v${at - 1}`));
    expect([...inOrder(buildForest(chain))]).toHaveLength(20_000);
    expect(svgDocument([lineage(chain.slice(0, 2000))])).toContain("v1999");
    const wide = Array.from({ length: 2000 }, (_, at) => node(`w${at}`, "root"));
    expect(svgDocument([lineage(wide)])).toContain("w1999");
    expect(textOf(lineage(chain.slice(0, 300)))[300]).toContain(`${"   ".repeat(298)}└─ volume v299`);
  });
});

describe("text", () => {
  it("branches in Unicode and in ASCII", () => {
    const nodes = [node("r"), node("a", "r"), node("a1", "a"), node("b", "r", { name: "Größe" })];
    const left = (line: string) => line.slice(2).split("  ")[0]?.trimEnd();
    expect(
      textOf(lineage(nodes))
        .slice(1, 5)
        .map((line) => line.slice(2, 22).trimEnd()),
    ).toEqual(["volume r         r", "├─ volume a      a", "│  └─ volume a1  a1", "└─ volume Größe  b"]);
    const ascii = textOf(lineage(nodes), "ascii");
    expect(ascii.join("")).toMatch(/^[\x20-\x7e]*$/);
    expect(left(ascii[4] ?? "")).toBe("`- volume Gr\\u{f6}\\u{df}e");
  });

  it("shows characters that move a terminal's cursor by their numbers", () => {
    const evil = "a\u001b[2J\u009b31m\r\nb\u202eexe.gpj";
    expect(printable(evil)).toBe("a\\u{1b}[2J\\u{9b}31m\\u{d}\\u{a}b\\u{202e}exe.gpj");
    const shown = textOf(
      lineage([node("r"), node("x", "r", { name: evil, state: evil, owner: { is: "claimed", who: evil } })]),
    );
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are meant.
    expect(shown.join("\n")).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(shown).toHaveLength(5);
  });

  it("shortens UUIDs, also within URNs and pairs", () => {
    const uuid = "5e0f7c1a-6d2b-4b43-8f0a-3f6f2f7a9b10";
    expect(shortId(uuid)).toBe("5e0f7c1a");
    expect(shortId(`urn:storageos:Volume:${uuid}:vdc1`)).toBe("5e0f7c1a");
    expect(shortId(`11111111-1111-4111-8111-111111111111/${uuid}`)).toBe("5e0f7c1a");
    expect(shortId(uuid.replaceAll("-", ""))).toBe("5e0f7c1a");
  });
});

describe("markup", () => {
  const EVIL = [
    "</svg><script>alert(1)</script>",
    '" onload="alert(1)',
    "' onload='alert(1)",
    "]]><img src=x onerror=alert(1)>",
    "<!-- --><style>*{display:none}</style>",
    "&lt;script&gt;",
    "\u0000\u0008\ud800",
  ];
  const texts = fc.oneof(fc.constantFrom(...EVIL), fc.string({ unit: "binary" }), fc.string());
  /** All that is between < and >, with attributes: what the browser takes for elements. */
  const elements = (text: string) => text.match(/<[^>]*>/g);

  it("has the same elements whatever the names, states, ids and owners are", () => {
    const show = (name: string, id: string, state: string, who: string, backend: string) => {
      const owner = { is: "other stack", who } as const;
      const nodes = [node("r"), node("x", "r", { name, id, state, owner, createdAt: "2026-11-01T00:00:00Z" })];
      return lineage(nodes, { backend, connection: { kind: "openstack", name: who }, notes: [state] });
    };
    const plain = show("n", "i", "s", "w", "b");
    const masked = (found: RegExpMatchArray | null) =>
      // The picture is as wide as its longest title.
      found?.map((one) => one.replaceAll(/(width|viewBox|height|aria-label|class)="[^"]*"/g, "$1"));
    fc.assert(
      fc.property(texts, texts, texts, texts, texts, (name, id, state, who, backend) => {
        const shown = show(name, id, state, who, backend);
        expect(masked(elements(svgDocument([shown])))).toEqual(masked(elements(svgDocument([plain]))));
        expect(masked(elements(htmlDocument([shown], NOW)))).toEqual(masked(elements(htmlDocument([plain], NOW))));
        // biome-ignore lint/suspicious/noControlCharactersInRegex: XML has none of them.
        expect(svgDocument([shown])).not.toMatch(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/);
      }),
    );
  });

  it("escapes values and no markup", () => {
    const inner = markup`<b>${"<i>"}</b>`;
    expect(markup`<p title="${'a"b'}">${inner}${[inner, inner]}${1}</p>`.text).toBe(
      '<p title="a&quot;b"><b>&lt;i&gt;</b><b>&lt;i&gt;</b><b>&lt;i&gt;</b>1</p>',
    );
  });

  it("loads nothing and runs nothing", () => {
    const page = htmlDocument([lineage([node("r"), node("x", "r", { name: "<script>" })])], NOW);
    expect(page).toMatch(/content="default-src &#39;none&#39;; style-src &#39;sha256-[^ ]+&#39;;/);
    expect(page.match(/\b(?:src|href|action|on\w+)=|url\(|@import|<script|<link/g)).toBeNull();
    expect(page.match(/https?:[^"]*/g)).toEqual(["http://www.w3.org/2000/svg"]);
  });
});
