// KeystoneSession: which endpoint of the catalogue it takes, and what it makes of Keystone's errors.

import type { ErrorKind } from "../../../provider/core/errors";
import type { OpenStackSettings } from "../../../provider/openstack/connection";
import { failure } from "../../support/failures";
import { cloudOf, sessionOf, UNAUTHORIZED } from "./keystoneFixture";
import { PROJECT, type Reply, tokenReply } from "./openstackContext";

describe("the catalogue", () => {
  type Row = { type: string; endpoints: object[] };
  const at = (url: string, more: object = {}) => ({
    interface: "public",
    region_id: "R1",
    url: `http://${url}`,
    ...more,
  });
  const found: [string, Row[], Partial<OpenStackSettings>, string][] = [
    ["the project's usual one", [{ type: "volumev3", endpoints: [at("a/v3/p/")] }], {}, "http://a/v3/p"],
    [
      "block-storage before volumev3 before volume",
      [
        { type: "volume", endpoints: [at("c")] },
        { type: "volumev3", endpoints: [at("b")] },
        { type: "block-storage", endpoints: [at("a")] },
      ],
      {},
      "http://a",
    ],
    ["PowerVC's volume", [{ type: "volume", endpoints: [at("c")] }], {}, "http://c"],
    [
      "the type asked for before any other",
      [
        { type: "block-storage", endpoints: [at("a")] },
        { type: "volumev3", endpoints: [at("b")] },
      ],
      { serviceType: { blockStorage: "volumev3" } },
      "http://b",
    ],
    [
      "the others when the type asked for is not there",
      [{ type: "volumev3", endpoints: [at("b")] }],
      { serviceType: { blockStorage: "block-store" } },
      "http://b",
    ],
    [
      "past a twin without endpoints",
      [
        { type: "volumev3", endpoints: [] },
        { type: "volumev3", endpoints: [at("b")] },
      ],
      {},
      "http://b",
    ],
    [
      "the interface asked for, in either spelling",
      [{ type: "volumev3", endpoints: [at("a"), at("b", { interface: "internalURL" })] }],
      { interface: "internal" },
      "http://b",
    ],
    [
      "the region asked for, by region_id",
      [{ type: "volumev3", endpoints: [at("a"), at("b", { region_id: "R2" })] }],
      { region: "R2" },
      "http://b",
    ],
    [
      "the region asked for, by region",
      [{ type: "volumev3", endpoints: [at("a"), at("b", { region_id: undefined, region: "R2" })] }],
      { region: "R2" },
      "http://b",
    ],
    [
      "the service's own region and interface before the connection's",
      [{ type: "volumev3", endpoints: [at("a"), at("b", { region_id: "R2", interface: "admin" })] }],
      { region: "R1", serviceRegion: { blockStorage: "R2" }, serviceInterface: { blockStorage: "admin" } },
      "http://b",
    ],
    ["without regions at all", [{ type: "volumev3", endpoints: [at("a", { region_id: null })] }], {}, "http://a"],
    [
      "not at all when there is an override",
      [{ type: "volumev3", endpoints: [at("a")] }],
      { endpointOverride: { blockStorage: "https://mine:9000/v3/" } },
      "https://mine:9000/v3",
    ],
    [
      "the project for an override",
      [],
      { endpointOverride: { blockStorage: "https://mine:9000/v3/%(project_id)s" } },
      `https://mine:9000/v3/${PROJECT}`,
    ],
  ];
  it.each(found)("catalogue: finds %s", async (_name, catalog, changes, url) => {
    const cloud = await cloudOf(() => tokenReply("t", { catalog }));
    expect(await sessionOf(cloud, changes).endpoint("blockStorage")).toBe(url);
  });

  const missing: [string, Row[], Partial<OpenStackSettings>, string[]][] = [
    [
      "a region that is not there",
      [{ type: "volumev3", endpoints: [at("a")] }],
      { region: "R9" },
      ['region "R9"', "volumev3 (public, R1)"],
    ],
    [
      "an interface that is not there",
      [{ type: "volumev3", endpoints: [at("a")] }],
      { interface: "admin" },
      ['interface "admin"', "volumev3 (public, R1)"],
    ],
    [
      "no such service",
      [{ type: "identity", endpoints: [at("k")] }],
      {},
      ["block-storage, volumev3, volume", "identity"],
    ],
    ["an empty catalogue", [], {}, ["no service at all"]],
    [
      "two regions and none asked for",
      [{ type: "volumev3", endpoints: [at("a"), at("b", { region_id: "R2" })] }],
      {},
      ["R1, R2", "Set the region"],
    ],
    ["an address that is none", [{ type: "volumev3", endpoints: [at("a", { url: "%(x)s" })] }], {}, ["%(x)s"]],
    ["an override that is none", [], { endpointOverride: { blockStorage: "cinder:8776" } }, ["cinder:8776"]],
  ];
  it.each(missing)("catalogue: the error lists what there is: %s", async (_name, catalog, changes, texts) => {
    const cloud = await cloudOf(() => tokenReply("t", { catalog }));
    const error = await failure(sessionOf(cloud, changes).endpoint("blockStorage"));
    expect(error.kind).toBe("config");
    for (const text of [...texts, "clouds.yaml"]) expect(error.message).toContain(text);
  });

  const scopes: [string, "unscoped" | { system: true } | { domain: { id: string } }][] = [
    ["has no scope", "unscoped"],
    ["the whole system", { system: true }],
    ["a domain", { domain: { id: "default" } }],
  ];
  it.each(scopes)("catalogue: the error says what the scope is without a project: %s", async (text, scope) => {
    const cloud = await cloudOf(() => tokenReply("t", { project: undefined }));
    const auth = { method: "password", user: { id: "u" }, password: "correct horse", scope } as const;
    const session = sessionOf(cloud, { auth });
    for (const work of [session.projectId(), session.endpoint("blockStorage")]) {
      const error = await failure(work);
      expect([error.kind, error.message]).toEqual(["config", expect.stringContaining(text)]);
    }
  });

  it("token: names project and user", async () => {
    const session = sessionOf(await cloudOf(() => tokenReply("t")));
    expect([await session.projectId(), await session.userId()]).toEqual([PROJECT, "u1"]);
  });
});

describe("errors (docs/wire/openstack.md#c2)", () => {
  const error = (code: number, message: string, more: object = {}) => ({
    status: code,
    body: { error: { code, message, title: "T", ...more } },
  });
  const appCredential = { auth: { method: "applicationCredential", id: "nope", secret: "shh-secret" } } as const;
  const token = { auth: { method: "token", token: "gAAAAbogus", scope: "unscoped" } } as const;
  const cases: [string, Reply, Partial<OpenStackSettings>, ErrorKind, string][] = [
    ["wrong password", UNAUTHORIZED, {}, "unauthorized", "wrong password, an unknown or disabled user"],
    ["wrong secret", UNAUTHORIZED, appCredential, "unauthorized", "id (or name and user) and secret"],
    [
      "unknown application credential",
      error(404, "Could not find Application Credential: nope."),
      appCredential,
      "unauthorized",
      "Could not find Application Credential: nope.",
    ],
    ["bad token", error(404, "Could not recognize Fernet token"), token, "unauthorized", "cannot be renewed"],
    [
      "unknown method",
      error(401, "Attempted to authenticate with an unsupported method.", { identity: { methods: ["saml2", "totp"] } }),
      {},
      "unauthorized",
      "saml2, totp",
    ],
    [
      "user without domain",
      error(400, "Expecting to find domain in user. The server …"),
      {},
      "config",
      "A user given by name",
    ],
    [
      "project without domain",
      error(400, "Expecting to find domain in project. The server …"),
      {},
      "config",
      "A project given by name",
    ],
    [
      "a printed schema",
      error(400, "'identity' is a required property\n\nFailed validating"),
      {},
      "config",
      "clouds.yaml",
    ],
    ["locked out", error(403, "You are not authorized"), {}, "forbidden", "does not let it in"],
    [
      "no Keystone there",
      { status: 404, headers: { "content-type": "text/html" }, body: "<!doctype html><title>404 Not Found</title>" },
      {},
      "config",
      "up to and including /v3",
    ],
    ["too many", error(429, "slow down"), {}, "transient", "429"],
    ["broken", error(500, "An unexpected error prevented the server"), {}, "transient", "An unexpected error"],
    [
      "no token",
      { status: 201, body: { token: { expires_at: "x", user: { id: "u" } } } },
      {},
      "malformed",
      "X-Subject-Token",
    ],
  ];
  it.each(cases)("error: %s", async (_name, reply, changes, kind, text) => {
    const cloud = await cloudOf(() => reply);
    const failed = await failure(sessionOf(cloud, changes).token());
    expect(failed.kind).toBe(kind);
    expect(failed.message).toContain(text);
    expect(failed.message).toContain(`cannot log in at ${cloud.url}/v3`);
    if (kind === "unauthorized") expect(failed.message).toContain('cloud "lab" of /etc/openstack/clouds.yaml');
    expect(failed.message).not.toContain("--run-program");
  });

  it("error: explains how an earlier credential stays in the stack configuration", async () => {
    const cloud = await cloudOf(() => UNAUTHORIZED);
    const failed = await failure(
      sessionOf(cloud, { sourceKind: "stackConfig", source: "snapclone:connections" }).token(),
    );
    expect(failed.message).toContain("snapclone:connections");
    expect(failed.message).toContain("--run-program");
  });
});
