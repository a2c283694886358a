// Each error text that docs/troubleshooting.md quotes is in the provider's sources, and its tables are those of the code.

import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { readable, renderHints } from "../../tools/docs/hints";

const ROOT = resolve(__dirname, "..", "..");
const PAGE = readFileSync(join(ROOT, "docs", "troubleshooting.md"), "utf8");
const SOURCES = ["provider", "sdk"].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => readFileSync(join(ROOT, folder, name), "utf8").replaceAll('\\"', '"')),
);

const [ours = ""] = PAGE.split("## What Pulumi itself says");
const QUOTED = [...ours.matchAll(/^### (`.*)$/gm)].flatMap(([, heading = ""]) =>
  [...heading.matchAll(/`([^`]+)`/g)].map(([, text = ""]) => text),
);

/** All parts between the `…` are in one file. */
const isInSources = (quoted: string) => {
  const parts = quoted
    .split("…")
    .map((part) => part.trim())
    .filter((part) => /\w/.test(part));
  return parts.length > 0 && SOURCES.some((source) => parts.every((part) => source.includes(part)));
};

test("there are quotations, and a text that is in no source would be found", () => {
  expect(QUOTED.length).toBeGreaterThan(40);
  expect(isInSources("there is no … connection that we ever wrote")).toBe(false);
});

test.each(QUOTED)("%s", (quoted) => expect(isInSources(quoted)).toBe(true));

test("the tables of hints are current; if not, run `npm run docs`", () => {
  const { before, after } = renderHints(ROOT);
  expect(before).toBe(after);
});

test.each([
  [/^Snapshot \S+ has no metadata with key/, "`Snapshot … has no metadata with key`"],
  [
    /status must be .*but current status is: (deleting|error_deleting)/,
    "`status must be …but current status is: deleting/error_deleting`",
  ],
  [/in task_state /, "`in task_state`"],
  [/is not ready|in launched_at None/, "`is not ready` or `in launched_at None`"],
  [/field\/attribute (display_)?name\b/, "`field/attribute name`"],
  [/^HOST_ALLOCATION\./, "`HOST_ALLOCATION.`"],
])("readable: %s", (pattern, text) => expect(readable(pattern)).toBe(text));
