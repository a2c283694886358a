// Programs in the docs are files that tests run; links lead somewhere.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { readExchanges } from "../contract/recording";
import { anchorsOf, linksIn } from "../support/anchors";

const ROOT = resolve(__dirname, "..", "..");
const pages = [
  "README.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  "SECURITY.md",
  "CODE_OF_CONDUCT.md",
  ...readdirSync(join(ROOT, "docs")).map((name) => `docs/${name}`),
].filter((name) => name.endsWith(".md"));

test.each(pages)("%s: every program is the file that it names", (page) => {
  const text = readFileSync(join(ROOT, page), "utf8");
  const programs = [...text.matchAll(/(?:<!-- (\S+) -->\n)?```(?:ts|typescript|js|python|go)\n([\s\S]*?)```/g)];
  for (const [, file, program] of programs) {
    if (file === undefined) throw new Error(`${page} has a program that names no file:\n${program}`);
    expect(program).toBe(readFileSync(join(ROOT, file), "utf8"));
  }
});

test.each(pages)("%s: every other block that names a file is that file", (page) => {
  const text = readFileSync(join(ROOT, page), "utf8");
  for (const [, file = "", block] of text.matchAll(/<!-- (\S+) -->\n```\w+\n([\s\S]*?)```/g)) {
    expect([file, block]).toEqual([file, readFileSync(join(ROOT, file), "utf8")]);
  }
});

test.each(pages)("%s: links lead to files and headings that are there", (page) => {
  const text = readFileSync(join(ROOT, page), "utf8");
  for (const { path, anchor } of linksIn(text)) {
    const target = path === "" ? join(ROOT, page) : join(ROOT, dirname(page), path);
    expect([path, existsSync(target)]).toEqual([path, true]);
    if (anchor !== undefined) expect([...anchorsOf(readFileSync(target, "utf8"))]).toContain(anchor);
  }
});

test("docs/emulator.md: the number of exchanges is that of the recordings", () => {
  const recorded = ["cinder", "keystone", "nova"].flatMap(readExchanges).length;
  expect(readFileSync(join(ROOT, "docs", "emulator.md"), "utf8")).toContain(`replays ${recorded} exchanges`);
});

test("the figures of the two providers' processes are those of bench/results.json", () => {
  const { native } = JSON.parse(readFileSync(join(ROOT, "bench", "results.json"), "utf8"));
  const page = (name: string) => readFileSync(join(ROOT, "docs", name), "utf8");
  const seconds = (shell: string) => `${(native.startMs[shell].median / 1000).toFixed(2)} s`;
  const idle = (shell: string) => `${Math.round(native.idleMiB[shell].median)} MiB`;
  const waiting = (shell: string) => `${Math.round(native.waits.waitingMiB[shell].median)} MiB`;
  for (const shell of ["dynamic", "native"]) {
    const figures = `starts in ${seconds(shell)}; ${idle(shell)} idle, ${waiting(shell)} with 1 000 creates that wait`;
    expect(page("native.md")).toContain(figures);
  }
  for (const [row, figure] of [
    ["start to port", seconds],
    ["memory, idle", idle],
    ["memory, 1 000 waiting creates", waiting],
  ] as const) {
    expect(page("performance.md")).toContain(`| ${row} | ${figure("dynamic")} | ${figure("native")} |`);
  }
});

describe("CONTRIBUTING.md", () => {
  const text = readFileSync(join(ROOT, "CONTRIBUTING.md"), "utf8");
  const folders = ["cli", "docs", "emulator", "examples", "provider", "sdk", "test", "tools"];
  const all = [
    ...readdirSync(ROOT),
    ...folders.flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((path) => `${folder}/${path}`),
    ),
  ];

  test("names source files that exist", () => {
    const names = [...text.matchAll(/`([\w./]+\.(?:ts|mjs|js|md|json))`/g)].flatMap(([, name]) => name ?? []);
    expect(names.length).toBeGreaterThan(40);
    expect(names.filter((name) => !all.some((path) => path === name || path.endsWith(`/${name}`)))).toEqual([]);
  });

  test("names functions of the file before them", () => {
    const pairs = [...text.matchAll(/`(provider\/[\w/]+\.ts)`, `(\w+)` \|/g)];
    expect(pairs.length).toBeGreaterThan(1);
    const wrong = pairs.filter(
      ([, file = "", name]) => !new RegExp(`function ${name}\\b`).test(readFileSync(join(ROOT, file), "utf8")),
    );
    expect(wrong.map(([pair]) => pair)).toEqual([]);
  });
});
