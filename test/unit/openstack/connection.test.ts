import { existsSync } from "node:fs";
import fc from "fast-check";
import { SnapcloneError } from "../../../provider/core/errors";
import { type OpenStackSettings, resolveOpenStack } from "../../../provider/openstack/connection";
import { environment, failure, stack } from "./connectionFixture";
import { type Case, place, resolveCase } from "./fixture";

const cloudsYaml = `
clouds:
  prod:
    auth: {auth_url: "https://prod.example:5000/v3", username: ann, password: s3cret-of-ann, project_name: p, domain_name: D}
    region_name: R1
  test:
    auth: {auth_url: "https://test.example:5000/v3", username: bob, password: s3cret-of-bob, project_name: p, domain_name: D}
`;

describe("the stack config", () => {
  test("a whole connection", () => {
    expect(
      resolveCase({
        config: { ...stack, region: "R1", interface: "internalURL", blockStorageEndpoint: " https://c/v3 " },
      }),
    ).toEqual({
      authUrl: "https://keystone.example:5000/v3",
      auth: {
        method: "password",
        user: { name: "ann", domain: { name: "Default" } },
        password: "s3cret-of-ann",
        scope: { project: { name: "prod", domain: { name: "Default" } } },
      },
      region: "R1",
      interface: "internal",
      endpointOverride: { blockStorage: "https://c/v3" },
      serviceType: {},
      serviceRegion: {},
      serviceInterface: {},
      tls: { insecure: false },
      source: "stack config snapclone:connections.default",
      sourceKind: "stackConfig",
      warnings: ["stack config snapclone:connections.default: the blanks around `blockStorageEndpoint` are left out"],
      given: expect.any(Array),
    });
  });

  test.each([
    ["https://k:5000", "https://k:5000/v3"],
    ["https://k:5000/", "https://k:5000/v3"],
    ["https://k:5000/v3", "https://k:5000/v3"],
    ["https://k:5000/v3/", "https://k:5000/v3"],
    ["https://k/identity", "https://k/identity/v3"],
    ["https://k/identity/v3", "https://k/identity/v3"],
    ["https://k/powervc/openstack/identity/v3/", "https://k/powervc/openstack/identity/v3"],
    ["https://k:5000/v2.0/", "https://k:5000/v3"],
    ["http://k:5000/v3/auth/tokens", "http://k:5000/v3"],
    ["http://[::1]:5000/v3//", "http://[::1]:5000/v3"],
  ])("auth URL %s", (given, normal) => {
    expect(resolveCase({ config: { ...stack, authUrl: given } }).authUrl).toBe(normal);
  });

  const { username: _u, password: _p, ...elsewhere } = stack;
  test.each<[string, object, OpenStackSettings["auth"]]>([
    [
      "ids need no domain",
      { authUrl: "https://k", userId: "u1", password: "pass-word", projectId: "p1" },
      { method: "password", user: { id: "u1" }, password: "pass-word", scope: { project: { id: "p1" } } },
    ],
    [
      "one domain for both",
      { authUrl: "https://k", username: "u", password: "pass-word", projectName: "p", domainId: "d" },
      {
        method: "password",
        user: { name: "u", domain: { id: "d" } },
        password: "pass-word",
        scope: { project: { name: "p", domain: { id: "d" } } },
      },
    ],
    [
      "a domain as the scope",
      { authUrl: "https://k", userId: "u", password: "pass-word", domainName: "d" },
      { method: "password", user: { id: "u" }, password: "pass-word", scope: { domain: { name: "d" } } },
    ],
    [
      "the system as the scope",
      { authUrl: "https://k", userId: "u", password: "pass-word", systemScope: "all" },
      { method: "password", user: { id: "u" }, password: "pass-word", scope: { system: true } },
    ],
    [
      "an application credential by id, the project left out",
      { ...elsewhere, applicationCredentialId: "a", applicationCredentialSecret: "app-secret" },
      { method: "applicationCredential", id: "a", secret: "app-secret" },
    ],
    [
      "an application credential by name",
      { authUrl: "https://k", applicationCredentialName: "ci", userId: "u", applicationCredentialSecret: "app-secret" },
      { method: "applicationCredential", name: "ci", user: { id: "u" }, secret: "app-secret" },
    ],
    ["a token", { authUrl: "https://k", token: "tok-en" }, { method: "token", token: "tok-en", scope: "unscoped" }],
    [
      "authType decides",
      { ...stack, authType: "v3token", token: "tok-en" },
      { method: "token", token: "tok-en", scope: { project: { name: "prod", domain: { name: "Default" } } } },
    ],
    [
      "digits that Pulumi made a number of",
      { authUrl: "https://k", userId: 42, password: "pass-word", projectId: 7 },
      { method: "password", user: { id: "42" }, password: "pass-word", scope: { project: { id: "7" } } },
    ],
  ])("%s", (_title, config, auth) => {
    expect(resolveCase({ config }).auth).toEqual(auth);
  });

  test.each<[string, unknown, string[]]>([
    [
      "several at once",
      { authUrl: "ftp://k", username: "u", insecure: "maybe" },
      ["`authUrl` is not a URL", "`userDomainName` is missing", "`password` is missing", "`insecure` is neither"],
    ],
    [
      "openstacksdk's spelling",
      { auth_url: "https://k", tenant_name: "p" },
      ["`auth_url`; did you mean `authUrl`?", "`tenant_name`; did you mean `projectName`?"],
    ],
    ["a typo", { ...stack, passwrod: "x" }, ["unknown field `passwrod`; did you mean `password`?"]],
    ["not text", { ...stack, projectName: ["p"] }, ["`projectName` must be text"]],
    ["another kind", { ...stack, kind: "vipr" }, ['`kind` must be "openstack"']],
    ["no object", "https://k", ["is not an object"]],
    ["a list", ["https://k"], ["is not an object"]],
    ["userinfo", { ...stack, authUrl: "https://ann:s3cret-of-ann@k" }, ["`authUrl` has a user or password in it"]],
    ["no scheme", { ...stack, authUrl: "keystone:5000" }, ["`authUrl` is not a URL that begins with https://"]],
    ["two scopes", { ...stack, systemScope: "all" }, ["`systemScope` excludes"]],
    [
      "a foreign method",
      { ...stack, authType: "v3oidcpassword" },
      ['`authType` "v3oidcpassword" is not supported: use password, token or v3applicationcredential'],
    ],
    ["an interface", { ...stack, interface: "private" }, ["`interface` is none of public, internal, admin"]],
    [
      "a mixture",
      { cloud: "prod", username: "u", password: "x" },
      ["`cloud` can't be combined with `username`, `password`"],
    ],
    ["a blank password", { ...stack, password: "  " }, ["`password` is missing"]],
  ])("refused: %s", (_title, config, said) => {
    const { message } = failure({ config });
    expect(message).toContain("stack config snapclone:connections.default");
    for (const part of said) expect(message).toContain(part);
    expect(message).not.toContain("s3cret-of-ann");
  });

  test("TLS: paths become absolute, PEM text stays, and no verification is said", () => {
    const at = place({});
    const pem = "-----BEGIN CERTIFICATE-----\nabc\n";
    const { tls, warnings } = resolveCase(
      { config: { ...stack, cacert: "~/ca.pem", cert: pem, key: "k.pem", insecure: true } },
      at,
    );
    expect(tls).toEqual({ cacert: `${at.home}/ca.pem`, cert: pem, key: `${at.cwd}/k.pem`, insecure: true });
    expect(warnings).toEqual([
      "stack config snapclone:connections.default: TLS certificates are not verified (`insecure`)",
    ]);
  });

  test("a cloud by name, its region and endpoint changed", () => {
    const settings = resolveCase({
      name: "backup",
      config: { cloud: "prod", region: "R2", computeEndpoint: "https://n" },
      files: { "cwd/clouds.yaml": cloudsYaml },
    });
    expect(settings).toMatchObject({
      authUrl: "https://prod.example:5000/v3",
      region: "R2",
      endpointOverride: { compute: "https://n" },
      sourceKind: "cloudsYaml",
    });
    expect(settings.source).toMatch(/^cloud "prod" in .*\/cwd\/clouds\.yaml$/);
  });
});

describe("which source", () => {
  const files = { "cwd/clouds.yaml": cloudsYaml };
  const alone = { "cwd/clouds.yaml": "clouds: {lone: {auth: {auth_url: 'https://lone', token: tok-en}}}" };
  test.each<[string, Case, string]>([
    [
      "stack config before all",
      { config: stack, env: { ...environment, OS_CLOUD: "prod" }, files },
      "https://keystone.example:5000/v3",
    ],
    ["OS_CLOUD before OS_*", { env: { ...environment, OS_CLOUD: "test" }, files }, "https://test.example:5000/v3"],
    ["OS_* before a lone cloud", { env: environment, files: alone }, "https://env.example:5000/v3"],
    [
      "OS_CLOUD_NAME gives OS_* a name",
      { env: { ...environment, OS_CLOUD: "me", OS_CLOUD_NAME: "me" }, files },
      "https://env.example:5000/v3",
    ],
    ["a lone cloud", { files: alone }, "https://lone/v3"],
    [
      "a lone cloud beside variables that sign nobody in",
      { env: { OS_REGION_NAME: "R", OS_IDENTITY_API_VERSION: "3" }, files: alone },
      "https://lone/v3",
    ],
    ["a blank OS_CLOUD is none", { env: { OS_CLOUD: " " }, files: alone }, "https://lone/v3"],
    [
      "a cloud called default",
      { files: { "cwd/clouds.yaml": cloudsYaml.replace("test:", "default:") } },
      "https://test.example:5000/v3",
    ],
    [
      "the connection's name",
      { name: "test", env: { ...environment, OS_CLOUD: "prod" }, files },
      "https://test.example:5000/v3",
    ],
    [
      "an entry with nothing but its kind is none",
      { config: { kind: "openstack", authUrl: "" }, files: alone },
      "https://lone/v3",
    ],
  ])("%s", (_title, given, authUrl) => {
    expect(resolveCase(given).authUrl).toBe(authUrl);
  });

  test("the first folder wins, and the secure file is looked for on its own", () => {
    const { auth, source } = resolveCase({
      env: { OS_CLOUD: "prod" },
      files: {
        "home/.config/openstack/clouds.yaml":
          "clouds: {prod: {auth: {auth_url: 'https://k', user-id: u, project-id: p}}}",
        "site/openstack/clouds.yaml": "clouds: {}",
        "site/openstack/secure.yaml": "clouds: {prod: {auth: {password: from-secure}}}",
      },
    });
    expect(auth).toMatchObject({ password: "from-secure", scope: { project: { id: "p" } } });
    expect(source).toMatch(/clouds\.yaml and .*secure\.yaml$/);
  });

  test("nothing found names every place in order and two ways out", () => {
    if (existsSync("/etc/openstack")) return;
    const { message } = failure({});
    const order = [
      "snapclone:connections.default: not set",
      "OS_CLOUD",
      "OS_AUTH_URL",
      "clouds.yaml",
      "/cwd",
      "/home/.config/openstack",
      "/site/openstack",
      "/etc/openstack",
    ];
    const found = order.map((part) => message.indexOf(part));
    expect(found).toEqual([...found].sort((a, b) => a - b));
    expect(found).not.toContain(-1);
    expect(message).toContain("export OS_CLOUD=<cloud>");
    expect(message).toContain("pulumi config set --path snapclone:connections.default.authUrl");
    expect(failure({ name: "backup" }).message).toContain('a cloud "backup" in');
  });

  test.each<[string, Case, string]>([
    ["a cloud that is not there", { env: { OS_CLOUD: "nope" }, files }, 'OS_CLOUD names the cloud "nope": not in'],
    ["what the file has", { env: { OS_CLOUD: "nope" }, files }, 'has "prod", "test"'],
    [
      "the same from the stack config",
      { config: { cloud: "nope" }, files },
      "snapclone:connections.default.cloud names",
    ],
    ["several clouds and no choice", { files }, 'a single cloud, or one called "default"'],
    [
      "names of the environment",
      { env: { OS_AUTH_URL: "https://k", OS_USERNAME: "u" } },
      "the environment (OS_*): OS_USER_DOMAIN_NAME is missing",
    ],
    [
      "names of clouds.yaml",
      { files: { "cwd/clouds.yaml": "clouds: {a: {auth: {auth_url: 'https://k'}}}" } },
      "`auth.username` is missing; `auth.password` is missing",
    ],
    [
      "YAML: where, not what",
      { files: { "cwd/clouds.yaml": "clouds:\n  a:\n    auth: {password: s3cret-of-ann\n" } },
      "/cwd/clouds.yaml:4:1: not valid YAML",
    ],
    [
      "YAML: an alias from a password",
      { files: { "cwd/clouds.yaml": "clouds: {a: {auth: {password: *s3cret-of-ann }}}" } },
      "/cwd/clouds.yaml",
    ],
    ["YAML: a list", { files: { "cwd/clouds.yaml": "- a" } }, "not a map of settings"],
    ["YAML: clouds is text", { files: { "cwd/clouds.yaml": "clouds: a" } }, '"clouds" is not a map'],
    [
      "YAML: a boolean for a password",
      { files: { "cwd/clouds.yaml": "clouds: {a: {auth: {auth_url: 'https://k', user_id: u, password: yes}}}" } },
      "`auth.password` is not text: put it into quotes",
    ],
    [
      "a placeholder",
      { files: { "cwd/clouds.yaml": "clouds: {a: {auth: {auth_url: 'https://{zone}.k', token: tok-en}}}" } },
      "refers to {zone}, which is not set",
    ],
  ])("refused: %s", (_title, given, said) => {
    const { message } = failure(given);
    expect(message).toContain(said);
    expect(message).not.toContain("s3cret-of-ann");
  });

  test("what is left out is said", () => {
    const { warnings } = resolveCase({
      env: { OS_CLIENT_CONFIG_FILE: "missing.yaml", OS_CLIENT_SECURE_FILE: "~/secure.yaml" },
      files: {
        "cwd/clouds.yaml":
          "clouds: {a: {profile: vexxhost, verify: false, auth: {auth_url: 'https://k', token: tok-en}}}",
      },
    });
    expect(warnings).toEqual([
      expect.stringContaining("missing.yaml could not be read (ENOENT)"),
      expect.stringMatching(/~.secure.yaml could not be read \(ENOENT; a ~ is not expanded here\)/),
      expect.stringContaining('the profile "vexxhost" is in no clouds-public file'),
      expect.stringContaining("TLS certificates are not verified"),
    ]);
  });
});

test("whatever the config holds: settings, or a config error without its secrets", () => {
  const secret = "PLANTED-7f3a9";
  const names = fc.constantFrom(
    "password",
    "token",
    "applicationCredentialSecret",
    "client_secret",
    "Password",
    "auth-token",
  );
  const known = fc.constantFrom(
    ...Object.keys(stack),
    "cloud",
    "kind",
    "cert",
    "insecure",
    "systemScope",
    "authType",
    "__proto__",
  );
  const planted = fc.oneof(fc.constant(secret), fc.constant([secret]), fc.constant({ deep: { er: secret } }));
  const junk = fc.oneof(
    fc.anything(),
    fc
      .tuple(fc.dictionary(fc.oneof(known, fc.string()), fc.anything()), fc.dictionary(names, planted))
      .map(([a, b]) => ({ ...a, ...b })),
    fc.tuple(names, planted).map(([name, value]) => ({ ...stack, [name]: value })),
    fc
      .constantFrom(`https://u:${secret}@k`, `https://k?x=${secret}`, `x ${secret}`)
      .map((authUrl) => ({ ...stack, authUrl, password: secret })),
  );
  const at = place({});
  fc.assert(
    fc.property(junk, (config) => {
      try {
        expect(resolveOpenStack({ name: "default", config, env: at.env, cwd: at.cwd, home: at.home }).authUrl).toMatch(
          /\/v3$/,
        );
      } catch (error) {
        expect(error).toBeInstanceOf(SnapcloneError);
        expect((error as SnapcloneError).kind).toBe("config");
        expect(String((error as SnapcloneError).message)).not.toContain(secret);
      }
    }),
    { numRuns: 500 },
  );
});
