// A registered resource has all its files (CONTRIBUTING.md), and each of them belongs to a registered resource.

import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { type ResourceName, resourceNames, resources, slugOf, typeOf } from "../../provider/resources";
import * as sdk from "../../sdk";

const ROOT = path.resolve(__dirname, "..", "..");

const filesOf = (name: ResourceName): string[] => [
  `sdk/${name}.ts`,
  `docs/${slugOf(name)}.md`,
  `examples/${slugOf(name)}/index.ts`,
  ...["ts", "py", "go", "yaml"].map((ending) => `examples/native/${slugOf(name)}.${ending}`),
  `test/faults/resources/${name}.ts`,
  `test/faults/table/${name}.test.ts`,
  `test/malformed/${name}.test.ts`,
  `test/kill/cases/${name}.ts`,
  `test/engine/kill/${name}.test.ts`,
  `test/package/programs/exports/${name}.ts`,
];

test.each(resourceNames)("%s: every file of a resource is there", (name) => {
  expect(filesOf(name).filter((file) => !existsSync(path.join(ROOT, file)))).toEqual([]);
});

test.each(resourceNames)("%s: there are contract tests", (name) => {
  const files = readdirSync(path.join(ROOT, "test/contract"));
  expect(files.filter((file) => file.startsWith(`${name}.`))).not.toEqual([]);
});

/** Measured in detail by tools/bench/programs.ts; and one at a time for a volume, so that many at once say nothing. */
const NOT_BENCHED: readonly ResourceName[] = ["snapshot", "assistedSnapshot"];

test.each(resourceNames.filter((name) => !NOT_BENCHED.includes(name)))("%s: the benchmark has a program", (name) => {
  const { program } = require(path.join(ROOT, "tools/bench/programs", name)) as { program: { name: string } };
  expect(program.name).toBe(typeOf(name));
});

test.each(resourceNames)("%s: the sdk exports its class, and its definition can be loaded", (name) => {
  expect(Object.keys(sdk)).toContain(typeOf(name));
  expect(Object.keys(resources[name]().inputs)).toContain("connection");
});

test.each(["test/faults/resources", "test/kill/cases", "test/package/programs/exports", "tools/bench/programs"])(
  "%s: no file without a resource",
  (folder) => {
    const names = readdirSync(path.join(ROOT, folder)).map((file) => file.replace(/\.ts$/, ""));
    expect(names.filter((name) => name !== "index" && !(name in resources))).toEqual([]);
  },
);
