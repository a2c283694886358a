// What a preview may need: nothing. And what the user is told before anything is sent.

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

  test("an up without a connection names every place it looked for one", async () => {
    stack = await newStack({
      program: { js: `new (require("pulumi-snapclone").Snapshot)("nightly", { volumeId: "${VOLUME}" });` },
    });
    const { code, stdout } = await stack.up();
    expect(code).not.toBe(0);
    for (const place of ["snapclone:connections.default", "clouds.yaml", "OS_CLOUD", "OS_AUTH_URL", "/etc/openstack"]) {
      expect(stdout).toContain(place);
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
    const said = stdout + stderr;
    for (const text of [
      "volumeID",
      "did you mean volumeId?",
      "UUID",
      "255 characters",
      'metadata["a b"]',
      "provider's own",
    ]) {
      expect(said).toContain(text);
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
