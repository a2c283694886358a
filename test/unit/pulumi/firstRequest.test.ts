// The seed of the first check, where Pulumi's handler is on the stack. In a process of its own, without a debugger.

import { execFileSync } from "node:child_process";
import path from "node:path";

const root = path.resolve(__dirname, "..", "..", "..");

/** Calls `firstSeed` as Pulumi's handler does: after an await, through the provider's own function. */
function seedIn(handler: string, urn = "urn:first"): { seed: string; queried: number } {
  const script = `
const inspector = require("node:inspector");
let queried = 0;
const post = inspector.Session.prototype.post;
inspector.Session.prototype.post = function (method, ...more) {
  if (method === "Runtime.queryObjects") queried += 1;
  return post.call(this, method, ...more);
};
const { firstSeed } = require("./provider/pulumi/firstRequest");
class CheckRequest {
  constructor(urn, seed) { this.urn = urn; this.seed = seed; }
  getUrn() { return this.urn; }
  getRandomseed_asB64() { return this.seed; }
}
const provider = { check: async () => firstSeed(CheckRequest, ${JSON.stringify(urn)}) };
const other = new CheckRequest("urn:other", "another seed");
${handler}
run({ request: new CheckRequest("urn:first", "the first seed") }).then((seed) => {
  console.log(JSON.stringify({ seed: seed ?? "none", queried, other: other.urn }));
});`;
  const output = execFileSync(process.execPath, ["-r", "ts-node/register/transpile-only", "-e", script], {
    cwd: root,
    encoding: "utf8",
    timeout: 60_000,
    env: { ...process.env, NODE_OPTIONS: "", TS_NODE_PROJECT: path.join(root, "tsconfig.json") },
  });
  return JSON.parse(output) as { seed: string; queried: number };
}

const PULUMIS = `
class Service {
  async check(call, callback) {
    const req = call.request;
    await undefined;
    const result = await provider.check({}, {});
    return result ?? req.nothing;
  }
}
const run = (call) => new Service().check(call);`;

test("is found on the stack, and the heap is not searched", () => {
  expect(seedIn(PULUMIS)).toMatchObject({ seed: "the first seed", queried: 0 });
});

test("another resource's request on the stack is not taken", () => {
  expect(seedIn(PULUMIS, "urn:third")).toMatchObject({ seed: "none", queried: 1 });
});

test("is found on the heap where a later Pulumi calls its handler otherwise", () => {
  const renamed = PULUMIS.replaceAll("check(call, callback)", "verify(call, callback)").replace(
    ".check(call)",
    ".verify(call)",
  );
  expect(seedIn(renamed)).toMatchObject({ seed: "the first seed", queried: 1 });
});
