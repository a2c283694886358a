// What the resources on OpenStack have in common in the fault table: the login, the list of versions, the requests for a
// snapshot or a volume of Cinder, what follows from faults in them, and the form of OpenStack's errors.

import type { Emulator } from "../../emulator/index";
import type { HttpClient } from "../../provider/core/http/client";
import type { Clock } from "../../provider/core/util/clock";
import type { OpenStackSettings } from "../../provider/openstack/connection";
import { OpenStackContext } from "../../provider/openstack/context";
import { KeystoneSession } from "../../provider/openstack/keystone";
import { PowerVcContext } from "../../provider/powervc/context";
import { everywhere, type FaultName } from "./faults";
import {
  type Answer,
  at,
  type Expectation,
  fails,
  ok,
  pending,
  type RequestSite,
  type ResourceUnderTest,
} from "./resourceUnderTest";
import { del, get, post, put, request, within, withinFirst } from "./sites";

export const PASSWORD = "planted-pass%word \"7'";

const TOKEN_FIELDS = [
  "token",
  "token.expires_at",
  "token.issued_at",
  "token.user",
  "token.user.id",
  "token.project",
  "token.project.id",
  "token.catalog",
  "token.catalog.0.type",
  "token.catalog.0.endpoints",
  "token.catalog.0.endpoints.0.interface",
  "token.catalog.0.endpoints.0.url",
] as const;

/** `success`: the counts after a create that succeeds. */
export function loginSite(success: readonly [number, number], fields: readonly string[] = TOKEN_FIELDS): RequestSite {
  const call = post(/\/auth\/tokens$/);
  return request("create", "login", call, "`POST /auth/tokens`", fields, { success, failure: [0, 0] });
}

/** Cinder lists its versions at two addresses: the second one stands in for the first. */
export function versionsSite(success: readonly [number, number]): RequestSite {
  const fields = ["versions", "versions.0.id", "versions.0.version", "versions.0.min_version"];
  return request("create", "fallback", get(/\/volume\/$/), "`GET /` (versions)", fields, { success, failure: [0, 0] });
}

const SNAPSHOT_FIELDS = [
  "id",
  "volume_id",
  "status",
  "size",
  "metadata",
  "metadata.tier",
  "name",
  "description",
  "created_at",
  "updated_at",
  "group_snapshot_id",
  "user_id",
  "consumes_quota",
];
const EXTENDED_FIELDS = ["project_id", "progress"].map((field) => `os-extended-snapshot-attributes:${field}`);

/** `posts`: the POSTs that an update of the resource sends. */
export const snapshotSites = (posts: number) =>
  objectSites("snapshot", posts, SNAPSHOT_FIELDS, [...SNAPSHOT_FIELDS, ...EXTENDED_FIELDS]);

const VOLUME_FIELDS = [
  "id",
  "status",
  "size",
  "name",
  "description",
  "metadata",
  "metadata.tier",
  "attachments",
  "volume_type",
  "availability_zone",
  "snapshot_id",
  "bootable",
  "created_at",
  "updated_at",
];

export const volumeSites = (posts: number) => objectSites("volume", posts, VOLUME_FIELDS, VOLUME_FIELDS);

/** The requests for one object of Cinder's, by what they are for. A resource names those that it sends, in their order. */
function objectSites(name: "snapshot" | "volume", posts: number, changed: string[], shown: string[]) {
  const id = `/${name}s/[0-9a-f-]{36}`;
  const one = new RegExp(`${id}$`);
  const show = get(one);
  const merge = post(new RegExp(`${id}/metadata$`));
  const shownFields = within(name, shown);
  const changedFields = within(name, changed);
  const metadataFields = ["metadata", "metadata.tier"];
  return {
    show,
    list: get(new RegExp(`/${name}s/detail`)),
    rename: put(one),
    remove: del(one),
    changedFields,
    listedFields: withinFirst(`${name}s`, shown),
    sites: {
      list: request(
        "create",
        "query",
        get(new RegExp(`/${name}s/detail`)),
        `\`GET /${name}s/detail\` (what an interrupted run left)`,
        [`${name}s`],
        { success: [1, 1], failure: [0, 0] },
      ),
      create: request("create", "create", post(new RegExp(`/${name}s$`)), `\`POST /${name}s\``, changedFields, {
        success: [1, 0],
        failure: [0, 0],
        counted: true,
      }),
      poll: request("create", "poll", show, `\`GET /${name}s/{id}\` (each poll)`, shownFields, {
        success: [1, 1],
        failure: [1, 1],
      }),
      record: request(
        "adopt",
        "record",
        merge,
        `\`POST /${name}s/{id}/metadata\` (the record on an interrupted run's ${name})`,
        metadataFields,
        // With it the adoption sends the POSTs of an update, since the inputs have changed.
        { success: [1, posts], failure: [1, 0], counted: true },
      ),
      // As the person made it, it differs from the program in its name alone.
      importFind: request("import", "query", show, `\`GET /${name}s/{id}\``, shownFields, {
        success: [1, 1],
        failure: [1, 0],
      }),
      importRecord: request(
        "import",
        "change",
        merge,
        `\`POST /${name}s/{id}/metadata\` (the ownership record)`,
        metadataFields,
        { success: [1, 0], failure: [1, 0], counted: true },
      ),
      importRename: request("import", "change", put(one), `\`PUT /${name}s/{id}\``, changedFields, {
        success: [1, 1],
        failure: [1, 1],
      }),
      read: request("read", "query", show, `\`GET /${name}s/{id}\``, shownFields, { success: [1, 0], failure: [1, 0] }),
      readBefore: request("update", "query", show, `\`GET /${name}s/{id}\``, shownFields, {
        success: [1, posts],
        failure: [1, 0],
      }),
      rename: request("update", "step", put(one), `\`PUT /${name}s/{id}\``, changedFields, {
        success: [1, posts],
        failure: [1, 0],
      }),
      tag: request("update", "step", merge, `\`POST /${name}s/{id}/metadata\``, metadataFields, {
        success: [1, posts - 1],
        failure: [1, 0],
        counted: true,
      }),
      untag: request(
        "update",
        "step",
        del(new RegExp(`${id}/metadata/[^/]+$`)),
        `\`DELETE /${name}s/{id}/metadata/{key}\``,
        [],
        { success: [1, posts], failure: [1, 1] },
      ),
      delete: request("delete", "delete", del(one), `\`DELETE /${name}s/{id}\``, [], {
        success: [0, 0],
        failure: [1, 0],
      }),
      // An error ends the wait, so the provider reads no field of the body.
      awaitGone: request("delete", "awaitGone", show, `\`GET /${name}s/{id}\` (until it is gone)`, [], {
        success: [0, 0],
        failure: [0, 0],
      }),
    },
  };
}

type Expectations = ResourceUnderTest["expectations"];

/** What follows from faults in the login, on every resource that logs in at Keystone. */
export const LOGIN_EXPECTATIONS = {
  // Keystone's error for an unknown application credential or token.
  "404, in the service's own words": { login: fails("unauthorized", at(0, 0), /could not be found/) },
  "404 of somebody else (a proxy, a wrong address)": {
    login: fails("config", at(0, 0), /there is no Keystone at http.*\n.*clouds\.yaml/),
  },
  "a redirect to another origin": {
    login: fails("config", at(0, 0), /the address has moved.*\n.*clouds\.yaml/),
  },
} satisfies Expectations;

/** What differs in an import of an object of Cinder's. */
export const importExpectations = (noun: string): Expectations => ({
  // The state has the id, and a warning says so.
  "403": { importRecord: ok(at(1, 1)) },
  "404, in the service's own words": {
    importFind: fails("notFound", at(1, 0), new RegExp(`there is no ${noun} \\S+, or this login may not see it`)),
  },
  "an object in a status nobody has heard of": {
    importFind: fails("refused", at(1, 0), /in status "quantum-folding", and only an?.* can be taken over/),
  },
});

const noVersions = (says: RegExp) => ({ versions: fails("transient", at(0, 0), says) });
const unauthorized = everywhere("unauthorized", /Cinder answered 401.*\n.*Keystone issued this token a moment ago/, 2);

/** What follows from faults on a resource that is made and deleted by Cinder alone, and what differs on this one. */
export function cinderExpectations(sites: Readonly<Record<string, RequestSite>>, own: Expectations): Expectations {
  const common: Expectations = {
    "401, for ever": Object.fromEntries(
      Object.entries(sites).flatMap(([name, site]) =>
        site.role === "login" || site.role === "fallback" ? [] : [[name, unauthorized(site)]],
      ),
    ),
    "404, in the service's own words": {
      // The list shows the object, so it is not proven gone.
      poll: pending("notFound", at(1, 1), /vanished while it was being created/),
      awaitGone: ok(at(0, 0)),
    },
    "connection refused": noVersions(/Cinder cannot be reached \(ECONNREFUSED\)/),
    "DNS that fails": noVersions(/Cinder cannot be reached/),
    "407 of a proxy": { versions: fails("config", at(0, 0), /does not accept the credentials/) },
    "403 of a proxy": { versions: fails("config", at(0, 0), /did not let the request through to Cinder/) },
    "503 of a proxy": noVersions(/did not let the request through to Cinder/),
    "TLS that doesn't verify": { versions: fails("config", at(0, 0), /certificate of Cinder is not trusted/) },
    "a reset before the answer, for ever": noVersions(/broke off the connection/),
    "a hang": noVersions(/did not answer in time/),
    "a trickle (a byte each 200 ms)": noVersions(/did not answer in time/),
    // A 404 proves absence only if the whole body shows that the service sent it.
    "a body that never ends": { awaitGone: fails("refused", at(0, 0), /answered 404: a body larger than any/) },
    "truncated JSON": { awaitGone: fails("refused", at(0, 0), /answered 404/) },
  };
  return joined(LOGIN_EXPECTATIONS, common, own);
}

/** All of these expectations. A later one replaces an earlier one for the same fault and site. */
export function joined(...all: Expectations[]): Expectations {
  const result: { [fault in FaultName]?: Record<string, Expectation> } = {};
  for (const [fault, sites] of all.flatMap((one) => Object.entries(one)))
    result[fault as FaultName] = { ...result[fault as FaultName], ...sites };
  return result;
}

/** What every resource has that is made and deleted by Cinder alone. */
export const ON_CINDER = {
  creates: "POSTs that reached Cinder",
  open: (emulator: Emulator, clock: Clock, http: HttpClient) => openCloud(emulator.openstack.authUrl, clock, http),
  secrets: secretsOf,
  advance: (emulator: Emulator) => emulator.cinder.advance(),
  healthyStatus: "available",
  expectedCount: 1,
  statusField: "status",
  // If Cinder has created something all the same, the end of the run reports it as being in no state.
  trustsRefusals: true,
} as const;

/** POSTs that Cinder has got. */
export const postsOf = ({ requests }: Emulator) => requests.count({ service: "cinder", method: "POST" });

/** What `Snapshot` and `SnapshotSeries` have in common. */
export const MADE_OF_SNAPSHOTS = {
  ...ON_CINDER,
  objects: "snapshots",
  prepare: (emulator: Emulator) => {
    emulator.keystone.userNamed("demo").password = PASSWORD;
  },
  count: (emulator: Emulator) => at(emulator.cinder.snapshots.size, postsOf(emulator)),
  statuses: (emulator: Emulator) => [...emulator.cinder.snapshots.values()].map(({ status }) => status),
  notFound: (site: string) => notFound(site, site === "create" ? NO_VOLUME : NO_SNAPSHOT),
  quotaExceeded: (site: string) => quotaExceeded(site, SNAPSHOT_QUOTA),
  statusWords: ["creating", "available", "error", "deleting", "error_deleting", "AVAILABLE"],
} as const;

const NO_SNAPSHOT = "Snapshot 9b9e0504-bec0-4e6d-a5ba-83cce6a19555 could not be found.";
const NO_VOLUME = "Volume 11111111-1111-4111-8111-111111111111 could not be found.";
const SNAPSHOT_QUOTA = "SnapshotLimitExceeded: Maximum number of snapshots allowed (10) exceeded";

export function notFound(site: string, message: string): Answer {
  return { status: 404, body: faultBody(site, "itemNotFound", 404, message) };
}

export function quotaExceeded(site: string, message: string): Answer {
  return { status: 413, headers: { "Retry-After": "0" }, body: faultBody(site, "overLimit", 413, message) };
}

/** Keystone's errors have another form than those of Cinder and Nova. */
function faultBody(site: string, name: string, code: number, message: string): object {
  return site === "login" ? { error: { code, message, title: name } } : { [name]: { code, message } };
}

export function secretsOf({ keystone }: Emulator): string[] {
  return [PASSWORD, encodeURIComponent(PASSWORD), ...keystone.tokens.keys()];
}

export function openCloud(authUrl: string, clock: Clock, http: HttpClient, name = "demo"): OpenStackContext {
  return new OpenStackContext(new KeystoneSession(settingsOf(authUrl, name), { clock, http }), clock);
}

export function openPowerVc(authUrl: string, clock: Clock, http: HttpClient, name = "demo"): PowerVcContext {
  const settings = { ...settingsOf(authUrl, name), serviceType: { blockStorage: "volume" } };
  return new PowerVcContext(new KeystoneSession(settings, { clock, http }), clock);
}

function settingsOf(authUrl: string, name: string): OpenStackSettings {
  const domain = { name: "Default" };
  return {
    authUrl,
    auth: {
      method: "password",
      user: { name, domain },
      password: PASSWORD,
      scope: { project: { name, domain } },
    },
    region: "RegionOne",
    interface: "public",
    endpointOverride: {},
    serviceType: {},
    serviceRegion: {},
    serviceInterface: {},
    tls: { insecure: false },
    source: 'cloud "lab" of /etc/openstack/clouds.yaml',
    sourceKind: "cloudsYaml",
    warnings: [],
  };
}
