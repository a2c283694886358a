// A connection to OpenStack from clouds.yaml and the environment, read as openstacksdk and the openstack command read them.

import { existsSync } from "node:fs";
import { type OpenStackSettings, resolveOpenStack } from "../../../provider/openstack/connection";
import { environment, failure, stack } from "./connectionFixture";
import { place, resolveCase } from "./fixture";

describe("as openstacksdk and the openstack command read it", () => {
  const cloud = (auth: string, more = "") => ({
    "cwd/clouds.yaml": `clouds: {a: {auth: {auth_url: 'https://k', ${auth}}${more}}}`,
  });

  test.each(["0089", "0001", "12:34:56", "1_000_000", "0x1F", "+4912345", "0b11", "12e4", "1.50", ".5", "-0", "007"])(
    "%s keeps its text as a password, a name and an id",
    (text) => {
      const files = cloud(`username: ${text}, password: ${text}, user_domain_id: ${text}, project_id: ${text}`);
      expect(resolveCase({ files }).auth).toEqual({
        method: "password",
        user: { name: text, domain: { id: text } },
        password: text,
        scope: { project: { id: text } },
      });
    },
  );

  test("a cloud of digits, and a secure file of digits", () => {
    const { auth } = resolveCase({
      env: { OS_CLOUD: "0089" },
      files: {
        "cwd/clouds.yaml": "clouds: {0089: {auth: {auth_url: 'https://k', user_id: u, project_id: p}}}",
        "cwd/secure.yaml": "clouds: {0089: {auth: {password: 0012}}}",
      },
    });
    expect(auth).toMatchObject({ password: "0012" });
  });

  test.each([
    ["beside OS_CLOUD", { OS_CLOUD: "a", OS_REGION_NAME: "R2" }, "R2"],
    ["beside a lone cloud", { OS_REGION_NAME: "R2" }, "R2"],
    ["blank", { OS_CLOUD: "a", OS_REGION_NAME: " " }, "R1"],
    ["not given", { OS_CLOUD: "a" }, "R1"],
  ] as [string, Record<string, string>, string][])("OS_REGION_NAME %s", (_title, env, region) => {
    expect(resolveCase({ env, files: cloud("token: tok-en", ", region_name: R1") }).region).toBe(region);
  });

  test("OS_REGION_NAME chooses one of a cloud's regions with its values, and must be one", () => {
    const files = cloud("token: tok-en", ", regions: [R1, {name: R2, values: {interface: internal}}]");
    expect(resolveCase({ env: { OS_CLOUD: "a", OS_REGION_NAME: "R2" }, files })).toMatchObject({
      region: "R2",
      interface: "internal",
    });
    expect(failure({ env: { OS_CLOUD: "a", OS_REGION_NAME: "R3" }, files }).message).toContain("none of its regions");
  });

  test("OS_REGION_NAME is not for a cloud that the stack config or the connection names", () => {
    const files = cloud("token: tok-en", ", region_name: R1");
    const env = { OS_REGION_NAME: "R2" };
    expect(resolveCase({ config: { cloud: "a" }, env, files }).region).toBe("R1");
    expect(resolveCase({ name: "a", env, files }).region).toBe("R1");
  });

  test("OS_CACERT and OS_INTERFACE beside OS_CLOUD go over the cloud's", () => {
    const env = { OS_CLOUD: "a", OS_CACERT: "/site.pem", OS_INTERFACE: "internal" };
    const settings = resolveCase({ env, files: cloud("token: tok-en", ", cacert: /old.pem") });
    expect(settings).toMatchObject({ interface: "internal", tls: { cacert: "/site.pem", insecure: false } });
  });

  test.each<[string, string, OpenStackSettings["tls"]]>([
    ["verify: false", ", verify: false", { insecure: true }],
    ["verify: no", ", verify: no", { insecure: true }],
    ["insecure: 1", ", insecure: 1", { insecure: true }],
    ["verify: a path", ", verify: /ca.pem", { cacert: "/ca.pem", insecure: false }],
    ["verify: true and cacert", ", verify: true, cacert: /ca.pem", { cacert: "/ca.pem", insecure: false }],
    ["cert alone", ", cert: /both.pem", { cert: "/both.pem", insecure: false }],
    ["key alone", ", key: /key.pem", { insecure: false }],
    ["cert and key", ", cert: /c.pem, key: /k.pem", { cert: "/c.pem", key: "/k.pem", insecure: false }],
  ])("TLS: %s", (_title, more, tls) => {
    expect(resolveCase({ files: cloud("token: tok-en", more) }).tls).toEqual(tls);
  });

  test.each<[Record<string, string>, OpenStackSettings["tls"]]>([
    [{ OS_INSECURE: "true" }, { insecure: true }],
    [{ OS_VERIFY: "false" }, { insecure: true }],
    [{ OS_CACERT: "/ca.pem" }, { cacert: "/ca.pem", insecure: false }],
    [
      { OS_CERT: "/c.pem", OS_KEY: "/k.pem" },
      { cert: "/c.pem", key: "/k.pem", insecure: false },
    ],
  ])("TLS from the environment: %j", (env, tls) => {
    expect(resolveCase({ env: { ...environment, ...env } }).tls).toEqual(tls);
  });

  test("an application credential by its id needs no user", () => {
    const files = cloud(
      "application_credential_id: i, application_credential_secret: app-secret",
      ", auth_type: v3applicationcredential",
    );
    expect(resolveCase({ files }).auth).toEqual({ method: "applicationCredential", id: "i", secret: "app-secret" });
  });

  test("Windows' folders: the user's, then everybody's", () => {
    const at = place({
      files: {
        "local/OpenStack/openstack/clouds.yaml": "clouds: {a: {auth: {auth_url: 'https://local', token: tok-en}}}",
        "all/OpenStack/openstack/secure.yaml": "clouds: {a: {auth: {token: from-all}}}",
      },
    });
    const env = { ...at.env, LOCALAPPDATA: `${at.root}/local`, PROGRAMDATA: `${at.root}/all` };
    const request = { name: "default", config: undefined, ...at, env };
    const settings = resolveOpenStack({ ...request, platform: "win32" });
    expect(settings).toMatchObject({ authUrl: "https://local/v3", auth: { token: "from-all" } });
    if (!existsSync("/etc/openstack"))
      expect(() => resolveOpenStack({ ...request, platform: "linux" })).toThrow(/there is no/);
  });

  test.each([
    ["http://k:5000", 1],
    ["https://k:5000", 0],
    ["http://127.0.0.1:5000", 0],
    ["http://[::1]:5000", 0],
    ["http://localhost:5000", 0],
  ])("credentials for %s: %d warning", (authUrl, times) => {
    const { warnings } = resolveCase({ config: { ...stack, authUrl } });
    expect(warnings.filter((text) => /unencrypted/.test(text))).toHaveLength(times);
  });
});
