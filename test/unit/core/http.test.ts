import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { z } from "zod";
import { type Clock, systemClock } from "../../../provider/core/clock";
import type { SnapcloneError } from "../../../provider/core/errors";
import { Http, type HttpRequest } from "../../../provider/core/http";

type Behaviour = (request: IncomingMessage, response: ServerResponse) => void;

let behaviours: Behaviour[] = [];
let seen: { method: string; url: string; socket: Socket }[] = [];
const server = createServer((request, response) => {
  seen.push({ method: request.method ?? "", url: request.url ?? "", socket: request.socket });
  const behaviour = behaviours.length > 1 ? behaviours.shift() : behaviours[0];
  behaviour?.(request, response);
});
const slept: number[] = [];
/** Counts the pauses and does not take them. */
const clock: Clock = { ...systemClock, sleep: async (ms) => void slept.push(ms) };
let url = "";
let http: Http;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v3/things`;
});

beforeEach(() => {
  seen = [];
  slept.length = 0;
  http = new Http({ clock, attemptMs: 400, connectMs: 400, maxBytes: 10_000 });
});

afterEach(() => http.close());
afterAll(() => new Promise((resolve) => server.close(resolve)));

const answer =
  (status: number, body: string, headers: Record<string, string> = {}): Behaviour =>
  (_request, response) =>
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(body);

const request = (method: HttpRequest<unknown>["method"], more: Partial<HttpRequest<unknown>> = {}) =>
  http.request({ method, url, service: "Thing", schema: z.looseObject({ thing: z.string() }), ...more });

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
  expect(slept).toEqual([9_000]);
});

test("a POST that does the same twice as once is sent again like a question", async () => {
  behaviours = [answer(503, "{}"), (message) => message.socket.destroy(), answer(200, '{"thing":"x"}')];
  await request("POST", { repeatable: true });
  expect(seen).toHaveLength(3);
  behaviours = [answer(200, "<html>")];
  expect((await failure(request("POST", { repeatable: true }))).kind).toBe("malformed");
});

test.each([
  ["GET", "malformed"],
  ["POST", "ambiguous"],
] as const)("a redirect is not followed and named; a %s that gets one is %s", async (method, kind) => {
  behaviours = [answer(303, "", { location: "http://elsewhere.invalid/x" })];
  const said = expect.stringContaining("a redirect to http://elsewhere.invalid/x, which is not followed");
  expect(await failure(request(method))).toMatchObject({ kind, said });
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
  expect(slept).toEqual([7_000]);
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
  const explain = () => ({ kind: "notFound" as const, said: "no such thing", remedy: "make one" });
  expect(await failure(request("GET", { explain }))).toMatchObject({
    kind: "notFound",
    said: "Thing answered 404: no such thing",
    remedy: "make one",
    requestId: "req-1",
  });
});

test.each([
  ["an HTML page", "<html><title>Bad Gateway</title></html>", /HTML page \("Bad Gateway"\)/],
  ["nothing", "", /an empty body/],
  ["cut off", '{"thing":"x', /instead of JSON/],
  ["the wrong type", '{"thing":7}', /at thing: /],
  ["too much", JSON.stringify({ thing: "x".repeat(20_000) }), /larger than any/],
])("an answer that is %s is malformed, and names the URL", async (_what, body, said) => {
  behaviours = [answer(200, body)];
  const parts = await failure(request("GET"));
  expect(parts).toMatchObject({ kind: "malformed", said: expect.stringMatching(said), request: `GET ${url}` });
  expect((await failure(request("POST"))).kind).toBe("ambiguous");
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

test("nobody listens: nothing was sent, so even a POST is tried again and its failure is not ambiguous", async () => {
  const parts = await failure(request("POST", { url: "http://127.0.0.1:1/" }));
  expect(parts).toMatchObject({ kind: "transient", said: "Thing cannot be reached (ECONNREFUSED)" });
  expect(slept).toHaveLength(2);
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
  behaviours = [() => {}];
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Error("Ctrl-C")), 30);
  expect((await failure(request("GET", { signal: stop.signal }))).kind).toBe("stopped");
  expect((await failure(request("GET", { signal: stop.signal }))).kind).toBe("stopped");
  expect(seen).toHaveLength(1);
});

test("a proxy from the environment is used, unless NO_PROXY says otherwise", async () => {
  behaviours = [answer(200, '{"thing":"x"}')];
  const tunnels: string[] = [];
  server.once("connect", ({ url: target }, socket) => {
    tunnels.push(target ?? "");
    socket.end("HTTP/1.1 407 no\r\n\r\n");
  });
  process.env.HTTP_PROXY = new URL(url).origin;
  process.env.NO_PROXY = "127.0.0.1";
  const proxied = new Http({ clock, connectMs: 400, attemptMs: 400 });
  try {
    await failure(proxied.request({ method: "POST", url: "http://cinder.invalid/v3/x", service: "Thing" }));
    expect(tunnels).toEqual(["cinder.invalid:80"]);
    await proxied.request({ method: "GET", url, service: "Thing" });
  } finally {
    delete process.env.HTTP_PROXY;
    delete process.env.NO_PROXY;
    await proxied.close();
  }
});

test("an authority file that can't be read is a configuration error that names the field", async () => {
  const broken = new Http({ tls: { cacert: "/nonexistent/ca.pem" } });
  expect(await failure(broken.request({ method: "GET", url, service: "Thing" }))).toMatchObject({
    kind: "config",
    said: expect.stringContaining("`cacert`"),
  });
});
