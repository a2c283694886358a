// The harness itself, with a resource that isn't this package's: what it reports and what it can interfere with.

import * as fs from "node:fs";
import * as path from "node:path";
import { describeEngine, newStack, type Stack } from "./harness";

/** A provider that stores nothing. Its create takes the time that the input says. */
const PROVIDER = `
exports.thing = {
  async diff(id, olds, news) { return { changes: olds.label !== news.label }; },
  async create(inputs) {
    await new Promise((resolve) => setTimeout(resolve, inputs.takesMs));
    return { id: "thing-" + inputs.label, outs: inputs };
  },
  async update(id, olds, news) { return { outs: news }; },
};`;

const program = (label: string, takesMs = 0) => ({
  js: `
const pulumi = require("@pulumi/pulumi");
class Thing extends pulumi.CustomResource {
  constructor(name, args) {
    const __provider = 'exports.handler=()=>require("throw-away").thing';
    super("pulumi-nodejs:dynamic/test:Thing", name, { ...args, __provider });
  }
}
exports.id = new Thing("thing", { label: "${label}", takesMs: ${takesMs} }).id;`,
});

/** What examples/quickstart asks for; its own Pulumi.yaml has these as defaults. */
const QUICKSTART = {
  "snapclone-test:dataVolume": "11111111-1111-4111-8111-111111111111",
  "snapclone-test:logsVolume": "22222222-2222-4222-8222-222222222222",
  "snapclone-test:label": "nightly",
  "snapclone-test:keepDays": 7,
};

describeEngine("the harness", () => {
  let stack: Stack;

  beforeEach(async () => {
    stack = await newStack({ program: program("a"), packages: { "throw-away": PROVIDER }, settings: QUICKSTART });
  });

  afterEach(() => stack.close());

  test("creates, leaves alone, updates and destroys", async () => {
    const created = await stack.up();
    expect(created).toMatchObject({ code: 0, stdout: expect.stringContaining("+ 2 created") });
    expect(await stack.resources()).toMatchObject([{ id: "thing-a", type: "pulumi-nodejs:dynamic/test:Thing" }]);

    const again = await stack.up();
    expect(again.events.find((event) => event.summaryEvent)?.summaryEvent?.resourceChanges).toEqual({ same: 2 });

    stack.setProgram(program("b"));
    expect((await stack.preview()).stdout).toContain("1 to update");
    expect((await stack.up()).stdout).toContain("~ 1 updated");

    expect((await stack.destroy()).code).toBe(0);
    expect(await stack.resources()).toEqual([]);
    expect(stack.providers()).toEqual([]);
  });

  test("a killed provider is an error of the run, not a hang", async () => {
    stack.setProgram(program("a", 60_000));
    const run = stack.start("up");
    process.kill(await stack.waitForProvider(), "SIGKILL");
    const result = await run.result;
    expect(result.code).not.toBe(0);
    expect(await stack.resources()).toEqual([]);
  });

  test("a killed pulumi leaves a provider behind, which is found, and a lock, which cancel takes away", async () => {
    stack.setProgram(program("a", 60_000));
    const run = stack.start("up");
    const provider = await stack.waitForProvider();
    run.child.kill("SIGKILL");
    expect((await run.result).code).toBeNull();
    expect(stack.providers()).toEqual([provider]);
    expect((await stack.up()).stderr).toContain("locked by 1 lock");
    expect((await stack.cancel()).code).toBe(0);
    await stack.close();
    expect(fs.existsSync(stack.dir)).toBe(false);
    expect(stack.providers()).toEqual([]);
  });

  test("a folder with a program in TypeScript", async () => {
    stack.setProgram({ dir: path.join(__dirname, "..", "..", "examples", "quickstart") });
    const preview = await stack.preview();
    expect(preview.stdout).toContain("+ 3 to create");
  });

  test("configuration arrives, secrets encrypted in the state", async () => {
    await stack.setConfig("snapclone:connections.default.password", "planted-secret", { secret: true });
    await stack.setConfig("snapclone:connections.default.authUrl", "http://127.0.0.1:1/v3");
    stack.setProgram({
      js: `const pulumi = require("@pulumi/pulumi");
exports.url = new pulumi.Config("snapclone").requireObject("connections").default.authUrl;`,
    });
    expect((await stack.up()).stdout).toContain('url: "http://127.0.0.1:1/v3"');
    expect(JSON.stringify(await stack.export())).not.toContain("planted-secret");
  });
});
