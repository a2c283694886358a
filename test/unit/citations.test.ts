// What a comment or a message cites is in the repository: a page of docs/, a fact in it, a recorded exchange.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { anchorsOf, linksIn } from "../support/anchors";

const ROOT = resolve(__dirname, "..", "..");
const SOURCES = ["provider", "emulator", "cli", "sdk", "tools", "test", "bench", "examples"].flatMap(sourcesIn);
const WIRE = readdirSync(join(ROOT, "docs", "wire")).map((name) => `docs/wire/${name}`);
const PAGES = [...WIRE, "docs/ownership.md"];

/**
 * `docs/wire/openstack.md#a2, #a5 and #a6`: the page once, then its facts. Not part of a longer address, such as one of
 * another project on the web.
 */
const CITATION =
  /(?<![\w./-])((?:docs\/[\w/-]+|README|CONTRIBUTING|CHANGELOG)\.md)((?: ?#[\w-]+(?:(?:,|;| and) #[\w-]+)*)?)(?![\w/])/g;

/** Forms that lead nowhere: names of documents that are not in the repository, and their sections without a document. */
const NOWHERE =
  /(?<!RFC \d{4} )§|\breference[ /](?:[\w-]+\.md|exchanges\/|§|[A-H]\d*\b)|(?<!\/)\b(?:openstack-(?:seen|powervc)|pulumi-dynamic|engine-calls)\.md|"reference" is\b|\bof the reference\b/i;

interface Citation {
  file: string;
  page: string;
  anchors: string[];
}

function sourcesIn(folder: string): string[] {
  return (
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => /\.(ts|js|mjs|cjs|py|sh|yml)$/.test(name) && !/(^|\/)(node_modules|dist)\//.test(name))
      .map((name) => `${folder}/${name}`)
      // The scaffold's template cites the page that it is written with.
      .filter((name) => name !== relative(ROOT, __filename) && !name.startsWith("tools/scaffold/template/"))
  );
}

/** Without the signs of comments at the beginning of lines: a citation may go on in the next one. */
function textOf(file: string): string {
  return readFileSync(join(ROOT, file), "utf8").replace(/\n\s*(?:\/\/|\*(?!\/)|#)\s*(?=\S)/g, " ");
}

function citationsOf(file: string): Citation[] {
  return [...textOf(file).matchAll(CITATION)].map(([, page = "", anchors = ""]) => ({
    file,
    page,
    anchors: [...anchors.matchAll(/#([\w-]+)/g)].map(([, anchor]) => anchor ?? ""),
  }));
}

const anchors = new Map<string, Set<string>>();
function anchorsOfPage(page: string): Set<string> {
  const known = anchors.get(page) ?? anchorsOf(readFileSync(join(ROOT, page), "utf8"));
  anchors.set(page, known);
  return known;
}

function leadsNowhere({ file, page, anchors: cited }: Citation): string[] {
  if (!existsSync(join(ROOT, page))) return [`${file}: there is no ${page}`];
  return cited
    .filter((anchor) => !anchorsOfPage(page).has(anchor))
    .map((anchor) => `${file}: no #${anchor} in ${page}`);
}

const citations = SOURCES.flatMap(citationsOf);

test("citations are found at all", () => {
  expect(citations).toContainEqual({
    file: "provider/pulumi/state.ts",
    page: "docs/wire/pulumi-engine.md",
    anchors: ["stack-export"],
  });
  expect(citations.length).toBeGreaterThan(10);
});

test("a citation that leads nowhere would be found", () => {
  expect(leadsNowhere({ file: "x.ts", page: "docs/nothing.md", anchors: [] })).toHaveLength(1);
  expect(leadsNowhere({ file: "x.ts", page: "docs/wire/vipr.md", anchors: ["names", "nothing"] })).toEqual([
    "x.ts: no #nothing in docs/wire/vipr.md",
  ]);
  const wrapped = "// (docs/wire/vipr.md#names, #s5 and\n// #nothing)".replace(/\n\s*\/\/\s*/g, " ");
  expect([...wrapped.matchAll(CITATION)].map(([, page, all]) => [page, all])).toEqual([
    ["docs/wire/vipr.md", "#names, #s5 and #nothing"],
  ]);
});

test("every citation leads to a page and a fact that are there", () => {
  expect(citations.flatMap(leadsNowhere)).toEqual([]);
});

// Becomes an ordinary test with the commit that converts the last of the old citations.
test("nothing cites a document that is not in the repository", () => {
  const found = SOURCES.flatMap((file) =>
    readFileSync(join(ROOT, file), "utf8")
      .split("\n")
      .flatMap((line, index) => (NOWHERE.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])),
  );
  expect(found).toEqual([]);
});

test("every recorded exchange that the emulator cites is there", () => {
  const titles = ["cinder", "keystone", "nova"].flatMap((service) => {
    const text = readFileSync(join(ROOT, "test", "contract", "exchanges", `${service}.txt`), "utf8");
    return [...text.matchAll(/^## (.*)$/gm)].map(([, title]) => title);
  });
  const cited = SOURCES.filter((file) => file.startsWith("emulator/")).flatMap((file) =>
    [...textOf(file).matchAll(/\bexchanges: ((?:'[^'\n]+'(?:,| and| to)? ?)+)/g)].flatMap(([, list]) =>
      [...(list ?? "").matchAll(/'([^']+)'/g)].map(([, title]) => ({ file, title })),
    ),
  );
  expect(cited.length).toBeGreaterThan(50);
  expect(cited.filter(({ title }) => !titles.includes(title))).toEqual([]);
});

describe.each(PAGES)("%s", (page) => {
  const text = readFileSync(join(ROOT, page), "utf8");

  test("its links lead somewhere", () => {
    const broken = linksIn(text).filter(({ path, anchor }) => {
      const target = path === "" ? page : relative(ROOT, join(ROOT, dirname(page), path));
      return !existsSync(join(ROOT, target)) || (anchor !== undefined && !anchorsOfPage(target).has(anchor));
    });
    expect(broken).toEqual([]);
  });

  test("no anchor stands twice", () => {
    const ids = [...text.matchAll(/<a id="([^"]+)"><\/a>/g)].map(([, id]) => id);
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
  });

  test("it names nobody's own machines or folders", () => {
    const told = /\/work\/|\/tmp\/|\/home\/(?!x\/)|\bnexus\.|\bregistry\.(?!go)|\bshared\/|\bbriefs?\//;
    expect(text.split("\n").filter((line) => told.test(line))).toEqual([]);
  });
});
