// sdk/python and sdk/go are those that `npm run sdk` makes of the schema. This test needs no Go: it compares what they were made
// of. test/engine/native/sdks.test.ts makes them anew.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { goModule } from "../../../tools/docs/languages";
import { stampOf } from "../../../tools/sdk/generate";

const ROOT = path.resolve(__dirname, "..", "..", "..");
const EXAMPLES = path.join(ROOT, "examples", "native");
const read = (file: string) => readFileSync(path.join(ROOT, file), "utf8");

test("they are those of this schema, version and generator; if not, run `npm run sdk`", () => {
  expect(stampOf(ROOT)).toEqual(JSON.parse(read("tools/sdk/generated.json")));
});

test("the generators are of the engine's version", () => {
  const version = (file: string) => /github\.com\/pulumi\/pulumi\/pkg\/v3 (\S+)/.exec(read(file))?.[1];
  expect(version("tools/sdk/go.mod")).toBe(version("tools/engine/go.mod"));
});

test("the SDKs name the package's version and the plugin, and no place to download the plugin from", () => {
  const { version } = JSON.parse(read("package.json"));
  const plugin = { resource: true, name: "snapclone", version };
  expect(JSON.parse(read("sdk/python/pulumi_snapclone/pulumi-plugin.json"))).toEqual(plugin);
  expect(JSON.parse(read("sdk/go/snapclone/pulumi-plugin.json"))).toEqual(plugin);
  expect(read("sdk/python/pyproject.toml")).toContain(`version = "${version}"`);
});

test("the Go module is where package.json says that the repository is", () => {
  expect(read("sdk/go/go.mod")).toMatch(new RegExp(`^module ${goModule(ROOT)}$`, "m"));
  const programs = readdirSync(EXAMPLES).filter((name) => name.endsWith(".go"));
  const wrong = programs.filter((name) => !read(`examples/native/${name}`).includes(`"${goModule(ROOT)}/snapclone"`));
  expect(wrong).toEqual([]);
});

test("names in Python keep units together: size_gib", () => {
  const text = read("sdk/python/pulumi_snapclone/volume_from_snapshot.py");
  expect(text).toContain('@pulumi.getter(name="sizeGiB")\n    def size_gib(self)');
  const files = readdirSync(path.join(ROOT, "sdk/python/pulumi_snapclone")).filter((name) => name.endsWith(".py"));
  expect(files.filter((name) => /_gi_b\b/.test(read(`sdk/python/pulumi_snapclone/${name}`)))).toEqual([]);
});
