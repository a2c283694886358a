// Snapshot in the fault table.

import { SEED_VOLUMES } from "../../../emulator/index";
import { snapshot as definition } from "../../../provider/openstack/snapshot/resource";
import {
  cinderExpectations,
  importExpectations,
  joined,
  loginSite,
  MADE_OF_SNAPSHOTS,
  snapshotSites,
  versionsSite,
} from "../openstackSites";
import { at, fails, gone, ok, pending, type RequestSite, type ResourceUnderTest } from "../resourceUnderTest";
import { hiddenInputs, request } from "../sites";
import { reverted } from "../snapshotReverted";

const { sites, list, rename, changedFields, listedFields } = snapshotSites(2);

/** The columns of the table, in the order in which the requests are sent. */
const SITES = {
  login: loginSite([1, 1]),
  versions: versionsSite([1, 1]),
  list: sites.list,
  create: sites.create,
  poll: sites.poll,
  record: sites.record,
  adopt: request(
    "adopt",
    "step",
    rename,
    "`PUT /snapshots/{id}` after adopting an interrupted run's snapshot",
    changedFields,
    { success: [1, 3], failure: [1, 1] },
  ),
  importFind: sites.importFind,
  importRecord: sites.importRecord,
  importRename: sites.importRename,
  read: sites.read,
  readBefore: sites.readBefore,
  rename: sites.rename,
  tag: sites.tag,
  untag: sites.untag,
  delete: sites.delete,
  awaitGone: sites.awaitGone,
  find: request("look up", "query", list, "`GET /snapshots/detail`", listedFields, {
    success: [1, 0],
    failure: [1, 0],
  }),
} satisfies Record<string, RequestSite>;

const plain: ResourceUnderTest = {
  ...MADE_OF_SNAPSHOTS,
  title: "Snapshot",
  definition,
  hidden: hiddenInputs("Snapshot", "nightly"),
  before: { volumeId: SEED_VOLUMES.data, name: "nightly", metadata: { tier: "gold", old: "x" } },
  after: { volumeId: SEED_VOLUMES.data, name: "weekly", metadata: { tier: "silver" } },
  imported: {
    make: ({ cinder }) => {
      const metadata = { tier: "gold" };
      return cinder.createSnapshot({ volume_id: SEED_VOLUMES.data, name: "by hand", metadata }).id;
    },
    inputs: { volumeId: SEED_VOLUMES.data, name: "nightly", metadata: { tier: "gold" } },
  },
  sites: SITES,
  another: (at) => ({ name: `wave-${at}` }),
  expectations: joined(
    importExpectations("snapshot"),
    cinderExpectations(SITES, {
      // If a policy forbids the record, the provider only warns. The tag is sent to the same address.
      "403": { record: pending("forbidden", at(1, 2), /answered 403/) },
      "404, in the service's own words": {
        // The test's answer is wrong: the snapshot still exists afterwards.
        create: fails("notFound", at(0, 1), /Volume \S+ could not be found/),
        read: gone(at(1, 0)),
        readBefore: fails("notFound", at(1, 0), /does not exist any more.*\n.*pulumi refresh/),
        rename: fails("notFound", at(1, 0), /could not be found/),
        tag: fails("notFound", at(1, 1), /could not be found/),
        untag: fails("notFound", at(1, 1), /could not be found/),
        delete: ok(at(1, 0)),
      },
      "413 with `Retry-After: 0` (a full quota)": {
        create: fails("refused", at(0, 1), /Maximum number of snapshots allowed.*\n.*quota is full.*openstack quota/),
      },
      "10 MB of garbage": {
        // A 200 to a deletion that does not happen: the backend is asked, not believed. (A key's: the next refresh shows it.)
        delete: fails("failed", at(1, 0), /began to delete snapshot \S+ and took it back/),
      },
    }),
  ),
  lookUp: { volumeId: SEED_VOLUMES.data },
};

export const snapshot: ResourceUnderTest = { ...plain, variants: [reverted(plain)] };
