// What is in the state of every resource ever made, and may therefore never change.

import { createRequire } from "node:module";
import * as pulumi from "@pulumi/pulumi";
import providers from "../../../provider/dynamic";
import { resourceNames, typeOf } from "../../../provider/resources";
import * as sdk from "../../../sdk";
import { RESOURCES } from "../../faults/resources/index";

interface Registered {
  type: string;
  name: string;
  inputs: Record<string, unknown>;
}

const { Snapshot, VolumeClone } = sdk;
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

/** In states of released versions: these names stay, whatever else is registered. */
const RELEASED = ["snapshot", "volumeClone", "linkedTargetSet", "clonedVm", "assistedSnapshot"];

test.each(resourceNames)("%s: type and provider text", async (name) => {
  const type = typeOf(name);
  const inputs = RESOURCES[resourceNames.indexOf(name)]?.before;
  const resourceClass = Object.entries(sdk).find(([exported]) => exported === type)?.[1];
  const { type: registeredType, inputs: props } = await register(() =>
    Reflect.construct(resourceClass as typeof Snapshot, ["one", inputs]),
  );
  expect(registeredType).toBe(`pulumi-nodejs:dynamic/snapclone:${type}`);
  expect(props.__provider).toBe(`exports.handler=()=>require("pulumi-snapclone/dynamic/v1").${name}`);
  expect(String(props.__provider).length).toBeLessThanOrEqual(100);
});

test("the module that the texts name is there, and has them all", () => {
  const { exports } = createRequire(__filename)("../../../package.json") as {
    exports: Record<string, { default: string }>;
  };
  expect(exports["./dynamic/v1"]?.default).toBe("./dist/provider/dynamic.js");
  expect(Object.keys(providers)).toEqual(resourceNames);
  expect(resourceNames).toEqual(expect.arrayContaining(RELEASED));
  for (const provider of Object.values(providers)) {
    expect(Object.keys(provider).sort()).toEqual(
      ["check", "configure", "create", "delete", "diff", "read", "update"].sort(),
    );
  }
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

test("all resources as children of one component are registered, also if one needs another", async () => {
  const component = new pulumi.ComponentResource("shop:index:Backups", "family");
  const children = resourceNames.map((name, index) => {
    const resourceClass = Object.entries(sdk).find(([exported]) => exported === typeOf(name))?.[1];
    const args = [name, RESOURCES[index]?.before, { parent: component }];
    return Reflect.construct(resourceClass as typeof Snapshot, args) as pulumi.CustomResource;
  });
  const [snapshot] = children;
  const dependent = new sdk.VolumeFromSnapshot("copy", { snapshotId: snapshot?.id ?? "" }, { parent: component });
  const child = new Snapshot("nested", { volumeId: dependent.id }, { parent: dependent });
  const ids = await new Promise((resolve) =>
    pulumi.all([...children, dependent, child].map(({ id }) => id)).apply(resolve),
  );
  expect(ids).toEqual([...resourceNames, "copy", "nested"].map((name) => `${name}-id`));
});

test("what is only read has no owner", async () => {
  const { inputs } = await register(() => Snapshot.get("theirs", "some-id", { connection: "dr" }));
  expect(inputs).toEqual({ connection: "dr", __provider: expect.any(String) });
});

test("isInstance knows its own, and an instance of another copy", async () => {
  const mine = new Snapshot("mine", { volumeId: "v" });
  const clones = VolumeClone.get("theirs", "snapclone-1");
  const component = new pulumi.ComponentResource("shop:index:Other", "other");
  expect([mine, component, undefined, {}].map((one) => Snapshot.isInstance(one))).toEqual([true, false, false, false]);
  expect([clones, mine, undefined].map((one) => VolumeClone.isInstance(one))).toEqual([true, false, false]);
});

test("secret inputs are told by their paths, one level of Outputs deep; without any, nothing is told", async () => {
  const secret = await register(
    () =>
      new Snapshot("s", {
        volumeId: "v",
        name: pulumi.secret("hush"),
        metadata: { open: pulumi.output("x"), hidden: pulumi.secret("y") },
        triggers: [pulumi.secret(1), 2],
      }),
  );
  expect(secret.inputs.__secrets).toEqual(["name", "metadata.hidden", "triggers[0]"]);
  const whole = await register(
    () => new Snapshot("w", { volumeId: "v", metadata: pulumi.output({ a: pulumi.secret("y") }) }),
  );
  expect(whole.inputs.__secrets).toEqual(["metadata"]);
  const none = await register(() => new Snapshot("n", { volumeId: pulumi.output("v") }));
  expect(none.inputs).not.toHaveProperty("__secrets");
});

test("the option `import` goes to the provider, and not to Pulumi", async () => {
  const imported = await register(() => new Snapshot("taken", { volumeId: "v" }, { import: "an-id", protect: true }));
  expect(imported.inputs).toMatchObject({ __import: "an-id", volumeId: "v" });
  const { inputs } = await register(() => Snapshot.get("read", "another-id", {}, { import: "an-id" }));
  expect(inputs).not.toHaveProperty("__import");
});
