// Compares our reading of clouds.yaml and OS_* with openstacksdk's own, if this machine has it.

import { execFileSync } from "node:child_process";
import type { OpenStackSettings } from "../../../provider/openstack/connection";
import { type Case, place, removePlaces, resolveCase } from "./fixture";

afterAll(removePlaces);

const auth = "auth_url: 'https://k:5000/v3', username: u, password: pass-word, project_name: p";
const domains = "user_domain_name: Ud, project_domain_name: Pd";
const one = (text: string) => ({ "cwd/clouds.yaml": `clouds:\n  a:\n    ${text.split("\n").join("\n    ")}\n` });
const env = {
  OS_AUTH_URL: "https://env:5000",
  OS_USERNAME: "e",
  OS_PASSWORD: "pass-word",
  OS_PROJECT_NAME: "ep",
  OS_USER_DOMAIN_NAME: "Ud",
  OS_PROJECT_DOMAIN_ID: "pd",
};

const CASES: Record<string, Case> = {
  plain: { files: one(`auth: {${auth}, ${domains}}\nregion_name: R1`) },
  dashes: {
    files: one(
      "auth: {auth-url: 'https://k/', user-name: u, password: pass-word, project-id: p, user-domain-id: d}\nregion-name: R1",
    ),
  },
  "tenant and project": { files: one(`auth: {${auth}, tenant_name: old, ${domains}}\ntenant_id: t`) },
  "auth keys at the top": { files: one(`username: top\nproject_id: top\nauth: {${auth}, ${domains}}`) },
  "only at the top": {
    files: one("auth_url: https://k\nusername: u\npassword: pass-word\nproject_id: p\nuser_domain_name: d"),
  },
  "domain fan-out by name": { files: one(`auth: {${auth}, domain_name: D}`) },
  "domain fan-out, id beside a name": { files: one(`auth: {${auth}, domain_id: D, user_domain_name: Ud}`) },
  "default domain": { files: one(`auth: {${auth}, default_domain_id: D}`) },
  "domain scope": { files: one("auth: {auth_url: 'https://k', user_id: u, password: pass-word, domain_id: D}") },
  "system scope": { files: one("auth: {auth_url: 'https://k', user_id: u, password: pass-word, system_scope: all}") },
  "application credential": {
    files: one(
      "auth_type: v3applicationcredential\nauth: {auth_url: 'https://k', application_credential_id: i, application_credential_secret: app-secret}",
    ),
  },
  token: { files: one("auth_type: v3token\nauth: {auth_url: 'https://k', token: tok-en, project_id: p}") },
  auth_token: { files: one("auth_type: token\nauth: {auth_url: 'https://k', auth_token: tok-en, project_id: p}") },
  regions: {
    files: one(
      `auth: {${auth}, ${domains}}\nregions: [{name: R2, values: {interface: internal, auth: {project_name: r2}}}, R1]`,
    ),
  },
  "regions in a string": { files: one(`auth: {${auth}, ${domains}}\nregion_name: R7,R8`) },
  endpoint_type: {
    files: one(`auth: {${auth}, ${domains}}\ninterface: admin\nendpoint_type: internal\nvolume_endpoint_type: admin`),
  },
  overrides: {
    files: one(
      `auth: {${auth}, ${domains}}\nvolume_endpoint_override: https://old\nvolumev3_endpoint_override: https://c\nvolume_service_type: volume\ncompute_endpoint: https://n\ncompute_region_name: R9`,
    ),
  },
  "insecure beats verify": { files: one(`auth: {${auth}, ${domains}}\ninsecure: true\nverify: true\ncacert: /x`) },
  "cacert, cert, key": { files: one(`auth: {${auth}, ${domains}}\ncacert: ~/ca.pem\ncert: /c.pem\nkey: /k.pem`) },
  "a placeholder": { files: one(`auth: {${auth.replace("//k", "//{region_name}.k")}, ${domains}}\nregion_name: r5`) },
  "digits and almost numbers": {
    files: one(
      "auth: {auth_url: 'https://k', user_id: 12345678901234567890123456789012, password: pass-word, project_id: 12e456}",
    ),
  },
  profile: {
    files: {
      ...one("profile: vendor\nauth: {username: u, password: pass-word, project_name: p, domain_name: D}"),
      "home/.config/openstack/clouds-public.yaml":
        "public-clouds: {vendor: {auth: {auth_url: 'https://{region_name}.vendor', username: x}, interface: internal, regions: [v1, v2]}}",
    },
  },
  "secure file": {
    files: {
      ...one(`auth: {${auth}, ${domains}}`),
      "site/openstack/secure.yml": "clouds: {a: {auth: {password: from-secure, username: s}}}",
    },
  },
  "named secure and config files": {
    env: { OS_CLIENT_CONFIG_FILE: "<root>/here.json", OS_CLIENT_SECURE_FILE: "<root>/there.yaml" },
    files: {
      ...one(`auth: {${auth}, ${domains}}`),
      "here.json": '{"clouds": {\n\t"a": {"auth": {"auth_url": "https://here", "user_id": "u", "project_id": "p"}}}}',
      "there.yaml": "clouds: {a: {auth: {password: from-there}}}",
    },
  },
  "a config file with ~ is no file, and the search goes on": {
    env: { OS_CLIENT_CONFIG_FILE: "~/mine.yaml" },
    files: {
      ...one(`auth: {${auth}, ${domains}}`),
      "home/mine.yaml": "clouds: {a: {auth: {auth_url: 'https://mine', user_id: u, password: x-pass, project_id: p}}}",
    },
  },
  "regions by name": { files: one(`auth: {${auth}, ${domains}}\nregions: [R3, R4]`) },
  "regions, one by name and one with values": {
    files: one(`auth: {${auth}, ${domains}}\nregions: [R3, {name: R4, values: {interface: admin}}]`),
  },
  "a region that overrides a service's endpoint": {
    files: one(
      `auth: {${auth}, ${domains}}\nregions: [{name: R3, values: {volumev3_endpoint_override: 'https://c3'}}, R4]`,
    ),
  },
  "a profile with a region, and a region of its own": {
    files: {
      ...one(
        "profile: vendor\nregion_name: mine\nauth: {username: u, password: pass-word, project_name: p, domain_name: D}",
      ),
      "cwd/clouds-public.yaml": "public-clouds: {vendor: {auth: {auth_url: 'https://vendor'}, region_name: v1}}",
    },
  },
  "a profile with TLS settings": {
    files: {
      ...one("profile: vendor\nauth: {username: u, password: pass-word, project_name: p, domain_name: D}"),
      "site/openstack/clouds-public.yml":
        "public-clouds: {vendor: {auth: {auth_url: 'https://vendor'}, cacert: /vendor.pem, verify: true}}",
    },
  },
  "a secure file adds what is beside auth": {
    files: {
      ...one(`auth: {${auth}, ${domains}}`),
      "cwd/secure.yaml": "clouds: {a: {cert: /c.pem, key: /k.pem, auth: {password: from-secure}}}",
    },
  },
  "verify: false": { files: one(`auth: {${auth}, ${domains}}\nverify: false\ncacert: /ca.pem`) },
  "insecure: false and a cacert": { files: one(`auth: {${auth}, ${domains}}\ninsecure: false\ncacert: /ca.pem`) },
  "cert alone": { files: one(`auth: {${auth}, ${domains}}\ncert: /both.pem`) },
  "key alone": { files: one(`auth: {${auth}, ${domains}}\nkey: /key.pem`) },
  "TLS from the environment": { env: { ...env, OS_CACERT: "/ca.pem", OS_CERT: "/c.pem", OS_KEY: "/k.pem" } },
  "yml after yaml, home before site": {
    files: {
      "home/.config/openstack/clouds.yml":
        "clouds: {a: {auth: {auth_url: 'https://yml', user_id: u, password: pass-word, project_id: p}}}",
      "site/openstack/clouds.yaml":
        "clouds: {a: {auth: {auth_url: 'https://site', user_id: u, password: pass-word, project_id: p}}}",
    },
  },
  XDG_CONFIG_HOME: {
    env: { XDG_CONFIG_HOME: "<root>/xdg" },
    files: {
      "xdg/openstack/clouds.yaml":
        "clouds: {a: {auth: {auth_url: 'https://xdg', user_id: u, password: pass-word, project_id: p}}}",
    },
  },
  "OS_CLOUD among several": {
    env: { ...env, OS_CLOUD: "b" },
    files: {
      "cwd/clouds.yaml": `clouds: {a: {auth: {${auth}, ${domains}}}, b: {auth: {${auth.replace("//k", "//b")}, ${domains}}}}`,
    },
  },
  environment: { env: { ...env, OS_REGION_NAME: "R3", OS_ENDPOINT_TYPE: "internalURL", OS_CACERT: "/ca" } },
  "environment before a lone cloud": { env, files: one(`auth: {${auth}, ${domains}}`) },
  "environment with old names": {
    env: {
      OS_AUTH_URL: "https://env",
      OS_USERNAME: "e",
      OS_PASSWORD: "pass-word",
      OS_TENANT_NAME: "t",
      OS_DOMAIN_NAME: "D",
      OS_INSECURE: "True",
    },
  },
  "environment, application credential": {
    env: {
      OS_AUTH_TYPE: "v3applicationcredential",
      OS_AUTH_URL: "https://env",
      OS_APPLICATION_CREDENTIAL_NAME: "n",
      OS_APPLICATION_CREDENTIAL_SECRET: "app-secret",
      OS_USERNAME: "e",
      OS_USER_DOMAIN_ID: "d",
    },
  },
  "YAML 1.1, anchors and merge keys": {
    files: {
      "cwd/clouds.yaml": `x: &base {region_name: R1, verify: no}\nclouds:\n  a:\n    <<: *base\n    auth: {${auth}, ${domains}}\n`,
    },
  },
};

// One process forks for each case, since Python's imports are slow. Each fork reloads the loader, which reads the working
// folder and HOME when it is imported.
const SCRIPT = `
import importlib, json, os, sys, warnings
warnings.simplefilter("ignore")
import openstack.config.loader
def read(case):
    os.chdir(case["cwd"])
    os.environ.clear()
    os.environ.update(case["env"])
    loader = importlib.reload(openstack.config.loader)
    region = loader.OpenStackConfig().get_one()
    verify, cert = region.get_requests_verify_args()
    per = lambda read: {s: read(s) for s in ("block-storage", "compute")}
    return {"auth": region.config["auth"], "type": region.config["auth_type"], "region": region.region_name,
            "interface": region.config.get("interface"), "verify": verify, "cert": cert, "endpoint": per(region.get_endpoint),
            "serviceType": per(region.get_service_type), "serviceRegion": per(region.get_region_name),
            "serviceInterface": per(region.get_interface)}
for case in json.load(sys.stdin):
    sys.stdout.flush()
    if os.fork() == 0:
        try:
            out = read(case)
        except BaseException as error:
            out = {"error": repr(error)}
        print(json.dumps(out), flush=True)
        os._exit(0)
    os.wait()
`;

interface Theirs {
  error?: string;
  auth: Record<string, string | undefined>;
  type: string;
  region: string;
  interface: string;
  verify: boolean | string;
  cert: string | [string, string] | null;
  endpoint: Record<string, string | null>;
  serviceType: Record<string, string | null>;
  serviceRegion: Record<string, string | null>;
  serviceInterface: Record<string, string | null>;
}

const python = ["/usr/bin/python3", "python3"].find((command) => {
  try {
    execFileSync(command, ["-c", "import openstack.config.loader"], { stdio: "ignore", timeout: 60_000 });
    return true;
  } catch {
    return false;
  }
});

if (python === undefined) {
  test.skip("clouds.yaml: not compared, since this machine has no python3 with openstacksdk", () => undefined);
} else {
  const places = Object.values(CASES).map((given) => place(given));
  const output = execFileSync(python, ["-c", SCRIPT], {
    input: JSON.stringify(places),
    encoding: "utf8",
    timeout: 120_000,
  });
  const theirs = output
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Theirs);
  test.each(Object.entries(CASES).map(([title, given], index) => [title, given, index] as const))(
    "clouds.yaml: %s is read as openstacksdk reads it",
    (_title, given, index) => {
      const at = places[index];
      const expected = theirs[index];
      if (at === undefined || expected === undefined) throw new Error("openstacksdk gave no answer");
      expect(expected.error).toBeUndefined();
      expect(ours(resolveCase(given, at))).toEqual(normal(expected));
    },
  );
}

/** Theirs in the form of ours. Ids go before names, as keystoneauth sends them (identity/v3/base.py). */
function normal(theirs: Theirs) {
  const { auth } = theirs;
  const domain = (whose: string) =>
    pair(auth[`${whose}_domain_id`], auth[`${whose}_domain_name`]) ??
    pair(auth.default_domain_id, auth.default_domain_name);
  const named = (id: string | undefined, name: string | undefined, whose: string) =>
    id ? { id } : name ? { name, domain: domain(whose) } : undefined;
  const project = named(auth.project_id, auth.project_name, "project");
  const applicationCredential = theirs.type === "v3applicationcredential";
  const either = (values: Record<string, string | null>, usual: (service: string) => string | null) =>
    perService((service) => (values[service] === usual(service) ? null : (values[service] ?? null)));
  return {
    authUrl: `${auth.auth_url?.replace(/\/+$/, "").replace(/\/v3$/, "")}/v3`,
    method: applicationCredential ? "applicationCredential" : theirs.type.replace("v3", ""),
    user: theirs.type.endsWith("token") ? undefined : named(auth.user_id, auth.username, "user"),
    secret: auth.application_credential_secret ?? auth.token ?? auth.password,
    credential: pair(auth.application_credential_id, auth.application_credential_name),
    scope: applicationCredential
      ? undefined
      : project
        ? { project }
        : auth.system_scope
          ? { system: true }
          : { domain: pair(auth.domain_id, auth.domain_name) },
    region: theirs.region || undefined,
    interface: theirs.interface.replace("URL", ""),
    verify: theirs.verify,
    cert: Array.isArray(theirs.cert) ? theirs.cert : theirs.cert ? [theirs.cert] : [],
    endpoint: either(theirs.endpoint, () => null),
    serviceType: either(theirs.serviceType, (service) => service),
    serviceRegion: either(theirs.serviceRegion, () => theirs.region),
    serviceInterface: either(theirs.serviceInterface, () => theirs.interface),
  };
}

function ours({ auth, tls, ...rest }: OpenStackSettings): ReturnType<typeof normal> {
  const each = (values: { blockStorage?: string; compute?: string }) =>
    perService((service) => (service === "compute" ? values.compute : values.blockStorage) ?? null);
  return {
    authUrl: rest.authUrl,
    method: auth.method,
    user: auth.method === "token" ? undefined : (auth.user as ReturnType<typeof normal>["user"]),
    secret: auth.method === "password" ? auth.password : auth.method === "token" ? auth.token : auth.secret,
    credential: auth.method === "applicationCredential" ? pair(auth.id, auth.name) : undefined,
    scope: auth.method === "applicationCredential" ? undefined : (auth.scope as ReturnType<typeof normal>["scope"]),
    region: rest.region,
    interface: rest.interface,
    verify: tls.insecure ? false : (tls.cacert ?? true),
    cert: [tls.cert, tls.key].flatMap((file) => file ?? []),
    endpoint: each(rest.endpointOverride),
    serviceType: each(rest.serviceType),
    serviceRegion: each(rest.serviceRegion),
    serviceInterface: each(rest.serviceInterface),
  };
}

function pair(id: string | undefined, name: string | undefined): { id: string } | { name: string } | undefined {
  return id ? { id } : name ? { name } : undefined;
}

function perService(read: (service: string) => string | null): Record<string, string | null> {
  return { "block-storage": read("block-storage"), compute: read("compute") };
}
