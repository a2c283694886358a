// docs/faults.md says what the table says. UPDATE=1 writes it.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cellOf, FAULTS, type FaultName } from "./faults";
import { report } from "./report";
import { RESOURCES } from "./resources/index";

const PAGE = join(__dirname, "..", "..", "docs", "faults.md");

test("docs/faults.md is what the table says", () => {
  if (process.env.UPDATE === "1") writeFileSync(PAGE, report());
  expect(readFileSync(PAGE, "utf8")).toBe(report());
});

test.each(RESOURCES.map((subject) => [subject.title, subject] as const))(
  "%s: what fails says why, and an exception is one",
  (_title, subject) => {
    for (const fault of Object.keys(FAULTS) as FaultName[]) {
      for (const [place, at] of Object.entries(subject.places)) {
        const { outcome, kind, says } = cellOf(subject, fault, place);
        const failed = outcome === "fails" || outcome === "recorded";
        expect([fault, place, kind !== undefined, says !== undefined]).toEqual([fault, place, failed, failed]);
        const exception = subject.cells[fault]?.[place];
        if (exception) expect([fault, place, exception]).not.toEqual([fault, place, FAULTS[fault].rule(at)]);
      }
      for (const place of Object.keys(subject.cells[fault] ?? {})) expect(Object.keys(subject.places)).toContain(place);
    }
  },
);
