import { SnapcloneError } from "../../../provider/core/errors";
import { resolvePowerVc } from "../../../provider/powervc/connection";
import { type Case, place, removePlaces } from "../openstack/fixture";

afterAll(removePlaces);

function resolve(given: Case) {
  const { env, cwd, home } = place(given);
  return resolvePowerVc({ name: given.name ?? "default", config: given.config, env, cwd, home });
}

function refusal(given: Case): SnapcloneError {
  try {
    resolve(given);
  } catch (error) {
    if (error instanceof SnapcloneError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

const LOGIN = { kind: "powervc", username: "root", password: "hunter2" };

test("a host, a user and a password are enough: the rest is as the installer leaves it", () => {
  expect(resolve({ config: { ...LOGIN, host: "powervc.example.com" } })).toMatchObject({
    authUrl: "https://powervc.example.com:5000/v3",
    auth: {
      method: "password",
      user: { name: "root", domain: { name: "Default" } },
      password: "hunter2",
      scope: { project: { name: "ibm-default", domain: { name: "Default" } } },
    },
    serviceType: { blockStorage: "volume" },
    interface: "public",
    tls: { insecure: false },
    warnings: [],
  });
});

test.each([
  ["https://h/powervc/openstack/identity/v3", "https://h/powervc/openstack/identity/v3"],
  ["https://h:5000/v3/", "https://h:5000/v3"],
])("other releases' addresses: %s", (authUrl, expected) => {
  expect(resolve({ config: { ...LOGIN, authUrl } }).authUrl).toBe(expected);
});

test("what is given goes before what is usual", () => {
  const config = { ...LOGIN, host: "h", projectId: "p1", userDomainId: "d1", blockStorageServiceType: "volumev3" };
  expect(resolve({ config })).toMatchObject({
    auth: { user: { name: "root", domain: { id: "d1" } }, scope: { project: { id: "p1" } } },
    serviceType: { blockStorage: "volumev3" },
  });
});

test("self-signed: cacert is taken along, insecure warns", () => {
  const cacert = "/etc/pki/tls/certs/powervc.crt";
  expect(resolve({ config: { ...LOGIN, host: "h", cacert } }).tls).toEqual({ cacert, insecure: false });
  const { tls, warnings } = resolve({ config: { ...LOGIN, host: "h", insecure: true } });
  expect(tls.insecure).toBe(true);
  expect(warnings.join()).toContain("not verified");
});

test("powervcrc's variables, and a cloud of clouds.yaml", () => {
  const env = {
    OS_AUTH_URL: "https://h:5000/v3/",
    OS_USERNAME: "root",
    OS_PASSWORD: "hunter2",
    OS_PROJECT_NAME: "ibm-default",
    OS_USER_DOMAIN_NAME: "Default",
    OS_PROJECT_DOMAIN_NAME: "Default",
    OS_REGION_NAME: "RegionOne",
    OS_CACERT: "/etc/pki/tls/certs/powervc.crt",
  };
  expect(resolve({ env })).toMatchObject({ region: "RegionOne", serviceType: { blockStorage: "volume" } });
  const clouds = `clouds: {p: {auth: {auth_url: "https://h:5000", username: u, password: pw-of-file, user_domain_name: Default, project_name: p, project_domain_name: Default}}}`;
  expect(resolve({ config: { kind: "powervc", cloud: "p" }, files: { "cwd/clouds.yaml": clouds } })).toMatchObject({
    authUrl: "https://h:5000/v3",
    serviceType: { blockStorage: "volume" },
  });
});

test("what PowerVC does not have, and what can't be, is refused before anything is sent, without the secret", () => {
  const credential = { applicationCredentialId: "x", applicationCredentialSecret: "hunter2" };
  const cases: [Case, RegExp][] = [
    [
      { config: { kind: "powervc", authUrl: "https://h:5000", ...credential } },
      /does not take application credentials/,
    ],
    [{ config: { ...LOGIN, host: "h", authUrl: "https://h:5000" } }, /`host` can't be combined with `authUrl`/],
    [{ config: { kind: "powervc", host: "h", cloud: "c" } }, /`host` can't be combined with `cloud`/],
    [{ config: { ...LOGIN, host: "https://h:5000" } }, /`host` is not a host name/],
    [{ config: { ...LOGIN, host: 7 } }, /`host` is not a host name/],
    [{ config: { ...LOGIN, host: "h", pasword: "hunter2" } }, /unknown field `pasword`; did you mean `password`/],
    [{ config: { kind: "powervc", host: "h", username: "root" } }, /`password` is missing/],
    [{ name: "prod" }, /there is no PowerVC connection "prod"; looked at, in this order/],
    [{ config: "text" }, /is not an object of fields/],
  ];
  for (const [given, expected] of cases) {
    const error = refusal(given);
    expect([error.kind, error.message]).toEqual(["config", expect.stringMatching(expected)]);
    expect(error.message).not.toContain("hunter2");
  }
});
