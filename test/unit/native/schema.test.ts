// provider/native/schema.json is the one that `npm run docs` makes, and says what the definitions do.

import { readFileSync } from "node:fs";
import path from "node:path";
import { resourceNames, resources, slugOf, typeOf } from "../../../provider/resources";
import { packageSchema, renderSchema } from "../../../tools/docs/schema";
import { readSdk } from "../../../tools/docs/sdkSource";

const ROOT = path.resolve(__dirname, "..", "..", "..");
const schema = packageSchema(ROOT);

test("it is current; if not, run `npm run docs`", () => {
  const { before, after } = renderSchema(ROOT);
  expect(before).toBe(after);
});

test.each(resourceNames)("%s: its inputs are the definition's, its outputs those that the class registers", (name) => {
  const resource = schema.resources[`snapclone:index:${typeOf(name)}`];
  const { inputs } = resources[name]() as { inputs: Record<string, { onChange: unknown }> };
  expect(Object.keys(resource?.inputProperties ?? {}).sort()).toEqual(Object.keys(inputs).sort());
  expect(Object.keys(resource?.properties ?? {}).sort()).toEqual(readSdk(ROOT, name).registered.sort());
  const replacing = Object.entries(resource?.inputProperties ?? {}).filter(([, spec]) => spec.willReplaceOnChanges);
  expect(replacing.map(([input]) => inputs[input]?.onChange)).toEqual(replacing.map(() => "replace"));
  const described = [...Object.values(resource?.inputProperties ?? {}), ...Object.values(resource?.properties ?? {})];
  expect(described.filter(({ description }) => description === undefined)).toEqual([]);
});

test.each(resourceNames)("%s: `get` takes the connection, in every language", (name) => {
  const { stateInputs } = schema.resources[`snapclone:index:${typeOf(name)}`] ?? {};
  expect(stateInputs).toEqual({
    type: "object",
    properties: { connection: { type: "string", description: expect.stringContaining("name of the connection") } },
  });
  const [python, go] = [
    readFileSync(path.join(ROOT, "sdk/python/pulumi_snapclone", `${slugOf(name).replaceAll("-", "_")}.py`), "utf8"),
    readFileSync(path.join(ROOT, "sdk/go/snapclone", `${name}.go`), "utf8"),
  ];
  expect(python.slice(python.indexOf("def get("))).toContain('__props__.__dict__["connection"] = connection');
  expect(go).toMatch(new RegExp(`type ${typeOf(name)}State struct {[^}]*Connection pulumi.StringPtrInput`));
});

test("every reference leads to a type", () => {
  const references = [...JSON.stringify(schema).matchAll(/"#\/types\/([^"]+)"/g)].map(([, token = ""]) => token);
  expect(references.length).toBeGreaterThan(10);
  expect(references.filter((token) => !(token in schema.types))).toEqual([]);
});

test("connections are secret, and nothing in the schema says where it was made", () => {
  expect(JSON.stringify(schema.config)).toContain('"secret":true');
  expect(JSON.stringify(schema)).not.toMatch(/\/tmp\/|\/home\/|file:\/\//);
});
