// The ways to log in to ViPR and out of it: tokens in headers and in cookies, the way by a redirect, the lock
// (docs/wire/vipr.md#s1).

import { SEED_SESSIONS } from "../../emulator";
import { basic, ViprHttp } from "./viprHttp";

const SESSION = `/block/snapshot-sessions/${SEED_SESSIONS.monday}`;
const TOKEN = "X-SDS-AUTH-TOKEN";

let vipr: ViprHttp;
beforeEach(async () => {
  vipr = await ViprHttp.start({ clock: "manual" });
});
afterEach(() => vipr.close());

const login = (query = "", headers: Record<string, string> = { Authorization: basic("root") }) =>
  vipr.send(`/login${query}`, { headers: { Accept: "application/json", ...headers } });

describe("a cookie", () => {
  test.each(["?using-cookies=true", "?using-cookies", "?Using-Cookies=TRUE"])("%s sets one", async (query) => {
    const { headers } = await login(query);
    expect(headers.get("Set-Cookie")).toBe(`${TOKEN}=${headers.get(TOKEN)};HttpOnly;Version=1;Max-Age=28800;Secure`);
  });

  test.each(["", "?using-cookies=false", "?using-cookies="])("%j sets none", async (query) => {
    expect((await login(query)).headers.get("Set-Cookie")).toBeNull();
  });

  test("has a token as good as the header's, also among others and after one that has ended", async () => {
    const ended = await vipr.token();
    await vipr.send("/logout", { headers: { [TOKEN]: ended } });
    const token = await vipr.token();
    for (const Cookie of [
      `${TOKEN}=${token}`,
      `a=b; x-sds-auth-token="${token}"`,
      `${TOKEN}=${ended}; ${TOKEN}=${token}`,
    ])
      expect(await vipr.send(SESSION, { headers: { Cookie } })).toMatchObject({ status: 200 });
    expect(await vipr.send(SESSION, { headers: { Cookie: `${TOKEN}=${ended}` } })).toMatchObject({ status: 302 });
    expect(await vipr.send(SESSION, { headers: { Cookie: `${TOKEN}=rubbish` } })).toMatchObject({ status: 401 });
  });

  test("is not looked at beside the header", async () => {
    const Cookie = `${TOKEN}=${await vipr.token()}`;
    const { status, text } = await vipr.send(SESSION, { headers: { Cookie, [TOKEN]: "rubbish" } });
    expect([status, text]).toEqual([401, expect.stringContaining("<code>10001</code>")]);
  });

  test("the whole way of a browser: redirected to the login, and back with a cookie", async () => {
    const asked = await vipr.send(`${SESSION}?using-cookies=true&a=b`);
    expect(asked.status).toBe(302);
    const place = asked.headers.get("Location") ?? "";
    const service = encodeURIComponent(`${vipr.emulator.url}/vipr${SESSION}?a=b`);
    expect(place).toBe(`${vipr.emulator.url}/vipr/login?service=${service}&using-cookies=true`);
    expect(await vipr.send(place)).toMatchObject({ status: 401, text: "" });
    const back = await vipr.send(place, { headers: { Authorization: basic("root") } });
    expect([back.status, back.headers.get("Location"), back.text]).toEqual([
      302,
      `${vipr.emulator.url}/vipr${SESSION}?a=b&auth-redirected`,
      "",
    ]);
    const [Cookie = ""] = back.headers.get("Set-Cookie")?.split(";") ?? [];
    expect(await vipr.send(back.headers.get("Location") ?? "", { headers: { Cookie } })).toMatchObject({ status: 200 });
    // Who comes back without it is not sent round for ever.
    const lost = await vipr.send(back.headers.get("Location") ?? "");
    expect([lost.status, lost.text]).toEqual([401, expect.stringContaining("using cookies? retry")]);
  });
});

describe("service", () => {
  test.each([
    ["https://x:8443/y", "https://HOST:8443/y?auth-redirected"],
    ["https://x/y?a=b#c", "https://HOST/y?a=b&auth-redirected#c"],
    ["https://user:name@x/y", "https://HOST/y?auth-redirected"],
    ["y", "https://HOST/y?auth-redirected"],
  ])("%s leads to the same host", async (service, place) => {
    const { status, headers } = await login(`?service=${encodeURIComponent(service)}`);
    expect([status, headers.get("Location")]).toEqual([302, place.replace("HOST", "127.0.0.1")]);
    expect(headers.get(TOKEN)).toEqual(expect.stringContaining("BAAc"));
  });

  test.each(["https://x/a b", "%", "https://x/<script>"])("%s is no address: 400", async (service) => {
    expect(await login(`?service=${encodeURIComponent(service)}`)).toMatchObject({
      status: 400,
      body: { code: 1008, details: "The provided service URI has invalid format" },
    });
  });
});

describe("credentials", () => {
  test("beside a token make another token; a token alone is given back", async () => {
    const token = await vipr.token();
    expect((await login("", { [TOKEN]: token })).headers.get(TOKEN)).toBe(token);
    expect((await login("", { [TOKEN]: token, Authorization: basic("root") })).headers.get(TOKEN)).not.toBe(token);
    expect(await login("", { [TOKEN]: token, Authorization: basic("root", "wrong") })).toMatchObject({ status: 401 });
    expect((await login("", { Cookie: `${TOKEN}=${token}` })).headers.get(TOKEN)).toBe(token);
  });

  test("are read as ISO 8859-1", async () => {
    vipr.emulator.vipr.auth.addUser({ name: "umlaut", password: "pässwort", role: "admin" });
    expect(await login("", { Authorization: basic("umlaut", "pässwort") })).toMatchObject({ status: 200 });
    expect(await login("", { Authorization: basic("umlaut", "pässwort", "utf8") })).toMatchObject({ status: 401 });
  });

  test("without a colon are an exception", async () => {
    expect(await login("", { Authorization: "Basic cm9vdA==" })).toMatchObject({ status: 500, body: { code: 999 } });
    expect(await login("", { Authorization: "Bearer cm9vdA==" })).toMatchObject({ status: 500, body: { code: 999 } });
  });
});

describe("the lock", () => {
  const wrong = () => login("", { Authorization: basic("root", "wrong") });
  const locked = (minutes: number) => ({
    status: 401,
    body: {
      code: 4000,
      details: expect.stringContaining(`after 10 invalid login attempts. Will be cleared within ${minutes} minutes. `),
    },
  });

  test("is of the address: a token does not open it, and other calls go on", async () => {
    const token = await vipr.token();
    for (let n = 0; n < 10; n += 1) await wrong();
    expect(await login("", { [TOKEN]: token })).toMatchObject(locked(10));
    expect(await login()).toMatchObject(locked(10));
    expect(await vipr.send(SESSION, { headers: { [TOKEN]: token } })).toMatchObject({ status: 200 });
  });

  test("counts down, opens after ten minutes, and then counts from one again", async () => {
    for (let n = 0; n < 10; n += 1) await wrong();
    vipr.emulator.clock.tick(4 * 60_000);
    expect(await login()).toMatchObject(locked(6));
    vipr.emulator.clock.tick(6 * 60_000);
    expect(await wrong()).toMatchObject({ status: 401, text: "" });
    expect(await login()).toMatchObject({ status: 200 });
  });

  test("forgets failures of more than ten minutes ago", async () => {
    for (let n = 0; n < 9; n += 1) await wrong();
    vipr.emulator.clock.tick(10 * 60_000);
    expect(await wrong()).toMatchObject({ text: "" });
    expect(await login()).toMatchObject({ status: 200 });
  });
});

describe("the logout", () => {
  const logout = async (query: string, headers: Record<string, string>) =>
    vipr.send(`/logout${query}`, { headers: { Accept: "application/json", ...headers } });

  test("ends the token of a header or of a cookie; force ends all of the user's", async () => {
    const [one, two, three, other] = [
      await vipr.token(),
      await vipr.token(),
      await vipr.token(),
      await vipr.token("monitor"),
    ];
    expect(await logout("", { Cookie: `${TOKEN}=${one}` })).toMatchObject({ status: 200, body: { user: "root" } });
    expect(await logout("", { [TOKEN]: one })).toMatchObject({ status: 401, body: { code: 4000 } });
    expect(await logout("?force=true", { [TOKEN]: two })).toMatchObject({ status: 200 });
    expect(await vipr.send(SESSION, { headers: { [TOKEN]: three } })).toMatchObject({ status: 302 });
    expect(await vipr.send(SESSION, { headers: { [TOKEN]: other } })).toMatchObject({ status: 200 });
  });

  test("of another user is an administrator's", async () => {
    const [root, monitor] = [await vipr.token(), await vipr.token("monitor")];
    expect(await logout("?username=root", { [TOKEN]: monitor })).toMatchObject({
      status: 403,
      body: { code: 3000, details: "User monitor not permitted to logout another user" },
    });
    expect(await logout("?username=monitor", { [TOKEN]: root })).toMatchObject({ body: { user: "monitor" } });
    expect(await vipr.send(SESSION, { headers: { [TOKEN]: monitor } })).toMatchObject({ status: 302 });
    expect(await vipr.send(SESSION, { headers: { [TOKEN]: root } })).toMatchObject({ status: 200 });
  });

  test("with a text that is no token is a 401 with code 10001, and its XML has the class's name", async () => {
    expect((await logout("", { [TOKEN]: "rubbish" })).text).toContain("<code>10001</code>");
    const { text } = await vipr.send("/logout", { headers: { [TOKEN]: await vipr.token() } });
    expect(text).toContain("<LoggedOut><user>root</user></LoggedOut>");
  });
});
