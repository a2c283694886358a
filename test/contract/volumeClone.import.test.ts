// The option `import` of a VolumeClone: clones that something else has made, by their UUIDs in the order of `volumes`.

import type { Properties } from "../../provider/core/operation";
import { FakeEngine } from "../support/fakeEngine";
import { DATA, type Kill, LOGS, SOURCES, TEMP, VolumeCloneFixture } from "./volumeCloneFixture";

const CLONES = [
  "a1111111-1111-4111-8111-111111111111",
  "a2222222-2222-4222-8222-222222222222",
  "a3333333-3333-4333-8333-333333333333",
];
const FOREIGN = { team: "shop" };

const fixture = new VolumeCloneFixture();
const { clones, clock, definition, newProcess, requests, start, volume } = fixture;
let engine: FakeEngine;
afterEach(fixture.close);

beforeEach(async () => {
  await start();
  for (const [index, id] of CLONES.entries()) {
    const source_volid = index === 2 ? null : (SOURCES[index] ?? null);
    fixture.emulator.cinder.createVolume({
      id,
      name: `copy of ${index}`,
      size: 5,
      source_volid,
      metadata: { ...FOREIGN },
    });
  }
  engine = new FakeEngine(definition, { clock, isDead: () => fixture.http.dead });
});

const imports = (more: Properties = {}): Properties => ({ volumes: SOURCES, __import: CLONES.join(", "), ...more });
const up = async (args: Properties, kill?: Kill, options = {}) => {
  newProcess(kill);
  const result = await engine.up({ before: args }, { firstCheckWithoutSeed: false, ...options });
  return { ...result, text: result.errors.map((error) => (error as Error).message).join("\n") };
};
const written = () =>
  fixture.emulator.requests.filter(({ service, method }) => service === "cinder" && method !== "GET").length;
const names = () => CLONES.map((id) => volume(id).name);

test("takes them over, keeps names and foreign metadata, changes in place, and destroys them", async () => {
  expect((await up(imports())).text).toBe("");
  const [entry] = engine.state.entries;
  expect(entry?.id).toMatch(/^snapclone-[0-9a-f]{24}$/);
  expect(entry?.outputs.clones).toEqual(Object.fromEntries(SOURCES.map((source, index) => [source, CLONES[index]])));
  expect(names()).toEqual(["copy of 0", "copy of 1", "copy of 2"]);
  for (const id of CLONES) expect(volume(id).metadata).toMatchObject({ ...FOREIGN, "snapclone:set": entry?.id });

  const before = written();
  const { __import: _, ...without } = imports();
  for (const args of [imports(), without, without]) {
    expect((await up(args)).text).toBe("");
    newProcess();
    await engine.refresh();
  }
  expect(written()).toBe(before);

  await up({ ...without, displayName: "mine", description: "of ours" });
  expect(names()).toEqual(["clone-mine-1", "clone-mine-2", "clone-mine-3"]);
  await up(without);
  expect(names()).toEqual(["copy of 0", "copy of 1", "copy of 2"]);
  newProcess();
  expect((await engine.destroy()).errors).toEqual([]);
  expect([clones(), requests("clones.create")]).toEqual([[], 0]);
  for (const source of SOURCES) volume(source);
});

test("names that fit the program's display name stay, whatever the prefix is", async () => {
  for (const [index, id] of CLONES.entries()) volume(id).name = `night-before-${index + 1}`;
  const { text, log } = await up(imports({ displayName: "before" }));
  expect([text, requests("volumes.update")]).toEqual(["", 0]);
  expect(log).toContainEqual(
    expect.stringContaining(`Cinder does not show for ${CLONES[2]}: the program's word counts`),
  );
});

test("refused, and nothing is written", async () => {
  const [first = "", second = "", third = ""] = CLONES;
  const cases: [ids: string, text: RegExp][] = [
    [[second, first, third].join(","), /a2.* is a clone of 22.*, and volumes\[0\] is 11.*; .*a1.* is a clone of 11/],
    [[first, second].join(","), /names 2 of the kind clone, and the program has 3 volumes/],
    [[first, second, TEMP].join(","), /33333333.* is one of the source volumes/],
    [[first, second, "b1111111-1111-4111-8111-111111111111"].join(","), /there is no volume b1111111/],
  ];
  for (const [ids, text] of cases) expect((await up(imports({ __import: ids }))).text).toMatch(text);
  volume(first).status = "creating";
  expect((await up(imports())).text).toMatch(/a1.* is in status "creating"/);
  volume(first).source_volid = "c1111111-1111-4111-8111-111111111111";
  volume(first).status = "available";
  expect((await up(imports())).text).toMatch(/a1.* is a clone of c1.*, and volumes\[0\] is 11/);
  expect([written(), engine.state.entries]).toEqual([0, []]);
});

test("a set of another stack, and one that the state holds", async () => {
  await up({ volumes: [DATA, LOGS], displayName: "x" });
  const held = Object.values(engine.state.entries[0]?.outputs.clones as Record<string, string>);
  const program = { before: { volumes: [DATA, LOGS], displayName: "x" } };
  const both = (__import: string) => ({ ...program, other: { volumes: [DATA, LOGS], __import } });
  newProcess();
  const { errors } = await engine.up(both(held.join(",")));
  expect(String(errors)).toMatch(/the state of this stack holds it already, as urn:.*::before/);
  const stranger = new FakeEngine(definition, { clock, stack: "prod", isDead: () => fixture.http.dead });
  newProcess();
  const before = written();
  const foreign = await stranger.up({ theirs: { volumes: [DATA, LOGS], __import: held.join(",") } });
  expect([String(foreign.errors), written()]).toEqual([
    expect.stringMatching(/belongs to urn:.* of another stack/),
    before,
  ]);
});

test("a replacement with the option still there is refused", async () => {
  await up(imports());
  expect((await up(imports(), undefined, { replace: ["before"] })).text).toMatch(
    /would take the same volume clone over/,
  );
  expect(clones().map(({ id }) => id)).toEqual(CLONES);
});

test.each([true, false])(
  "killed at any request that writes (carried out: %s), the same command again finishes it",
  async (carriedOut) => {
    for (let nth = 1; nth <= 7; nth += 1) {
      if (nth > 1) {
        await fixture.close();
        await start();
        for (const [index, id] of CLONES.entries()) {
          fixture.emulator.cinder.createVolume({ id, name: `copy of ${index}`, size: 5, metadata: { ...FOREIGN } });
        }
        engine = new FakeEngine(definition, { clock, isDead: () => fixture.http.dead });
      }
      let seen = 0;
      const at = ({ method, url }: { method: string; url: string | URL }) => {
        if (method === "GET" || !/volumes/.test(String(url))) return false;
        seen += 1;
        return seen === nth;
      };
      const { killed } = await up(imports({ displayName: "mine" }), { at, carriedOut });
      expect([nth, killed]).toEqual([nth, nth <= 6]);
      expect((await up(imports({ displayName: "mine" }))).text).toBe("");
      expect([names(), engine.state.entries.length]).toEqual([["clone-mine-1", "clone-mine-2", "clone-mine-3"], 1]);
      const before = written();
      const { __import: _, ...without } = imports({ displayName: "mine" });
      expect((await up(without)).text).toBe("");
      expect([written(), requests("clones.create")]).toEqual([before, 0]);
      const { displayName: __, ...unnamed } = without;
      await up(unnamed);
      expect(names()).toEqual(["copy of 0", "copy of 1", "copy of 2"]);
    }
  },
);
