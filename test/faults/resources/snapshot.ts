// Snapshot in the fault table.

import { randomUUID } from "node:crypto";
import { SEED_VOLUMES } from "../../../emulator/index";
import type { HttpClient } from "../../../provider/core/http/client";
import type { Clock } from "../../../provider/core/util/clock";
import { lookups } from "../../../provider/lookups";
import type { OpenStackSettings } from "../../../provider/openstack/connection";
import { OpenStackContext } from "../../../provider/openstack/context";
import { KeystoneSession } from "../../../provider/openstack/keystone";
import { snapshot as definition } from "../../../provider/openstack/snapshot/resource";
import { everywhere } from "../faults";
import {
  type Answer,
  type Counts,
  fails,
  gone,
  ok,
  pending,
  type RequestSite,
  type ResourceUnderTest,
} from "../resourceUnderTest";

export const PASSWORD = "planted-pass%word \"7'";

const SNAPSHOT = "/snapshots/[0-9a-f-]{36}";

const at = (objects: number, makings: number): Counts => ({ objects, makings });

const SNAPSHOT_FIELDS = [
  "snapshot",
  ...[
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
  ].map((field) => `snapshot.${field}`),
];
const SHOWN_FIELDS = [
  ...SNAPSHOT_FIELDS,
  "snapshot.os-extended-snapshot-attributes:project_id",
  "snapshot.os-extended-snapshot-attributes:progress",
];
const LISTED_FIELDS = [
  "snapshots",
  ...SHOWN_FIELDS.slice(1).map((field) => field.replace("snapshot.", "snapshots.0.")),
];

const show = { method: "GET", path: new RegExp(`${SNAPSHOT}$`) } as const;
const detail = { method: "GET", path: /\/snapshots\/detail/ } as const;
const rename = { method: "PUT", path: new RegExp(`${SNAPSHOT}$`) } as const;

/** The columns of the table, in the order in which the requests are sent. */
const PLACES = {
  login: {
    of: "create",
    role: "login",
    call: { method: "POST", path: /\/auth\/tokens$/ },
    shown: "`POST /auth/tokens`",
    well: () => at(1, 1),
    failed: () => at(0, 0),
    fields: [
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
    ],
  },
  // Cinder's other address for its versions stands in for the first one.
  versions: {
    of: "create",
    role: "detour",
    call: { method: "GET", path: /\/volume\/$/ },
    shown: "`GET /` (versions)",
    well: () => at(1, 1),
    failed: () => at(0, 0),
    fields: ["versions", "versions.0.id", "versions.0.version", "versions.0.min_version"],
  },
  list: {
    of: "create",
    role: "question",
    call: detail,
    shown: "`GET /snapshots/detail` (what an interrupted run left)",
    well: () => at(1, 1),
    failed: () => at(0, 0),
    fields: ["snapshots"],
  },
  make: {
    of: "create",
    role: "make",
    call: { method: "POST", path: /\/snapshots$/ },
    shown: "`POST /snapshots`",
    well: (tries) => at(1, tries),
    failed: (tries) => at(0, tries),
    fields: SNAPSHOT_FIELDS,
  },
  poll: {
    of: "create",
    role: "poll",
    call: show,
    shown: "`GET /snapshots/{id}` (each look)",
    well: () => at(1, 1),
    failed: () => at(1, 1),
    fields: SHOWN_FIELDS,
  },
  record: {
    of: "adopt",
    role: "record",
    call: { method: "POST", path: new RegExp(`${SNAPSHOT}/metadata$`) },
    shown: "`POST /snapshots/{id}/metadata` (the record on an interrupted run's snapshot)",
    well: (tries) => at(1, tries + 1),
    failed: (tries) => at(1, tries),
    fields: ["metadata", "metadata.tier"],
  },
  adopt: {
    of: "adopt",
    role: "change",
    call: rename,
    shown: "`PUT /snapshots/{id}` after adopting an interrupted run's snapshot",
    well: () => at(1, 2),
    failed: () => at(1, 1),
    fields: SNAPSHOT_FIELDS,
  },
  read: {
    of: "read",
    role: "question",
    call: show,
    shown: "`GET /snapshots/{id}`",
    well: () => at(1, 0),
    failed: () => at(1, 0),
    fields: SHOWN_FIELDS,
  },
  look: {
    of: "update",
    role: "question",
    call: show,
    shown: "`GET /snapshots/{id}`",
    well: () => at(1, 1),
    failed: () => at(1, 0),
    fields: SHOWN_FIELDS,
  },
  rename: {
    of: "update",
    role: "change",
    call: rename,
    shown: "`PUT /snapshots/{id}`",
    well: () => at(1, 1),
    failed: () => at(1, 0),
    fields: SNAPSHOT_FIELDS,
  },
  tag: {
    of: "update",
    role: "step",
    call: { method: "POST", path: new RegExp(`${SNAPSHOT}/metadata$`) },
    shown: "`POST /snapshots/{id}/metadata`",
    well: (tries) => at(1, tries),
    failed: (tries) => at(1, tries),
    fields: ["metadata", "metadata.tier"],
  },
  untag: {
    of: "update",
    role: "step",
    call: { method: "DELETE", path: new RegExp(`${SNAPSHOT}/metadata/[^/]+$`) },
    shown: "`DELETE /snapshots/{id}/metadata/{key}`",
    well: () => at(1, 1),
    failed: () => at(1, 1),
    fields: [],
  },
  remove: {
    of: "delete",
    role: "remove",
    call: { method: "DELETE", path: new RegExp(`${SNAPSHOT}$`) },
    shown: "`DELETE /snapshots/{id}`",
    well: () => at(0, 0),
    failed: () => at(1, 0),
    fields: [],
  },
  // The answer that ends the wait is an error: nothing of its body is a field of ours.
  vanish: {
    of: "delete",
    role: "vanish",
    call: show,
    shown: "`GET /snapshots/{id}` (until it is gone)",
    well: () => at(0, 0),
    failed: () => at(0, 0),
    fields: [],
  },
  find: {
    of: "look up",
    role: "question",
    call: detail,
    shown: "`GET /snapshots/detail`",
    well: () => at(1, 0),
    failed: () => at(1, 0),
    fields: LISTED_FIELDS,
  },
} as const satisfies Record<string, RequestSite>;

const MISSING = "Snapshot 9b9e0504-bec0-4e6d-a5ba-83cce6a19555 could not be found.";
const NO_VOLUME = "Volume 11111111-1111-4111-8111-111111111111 could not be found.";
const QUOTA = "SnapshotLimitExceeded: Maximum number of snapshots allowed (10) exceeded";

const faultBody = (place: string, name: string, code: number, message: string): object =>
  place === "login" ? { error: { code, message, title: name } } : { [name]: { code, message } };

const noVersions = (says: RegExp) => ({ versions: fails("transient", at(0, 0), says) });
const unauthorized = everywhere("unauthorized", /Cinder answered 401.*\n.*Keystone issued this token a moment ago/, 2);

export const snapshot: ResourceUnderTest = {
  title: "Snapshot",
  objects: "snapshots",
  makings: "POSTs that reached Cinder",
  definition,
  hidden: {
    __owner: "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:Snapshot::nightly",
    __provider: "exports.handler=()=>require('pulumi-snapclone/dynamic/v1')",
  },
  before: { volumeId: SEED_VOLUMES.data, name: "nightly", metadata: { tier: "gold", old: "x" } },
  after: { volumeId: SEED_VOLUMES.data, name: "weekly", metadata: { tier: "silver" } },
  places: PLACES,
  cells: {
    // That a policy forbids the record costs a warning; the tag goes the same way.
    "403": { record: pending("forbidden", at(1, 2), /answered 403/) },
    "401, for ever": Object.fromEntries(
      Object.entries(PLACES).flatMap(([name, place]) =>
        place.role === "login" || place.role === "detour" ? [] : [[name, unauthorized(place)]],
      ),
    ),
    "404, in the service's own words": {
      // The backend lies here: the snapshot that it denies is still there afterwards. Of a login it is Keystone's word
      // for an unknown application credential or token.
      login: fails("unauthorized", at(0, 0), /could not be found/),
      make: fails("notFound", at(0, 1), /Volume \S+ could not be found/),
      // The list shows it, so that it is not proven gone.
      // The list shows it, so it is not proven gone.
      poll: pending("notFound", at(1, 1), /vanished while it was being created/),
      read: gone(at(1, 0)),
      look: fails("notFound", at(1, 0), /does not exist any more.*\n.*pulumi refresh/),
      rename: fails("notFound", at(1, 0), /could not be found/),
      tag: fails("notFound", at(1, 1), /could not be found/),
      untag: fails("notFound", at(1, 1), /could not be found/),
      remove: ok(at(1, 0)),
      vanish: ok(at(0, 0)),
    },
    "404 of somebody else (a proxy, a wrong address)": {
      login: fails("config", at(0, 0), /there is no Keystone at http.*\n.*clouds\.yaml/),
    },
    "413 with `Retry-After: 0` (a full quota)": {
      make: fails("refused", at(0, 1), /Maximum number of snapshots allowed.*\n.*quota is full.*openstack quota/),
    },
    "connection refused": noVersions(/Cinder cannot be reached \(ECONNREFUSED\)/),
    "DNS that fails": noVersions(/Cinder cannot be reached/),
    "TLS that doesn't verify": { versions: fails("config", at(0, 0), /certificate of Cinder is not trusted/) },
    "a reset before the answer, for ever": noVersions(/broke off the connection/),
    "a hang": noVersions(/did not answer in time/),
    "a trickle (a byte each 200 ms)": noVersions(/did not answer in time/),
    // A 404 of which nobody can read whose it is proves nothing, and neither does half of one.
    "a body that never ends": { vanish: fails("refused", at(0, 0), /answered 404: a body larger than any/) },
    "truncated JSON": { vanish: fails("refused", at(0, 0), /answered 404/) },
    "10 MB of garbage": {
      // A 200 to a deletion that does not happen: the backend is asked, not believed. (A key's: the next refresh shows it.)
      remove: fails("failed", at(1, 0), /began to delete snapshot \S+ and took it back/),
    },
    "a redirect to another origin": {
      login: fails("config", at(0, 0), /the address has moved.*\n.*clouds\.yaml/),
    },
  },

  ready: (emulator) => {
    emulator.keystone.userNamed("demo").password = PASSWORD;
  },
  open: (emulator, clock, http) => openCloud(emulator.authUrl, clock, http),
  secrets: (emulator) => [PASSWORD, encodeURIComponent(PASSWORD), ...emulator.keystone.tokens.keys()],
  count: (emulator) =>
    at(emulator.cinder.snapshots.size, emulator.requests.count({ service: "cinder", method: "POST" })),
  settle: (emulator) => emulator.cinder.settle(),
  statuses: (emulator) => [...emulator.cinder.snapshots.values()].map(({ status }) => status),
  fine: "available",
  wanted: 1,
  missing: (place): Answer => ({
    status: 404,
    body: faultBody(place, "itemNotFound", 404, place === "make" ? NO_VOLUME : MISSING),
  }),
  quota: (place): Answer => ({
    status: 413,
    headers: { "Retry-After": "0" },
    body: faultBody(place, "overLimit", 413, QUOTA),
  }),
  statusField: "status",
  words: ["creating", "available", "error", "deleting", "error_deleting", "AVAILABLE"],
  // What it made all the same is told at the end of the run, as being in no state.
  believesRefusals: true,
  lookUp: () => {
    // A configuration that no other cell has: lookups keep their clients by it.
    const { getSnapshot } = lookups(JSON.stringify({ [randomUUID()]: {} }));
    return getSnapshot({ volumeId: SEED_VOLUMES.data });
  },
};

export function openCloud(authUrl: string, clock: Clock, http: HttpClient, name = "demo"): OpenStackContext {
  return new OpenStackContext(new KeystoneSession(settingsOf(authUrl, name), { clock, http }), clock);
}

export function settingsOf(authUrl: string, name: string): OpenStackSettings {
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
