// A server may copy user tags to clones. Somebody clones a VM of the set by hand: the copy has the set's tag, and is no member.

import { OtherZStack, SOURCE } from "../support/otherZStack";

const good = { errors: [], killed: false };
const args = (names: string[]) => ({ web: { vmInstanceUuid: SOURCE, names } });

async function withCopy() {
  const server = new OtherZStack({ copiesUserTags: true });
  expect(await server.up(args(["a", "b"]))).toMatchObject(good);
  await server.wait(60_000);
  const original = server.living.find(({ name }) => name === "a");
  const copy = server.addVm({ name: "a test of mine" });
  for (const { resourceUuid, tag } of [...server.tags])
    if (resourceUuid === original?.uuid)
      server.tags.push({ uuid: copy.uuid.replace(/^./, "0"), resourceUuid: copy.uuid, tag });
  return { server, copy };
}
const isThere = (server: OtherZStack, { uuid }: { uuid: string }) => server.vms.get(uuid)?.state === "Running";

test("destroy leaves the copy", async () => {
  const { server, copy } = await withCopy();
  expect(await server.destroy()).toMatchObject(good);
  expect(server.names).toEqual(["a test of mine"]);
  expect(isThere(server, copy)).toBe(true);
});

test("a name that leaves the program takes its own VM along, and not the copy", async () => {
  const { server, copy } = await withCopy();
  await server.refresh();
  expect(await server.up(args(["b"]))).toMatchObject(good);
  expect(server.names).toEqual(["a test of mine", "b"]);
  expect(isThere(server, copy)).toBe(true);
});
