// VolumeFromSnapshot in the fault table.

import type { Emulator } from "../../../emulator/index";
import { SEED_VOLUMES } from "../../../emulator/index";
import { volumeFromSnapshot as definition } from "../../../provider/openstack/volumeFromSnapshot/resource";
import { everywhere } from "../faults";
import { loginSite, notFound, openCloud, PASSWORD, quotaExceeded, secretsOf, versionsSite } from "../openstackSites";
import { at, fails, gone, ok, pending, type RequestSite, type ResourceUnderTest, recorded } from "../resourceUnderTest";
import { del, get, post, put, request, within } from "../sites";

const SNAPSHOT_ID = "9b9e0504-bec0-4e6d-a5ba-83cce6a19555";
const VOLUME = "/volumes/[0-9a-f-]{36}";

const VOLUME_FIELDS = within("volume", [
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
]);

const show = get(new RegExp(`${VOLUME}$`));
const list = get(/\/volumes\/detail/);
const rename = put(new RegExp(`${VOLUME}$`));
const merge = post(new RegExp(`${VOLUME}/metadata$`));

/** The columns of the table, in the order in which the requests are sent. */
const SITES = {
  login: loginSite([1, 1]),
  versions: versionsSite([1, 1]),
  list: request("create", "query", list, "`GET /volumes/detail` (what an interrupted run left)", ["volumes"], {
    success: [1, 1],
    failure: [0, 0],
  }),
  snapshot: request(
    "create",
    "query",
    get(/\/snapshots\/[0-9a-f-]{36}$/),
    "`GET /snapshots/{id}` (its size)",
    within("snapshot", ["id", "size"]),
    { success: [1, 1], failure: [0, 0] },
  ),
  create: request("create", "create", post(/\/volumes$/), "`POST /volumes`", VOLUME_FIELDS, {
    success: [1, 0],
    failure: [0, 0],
    counted: true,
  }),
  poll: request("create", "poll", show, "`GET /volumes/{id}` (each poll)", VOLUME_FIELDS, {
    success: [1, 1],
    failure: [1, 1],
  }),
  record: request(
    "adopt",
    "record",
    merge,
    "`POST /volumes/{id}/metadata` (the record on an interrupted run's volume)",
    ["metadata", "metadata.tier"],
    { success: [1, 2], failure: [1, 0], counted: true },
  ),
  read: request("read", "query", show, "`GET /volumes/{id}`", VOLUME_FIELDS, { success: [1, 0], failure: [1, 0] }),
  readBefore: request("update", "query", show, "`GET /volumes/{id}`", VOLUME_FIELDS, {
    success: [1, 2],
    failure: [1, 0],
  }),
  rename: request("update", "change", rename, "`PUT /volumes/{id}`", VOLUME_FIELDS, {
    success: [1, 2],
    failure: [1, 0],
  }),
  tag: request("update", "step", merge, "`POST /volumes/{id}/metadata`", ["metadata", "metadata.tier"], {
    success: [1, 1],
    failure: [1, 0],
    counted: true,
  }),
  untag: request(
    "update",
    "step",
    del(new RegExp(`${VOLUME}/metadata/[^/]+$`)),
    "`DELETE /volumes/{id}/metadata/{key}`",
    [],
    { success: [1, 2], failure: [1, 1] },
  ),
  extend: request(
    "update",
    "changeOnce",
    post(new RegExp(`${VOLUME}/action$`)),
    "`POST /volumes/{id}/action` (`os-extend`)",
    [],
    { success: [1, 1], failure: [1, 1], counted: true },
  ),
  delete: request("delete", "delete", del(new RegExp(`${VOLUME}$`)), "`DELETE /volumes/{id}`", [], {
    success: [0, 0],
    failure: [1, 0],
  }),
  // An error ends the wait, so the provider reads no field of the body.
  awaitGone: request("delete", "awaitGone", show, "`GET /volumes/{id}` (until it is gone)", [], {
    success: [0, 0],
    failure: [0, 0],
  }),
} satisfies Record<string, RequestSite>;

const MISSING = `Volume ${SNAPSHOT_ID} could not be found.`;
const NO_SNAPSHOT = `Snapshot ${SNAPSHOT_ID} could not be found.`;
const QUOTA = "VolumeLimitExceeded: Maximum number of volumes allowed (10) exceeded for quota 'volumes'.";

const noVersions = (says: RegExp) => ({ versions: fails("transient", at(0, 0), says) });
const unauthorized = everywhere("unauthorized", /Cinder answered 401.*\n.*Keystone issued this token a moment ago/, 2);

export const volumeFromSnapshot: ResourceUnderTest = {
  title: "VolumeFromSnapshot",
  objects: "volumes made from the snapshot",
  creates: "POSTs that reached Cinder",
  definition,
  hidden: {
    __owner: "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:VolumeFromSnapshot::restored",
    __provider: "exports.handler=()=>require('pulumi-snapclone/dynamic/v1')",
  },
  before: { snapshotId: SNAPSHOT_ID, name: "restored", sizeGiB: 12, metadata: { tier: "gold", old: "x" } },
  after: { snapshotId: SNAPSHOT_ID, name: "kept", sizeGiB: 15, metadata: { tier: "silver" } },
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
      login: fails("unauthorized", at(0, 0), /could not be found/),
      snapshot: fails("notFound", at(0, 0), /Snapshot \S+ could not be found/),
      create: fails("notFound", at(0, 1), /Snapshot \S+ could not be found/),
      // The list shows the volume, so it is not proven gone.
      poll: pending("notFound", at(1, 1), /vanished while it was being created/),
      read: gone(at(1, 0)),
      readBefore: fails("notFound", at(1, 0), /does not exist any more.*\n.*pulumi refresh/),
      rename: fails("notFound", at(1, 0), /could not be found/),
      tag: fails("notFound", at(1, 1), /could not be found/),
      untag: fails("notFound", at(1, 1), /could not be found/),
      extend: fails("notFound", at(1, 2), /could not be found/),
      delete: ok(at(1, 0)),
      awaitGone: ok(at(0, 0)),
    },
    "404 of somebody else (a proxy, a wrong address)": {
      login: fails("config", at(0, 0), /there is no Keystone at http.*\n.*clouds\.yaml/),
    },
    "413 with `Retry-After: 0` (a full quota)": {
      create: fails("refused", at(0, 1), /Maximum number of volumes allowed.*\n.*quota is full.*openstack quota/),
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
      // A 200 to what does not happen: the backend is asked, not believed.
      extend: recorded("failed", at(1, 2), /could not grow volume \S+ from 12 to 15 GiB/),
      delete: fails("failed", at(1, 0), /began to delete volume \S+ and took it back/),
    },
    "a redirect to another origin": {
      login: fails("config", at(0, 0), /the address has moved.*\n.*clouds\.yaml/),
    },
  },

  prepare: (emulator) => {
    emulator.keystone.userNamed("demo").password = PASSWORD;
    emulator.cinder.createSnapshot({ id: SNAPSHOT_ID, volume_id: SEED_VOLUMES.data });
  },
  open: (emulator, clock, http) => openCloud(emulator.openstack.authUrl, clock, http),
  secrets: secretsOf,
  count: (emulator) => at(restored(emulator).length, emulator.requests.count({ service: "cinder", method: "POST" })),
  advance: (emulator) => emulator.cinder.advance(),
  statuses: (emulator) => restored(emulator).map(({ status }) => status),
  healthyStatus: "available",
  expectedCount: 1,
  notFound: (site) => notFound(site, site === "create" || site === "snapshot" ? NO_SNAPSHOT : MISSING),
  quotaExceeded: (site) => quotaExceeded(site, QUOTA),
  statusField: "status",
  statusWords: ["creating", "available", "in-use", "extending", "error", "deleting", "error_deleting", "AVAILABLE"],
  // If Cinder has created something all the same, the end of the run reports it as being in no state.
  trustsRefusals: true,
};

function restored({ cinder }: Emulator) {
  return [...cinder.volumes.values()].filter(({ snapshot_id }) => snapshot_id !== null);
}
