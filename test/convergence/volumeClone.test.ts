// Convergence of VolumeClone: whichever request of an operation fails or is where the process is killed, the same command
// without faults ends, within two runs, in what a first `up` gives, and leaves nothing behind.

import { SEED_VOLUMES, type VolumeRow } from "../../emulator";
import type { Properties } from "../../provider/core/lifecycle";
import { KeystoneSession } from "../../provider/openstack/keystone";
import { PowerVcContext } from "../../provider/powervc/context";
import { volumeClone } from "../../provider/powervc/volumeClone/resource";
import { FAULT_KINDS, type Fault, type FaultyHttp, inProcessProvider } from "../faults/inProcess";
import { PASSWORD, settingsOf } from "../faults/openstackSites";
import { FakeEngine, type RunOptions, type RunResult } from "../support/fakeEngine";

jest.setTimeout(120_000);

const TEMP = "33333333-3333-4333-8333-333333333333";
const SOURCES = [SEED_VOLUMES.data, SEED_VOLUMES.logs, TEMP];
/** Two volumes have the same size, so that sizes cannot identify them. */
const SIZES: Record<string, number> = { [SEED_VOLUMES.data]: 10, [SEED_VOLUMES.logs]: 20, [TEMP]: 10 };

const { emulator, clock, newHttp } = inProcessProvider();

let http: FaultyHttp;
let cloud: PowerVcContext;
const definition = { ...volumeClone, connection: { kind: "powervc", open: () => cloud } };

function newProcess(fault?: Fault): void {
  http = newHttp(fault);
  const settings = { ...settingsOf(emulator.openstack.authUrl, "demo"), serviceType: { blockStorage: "volume" } };
  cloud = new PowerVcContext(new KeystoneSession(settings, { clock, http }), clock);
}

/** A fresh cloud and an empty stack. */
function begin(): FakeEngine {
  emulator.reset();
  emulator.keystone.userNamed("demo").password = PASSWORD;
  emulator.cinder.createVolume({ id: TEMP, name: "temp", size: 10, metadata: { team: "shop" } });
  for (const id of SOURCES)
    Object.assign(emulator.cinder.volumes.get(id) ?? {}, { size: SIZES[id], name: `s${id[0]}` });
  return new FakeEngine(definition, { clock, isDead: () => http.dead });
}

const TIMEOUTS = { create: "5m", update: "5m", delete: "5m" };

type Program = Record<string, Properties>;

async function up(engine: FakeEngine, program: Program, fault?: Fault, options: RunOptions = {}): Promise<RunResult> {
  newProcess(fault);
  // Long enough for every run that succeeds. The default of an hour would take many polls.
  const inTime = Object.entries(program).map(([name, args]) => [name, { ...args, __timeouts: TIMEOUTS }]);
  const result = await engine.up(Object.fromEntries(inTime), options);
  emulator.clock.tick(1_000);
  return result;
}

function clones(): VolumeRow[] {
  emulator.powervc.advance();
  return [...emulator.cinder.volumes.values()].filter(({ id }) => !SOURCES.includes(id));
}

/** All volumes and the state, without values that differ from run to run. */
function inspect(engine: FakeEngine): unknown {
  const metadata = (row: VolumeRow) =>
    Object.entries(row.metadata)
      // PowerVC copies the pending record with the source's metadata. On a clone it means nothing.
      .filter(([key]) => SOURCES.includes(row.id) || !/^snapclone:snapclone-.*:pending$/.test(key))
      // If the reply was lost, the task is unknown.
      .filter(([key]) => key !== "snapclone:task")
      .map(([key, value]) => [key, /:(set|volume|attempt)$/.test(key) ? "…" : value])
      .sort();
  const rows = [...emulator.cinder.volumes.values()].map((row) => ({
    from: row.source_volid,
    name: row.name,
    description: row.description,
    status: row.status,
    group: row.group_id,
    metadata: metadata(row),
  }));
  return {
    volumes: rows.map((row) => JSON.stringify(row)).sort(),
    state: engine.state.entries.map(({ urn, outputs, initError, leaving }) => {
      const { volumes, displayName, description, missing, pending, clones: map } = outputs;
      return {
        urn,
        initError,
        leaving,
        volumes,
        displayName,
        description,
        missing,
        pending,
        of: Object.keys(map ?? {}).sort(),
      };
    }),
  };
}

/** The state and the backend agree on which clone is whose. */
function expectAgreement(engine: FakeEngine): void {
  const held = engine.state.entries.flatMap(({ outputs }) => Object.entries(outputs.clones as Record<string, string>));
  expect(held.map(([source, clone]) => [source, clone]).sort()).toEqual(
    clones()
      .map(({ id, source_volid }) => [source_volid, id])
      .sort(),
  );
}

const A: Properties = { volumes: SOURCES, displayName: "a", description: "one" };
const OPERATIONS: { name: string; before?: Program; after: Program; options?: RunOptions }[] = [
  { name: "create", after: { set: A } },
  { name: "create of one, without a display name", after: { set: { volumes: [TEMP] } } },
  { name: "display name", before: { set: A }, after: { set: { ...A, displayName: "b" } } },
  { name: "no display name any more", before: { set: A }, after: { set: { ...A, displayName: undefined } } },
  { name: "description", before: { set: A }, after: { set: { ...A, description: undefined } } },
  {
    name: "order and display name",
    before: { set: A },
    after: { set: { ...A, volumes: [...SOURCES].reverse(), displayName: "b" } },
  },
  { name: "order", before: { set: A }, after: { set: { ...A, volumes: [TEMP, SOURCES[0], SOURCES[1]] } } },
  { name: "replacement by a trigger", before: { set: A }, after: { set: { ...A, triggers: [1] } } },
  { name: "forced replacement", before: { set: A }, after: { set: A }, options: { replace: ["set"] } },
  { name: "delete of three", before: { set: A }, after: {} },
  { name: "delete of one", before: { set: { volumes: [TEMP] } }, after: {} },
];

let sequences = 0;
afterAll(() => process.stdout.write(`converge.volumeClone: ${sequences} sequences\n`));

describe.each(OPERATIONS)("$name", ({ before, after, options }) => {
  async function prepared(): Promise<FakeEngine> {
    const engine = begin();
    if (before) expect((await up(engine, before)).errors).toEqual([]);
    return engine;
  }

  test.each(FAULT_KINDS)("a request %s", async (kind) => {
    const first = begin();
    await up(first, after);
    const wanted = inspect(first);
    for (let nth = 1; ; nth += 1) {
      const engine = await prepared();
      const faulty = await up(engine, after, { nth, kind }, { ...options, firstCheckWithoutSeed: nth % 2 === 0 });
      // The run has fewer requests: all of them have had the fault.
      if (http.requests < nth) break;
      sequences += 1;
      try {
        if (!faulty.killed && faulty.errors.length === 0) {
          // A run that succeeds leaves nothing to do.
          expect(inspect(engine)).toEqual(wanted);
        } else {
          const forced = faulty.killed ? (options ?? {}) : {};
          await up(engine, after, undefined, forced);
          const { errors } = await up(engine, after);
          expect(errors).toEqual([]);
        }
        expect(inspect(engine)).toEqual(wanted);
        expectAgreement(engine);
        // After a refresh, another `up` sends no request that changes anything.
        newProcess();
        await engine.refresh();
        expect((await up(engine, after)).errors).toEqual([]);
        expect(http.changes).toEqual([]);
        newProcess();
        expect((await engine.destroy()).errors).toEqual([]);
        expect([
          clones(),
          [...emulator.cinder.volumes.values()].flatMap(({ metadata }) => Object.keys(metadata)),
        ]).toEqual([[], ["team"]]);
      } catch (error) {
        throw new Error(
          `request ${nth} ${kind}: ${faulty.errors.join("; ")}\n${faulty.log.join("\n")}\n${error instanceof Error ? error.message : error}`,
        );
      }
    }
  });
});

test("a create that is killed, and its recovery killed at each of its requests", async () => {
  const program = { set: A };
  const first = begin();
  await up(first, program);
  const wanted = inspect(first);
  const last = http.requests;
  for (let nth = 3; nth <= last; nth += 1) {
    for (let again = 3 + (nth % 2); ; again += 2) {
      const engine = begin();
      const kind = nth % 4 < 2 ? FAULT_KINDS[4] : FAULT_KINDS[5];
      await up(engine, program, { nth, kind }, { firstCheckWithoutSeed: again % 3 === 0 });
      await up(engine, program, { nth: again, kind: again % 4 < 2 ? FAULT_KINDS[4] : FAULT_KINDS[5] });
      if (http.requests < again) break;
      sequences += 1;
      const results = [await up(engine, program), await up(engine, program)];
      const output = `killed at ${nth}, and again at ${again}\n${results.flatMap(({ log }) => log).join("\n")}`;
      expect([output, ...results.flatMap(({ errors }) => errors)]).toEqual([output]);
      expect([output, inspect(engine)]).toEqual([output, wanted]);
    }
  }
});
