import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { z } from "zod";
import { withOperations } from "../../../provider/core/currentOperation";
import type { SnapcloneError } from "../../../provider/core/errors";
import { HttpClient } from "../../../provider/core/http/client";
import type { Patience } from "../../../provider/core/http/rateGate";
import type { HttpRequest } from "../../../provider/core/http/request";
import { type Clock, systemClock } from "../../../provider/core/util/clock";

type Behaviour = (request: IncomingMessage, response: ServerResponse) => void;

let behaviours: Behaviour[] = [];
let seen: { method: string; url: string; socket: Socket }[] = [];
const server = createServer((request, response) => {
  seen.push({ method: request.method ?? "", url: request.url ?? "", socket: request.socket });
  const behaviour = behaviours.length > 1 ? behaviours.shift() : behaviours[0];
  behaviour?.(request, response);
});
const slept: number[] = [];
/** A pause is shorter by the time that the machine took since the answer came. */
const toSeconds = (ms: number) => Math.round(ms / 1000);
/** Counts the pauses and does not take them. */
const clock: Clock = { ...systemClock, sleep: async (ms) => void slept.push(ms) };
let url = "";
let http: HttpClient;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v3/things`;
});

beforeEach(() => {
  seen = [];
  slept.length = 0;
  http = new HttpClient({ clock, attemptMs: 400, connectMs: 400, maxBytes: 10_000 });
});

afterEach(() => http.close());
afterAll(() => new Promise((resolve) => server.close(resolve)));

const answer =
  (status: number, body: string, headers: Record<string, string> = {}): Behaviour =>
  (_request, response) =>
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(body);

const request = (method: HttpRequest<unknown>["method"], more: Partial<HttpRequest<unknown>> = {}) =>
  http.request({ method, url, service: "Thing", schema: z.looseObject({ thing: z.string() }), ...more });

const during = <T>(operation: Patience, work: () => T): T =>
  withOperations(clock, (bind) => {
    bind(operation);
    return work();
  });

async function failure(work: Promise<unknown>): Promise<SnapcloneError["parts"]> {
  const error = await work.then(
    () => undefined,
    (thrown: SnapcloneError) => thrown,
  );
  if (!error) throw new Error("it did not fail");
  expect(error.name).toBe("SnapcloneError");
  return error.parts;
}

test("a good answer is checked, and its status and headers come along", async () => {
  behaviours = [answer(202, '{"thing":"x","more":1}', { "x-thing": "y" })];
  expect(await request("POST", { body: { a: 1 } })).toMatchObject({
    status: 202,
    body: { thing: "x" },
    headers: { "x-thing": "y" },
  });
});

test.each([
  ["GET", 3],
  ["PUT", 3],
  ["DELETE", 3],
  ["POST", 1],
] as const)("%s is sent %d× against a server that answers 503", async (method, times) => {
  behaviours = [answer(503, "{}")];
  const { kind } = await failure(request(method));
  expect(seen).toHaveLength(times);
  expect(kind).toBe(method === "POST" ? "ambiguous" : "transient");
});

test("a Retry-After that is a date is read by the server's clock, however wrong ours is", async () => {
  const dates = { date: "Sat, 01 Jan 2000 00:00:00 GMT", "retry-after": "Sat, 01 Jan 2000 00:00:09 GMT" };
  behaviours = [answer(503, "{}", dates), answer(200, '{"thing":"x"}')];
  await request("GET");
  expect(slept.map(toSeconds)).toEqual([9]);
});

test("a POST that does the same twice as once is sent again like a question", async () => {
  behaviours = [answer(503, "{}"), (message) => message.socket.destroy(), answer(200, '{"thing":"x"}')];
  await request("POST", { idempotent: true });
  expect(seen).toHaveLength(3);
  behaviours = [answer(200, "<html>")];
  expect((await failure(request("POST", { idempotent: true }))).kind).toBe("malformed");
});

test.each([
  ["GET", "malformed"],
  ["POST", "ambiguous"],
] as const)("a redirect is not followed and named; a %s that gets one is %s", async (method, kind) => {
  behaviours = [answer(303, "", { location: "http://elsewhere.invalid/x" })];
  const message = expect.stringContaining("a redirect to http://elsewhere.invalid/x, which is not followed");
  expect(await failure(request(method))).toMatchObject({ kind, message });
  expect(seen).toHaveLength(1);
});

test("a body that is too large spoils what is read, and neither the status of a refusal nor an answer without a body", async () => {
  const page = JSON.stringify({ thing: "x".repeat(20_000) });
  behaviours = [answer(404, page)];
  expect(await failure(request("GET"))).toMatchObject({ kind: "refused", status: 404 });
  behaviours = [answer(202, page)];
  expect((await http.request({ method: "DELETE", url, service: "Thing" })).status).toBe(202);
});

test("429 is turned away before it is carried out: even a POST is sent again, when the server says", async () => {
  behaviours = [answer(429, "{}", { "retry-after": "7" }), answer(202, '{"thing":"x"}')];
  await request("POST");
  expect(slept.map(toSeconds)).toEqual([7]);
});

const limited = (status: number, headers: Record<string, string>, body = "{}") => answer(status, body, headers);
const inNineSeconds = { date: "Sat, 01 Jan 2000 00:00:00 GMT", "retry-after": "Sat, 01 Jan 2000 00:00:09 GMT" };
const OVER_LIMIT = '{"overLimitFault":{"code":413,"message":"This request was rate-limited."}}';
const QUOTA =
  '{"overLimit":{"code":413,"message":"SnapshotLimitExceeded: Maximum number of snapshots allowed (10) exceeded"}}';

test.each([
  [429, { "retry-after": "120" }, "{}", 120_000],
  [429, inNineSeconds, "{}", 9_000],
  [429, {}, "{}", 1_000],
  [429, { "retry-after": "0" }, "{}", 1_000],
  [413, { "retry-after": "60" }, "{}", 60_000],
  [413, { "retry-after": "0" }, OVER_LIMIT, 1_000],
  [413, {}, OVER_LIMIT, 1_000],
  [503, { "retry-after": "60" }, "<html>maintenance</html>", 60_000],
] as [number, Record<string, string>, string, number][])(
  "%d with %j was turned away before it was carried out: a POST is sent again at the server's pace, and more than three times",
  async (status, headers, body, first) => {
    const refusal = limited(status, headers, body);
    behaviours = [refusal, refusal, refusal, refusal, answer(202, '{"thing":"x"}')];
    const shown: string[] = [];
    const operation = { deadline: clock.now() + 3_600_000, progress: (text: string) => void shown.push(text) };
    await during(operation, () => request("POST"));
    expect(seen).toHaveLength(5);
    // Real milliseconds pass before the sleep, and they count.
    expect(Math.abs((slept[0] ?? 0) - first)).toBeLessThanOrEqual(500);
    expect(shown).toHaveLength(4);
    expect(shown[0]).toMatch(
      status === 503 ? /^waiting for Thing, which is overloaded/ : /^waiting for Thing's rate limit, /,
    );
  },
);

test.each([
  [413, { "retry-after": "0" }, QUOTA],
  [413, { "retry-after": "3600" }, QUOTA],
  [413, {}, "{}"],
  [403, { "retry-after": "60" }, "{}"],
] as [number, Record<string, string>, string][])("%d with %j and %s is final", async (status, headers, body) => {
  behaviours = [limited(status, headers, body)];
  expect((await failure(request("POST"))).status).toBe(status);
  expect(seen).toHaveLength(1);
});

test("the service's own reading of a 413 does not make a limit final", async () => {
  behaviours = [limited(413, { "retry-after": "5" }, OVER_LIMIT), answer(202, '{"thing":"x"}')];
  await request("POST", { parseError: () => ({ kind: "refused", message: "no" }) });
  expect(seen).toHaveLength(2);
});

test("a limit that lasts longer than the operation may take is an error at once, and not an ambiguous one", async () => {
  behaviours = [limited(429, { "retry-after": "7200" })];
  const parts = await failure(during({ deadline: clock.now() + 300_000 }, () => request("POST")));
  expect(parts).toMatchObject({ kind: "transient", status: 429 });
  expect(parts.message).toMatch(
    /the next attempt is due in 2 h, which is later than this operation may take. The request was not carried/,
  );
  expect(slept).toEqual([]);
});

test("a limit without an end ends with the operation's time, whatever the clock does", async () => {
  behaviours = [limited(429, { "retry-after": "60" })];
  await failure(during({ deadline: clock.now() + 600_000 }, () => request("POST")));
  expect(seen.length).toBeGreaterThanOrEqual(10);
  expect(seen.length).toBeLessThanOrEqual(11);
});

test("who stops while a limit is waited for has sent nothing", async () => {
  behaviours = [limited(429, { "retry-after": "600" })];
  const stop = new AbortController();
  const waiting = new HttpClient({ env: {} });
  setTimeout(() => stop.abort(new Error("Ctrl-C")), 100);
  const operation = { deadline: systemClock.now() + 3_600_000, signal: stop.signal };
  const parts = await failure(during(operation, () => waiting.request({ method: "POST", url, service: "Thing" })));
  expect(parts).toMatchObject({ kind: "stopped", message: expect.stringContaining("nothing was sent") });
  await waiting.close();
});

test("the wait is shared: 60 requests through a limit of 20 a second are all carried out once, with few refusals", async () => {
  const allowed = 20;
  let windowFrom = 0;
  let used = 0;
  const carriedOut: string[] = [];
  let refusals = 0;
  behaviours = [
    (message, response) => {
      const now = performance.now();
      if (now - windowFrom > 1_000) {
        windowFrom = now;
        used = 0;
      }
      used += 1;
      const within = used <= allowed;
      if (within) carriedOut.push(message.headers["x-n"] as string);
      else refusals += 1;
      response.writeHead(within ? 200 : 429, within ? {} : { "retry-after": "1" }).end('{"thing":"x"}');
    },
  ];
  const shown: string[] = [];
  const patient = new HttpClient({
    env: {},
    patience: () => ({ deadline: systemClock.now() + 60_000, progress: (text) => void shown.push(text) }),
  });
  const all = Array.from({ length: 60 }, (_, n) =>
    patient.request({ method: "POST", url, service: "Thing", headers: { "x-n": `${n}` } }),
  );
  await Promise.all(all);
  await patient.close();
  expect(new Set(carriedOut).size).toBe(60);
  expect(carriedOut).toHaveLength(60);
  // Each is refused about once at most. How few are refused, rateGate.test.ts says, by a clock of its own.
  expect(refusals).toBeLessThan(60 + allowed);
  expect(shown[0]).toMatch(/^waiting for Thing's rate limit, (1 s|\d+ ms)$/);
  expect(shown.length).toBeLessThan(4);
});

test("another service is not held up by a limit", async () => {
  behaviours = [limited(429, { "retry-after": "600" }), answer(200, '{"thing":"x"}')];
  const waiting = new HttpClient({ env: {} });
  const stop = new AbortController();
  const one = waiting.request({ method: "GET", url, service: "Cinder", signal: stop.signal }).catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 50));
  await waiting.request({ method: "GET", url, service: "Keystone" });
  stop.abort(new Error("enough"));
  await one;
  await waiting.close();
});

test.each([
  [400, "refused"],
  [401, "unauthorized"],
  [403, "forbidden"],
  [404, "refused"],
  [409, "refused"],
  [413, "refused"],
  [301, "malformed"],
] as const)("%d is %s, and asked once", async (status, kind) => {
  behaviours = [answer(status, "{}", { "retry-after": "0", location: "http://elsewhere.invalid/" })];
  expect(await failure(request("GET"))).toMatchObject({ kind, status });
  expect(seen).toHaveLength(1);
});

test("the service's own words, kind and remedy win", async () => {
  behaviours = [answer(404, '{"gone":"yes"}', { "x-openstack-request-id": "req-1" })];
  const explain = () => ({ kind: "notFound" as const, message: "no such thing", hint: "make one" });
  expect(await failure(request("GET", { parseError: explain }))).toMatchObject({
    kind: "notFound",
    message: "Thing answered 404: no such thing",
    hint: "make one",
    requestId: "req-1",
  });
});

test.each([
  ["an HTML page", "<html><title>Bad Gateway</title></html>", /HTML page \("Bad Gateway"\)/],
  ["nothing", "", /an empty body/],
  ["cut off", '{"thing":"x', /instead of JSON/],
  ["the wrong type", '{"thing":7}', /at thing: /],
  ["too much", JSON.stringify({ thing: "x".repeat(20_000) }), /larger than any/],
])("an answer that is %s is malformed, and names the URL", async (_what, body, message) => {
  behaviours = [answer(200, body)];
  const parts = await failure(request("GET"));
  expect(parts).toMatchObject({ kind: "malformed", message: expect.stringMatching(message), request: `GET ${url}` });
  expect((await failure(request("POST"))).kind).toBe("ambiguous");
});

test.each([
  ["<html><body><h1>Access Denied</h1><p>x</p></body></html>", 'an HTML page ("Access Denied")'],
  [
    "<html><title> </title><body>No&nbsp;server <b>is</b>\n available</body></html>",
    'an HTML page ("No server is available")',
  ],
  [
    '{"error":{"code":503,"title":"Service Unavailable","message":"No live upstreams"}}',
    '"Service Unavailable: No live upstreams"',
  ],
  ['{"overLimitFault":{"code":413,"message":"Slow down."}}', '"Slow down."'],
  ['{"errors":[{"status":400,"detail":"bad project"}]}', '"bad project"'],
  ['{"faultcode":"x","faultstring":"Gateway says no"}', '"Gateway says no"'],
  ['{"a":1,"b":2}', '"{"a":1,"b":2}"'],
  ["plain words", '"plain words"'],
])("what a middleware answers is reduced to its words: %s", async (body, message) => {
  behaviours = [answer(400, body, { "content-type": body.startsWith("{") ? "application/json" : "text/html" })];
  if (body === "plain words") behaviours = [answer(400, body, { "content-type": "text/plain" })];
  expect((await failure(request("GET"))).message).toBe(`Thing answered 400: ${message}`);
});

test.each([
  ["closes without an answer", (message: IncomingMessage) => message.socket.destroy()],
  [
    "closes in the middle of the answer",
    (message: IncomingMessage, response: ServerResponse) => {
      response.writeHead(200, { "content-length": "100" }).write('{"thing"');
      setTimeout(() => message.socket.destroy(), 10);
    },
  ],
  ["never answers", () => {}],
  [
    "never stops answering",
    (_message: IncomingMessage, response: ServerResponse) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write(" "), 20);
      response.on("close", () => clearInterval(timer));
    },
  ],
] as [string, Behaviour][])("a server that %s: a question is asked again, a POST is not", async (_what, behaviour) => {
  behaviours = [behaviour];
  expect((await failure(request("POST"))).kind).toBe("ambiguous");
  expect(seen).toHaveLength(1);
  expect((await failure(request("GET"))).kind).toBe("transient");
  expect(seen).toHaveLength(4);
});

test("nobody listens: nothing was sent, so even a POST is sent again for the seconds of a restart, and is not ambiguous", async () => {
  const parts = await failure(request("POST", { url: "http://127.0.0.1:1/" }));
  expect(parts).toMatchObject({ kind: "transient", message: "Thing cannot be reached (ECONNREFUSED)" });
  const waited = slept.reduce((sum, ms) => sum + ms, 0);
  expect(waited).toBeGreaterThan(14_000);
  expect(waited).toBeLessThan(20_000);
});

test("an API that is being restarted is waited for, though not beyond the operation's deadline", async () => {
  const port = (server.address() as AddressInfo).port;
  const closed = createServer((_message, response) => response.end('{"thing":"x"}'));
  await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
  const restarting = (closed.address() as AddressInfo).port;
  await new Promise((resolve) => closed.close(resolve));
  expect(restarting).not.toBe(port);
  let pauses = 0;
  const reopening: Clock = {
    ...systemClock,
    sleep: async () => {
      pauses += 1;
      if (pauses === 5) await new Promise<void>((resolve) => closed.listen(restarting, "127.0.0.1", resolve));
    },
  };
  const waiting = new HttpClient({ clock: reopening, env: {} });
  const address = `http://127.0.0.1:${restarting}/`;
  await waiting.request({ method: "POST", url: address, service: "Thing" });
  expect(pauses).toBe(5);
  await waiting.close();
  await new Promise((resolve) => closed.close(resolve));
  const operation = { deadline: clock.now() + 1_000 };
  await failure(during(operation, () => request("POST", { url: "http://127.0.0.1:1/" })));
  expect(slept.reduce((sum, ms) => sum + ms, 0)).toBeLessThan(5_000);
});

test("each POST has a connection of its own; questions share theirs", async () => {
  behaviours = [answer(200, '{"thing":"x"}')];
  for (let n = 0; n < 3; n += 1) await request("POST");
  for (let n = 0; n < 9; n += 1) await request("GET");
  const sockets = (method: string) =>
    new Set(seen.filter((one) => one.method === method).map(({ socket }) => socket)).size;
  expect(sockets("POST")).toBe(3);
  // A second one is opened where the first is just being put back.
  expect(sockets("GET")).toBeLessThanOrEqual(2);
});

test("stopping ends a question at once; what changes something stays ambiguous", async () => {
  const stop = new AbortController();
  behaviours = [() => stop.abort(new Error("Ctrl-C"))];
  expect((await failure(request("GET", { signal: stop.signal }))).kind).toBe("stopped");
  expect((await failure(request("GET", { signal: stop.signal }))).kind).toBe("stopped");
  expect(seen).toHaveLength(1);
});

test("an authority file that can't be read is a configuration error that names the field", async () => {
  const broken = new HttpClient({ tls: { cacert: "/nonexistent/ca.pem" } });
  expect(await failure(broken.request({ method: "GET", url, service: "Thing" }))).toMatchObject({
    kind: "config",
    message: expect.stringContaining("`cacert`"),
  });
});
