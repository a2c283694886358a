// What tells one state store from another: two texts of one store are alike, two stores with one text are not.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { type OriginPlace, stateOrigin } from "../../../provider/pulumi/origin";

describe("addresses", () => {
  const place = (env: NodeJS.ProcessEnv): OriginPlace => ({
    env,
    cwd: "/work/project/app",
    home: "/home/ann",
    host: "laptop",
    engineCwd: "/work/project",
  });
  const originOf = (address: string, more: NodeJS.ProcessEnv = {}) =>
    stateOrigin(undefined, place({ PULUMI_BACKEND_URL: address, ...more }));

  test.each([
    ["file://~", "file laptop /home/ann"],
    ["file://~/deep", "file laptop /home/ann/deep"],
    ["file://./state", "file laptop /work/project/state"],
    ["file://state", "file laptop /work/project/state"],
    ["file://../state/", "file laptop /work/state"],
    ["file:///srv/state", "file laptop /srv/state"],
    ["file:///srv/state/?no_tmp_dir=true", "file laptop /srv/state"],
    ["file:///srv/a%20b", "file laptop /srv/a b"],
    ["file:///srv/100%", "file laptop /srv/100%"],
    ["https://api.pulumi.com", "https://api.pulumi.com"],
    ["https://api.pulumi.com/", "https://api.pulumi.com"],
    ["https://ann:secret@pulumi.example.com:8443/base/", "https://pulumi.example.com:8443/base"],
    ["s3://bucket", "s3://bucket"],
    ["s3://bucket/deep?profile=ci&region=eu-1&awssdk=v2", "s3://bucket/deep?region=eu-1"],
    ["s3://bucket?endpoint=minio:9000&disableSSL=true&region=eu-1", "s3://bucket?endpoint=minio:9000&region=eu-1"],
    ["azblob://states?storage_account=acme", "azblob://states?storage_account=acme"],
    ["gs://states", "gs://states"],
    ["mem", "mem"],
  ])("%s", (address, origin) => {
    expect(originOf(address)).toBe(origin);
  });

  test("two MinIO, and two accounts of Azure, by variables", () => {
    expect(originOf("s3://bucket", { AWS_ENDPOINT_URL: "http://one:9000" })).toBe(
      "s3://bucket?endpoint=http://one:9000",
    );
    expect(
      originOf("s3://bucket", { AWS_ENDPOINT_URL: "http://one:9000", AWS_ENDPOINT_URL_S3: "http://two:9000" }),
    ).toBe("s3://bucket?endpoint=http://two:9000");
    expect(originOf("azblob://states", { AZURE_STORAGE_ACCOUNT: "acme" })).toBe("azblob://states?storage_account=acme");
    expect(originOf("gs://states", { AWS_ENDPOINT_URL: "http://one:9000" })).toBe("gs://states");
  });

  test("a relative one where the engine's folder is not known: from the project's folder", () => {
    const root = fs.mkdtempSync(path.join(os.tmpdir(), "snapclone-unit-"));
    try {
      fs.writeFileSync(path.join(root, "Pulumi.yaml"), "name: shop\nruntime: nodejs\nmain: app\n");
      const unseen = {
        ...place({ PULUMI_BACKEND_URL: "file://./state" }),
        cwd: path.join(root, "app"),
        engineCwd: undefined,
      };
      expect(stateOrigin(undefined, unseen)).toBe(`file laptop ${root}/state`);
    } finally {
      fs.rmSync(root, { recursive: true });
    }
  });
});

describe("where the address comes from", () => {
  let root: string;
  const origin = (env: NodeJS.ProcessEnv, override?: string) =>
    stateOrigin(override, { env, cwd: path.join(root, "app", "src"), home: path.join(root, "home"), host: "laptop" });
  const write = (file: string, text: string) => {
    fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    fs.writeFileSync(path.join(root, file), text);
  };
  const credentials = (current: unknown) =>
    JSON.stringify({ current, accessTokens: { "https://api.pulumi.com": "pul-secret" }, accounts: {} });

  beforeEach(() => {
    root = fs.mkdtempSync(path.join(os.tmpdir(), "snapclone-unit-"));
    fs.mkdirSync(path.join(root, "app", "src"), { recursive: true });
  });
  afterEach(() => fs.rmSync(root, { recursive: true }));

  test("nowhere", () => {
    expect(origin({})).toBe("");
  });

  test("the credentials file: who is logged in, and nothing else of it", () => {
    write("home/.pulumi/credentials.json", credentials("https://api.pulumi.com"));
    expect(origin({})).toBe("https://api.pulumi.com");
    write("elsewhere/credentials.json", credentials("https://one.example.com"));
    expect(origin({ PULUMI_HOME: path.join(root, "elsewhere") })).toBe("https://one.example.com");
    write("third/credentials.json", credentials("https://two.example.com"));
    const both = { PULUMI_HOME: path.join(root, "elsewhere"), PULUMI_CREDENTIALS_PATH: path.join(root, "third") };
    expect(origin(both)).toBe("https://two.example.com");
  });

  test.each(["{", "[]", '{"current": 7}', '{"current": " "}', "null"])("a credentials file that says %s", (text) => {
    write("home/.pulumi/credentials.json", text);
    expect(origin({})).toBe("");
  });

  test.each([
    ["Pulumi.yaml", "name: shop\nbackend:\n  url: https://project.example.com\n"],
    ["Pulumi.yml", "{name: shop, backend: {url: 'https://project.example.com'}}"],
    ["Pulumi.json", '{"name": "shop", "backend": {"url": "https://project.example.com"}}'],
  ])("%s, above the program, before the credentials", (file, text) => {
    write("home/.pulumi/credentials.json", credentials("https://api.pulumi.com"));
    write(`app/${file}`, text);
    expect(origin({})).toBe("https://project.example.com");
  });

  test("a project file without a backend, or a broken one, leaves it to the credentials", () => {
    write("home/.pulumi/credentials.json", credentials("https://api.pulumi.com"));
    write("app/Pulumi.yaml", "name: shop\n");
    expect(origin({})).toBe("https://api.pulumi.com");
    write("app/Pulumi.yaml", "name: [shop\n");
    expect(origin({})).toBe("https://api.pulumi.com");
  });

  test("the environment before both, and snapclone:origin before all", () => {
    write("home/.pulumi/credentials.json", credentials("https://api.pulumi.com"));
    write("app/Pulumi.yaml", "name: shop\nbackend: {url: 'https://project.example.com'}\n");
    const env = { PULUMI_BACKEND_URL: "https://env.example.com" };
    expect(origin(env)).toBe("https://env.example.com");
    expect(origin({ PULUMI_BACKEND_URL: "" })).toBe("https://project.example.com");
    expect(origin(env, " the one store ")).toBe("the one store");
    expect(origin(env, " ")).toBe("https://env.example.com");
  });
});
