// A preview needs no connection. And what the user reads before any request is sent.

import type { Emulator } from "../../emulator";
import { type Backend, emulatorBackend } from "../scenarios/backend";
import { describeEngine, newStack, type Stack } from "./harness";

const VOLUME = "11111111-1111-4111-8111-111111111111";

describeEngine("without a cloud", () => {
  let stack: Stack;

  afterEach(() => stack.close());

  test("a preview needs no connection, also where a volume is not known yet", async () => {
    stack = await newStack({
      program: {
        js: `
const pulumi = require("@pulumi/pulumi");
const { Snapshot } = require("pulumi-snapclone");
const first = new Snapshot("first", { volumeId: "${VOLUME}", metadata: { keep: "7" } });
new Snapshot("second", { volumeId: first.status, name: pulumi.interpolate\`of-\${first.progress}\`, metadata: { from: first.createdAt } });`,
      },
    });
    const preview = await stack.preview();
    expect(preview).toMatchObject({ code: 0, stdout: expect.stringContaining("+ 3 to create") });
  });

  test("an up without a connection: the error names every source that was checked", async () => {
    stack = await newStack({
      program: { js: `new (require("pulumi-snapclone").Snapshot)("nightly", { volumeId: "${VOLUME}" });` },
    });
    const { code, stdout } = await stack.up();
    expect(code).not.toBe(0);
    for (const source of [
      "snapclone:connections.default",
      "clouds.yaml",
      "OS_CLOUD",
      "OS_AUTH_URL",
      "/etc/openstack",
    ]) {
      expect(stdout).toContain(source);
    }
    expect(stdout).not.toMatch(/^\s+at .*\.js:\d+/m);
  });

  test("bad inputs are refused all at once, each with its path", async () => {
    stack = await newStack({
      program: {
        js: `new (require("pulumi-snapclone").Snapshot)("nightly", {
  volumeID: "x", volumeId: "my-volume", name: "n".repeat(256), metadata: { "a b": 1, "snapclone:phase": "x" },
});`,
      },
    });
    const { code, stdout, stderr } = await stack.preview();
    expect(code).not.toBe(0);
    const output = stdout + stderr;
    for (const text of [
      "volumeID",
      "did you mean volumeId?",
      "UUID",
      "255 characters",
      'metadata["a b"]',
      "provider's own",
    ]) {
      expect(output).toContain(text);
    }
  });
});

describeEngine("a saved plan", () => {
  test("is carried out: hidden inputs and automatic names are the same in preview and up, whatever comes first", async () => {
    const { cloud, backend } = await emulatorBackend({ snapshotCreate: 100, snapshotDelete: 100 });
    const stack = await newStack({
      program: {
        // Which of them is registered first changes from run to run.
        js: `
const pulumi = require("@pulumi/pulumi");
const { Snapshot } = require("pulumi-snapclone");
const names = process.hrtime.bigint() % 2n === 0n ? ["one", "two"] : ["two", "one"];
for (const name of names) new Snapshot(name, { volumeId: "${VOLUME}" });
new Snapshot("three", { volumeId: "${VOLUME}", metadata: { a: pulumi.secret("b") } });`,
      },
      config: backend.connections,
      env: { PULUMI_EXPERIMENTAL: "true" },
    });
    try {
      for (const change of [{ created: 4 }, { same: 4 }]) {
        const preview = await stack.preview({ args: ["--save-plan", "plan.json", "--diff"] });
        expect([preview.code, preview.stdout]).toEqual([0, expect.not.stringMatching(/__\w+/)]);
        const up = await stack.up({ args: ["--plan", "plan.json"] });
        expect([up.code, up.stdout]).toEqual([0, expect.not.stringContaining("violates plan")]);
        const [[operation, count] = []] = Object.entries(change);
        expect(up.stdout).toMatch(
          operation === "same" ? new RegExp(`${count} unchanged`) : new RegExp(`${count} ${operation}`),
        );
      }
      const made = await stack.resources();
      expect(made.map(({ inputs }) => inputs?.__attempt)).toEqual(
        Array(3).fill(expect.stringMatching(/^[0-9a-f]{16}$/)),
      );
      expect(made.find(({ urn }) => urn.endsWith("::three"))?.inputs).toMatchObject({ __secrets: ["metadata.a"] });
    } finally {
      await stack.close();
      await cloud.close();
    }
  });
});

describeEngine("a snapshot that could not be made", () => {
  let cloud: Emulator;
  let backend: Backend;
  let stack: Stack;

  beforeAll(async () => {
    ({ cloud, backend } = await emulatorBackend({ snapshotCreate: 500, snapshotDelete: 300 }));
    stack = await newStack({
      program: { js: `new (require("pulumi-snapclone").Snapshot)("nightly", { volumeId: "${VOLUME}" });` },
      config: backend.connections,
    });
  });

  afterAll(async () => {
    await stack.close();
    await cloud.close();
  });

  test("is explained, recorded, and replaced by the next up: the new one first", async () => {
    cloud.cinder.failNext({ create: "error" });
    const failed = await stack.up();
    expect(failed.code).not.toBe(0);
    expect(failed.stdout).toContain("Cinder could not make it");
    expect(failed.stdout).toContain("the next `pulumi up` replaces it");
    const [broken] = await stack.resources();
    expect(broken).toMatchObject({ outputs: { status: "error" }, initErrors: [expect.any(String)] });

    const preview = await stack.preview();
    expect(preview.stdout).toContain("1 to replace");
    expect((await stack.up()).code).toBe(0);
    const [made] = await stack.resources();
    expect(made).toMatchObject({ outputs: { status: "available" } });
    expect(made?.id).not.toBe(broken?.id);
    expect([...cloud.cinder.snapshots.keys()]).toEqual([made?.id]);
  });
});
