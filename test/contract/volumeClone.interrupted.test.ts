// A VolumeClone whose request was refused, lost, or failed, and what later runs know of its clones.

import type { HttpRequest } from "../../provider/core/http/request";
import { FakeEngine } from "../support/fakeEngine";
import { ARGS, DATA, type Kill, LOGS, TEMP, VolumeCloneFixture } from "./volumeCloneFixture";

const fixture = new VolumeCloneFixture();
const { clones, clock, definition, newProcess, pass, pendingKeys, requests, start, volume } = fixture;
afterEach(fixture.close);

let engine: FakeEngine;
beforeEach(async () => {
  await start();
  engine = new FakeEngine(definition, { clock, isDead: () => fixture.http.dead });
});

const up = (args = ARGS, kill?: Kill) => {
  newProcess(kill);
  return engine.up({ before: args }, { firstCheckWithoutSeed: false });
};
const destroy = () => {
  newProcess();
  return engine.destroy();
};
const at = (method: string, path: RegExp, nth = 1) => {
  let seen = 0;
  return (request: HttpRequest<unknown>) => {
    if (request.method !== method || !path.test(request.url)) return false;
    seen += 1;
    return seen === nth;
  };
};
const CLONE = /\/clone-volumes$/;
const PROGRESS = /get_progress/;
const METADATA = /\/metadata$/;

describe("a set that PowerVC refused and whose note could not be removed", () => {
  beforeEach(async () => {
    volume(LOGS).status = "error";
    fixture.emulator.faults.add({ match: { operation: "volumes.metadata.delete" }, times: 3, status: 503 });
    await up();
    expect(engine.state.entries[0]?.outputs).toMatchObject({ pending: { task: { unsent: true } } });
    volume(LOGS).status = "in-use";
  });

  test("is asked for at once by the next up", async () => {
    const before = fixture.elapsed;
    expect((await up()).errors).toEqual([]);
    expect(fixture.elapsed - before).toBeLessThan(20_000);
    expect([clones().length, requests("clones.create"), pendingKeys()]).toEqual([3, 2, []]);
  });

  test("is removed at once by a destroy", async () => {
    const before = fixture.elapsed;
    expect((await destroy()).errors).toEqual([]);
    expect(fixture.elapsed - before).toBeLessThan(20_000);
    expect([clones(), pendingKeys()]).toEqual([[], []]);
  });

  const KILLS: readonly (readonly [string, () => Kill])[] = [
    ["after the request and before its answer", () => ({ at: at("POST", CLONE), carriedOut: true })],
    ["before the task's id is written", () => ({ at: at("POST", METADATA, 2), carriedOut: false })],
    ["while the flow runs", () => ({ at: at("GET", PROGRESS), carriedOut: true })],
    ["before the note is removed", () => ({ at: at("DELETE", /\/metadata\/[^/]+$/), carriedOut: false })],
    ["after the note was removed", () => ({ at: at("DELETE", /\/metadata\/[^/]+$/), carriedOut: true })],
  ];

  test.each(KILLS)("and that a killed run asked for again (%s): the next up goes on with it", async (_when, kill) => {
    expect((await up(ARGS, kill())).killed).toBe(true);
    pass(1_000);
    expect((await up()).errors).toEqual([]);
    pass(60_000);
    expect([clones().length, fixture.emulator.powervc.tasks.size, pendingKeys()]).toEqual([3, 1, []]);
  });

  test.each(KILLS)("and that a killed run asked for again (%s): destroy leaves nothing", async (_when, kill) => {
    expect((await up(ARGS, kill())).killed).toBe(true);
    expect((await destroy()).errors).toEqual([]);
    pass(60_000);
    expect([clones().map(({ name }) => name), pendingKeys(), engine.state.entries]).toEqual([[], [], []]);
  });
});

test("the note of a request that is sent again names the group of its own volume, although the order has changed", async () => {
  volume(DATA).group_id = "44444444-4444-4444-8444-444444444444";
  await up(ARGS, { at: at("POST", CLONE), carriedOut: false });
  expect(
    (await up({ ...ARGS, volumes: [TEMP, DATA, LOGS] }, { at: at("POST", CLONE), carriedOut: false })).killed,
  ).toBe(true);
  expect(Object.values(volume(DATA).metadata)).toEqual([expect.stringMatching(/^11111111 44444444 /)]);
});

describe("a failed task that names volumes as clones which have no name of the set", () => {
  /** The task of each request fails, and names this volume as the clone of DATA. */
  const failsWith = (clone: string) =>
    fixture.emulator.faults.add({
      match: { operation: "clones.progress" },
      times: Infinity,
      status: 200,
      body: {
        details: {
          results: { [DATA]: clone, failure: "no space" },
          progress: 100,
          flow_details: { cloneFlow: "FAILURE" },
        },
      },
    });
  const made = (source = DATA) => {
    const { id } = fixture.emulator.cinder.createVolume({ name: "volume-x", size: 10 });
    volume(id).source_volid = source;
    return id;
  };
  /** The clone of a create that has failed and could not write on it. */
  const madeWithoutTag = async () => {
    const id = made();
    failsWith(id);
    fixture.emulator.faults.add({
      match: { operation: "volumes.metadata.merge", path: new RegExp(id) },
      times: Infinity,
      status: 403,
    });
    await up();
    expect(volume(id).metadata).toEqual({});
    return id;
  };
  const exists = (id: string) => fixture.emulator.cinder.volumes.has(id);

  test.each([
    ["one volume", { ...ARGS, volumes: [DATA] }],
    ["three volumes", ARGS],
  ])("of a set of %s: the error names the clone, and destroy deletes it", async (_what, args) => {
    const id = made();
    failsWith(id);
    expect(String((await up(args)).errors[0])).toContain(`Left behind: ${id}`);
    expect((await destroy()).errors).toEqual([]);
    expect([engine.state.entries, exists(id), exists(DATA)]).toEqual([[], false, true]);
  });

  test("the next up makes a new set, and then deletes the clone", async () => {
    const id = made();
    failsWith(id);
    await up();
    fixture.emulator.faults.clear();
    expect((await up()).errors).toEqual([]);
    expect([exists(id), clones().length, engine.state.entries.length, pendingKeys()]).toEqual([false, 3, 1, []]);
  });

  test("destroy finds a clone that could not be tagged, by the task", async () => {
    const id = await madeWithoutTag();
    expect((await destroy()).errors).toEqual([]);
    expect(exists(id)).toBe(false);
  });

  test.each([
    ["destroy", true],
    ["destroy", false],
    ["the next up", true],
    ["the next up", false],
  ])(
    "a refresh in between forgets no such clone: %s deletes it (PowerVC knows the task: %s)",
    async (command, isKnown) => {
      const id = await madeWithoutTag();
      newProcess();
      const { errors, log } = await engine.refresh();
      expect(errors).toEqual([]);
      expect(log).toContainEqual(expect.stringMatching(/^warning: .*3 of 3 clones are gone: those of/));
      expect(engine.state.entries).toMatchObject([{ outputs: { pending: { failed: true }, clonedVolumes: [{ id }] } }]);
      fixture.emulator.faults.clear();
      if (!isKnown) fixture.emulator.powervc.tasks.clear();
      expect((await (command === "destroy" ? destroy() : up())).errors).toEqual([]);
      expect([exists(id), exists(DATA), pendingKeys()]).toEqual([false, true, []]);
    },
  );

  test("a run that is killed before it records the failure does not make a whole set of it", async () => {
    const args = { ...ARGS, volumes: [DATA] };
    const id = made();
    failsWith(id);
    await up(args, { at: at("DELETE", /\/metadata\/[^/]+$/), carriedOut: true });
    expect(volume(id).metadata["snapclone:phase"]).toBe("failed");
    fixture.emulator.faults.clear();
    fixture.emulator.powervc.tasks.clear();
    const { errors } = await up(args);
    expect(String(errors[0])).toContain("had failed");
    expect((await destroy()).errors).toEqual([]);
    expect(exists(id)).toBe(false);
  });

  test.each([
    ["is a clone of another volume", () => made(LOGS)],
    ["is the source itself", () => DATA],
  ])("a volume that %s stays", async (_what, named) => {
    const args = { ...ARGS, volumes: [DATA] };
    const id = named();
    failsWith(id);
    expect(String((await up(args)).errors[0])).toContain("No volume of the set is left behind");
    expect(volume(id).metadata).not.toHaveProperty("snapclone:set");
    expect((await destroy()).errors).toEqual([]);
    expect(exists(id)).toBe(true);
  });

  test("a volume that is older than the request, and a clone of another set, stay", async () => {
    const old = made();
    pass(600_000);
    failsWith(old);
    await up();
    const tags = { "snapclone:set": `snapclone-${"a".repeat(24)}` };
    const foreign = made();
    volume(foreign).metadata = { ...tags, "snapclone:volume": foreign };
    fixture.emulator.faults.clear();
    failsWith(foreign);
    await up();
    expect((await destroy()).errors).toEqual([]);
    expect([exists(old), volume(old).metadata, exists(foreign)]).toEqual([true, {}, true]);
  });
});

describe("a clone that was renamed by hand before it had its tags", () => {
  const args = { ...ARGS, volumes: [DATA] };
  const renamed = async () => {
    const [clone] = clones();
    if (!clone) throw new Error("no clone");
    const id = /snapclone-[0-9a-f]{24}/.exec(clone.name ?? "")?.[0] ?? "";
    clone.name = "mine";
    return { clone, id };
  };
  /** The task's id is lost. */
  const killed = async () => {
    await up(args, { at: at("POST", METADATA, 2), carriedOut: false });
    pass(60_000);
    return renamed();
  };

  test("is not made twice: the next up names it, and goes on with it under its first name", async () => {
    const { clone, id } = await killed();
    const { errors } = await up(args);
    expect(String(errors[0])).toContain(`made from the same volumes since: ${clone.id}`);
    expect(String(errors[0])).toContain(`openstack volume set --name clone-${id} <volume>`);
    expect([clones().length, requests("clones.create")]).toEqual([1, 1]);
    clone.name = `clone-${id}`;
    expect((await up(args)).errors).toEqual([]);
    expect([engine.idOf("before"), clones().map(({ name }) => name)]).toEqual([id, ["clone-before"]]);
  });

  test("is left alone where somebody has removed the note, and the next up makes the set", async () => {
    await killed();
    await up(args);
    volume(DATA).metadata = {};
    expect((await up(args)).errors).toEqual([]);
    expect(
      clones()
        .map(({ name }) => name)
        .sort(),
    ).toEqual(["clone-before", "mine"]);
    expect((await destroy()).errors).toEqual([]);
    expect(clones().map(({ name }) => name)).toEqual(["mine"]);
  });

  test("is named by a destroy, which leaves it alone", async () => {
    const { clone } = await killed();
    await up(args);
    expect(engine.state.entries).toHaveLength(1);
    const { errors, log } = await destroy();
    expect([errors, engine.state.entries]).toEqual([[], []]);
    expect(log.join("\n")).toMatch(new RegExp(`since its request: ${clone.id}\\. They may be its clones`));
    expect(clones().map(({ name }) => name)).toEqual(["mine"]);
  });

  test("does not count as renamed if it is older than the request, or of another set or volume", async () => {
    const made = (source: string, name = "other") => {
      const { id } = fixture.emulator.cinder.createVolume({ name, size: 10 });
      return Object.assign(volume(id), { source_volid: source });
    };
    made(DATA);
    pass(600_000);
    await up(args, { at: at("POST", CLONE), carriedOut: false });
    made(LOGS);
    made(DATA, `clone-snapclone-${"b".repeat(24)}`);
    const tagged = made(DATA);
    tagged.metadata = { "snapclone:set": `snapclone-${"a".repeat(24)}`, "snapclone:volume": tagged.id };
    expect((await up(args)).errors).toEqual([]);
    expect(requests("clones.create")).toBe(1);
  });
});

describe("a set that PowerVC reverted and that left clones behind, if the run is killed before Pulumi has saved the failure", () => {
  test.each([
    ["before the note is removed", false],
    ["after the note was removed", true],
  ])("%s: the next ups remove what is left, and make the set", async (_when, carriedOut) => {
    fixture.emulator.powervc.failNext("remove_vols_from_src_grp", "no space", 2);
    const kill = { at: at("DELETE", /\/metadata\/[^/]+$/), carriedOut };
    expect((await up(ARGS, kill)).killed).toBe(true);
    pass(1_000);
    const { errors, log } = await up();
    expect([String(errors), ...log].join("\n")).toMatch(
      /ended in REVERTED[\s\S]*Left behind: .*[\s\S]*adopted the volume clone/,
    );
    expect((await up()).errors).toEqual([]);
    pass(60_000);
    expect([clones().map(({ status }) => status), pendingKeys()]).toEqual([
      ["available", "available", "available"],
      [],
    ]);
    expect((await destroy()).errors).toEqual([]);
    pass(60_000);
    expect(clones()).toEqual([]);
  });
});
