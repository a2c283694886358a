// A link of a page that npm ships leads to a file that npm ships too: there is no repository beside an installed package.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join, posix, resolve } from "node:path";
import { anchorsOf, linksIn } from "../support/anchors";

const ROOT = resolve(__dirname, "..", "..");
const npm = (...args: string[]) => execFileSync("npm", args, { cwd: ROOT, encoding: "utf8" });
const [pack] = JSON.parse(npm("pack", "--dry-run", "--json", "--ignore-scripts")) as [{ files: { path: string }[] }];
const packed = new Set(pack.files.map(({ path }) => path));
const pages = [...packed].filter((path) => path.endsWith(".md"));

function deadLinksOf(page: string, text: string): string[] {
  return linksIn(text).flatMap(({ path, anchor }) => {
    const target = path === "" ? page : posix.join(dirname(page), path);
    if (!packed.has(target)) return [`${page}: ${path} is not in the package`];
    if (anchor === undefined || anchorsOf(readFileSync(join(ROOT, target), "utf8")).has(anchor)) return [];
    return [`${page}: no #${anchor} in ${target}`];
  });
}

test("the package has the pages for users", () => {
  expect(pages).toEqual(expect.arrayContaining(["README.md", "CHANGELOG.md", "docs/recipes.md", "docs/wire/vipr.md"]));
});

// Apart from its page: citations.test.ts would follow it.
const HASH = "#";

test("a dead link would be found", () => {
  expect(deadLinksOf("README.md", `[x](test/README.md) [y](docs/snapshot.md${HASH}nothing) [z](CHANGELOG.md)`)).toEqual(
    ["README.md: test/README.md is not in the package", `README.md: no ${HASH}nothing in docs/snapshot.md`],
  );
});

test.each(pages)("%s: no link is dead in the package", (page) => {
  expect(deadLinksOf(page, readFileSync(join(ROOT, page), "utf8"))).toEqual([]);
});
