// In which form ViPR answers, and which it reads (docs/wire/vipr.md#negotiation).

import { SEED_SESSIONS } from "../../emulator";
import { ViprHttp } from "./viprHttp";

const { monday } = SEED_SESSIONS;
const SESSION = `/block/snapshot-sessions/${monday}`;
const UNKNOWN = SESSION.replace("aaaaaaaa", "dddddddd");

let vipr: ViprHttp;
beforeAll(async () => {
  vipr = await ViprHttp.start();
});
afterAll(() => vipr.close());

const formOf = (text: string) => (text.startsWith("{") ? "json" : text.startsWith("<?xml") ? "xml" : text);

describe("Accept", () => {
  test.each([
    ["application/json", "json", "json"],
    ["application/json;charset=UTF-8", "json", "xml"],
    ["application/json, text/plain, */*", "json", "json"],
    ["application/json, application/xml;q=0.5", "json", "json"],
    ["text/html, application/json;q=0.9", "json", "xml"],
    ["application/xml;q=0.5, application/json", "json", "json"],
    ["application/xml, application/json", "xml", "xml"],
    ["*/*, application/json;q=0.1", "xml", "xml"],
    ["*/*", "xml", "xml"],
    ["application/*", "xml", "xml"],
    ["", "xml", "xml"],
  ])("%j: a success is %s, and an error %s", async (Accept, success, error) => {
    const headers = { Accept };
    expect(formOf((await vipr.root(SESSION, { headers })).text)).toBe(success);
    const refused = await vipr.root(UNKNOWN, { headers });
    expect([refused.status, formOf(refused.text)]).toEqual([404, error]);
  });

  test.each([SESSION, "/login"])("GET %s, if the client accepts neither: 406, in XML", async (path) => {
    const { status, text } = await vipr.root(path, { headers: { Accept: "text/html" } });
    expect(status).toBe(406);
    expect(text).toMatch(/^<\?xml.*<error><code>999<\/code>/s);
  });

  test("a method that does not exist comes before what the client accepts", async () => {
    const { status } = await vipr.root(SESSION, { method: "DELETE", headers: { Accept: "text/html" } });
    expect(status).toBe(405);
  });
});

describe("the end of a path replaces Accept", () => {
  test.each([
    [`${SESSION}.json`, "application/xml", "json"],
    [`${SESSION}.xml`, "application/json", "xml"],
    [`${SESSION}/tasks.json`, "*/*", "json"],
    [`${UNKNOWN}.json`, "*/*", "json"],
    ["/block/snapshots/search.json?name=nothing", "*/*", "json"],
  ])("%s", async (path, Accept, form) => {
    expect(formOf((await vipr.root(path, { headers: { Accept } })).text)).toBe(form);
  });

  test("/login.json, without an Accept", async () => {
    const headers = { Authorization: "Basic cm9vdDpzZWNyZXQ=" };
    expect(await vipr.send("/login.json", { headers })).toMatchObject({ status: 200, body: { user: "root" } });
  });

  test("by which ViPR cannot write: 406. Another end is a part of the path", async () => {
    expect(await vipr.root(`${SESSION}.octet-stream`)).toMatchObject({ status: 406 });
    expect(await vipr.root(`${SESSION}.yaml`)).toMatchObject({ status: 400, body: { code: 1002 } });
  });
});

describe("Content-Type", () => {
  const link = (type: string, target_name: string) =>
    vipr.root(`${SESSION}/link-targets`, {
      method: "POST",
      headers: { "Content-Type": type },
      body: { new_linked_targets: { count: 1, target_name, copy_mode: "copy" } },
    });

  test.each(["application/json;charset=UTF-8", "application/json; charset=utf-8", "Application/JSON"])(
    "%s is JSON",
    async (type) => {
      expect(await link(type, `of-${Buffer.from(type).toString("hex").slice(-16)}`)).toMatchObject({ status: 202 });
    },
  );

  test.each(["text/plain", "application/jsonp", "application/octet-stream"])("%s is a 415", async (type) => {
    expect(await link(type, "none")).toMatchObject({ status: 415, body: { code: 1003 } });
  });
});
