import { SnapcloneError } from "../../../provider/core/errors";
import { resolveVipr } from "../../../provider/vipr/connection";

const GOOD = { kind: "vipr", url: "https://vipr.example.com:4443", username: "root", password: "ChangeMe" };

function resolve(config: unknown, env: Record<string, string> = {}, name = "default") {
  return resolveVipr({ name, config, env, cwd: "/work/program", home: "/home/u" });
}

function refusal(config: unknown, env: Record<string, string> = {}, name = "default"): string {
  try {
    resolve(config, env, name);
  } catch (error) {
    if (error instanceof SnapcloneError && error.kind === "config") return error.message;
    throw error;
  }
  throw new Error("it was taken");
}

test("from the stack config, else from the environment", () => {
  expect(resolve(GOOD)).toEqual({
    url: "https://vipr.example.com:4443",
    username: "root",
    password: "ChangeMe",
    tls: { insecure: false },
    source: "stack config snapclone:connections.default",
    sourceKind: "stackConfig",
    warnings: [],
    given: expect.any(Array),
  });
  const env = {
    VIPR_URL: "https://other:4443/",
    VIPR_USERNAME: "u",
    VIPR_PASSWORD: "ppp",
    VIPR_CACERT: "ca.pem",
    VIPR_INSECURE: "no",
  };
  expect(resolve(undefined, env)).toMatchObject({
    url: "https://other:4443",
    username: "u",
    tls: { cacert: "/work/program/ca.pem", insecure: false },
    sourceKind: "environment",
  });
  expect(resolve(GOOD, env).username).toBe("root");
});

test.each([
  ["https://vipr.example.com", "https://vipr.example.com:4443"],
  ["https://vipr.example.com/", "https://vipr.example.com:4443"],
  ["https://vipr.example.com:443", "https://vipr.example.com:443"],
  [" https://[::1]:8443/ ", "https://[::1]:8443"],
  ["https://[::1]", "https://[::1]:4443"],
  ["http://127.0.0.1:8776/vipr/", "http://127.0.0.1:8776/vipr"],
])("the address %s is %s: without a port it is the API's, not the portal's", (url, expected) => {
  expect(resolve({ ...GOOD, url }).url).toBe(expected);
});

test("digits for a password, blanks for nothing, PEM text for a certificate", () => {
  expect(resolve({ ...GOOD, password: 123456, cacert: "" })).toMatchObject({
    password: "123456",
    tls: { insecure: false },
  });
  const pem = "-----BEGIN CERTIFICATE-----\nx";
  expect(resolve({ ...GOOD, cacert: pem }).tls.cacert).toBe(pem);
});

test("what may be meant, and is unusual, is warned of", () => {
  expect(resolve({ ...GOOD, insecure: true }).warnings).toEqual([expect.stringContaining("not verified")]);
  expect(resolve({ ...GOOD, password: "ppp\n" }).warnings).toEqual([expect.stringContaining("line break")]);
});

test("all that is wrong at once, without the password", () => {
  const message = refusal({
    ...GOOD,
    url: "vipr.example.com",
    username: "a:b",
    password: "hunter22",
    insecure: "perhaps",
  });
  expect(message).toMatch(/`url` is not a URL.*`username` has a colon.*`insecure` is neither/);
  expect(message).not.toContain("hunter22");
  expect(refusal({ ...GOOD, username: "r\u014dot", password: "hunter\u20ac" })).toMatch(
    /`username` has a character outside ISO 8859-1.*`password` has a character outside ISO 8859-1/,
  );
  expect(resolve({ ...GOOD, password: "hünter" }).password).toBe("hünter");
  expect(refusal({ ...GOOD, passwort: "hunter22" })).toContain("unknown field `passwort`; did you mean `password`?");
  expect(refusal({ kind: "vipr", url: "https://u:p@h" })).toMatch(
    /`url` has a user.*`username` is missing.*`password`/,
  );
  expect(refusal("https://h")).toContain("is not an object of fields");
  expect(refusal(undefined, { VIPR_URL: "https://h" })).toMatch(/VIPR_USERNAME is missing; VIPR_PASSWORD is missing/);
});

test("nothing found names all the places", () => {
  expect(refusal(undefined)).toMatch(
    /no ViPR connection "default".*\(1\) stack config snapclone:connections\.default: not set; \(2\) VIPR_URL/,
  );
  expect(refusal(undefined, { VIPR_URL: "https://h" }, "backup")).toContain('serve the connection "default" only');
});
