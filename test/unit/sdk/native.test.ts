// The classes of pulumi-snapclone/native: what they register, and that they are those of the registry.

import * as pulumi from "@pulumi/pulumi";
import { resourceNames, typeOf } from "../../../provider/resources";
import * as dynamic from "../../../sdk";
import * as native from "../../../sdk/native";

interface Registered {
  type: string;
  name: string;
  inputs: Record<string, unknown>;
  id?: string | undefined;
}

interface ResourceClass {
  new (name: string, args: object): pulumi.CustomResource;
  isInstance(obj: unknown): boolean;
}

const classOf = (shell: object, type: string) => Reflect.get(shell, type) as ResourceClass;
const registered: Registered[] = [];
const calls: { token: string; inputs: Record<string, unknown> }[] = [];

beforeAll(() =>
  pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs, id }) => {
        registered.push({ type, name, inputs, id });
        return { id: id || `${name}-id`, state: inputs };
      },
      call: ({ token, inputs }) => {
        calls.push({ token, inputs });
        return token.endsWith("listSnapshots") ? { snapshots: [{ id: "s" }] } : { id: "s" };
      },
    },
    "shop",
    "dev",
    false,
    "acme",
  ),
);

const registration = async (resource: pulumi.CustomResource): Promise<Registered | undefined> => {
  await new Promise((resolve) => resource.id.apply(resolve));
  const [type, name] = [Reflect.get(resource, "__pulumiType"), Reflect.get(resource, "__name")];
  return registered.filter((one) => one.type === type && one.name === name).at(-1);
};

test.each(resourceNames)("%s: the type, and no hidden input but the organisation", async (name) => {
  const type = typeOf(name);
  const one = new (classOf(native, type))("one", { connection: "other" });
  const made = await registration(one);
  expect(made).toMatchObject({ type: `snapclone:index:${type}`, inputs: { connection: "other" } });
  expect(Object.keys(made?.inputs ?? {}).filter((key) => key.startsWith("__"))).toEqual(["__organization"]);
  expect([native, dynamic].map((shell) => classOf(shell, type).isInstance(one))).toEqual([true, false]);
});

test("each shell's class has the other's type as an alias, so that no copy is deleted by a changed import line", () => {
  const aliasesOf = (resource: object) => (Reflect.get(resource, "__aliases") as pulumi.Input<string>[]).length;
  expect(aliasesOf(new native.Snapshot("a", { volumeId: "v" }))).toBe(1);
  expect(aliasesOf(new dynamic.Snapshot("a", { volumeId: "v" }))).toBe(1);
});

test.each([
  ["native", native.Snapshot, "pulumi-nodejs:dynamic/snapclone:Snapshot"],
  ["dynamic", dynamic.Snapshot, "snapclone:index:Snapshot"],
] as const)(
  "a %s resource that changes its parent or name in the same run keeps its copy, too",
  async (_, Class, former) => {
    const parent = new pulumi.ComponentResource("test:index:Parent", "parent");
    const given = [
      { name: "old" },
      { parent: pulumi.rootStackResource },
      "urn:pulumi:s::p::t::given",
      { type: "a:b:C" },
    ];
    const one = new Class("a", { volumeId: "v" }, { parent, aliases: given });
    const urns = await Promise.all(
      (Reflect.get(one, "__aliases") as pulumi.Input<string>[]).map(
        (urn) => new Promise<string>((resolve) => pulumi.output(urn).apply(resolve)),
      ),
    );
    const ends = urns.map((urn) => urn.split("::").slice(2).join("::"));
    expect(ends).toEqual(expect.arrayContaining([`${former}::a`, `test:index:Parent$${former}::old`]));
    expect(urns).toHaveLength(1 + given.length + 2);
  },
);

test("get, the lookups and an explicit provider", async () => {
  const read = native.Snapshot.get("theirs", "an-id", { connection: "dr" });
  expect(await registration(read)).toMatchObject({
    type: "snapclone:index:Snapshot",
    id: "an-id",
    inputs: { connection: "dr" },
  });
  expect(native.Snapshot.isInstance(read)).toBe(true);
  expect(await native.getSnapshot({ name: "n" })).toEqual({ id: "s" });
  expect(await native.listSnapshots()).toEqual([{ id: "s" }]);
  const found = native.listSnapshotsOutput({ status: pulumi.output("available") });
  expect(await new Promise((resolve) => found.apply(resolve))).toEqual([{ id: "s" }]);
  expect(calls.map(({ token }) => token)).toEqual([
    "snapclone:index:getSnapshot",
    "snapclone:index:listSnapshots",
    "snapclone:index:listSnapshots",
  ]);
  const provider = new native.Provider("p", { connections: { default: { password: "hush" } } });
  const made = await registration(provider);
  expect(made).toMatchObject({ type: "pulumi:providers:snapclone" });
  expect(JSON.stringify(made?.inputs)).toContain("hush");
  expect([native.Provider.isInstance(provider), native.Provider.isInstance(read)]).toEqual([true, false]);
});
