// The PowerVC client and answers that the emulator never gives: what IBM's document leaves open, and malformed answers.

import { type ErrorKind, SnapcloneError } from "../../../provider/core/errors";
import { KeystoneSession } from "../../../provider/openstack/keystone";
import { PowerVcClient } from "../../../provider/powervc/client";
import {
  type Call,
  type Cloud,
  isLogin,
  PROJECT,
  type Reply,
  settingsFor,
  startCloud,
  tokenReply,
} from "../openstack/openstackContext";

const TASK = "84a0bb4d-4644-40b0-b45a-00d2d0d75b2a";
const URI = `https://<powervc-hostname>:9000/v3/${PROJECT}/clone-volumes/get_progress?action=clone-volumes&task_id=${TASK}`;

const endings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

async function clientOf(
  answer: (call: Call) => Reply,
): Promise<{ client: PowerVcClient; sent: () => Call[]; cloud: Cloud }> {
  const cloud = await startCloud((call) => (isLogin(call) ? tokenReply("token-1") : answer(call)));
  const session = new KeystoneSession(
    settingsFor(cloud.url, { endpointOverride: { blockStorage: `${cloud.url}/volume/v1` } }),
  );
  endings.push(
    () => session.close(),
    () => cloud.close(),
  );
  return { client: new PowerVcClient(session), cloud, sent: () => cloud.calls.filter((call) => !isLogin(call)) };
}

async function kindOf(work: Promise<unknown>): Promise<ErrorKind | "none"> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error === undefined) return "none";
  if (!(error instanceof SnapcloneError)) throw error;
  return error.kind;
}

describe("cloneVolumes: the task's id", () => {
  const accepted = (inner: unknown, status = 200): Reply => ({ status, body: { "clone-volumes": inner } });
  it.each<[string, Reply]>([
    ["from the address, whatever host it names", accepted({ task_uri: URI })],
    ["from an address without a closing quote and a scheme", accepted({ task_uri: `get_progress?task_id=${TASK}` })],
    ["beside the address", accepted({ task_uri: "http://elsewhere/", task_id: TASK })],
    ["with 202, as the rest of Cinder", accepted({ task_uri: URI }, 202)],
  ])("is taken %s", async (_name, reply) => {
    const { client, sent } = await clientOf(() => reply);
    expect(await client.cloneVolumes({ volumes: ["v"] })).toBe(TASK);
    expect(sent().map(({ method, path }) => `${method} ${path}`)).toEqual([`POST /volume/v3/${PROJECT}/clone-volumes`]);
    await client.progress(TASK);
    expect(sent().at(-1)).toMatchObject({ path: `/volume/v3/${PROJECT}/clone-volumes/get_progress` });
    expect(sent().at(-1)?.query.toString()).toBe(`action=clone-volumes&task_id=${TASK}`);
  });

  it.each<[string, Reply]>([
    ["no address", accepted({})],
    ["an address without it", accepted({ task_uri: "https://h/v3/p/clone-volumes/get_progress" })],
    ["an invalid id", accepted({ task_id: "../../tokens" })],
    ["no clone-volumes", { body: {} }],
    ["a list", { body: [] }],
    ["null", accepted({ task_uri: null })],
    ["text", { body: "OK" }],
    ["a page", { headers: { "content-type": "text/html" }, body: "<html>" }],
    ["a broken connection", "reset"],
    ["500, which the document has", { status: 500, body: "" }],
    ["a redirect", { status: 303, headers: { location: URI } }],
  ])("is missing in %s: the outcome is unknown, and the request is not repeated", async (_name, reply) => {
    const { client, sent } = await clientOf(() => reply);
    expect(await kindOf(client.cloneVolumes({ volumes: ["v"] }))).toBe("ambiguous");
    expect(sent()).toHaveLength(1);
  });
});

describe("progress", () => {
  const read = async (body: unknown) => (await clientOf(() => ({ body }))).client.progress(TASK);

  it("reads the fields of the document's first sample beside `details` and inside it", async () => {
    const results = { "60c31a2f-c6a0-40bf-9a89-0d8537c291e3": "f71c14a9-7d4e-473e-81d8-2ee86c3ad32b" };
    const completed_tasks = { "create_group_clone-clone-DEL-a8584df2": "SUCCESS", _TaskFlow_INJECTOR: "SUCCESS" };
    const expected = {
      percent: 100,
      flows: { cloneFlow: "SUCCESS" },
      completed: completed_tasks,
      pending: {},
      clones: results,
      failure: undefined,
    };
    const rest = { pending_tasks: {}, progress: 100, flow_details: { cloneFlow: "SUCCESS" } };
    expect(await read({ details: { results, completed_tasks }, ...rest })).toEqual(expected);
    expect(await read({ details: { results, completed_tasks, ...rest } })).toEqual(expected);
    expect(await read({ results, completed_tasks, ...rest })).toEqual(expected);
  });

  it.each<[string, unknown, object]>([
    ["an answer without pending_tasks", { progress: 5, flow_details: { f: "RUNNING" } }, { percent: 5, pending: {} }],
    ["a percentage as text", { progress: "45 %" }, { percent: 45 }],
    [
      "an answer without a percentage",
      { flow_details: { f: "REVERTING" } },
      { percent: undefined, flows: { f: "REVERTING" } },
    ],
    [
      "states that are not text",
      { flow_details: { f: 7 }, pending_tasks: { t: null, u: { toString: 7 } } },
      { flows: { f: "7" }, pending: { t: "null", u: '{"toString":7}' } },
    ],
    ["several flows", { flow_details: { a: "SUCCESS", b: "RUNNING" } }, { flows: { a: "SUCCESS", b: "RUNNING" } }],
    ["results as the list of the table", { details: { results: ["x"] }, progress: 1 }, { clones: {} }],
    ["nulls", { details: null, progress: 3, results: null, flow_details: null }, { percent: 3, clones: {}, flows: {} }],
    ["a clone that is not text", { details: { results: { a: 7, b: "c" } } }, { clones: { b: "c" } }],
    [
      "a failure that is not text",
      { details: { results: { failure: { code: 7 } } } },
      { failure: '{"code":7}', clones: {} },
    ],
  ])("accepts %s", async (_name, body, expected) => {
    expect(await read(body)).toMatchObject(expected);
  });

  it.each<[string, unknown]>([
    ["an empty object", {}],
    ["empty details", { details: {} }],
    ["something else", { message: "hello" }],
  ])("is undefined for %s", async (_name, body) => {
    expect(await read(body)).toBeUndefined();
  });

  it.each<[string, Reply, ErrorKind | "none"]>([
    [
      "is undefined for Cinder's own 404",
      { status: 404, body: { itemNotFound: { code: 404, message: "The resource could not be found." } } },
      "none",
    ],
    [
      "is undefined for the 404 of an unknown path, because PowerVC gave the task's id",
      { status: 404, body: { message: "x", code: "404 Not Found", title: "Not Found" } },
      "none",
    ],
    [
      "is undefined for a page with 404",
      { status: 404, headers: { "content-type": "text/html" }, body: "<html>" },
      "none",
    ],
    ["is undefined for an empty 404", { status: 404, body: "" }, "none"],
    ["fails for a list", { body: [] }, "malformed"],
    ["fails for flow_details that are a number", { body: { flow_details: 100 } }, "malformed"],
    ["fails for results that are text", { body: { details: { results: "SUCCESS" } } }, "malformed"],
    ["fails for an empty body", { body: "" }, "malformed"],
    ["fails for 403", { status: 403, body: { forbidden: { code: 403, message: "no" } } }, "forbidden"],
  ])("%s", async (_name, reply, kind) => {
    const { client } = await clientOf(() => reply);
    expect(await kindOf(client.progress(TASK))).toBe(kind);
  });
});
