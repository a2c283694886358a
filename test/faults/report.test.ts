// docs/faults.md says what the table says. UPDATE=1 writes it.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PLACES } from "./places";
import { report } from "./report";
import { TABLE } from "./table";

const PAGE = join(__dirname, "..", "..", "docs", "faults.md");

test("docs/faults.md is what the table says", () => {
  if (process.env.UPDATE === "1") writeFileSync(PAGE, report());
  expect(readFileSync(PAGE, "utf8")).toBe(report());
});

test("the table has each fault of each place, and what fails says why", () => {
  expect(new Set(TABLE.map(({ fault }) => fault)).size).toBe(TABLE.length);
  for (const { fault, cells } of TABLE) {
    expect([fault, Object.keys(cells).sort()]).toEqual([fault, Object.keys(PLACES).sort()]);
    for (const { outcome, kind, says } of Object.values(cells)) {
      const failed = outcome === "fails" || outcome === "recorded";
      expect([fault, kind !== undefined, says !== undefined]).toEqual([fault, failed, failed]);
    }
  }
});
