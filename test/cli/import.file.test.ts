// `snapclone import --file` against the emulator: what the file says, and that no file of somebody else is lost.
// test/engine/import.file.test.ts has Pulumi take it.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { version } from "../../provider/version";
import { snapclone, stackConfig } from "./fixture";

let emulator: Emulator;
let cwd: string;
beforeEach(async () => {
  emulator = await startEmulator({ clock: "instant" });
  cwd = mkdtempSync(join(tmpdir(), "snapclone-import-"));
});
afterEach(async () => {
  await emulator.close();
  rmSync(cwd, { recursive: true });
});

const config = () => ({ ...emulator.connections(), "off/site": emulator.connections().default ?? {} });
const run = (...argv: string[]) =>
  snapclone(["import", ...argv, "--stack-config", "-", "--file", "out.json"], { cwd, stdin: stackConfig(config()) });
const make = () => emulator.cinder.createSnapshot({ volume_id: SEED_VOLUMES.data, name: "by hand" }).id;
const file = () => JSON.parse(readFileSync(join(cwd, "out.json"), "utf8"));
const entry = (name: string, id: string) => ({
  type: "snapclone:index:Snapshot",
  name,
  id,
  version,
});

test("the native type, the connection in the id, and the program's lines for the native class", async () => {
  const [one, two] = [make(), make()];
  const { code, stdout, stderr } = await run("Snapshot", "nightly", one);
  expect([code, stdout]).toEqual([
    0,
    [
      'import { Snapshot } from "pulumi-snapclone/native";',
      "",
      'new Snapshot("nightly", {',
      `  volumeId: "${SEED_VOLUMES.data}",`,
      '  name: "by hand",',
      "});",
      "",
    ].join("\n"),
  ]);
  expect(stderr).toContain("pulumi import --file out.json --generate-code=false");
  expect(stderr).toContain("A dynamic class has the option `import` instead");
  expect(file()).toEqual({ resources: [entry("nightly", one)] });

  // More objects are added. The same type and name is one resource.
  expect((await run("Snapshot", "weekly", two, "--connection", "off/site")).stdout).toContain('connection: "off/site"');
  expect(file().resources).toEqual([entry("nightly", one), entry("weekly", `off/site/${two}`)]);
  await run("Snapshot", "nightly", two);
  expect(file().resources).toEqual([entry("weekly", `off/site/${two}`), entry("nightly", two)]);
  expect(emulator.requests.filter(({ service, method }) => service === "cinder" && method !== "GET")).toEqual([]);
});

test("what else an import file has stays", async () => {
  const parent = "urn:pulumi:dev::shop::pulumi:pulumi:Stack::shop-dev";
  const theirs = { nameTable: { stack: parent }, resources: [{ type: "aws:s3:Bucket", name: "nightly", id: "b" }] };
  writeFileSync(join(cwd, "out.json"), JSON.stringify(theirs));
  const id = make();
  await run("Snapshot", "nightly", id);
  expect(file()).toEqual({ ...theirs, resources: [...theirs.resources, entry("nightly", id)] });
});

test.each(["", "{", "[]", '{"resources": {}}', '{"resources": ["x"]}'])(
  "a file %j is none that Pulumi imports: refused, and left alone",
  async (text) => {
    writeFileSync(join(cwd, "out.json"), text);
    const { code, stdout, stderr } = await run("Snapshot", "nightly", make());
    expect([code, stdout, stderr]).toEqual([2, "", expect.stringContaining("out.json exists and is not a file of")]);
    expect(readFileSync(join(cwd, "out.json"), "utf8")).toBe(text);
  },
);

test("what can't be imported makes no file", async () => {
  for (const [argv, message] of [
    [["AssistedSnapshot", "n", "x"], "can't be imported"],
    [["Snapshot", "n", "99999999-9999-4999-8999-999999999999"], "there is no snapshot"],
  ] as const) {
    const { code, stderr } = await run(...argv);
    expect([code, stderr]).toEqual([3, expect.stringContaining(message)]);
  }
  expect(() => file()).toThrow("ENOENT");
});
