// docs/faults.md says what the table says. UPDATE=1 writes it.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expectationAt, FAULTS, type FaultName } from "./faults";
import { report } from "./report";
import { CHAPTERS } from "./resources/index";

const PAGE = join(__dirname, "..", "..", "docs", "faults.md");

test("docs/faults.md is what the table says", () => {
  if (process.env.UPDATE === "1") writeFileSync(PAGE, report());
  expect(readFileSync(PAGE, "utf8")).toBe(report());
});

test.each(CHAPTERS.map((resource) => [resource.title, resource] as const))(
  "%s: what fails says why, and an exception is one",
  (_title, resource) => {
    for (const fault of Object.keys(FAULTS) as FaultName[]) {
      for (const [site, at] of Object.entries(resource.sites)) {
        const { outcome, kind, message } = expectationAt(resource, fault, site);
        const failed = outcome === "fails" || outcome === "recorded";
        expect([fault, site, kind !== undefined, message !== undefined]).toEqual([fault, site, failed, failed]);
        const exception = resource.expectations[fault]?.[site];
        if (exception) expect([fault, site, exception]).not.toEqual([fault, site, FAULTS[fault].rule(at)]);
      }
      for (const site of Object.keys(resource.expectations[fault] ?? {}))
        expect(Object.keys(resource.sites)).toContain(site);
    }
  },
);
