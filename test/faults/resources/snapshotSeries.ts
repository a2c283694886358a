// SnapshotSeries in the fault table. Its update takes a snapshot and deletes the one before.

import { SEED_VOLUMES } from "../../../emulator/index";
import { snapshotSeries as definition } from "../../../provider/openstack/snapshotSeries/resource";
import { everywhere } from "../faults";
import { loginSite, notFound, openCloud, PASSWORD, quotaExceeded, secretsOf, versionsSite } from "../openstackSites";
import { at, fails, ok, pending, type RequestSite, type ResourceUnderTest, recorded } from "../resourceUnderTest";
import { del, get, post, request, within, withinFirst } from "../sites";

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
    // With it the adoption takes another snapshot, since the trigger has changed.
    { success: [1, 1], failure: [1, 0], counted: true },
  ),
  read: request("read", "query", detail, "`GET /snapshots/detail` (the series)", LISTED_FIELDS, {
    success: [1, 0],
    failure: [1, 0],
  }),
  readBefore: request("update", "query", detail, "`GET /snapshots/detail` (the series)", LISTED_FIELDS, {
    success: [1, 1],
    failure: [1, 0],
  }),
  take: request("update", "changeOnce", post(/\/snapshots$/), "`POST /snapshots` (one more)", SNAPSHOT_FIELDS, {
    success: [1, 0],
    failure: [1, 0],
    counted: true,
  }),
  prune: request("update", "change", del(new RegExp(`${SNAPSHOT}$`)), "`DELETE /snapshots/{id}` (beyond `keep`)", [], {
    success: [1, 1],
    failure: [2, 1],
  }),
  listAll: request("delete", "query", detail, "`GET /snapshots/detail` (the series)", LISTED_FIELDS, {
    success: [0, 0],
    failure: [1, 0],
  }),
  delete: request("delete", "delete", del(new RegExp(`${SNAPSHOT}$`)), "`DELETE /snapshots/{id}` (each)", [], {
    success: [0, 0],
    failure: [1, 0],
  }),
  // An error ends the wait, so the provider reads no field of the body.
  awaitGone: request("delete", "awaitGone", show, "`GET /snapshots/{id}` (until it is gone)", [], {
    success: [0, 0],
    failure: [0, 0],
  }),
} satisfies Record<string, RequestSite>;

const MISSING = "Snapshot 9b9e0504-bec0-4e6d-a5ba-83cce6a19555 could not be found.";
const NO_VOLUME = "Volume 11111111-1111-4111-8111-111111111111 could not be found.";
const QUOTA = "SnapshotLimitExceeded: Maximum number of snapshots allowed (10) exceeded";

const warned = ok(at(2, 1));
const noVersions = (says: RegExp) => ({ versions: fails("transient", at(0, 0), says) });
const unauthorized = everywhere("unauthorized", /Cinder answered 401.*\n.*Keystone issued this token a moment ago/, 2);

export const snapshotSeries: ResourceUnderTest = {
  title: "SnapshotSeries",
  objects: "snapshots",
  creates: "POSTs that reached Cinder",
  definition,
  hidden: {
    __owner: "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:SnapshotSeries::nightly",
    __provider: "exports.handler=()=>require('pulumi-snapclone/dynamic/v1')",
  },
  before: { volumeId: SEED_VOLUMES.data, keep: 1, name: "nightly", metadata: { tier: "gold" }, triggers: ["monday"] },
  after: { volumeId: SEED_VOLUMES.data, keep: 1, name: "nightly", metadata: { tier: "gold" }, triggers: ["tuesday"] },
  sites: SITES,
  expectations: {
    // What Cinder does not let go is a warning, and the next `up` tries again. If a policy forbids the record, the provider
    // only warns.
    "403": { prune: warned, record: ok(at(1, 2)) },
    "409": { prune: warned },
    "418, a status nobody has heard of": { prune: warned },
    "401, for ever": Object.fromEntries(
      Object.entries(SITES).flatMap(([name, site]) =>
        site.role === "login" || site.role === "fallback" ? [] : [[name, unauthorized(site)]],
      ),
    ),
    "404, in the service's own words": {
      // At a login, this is Keystone's error for an unknown application credential or token.
      login: fails("unauthorized", at(0, 0), /could not be found/),
      create: fails("notFound", at(0, 1), /Volume \S+ could not be found/),
      // The list shows the snapshot, so it is not proven gone.
      poll: pending("notFound", at(1, 1), /vanished while it was being created/),
      // A list that is not found says nothing about the series, and Cinder still shows the snapshot.
      read: fails("transient", at(1, 0), /could not be found/),
      readBefore: fails("transient", at(1, 0), /could not be found/),
      take: recorded("failed", at(1, 1), /could not be found\. No older snapshot of the series was deleted/),
      record: ok(at(1, 2)),
      prune: recorded("transient", at(2, 1), /did not find snapshot \S+ to delete it, and still shows it/),
      listAll: fails("transient", at(1, 0), /could not be found/),
      delete: fails("transient", at(1, 0), /did not find snapshot \S+ to delete it, and still shows it/),
      awaitGone: ok(at(0, 0)),
    },
    "404 of somebody else (a proxy, a wrong address)": {
      login: fails("config", at(0, 0), /there is no Keystone at http.*\n.*clouds\.yaml/),
      prune: warned,
    },
    "413 with `Retry-After: 0` (a full quota)": {
      prune: warned,
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
      prune: warned,
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
  mostAtOnce: 2,
  notFound: (site) => notFound(site, site === "create" ? NO_VOLUME : MISSING),
  quotaExceeded: (site) => quotaExceeded(site, QUOTA),
  statusField: "status",
  statusWords: ["creating", "available", "error", "deleting", "error_deleting", "AVAILABLE"],
  // If Cinder has created something all the same, the end of the run reports it as being in no state.
  trustsRefusals: true,
};
