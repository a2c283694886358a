import { redact, SnapcloneError } from "../../../provider/core/errors";
import { resolveZStack, type ZStackSettings } from "../../../provider/zstack/connection";

const ACCOUNT = { url: "http://10.0.0.2:8080", accountName: "admin", password: "correct horse" };

function resolve(config: unknown, env: NodeJS.ProcessEnv = {}, name = "default"): ZStackSettings {
  return resolveZStack({ name, config, env, cwd: "/work", home: "/home/ann" });
}

function refusal(config: unknown, env: NodeJS.ProcessEnv = {}, name = "default"): string {
  try {
    resolve(config, env, name);
  } catch (error) {
    if (error instanceof SnapcloneError && error.kind === "config") return error.message;
  }
  throw new Error("it was accepted");
}

test("an account from the stack config; its password is no part of any text from then on", () => {
  expect(resolve({ kind: "zstack", ...ACCOUNT })).toEqual({
    base: "http://10.0.0.2:8080/zstack",
    auth: { method: "account", accountName: "admin", password: "correct horse" },
    dryRun: false,
    tls: { insecure: false },
    source: "stack config snapclone:connections.default",
    sourceKind: "stackConfig",
    warnings: [expect.stringContaining("sent unencrypted to http://10.0.0.2:8080")],
    given: expect.any(Array),
  });
  expect(redact("the correct horse")).toBe("the [redacted]");
});

test.each([
  ["http://h:8080", "http://h:8080/zstack"],
  ["http://h:8080/", "http://h:8080/zstack"],
  ["http://h:8080/zstack/", "http://h:8080/zstack"],
  ["https://cloud.example.com/zstack/v1", "https://cloud.example.com/zstack"],
  [" http://h:8080/other ", "http://h:8080/other"],
])("the address %s", (url, base) => {
  expect(resolve({ ...ACCOUNT, url }).base).toBe(base);
});

test("an access key, its server's time zone, and everything else", () => {
  const config = {
    url: "https://h",
    accessKeyId: "id",
    accessKeySecret: "a secret key",
    timeZone: "Asia/Shanghai",
    cacert: "ca.pem",
    cert: "~/cert.pem",
    key: "-----BEGIN KEY",
    insecure: "true",
    dryRun: true,
  };
  expect(resolve(config)).toMatchObject({
    auth: { method: "accessKey", id: "id", secret: "a secret key", timeZone: "Asia/Shanghai" },
    dryRun: true,
    tls: { cacert: "/work/ca.pem", cert: "/home/ann/cert.pem", key: "-----BEGIN KEY", insecure: true },
    warnings: [expect.stringContaining("TLS certificates are not verified (`insecure`)")],
  });
});

test("a password of digits that pulumi has turned into a number", () => {
  expect(resolve({ ...ACCOUNT, password: 123456 }).auth).toMatchObject({ password: "123456" });
});

test("the environment serves the default connection, in the words of ZStack's Terraform provider", () => {
  const env = { ZSTACK_HOST: "10.0.0.3", ZSTACK_ACCOUNT_NAME: "ann", ZSTACK_ACCOUNT_PASSWORD: "another horse" };
  expect(resolve(undefined, env)).toMatchObject({
    base: "http://10.0.0.3:8080/zstack",
    auth: { accountName: "ann" },
    sourceKind: "environment",
  });
  expect(resolve(undefined, { ...env, ZSTACK_PORT: "9090" }).base).toBe("http://10.0.0.3:9090/zstack");
  expect(resolve(undefined, { ...env, ZSTACK_URL: "https://h/z", ZSTACK_DRY_RUN: "1" })).toMatchObject({
    base: "https://h/z",
    dryRun: true,
  });
  expect(redact("another horse")).toBe("[redacted]");
  expect(refusal(undefined, env, "dr")).toMatch(
    /no ZStack connection "dr".*snapclone:connections\.dr: not set; \(2\) ZSTACK_\*: these serve the connection "default" only$/m,
  );
  expect(refusal(undefined, { ...env, ZSTACK_PORT: "http" })).toContain("ZSTACK_PORT is not a whole number");
  expect(refusal(undefined, { ...env, ZSTACK_HOST: "h/zstack" })).toContain("ZSTACK_HOST is not a host name");
});

test("nothing at all names every place that was looked at", () => {
  const message = refusal(undefined);
  expect(message).toContain("(1) stack config snapclone:connections.default: not set; (2) ZSTACK_URL, ZSTACK_HOST");
  expect(message).toContain("docs/connections.md");
});

test.each([
  [{ accountName: "a", password: "b12" }, "`url` is missing"],
  [{ ...ACCOUNT, url: "10.0.0.2:8080" }, "`url` is not a URL"],
  [{ ...ACCOUNT, url: "http://u:p@h" }, "user or password in it"],
  [{ ...ACCOUNT, url: "http://h/?x=1" }, "? or # part"],
  [{ url: "http://h", accountName: "a" }, "`password` is missing"],
  [{ url: "http://h" }, "`accountName` is missing; `password` is missing"],
  [{ ...ACCOUNT, accessKeyId: "x" }, "two ways to sign in"],
  [{ ...ACCOUNT, timeZone: "UTC" }, "`timeZone` is for access keys only"],
  [{ url: "http://h", accessKeyId: "i", accessKeySecret: "s12", timeZone: "CST8" }, "neither a time zone"],
  [{ ...ACCOUNT, dryRun: "maybe" }, "`dryRun` is neither true nor false"],
  [{ ...ACCOUNT, account_name: "a" }, "unknown field `account_name`; did you mean `accountName`?"],
  [{ ...ACCOUNT, url: ["x"] }, "`url` must be text"],
  ["http://h", "is not an object of fields"],
])("%j is refused: %s", (config, said) => {
  const message = refusal(config);
  expect(message).toContain(said);
  expect(message).not.toContain("correct horse");
});
