// The client against servers whose answers no emulator gives.

import { createHash } from "node:crypto";
import { SnapcloneError } from "../../../provider/core/errors";
import { ZStackClient } from "../../../provider/zstack/client";
import { resolveZStack } from "../../../provider/zstack/connection";
import { hasCode } from "../../../provider/zstack/errors";
import { serverDate, signature } from "../../../provider/zstack/signature";
import { type Call, type Cloud, fakeClock, type Reply, startCloud } from "../openstack/openstackContext";

const SESSION = "b86c9016b4f24953a9edefb53ca0678c";
const JOB = "d0345d3ddcae485f8170572b15a2b581";
const VM = "327b60d6b8cd31489ade6f4830bcec16";
const login: Reply = { body: { inventory: { uuid: SESSION, expiredDate: "Nov 15, 2017 12:20:57 AM" } } };
const isLogin = ({ path }: Call) => path === "/zstack/v1/accounts/login";
const fault = (code: string, more: object = {}): Reply => ({
  status: 503,
  body: { error: { code, description: "d", details: "会话过期", ...more } },
});

const endings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

async function zstackOf(
  answer: (call: Call) => Reply | Promise<Reply>,
  config: object = { accountName: "admin", password: "correct horse" },
  toLogin = login,
): Promise<{ zstack: ZStackClient; cloud: Cloud; clock: ReturnType<typeof fakeClock> }> {
  const cloud = await startCloud((call) => (isLogin(call) ? toLogin : answer(call)));
  const clock = fakeClock();
  const settings = resolveZStack({
    name: "default",
    config: { url: cloud.url, ...config },
    env: {},
    cwd: "/",
    home: "/",
  });
  const zstack = new ZStackClient(settings, { clock });
  endings.push(
    () => zstack.close(),
    () => cloud.close(),
  );
  return { zstack, cloud, clock };
}

async function failure(work: Promise<unknown>): Promise<SnapcloneError> {
  const error: unknown = await work.then(
    () => new Error("no error was thrown"),
    (reason: unknown) => reason,
  );
  if (!(error instanceof SnapcloneError)) throw error;
  return error;
}

describe("login", () => {
  test("login: hashes the password with SHA-512, and shares one session", async () => {
    const { zstack, cloud } = await zstackOf(() => ({ body: { inventories: [] } }));
    await Promise.all(Array.from({ length: 20 }, () => zstack.queryVmInstances([])));
    const password = createHash("sha512").update("correct horse").digest("hex");
    const logins = cloud.calls.filter(isLogin);
    expect(logins.map(({ body }) => body)).toEqual([{ logInByAccount: { accountName: "admin", password } }]);
    expect(logins[0]?.headers.authorization).toBeUndefined();
    expect(new Set(cloud.calls.filter((call) => !isLogin(call)).map(({ headers }) => headers.authorization))).toEqual(
      new Set([`OAuth ${SESSION}`]),
    );
  });

  test("login: tries a wrong password once, and the error names its source and no secret", async () => {
    let asked = 0;
    const cloud = await startCloud(() => {
      asked += 1;
      return fault("ID.1000", { details: "wrong: correct horse" });
    });
    const config = { url: cloud.url, accountName: "admin", password: "correct horse" };
    const zstack = new ZStackClient(resolveZStack({ name: "default", config, env: {}, cwd: "/", home: "/" }), {
      clock: fakeClock(),
    });
    endings.push(
      () => zstack.close(),
      () => cloud.close(),
    );
    const errors = await Promise.all(Array.from({ length: 5 }, () => failure(zstack.queryVmInstances([]))));
    errors.push(await failure(zstack.queryUserTags([])));
    expect([asked, new Set(errors.map(({ kind }) => kind))]).toEqual([1, new Set(["unauthorized"])]);
    expect(errors[0]?.message).toContain("snapclone:connections.default");
    expect(errors[0]?.message).toContain("--run-program");
    expect(errors[0]?.message).not.toContain("correct horse");
  });

  test.each<[string, Reply]>([
    ["a server error", { status: 501, body: { inventory: { uuid: "0123456789abcdef0123456789abcde1" } } }],
    ["cut off", { body: '{"inventory":{"uuid":"0123456789abcdef0123456789abcde2' }],
    ["cut off in the middle of it", { body: '{"inventory":{"uuid":"0123456789abcdef' }],
  ])("login: does not quote a session from an unusable answer (%s)", async (_name, reply) => {
    const { zstack } = await zstackOf(() => ({ body: { inventories: [] } }), undefined, reply);
    const { message } = await failure(zstack.queryVmInstances([]));
    expect(message).toContain('{"inventory":{"uuid":"[redacted]');
    expect(message).not.toContain("0123456789abcdef");
  });

  test("queries: log in once if the session is lost, and fail if it is lost again", async () => {
    let lost = 1;
    const { zstack, cloud } = await zstackOf(() => {
      lost -= 1;
      return lost >= 0 ? fault("ID.1001") : { body: { inventories: [] } };
    });
    expect(await zstack.queryVmInstances([])).toEqual([]);
    expect(cloud.calls.filter(isLogin)).toHaveLength(2);
    lost = 99;
    const error = await failure(zstack.queryVmInstances([]));
    expect([error.kind, hasCode(error, "ID.1001")]).toEqual(["unauthorized", true]);
    expect(error.message).not.toContain(SESSION);
  });

  test("queries: log in anew if the server does not tell whether the idle session is valid", async () => {
    const { zstack, cloud, clock } = await zstackOf(({ path }) =>
      path.endsWith("/valid") ? { status: 404, body: "no api mapping to /v1/accounts" } : { body: { inventories: [] } },
    );
    await zstack.queryVmInstances([]);
    clock.advance(30 * 60_000);
    await zstack.queryVmInstances([]);
    expect(cloud.calls.filter(isLogin)).toHaveLength(2);
  });

  const rowsOf = (count: number) =>
    Array.from({ length: count }, (_row, at) => ({ uuid: String(at).padStart(32, "0"), name: "a", state: "Running" }));
  test.each<[string, number, (start: number) => object]>([
    ["gives two rows at once", 5, (start) => ({ inventories: rowsOf(5).slice(start, start + 2), total: 5 })],
    ["gives the same rows for ever", 1_200, () => ({ inventories: rowsOf(1_200), total: 9_999 })],
    ["counts wrongly", 1, (start) => ({ inventories: rowsOf(1).slice(start), total: 3 })],
    ["does not count", 1_001, (start) => ({ inventories: rowsOf(1_001).slice(start, start + 1_000) })],
  ])("queries: find all rows of a server that %s", async (_name, count, answer) => {
    const { zstack, cloud } = await zstackOf(({ query }) => ({ body: answer(Number(query.get("start"))) }));
    expect(await zstack.queryVmInstances([])).toHaveLength(count);
    expect(cloud.calls.length).toBeLessThan(6);
  });

  test("queries: validate the session after a long idle time, and use it again if it is valid", async () => {
    let valid = true;
    const { zstack, cloud, clock } = await zstackOf(({ path }) =>
      path.endsWith("/valid") ? { body: { valid } } : { body: { inventories: [] } },
    );
    await zstack.queryVmInstances([]);
    clock.advance(30 * 60_000);
    await zstack.queryVmInstances([]);
    expect(cloud.calls.filter(isLogin)).toHaveLength(1);
    valid = false;
    clock.advance(30 * 60_000);
    await zstack.queryVmInstances([]);
    expect(cloud.calls.filter(isLogin)).toHaveLength(2);
  });
});

describe("access keys", () => {
  test("signature: matches the test vector in docs/wire/zstack.md#s1-4", () => {
    const uri = "/v1/vm-instances/c4d628c203433f64b062ad07c8edf10d/actions";
    expect(signature("2CF64C9Tx3sUKV6kCmL8BUeq6kJjBDNFxC2TwYdA", "PUT", "Thu, 05 Jun 2025 15:47:29 CST", uri)).toBe(
      "K/3JlNuA5r8QbWZpl4gNMMnBytw=",
    );
  });

  test.each([
    ["+08:00", "Thu, 05 Jun 2025 15:47:29 GMT+08:00"],
    ["Asia/Shanghai", "Thu, 05 Jun 2025 15:47:29 GMT+08:00"],
    ["America/New_York", "Thu, 05 Jun 2025 03:47:29 GMT-04:00"],
    ["-03:30", "Thu, 05 Jun 2025 04:17:29 GMT-03:30"],
    ["UTC", "Thu, 05 Jun 2025 07:47:29 GMT"],
  ])("serverDate: shows the wall clock of %s", (zone, date) => {
    expect(serverDate(new Date("2025-06-05T07:47:29Z"), zone)).toBe(date);
  });

  test("access keys: need no login, and sign the path without context path and query", async () => {
    const secret = "2CF64C9Tx3sUKV6kCmL8BUeq6kJjBDNFxC2TwYdA";
    const config = { accessKeyId: "key", accessKeySecret: secret, timeZone: "+08:00" };
    const { zstack, cloud } = await zstackOf(() => ({ body: { inventories: [] } }), config);
    await zstack.queryVmInstances(["name=x"]);
    const [call] = cloud.calls;
    const date = "Thu, 01 Jan 1970 08:00:00 GMT+08:00";
    expect(call?.headers.date).toBe(date);
    expect(call?.headers.authorization).toBe(`ZStack key:${signature(secret, "GET", date, "/v1/vm-instances")}`);
    expect(cloud.calls.filter(isLogin)).toEqual([]);
  });

  test("access keys: the error of a plain 403 names the time zone", async () => {
    const config = { accessKeyId: "key", accessKeySecret: "s3cret", timeZone: "UTC" };
    const { zstack } = await zstackOf(() => ({ status: 403, body: "requestTimeTooSkewed" }), config);
    const error = await failure(zstack.queryVmInstances([]));
    expect([error.kind, error.message]).toEqual([
      "unauthorized",
      expect.stringContaining("The time zone in use is UTC"),
    ]);
  });
});

describe("changes", () => {
  const send = (zstack: ZStackClient) => zstack.cloneVmInstance(VM, { names: ["a"] }, { job: JOB, timeoutSeconds: 90 });

  test.each<[string, Reply, string]>([
    [
      "a 202 with an internal host",
      { status: 202, body: { location: `http://172.20.14.227:8080/zstack/v1/api-jobs/${VM}` } },
      VM,
    ],
    ["a 202 without a location", { status: 202, body: {} }, JOB],
    ["a 202 with an unusable location", { status: 202, body: { location: "http://evil/../../x" } }, JOB],
    ["a truncated 202", { status: 202, body: '{"location":"http://172.' }, JOB],
    ["an empty 202", { status: 202, body: "" }, JOB],
    ["a duplicate job id", { status: 400, body: `Duplicate job uuid[${JOB}]` }, JOB],
  ])("changes: %s counts as accepted", async (_name, reply, job) => {
    const { zstack, cloud } = await zstackOf(() => reply);
    expect((await send(zstack)).job).toBe(job);
    expect(cloud.calls.at(-1)?.headers).toMatchObject({ "x-job-uuid": JOB, "x-api-timeout": "90" });
  });

  test.each<[string, Reply, string, string]>([
    ["a page with a 200", { body: "<html>" }, "ambiguous", "HTML"],
    ["a proxy's page", { status: 502, body: "<html>" }, "ambiguous", "HTML"],
    ["a broken connection", "reset", "ambiguous", "broke off"],
    ["an unknown action", { status: 400, body: "the body doesn't contain action mapping" }, "refused", "mapping"],
    ["a wrong address", { status: 404, body: "no api mapping to /v1/x" }, "config", "Correct the address"],
    ["an error of a starting node", fault("SYS.1010"), "transient", "not ready"],
    [
      "a redirect",
      { status: 301, headers: { location: "https://h" }, body: "" },
      "ambiguous",
      "a redirect to https://h",
    ],
  ])("cloneVmInstance: is not sent again after %s", async (_name, reply, kind, message) => {
    const { zstack, cloud } = await zstackOf(() => reply);
    const error = await failure(send(zstack));
    expect([error.kind, error.message]).toEqual([kind, expect.stringContaining(message)]);
    expect(cloud.calls.filter(({ method, path }) => method === "PUT" && path.endsWith("/actions"))).toHaveLength(1);
  });

  test.each<[string, Reply, object]>([
    ["a 200", { body: { result: {} } }, { is: "done", body: { result: {} } }],
    [
      "a 200 with an error",
      { body: { error: { code: "SYS.1006" } } },
      { is: "failed", fault: { codes: ["SYS.1006"] } },
    ],
    ["a 201", { status: 201, body: {} }, { is: "done" }],
    ["a 204", { status: 204, body: "" }, { is: "done" }],
  ])("changes: %s is the end of the job, and nobody asks for the job", async (_name, reply, end) => {
    const { zstack, cloud } = await zstackOf(() => reply);
    const { job } = await send(zstack);
    expect(await zstack.queryJob(job)).toMatchObject(end);
    expect(cloud.calls.filter(({ path }) => path.includes("api-jobs"))).toEqual([]);
    // Such a server does not know a call that is sent twice.
    expect(zstack.ignoresJobIds).toBe(true);
  });

  test.each<[string, Reply, string]>([
    ["a relative address", { status: 202, body: { location: `/zstack/v1/api-jobs/${VM}` } }, VM],
    ["a header", { status: 202, body: {}, headers: { location: `/zstack/v1/api-jobs/${VM}?x=1` } }, VM],
    ["an id with dashes", { status: 202, body: { location: "http://h/v1/api-jobs/327b60d6-b8cd/" } }, "327b60d6-b8cd"],
  ])("changes: take a job's id from %s", async (_name, reply, job) => {
    const { zstack } = await zstackOf(() => reply);
    expect([(await send(zstack)).job, zstack.ignoresJobIds]).toEqual([job, true]);
  });

  test.each<[string, Reply]>([
    ["ID.1001", fault("ID.1001")],
    ["a gateway's 401", { status: 401, body: "Unauthorized" }],
  ])("changes: are sent once more with a new session if %s refuses them", async (_name, refusal) => {
    const replies: Reply[] = [refusal];
    const { zstack, cloud } = await zstackOf(() => replies.shift() ?? { status: 202, body: {} });
    expect((await send(zstack)).job).toBe(JOB);
    expect(cloud.calls.filter(isLogin)).toHaveLength(2);
    expect(cloud.calls.filter(({ path }) => path.endsWith("/actions"))).toHaveLength(2);
  });

  test("destroyVmInstance: is sent again under the same job id", async () => {
    const replies: Reply[] = ["reset", { status: 502, body: "" }, { status: 400, body: `Duplicate job uuid[${JOB}]` }];
    const { zstack, cloud } = await zstackOf(() => replies.shift() ?? { status: 500, body: "" });
    expect((await zstack.destroyVmInstance(VM, JOB)).job).toBe(JOB);
    expect(
      new Set(cloud.calls.filter(({ method }) => method === "DELETE").map((call) => call.headers["x-job-uuid"])),
    ).toEqual(new Set([JOB]));
  });

  test("cloneVmInstance: puts system tags beside the action, if there are any", async () => {
    const { zstack, cloud } = await zstackOf(() => ({ status: 202, body: {} }));
    await zstack.cloneVmInstance(VM, { names: ["a"] }, { job: JOB, systemTags: ["x::y"] });
    await zstack.cloneVmInstance(VM, { names: ["a"] }, { job: JOB });
    expect(cloud.calls.slice(-2).map(({ body }) => body)).toEqual([
      { cloneVmInstance: { names: ["a"] }, systemTags: ["x::y"] },
      { cloneVmInstance: { names: ["a"] } },
    ]);
  });
});

describe("jobs", () => {
  const done = { result: { numberOfClonedVm: 1 } };
  test.each<[string, Reply, object]>([
    ["running", { status: 202, body: {} }, { is: "running" }],
    ["running, with an empty body", { status: 202, body: "" }, { is: "running" }],
    ["done", { body: done }, { is: "done", body: done }],
    [
      "done, with an error in it",
      { body: { error: { code: "SYS.1006" } } },
      { is: "failed", fault: { codes: ["SYS.1006"] } },
    ],
    ["done without success", { body: { success: false } }, { is: "failed", fault: { codes: [] } }],
    ["failed", fault("SYS.1001"), { is: "failed", fault: { codes: ["SYS.1001"] } }],
    ["unknown", { status: 404, body: "the job has been expired" }, { is: "gone" }],
    ["unknown, in other words", { status: 404, body: "job not found" }, { is: "gone" }],
    ["unknown, in JSON", { status: 404, body: { error: { code: "SYS.1000" } } }, { is: "gone" }],
    ["unknown, as a 503", fault("SYS.1003", { details: `job[uuid:${JOB}] not found` }), { is: "gone" }],
    ["failed for lack of a VM", fault("SYS.1003", { details: `vm ${VM}` }), { is: "failed" }],
  ])("queryJob: reads a job that is %s", async (_name, reply, expected) => {
    const { zstack, cloud } = await zstackOf(() => reply);
    expect(await zstack.queryJob(JOB)).toMatchObject(expected);
    // On the configured address. No login is made for it.
    expect(cloud.calls.map(({ path, headers }) => [path, headers.authorization])).toEqual([
      [`/zstack/v1/api-jobs/${JOB}`, undefined],
    ]);
  });

  test.each<[string, Reply]>([
    ["400", { status: 400, body: "missing header 'Authorization'" }],
    ["ID.1001", fault("ID.1001")],
    ["401", { status: 401, body: "" }],
  ])("queryJob: a %s without a session is no end of the job", async (_name, refusal) => {
    const { zstack, cloud } = await zstackOf(({ headers }) =>
      headers.authorization === undefined ? refusal : { status: 202, body: {} },
    );
    expect(await zstack.queryJob(JOB)).toEqual({ is: "running" });
    expect(await zstack.queryJob(JOB)).toEqual({ is: "running" });
    expect(cloud.calls.filter(isLogin)).toHaveLength(1);
  });

  test("queryJob: ID.1001 with a new session, too, is the end of the job", async () => {
    const { zstack } = await zstackOf(() => fault("ID.1001"));
    expect(await zstack.queryJob(JOB)).toMatchObject({ is: "failed", fault: { codes: ["ID.1001"] } });
  });

  test.each<[string, Reply, string]>([
    ["a proxy's 404", { status: 404, body: "<html>not here</html>" }, "refused"],
    ["a proxy's 503", { status: 503, body: "<html>" }, "transient"],
    ["a page instead of a result", { body: "<html>" }, "malformed"],
    ["a list instead of a result", { body: [] }, "malformed"],
  ])("queryJob: %s is not the end of a job", async (_name, reply, kind) => {
    const { zstack } = await zstackOf(() => reply);
    expect((await failure(zstack.queryJob(JOB))).kind).toBe(kind);
  });
});

describe("errors", () => {
  test("errors: have the codes of all causes, quote the deepest one, and unescape entities", async () => {
    const { zstack } = await zstackOf(() =>
      fault("SYS.1006", {
        details: "state[Destroyed] doesn&#39;t allow",
        cause: {
          code: "VM.1010",
          details: "x",
          causes: [{ code: "HOST_ALLOCATION.1001", details: "no &lt;host&gt;" }],
        },
      }),
    );
    const error = await failure(zstack.queryVolumes([]));
    expect(error.message).toContain(
      "SYS.1006: state[Destroyed] doesn't allow (cause: HOST_ALLOCATION.1001: no <host>)",
    );
    expect(["SYS.1006", "VM.1010", "HOST_ALLOCATION.1001"].every((code) => hasCode(error, code))).toBe(true);
    expect(error.kind).toBe("refused");
  });

  test('errors: a cause "not found" does not make the error one', async () => {
    const { zstack } = await zstackOf(() => fault("SYS.1004", { cause: { code: "SYS.1003", details: "x" } }));
    expect((await failure(zstack.queryVolumes([]))).kind).toBe("refused");
  });

  test.each([
    ["ID.1002", "forbidden"],
    ["ID.1003", "refused"],
    ["SYS.1003", "refused"],
    ["SYS.1007", "refused"],
    ["SYS.1011", "transient"],
    ["SYS.1000", "transient"],
    ["LICENSE.1000", "refused"],
    ["NEW.4711", "refused"],
  ])("errors: %s of a query has its kind", async (code, kind) => {
    const { zstack } = await zstackOf(() => fault(code));
    expect((await failure(zstack.queryVolumes([]))).kind).toBe(kind);
  });

  test.each<[string, unknown]>([
    ["an answer without a list", { inventories: null }],
    ["a row without a uuid", { inventories: [{ name: "x", state: "Running" }] }],
    ["a uuid that can't stand in an address", { inventories: [{ uuid: "../x", name: "x", state: "Running" }] }],
    ["a name that is a number", { inventories: [{ uuid: VM, name: 7, state: "Running" }] }],
    ["a bare list", "[]"],
  ])("queries: %s is malformed", async (_name, body) => {
    const { zstack } = await zstackOf(() => ({ body }));
    expect((await failure(zstack.queryVmInstances([]))).kind).toBe("malformed");
  });

  test("queryJob: refuses an id that is no uuid before it sends anything", async () => {
    const { zstack, cloud } = await zstackOf(() => ({ body: {} }));
    expect((await failure(zstack.queryJob("../accounts"))).kind).toBe("input");
    expect(cloud.calls).toEqual([]);
  });
});

test("queries: read all pages", async () => {
  const row = (index: number) => ({ uuid: index.toString(16).padStart(32, "0"), name: "n", state: "Running" });
  const { zstack, cloud } = await zstackOf(({ query }) => {
    const start = Number(query.get("start"));
    return { body: { inventories: Array.from({ length: start === 0 ? 1000 : 3 }, (_, index) => row(start + index)) } };
  });
  expect(await zstack.queryVmInstances(["name~=%.sc-x", "state!=Destroyed"])).toHaveLength(1003);
  const pages = cloud.calls.filter((call) => !isLogin(call));
  expect(pages.map(({ query }) => [query.getAll("q"), query.get("start")])).toEqual([
    [["name~=%.sc-x", "state!=Destroyed"], "0"],
    [["name~=%.sc-x", "state!=Destroyed"], "1000"],
  ]);
});
