// At most 64 requests of a kind are under way at once. A request that waits for a place ends with its operation: nothing was
// sent, and the error says that.

import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { currentOperation, withOperations } from "../../../provider/core/currentOperation";
import { SnapcloneError } from "../../../provider/core/errors";
import { HttpClient } from "../../../provider/core/http/client";
import type { Patience } from "../../../provider/core/http/rateGate";
import { poll } from "../../../provider/core/poll";
import { systemClock } from "../../../provider/core/util/clock";

const MOST = 64;

let held: ServerResponse[] = [];
let seen: string[] = [];
const server = createServer((request, response) => {
  seen.push(`${request.method} ${request.url}`);
  if (request.url === "/free") response.end("{}");
  else held.push(response);
});
let url = "";
let http: HttpClient;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
beforeEach(() => {
  held = [];
  seen = [];
  http = new HttpClient({ env: {} });
});
afterEach(() => http.close());
afterAll(() => new Promise((resolve) => server.close(resolve)));

type Method = "GET" | "POST";

const send = (method: Method, path: string, operation?: Patience) =>
  withOperations(systemClock, (bind) => {
    if (operation) bind(operation);
    return http.request({ method, url: `${url}${path}`, service: "Thing" });
  });

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** All places are taken by requests that the server does not answer yet. */
async function fill(method: Method): Promise<Promise<unknown>[]> {
  // The first answers let the client send many at once.
  for (let count = 0; count < MOST; count += 1) await send("GET", "/free");
  seen = [];
  const all = Array.from({ length: MOST }, (_, at) => send(method, `/held/${at}`));
  await until(() => seen.length === MOST);
  return all;
}

async function release(all: Promise<unknown>[]): Promise<void> {
  for (const response of held.splice(0)) response.end("{}");
  await Promise.all(all);
}

const failure = (work: Promise<unknown>): Promise<SnapcloneError> =>
  work.then(
    () => {
      throw new Error("it did not fail");
    },
    (error: unknown) => error as SnapcloneError,
  );

test.each(["GET", "POST"] as const)("a %s that waits at its operation's deadline was not sent", async (method) => {
  const all = await fill(method);
  const begun = systemClock.now();
  const error = await failure(send(method, "/late", { deadline: begun + 200 }));
  expect(systemClock.now() - begun).toBeLessThan(10_000);
  expect(error).toBeInstanceOf(SnapcloneError);
  expect(error.parts).toMatchObject({
    kind: "deadline",
    message: expect.stringMatching(/^the operation's time was over before Thing could be asked.*; nothing was sent$/),
    hint: expect.stringContaining("customTimeouts"),
  });
  await release(all);
  // The place that becomes free is not given to the request that has left.
  await send(method, "/free");
  expect(seen.filter((line) => line.endsWith("/late"))).toEqual([]);
});

test("before any answer, eight are sent, and who waits behind them is told the same", async () => {
  const all = Array.from({ length: 8 }, (_, at) => send("POST", `/held/${at}`));
  await until(() => seen.length === 8);
  const error = await failure(send("POST", "/late", { deadline: systemClock.now() + 200 }));
  expect(error.parts).toMatchObject({
    kind: "deadline",
    message: expect.stringContaining(": 8 other requests of this"),
  });
  // What asks after the deadline what became of a request still gets its answer.
  const afterwards = send("GET", "/free", { deadline: systemClock.now() - 1 });
  await release(all);
  expect(await afterwards).toMatchObject({ status: 200 });
  expect(seen.filter((line) => line.endsWith("/late"))).toEqual([]);
});

test("a longer operation behind the same queue goes on", async () => {
  const all = await fill("POST");
  const short = failure(send("POST", "/short", { deadline: systemClock.now() + 100 }));
  const long = send("POST", "/free", { deadline: systemClock.now() + 60_000 });
  expect((await short).kind).toBe("deadline");
  await release(all);
  expect(await long).toMatchObject({ status: 200 });
});

test("a run that is stopped leaves the queue at once", async () => {
  const all = await fill("POST");
  const stop = new AbortController();
  const waiting = failure(send("POST", "/late", { deadline: systemClock.now() + 60_000, signal: stop.signal }));
  setTimeout(() => stop.abort(new Error("Ctrl-C")), 50);
  expect((await waiting).kind).toBe("stopped");
  await release(all);
  expect(seen.filter((line) => line.endsWith("/late"))).toEqual([]);
});

test("a wait ends with its own error, which tells what it has seen", async () => {
  const all = await fill("GET");
  const deadline = systemClock.now() + 200;
  const context = { clock: systemClock, deadline, signal: new AbortController().signal, progress: () => {} };
  const waiting = withOperations(systemClock, (bind) => {
    bind({ deadline });
    expect(currentOperation()).toBeDefined();
    return poll({
      description: "the thing",
      fetch: (signal) => http.request({ method: "GET", url: `${url}/late`, service: "Thing", signal }),
      evaluate: () => ({ is: "pending", progress: "not yet" }),
      interval: { first: 50, most: 50 },
      context,
    });
  });
  const error = await failure(waiting);
  expect(error.kind).toBe("deadline");
  expect(error.message).toMatch(/^waited \d+ ms for the thing; seen: the operation's time was over before Thing could/);
  await release(all);
});
