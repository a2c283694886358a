// What is in the state of every resource ever made, and may therefore never change.

import { createRequire } from "node:module";
import * as pulumi from "@pulumi/pulumi";
import { AssistedSnapshot, LinkedTargetSet, Snapshot } from "../../../sdk";

interface Registered {
  type: string;
  name: string;
  inputs: Record<string, unknown>;
}

const registered: Registered[] = [];

beforeAll(() =>
  pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs, id }) => {
        registered.push({ type, name, inputs });
        return { id: id || `${name}-id`, state: inputs };
      },
      call: () => ({}),
    },
    "shop",
    "dev",
  ),
);

async function register(make: () => pulumi.CustomResource): Promise<Registered> {
  const before = registered.length;
  await new Promise((resolve) => make().id.apply(resolve));
  const made = registered.slice(before).at(-1);
  if (!made) throw new Error("nothing was registered");
  return made;
}

test("type and provider text", async () => {
  const { type, inputs } = await register(() => new Snapshot("nightly", { volumeId: "v" }));
  expect(type).toBe("pulumi-nodejs:dynamic/snapclone:Snapshot");
  expect(inputs.__provider).toBe('exports.handler=()=>require("pulumi-snapclone/dynamic/v1").snapshot');
  expect(String(inputs.__provider).length).toBeLessThanOrEqual(100);
});

test("type and provider text of AssistedSnapshot, which always lets the old one go first", async () => {
  const args = { volumeId: "v", snapshotId: "s", newFile: "f", fileToMerge: null, mergeTargetFile: null };
  const { type, inputs } = await register(() => new AssistedSnapshot("overlay", args));
  expect(type).toBe("pulumi-nodejs:dynamic/snapclone:AssistedSnapshot");
  expect(inputs.__provider).toBe('exports.handler=()=>require("pulumi-snapclone/dynamic/v1").assistedSnapshot');
  expect(String(inputs.__provider).length).toBeLessThanOrEqual(100);
  const front = createRequire(__filename)("../../../provider/dynamic") as Record<string, object>;
  expect(Object.keys(front)).toContain("assistedSnapshot");
});

test("type and provider text of LinkedTargetSet", async () => {
  const args = { snapshotSessionId: "s", targetName: "dev", count: 1 };
  const { type, inputs } = await register(() => new LinkedTargetSet("dev", args));
  expect(type).toBe("pulumi-nodejs:dynamic/snapclone:LinkedTargetSet");
  expect(inputs.__provider).toBe('exports.handler=()=>require("pulumi-snapclone/dynamic/v1").linkedTargetSet');
});

test("the module that the text names is there, and has the resource", () => {
  const { exports } = createRequire(__filename)("../../../package.json") as {
    exports: Record<string, { default: string }>;
  };
  expect(exports["./dynamic/v1"]?.default).toBe("./dist/provider/dynamic.js");
  const front = createRequire(__filename)("../../../provider/dynamic") as Record<string, object>;
  expect(Object.keys(front)).toEqual(expect.arrayContaining(["snapshot", "linkedTargetSet"]));
  expect(Object.keys(front.snapshot ?? {}).sort()).toEqual(
    ["check", "configure", "create", "delete", "diff", "read", "update"].sort(),
  );
});

test("the owner is the URN, parents included, and timeouts are copied", async () => {
  const component = new pulumi.ComponentResource("shop:index:Backups", "backups");
  const { inputs } = await register(
    () => new Snapshot("nightly", { volumeId: "v" }, { parent: component, customTimeouts: { create: "1h" } }),
  );
  expect(inputs.__owner).toBe(
    "urn:pulumi:dev::shop::shop:index:Backups$pulumi-nodejs:dynamic/snapclone:Snapshot::nightly",
  );
  expect(inputs.__timeouts).toEqual({ create: "1h" });
});

test("what is only read has no owner", async () => {
  const { inputs } = await register(() => Snapshot.get("theirs", "some-id", { connection: "dr" }));
  expect(inputs).toEqual({ connection: "dr", __provider: expect.any(String) });
});

test("isInstance knows its own, and an instance of another copy", async () => {
  const mine = new Snapshot("mine", { volumeId: "v" });
  const component = new pulumi.ComponentResource("shop:index:Other", "other");
  expect([mine, component, undefined, {}].map((one) => Snapshot.isInstance(one))).toEqual([true, false, false, false]);
});
