// Unchanged means converged, on OpenStack: whatever fails or is killed at whichever request of an operation, `up` again,
// without faults, ends within two runs in what a first `up` of the same program gives, and nothing of ours is left over.

import type { Emulator } from "../../emulator";
import type { AnyDefinition } from "../../provider/core/definition";
import { HttpClient, type HttpRequest, type RawResponse } from "../../provider/core/http/client";
import type { Properties } from "../../provider/core/lifecycle";
import type { OpenStackContext } from "../../provider/openstack/context";
import { AutoAdvancingClock } from "../support/autoAdvancingClock";
import { FakeEngine, type RunOptions, type RunResult } from "../support/fakeEngine";
import { inProcessCloud } from "../support/inProcessCloud";
import { openCloud, PASSWORD } from "./resources/snapshot";

export type Program = Record<string, Properties>;

export interface Change {
  name: string;
  /** What a good run has made before. */
  before?: Program;
  after: Program;
  /** What resources of `after` were called in `before`. */
  aliases?: Record<string, string>;
  options?: RunOptions;
  /** Default: all. */
  hows?: readonly (typeof HOWS)[number][];
}

export interface Convergence {
  title: string;
  definition: AnyDefinition;
  /** Whose login. */
  user: string;
  changes: readonly Change[];
  /** A cloud as new. */
  ready(emulator: Emulator): void;
  /** All there is on the backend, without what is another each time. */
  picture(emulator: Emulator): unknown;
  /** The outputs that must be as a first `up` gives them. */
  outputs: readonly string[];
  /** What is on the backend when everything was destroyed. */
  remains(emulator: Emulator): unknown;
  /** Does what an error asks a person to do. */
  help?(emulator: Emulator, said: string): void;
  /** Work under way on the backend comes to its end. */
  settle(emulator: Emulator): void;
}

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
/** Longer than any work of the emulator takes. */
const A_WHILE_MS = 60_000;

const site = inProcessCloud({ clock: "manual" });
const { emulator } = site;

class EmulatorClock extends AutoAdvancingClock {
  override date(): Date {
    return emulator.clock.now();
  }
}

const clock = new EmulatorClock(0, false, (ms) => emulator.clock.tick(ms));

/** The provider's HTTP client over a cloud in this process, with one fault. */
class FaultyHttp extends HttpClient {
  requests = 0;
  /** Those that change something. */
  readonly changes: string[] = [];
  dead = false;

  constructor(private readonly fault?: Fault) {
    super({ clock });
  }

  protected override async exchange(request: HttpRequest<unknown>): Promise<RawResponse> {
    if (this.dead) throw new Error("killed");
    this.requests += 1;
    if (this.fault === undefined || this.requests < this.fault.nth) return this.carryOut(request);
    const { nth, how } = this.fault;
    const isIt = this.requests === nth;
    if (isIt && how.includes("killed")) {
      if (how.endsWith("after")) this.carryOut(request);
      this.dead = true;
      throw new Error("killed");
    }
    if (isIt && how.startsWith("fails")) return ON_THE_WAY;
    if (!isIt) return how.includes("all that follow") ? ON_THE_WAY : this.carryOut(request);
    this.carryOut(request);
    return ON_THE_WAY;
  }

  private carryOut({ method, url, headers, body }: HttpRequest<unknown>): RawResponse {
    const sent = { accept: "application/json", "content-type": "application/json", ...headers };
    if (method !== "GET" && !url.endsWith("/auth/tokens")) this.changes.push(`${method} ${url}`);
    const reply = site.answer({ method, url, headers: sent, body });
    if (!reply) throw new Error(`nobody is at ${url}`);
    const dated = { ...reply.headers, date: emulator.clock.now().toUTCString() };
    const lower = Object.fromEntries(Object.entries(dated).map(([name, value]) => [name.toLowerCase(), value]));
    return { status: reply.status, headers: lower, text: reply.body, json: parsed(reply.body) };
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function testConvergence(one: Convergence): void {
  jest.setTimeout(300_000);
  let http: FaultyHttp;
  let cloud: OpenStackContext;
  let sequences = 0;
  const definition = { ...one.definition, connection: { ...one.definition.connection, open: () => cloud } };

  beforeAll(() => jest.spyOn(Math, "random").mockReturnValue(0.5));
  afterAll(() => {
    jest.restoreAllMocks();
    process.stdout.write(`${one.title}: ${sequences} sequences converge\n`);
  });

  const newProcess = (fault?: Fault) => {
    http = new FaultyHttp(fault);
    cloud = openCloud(emulator.authUrl, clock, http, one.user);
  };
  const begin = () => {
    emulator.reset();
    emulator.keystone.userNamed(one.user).password = PASSWORD;
    one.ready(emulator);
    return new FakeEngine(definition, { clock, isDead: () => http.dead });
  };
  const passAWhile = () => {
    emulator.clock.tick(A_WHILE_MS);
    one.settle(emulator);
  };

  async function up(engine: FakeEngine, { after, aliases, options }: Change, fault?: Fault): Promise<RunResult> {
    newProcess(fault);
    const result = await engine.up(after, options ?? {}, aliases ?? {});
    // Of a replacement that ended in an init failure the old one waits to be deleted (docs/wire/pulumi-engine.md#calls).
    engine.edit(({ entries }) => {
      for (const [at, entry] of entries.entries()) {
        const isReplaced = entries.slice(at + 1).some(({ urn, leaving }) => urn === entry.urn && !leaving);
        if (isReplaced) entry.leaving = true;
      }
    });
    passAWhile();
    return result;
  }

  const pictureOf = (engine: FakeEngine) => ({
    backend: one.picture(emulator),
    state: engine.state.entries
      .map(({ urn, outputs, initError, leaving }) => ({
        urn,
        initError,
        leaving,
        ...Object.fromEntries(["pending", ...one.outputs].map((key) => [key, outputs[key]])),
      }))
      .sort((a, b) => a.urn.localeCompare(b.urn)),
  });

  /** What a first `up` of the program gives. */
  async function firstUp(change: Change) {
    const engine = begin();
    expect((await up(engine, { ...change, options: {} })).errors).toEqual([]);
    return pictureOf(engine);
  }

  async function converges(change: Change, fault: Fault, wanted: object): Promise<boolean> {
    const engine = begin();
    if (change.before) expect((await up(engine, { name: "", after: change.before })).errors).toEqual([]);
    const faulty = await up(engine, change, fault);
    // Beyond the last request of the run there is nothing left to fail.
    if (http.requests < fault.nth) return false;
    sequences += 1;
    const said: string[] = [...faulty.errors.map(String), ...faulty.log];
    try {
      if (faulty.killed || faulty.errors.length > 0) {
        if (!faulty.killed) one.help?.(emulator, said.join("\n"));
        // A forced replacement that was killed is asked for again.
        const again = await up(engine, { ...change, options: faulty.killed ? (change.options ?? {}) : {} });
        said.push("--- again", ...again.errors.map(String), ...again.log);
        one.help?.(emulator, again.errors.map(String).join("\n"));
        const { errors } = await up(engine, { ...change, options: {} });
        expect(errors).toEqual([]);
      }
      // What ends well has nothing left to do.
      expect(pictureOf(engine)).toEqual(wanted);
      newProcess();
      await engine.refresh();
      expect((await up(engine, { ...change, options: {} })).errors).toEqual([]);
      expect(http.changes).toEqual([]);
      expect(pictureOf(engine)).toEqual(wanted);
      newProcess();
      expect((await engine.destroy()).errors).toEqual([]);
      passAWhile();
      expect([engine.state.entries, one.remains(emulator)]).toEqual([[], one.remains(untouched())]);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`request ${fault.nth} ${fault.how}:\n${said.join("\n")}\n${why}`);
    }
    return true;
  }

  /** The cloud as new, to compare with: a copy, since there is one emulator. */
  let asNew: Emulator | undefined;
  function untouched(): Emulator {
    if (asNew === undefined) {
      const other = inProcessCloud({ clock: "manual" }).emulator;
      one.ready(other);
      asNew = other;
    }
    return asNew;
  }

  describe.each(one.changes)("$name", (change) => {
    test.each(change.hows ?? HOWS)("a request %s", async (how) => {
      const wanted = await firstUp(change);
      for (let nth = 1; await converges(change, { nth, how }, wanted); nth += 1);
    });
  });
}
