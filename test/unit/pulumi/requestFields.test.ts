// The seed of a check reaches our code, and nothing of it gets any further. In a process of its own, which takes itself
// for Pulumi's dynamic provider.

import { execFileSync } from "node:child_process";
import path from "node:path";

const root = path.resolve(__dirname, "..", "..", "..");

/** Runs `body` with `passed` as in Pulumi's handler: a request that was read, and the plain inputs in it. */
function inProvider(body: string): unknown {
  const script = `
process.argv[1] = ${JSON.stringify(path.join(root, "node_modules/@pulumi/pulumi/cmd/dynamic-provider/index.js"))};
const load = require("node:module").createRequire(process.argv[1]);
const { CheckRequest } = load("@pulumi/pulumi/proto/provider_pb");
const { Struct } = load("google-protobuf/google/protobuf/struct_pb.js");
const read = (urn, seed, inputs = { name: "n" }) => {
  const request = new CheckRequest();
  request.setUrn(urn);
  request.setRandomseed(Buffer.from(seed));
  request.setNews(Struct.fromJavaScript(inputs));
  return CheckRequest.deserializeBinary(request.serializeBinary());
};
const seedOf = (randomSeed) => randomSeed?.toString();
const first = read("urn:first", "the first seed");
const firstNews = first.getNews().toJavaScript();
// Only now, as in Pulumi's process: its first request is read before the provider's code is loaded.
const engine = require("./provider/pulumi/engine");
engine.passRequestFields();
const told = (() => { ${body} })();
console.log(JSON.stringify({ told, first: first.getUrn() }));`;
  const message = execFileSync(process.execPath, ["-r", "ts-node/register/transpile-only", "-e", script], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, TS_NODE_PROJECT: path.join(root, "tsconfig.json") },
  });
  return (JSON.parse(message) as { told: unknown }).told;
}

test("the first request's is found where Pulumi's handler holds it; the later ones travel in the inputs", () => {
  const told = inProvider(`
    const before = JSON.stringify(firstNews);
    const found = seedOf(engine.takeRandomSeed(firstNews, "urn:first"));
    const news = read("urn:second", "the second seed").getNews().toJavaScript();
    const travelled = Object.keys(news);
    const second = seedOf(engine.takeRandomSeed(news, "urn:second"));
    return { before, found, travelled, second, left: [firstNews, news], globals: Object.getOwnPropertySymbols(globalThis).map(String) };
  `);
  expect(told).toMatchObject({
    before: '{"name":"n"}',
    found: "the first seed",
    travelled: ["__request", "name"],
    second: "the second seed",
    left: [{ name: "n" }, { name: "n" }],
  });
  expect(JSON.stringify(told)).not.toContain("pulumi-snapclone/inspected");
});

test("of another resource's request nothing is taken; what exists needs none; later checks are not looked for", () => {
  const told = inProvider(`
    const other = seedOf(engine.takeRandomSeed(firstNews, "urn:other"));
    const late = seedOf(engine.takeRandomSeed(firstNews, "urn:first"));
    return { other: other ?? "none", late: late ?? "none" };
  `);
  expect(told).toEqual({ other: "none", late: "none" });
  expect(inProvider(`return seedOf(engine.takeRandomSeed(firstNews, undefined)) ?? "none";`)).toBe("none");
});

test("an engine that gives no seed", () => {
  expect(inProvider(`return Object.keys(read("urn:second", "").getNews().toJavaScript());`)).toEqual(["name"]);
});

test.each([
  ["CreateRequest", "setProperties", "getProperties"],
  ["UpdateRequest", "setNews", "getNews"],
  ["DeleteRequest", "setProperties", "getProperties"],
])("the timeout of a %s travels in its properties, and nothing of it gets any further", (type, set, get) => {
  const told = inProvider(`
    const { ${type} } = load("@pulumi/pulumi/proto/provider_pb");
    const pass = (seconds) => {
      const request = new ${type}();
      request.${set}(Struct.fromJavaScript({ name: "n" }));
      request.setTimeout(seconds);
      const properties = ${type}.deserializeBinary(request.serializeBinary()).${get}().toJavaScript();
      return [engine.takeTimeout(properties) ?? "none", properties];
    };
    return [pass(420), pass(0)];
  `);
  expect(told).toEqual([
    [420_000, { name: "n" }],
    ["none", { name: "n" }],
  ]);
});
