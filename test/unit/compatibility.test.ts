// Each row of "What was run with what" in docs/compatibility.md names a test that is there.

import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(__dirname, "..", "..");
const page = readFileSync(join(ROOT, "docs", "compatibility.md"), "utf8");
const section = page.split("\n## What was run with what\n")[1] ?? "";
const rows = section
  .split("\n")
  .filter((line) => line.startsWith("|"))
  .slice(2)
  .map((line): [string, string] => {
    const cells = line.split("|").map((cell) => cell.trim());
    return [cells[1] ?? "", cells.at(-2) ?? ""];
  });

/** Whether a cell names a file of tests, and words of a test in it. */
function namesTest(cell: string): boolean {
  const [, file = "", words = ""] = /^`(test\/\S+\.test\.ts)`: `(.+)`$/.exec(cell) ?? [];
  return words !== "" && existsSync(join(ROOT, file)) && readFileSync(join(ROOT, file), "utf8").includes(words);
}

test("there are rows, and a row without a test would be found", () => {
  expect(rows.length).toBeGreaterThan(20);
  expect(namesTest("")).toBe(false);
  expect(namesTest("`test/engine/habits.test.ts`: `a test that nobody wrote`")).toBe(false);
  expect(namesTest("`test/engine/nowhere.test.ts`: `test`")).toBe(false);
});

test.each(rows)("%s", (_what, cell) => {
  expect([cell, namesTest(cell)]).toEqual([cell, true]);
});
