// A create is interrupted, and somebody deletes what it has made. The next `pulumi up` makes it anew, or its error names the
// way out, `pulumi refresh`, and the `up` after that makes it anew.

import { SEED_VOLUMES, ZSTACK_SEED } from "../../emulator";
import type { AnyDefinition } from "../../provider/core/definition";
import type { Properties } from "../../provider/core/operation";
import { assistedSnapshot } from "../../provider/openstack/assistedSnapshot/resource";
import { snapshot } from "../../provider/openstack/snapshot/resource";
import { snapshotSeries } from "../../provider/openstack/snapshotSeries/resource";
import { volumeFromSnapshot } from "../../provider/openstack/volumeFromSnapshot/resource";
import { volumeClone } from "../../provider/powervc/volumeClone/resource";
import { type FaultyHttp, inProcessProvider } from "../faults/inProcess";
import { openCloud, openPowerVc, PASSWORD } from "../faults/openstackSites";
import { FakeEngine, type RunResult } from "../support/fakeEngine";
import { SETS, ViprFixture } from "../support/viprFixture";
import { ZStackFixture } from "./zstackFixture";

jest.setTimeout(60_000);

const SOURCE = "9b9e0504-bec0-4e6d-a5ba-83cce6a19555";

/** A stack with one resource, and its cloud. */
interface World {
  engine: FakeEngine;
  /** A process of its own. From the `nth` request on, from 1, a proxy answers 503. Returns the number of requests, too. */
  run(command: (engine: FakeEngine) => Promise<RunResult>, nth?: number): Promise<RunResult>;
  requests(): number;
  inputs: Properties;
  /** Another hand deletes everything that the create has made. */
  deleteAll(): void;
  count(): number;
  /** What a create makes. 0 if it can't be made anew: what it belongs to is deleted, too. */
  wanted: number;
}

const inProcess = inProcessProvider();

function onOpenStack(
  definition: AnyDefinition,
  inputs: Properties,
  made: () => Map<string, unknown>,
  open: typeof openCloud | typeof openPowerVc = openCloud,
): World {
  const { emulator, clock, newHttp } = inProcess;
  emulator.reset();
  for (const name of ["demo", "admin"]) emulator.keystone.userNamed(name).password = PASSWORD;
  emulator.cinder.createSnapshot({ id: SOURCE, volume_id: SEED_VOLUMES.logs });
  emulator.nova.createFile(SEED_VOLUMES.logs, "overlay-1");
  const before = new Set(definition === (assistedSnapshot as AnyDefinition) ? [] : made().keys());
  const ids = () => [...made().keys()].filter((id) => !before.has(id));
  const user = definition === (assistedSnapshot as AnyDefinition) ? "admin" : "demo";
  let http: FaultyHttp;
  let cloud: unknown;
  const connection = { kind: "openstack", open: () => cloud };
  const engine = new FakeEngine({ ...definition, connection }, { clock, isDead: () => http.dead });
  return {
    engine,
    async run(command, nth) {
      emulator.clock.tick(60_000);
      emulator.cinder.advance();
      emulator.powervc.advance();
      http = newHttp(nth === undefined ? undefined : { nth, kind: "fails, and all that follow" });
      cloud = open(emulator.openstack.authUrl, clock, http, user);
      return command(engine);
    },
    requests: () => http.requests,
    inputs,
    deleteAll() {
      for (const id of ids()) made().delete(id);
    },
    count: () => ids().length,
    wanted: 1,
  };
}

const WORLDS: Record<string, () => World> = {
  Snapshot: () =>
    onOpenStack(snapshot as AnyDefinition, { volumeId: SEED_VOLUMES.data }, () => inProcess.emulator.cinder.snapshots),
  SnapshotSeries: () =>
    onOpenStack(
      snapshotSeries as AnyDefinition,
      { volumeId: SEED_VOLUMES.data, keep: 3 },
      () => inProcess.emulator.cinder.snapshots,
    ),
  VolumeFromSnapshot: () =>
    onOpenStack(volumeFromSnapshot as AnyDefinition, { snapshotId: SOURCE }, () => inProcess.emulator.cinder.volumes),
  AssistedSnapshot: () => ({
    ...onOpenStack(
      assistedSnapshot as AnyDefinition,
      { volumeId: SEED_VOLUMES.logs, snapshotId: SOURCE, newFile: "overlay-1" },
      () => inProcess.emulator.cinder.snapshots,
    ),
    wanted: 0,
  }),
  VolumeClone: () => ({
    ...onOpenStack(
      volumeClone as AnyDefinition,
      { volumes: [SEED_VOLUMES.data, SEED_VOLUMES.logs] },
      () => inProcess.emulator.cinder.volumes,
      openPowerVc,
    ),
    wanted: 2,
  }),
  LinkedTargetSet() {
    const fixture = new ViprFixture();
    return {
      engine: fixture.engine,
      run(command, nth) {
        fixture.finishBackendWork();
        return fixture.run(command, nth === undefined ? undefined : { nth: nth - 1, kind: "503 for ever" });
      },
      requests: () => fixture.requests,
      inputs: SETS.monday,
      deleteAll() {
        fixture.finishBackendWork();
        for (const { id } of fixture.vipr.active()) fixture.vipr.unlinkNow(id);
      },
      count: () => fixture.vipr.active().length,
      wanted: 2,
    };
  },
  ClonedVm() {
    const fixture = new ZStackFixture();
    return {
      engine: fixture.engine,
      run(command, nth = 1_000) {
        fixture.wait(60_000);
        const numbers = Array.from({ length: 300 }, (_, at) => [nth - 1 + at, "503"] as const);
        return fixture.run(command, Object.fromEntries(numbers));
      },
      requests: () => fixture.requests,
      inputs: { vmInstanceUuid: ZSTACK_SEED.web, names: ["a", "b"] },
      deleteAll() {
        fixture.wait(60_000);
        for (const { uuid } of fixture.clones) fixture.zstack.removeVm(uuid);
      },
      count: () => fixture.clones.length,
      wanted: 2,
    };
  },
};

const textOf = ({ errors }: RunResult) => errors.map((error) => (error as Error).message).join("\n");

const upIn = ({ inputs }: World) => {
  const args = { ...inputs, __timeouts: { create: "2m", update: "2m" } };
  return (engine: FakeEngine) => engine.up({ db: args });
};

test.each(Object.entries(WORLDS))("%s: interrupted at any request, and deleted", async (_type, begin) => {
  const problems: unknown[] = [];
  let interrupted = 0;
  for (let nth = 1; ; nth += 1) {
    const world = begin();
    const { engine, run, requests, deleteAll, count, wanted } = world;
    const up = upIn(world);
    await run(up, nth);
    if (requests() < nth) break;
    if (engine.state.entries[0]?.outputs.pending === undefined) continue;
    interrupted += 1;
    deleteAll();
    const texts = [textOf(await run(up)), textOf(await run(up))];
    const isNamed = texts.every((text) => /^$|`pulumi refresh`|next `pulumi up` replaces it/.test(text));
    if (!isNamed) problems.push({ nth, texts });
    else if (wanted > 0) {
      if (texts[1] !== "") texts.push(textOf(await run((one) => one.refresh())), textOf(await run(up)));
      if (texts.at(-1) !== "" || count() !== wanted) problems.push({ nth, texts, count: count() });
    }
  }
  expect(problems).toEqual([]);
  expect(interrupted).toBeGreaterThan(0);
});

test.each(["Snapshot", "VolumeFromSnapshot"])("%s: a login to another project proves no deletion", async (type) => {
  const worlds = Array.from({ length: 20 }, (_, at) => async () => {
    const world = WORLDS[type]?.() as World;
    await world.run(upIn(world), at + 1);
    return world;
  });
  let world: World | undefined;
  // The first request whose failure leaves an entry with the object's id.
  while (!/^[0-9a-f-]{36}$/.test(world?.engine.state.entries[0]?.id ?? "")) world = await worlds.shift()?.();
  const { engine, run, deleteAll } = world as World;
  const up = upIn(world as World);
  deleteAll();
  engine.edit(({ entries: [entry] }) =>
    Object.assign(entry?.outputs ?? {}, { __backend: "project 0123, region RegionOne" }),
  );
  for (let times = 0; times < 2; times += 1)
    expect(textOf(await run(up))).toMatch(/does not prove that it is gone: it is on another backend/);
  expect(engine.state.entries[0]?.outputs.pending).toMatchObject({ operation: "create" });
});
