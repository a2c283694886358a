// Every kind of connection reads its settings alike: each row runs on all four.

import { isKind, redact } from "../../../provider/core/errors";
import type { TlsSettings } from "../../../provider/core/http/tls";
import { resolveOpenStack } from "../../../provider/openstack/connection";
import { resolvePowerVc } from "../../../provider/powervc/connection";
import { resolveVipr } from "../../../provider/vipr/connection";
import { resolveZStack } from "../../../provider/zstack/connection";

interface Settings {
  tls: TlsSettings;
  warnings: readonly string[];
  source: string;
}

interface Kind {
  name: string;
  product: string;
  resolve(request: {
    name: string;
    config: unknown;
    configured?: readonly string[];
    env: NodeJS.ProcessEnv;
    cwd: string;
    home: string;
  }): Settings;
  /** A whole connection. */
  config: Record<string, unknown>;
  /** The field of the address, the one of the user, and the variables that say the same. */
  address: string;
  user: string;
  env: Record<string, string>;
  variables: { address: string; cacert: string; insecure: string };
}

const SECRET = "s3cret-of-ann";
const openstack = { authUrl: "https://k.example:5000", username: "ann", password: SECRET };
const openstackEnv = {
  OS_AUTH_URL: "https://k.example:5000",
  OS_USERNAME: "ann",
  OS_PASSWORD: SECRET,
  OS_USER_DOMAIN_ID: "default",
  OS_PROJECT_ID: "p",
};
const openstackVariables = { address: "OS_AUTH_URL", cacert: "OS_CACERT", insecure: "OS_INSECURE" };

const KINDS: Kind[] = [
  {
    name: "openstack",
    product: "OpenStack",
    resolve: resolveOpenStack,
    config: { ...openstack, userDomainId: "default", projectId: "p" },
    address: "authUrl",
    user: "username",
    env: openstackEnv,
    variables: openstackVariables,
  },
  {
    name: "powervc",
    product: "PowerVC",
    resolve: resolvePowerVc,
    config: openstack,
    address: "authUrl",
    user: "username",
    env: openstackEnv,
    variables: openstackVariables,
  },
  {
    name: "vipr",
    product: "ViPR",
    resolve: resolveVipr,
    config: { url: "https://k.example:4443", username: "ann", password: SECRET },
    address: "url",
    user: "username",
    env: { VIPR_URL: "https://k.example", VIPR_USERNAME: "ann", VIPR_PASSWORD: SECRET },
    variables: { address: "VIPR_URL", cacert: "VIPR_CACERT", insecure: "VIPR_INSECURE" },
  },
  {
    name: "zstack",
    product: "ZStack",
    resolve: resolveZStack,
    config: { url: "https://k.example:8080", accountName: "ann", password: SECRET },
    address: "url",
    user: "accountName",
    env: { ZSTACK_URL: "https://k.example", ZSTACK_ACCOUNT_NAME: "ann", ZSTACK_ACCOUNT_PASSWORD: SECRET },
    variables: { address: "ZSTACK_URL", cacert: "ZSTACK_CACERT", insecure: "ZSTACK_INSECURE" },
  },
];

const nowhere = { env: {}, cwd: "/work", home: "/home/ann" };
const PEM = "-----BEGIN CERTIFICATE-----\nabc\n";

describe.each(KINDS)("$name", (kind) => {
  const at = (request: { config?: unknown; env?: NodeJS.ProcessEnv; name?: string }) =>
    kind.resolve({ name: "default", config: undefined, env: {}, cwd: "/work", home: "/home/ann", ...request });
  const read = (change: Record<string, unknown>) => at({ config: { kind: kind.name, ...kind.config, ...change } });
  const readEnv = (change: Record<string, string>) => at({ env: { ...kind.env, ...change } });
  const refusal = (resolve: () => Settings): string => {
    try {
      resolve();
    } catch (error) {
      if (isKind(error, "config")) return error.message;
      throw error;
    }
    throw new Error("it was accepted");
  };

  test.each([
    ["~/ca.pem", "/home/ann/ca.pem"],
    ["~", "/home/ann"],
    ["tls/ca.pem", "/work/tls/ca.pem"],
    ["../ca.pem", "/ca.pem"],
    ["/etc/ca.pem", "/etc/ca.pem"],
    [PEM, PEM],
  ])("the path %j is %j, from the stack config and from the environment", (given, path) => {
    const paths = { cacert: path, cert: path, key: path, insecure: false };
    expect(read({ cacert: given, cert: given, key: given }).tls).toEqual(paths);
    expect(readEnv({ [kind.variables.cacert]: given }).tls).toEqual({ cacert: path, insecure: false });
  });

  test.each([
    [true, true],
    ["on", true],
    ["yes", true],
    [" TRUE ", true],
    [1, true],
    ["1", true],
    [false, false],
    ["off", false],
    ["no", false],
    ["False", false],
    [0, false],
    ["", false],
  ])("the flag %j is %j, and `insecure` is warned of", (given, insecure) => {
    const settings = [read({ insecure: given }), readEnv({ [kind.variables.insecure]: String(given) })];
    const labels = ["`insecure`", kind.variables.insecure];
    for (const [index, { tls, source, warnings }] of settings.entries()) {
      expect(tls.insecure).toBe(insecure);
      expect(warnings).toEqual(insecure ? [`${source}: TLS certificates are not verified (${labels[index]})`] : []);
    }
  });

  test("a flag that is none is refused", () => {
    expect(refusal(() => read({ insecure: "maybe" }))).toContain("`insecure` is neither true nor false");
    expect(refusal(() => read({ insecure: 7 }))).toContain("`insecure` is neither true nor false");
    expect(refusal(() => read({ insecure: ["yes"] }))).toContain("`insecure` must be true or false");
    const { insecure } = kind.variables;
    expect(refusal(() => readEnv({ [insecure]: "maybe" }))).toContain(`${insecure} is neither true nor false`);
  });

  test.each([
    ["pass_word", "password"],
    ["PASS-WORD", "password"],
    ["Password", "password"],
    ["pasword", "password"],
    ["ca_cert", "cacert"],
    ["CA-Cert", "cacert"],
    ["insecur_", "insecure"],
    ["in-secure", "insecure"],
    ["KIND", "kind"],
  ])("the unknown field %s: did you mean %s?", (given, meant) => {
    const message = refusal(() => read({ [given]: SECRET }));
    expect(message).toContain(`unknown field \`${given}\`; did you mean \`${meant}\`?`);
    expect(message).not.toContain(SECRET);
  });

  test("a variable's name as a field means the field of that variable", () => {
    const { cacert } = kind.variables;
    expect(refusal(() => read({ [cacert]: "x" }))).toContain(`\`${cacert}\`; did you mean \`cacert\`?`);
  });

  test("an unknown field that resembles none, and one that every object has", () => {
    expect(refusal(() => read({ quitedifferentword: 1 }))).toMatch(/unknown field `quitedifferentword`$/m);
    expect(refusal(() => read({ constructor: 1 }))).toContain("unknown field `constructor`");
  });

  test("a whole number where text is meant is its digits; anything else is refused", () => {
    expect(() => read({ password: 1234567, [kind.user]: 42 })).not.toThrow();
    expect(redact("1234567")).toBe("[redacted]");
    for (const value of [1.5, 2 ** 60, true, ["ann"], { name: "ann" }]) {
      expect(refusal(() => read({ [kind.user]: value }))).toContain(`\`${kind.user}\` must be text`);
    }
  });

  test("every problem at once, under the names that the user knows, and no secret", () => {
    const message = refusal(() => read({ [kind.address]: `k.example?${SECRET}`, insecure: "maybe", password: " " }));
    expect(message).toContain("stack config snapclone:connections.default: ");
    expect(message).toContain(`\`${kind.address}\` is not a URL that begins with https:// or http://`);
    expect(message).toContain("`password` is missing");
    expect(message).toContain("`insecure` is neither true nor false");
    expect(message).toContain("pulumi config set --path snapclone:connections.default.<field>");
    expect(message).toContain("docs/connections.md");
    expect(message).not.toContain(SECRET);
  });

  test("a missing field is named, in the stack config and in the environment", () => {
    expect(refusal(() => read({ [kind.address]: undefined }))).toMatch(new RegExp(`\`${kind.address}\`.* is missing`));
    expect(refusal(() => read({ [kind.user]: "" }))).toContain(`\`${kind.user}\` is missing`);
    const message = refusal(() => at({ env: { [kind.variables.address]: "https://k.example" } }));
    expect(message).toMatch(/^the environment \(\w+_\*\): .*(USERNAME|USER_DOMAIN_NAME|ACCOUNT_NAME) is missing/);
  });

  test.each([
    ["https://u:s3cret-of-ann@k.example", "has a user or password in it"],
    ["https://k.example/?x=1", "has a ? or # part"],
    ["ftp://k.example", "is not a URL"],
    ["k.example:5000", "is not a URL"],
  ])("the address %s: %s", (url, problem) => {
    const message = refusal(() => read({ [kind.address]: url }));
    expect(message).toContain(`\`${kind.address}\` ${problem}`);
    expect(message).not.toContain(SECRET);
  });

  test("blanks around an address are left out, with a warning", () => {
    const url = String(kind.config[kind.address]);
    expect(read({ [kind.address]: ` ${url} ` }).warnings).toEqual([
      `stack config snapclone:connections.default: the blanks around \`${kind.address}\` are left out`,
    ]);
  });

  test("http:// to another machine is warned of", () => {
    expect(read({ [kind.address]: "http://k.example:8080" }).warnings).toEqual([
      expect.stringContaining("credentials and tokens are sent unencrypted to http://k.example:8080"),
    ]);
    for (const url of ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"]) {
      expect(read({ [kind.address]: url }).warnings).toEqual([]);
    }
  });

  test("a key without a certificate is left out, with a warning", () => {
    const { tls, warnings } = read({ key: "key.pem" });
    expect(tls).toEqual({ insecure: false });
    expect(warnings.join()).toContain("`key` is left out: there is no `cert` to it");
  });

  test("a password that ends in a line break is sent as it stands, with a warning", () => {
    const { warnings } = read({ password: `${SECRET}\n` });
    expect(warnings.join()).toContain("`password` ends in a line break, which is sent along");
  });

  test("an entry of another form or kind is refused", () => {
    expect(refusal(() => at({ config: "https://k.example" }))).toContain("is not an object of fields");
    expect(refusal(() => at({ config: [kind.config] }))).toContain("is not an object of fields");
    expect(refusal(() => read({ kind: "other" }))).toContain(`\`kind\` must be "${kind.name}"`);
  });

  test("an entry with nothing but its kind is none: the environment serves", () => {
    expect(at({ config: { kind: kind.name, password: "" }, env: kind.env }).source).toMatch(/^the environment/);
  });

  test("nothing found: every key and variable that was looked at, in order", () => {
    const message = refusal(() => at({}));
    const { address } = kind.variables;
    const looked = [
      `there is no ${kind.product} connection "default"; looked at, in this order: `,
      "(1) stack config snapclone:connections.default: not set; (2) ",
      address,
      "pulumi config set --path snapclone:connections.default.",
      "See docs/connections.md.",
    ];
    const places = looked.map((text) => message.indexOf(text));
    expect(places).not.toContain(-1);
    expect(places).toEqual([...places].sort((a, b) => a - b));
  });

  test("a misspelt connection: did you mean one of the stack config?", () => {
    const configured = ["default", "backup", "archive"];
    const ask = (name: string) => refusal(() => kind.resolve({ name, config: undefined, configured, ...nowhere }));
    expect(ask("bakcup")).toContain(
      `there is no ${kind.product} connection "bakcup"; did you mean "backup"?; looked at`,
    );
    expect(ask("quitedifferent")).toContain(`connection "quitedifferent"; looked at`);
  });

  test("the environment serves the connection `default` only", () => {
    const message = refusal(() => at({ name: "backup", env: kind.env }));
    expect(message).toContain(`there is no ${kind.product} connection "backup"; looked at, in this order: `);
    expect(message).toContain("(1) stack config snapclone:connections.backup: not set; (2) ");
  });
});
