// Lookups under Pulumi's mocks, and what the classes say they are.

import * as pulumi from "@pulumi/pulumi";
import {
  AssistedSnapshot,
  ClonedVm,
  getSnapshot,
  getSnapshotOutput,
  LinkedTargetSet,
  listSnapshots,
  listSnapshotsOutput,
  Snapshot,
  VolumeClone,
  VolumeFromSnapshot,
} from "../../../sdk";

const calls: { token: string; inputs: Record<string, unknown> }[] = [];
const INFO = { id: "s-1", volumeId: "v-1", status: "available", sizeGiB: 1, metadata: {} };

beforeAll(() =>
  pulumi.runtime.setMocks({
    newResource: ({ name, inputs }) => ({ id: `${name}-id`, state: inputs }),
    call: ({ token, inputs }) => {
      calls.push({ token, inputs });
      return token.endsWith("listSnapshots") ? { snapshots: [INFO] } : INFO;
    },
  }),
);

beforeEach(() => {
  calls.length = 0;
});

const resolved = <T>(output: pulumi.Output<T>) => new Promise<T>((resolve) => output.apply(resolve));

test("lookups: the program's mocks answer, and nothing signs in", async () => {
  expect(await getSnapshot({ id: "s-1" })).toMatchObject(INFO);
  expect(await listSnapshots({ volumeId: "v-1" })).toMatchObject([INFO]);
  expect(calls).toEqual([
    { token: "snapclone:index:getSnapshot", inputs: { id: "s-1" } },
    { token: "snapclone:index:listSnapshots", inputs: { volumeId: "v-1" } },
  ]);
});

test("lookups: outputs of resources are arguments, and dependsOn takes resources and components", async () => {
  const component = new pulumi.ComponentResource("test:index:Group", "group");
  const child = new Snapshot("child", { volumeId: "v-1" }, { parent: component });
  expect(await resolved(getSnapshotOutput({ id: child.id }))).toMatchObject(INFO);
  expect(await resolved(listSnapshotsOutput({}, { dependsOn: component }))).toMatchObject([INFO]);
  expect(await resolved(listSnapshotsOutput({}, { dependsOn: [child, pulumi.output(component)] }))).toHaveLength(1);
  expect(calls[0]?.inputs).toEqual({ id: "child-id" });
});

test("lookups: what is asked with a secret is a secret", async () => {
  expect(await pulumi.isSecret(getSnapshotOutput({ id: pulumi.secret("s-1") }))).toBe(true);
  expect(await pulumi.isSecret(getSnapshotOutput({ id: "s-1" }))).toBe(false);
});

test.each([
  ["Snapshot", Snapshot],
  ["AssistedSnapshot", AssistedSnapshot],
  ["ClonedVm", ClonedVm],
  ["LinkedTargetSet", LinkedTargetSet],
  ["VolumeClone", VolumeClone],
  ["VolumeFromSnapshot", VolumeFromSnapshot],
])("%s: policy packs know it by its type, in both ways that @pulumi/policy has", (name, resource) => {
  const type = `pulumi-nodejs:dynamic/snapclone:${name}`;
  expect(resource.__pulumiType).toBe(type);
  expect(resource.isInstance({ __pulumiType: type })).toBe(true);
  for (const other of [undefined, null, "x", {}, { __pulumiType: "pulumi-nodejs:dynamic/snapclone:Other" }]) {
    expect(resource.isInstance(other)).toBe(false);
  }
});
