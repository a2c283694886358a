// Which folder may know which (CONTRIBUTING.md, "The shape"). Read from the imports themselves.

import { readdirSync, readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";

const ROOT = resolve(__dirname, "..", "..");

interface Import {
  file: string;
  /** A path from the repository's root, or a package. */
  to: string;
  typeOnly: boolean;
}

const imports: Import[] = ["sdk", "provider", "emulator", "cli", "tools"].flatMap((folder) =>
  sources(join(ROOT, folder)).flatMap(importsOf),
);

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name));
}

function importsOf(path: string): Import[] {
  const text = readFileSync(path, "utf8");
  const pattern =
    /(?:^|\n)\s*(?:import|export)\s+(type\s)?[^;"]*?from\s+"([^"]+)"|(typeof import|import|require)\("([^"]+)"\)/g;
  return [...text.matchAll(pattern)].map(([, type, from, call, called]) => {
    const to = from ?? called ?? "";
    return {
      file: relative(ROOT, path),
      to: to.startsWith(".") ? relative(ROOT, resolve(path, "..", to)) : to,
      typeOnly: type !== undefined || call === "typeof import",
    };
  });
}

/** Those that break the rule, as lines to read. */
function breaches(rule: (one: Import) => boolean): string[] {
  return imports.filter(rule).map(({ file, to }) => `${file} imports ${to}`);
}

const within = (folder: string) => (path: string) => path.startsWith(`${folder}/`);
const WIRE =
  /^provider\/[a-z]+\/(keystone|cinder|cinderErrors|cinderLists|cinderVersion|nova|faults|urls|client|connection|auth|errors|answers|signature|cloudsYaml)$/;
const isWire = (file: string) => WIRE.test(file.replace(/\.ts$/, ""));

test("imports are found at all", () => {
  expect(imports.length).toBeGreaterThan(80);
  expect(imports).toContainEqual({ file: "provider/openstack/snapshot/inputs.ts", to: "zod", typeOnly: false });
  expect(imports).toContainEqual({ file: "provider/core/http/client.ts", to: "undici", typeOnly: true });
});

test("the core knows no backend and no Pulumi", () => {
  const allowed = (to: string) => within("provider/core")(to) || /^(node:|zod$|undici(\/index\.js)?$)/.test(to);
  expect(breaches(({ file, to }) => within("provider/core")(file) && !allowed(to))).toEqual([]);
});

test("the wire neither waits nor knows what it is used for", () => {
  const lifecycle =
    /^provider\/core\/(poll|lifecycle|operation|outputs|adopt|orphans|ownership|run|batchPoller|check|diff)$/;
  const allowed = (to: string) =>
    !to.startsWith("provider/") || isWire(to) || (within("provider/core")(to) && !lifecycle.test(to));
  expect(breaches(({ file, to }) => isWire(file) && !allowed(to))).toEqual([]);
});

test("the provider does not know the sdk; the sdk knows the provider by name and by type", () => {
  expect(breaches(({ file, to }) => within("provider")(file) && within("sdk")(to))).toEqual([]);
  expect(
    breaches(
      ({ file, to, typeOnly }) =>
        within("sdk")(file) &&
        within("provider")(to) &&
        !typeOnly &&
        file !== "sdk/lookup.ts" &&
        !/^provider\/version/.test(to),
    ),
  ).toEqual([]);
});

test("the emulator is a reading of the wire of its own", () => {
  // zod checks what a user gives at the start; what comes over the wire is refused in each service's own words.
  const isData = (file: string) => /^emulator\/[a-z]+\/data\.ts$/.test(file);
  const foreign = (file: string) =>
    isData(file) ? /^(provider|sdk|cli|tools|undici)(\/|$)/ : /^(provider|sdk|cli|tools|zod|undici)(\/|$)/;
  expect(breaches(({ file, to }) => within("emulator")(file) && foreign(file).test(to))).toEqual([]);
});

test("the command line is a front of its own: only its emulator knows the emulator, and nothing knows the command line", () => {
  const isEmulatorCommand = within("cli/commands/emulator");
  expect(
    breaches(
      ({ file, to }) =>
        within("cli")(file) &&
        (within("sdk")(to) ||
          (within("emulator")(to) && file !== "cli/commands/emulator.ts" && !isEmulatorCommand(file))),
    ),
  ).toEqual([]);
  expect(breaches(({ file, to }) => !within("cli")(file) && within("cli")(to))).toEqual([]);
});

test("one HTTP client, one place that sleeps, Pulumi only at the front", () => {
  expect(
    breaches(
      ({ file, to }) => within("provider")(file) && /^undici(\/|$)/.test(to) && file !== "provider/core/http/client.ts",
    ),
  ).toEqual([]);
  expect(
    breaches(
      ({ file, to }) =>
        within("provider")(file) && to === "node:timers/promises" && file !== "provider/core/util/clock.ts",
    ),
  ).toEqual([]);
  expect(
    breaches(
      ({ file, to }) =>
        within("provider")(file) &&
        to.startsWith("@pulumi/") &&
        !/^provider\/(dynamic|pulumi\/[a-z]+|native\/[a-z]+)\.ts$/i.test(file),
    ),
  ).toEqual([]);
});

test("a file has at most 500 lines, so that it can be read from top to bottom", () => {
  const long = ["sdk", "provider", "emulator", "tools", "test"]
    .flatMap((folder) => sources(join(ROOT, folder)))
    .map((path) => ({ path, lines: readFileSync(path, "utf8").split("\n").length - 1 }))
    .filter(({ lines }) => lines > 500)
    .map(({ path, lines }) => `${relative(ROOT, path)}: ${lines} lines`);
  expect(long).toEqual([]);
});

test("the words of early builds, which nobody else uses, name nothing any more", () => {
  const words =
    /\b(ledger|debris|errands?|troubles?|turns|slots|experience|sharedLook|yard|lanes|takeStock|rehearse|carryOut)\b(?=\s*[:=(.,;)])|\b(Ledger|Errand|Turns|Slots|Experience|SharedLook|Yard|Course)\b/;
  const found = ["sdk", "provider", "emulator", "cli", "tools", "test"]
    .flatMap((folder) => sources(join(ROOT, folder)))
    .flatMap((path) =>
      readFileSync(path, "utf8")
        .split("\n")
        .map((line, at) => ({ path, line, at })),
    )
    .filter(({ path, line }) => path !== __filename && words.test(line.replace(/\/\/.*|^\s*\/?\*.*/, "")))
    .map(({ path, line, at }) => `${relative(ROOT, path)}:${at + 1}: ${line.trim()}`);
  expect(found).toEqual([]);
});
