// Ten thousand answers that no service should give, one or for ever, to any request of any operation. In process, without
// a socket: FAULTS_SEED repeats a run.

import { validateHeaderValue } from "node:http";
import { inspect, isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import type { SnapshotRow } from "../../emulator";
import type { Reply } from "../../emulator/http";
import { SnapcloneError } from "../../provider/core/errors";
import { Http, type HttpRequest, type RawAnswer } from "../../provider/core/http";
import { PartialFailure } from "../../provider/core/lifecycle";
import { BriskClock } from "../support/briskClock";
import { IN_PROCESS_URL, InProcessCloud } from "../support/inProcessCloud";
import { again, perform, prepare, type Stored, UserRun, wanted } from "./operations";
import type { Operation } from "./subject";
import { openCloud, PASSWORD, snapshot } from "./subjects/snapshot";

const ANSWERS = 10_000;
/** Operations; some end at the first bad answer, some meet many. */
const CASES = 5_200;
const SEED = Number(process.env.FAULTS_SEED ?? 20_261_121);
const TIMEOUTS = { create: "4m", update: "4m", delete: "4m" };
/** Of the clock's own time, and more than all the pauses of an operation together may be. */
const LIMIT_MS = 900_000;

interface Case {
  /** Not "adopt": a list that is in good form and leaves out a mark cannot be told from the truth. */
  operation: Exclude<Operation, "adopt">;
  /** The first of its requests to be answered badly (login, versions, list, …), and how the next ones are. */
  nth: number;
  /** Whether a request that is answered with an error was carried out all the same. */
  carriedOut: boolean;
  status: number | undefined;
  spoils: readonly Spoil[];
}

type Spoil =
  | { with: "other JSON"; value: unknown }
  | { with: "another value"; at: number; value: unknown }
  | { with: "a field less"; at: number }
  | { with: "a strange number"; at: number; digits: string }
  | { with: "less of it"; share: number }
  | { with: "text"; text: string }
  | { with: "depth"; depth: number; opening: string }
  | { with: "a header"; name: string; value: string };

const value = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom<unknown>(
    null,
    "",
    " ",
    ".",
    "..",
    "a/b",
    "a\nb",
    "\0",
    "💥",
    "undefined",
    "__proto__",
    0,
    -1,
    1e308,
    [],
    {},
  ),
  fc.constantFrom("creating", "available", "error", "deleting", "error_deleting", "AVAILABLE", "quantum-folding"),
  fc.constantFrom("http://elsewhere.test/v3", "ftp://x", "http://", "3.99", "9.9.9", "v3.0", "2099-01-01T00:00:00Z"),
  fc.constantFrom<unknown>(
    JSON.parse('{"__proto__":"x"}'),
    { constructor: "x" },
    { toString: 7 },
    [[[[[]]]]],
    "x".repeat(5_000),
  ),
);

const spoil: fc.Arbitrary<Spoil> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ with: fc.constant("other JSON" as const), value }) },
  { weight: 8, arbitrary: fc.record({ with: fc.constant("another value" as const), at: fc.nat(200), value }) },
  { weight: 3, arbitrary: fc.record({ with: fc.constant("a field less" as const), at: fc.nat(200) }) },
  fc.record({
    with: fc.constant("a strange number" as const),
    at: fc.nat(200),
    digits: fc.constantFrom("1e999", "-1e999", "-0", "1e-400", "123456789012345678901234567890", "0.1"),
  }),
  fc.record({ with: fc.constant("less of it" as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({
    with: fc.constant("text" as const),
    text: fc.oneof(fc.string(), fc.constantFrom("", "null", "<html>", "{")),
  }),
  fc.record({
    with: fc.constant("depth" as const),
    depth: fc.integer({ min: 10, max: 4_000 }),
    opening: fc.constantFrom("[", '{"snapshot":', '{"error":', '{"token":'),
  }),
  fc.record({
    with: fc.constant("a header" as const),
    name: fc.constantFrom(
      "content-type",
      "retry-after",
      "x-subject-token",
      "date",
      "location",
      "x-openstack-request-id",
    ),
    value: fc.constantFrom(
      "",
      "text/html",
      "-1",
      "0",
      "1e9",
      "Infinity",
      "NaN",
      "Thu, 01 Jan 2099 00:00:00 GMT",
      "never",
      "a b",
    ),
  }),
);

const cases: fc.Arbitrary<Case> = fc.record({
  operation: fc.constantFrom<Case["operation"]>("create", "create", "read", "update", "delete", "look up"),
  nth: fc.nat(104),
  carriedOut: fc.boolean(),
  status: fc.oneof(
    { weight: 4, arbitrary: fc.constant(undefined) },
    fc.constantFrom(200, 202, 204, 299, 300, 302, 304, 400, 401, 403, 404, 406, 409, 413, 418, 429, 500, 501, 503, 599),
  ),
  spoils: fc.array(spoil, { minLength: 1, maxLength: 60 }),
});

jest.setTimeout(400_000);

test(`at least ${ANSWERS} malformed answers (seed ${SEED}): no hang, no surprise, nothing undefined, nothing made twice`, async () => {
  let answers = 0;
  const outcomes = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(cases, async (one) => {
      const { outcome, spoilt } = await meet(one);
      answers += spoilt;
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }),
    { numRuns: CASES, seed: SEED },
  );
  // A generator that only ever hits what nobody reads would prove nothing.
  for (const seen of ["ok", "fails", "recorded"]) expect(outcomes.get(seen) ?? 0).toBeGreaterThan(CASES / 100);
  expect(answers).toBeGreaterThanOrEqual(ANSWERS);
});

/** The provider's HTTP client over the in-process cloud, which spoils some answers in a row. */
class SpoilingHttp extends Http {
  readonly problems: string[] = [];
  spoiltAnswers = 0;
  private requests = 0;
  private made = 0;
  /** Of the last POST that makes something. */
  private lastStatus: number | undefined;

  constructor(
    clock: BriskClock,
    private readonly cloud: InProcessCloud,
    private readonly plan?: Case,
  ) {
    super({ clock });
  }

  protected override async exchange(request: HttpRequest<unknown>): Promise<RawAnswer> {
    const { method, url } = request;
    this.checkLegal(request);
    const { plan } = this;
    const how = plan?.spoils[this.requests++ - plan.nth];
    const status = how && plan?.status;
    // A 401 and a 429 promise that nothing was done; any other error may be said of what was.
    const turnedAway = status === 401 || status === 429;
    const notCarriedOut = status !== undefined && status >= 300 && !plan?.carriedOut;

    const isMaking = method === "POST" && /\/snapshots$/.test(new URL(url).pathname);
    if (isMaking && ![undefined, 401, 429].includes(this.lastStatus)) {
      this.problems.push(`a second POST after a ${this.lastStatus}`);
    }
    const before = this.cloud.cinder.snapshots.size;
    const reply =
      turnedAway || notCarriedOut
        ? { status, headers: {}, body: '{"emulator":"not carried out"}' }
        : this.carryOut(request);
    if (isMaking) this.made += this.cloud.cinder.snapshots.size - before;
    if (this.made > 1) this.problems.push(`${this.made} were made`);
    const answer = how ? spoilt(reply, status, how) : reply;
    if (how) this.spoiltAnswers += 1;
    if (isMaking) this.lastStatus = answer.status;
    return { status: answer.status, headers: lowerCase(answer.headers), text: answer.body, json: parsed(answer.body) };
  }

  private carryOut({ method, url, headers, body, service }: HttpRequest<unknown>): Reply {
    const sent = { "content-type": "application/json", ...headers };
    const reply = this.cloud.answer({ method, url, headers: sent, body });
    if (reply) return reply;
    throw new SnapcloneError({ kind: "transient", said: `${service} cannot be reached (ECONNREFUSED)` });
  }

  /** Whether it could go over a wire. */
  private checkLegal({ method, url, headers = {} }: HttpRequest<unknown>): void {
    if (!URL.canParse(url)) this.problems.push(`no address: ${method} ${url}`);
    for (const [name, value] of Object.entries(headers)) {
      try {
        validateHeaderValue(name, value);
      } catch {
        this.problems.push(`no header: ${name}: ${JSON.stringify(value)}`);
      }
    }
  }
}

/** How many each sends where all goes well; a wait may send more. */
const REQUESTS: Record<Case["operation"], number> = { create: 5, read: 3, update: 7, delete: 4, "look up": 3 };

/** One cloud for all cases; its snapshots are put back as they were before each. */
const clock = new BriskClock(0);
const backend = new InProcessCloud();
backend.keystone.userNamed("demo").password = PASSWORD;
const AUTH_URL = `${IN_PROCESS_URL}/identity/v3`;
/** Logged in once, and never told anything wrong. */
const calm = openCloud(AUTH_URL, clock, new SpoilingHttp(clock, backend));
let prepared: { stored: Stored; row: SnapshotRow };

beforeAll(async () => {
  const stored = await prepare("read", new UserRun(snapshot, clock, calm), TIMEOUTS);
  const row = stored && backend.cinder.snapshots.get(stored.id);
  if (!row) throw new Error("there is nothing to read");
  prepared = { stored, row: { ...row } };
});

/** One operation against some spoilt answers, and the same again without them. */
async function meet(one: Case): Promise<{ outcome: "ok" | "fails" | "recorded"; spoilt: number }> {
  const { snapshots } = backend.cinder;
  snapshots.clear();
  backend.repeatIds();
  const before = one.operation === "create" ? undefined : prepared.stored;
  if (before) snapshots.set(before.id, { ...prepared.row, metadata: { ...prepared.row.metadata } });

  const http = new SpoilingHttp(clock, backend, { ...one, nth: one.nth % REQUESTS[one.operation] });
  const user = new UserRun(snapshot, clock, openCloud(AUTH_URL, clock, http));
  const begun = clock.now();
  const result = await perform(one.operation, user, before, TIMEOUTS);
  const problems: string[] = [...http.problems];
  if (clock.now() - begun > LIMIT_MS) problems.push(`it took ${clock.now() - begun} ms`);

  const { error, stored } = result;
  if (error !== undefined && !(error instanceof SnapcloneError || error instanceof PartialFailure)) throw error;
  const said = `${error?.message ?? ""}\n${user.log.join("\n")}`;
  for (const secret of [PASSWORD, "please report it", ...backend.keystone.tokens.keys()]) {
    if (said.includes(secret)) problems.push(`it says "${secret}": ${said}`);
  }
  if (stored && (stored.id.trim() === "" || !isDeepStrictEqual(JSON.parse(JSON.stringify(stored)), stored))) {
    problems.push(`the state is not JSON: ${inspect(stored)}`);
  }

  await again(one.operation, new UserRun(snapshot, clock, calm), before, result);
  backend.cinder.settle();
  const left = [...snapshots.values()].map(({ status }) => status).join();
  if (left !== (wanted(one.operation, snapshot) === 1 ? "available" : ""))
    problems.push(`in the end there is: ${left}`);
  if (problems.length > 0) throw new Error(problems.join("\n"));
  const outcome = error === undefined ? "ok" : error instanceof PartialFailure ? "recorded" : "fails";
  return { outcome, spoilt: http.spoiltAnswers };
}

function spoilt(reply: Reply, status: number | undefined, how: Spoil): Reply {
  const changed = { ...reply, status: status ?? reply.status };
  switch (how.with) {
    case "a header":
      return { ...changed, headers: { ...lowerCase(reply.headers), [how.name]: how.value } };
    case "other JSON":
      return { ...changed, body: JSON.stringify(how.value) };
    case "less of it":
      return { ...changed, body: reply.body.slice(0, Math.floor(reply.body.length * how.share)) };
    case "text":
      return { ...changed, body: how.text };
    case "depth":
      return {
        ...changed,
        body: `${how.opening.repeat(how.depth)}1${(how.opening === "[" ? "]" : "}").repeat(how.depth)}`,
      };
    default:
      return { ...changed, body: withField(reply.body, how) };
  }
}

/** The same text with one field of its JSON replaced or left out. */
function withField(text: string, how: Extract<Spoil, { at: number }>): string {
  const body = parsed(text);
  const paths = pathsOf(body);
  const path = paths[how.at % Math.max(1, paths.length)];
  if (path === undefined) return text;
  const mark = "the field that is replaced";
  const marked = JSON.stringify(replaced(body, path, how.with === "a field less" ? undefined : mark));
  if (how.with === "a field less") return marked;
  return marked.replace(JSON.stringify(mark), () =>
    how.with === "another value" ? JSON.stringify(how.value) : how.digits,
  );
}

function pathsOf(value: unknown, path: readonly string[] = []): string[][] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [[...path, key], ...pathsOf(inner, [...path, key])]);
}

function replaced(value: unknown, path: readonly string[], by: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return by;
  if (Array.isArray(value)) return value.map((one, index) => (String(index) === key ? replaced(one, rest, by) : one));
  return { ...(value as object), [key]: replaced(Reflect.get(value as object, key), rest, by) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function lowerCase(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
