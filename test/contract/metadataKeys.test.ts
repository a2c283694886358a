// The metadata keys of a program, on a snapshot and on a volume from a snapshot: a key that leaves the program leaves the
// object, whatever happened to the runs before, and a key that the program never had stays.

import { isDeepStrictEqual } from "node:util";
import { SEED_VOLUMES } from "../../emulator";
import type { AnyDefinition } from "../../provider/core/definition";
import type { Properties } from "../../provider/core/operation";
import { snapshot } from "../../provider/openstack/snapshot/resource";
import { volumeFromSnapshot } from "../../provider/openstack/volumeFromSnapshot/resource";
import { FAULT_KINDS, type Fault, type FaultyHttp, inProcessProvider } from "../faults/inProcess";
import { openCloud, PASSWORD } from "../faults/openstackSites";
import { FakeEngine, type RunResult } from "../support/fakeEngine";

const SOURCE = "9b9e0504-bec0-4e6d-a5ba-83cce6a19555";
const LIST = "snapclone:keys";
const FOREIGN = { billing: "42" };

const { emulator, clock, newHttp } = inProcessProvider();
let http: FaultyHttp;
let cloud: ReturnType<typeof openCloud>;
let engine: FakeEngine;

const RESOURCES = {
  Snapshot: {
    path: "snapshots",
    definition: snapshot as AnyDefinition,
    args: { volumeId: SEED_VOLUMES.data },
    object: () => [...emulator.cinder.snapshots.values()].find(({ id }) => id !== SOURCE),
  },
  VolumeFromSnapshot: {
    path: "volumes",
    definition: volumeFromSnapshot as AnyDefinition,
    args: { snapshotId: SOURCE },
    object: () => [...emulator.cinder.volumes.values()].find(({ snapshot_id }) => snapshot_id === SOURCE),
  },
};

const BEFORE = { name: "old", metadata: { a: "1", b: "2" } };
const AFTER = { name: "new", metadata: { a: "1", c: "3" } };

describe.each(Object.entries(RESOURCES))("%s", (type, { definition, args, object }) => {
  function renew(): void {
    emulator.reset();
    emulator.keystone.userNamed("demo").password = PASSWORD;
    emulator.cinder.createSnapshot({ id: SOURCE, volume_id: SEED_VOLUMES.data });
    const connection = { kind: "openstack", open: () => cloud };
    engine = new FakeEngine({ ...definition, connection }, { clock, type, isDead: () => http.dead });
  }

  beforeEach(renew);

  /** A run of Pulumi as a process of its own, a minute after the last one. */
  async function run(command: () => Promise<RunResult>, fault?: Fault, refused?: RegExp): Promise<RunResult> {
    emulator.clock.tick(60_000);
    emulator.cinder.advance();
    http = newHttp(fault, refused);
    cloud = openCloud(emulator.openstack.authUrl, clock, http, "demo");
    return command();
  }
  const up = (inputs: Properties, fault?: Fault, refused?: RegExp) =>
    run(() => engine.up({ db: { ...args, ...inputs } }), fault, refused);
  const refresh = () => run(() => engine.refresh());
  const good = async (result: Promise<RunResult>) => expect((await result).errors.map(String)).toEqual([]);

  /** The keys of everybody on the object, and those in the list of its record. */
  const present = () => {
    const { metadata = {} } = object() ?? {};
    const others = Object.entries(metadata).filter(([key]) => !key.startsWith("snapclone:"));
    return { metadata: Object.fromEntries(others), list: metadata[LIST] };
  };
  const wanted = ({ metadata }: { metadata: Properties }) => ({
    metadata: { ...metadata, ...FOREIGN },
    list: Object.keys(metadata).sort().join(","),
  });
  async function made(inputs: Properties = BEFORE): Promise<void> {
    await good(up(inputs));
    Object.assign(object()?.metadata ?? {}, FOREIGN);
  }
  // What such a run wrote, only a refresh can show where the program is the one of the state again.
  describe.each([
    ["that stays", AFTER],
    ["that goes back", BEFORE],
  ])("each request of an update fails; a program %s", (_what, program) => {
    test.each(FAULT_KINDS)("%s", async (kind) => {
      const problems: unknown[] = [];
      for (let nth = 1; ; nth += 1) {
        renew();
        await made();
        await up(AFTER, { nth, kind });
        if (http.requests < nth) break;
        const sent = [...http.changes];
        await refresh();
        await good(up(program));
        // A refresh after the removal leaves the key in the list until the next update.
        const listed = present().list?.split(",") ?? [];
        const isListed = Object.keys(program.metadata).every((key) => listed.includes(key));
        const isRight = isListed && isDeepStrictEqual(present().metadata, wanted(program).metadata);
        if (!isRight) problems.push({ nth, sent, ...present() });
        await good(refresh());
        await good(up(program));
        expect(http.requests).toBe(0);
      }
      expect(problems).toEqual([]);
    });
  });

  test("a rename is refused in the update that removes a key: the next update removes the key", async () => {
    await made();
    expect((await up(AFTER, undefined, /^PUT /)).errors).toHaveLength(1);
    await good(up(AFTER));
    expect(present()).toEqual(wanted(AFTER));
  });

  test("so it does if the record has no room for the list of the keys", async () => {
    const long = Object.fromEntries(Array.from({ length: 3 }, (_, at) => [`${at}`.padEnd(100, "k"), "v"]));
    await made({ ...BEFORE, metadata: { ...BEFORE.metadata, ...long } });
    expect(present().list).toBeUndefined();
    const program = { ...AFTER, metadata: { ...AFTER.metadata, ...long } };
    expect((await up(program, undefined, /^PUT /)).errors).toHaveLength(1);
    await good(up(program));
    expect(present().metadata).toEqual({ ...program.metadata, ...FOREIGN });
  });

  test.each([
    ["in the same update", false],
    ["after an update that could not remove the key", true],
  ])("the record of an alias can't be written, %s: the key goes later", async (_when, isPending) => {
    await made();
    const inputs = { ...BEFORE, metadata: { a: "1" } };
    if (isPending) expect((await up(inputs, undefined, /^DELETE /)).errors).toHaveLength(1);
    const program = { renamed: { ...args, ...inputs } };
    const renaming = () => engine.up(program, {}, { renamed: "db" });
    expect((await run(renaming, undefined, /^POST .*\/metadata$/)).errors).toHaveLength(1);
    await good(run(() => engine.up(program)));
    expect(present()).toEqual(wanted(inputs));
  });

  test("the update after an adoption fails: the keys of the killed run go all the same", async () => {
    const killed = "is where the process is killed, after";
    for (let nth = 1; object() === undefined; nth += 1) await up(BEFORE, { nth, kind: killed });
    const { errors, log } = await up(AFTER, undefined, /^PUT /);
    expect([errors.length, log.join()]).toEqual([1, expect.stringContaining("adopted")]);
    Object.assign(object()?.metadata ?? {}, FOREIGN);
    await good(up(AFTER));
    expect(present()).toEqual(wanted(AFTER));
  });

  test("a key that was seen gone is another's when it comes back, though a killed run has left it in the list", async () => {
    const program = { ...BEFORE, metadata: { a: "1" } };
    for (let nth = 1, isRemoved = false; !isRemoved; nth += 1) {
      renew();
      await made();
      await up(program, { nth, kind: "is where the process is killed, after" });
      isRemoved = http.changes.some((one) => one.startsWith("DELETE"));
    }
    expect(present()).toEqual({ metadata: { a: "1", ...FOREIGN }, list: "a,b" });
    await good(refresh());
    Object.assign(object()?.metadata ?? {}, { b: "somebody's" });
    for (let times = 0; times < 2; times += 1) {
      await good(refresh());
      await good(up(program));
    }
    await good(up({ ...program, name: "new" }));
    expect(present()).toEqual({ metadata: { a: "1", b: "somebody's", ...FOREIGN }, list: "a" });
  });

  test("an import takes no key away that a record of a former life lists", async () => {
    await made();
    const { id = "", metadata = {} } = object() ?? {};
    engine.edit((state) => Object.assign(state, { entries: [], pending: [] }));
    for (const key of Object.keys(metadata)) if (key.startsWith("snapclone:") && key !== LIST) delete metadata[key];
    const program = { name: "old", __import: id };
    await good(up(program));
    await good(refresh());
    await good(up({ ...program, name: "new" }));
    await good(refresh());
    await good(up({ ...program, name: "new" }));
    expect(present().metadata).toEqual({ ...BEFORE.metadata, ...FOREIGN });
  });
});
