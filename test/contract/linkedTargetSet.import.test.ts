// The option `import` of a LinkedTargetSet: targets that something else has linked, by the session's URN and their URNs or
// names. Their names stay.

import type { Properties } from "../../provider/core/operation";
import { linkedTargetSet } from "../../provider/vipr/linkedTargetSet/resource";
import { SETS } from "../support/viprFixture";
import {
  active,
  fixture,
  good,
  idsOf,
  monday,
  outputOf,
  outs,
  posts,
  shopMonday,
  tuesday,
  up,
} from "./linkedTargetSetEngineFixture";

let ids: string[];
let foreign: string;
beforeEach(() => {
  ids = ["night-1", "weekly"].map((label) => fixture.vipr.linkNow(monday, label).id);
  foreign = fixture.vipr.linkNow(monday, "of others").id;
});

const imports = (more: Properties = {}): Properties => ({
  ...SETS.monday,
  count: 2,
  __import: [monday, "night-1", ids[1]].join(", "),
  ...more,
});
const without = (more: Properties = {}): Properties => {
  const { __import: _, ...rest } = imports(more);
  return rest;
};
const refresh = () => fixture.run((engine) => engine.refresh());
const destroy = () => fixture.run((engine) => engine.destroy());
const label = (id: string) => fixture.vipr.targets.get(id)?.label;
const tags = (id: string) => [...(fixture.vipr.targets.get(id)?.tags ?? [])];
const writes = () => fixture.asked.filter((one) => /^(PUT|POST .*(targets|deactivate))/.test(one));

test("takes them over under their names, changes nothing afterwards, links, relinks and unlinks as any set", async () => {
  const first = await good(up(imports({ refreshTriggers: ["a"] })));
  expect(outputOf(first)).toContain(`took over the linked target set ${monday},night-1,${ids[1]}`);
  expect(writes()).toHaveLength(2);
  expect([outs().count, idsOf(), outs().refreshTriggers]).toEqual([2, ids, ["a"]]);
  expect(ids.map(label)).toEqual(["night-1", "weekly"]);
  for (const program of [imports, without, without]) {
    expect(outputOf(await good(up(program({ refreshTriggers: ["a"] }))))).toBe("");
    expect(writes()).toEqual([]);
    await good(refresh());
    expect([outs().count, idsOf()]).toEqual([2, ids]);
  }
  expect(posts("relink")).toBe(0);

  await good(up(without({ refreshTriggers: ["b"], count: 3 })));
  expect([posts("relink"), posts("link"), outs().count, idsOf().slice(0, 2)]).toEqual([1, 1, 3, ids]);
  expect(label(idsOf()[2] ?? "")).toBe(`${fixture.entry()?.id}g3-1`);
  await good(up(without({ refreshTriggers: ["b"], count: 3, snapshotSessionId: tuesday })));
  expect(idsOf().slice(0, 2)).toEqual(ids);
  await good(up(without({ refreshTriggers: ["b"], count: 1, snapshotSessionId: tuesday })));
  expect([active().sort(), idsOf()]).toEqual([[ids[0], foreign].sort(), [ids[0]]]);
  await good(destroy());
  expect([active(), label(foreign)]).toEqual([[foreign], "of others"]);
});

test("an alias rewrites the record; without the right to tag, the state alone holds the set", async () => {
  await good(up(imports()));
  const { id } = fixture.entry() ?? {};
  expect(ids.map((one) => tags(one).filter((tag) => tag.startsWith("snapclone:as=")))).toEqual([
    [`snapclone:as=${id}g1-1`],
    [`snapclone:as=${id}g2-1`],
  ]);
  const before = tags(ids[0] ?? "");
  await good(fixture.run((engine) => engine.up({ renamed: without() }, {}, { renamed: "dev" })));
  expect(tags(ids[0] ?? "")).not.toEqual(before);
  expect(tags(ids[0] ?? "")).toContain(`snapclone:as=${id}g1-1`);
  await good(destroy());

  ids = [fixture.vipr.linkNow(monday, "night-1").id, fixture.vipr.linkNow(monday, "weekly").id];
  const refused = { status: 403, headers: {}, body: '{"code":3000,"description":"forbidden","retryable":false}' };
  const service = fixture.cloud;
  fixture.cloud = { ...service, answer: (sent) => (sent.method === "PUT" ? refused : service.answer(sent)) };
  const { log } = await good(up(imports()));
  expect(log).toContainEqual(expect.stringMatching(/warning: the ownership record of .* could not be written/));
  await good(refresh());
  expect(idsOf()).toEqual(ids);
  await good(up(without({ count: 3 })));
  expect([outs().count, idsOf().slice(0, 2)]).toEqual([3, ids]);
  await good(destroy());
  expect(active()).toEqual([foreign]);
  fixture.cloud = service;
});

test("refused, and nothing is written", async () => {
  const early = fixture.vipr.linkNow(monday, "early");
  Object.assign(early, { wwn: null, nativeId: null });
  const cases: [ids: string, text: RegExp][] = [
    [monday, /must be the URN of the session, then the URNs or names/],
    [`${ids[0]},weekly`, /it must be that of a BlockSnapshotSession/],
    [`${monday},${tuesday}`, /which is not a linked target/],
    [`${monday},night-1,night-1`, /names one target twice/],
    [`${monday},night-1,${ids[0]}`, /names one target twice, by its name and its URN/],
    [`${tuesday},night-1,weekly`, /the option names the session .*, and the program has/],
    [`${monday},night-1,nope`, /no target "nope" is linked to the session/],
    [`${monday},night-1`, /names 1 targets .*, and the program has count 2/],
    [`${monday},night-1,early`, /early .* has no device on the array/],
  ];
  for (const [__import, text] of cases) {
    const result = await up(imports({ __import }));
    expect([__import, outputOf(result)]).toEqual([__import, expect.stringMatching(text)]);
    expect(writes()).toEqual([]);
  }
  const gone = monday.replace(/[0-9a-f]{12}:/, "0".repeat(12).concat(":"));
  const result = await up(imports({ snapshotSessionId: gone, __import: `${gone},night-1,weekly` }));
  expect(outputOf(result)).toMatch(/there is no snapshot session/);
  expect([fixture.engine.state.entries, ids.map(label)]).toEqual([[], ["night-1", "weekly"]]);
});

test("a set of another stack, of this stack, and of this same resource: refused with whose it is", async () => {
  await good(up(imports()));
  const twin = await fixture.run((engine) => engine.up({ dev: imports(), twin: imports() }));
  expect(outputOf(twin)).toMatch(/holds it already, as urn:\S+::dev/);
  fixture.engine.state.entries = [];
  expect(outputOf(await up(imports()))).toMatch(/has the record of this same resource/);
  fixture.engine.stack = "prod";
  expect(outputOf(await up(imports()))).toMatch(/target night-1 .* belongs to \w{8} of another stack \(digest \w+\)/);
  expect(writes()).toEqual([]);

  // A set that the provider has linked itself has its record in the names alone.
  const own = fixture.newEngine({ stack: "test" });
  fixture.engine = own;
  await good(fixture.run((engine) => engine.up({ made: { ...SETS.monday, count: 1 } })));
  const [made = ""] = fixture.vipr.linkedNames(monday).filter((name) => name.startsWith("dev-"));
  fixture.engine = fixture.newEngine({ stack: "prod" });
  const refused = await up(imports({ count: 1, __import: `${monday},${made}` }));
  expect(outputOf(refused)).toMatch(/has the record of \w{8}, which does not name its stack/);
  // The way out that the error names.
  const target = [...fixture.vipr.targets.values()].find((one) => one.label === made);
  target?.tags.add("snapclone:owner=");
  await good(up(imports({ count: 1, __import: `${monday},${made}` })));
  expect(label(target?.id ?? "")).toBe(made);
  // A replacement of the imported set lists the sets by name, and adopts nothing.
  await good(up({ ...SETS.monday, copyMode: "copy", count: 1 }));
  expect(active()).not.toContain(target?.id);
  expect(outs()).toMatchObject({ count: 1 });
});

test("a consistency group: whole groups alone", async () => {
  await good(up(SETS.shop));
  const all = idsOf();
  fixture.engine.state.entries = [];
  for (const id of all) fixture.vipr.targets.get(id)?.tags.add("snapclone:owner=");
  const args = (targets: readonly string[], more = {}) => ({
    ...SETS.shop,
    __import: [shopMonday, ...targets].join(),
    ...more,
  });
  expect(outputOf(await up(args(all.slice(0, 3))))).toMatch(/taken over as a whole, and the option lacks/);
  expect(outputOf(await up(args(all, { count: 4 })))).toMatch(/names 2 targets/);
  await good(up(args(all)));
  expect(outs()).toMatchObject({ count: 2 });
  expect((outs().batches as unknown[]).length).toBe(2);
  fixture.vipr.unlinkNow(all[1] ?? "");
  await good(refresh());
  expect(outs()).toMatchObject({ count: 1 });
  await good(destroy());
  expect(active().filter((id) => all.includes(id))).toEqual([]);
});

test("killed at any request: the same command finishes it", async () => {
  await good(up(imports()));
  const { requests } = fixture;
  for (let nth = 0; nth < requests; nth += 1) {
    for (const kind of ["killed before", "killed after"] as const) {
      fixture.reset();
      ids = ["night-1", "weekly"].map((name) => fixture.vipr.linkNow(monday, name).id);
      await fixture.run((engine) => engine.up({ dev: imports() }), { nth, kind });
      const again = await up(imports());
      expect([nth, kind, again.errors]).toEqual([nth, kind, []]);
      expect([idsOf(), active().sort()]).toEqual([ids, [...ids].sort()]);
      expect([posts("link"), posts("relink"), posts("unlink")]).toEqual([0, 0, 0]);
    }
  }
});

test("imported again after the state let the set go: a target that came later is not unlinked", async () => {
  await good(up(imports()));
  await good(up(without({ count: 3 })));
  fixture.engine.state.entries = [];
  for (const id of ids) for (const tag of tags(id)) fixture.vipr.targets.get(id)?.tags.delete(tag);
  expect(outputOf(await up(imports()))).toMatch(/an earlier import of these targets by this resource has linked dev-/);
  expect([writes(), active()]).toEqual([[], expect.arrayContaining(ids)]);
});

test("get and snapclone orphans find an imported set by its tags", async () => {
  await good(up(imports()));
  const { id = "" } = fixture.entry() ?? {};
  const controller = fixture.open();
  const signal = new AbortController().signal;
  const seen = await linkedTargetSet.read(controller, id, {}, signal);
  expect(seen?.state).toMatchObject({ count: 2, targets: [{ id: ids[0] }, { id: ids[1] }] });
  const listed = await linkedTargetSet.listRecorded?.(controller, { stack: "s", urns: [], inputs: [] });
  expect(listed?.map((one) => one.id)).toEqual([id]);
});
