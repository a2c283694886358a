// Snapshot in the fault table.

import { randomUUID } from "node:crypto";
import { SEED_VOLUMES } from "../../../emulator/index";
import { lookups } from "../../../provider/lookups";
import { snapshot as definition } from "../../../provider/openstack/snapshot/resource";
import { everywhere } from "../faults";
import { loginSite, notFound, openCloud, PASSWORD, quotaExceeded, secretsOf, versionsSite } from "../openstackSites";
import { at, fails, gone, ok, pending, type RequestSite, type ResourceUnderTest } from "../resourceUnderTest";
import { del, get, post, put, request, within, withinFirst } from "../sites";

const SNAPSHOT = "/snapshots/[0-9a-f-]{36}";

const CHANGED_FIELDS = [
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
const SNAPSHOT_FIELDS = within("snapshot", CHANGED_FIELDS);
const SHOWN_FIELDS = within("snapshot", [...CHANGED_FIELDS, ...EXTENDED_FIELDS]);
const LISTED_FIELDS = withinFirst("snapshots", [...CHANGED_FIELDS, ...EXTENDED_FIELDS]);

const show = get(new RegExp(`${SNAPSHOT}$`));
const detail = get(/\/snapshots\/detail/);
const rename = put(new RegExp(`${SNAPSHOT}$`));

/** The columns of the table, in the order in which the requests are sent. */
const SITES = {
  login: loginSite([1, 1]),
  versions: versionsSite([1, 1]),
  list: request("create", "query", detail, "`GET /snapshots/detail` (what an interrupted run left)", ["snapshots"], {
    success: [1, 1],
    failure: [0, 0],
  }),
  create: request("create", "create", post(/\/snapshots$/), "`POST /snapshots`", SNAPSHOT_FIELDS, {
    success: [1, 0],
    failure: [0, 0],
    counted: true,
  }),
  poll: request("create", "poll", show, "`GET /snapshots/{id}` (each poll)", SHOWN_FIELDS, {
    success: [1, 1],
    failure: [1, 1],
  }),
  record: request(
    "adopt",
    "record",
    post(new RegExp(`${SNAPSHOT}/metadata$`)),
    "`POST /snapshots/{id}/metadata` (the record on an interrupted run's snapshot)",
    ["metadata", "metadata.tier"],
    { success: [1, 1], failure: [1, 0], counted: true },
  ),
  adopt: request(
    "adopt",
    "change",
    rename,
    "`PUT /snapshots/{id}` after adopting an interrupted run's snapshot",
    SNAPSHOT_FIELDS,
    { success: [1, 2], failure: [1, 1] },
  ),
  read: request("read", "query", show, "`GET /snapshots/{id}`", SHOWN_FIELDS, { success: [1, 0], failure: [1, 0] }),
  readBefore: request("update", "query", show, "`GET /snapshots/{id}`", SHOWN_FIELDS, {
    success: [1, 1],
    failure: [1, 0],
  }),
  rename: request("update", "change", rename, "`PUT /snapshots/{id}`", SNAPSHOT_FIELDS, {
    success: [1, 1],
    failure: [1, 0],
  }),
  tag: request(
    "update",
    "step",
    post(new RegExp(`${SNAPSHOT}/metadata$`)),
    "`POST /snapshots/{id}/metadata`",
    ["metadata", "metadata.tier"],
    { success: [1, 0], failure: [1, 0], counted: true },
  ),
  untag: request(
    "update",
    "step",
    del(new RegExp(`${SNAPSHOT}/metadata/[^/]+$`)),
    "`DELETE /snapshots/{id}/metadata/{key}`",
    [],
    { success: [1, 1], failure: [1, 1] },
  ),
  delete: request("delete", "delete", del(new RegExp(`${SNAPSHOT}$`)), "`DELETE /snapshots/{id}`", [], {
    success: [0, 0],
    failure: [1, 0],
  }),
  // An error ends the wait, so the provider reads no field of the body.
  awaitGone: request("delete", "awaitGone", show, "`GET /snapshots/{id}` (until it is gone)", [], {
    success: [0, 0],
    failure: [0, 0],
  }),
  find: request("look up", "query", detail, "`GET /snapshots/detail`", LISTED_FIELDS, {
    success: [1, 0],
    failure: [1, 0],
  }),
} satisfies Record<string, RequestSite>;

const MISSING = "Snapshot 9b9e0504-bec0-4e6d-a5ba-83cce6a19555 could not be found.";
const NO_VOLUME = "Volume 11111111-1111-4111-8111-111111111111 could not be found.";
const QUOTA = "SnapshotLimitExceeded: Maximum number of snapshots allowed (10) exceeded";

const noVersions = (says: RegExp) => ({ versions: fails("transient", at(0, 0), says) });
const unauthorized = everywhere("unauthorized", /Cinder answered 401.*\n.*Keystone issued this token a moment ago/, 2);

export const snapshot: ResourceUnderTest = {
  title: "Snapshot",
  objects: "snapshots",
  creates: "POSTs that reached Cinder",
  definition,
  hidden: {
    __owner: "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:Snapshot::nightly",
    __provider: "exports.handler=()=>require('pulumi-snapclone/dynamic/v1')",
  },
  before: { volumeId: SEED_VOLUMES.data, name: "nightly", metadata: { tier: "gold", old: "x" } },
  after: { volumeId: SEED_VOLUMES.data, name: "weekly", metadata: { tier: "silver" } },
  sites: SITES,
  expectations: {
    // If a policy forbids the record, the provider only warns. The tag is sent to the same address.
    "403": { record: pending("forbidden", at(1, 2), /answered 403/) },
    "401, for ever": Object.fromEntries(
      Object.entries(SITES).flatMap(([name, site]) =>
        site.role === "login" || site.role === "fallback" ? [] : [[name, unauthorized(site)]],
      ),
    ),
    "404, in the service's own words": {
      // The test's answer is wrong: the snapshot still exists afterwards. At a login, this is Keystone's error for an unknown
      // application credential or token.
      login: fails("unauthorized", at(0, 0), /could not be found/),
      create: fails("notFound", at(0, 1), /Volume \S+ could not be found/),
      // The list shows the snapshot, so it is not proven gone.
      poll: pending("notFound", at(1, 1), /vanished while it was being created/),
      read: gone(at(1, 0)),
      readBefore: fails("notFound", at(1, 0), /does not exist any more.*\n.*pulumi refresh/),
      rename: fails("notFound", at(1, 0), /could not be found/),
      tag: fails("notFound", at(1, 1), /could not be found/),
      untag: fails("notFound", at(1, 1), /could not be found/),
      delete: ok(at(1, 0)),
      awaitGone: ok(at(0, 0)),
    },
    "404 of somebody else (a proxy, a wrong address)": {
      login: fails("config", at(0, 0), /there is no Keystone at http.*\n.*clouds\.yaml/),
    },
    "413 with `Retry-After: 0` (a full quota)": {
      create: fails("refused", at(0, 1), /Maximum number of snapshots allowed.*\n.*quota is full.*openstack quota/),
    },
    "connection refused": noVersions(/Cinder cannot be reached \(ECONNREFUSED\)/),
    "DNS that fails": noVersions(/Cinder cannot be reached/),
    "TLS that doesn't verify": { versions: fails("config", at(0, 0), /certificate of Cinder is not trusted/) },
    "a reset before the answer, for ever": noVersions(/broke off the connection/),
    "a hang": noVersions(/did not answer in time/),
    "a trickle (a byte each 200 ms)": noVersions(/did not answer in time/),
    // A 404 proves absence only if the whole body shows that the service sent it.
    "a body that never ends": { awaitGone: fails("refused", at(0, 0), /answered 404: a body larger than any/) },
    "truncated JSON": { awaitGone: fails("refused", at(0, 0), /answered 404/) },
    "10 MB of garbage": {
      // A 200 to a deletion that does not happen: the backend is asked, not believed. (A key's: the next refresh shows it.)
      delete: fails("failed", at(1, 0), /began to delete snapshot \S+ and took it back/),
    },
    "a redirect to another origin": {
      login: fails("config", at(0, 0), /the address has moved.*\n.*clouds\.yaml/),
    },
  },

  prepare: (emulator) => {
    emulator.keystone.userNamed("demo").password = PASSWORD;
  },
  open: (emulator, clock, http) => openCloud(emulator.openstack.authUrl, clock, http),
  secrets: secretsOf,
  count: (emulator) =>
    at(emulator.cinder.snapshots.size, emulator.requests.count({ service: "cinder", method: "POST" })),
  advance: (emulator) => emulator.cinder.advance(),
  statuses: (emulator) => [...emulator.cinder.snapshots.values()].map(({ status }) => status),
  healthyStatus: "available",
  expectedCount: 1,
  notFound: (site) => notFound(site, site === "create" ? NO_VOLUME : MISSING),
  quotaExceeded: (site) => quotaExceeded(site, QUOTA),
  statusField: "status",
  statusWords: ["creating", "available", "error", "deleting", "error_deleting", "AVAILABLE"],
  // If Cinder has created something all the same, the end of the run reports it as being in no state.
  trustsRefusals: true,
  lookUp: () => {
    // A configuration of its own: lookups keep one client for each configuration.
    const { getSnapshot } = lookups(JSON.stringify({ [randomUUID()]: {} }));
    return getSnapshot({ volumeId: SEED_VOLUMES.data });
  },
};
