// VolumeFromSnapshot in the fault table.

import type { Emulator } from "../../../emulator/index";
import { SEED_VOLUMES } from "../../../emulator/index";
import { volumeFromSnapshot as definition } from "../../../provider/openstack/volumeFromSnapshot/resource";
import {
  cinderExpectations,
  importExpectations,
  joined,
  loginSite,
  notFound,
  ON_CINDER,
  PASSWORD,
  postsOf,
  quotaExceeded,
  versionsSite,
  volumeSites,
} from "../openstackSites";
import { at, fails, gone, ok, pending, type RequestSite, type ResourceUnderTest, recorded } from "../resourceUnderTest";
import { get, hiddenInputs, post, request, within } from "../sites";

const SNAPSHOT_ID = "9b9e0504-bec0-4e6d-a5ba-83cce6a19555";

const { sites } = volumeSites(3);

/** The columns of the table, in the order in which the requests are sent. */
const SITES = {
  login: loginSite([1, 1]),
  versions: versionsSite([1, 1]),
  list: sites.list,
  snapshot: request(
    "create",
    "query",
    get(/\/snapshots\/[0-9a-f-]{36}$/),
    "`GET /snapshots/{id}` (its size)",
    within("snapshot", ["id", "size"]),
    { success: [1, 1], failure: [0, 0] },
  ),
  create: sites.create,
  poll: sites.poll,
  record: sites.record,
  importFind: sites.importFind,
  importRecord: sites.importRecord,
  importRename: sites.importRename,
  read: sites.read,
  readBefore: sites.readBefore,
  rename: sites.rename,
  tag: sites.tag,
  untag: sites.untag,
  extend: request(
    "update",
    "changeOnce",
    post(/\/volumes\/[0-9a-f-]{36}\/action$/),
    "`POST /volumes/{id}/action` (`os-extend`)",
    [],
    { success: [1, 2], failure: [1, 2], counted: true },
  ),
  delete: sites.delete,
  awaitGone: sites.awaitGone,
} satisfies Record<string, RequestSite>;

const MISSING = `Volume ${SNAPSHOT_ID} could not be found.`;
const NO_SNAPSHOT = `Snapshot ${SNAPSHOT_ID} could not be found.`;
const QUOTA = "VolumeLimitExceeded: Maximum number of volumes allowed (10) exceeded for quota 'volumes'.";

export const volumeFromSnapshot: ResourceUnderTest = {
  ...ON_CINDER,
  title: "VolumeFromSnapshot",
  objects: "volumes made from the snapshot",
  definition,
  hidden: hiddenInputs("VolumeFromSnapshot", "restored"),
  before: { snapshotId: SNAPSHOT_ID, name: "restored", sizeGiB: 12, metadata: { tier: "gold", old: "x" } },
  after: { snapshotId: SNAPSHOT_ID, name: "kept", sizeGiB: 15, metadata: { tier: "silver" } },
  imported: {
    make: ({ cinder }) => {
      const given = { size: 12, snapshot_id: SNAPSHOT_ID, metadata: { tier: "gold" } };
      return cinder.createVolume({ name: "by hand", ...given }).id;
    },
    inputs: { snapshotId: SNAPSHOT_ID, name: "restored", metadata: { tier: "gold" } },
  },
  sites: SITES,
  another: (at) => ({ name: `wave-${at}` }),
  expectations: joined(
    importExpectations("volume from a snapshot"),
    cinderExpectations(SITES, {
      // If a policy forbids the record, the provider only warns. The tag is sent to the same address.
      "403": { record: pending("forbidden", at(1, 2), /answered 403/) },
      "404, in the service's own words": {
        snapshot: fails("notFound", at(0, 0), /Snapshot \S+ could not be found/),
        create: fails("notFound", at(0, 1), /Snapshot \S+ could not be found/),
        read: gone(at(1, 0)),
        readBefore: fails("notFound", at(1, 0), /does not exist any more.*\n.*pulumi refresh/),
        rename: fails("notFound", at(1, 0), /could not be found/),
        tag: fails("notFound", at(1, 1), /could not be found/),
        untag: fails("notFound", at(1, 1), /could not be found/),
        extend: fails("notFound", at(1, 3), /could not be found/),
        delete: ok(at(1, 0)),
      },
      "413 with `Retry-After: 0` (a full quota)": {
        create: fails("refused", at(0, 1), /Maximum number of volumes allowed.*\n.*quota is full.*openstack quota/),
      },
      "10 MB of garbage": {
        // A 200 to what does not happen: the backend is asked, not believed.
        extend: recorded("failed", at(1, 3), /could not grow volume \S+ from 12 to 15 GiB/),
        delete: fails("failed", at(1, 0), /began to delete volume \S+ and took it back/),
      },
    }),
  ),

  prepare: (emulator) => {
    emulator.keystone.userNamed("demo").password = PASSWORD;
    emulator.cinder.createSnapshot({ id: SNAPSHOT_ID, volume_id: SEED_VOLUMES.data });
  },
  count: (emulator) => at(restored(emulator).length, postsOf(emulator)),
  statuses: (emulator) => restored(emulator).map(({ status }) => status),
  notFound: (site) => notFound(site, site === "create" || site === "snapshot" ? NO_SNAPSHOT : MISSING),
  quotaExceeded: (site) => quotaExceeded(site, QUOTA),
  statusWords: ["creating", "available", "in-use", "extending", "error", "deleting", "error_deleting", "AVAILABLE"],
};

function restored({ cinder }: Emulator) {
  return [...cinder.volumes.values()].filter(({ snapshot_id }) => snapshot_id !== null);
}
