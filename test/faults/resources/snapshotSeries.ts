// SnapshotSeries in the fault table. Its update takes a snapshot and deletes the one before.

import { SEED_VOLUMES } from "../../../emulator/index";
import { snapshotSeries as definition } from "../../../provider/openstack/snapshotSeries/resource";
import {
  cinderExpectations,
  importExpectations,
  joined,
  loginSite,
  MADE_OF_SNAPSHOTS,
  snapshotSites,
  versionsSite,
} from "../openstackSites";
import { at, fails, ok, type RequestSite, type ResourceUnderTest, recorded } from "../resourceUnderTest";
import { hiddenInputs, post, request } from "../sites";

const { sites, list, remove, changedFields, listedFields } = snapshotSites(1);

/** The columns of the table, in the order in which the requests are sent. */
const SITES = {
  login: loginSite([1, 1]),
  versions: versionsSite([1, 1]),
  list: sites.list,
  create: sites.create,
  poll: sites.poll,
  record: sites.record,
  importFind: { ...sites.importFind, label: `${sites.importFind.label} (each)` },
  importList: request(
    "import",
    "query",
    list,
    "`GET /snapshots/detail` (what an earlier import has left)",
    ["snapshots"],
    { success: [1, 1], failure: [1, 0] },
  ),
  importRecord: { ...sites.importRecord, label: `${sites.importRecord.label}, on each)`.replace("),", ",") },
  read: request("read", "query", list, "`GET /snapshots/detail` (the series)", listedFields, {
    success: [1, 0],
    failure: [1, 0],
  }),
  readBefore: request("update", "query", list, "`GET /snapshots/detail` (the series)", listedFields, {
    success: [1, 1],
    failure: [1, 0],
  }),
  take: request("update", "changeOnce", post(/\/snapshots$/), "`POST /snapshots` (one more)", changedFields, {
    success: [1, 0],
    failure: [1, 0],
    counted: true,
  }),
  prune: request("update", "change", remove, "`DELETE /snapshots/{id}` (beyond `keep`)", [], {
    success: [1, 1],
    failure: [2, 1],
  }),
  listAll: request("delete", "query", list, "`GET /snapshots/detail` (the series)", listedFields, {
    success: [0, 0],
    failure: [1, 0],
  }),
  delete: { ...sites.delete, label: `${sites.delete.label} (each)` },
  awaitGone: sites.awaitGone,
} satisfies Record<string, RequestSite>;

const warned = ok(at(2, 1));
/** The inputs but for the trigger. */
const KEPT = { volumeId: SEED_VOLUMES.data, keep: 1, name: "nightly", metadata: { tier: "gold" } };

export const snapshotSeries: ResourceUnderTest = {
  ...MADE_OF_SNAPSHOTS,
  title: "SnapshotSeries",
  definition,
  hidden: hiddenInputs("SnapshotSeries", "nightly"),
  before: { ...KEPT, triggers: ["monday"] },
  after: { ...KEPT, triggers: ["tuesday"] },
  imported: {
    make: ({ cinder }) => cinder.createSnapshot({ volume_id: SEED_VOLUMES.data, metadata: { tier: "gold" } }).id,
    inputs: { volumeId: SEED_VOLUMES.data, keep: 1, triggers: ["monday"] },
  },
  sites: SITES,
  another: (at) => ({ name: `wave-${at}` }),
  expectations: joined(
    importExpectations("snapshot series"),
    cinderExpectations(SITES, {
      // What Cinder does not let go is a warning, and the next `up` tries again. If a policy forbids the record, the provider
      // only warns.
      "403": { prune: warned, record: ok(at(1, 2)) },
      "409": { prune: warned },
      "418, a status nobody has heard of": { prune: warned },
      "404, in the service's own words": {
        create: fails("notFound", at(0, 1), /Volume \S+ could not be found/),
        importList: fails("transient", at(1, 0), /could not be found/),
        // Another hand may have deleted the snapshot: the next read tells.
        importRecord: ok(at(1, 1)),
        // A list that is not found says nothing about the series, and Cinder still shows the snapshot.
        read: fails("transient", at(1, 0), /could not be found/),
        readBefore: fails("transient", at(1, 0), /could not be found/),
        take: recorded("failed", at(1, 1), /could not be found\. No older snapshot of the series was deleted/),
        record: ok(at(1, 2)),
        prune: recorded("transient", at(2, 1), /did not find snapshot \S+ to delete it, and still shows it/),
        listAll: fails("transient", at(1, 0), /could not be found/),
        delete: fails("transient", at(1, 0), /did not find snapshot \S+ to delete it, and still shows it/),
      },
      "404 of somebody else (a proxy, a wrong address)": { prune: warned },
      "413 with `Retry-After: 0` (a full quota)": {
        prune: warned,
        create: fails("refused", at(0, 1), /Maximum number of snapshots allowed.*\n.*quota is full.*openstack quota/),
      },
      "10 MB of garbage": {
        // A 200 to a deletion that does not happen: the backend is asked, not believed. (A key's: the next refresh shows it.)
        prune: warned,
        delete: fails("failed", at(1, 0), /began to delete snapshot \S+ and took it back/),
      },
    }),
  ),
  mostAtOnce: 2,
};
