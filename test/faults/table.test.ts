// The fault table, cell by cell, over real sockets against the emulator.

import dns from "node:dns";
import { type Emulator, startEmulator } from "../../emulator";
import { SnapcloneError } from "../../provider/core/errors";
import { PartialFailure } from "../../provider/core/lifecycle";
import { AutoAdvancingClock } from "../support/autoAdvancingClock";
import { cellOf, FAULTS, type FaultName } from "./faults";
import { again, pendingOf, perform, prepare, type Result, UserRun, wanted } from "./operations";
import { RESOURCES } from "./resources/index";
import type { Counts, Expectation, ResourceUnderTest } from "./resourceUnderTest";
import { FaultyHttp, type Interference, type OffOriginServer, startOffOriginServer } from "./wire";

/** Real milliseconds for one attempt and what they count as (the provider's own default is a minute), and `customTimeouts`. */
const LIMITS = {
  usual: { attemptMs: 3_000, scale: 20, deadline: "2m" },
  patient: { attemptMs: 200, scale: 300, deadline: "10m" },
};

// A cell takes some 50 ms, the longest a second; a machine that is busy with other things takes its time.
jest.setTimeout(60_000);

let emulator: Emulator;
let plain: OffOriginServer;
let untrusted: OffOriginServer;

beforeAll(async () => {
  unresolvable(".invalid");
  [emulator, plain, untrusted] = await Promise.all([
    startEmulator({ clock: "instant" }),
    startOffOriginServer("http"),
    startOffOriginServer("https"),
  ]);
});

afterAll(() => jest.restoreAllMocks());
afterAll(() => Promise.all([emulator.close(), plain.close(), untrusted.close()]));

describe.each(RESOURCES.map((subject) => [subject.title, subject] as const))("%s", (_title, subject) => {
  describe.each(Object.keys(FAULTS) as FaultName[])("%s", (fault) => {
    test.each(Object.keys(subject.places))("%s", async (place) => {
      if (!("wrongType" in FAULTS[fault].how)) return runCell(subject, fault, place);
      const fields = subject.places[place]?.fields ?? [];
      for (const field of fields) await runCell(subject, fault, place, field);
      // Where no field is read, there is nothing to go wrong.
      if (fields.length === 0) expect(cellOf(subject, fault, place).outcome).toBe("ok");
    });
  });
});

async function runCell(subject: ResourceUnderTest, fault: FaultName, place: string, field?: string): Promise<void> {
  const { how, patient, pauseMs } = FAULTS[fault];
  const cell = cellOf(subject, fault, place);
  const at = subject.places[place];
  if (!at) throw new Error(`there is no place ${place}`);
  const { of: operation } = at;
  const limits = patient ? LIMITS.patient : LIMITS.usual;
  const { deadline } = limits;
  const timeouts = { create: deadline, update: deadline, delete: deadline };

  emulator.reset();
  subject.ready(emulator);
  const { clock, http, newRun } = site(subject, limits, "calendar" in how);
  // What goes before and comes after meets no fault: it is not to run out of a short time on a busy machine.
  const calm = site(subject, LIMITS.usual);
  try {
    const before = await prepare(operation, calm.newRun(), timeouts);
    const { makings: makingsBefore } = subject.count(emulator);

    const wire = arm(subject, fault, place, field);
    http.interference = wire;
    const user = newRun();
    const sleptBefore = clock.slept.length;
    const result = await perform(operation, user, before, timeouts);

    const befallen = wire ? http.hits : emulator.requests.count(({ fault }) => fault !== undefined);
    if (!("calendar" in how)) expect(befallen).toBeGreaterThan(0);
    subject.settle(emulator);
    const { objects, makings } = subject.count(emulator);
    expect(summary(result, { objects, makings: makings - makingsBefore })).toEqual(expected(cell));
    if (cell.says) expect(messageOf(result.error)).toMatch(cell.says);
    if (field !== undefined && cell.kind === "malformed") expect(messageOf(result.error)).toContain(field);
    if (pauseMs !== undefined) {
      // Some of it has passed when the pause begins.
      const paused = clock.slept.slice(sleptBefore).filter((ms) => ms > pauseMs / 2 && ms <= pauseMs);
      expect(paused).not.toEqual([]);
    }
    expectClean(result, user.log, subject.secrets(emulator));
    expect([...plain.reached, ...untrusted.reached]).toEqual([]);

    emulator.faults.clear();
    subject.looked?.(emulator);
    await again(operation, calm.newRun(), before, result);
    subject.settle(emulator);
    expect(subject.statuses(emulator)).toEqual(Array.from({ length: wanted(operation, subject) }, () => subject.fine));
  } finally {
    emulator.faults.clear();
    await Promise.all([http.close(), calm.http.close()]);
  }
}

/** A provider's clock and HTTP client, and runs with them. */
function site(
  subject: ResourceUnderTest,
  { scale, attemptMs }: { scale: number; attemptMs: number },
  calendarJumps = false,
) {
  const clock = new AutoAdvancingClock(scale, calendarJumps);
  const http = new FaultyHttp(clock, { attemptMs, connectMs: attemptMs });
  return { clock, http, newRun: () => new UserRun(subject, clock, subject.open(emulator, clock, http)) };
}

/** A resolver without an answer may take many seconds to say so; the name that doesn't exist is to fail on any machine. */
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

/** Sets the fault up: at the emulator, or on our own side of the wire (then it is returned). */
function arm(
  subject: ResourceUnderTest,
  fault: FaultName,
  place: string,
  field: string | undefined,
): Interference | undefined {
  const { how } = FAULTS[fault];
  const at = subject.places[place]?.call;
  if (!at) throw new Error(`there is no place ${place}`);
  if ("calendar" in how) return undefined;
  if ("answer" in how) {
    const answer = typeof how.answer === "function" ? how.answer(subject, place) : how.answer;
    const location = answer.action === "redirect" ? { location: `${plain.url}/stolen` } : {};
    emulator.faults.add({ match: at, times: Number.POSITIVE_INFINITY, ...answer, ...location });
    return undefined;
  }
  if ("elsewhere" in how) {
    // Port 1 belongs to root, and nobody has listened there for decades.
    const origin = { "closed port": "http://127.0.0.1:1", "unknown host": "http://backend.invalid" } as const;
    return { at, origin: how.elsewhere === "untrusted server" ? untrusted.url : origin[how.elsewhere] };
  }
  if ("strangeStatus" in how) {
    return { at, bend: (json) => replaceWhere(json, subject.statusField, how.strangeStatus) };
  }
  if (field === undefined) throw new Error("a field is missing");
  return { at, bend: (json) => spoilt(json, field.split(".")) };
}

function summary(result: Result, counts: Counts): object {
  const { error, stored, gone } = result;
  const failure = error instanceof SnapcloneError || error instanceof PartialFailure ? error : undefined;
  if (error !== undefined && !failure) throw error;
  const pending = stored && pendingOf(stored.properties);
  return {
    outcome: failure ? (failure instanceof PartialFailure ? "recorded" : "fails") : gone ? "gone" : "ok",
    ...counts,
    kind: failure?.kind,
    pending: pending ? { operation: pending.operation, failed: pending.failed } : undefined,
  };
}

function expected({ outcome, objects, makings, kind, pending }: Expectation): object {
  const unfinished = pending ? { operation: pending, failed: undefined } : undefined;
  return { outcome, objects, makings, kind, pending: unfinished };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Whatever happened: no secret leaves, nothing undefined is stored, and no failure is a surprise to the provider itself. */
function expectClean({ error, stored }: Result, log: readonly string[], secrets: readonly string[]): void {
  const message = error === undefined ? "" : `${messageOf(error)}\n${error instanceof Error ? error.stack : ""}`;
  const said = [message, JSON.stringify(stored ?? {}), ...log].join("\n");
  for (const secret of secrets) {
    expect(said).not.toContain(secret);
    expect(said).not.toContain(JSON.stringify(secret).slice(1, -1));
  }
  expect(said).not.toMatch(/please report it|\bundefined\b|\[object |NaN/);
  if (error !== undefined) expect(messageOf(error)).toMatch(/^cannot (create|read|update|delete|get|log in at) /);
  if (!stored) return;
  expect(stored.id).toMatch(/\S/);
  expect(JSON.parse(JSON.stringify(stored))).toStrictEqual(stored);
}

/** The same with another type at `path`. */
function spoilt(value: unknown, path: readonly string[]): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return typeof value === "object" && value !== null ? 7 : ["wrong"];
  if (Array.isArray(value)) return value.map((one, index) => (String(index) === key ? spoilt(one, rest) : one));
  if (typeof value !== "object" || value === null) throw new Error(`the answer has no ${path.join(".")}`);
  return { ...value, [key]: spoilt(Reflect.get(value, key), rest) };
}

function replaceWhere(value: unknown, name: string, by: string): unknown {
  if (Array.isArray(value)) return value.map((one) => replaceWhere(one, name, by));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value);
  return Object.fromEntries(entries.map(([key, one]) => [key, key === name ? by : replaceWhere(one, name, by)]));
}
