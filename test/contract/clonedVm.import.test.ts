// The option `import` of a ClonedVm: VMs that something else has made, by their uuids in the order of `names`.

import { ZSTACK_SEED } from "../../emulator";
import type { Properties } from "../../provider/core/operation";
import { fixture, good, numberOf, renew } from "./clonedVmEngineFixture";

jest.setTimeout(60_000);

const NAMES = ["web-a", "web-b"];
let vms: string[];
let disk: string;

/** Two clones that a person has made. The second has a data volume, and a description of its own. */
function make(): void {
  const { zstack } = fixture;
  const made = [`cloned from vm[uuid:${ZSTACK_SEED.web}]`, "for the tests"].map((description, index) => {
    const vm = zstack.addVm({ name: `by-hand-${index}`, state: "Running", description });
    zstack.furnish(vm);
    return vm.uuid;
  });
  vms = made;
  disk = zstack.addVolume({ name: "data", type: "Data", vmInstanceUuid: made[1] ?? "" }).uuid;
}
beforeEach(make);

const imports = (more: Properties = {}): Properties => ({
  vmInstanceUuid: ZSTACK_SEED.web,
  names: NAMES,
  __import: vms.join(", "),
  ...more,
});
const writes = () => fixture.sent.filter((one) => /^(PUT|DELETE|POST) \/(vm|tags|user-tags|volumes)/.test(one));
const isThere = (uuid: string) => ["Running", "Stopped"].includes(fixture.zstack.vms.get(uuid)?.state ?? "");

test("takes them over, renames them, changes nothing afterwards, and keeps the data volume at a destroy", async () => {
  fixture.zstack.settings.deleteDataVolumes = true;
  const first = await fixture.up({ web: imports({ userTags: ["team"] }) });
  expect(first).toMatchObject({ errors: [], killed: false });
  expect(first.log.filter((line) => line.startsWith("warning"))).toEqual([
    expect.stringContaining(`does not show for ${vms[1]}: the program's word counts`),
    expect.stringContaining(`nothing proves that the data volumes ${disk} came with the clones`),
  ]);
  expect(first.messages).toContain(`took over the set of clones ${vms.join(",")}, and brought into line`);
  expect([fixture.names, fixture.zstack.vms.size]).toEqual([NAMES, 4]);
  const owned = fixture.outputs.vms as { uuid: string; volumes: { uuid: string; cloned: boolean }[] }[];
  expect(owned.map(({ uuid }) => uuid)).toEqual(vms);
  expect(owned[1]?.volumes.find(({ uuid }) => uuid === disk)).toMatchObject({ cloned: false });

  const { __import: _, ...without } = imports({ userTags: ["team"] });
  for (const args of [imports({ userTags: ["team"] }), without, without]) {
    expect(await fixture.up({ web: args })).toMatchObject(good);
    expect(writes()).toEqual([]);
    await fixture.refresh();
    expect(writes()).toEqual([]);
  }
  expect(await fixture.up({ web: { ...without, powerState: "Stopped" } })).toMatchObject({ errors: [] });
  expect(vms.map((uuid) => fixture.zstack.vms.get(uuid)?.state)).toEqual(["Stopped", "Stopped"]);
  expect(await fixture.up({ web: { ...without, names: ["web-a"] } })).toMatchObject({ errors: [] });
  expect(vms.map(isThere)).toEqual([true, false]);
  expect(fixture.zstack.volumes.get(disk)).toMatchObject({ status: "Ready", vmInstanceUuid: null });
  expect(await fixture.destroy()).toMatchObject({ errors: [] });
  expect([fixture.names, fixture.zstack.volumes.get(disk)?.status]).toEqual([[], "Ready"]);
});

test("refused, and nothing is written", async () => {
  const [first = "", second = ""] = vms;
  const other = fixture.zstack.addVm({
    name: "x",
    state: "Running",
    description: `cloned from vm[uuid:${ZSTACK_SEED.db}]`,
  });
  const router = fixture.zstack.addVm({ name: "router", state: "Running", type: "ApplianceVm" });
  const gone = fixture.zstack.addVm({ name: "gone", state: "Destroyed" });
  const early = fixture.zstack.addVm({ name: `new.sc-${"a".repeat(32)}`, state: "Running" });
  const nobody = "e".repeat(32);
  const cases: [ids: string, text: RegExp][] = [
    [first, /the option has 1 VMs, and the program has 2 names/],
    [`${first},${nobody}`, /there is no VM e{32}/],
    [`${nobody},${"f".repeat(32)}`, /there is no set of clones/],
    [`${first},${ZSTACK_SEED.web}`, /is the source VM, and no clone of it/],
    [`${first},${other.uuid}`, /is a clone of .* by its description, and vmInstanceUuid is/],
    [`${first},${router.uuid}`, /is of the type ApplianceVm/],
    [`${first},${gone.uuid}`, /is in the recycle bin/],
    [`${first},${early.uuid}`, /belongs to a create that has not ended/],
    [`${first},${first}`, /names one VM twice/],
    [`${first},web-b`, /must be the uuids of the VMs/],
    [`${first},${disk}`, /there is no VM/],
  ];
  for (const [ids, text] of cases) {
    const { messages } = await fixture.up({ web: imports({ __import: ids }) });
    expect(messages).toMatch(text);
    expect([ids, writes()]).toEqual([ids, []]);
  }
  expect([fixture.engine.state.entries, fixture.tags, isThere(second)]).toEqual([[], [], true]);
});

test("a VM of another stack is refused with whose it is; one that the state holds, with which resource", async () => {
  await fixture.up({ web: imports() });
  expect((await fixture.up({ web: imports(), twin: imports() })).messages).toMatch(
    /the state of this stack holds it already, as urn:\S+::web/,
  );
  expect(fixture.engine.state.entries).toHaveLength(1);
  fixture.engine.state.entries = [];
  fixture.engine.stack = "prod";
  const { messages } = await fixture.up({ web: imports() });
  expect(messages).toMatch(/VM .* belongs to urn:pulumi:dev::\S+::web of another stack \(digest/);
  expect(writes()).toEqual([]);
});

test("killed at any request: the same command finishes it, and every VM and the volume are there", async () => {
  await fixture.up({ web: imports() });
  const { requests } = fixture;
  for (let at = 0; at < requests; at += 1) {
    for (const how of ["killed", "killed after"] as const) {
      renew();
      make();
      await fixture.up({ web: imports() }, { [at]: how });
      const again = await fixture.up({ web: imports() });
      expect([at, how, again.errors]).toEqual([at, how, []]);
      expect([fixture.names, vms.map(isThere), fixture.zstack.vms.size]).toEqual([NAMES, [true, true], 4]);
      expect(fixture.tags.filter((tag) => tag.includes("::set::"))).toHaveLength(2);
      expect(fixture.zstack.volumes.get(disk)).toMatchObject({ status: "Ready", vmInstanceUuid: vms[1] });
    }
  }
});

test("killed after the record, then other names in the program: the VMs get the new names, and none is made or deleted", async () => {
  const at = await numberOf(/^PUT \/vm-instances/, () => fixture.up({ web: imports() }));
  renew();
  make();
  await fixture.up({ web: imports() }, { [at]: "killed" });
  expect(fixture.tags).toHaveLength(2);
  expect((await fixture.up({ web: imports({ names: ["web-b", "web-c"] }) })).errors).toEqual([]);
  expect(vms.map((uuid) => fixture.zstack.vms.get(uuid)?.name)).toEqual(["web-b", "web-c"]);
  expect([fixture.zstack.vms.size, vms.map(isThere)]).toEqual([4, [true, true]]);
});

test("imported again after the state let the set go: a clone that came later is not deleted", async () => {
  await fixture.up({ web: imports() });
  await fixture.up({ web: imports({ names: [...NAMES, "web-c"] }) });
  expect(fixture.names).toEqual([...NAMES, "web-c"]);
  fixture.engine.state.entries = [];
  for (const [uuid, { resourceUuid }] of fixture.zstack.tags) {
    if (vms.includes(resourceUuid)) fixture.zstack.tags.delete(uuid);
  }
  const { messages } = await fixture.up({ web: imports() });
  expect(messages).toMatch(/an earlier import of these VMs by this resource has cloned more/);
  expect([writes(), fixture.names]).toEqual([[], [...NAMES, "web-c"]]);
});
