// Unchanged means converged, for VolumeClone: whatever fails or is killed at whichever request of an operation, `up` again,
// without faults, ends within two runs in what a first `up` of the same program gives, and nothing of ours is left over.

import { SEED_VOLUMES, type VolumeRow } from "../../emulator";
import { HttpClient, type HttpRequest, type RawResponse } from "../../provider/core/http/client";
import type { Properties } from "../../provider/core/lifecycle";
import { KeystoneSession } from "../../provider/openstack/keystone";
import { PowerVcContext } from "../../provider/powervc/context";
import { volumeClone } from "../../provider/powervc/volumeClone/resource";
import { AutoAdvancingClock } from "../support/autoAdvancingClock";
import { FakeEngine, type RunOptions, type RunResult } from "../support/fakeEngine";
import { inProcessCloud } from "../support/inProcessCloud";
import { PASSWORD, settingsOf } from "./resources/snapshot";

// Two loaded cores.
jest.setTimeout(120_000);

const TEMP = "33333333-3333-4333-8333-333333333333";
const SOURCES = [SEED_VOLUMES.data, SEED_VOLUMES.logs, TEMP];
/** Two of one size, so that sizes alone don't tell them apart. */
const SIZES: Record<string, number> = { [SEED_VOLUMES.data]: 10, [SEED_VOLUMES.logs]: 20, [TEMP]: 10 };

const HOWS = [
  "fails once",
  "is carried out, and its reply lost",
  "fails, and all that follow",
  "is carried out, its reply lost, and all that follow fail",
  "is where the process is killed, before",
  "is where the process is killed, after",
] as const;

interface Fault {
  nth: number;
  how: (typeof HOWS)[number];
}

const ON_THE_WAY: RawResponse = { status: 503, headers: {}, text: '{"proxy":"no"}', json: { proxy: "no" } };

/** The provider's HTTP client over a cloud in this process, with one fault. */
class FaultyHttp extends HttpClient {
  requests = 0;
  readonly changes: string[] = [];
  dead = false;

  constructor(private readonly fault?: Fault) {
    super({ clock });
  }

  protected override async exchange(request: HttpRequest<unknown>): Promise<RawResponse> {
    if (this.dead) throw new Error("killed");
    this.requests += 1;
    const { nth, how } = this.fault ?? { nth: Number.POSITIVE_INFINITY, how: HOWS[0] };
    const isIt = this.requests === nth;
    const goesOn = how.endsWith("all that follow") || how.endsWith("all that follow fail");
    if (isIt && how.endsWith("before")) {
      this.dead = true;
      throw new Error("killed");
    }
    if (isIt ? how.startsWith("fails") : this.requests > nth && goesOn) return ON_THE_WAY;
    const answer = this.carryOut(request);
    if (isIt && how.endsWith("after")) {
      this.dead = true;
      throw new Error("killed");
    }
    return isIt ? ON_THE_WAY : answer;
  }

  private carryOut({ method, url, headers, body }: HttpRequest<unknown>): RawResponse {
    const sent = { accept: "application/json", "content-type": "application/json", ...headers };
    if (method !== "GET" && !url.endsWith("/auth/tokens")) this.changes.push(`${method} ${url}`);
    const reply = site.answer({ method, url, headers: sent, body });
    if (!reply) throw new Error(`nobody is at ${url}`);
    const dated = { ...reply.headers, date: emulator.clock.now().toUTCString() };
    const lower = Object.fromEntries(Object.entries(dated).map(([name, value]) => [name.toLowerCase(), String(value)]));
    const text = typeof reply.body === "string" ? reply.body : "";
    return { status: reply.status, headers: lower, text, json: parsed(text) };
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

class EmulatorClock extends AutoAdvancingClock {
  override date(): Date {
    return emulator.clock.now();
  }
}

const site = inProcessCloud({ clock: "manual" });
const { emulator } = site;
const clock = new EmulatorClock(0, false, (ms) => emulator.clock.tick(ms));

let http: FaultyHttp;
let cloud: PowerVcContext;
const definition = { ...volumeClone, connection: { kind: "powervc", open: () => cloud } };

function newProcess(fault?: Fault): void {
  http = new FaultyHttp(fault);
  const settings = { ...settingsOf(emulator.authUrl, "demo"), serviceType: { blockStorage: "volume" } };
  cloud = new PowerVcContext(new KeystoneSession(settings, { clock, http }), clock);
}

/** A cloud as new, and a stack that nothing has been in. */
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
  // Long enough for whatever goes well, and no hour of looks where nothing does.
  const inTime = Object.entries(program).map(([name, args]) => [name, { ...args, __timeouts: TIMEOUTS }]);
  const result = await engine.up(Object.fromEntries(inTime), options);
  emulator.clock.tick(1_000);
  return result;
}

function clones(): VolumeRow[] {
  emulator.powervc.settle();
  return [...emulator.cinder.volumes.values()].filter(({ id }) => !SOURCES.includes(id));
}

/** All there is, without what is another each time. */
function picture(engine: FakeEngine): unknown {
  const metadata = (row: VolumeRow) =>
    Object.entries(row.metadata)
      // A PowerVC that copies metadata copies the note of the request, too; on a clone it means nothing.
      .filter(([key]) => SOURCES.includes(row.id) || !/^snapclone:snapclone-.*:pending$/.test(key))
      // The task of a lost reply nobody knows.
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

  test.each(HOWS)("a request %s", async (how) => {
    const first = begin();
    await up(first, after);
    const wanted = picture(first);
    for (let nth = 1; ; nth += 1) {
      const engine = await prepared();
      const faulty = await up(engine, after, { nth, how }, { ...options, firstCheckWithoutSeed: nth % 2 === 0 });
      // Beyond the last request of the run there is nothing left to fail.
      if (http.requests < nth) break;
      sequences += 1;
      try {
        if (!faulty.killed && faulty.errors.length === 0) {
          // What ends well has nothing left to do.
          expect(picture(engine)).toEqual(wanted);
        } else {
          const forced = faulty.killed ? (options ?? {}) : {};
          await up(engine, after, undefined, forced);
          const { errors } = await up(engine, after);
          expect(errors).toEqual([]);
        }
        expect(picture(engine)).toEqual(wanted);
        expectAgreement(engine);
        // And once more, after a refresh: nothing is sent that changes anything.
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
          `request ${nth} ${how}: ${faulty.errors.join("; ")}\n${faulty.log.join("\n")}\n${error instanceof Error ? error.message : error}`,
        );
      }
    }
  });
});

test("a create that is killed, and its recovery killed at each of its requests", async () => {
  const program = { set: A };
  const first = begin();
  await up(first, program);
  const wanted = picture(first);
  const last = http.requests;
  for (let nth = 3; nth <= last; nth += 1) {
    for (let again = 3 + (nth % 2); ; again += 2) {
      const engine = begin();
      const how = nth % 4 < 2 ? HOWS[4] : HOWS[5];
      await up(engine, program, { nth, how }, { firstCheckWithoutSeed: again % 3 === 0 });
      await up(engine, program, { nth: again, how: again % 4 < 2 ? HOWS[4] : HOWS[5] });
      if (http.requests < again) break;
      sequences += 1;
      const results = [await up(engine, program), await up(engine, program)];
      const said = `killed at ${nth}, and again at ${again}\n${results.flatMap(({ log }) => log).join("\n")}`;
      expect([said, ...results.flatMap(({ errors }) => errors)]).toEqual([said]);
      expect([said, picture(engine)]).toEqual([said, wanted]);
    }
  }
});
