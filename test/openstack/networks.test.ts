// The product against the tools that users trust, from Debian's packages: which proxy a request goes through by
// python-requests, and what clouds.yaml says by openstacksdk. Both get the same input and must decide the same.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Environment, proxyFor } from "../../provider/core/http/proxy";
import { resolveOpenStack } from "../../provider/openstack/connection";

const PYTHON = "/usr/bin/python3";
const P = "http://proxy.test:3128";

/** Variables and addresses. Every address is tried with every set of variables. */
const ENVIRONMENTS: readonly Environment[] = [
  {},
  { http_proxy: P },
  { HTTP_PROXY: P },
  { https_proxy: P },
  { HTTPS_PROXY: P },
  { all_proxy: P },
  { ALL_PROXY: P },
  { https_proxy: "", all_proxy: P },
  { http_proxy: "http://a.test:1", https_proxy: "http://b.test:2", all_proxy: "http://c.test:3" },
  { https_proxy: "http://lower.test:1", HTTPS_PROXY: "http://upper.test:2" },
  { https_proxy: "", HTTPS_PROXY: "http://upper.test:2" },
  { https_proxy: "proxy.test:3128", http_proxy: "proxy.test:3128" },
  { https_proxy: "http://user:p%40ss@proxy.test:3128", http_proxy: "http://user:p%40ss@proxy.test:3128" },
  { http_proxy: "http://user@proxy.test:3128", https_proxy: "http://user@proxy.test:3128" },
  { HTTP_PROXY: P, REQUEST_METHOD: "GET" },
  ...[
    "*",
    "cloud.test",
    ".cloud.test",
    "keystone.cloud.test",
    "keystone.cloud.test:5000",
    "keystone.cloud.test:5001",
    "other.test, cloud.test",
    "loud.test",
    "CLOUD.TEST",
    "10.1.2.3",
    "10.1.2.0/24",
    "10.1.3.0/24",
    "10.0.0.0/8",
    "10.1.2",
    "::1",
    "",
  ].flatMap((no_proxy) => [
    { http_proxy: P, https_proxy: P, no_proxy },
    { http_proxy: P, https_proxy: P, NO_PROXY: no_proxy },
  ]),
];
const ADDRESSES = [
  "http://keystone.cloud.test:5000/v3",
  "https://keystone.cloud.test/v3",
  "https://keystone.cloud.test:5000/v3",
  "http://cloud.test/",
  "http://10.1.2.3:8776/v3",
  "https://10.1.2.3/v3",
];

/** Where the product goes its own way. Each entry has to differ, or it is out of date. */
const DELIBERATE: readonly { why: string; applies(variables: Environment): boolean }[] = [
  {
    why: "requests exempts whatever ends in the entry, so that loud.test exempts cloud.test; curl compares whole labels",
    applies: ({ no_proxy, NO_PROXY }) => (no_proxy ?? NO_PROXY) === "loud.test",
  },
  {
    why: "requests drops a user without a password, and the proxy then wants credentials that the variable has",
    applies: ({ http_proxy = "" }) => http_proxy.includes("user@"),
  },
];

/** As requests.Session.send decides: the proxy's address and its header, or null. */
const SCRIPT = `
import json, os, sys
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, prepend_scheme_if_needed, select_proxy
from urllib.parse import urlsplit
answers = []
for variables, address in json.load(sys.stdin):
    os.environ.clear()
    os.environ.update(variables)
    found = select_proxy(address, get_environ_proxies(address))
    if not found:
        answers.append(None)
        continue
    found = prepend_scheme_if_needed(found, "http")
    parts = urlsplit(found)
    header = HTTPAdapter().proxy_headers(found).get("Proxy-Authorization")
    answers.append({"origin": f"{parts.scheme}://{parts.hostname}:{parts.port}", "authorization": header})
json.dump(answers, sys.stdout)
`;

interface Decision {
  origin: string;
  authorization: string | null;
}

const hasRequests = existsSync("/usr/lib/python3/dist-packages/requests/__init__.py");
const describePython = hasRequests ? describe : describe.skip;
if (!hasRequests) process.stderr.write("\nSKIPPED: proxies as python-requests: needs Debian's python3-requests\n\n");

describePython("proxies as python-requests decides", () => {
  const rows = ENVIRONMENTS.flatMap((variables) => ADDRESSES.map((address) => [variables, address] as const));

  test(`the same decision for ${rows.length} pairs of variables and an address`, () => {
    const output = execFileSync(PYTHON, ["-c", SCRIPT], { input: JSON.stringify(rows), encoding: "utf8", env: {} });
    const theirs = JSON.parse(output) as (Decision | null)[];
    expect(theirs.filter((decision) => decision !== null).length).toBeGreaterThan(50);
    expect(theirs.filter((decision) => decision === null).length).toBeGreaterThan(50);
    const differences = rows.flatMap(([variables, address], index) => {
      const their = theirs[index] ?? null;
      const our = decide(address, variables);
      return JSON.stringify(our) === JSON.stringify(their) ? [] : [{ variables, address, our, their }];
    });
    const isMeant = ({ variables }: { variables: Environment }) => DELIBERATE.some(({ applies }) => applies(variables));
    expect(differences.filter((one) => !isMeant(one))).toEqual([]);
    for (const { applies } of DELIBERATE) expect(differences.some(({ variables }) => applies(variables))).toBe(true);
  });
});

function decide(address: string, variables: Environment): Decision | null {
  const proxy = proxyFor(address, variables);
  return proxy ? { origin: proxy.origin, authorization: proxy.authorization ?? null } : null;
}

/** Digits as user and project, as clouds.yaml has them without quotes. Both clients read these as text. */
const SAME_TEXT = ["0089", "0o17", "1e3", "12345", "'0001'", '"12:34:56"'];
/**
 * YAML 1.1 has other numbers, too. Openstacksdk 0.101 prints the number, the second text of each pair, and the product keeps
 * what is written. Who reaches a project 0001 with openstacksdk has put the name into quotes, which both keep.
 */
const OTHER_TEXT: readonly (readonly [written: string, sdk: string])[] = [
  ["0001", "1"],
  ["12:34:56", "45296"],
  ["1_000_000", "1000000"],
  ["0x1F", "31"],
  ["+4915112345", "4915112345"],
];

const READER = `
import json, os, sys
from openstack.config import OpenStackConfig
os.environ.clear()
clouds = [OpenStackConfig(config_files=[sys.argv[1]]).get_one(cloud=name) for name in json.load(sys.stdin)]
json.dump([[c.region_name, c.config["auth"]["project_name"], c.config["auth"]["username"]] for c in clouds], sys.stdout)
`;

const hasSdk = existsSync("/usr/lib/python3/dist-packages/openstack/__init__.py");
const describeSdk = hasSdk ? describe : describe.skip;
if (!hasSdk) process.stderr.write("\nSKIPPED: clouds.yaml as openstacksdk: needs Debian's python3-openstacksdk\n\n");

describeSdk("clouds.yaml as openstacksdk reads it", () => {
  const folder = mkdtempSync(join(tmpdir(), "snapclone-clouds-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  test("region, project and user of digits", () => {
    const texts = [...SAME_TEXT, ...OTHER_TEXT.map(([written]) => written)];
    const path = join(folder, "clouds.yaml");
    const names = texts.map((_text, index) => `c${index}`);
    const entries = texts.map((text, index) => {
      const domains = "user_domain_id: default, project_domain_id: default";
      const auth = `{auth_url: "http://k.test/v3", username: ${text}, password: p, project_name: ${text}, ${domains}}`;
      return `  c${index}:\n    region_name: r${index}\n    auth: ${auth}\n`;
    });
    writeFileSync(path, `clouds:\n${entries.join("")}`);
    const input = { input: JSON.stringify(names), encoding: "utf8", env: {} } as const;
    const theirs = JSON.parse(execFileSync(PYTHON, ["-c", READER, path], input)) as string[][];
    expect(names.map((name) => ours(name, path)).slice(0, SAME_TEXT.length)).toEqual(theirs.slice(0, SAME_TEXT.length));
    OTHER_TEXT.forEach(([written, sdk], at) => {
      const index = SAME_TEXT.length + at;
      expect(theirs[index]).toEqual([`r${index}`, sdk, sdk]);
      expect(ours(`c${index}`, path)).toEqual([`r${index}`, written, written]);
    });
  });
});

/** Region, project and user. */
function ours(cloud: string, path: string): unknown[] {
  const env = { OS_CLOUD: cloud, OS_CLIENT_CONFIG_FILE: path };
  const { region, auth } = resolveOpenStack({ name: "default", config: undefined, env, cwd: "/", home: "/" });
  if (auth.method !== "password" || typeof auth.scope === "string" || !("project" in auth.scope)) return [];
  return [region, Reflect.get(auth.scope.project, "name"), Reflect.get(auth.user, "name")];
}
