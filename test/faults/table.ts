// Runs each cell of the fault table over real sockets against the emulator (faults.ts explains the table).

import dns from "node:dns";
import { type Emulator, startEmulator } from "../../emulator";
import { SnapcloneError } from "../../provider/core/errors";
import { PartialFailure } from "../../provider/core/outputs";
import { AutoAdvancingClock } from "../support/autoAdvancingClock";
import { expectationAt, FAULTS, type FaultName } from "./faults";
import { again, expectedCount, pendingOf, perform, prepare, type Result, UserRun } from "./operations";
import type { Counts, Expectation, Operation, RequestSite, ResourceUnderTest } from "./resourceUnderTest";
import { entryIn, NativeFailure } from "./shells";
import {
  FaultyHttp,
  type Interference,
  type OffOriginServer,
  PROXY_PASSWORD,
  type ProxyAnswer,
  startOffOriginServer,
  startRefusingProxy,
} from "./wire";

/** Real milliseconds that one attempt may take, the clock's factor (the provider's default is a minute), and the operation's deadline. */
const LIMITS = {
  usual: { attemptMs: 3_000, scale: 20, deadline: "2m" },
  patient: { attemptMs: 200, scale: 300, deadline: "10m" },
};

let emulator: Emulator;
let plain: OffOriginServer;
let untrusted: OffOriginServer;
let proxy: OffOriginServer & { answer: ProxyAnswer };

/** Declares a test for each cell of this resource. */
export function testFaultTable(resource: ResourceUnderTest): void {
  startServers();
  describeCells(resource, Object.keys(resource.sites));
}

/**
 * The native provider's cells of these resources. Both shells are thin, so one kind of request for each operation shows what the
 * native one makes of each fault.
 */
export function testNativeFaultTable(resources: readonly ResourceUnderTest[]): void {
  startServers();
  for (const resource of resources) describeCells({ ...resource, shell: "native" }, tellingSites(resource));
}

function startServers(): void {
  // A cell takes about 50 ms, and at most a second on an idle machine.
  jest.setTimeout(60_000);

  beforeAll(async () => {
    unresolvable(".invalid");
    [emulator, plain, untrusted, proxy] = await Promise.all([
      startEmulator({ clock: "instant" }),
      startOffOriginServer("http"),
      startOffOriginServer("https"),
      startRefusingProxy(),
    ]);
  });
  afterAll(() => jest.restoreAllMocks());
  afterAll(() => Promise.all([emulator.close(), plain.close(), untrusted.close(), proxy.close()]));
}

function describeCells(resource: ResourceUnderTest, sites: readonly string[]): void {
  describe.each([resource.title])("%s", () => {
    describe.each(Object.keys(FAULTS) as FaultName[])("%s", (fault) => {
      test.each(sites)("%s", async (site) => {
        if (!("wrongType" in FAULTS[fault].injection)) return checkExpectation(resource, fault, site);
        const fields = resource.sites[site]?.fields ?? [];
        for (const field of fields) await checkExpectation(resource, fault, site, field);
        // Where the provider reads no field, no field can be wrong.
        if (fields.length === 0) expect(expectationAt(resource, fault, site).outcome).toBe("ok");
      });
    });
  });
}

/**
 * For each operation, the request whose faults end it in the most ways; of several, the last one. The option `import` is the
 * dynamic classes' alone.
 */
function tellingSites(resource: ResourceUnderTest): string[] {
  const endings = (site: string) => {
    const all = (Object.keys(FAULTS) as FaultName[]).map((fault) => expectationAt(resource, fault, site));
    return new Set(all.map(({ outcome, pending }) => `${outcome} ${pending}`)).size;
  };
  const telling = new Map<Operation, string>();
  for (const [site, { of }] of Object.entries(resource.sites)) {
    if (of === "import") continue;
    const known = telling.get(of);
    if (known === undefined || endings(site) >= endings(known)) telling.set(of, site);
  }
  return [...telling.values()];
}

async function checkExpectation(
  resource: ResourceUnderTest,
  fault: FaultName,
  site: string,
  field?: string,
): Promise<void> {
  const { injection, patient, pauseMs } = FAULTS[fault];
  const expectation = expectationAt(resource, fault, site);
  const operation = siteOf(resource, site).of;
  const limits = patient ? LIMITS.patient : LIMITS.usual;
  const { deadline } = limits;
  const timeouts = { create: deadline, update: deadline, delete: deadline };

  emulator.reset();
  resource.prepare(emulator);
  const { clock, http, newRun } = newProvider(resource, limits, "calendar" in injection);
  // The runs before and after meet no fault, so they need no short time limits, which a busy machine could exceed.
  const calm = newProvider(resource, LIMITS.usual);
  try {
    const before = await prepare(operation, calm.newRun(), timeouts, emulator);
    const { creates: createsBefore } = resource.count(emulator);

    const interference = injectFault(resource, fault, site, field);
    http.interference = interference;
    const user = newRun();
    const sleptBefore = clock.slept.length;
    const result = await perform(operation, user, before, timeouts);

    const hits = interference ? http.hits : emulator.requests.count(({ fault }) => fault !== undefined);
    if (!("calendar" in injection)) expect(hits).toBeGreaterThan(0);
    resource.advance(emulator);
    const { objects, creates } = resource.count(emulator);
    const seen = summary(result, { objects, creates: creates - createsBefore });
    expect(seen).toEqual(expected(expectation, resource.shell === "native"));
    if (expectation.message) expect(messageOf(result.error)).toMatch(expectation.message);
    if (field !== undefined && expectation.kind === "malformed") expect(messageOf(result.error)).toContain(field);
    if (pauseMs !== undefined) {
      // Some of the time has passed when the pause begins.
      const paused = clock.slept.slice(sleptBefore).filter((ms) => ms > pauseMs / 2 && ms <= pauseMs);
      expect(paused).not.toEqual([]);
    }
    expectClean(result, user.log, [...resource.secrets(emulator), PROXY_PASSWORD]);
    expect([...plain.reached, ...untrusted.reached]).toEqual([]);

    emulator.faults.clear();
    resource.followAdvice?.(emulator);
    await again(operation, calm.newRun(), before, result);
    resource.advance(emulator);
    expect(resource.statuses(emulator)).toEqual(
      Array.from({ length: expectedCount(operation, resource) }, () => resource.healthyStatus),
    );
  } finally {
    emulator.faults.clear();
    await Promise.all([http.close(), calm.http.close()]);
  }
}

function siteOf(resource: ResourceUnderTest, name: string): RequestSite {
  const site = resource.sites[name];
  if (!site) throw new Error(`${resource.title} has no site ${name}`);
  return site;
}

/** A provider's clock and HTTP client, and runs with them. */
function newProvider(
  resource: ResourceUnderTest,
  { scale, attemptMs }: { scale: number; attemptMs: number },
  calendarJumps = false,
) {
  const clock = new AutoAdvancingClock(scale, calendarJumps);
  const http = new FaultyHttp(clock, { attemptMs, connectMs: attemptMs });
  return { clock, http, newRun: () => new UserRun(resource, clock, resource.open(emulator, clock, http)) };
}

/** Makes names of this domain fail at once. A machine's resolver may need many seconds for that. */
function unresolvable(domain: string): void {
  const { lookup } = dns;
  type Done = (error: NodeJS.ErrnoException | null, address: string | dns.LookupAddress[], family: number) => void;
  const failing = (host: string, options: dns.LookupOptions, done: Done) => {
    if (!host.endsWith(domain)) return lookup(host, options, done);
    const error = Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: "ENOTFOUND" });
    setImmediate(() => done(error, "", 4));
  };
  jest.spyOn(dns, "lookup").mockImplementation(failing as unknown as typeof lookup);
}

/** Adds the fault to the emulator. A fault on the client's side is returned for FaultyHttp. */
function injectFault(
  resource: ResourceUnderTest,
  fault: FaultName,
  site: string,
  field: string | undefined,
): Interference | undefined {
  const { injection } = FAULTS[fault];
  const at = siteOf(resource, site).call;
  if ("calendar" in injection) return undefined;
  if ("answer" in injection) {
    const answer = typeof injection.answer === "function" ? injection.answer(resource, site) : injection.answer;
    const location = answer.action === "redirect" ? { location: `${plain.url}/stolen` } : {};
    emulator.faults.add({ match: at, times: Number.POSITIVE_INFINITY, ...answer, ...location });
    return undefined;
  }
  if ("proxy" in injection) {
    proxy.answer = injection.proxy;
    return { at, proxy: proxy.url };
  }
  if ("elsewhere" in injection) {
    // Port 1 is reserved and unused.
    const origin = { "closed port": "http://127.0.0.1:1", "unknown host": "http://backend.invalid" } as const;
    return { at, origin: injection.elsewhere === "untrusted server" ? untrusted.url : origin[injection.elsewhere] };
  }
  if ("strangeStatus" in injection) {
    return { at, mutate: (json) => replaceWhere(json, resource.statusField, injection.strangeStatus) };
  }
  if (field === undefined) throw new Error("this fault needs a field");
  return { at, mutate: (json) => withWrongType(json, field.split(".")) };
}

function summary(result: Result, counts: Counts): object {
  const { error, stored, gone } = result;
  const isKnown = [SnapcloneError, PartialFailure, NativeFailure].some((type) => error instanceof type);
  if (error !== undefined && !isKnown) throw error;
  const pending = stored && pendingOf(stored.properties);
  const failed = entryIn(error) === undefined ? "fails" : "recorded";
  return {
    outcome: error === undefined ? (gone ? "gone" : "ok") : failed,
    ...counts,
    kind: error instanceof SnapcloneError || error instanceof PartialFailure ? error.kind : undefined,
    pending: pending ? { operation: pending.operation, failed: pending.failed } : undefined,
  };
}

/** The native service answers texts: its errors have no kinds. */
function expected({ outcome, objects, creates, kind, pending }: Expectation, isNative: boolean): object {
  const unfinished = pending ? { operation: pending, failed: undefined } : undefined;
  return { outcome, objects, creates, kind: isNative ? undefined : kind, pending: unfinished };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Holds for every result: no secret leaves, the state is plain JSON, and the error is one of the provider's own. */
function expectClean({ error, stored }: Result, log: readonly string[], secrets: readonly string[]): void {
  const message = error === undefined ? "" : `${messageOf(error)}\n${error instanceof Error ? error.stack : ""}`;
  const text = [message, JSON.stringify(stored ?? {}), ...log].join("\n");
  for (const secret of secrets) {
    expect(text).not.toContain(secret);
    expect(text).not.toContain(JSON.stringify(secret).slice(1, -1));
  }
  expect(text).not.toMatch(/please report it|\bundefined\b|\[object |NaN/);
  if (error !== undefined)
    expect(messageOf(error)).toMatch(/^cannot (create|import|read|update|delete|get|log in at) /);
  if (!stored) return;
  expect(stored.id).toMatch(/\S/);
  expect(JSON.parse(JSON.stringify(stored))).toStrictEqual(stored);
}

/** A copy with another type at `path`. */
function withWrongType(value: unknown, path: readonly string[]): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return typeof value === "object" && value !== null ? 7 : ["wrong"];
  if (Array.isArray(value)) return value.map((one, index) => (String(index) === key ? withWrongType(one, rest) : one));
  if (typeof value !== "object" || value === null) throw new Error(`the answer has no ${path.join(".")}`);
  return { ...value, [key]: withWrongType(Reflect.get(value, key), rest) };
}

function replaceWhere(value: unknown, name: string, by: string): unknown {
  if (Array.isArray(value)) return value.map((one) => replaceWhere(one, name, by));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value);
  return Object.fromEntries(entries.map(([key, one]) => [key, key === name ? by : replaceWhere(one, name, by)]));
}
