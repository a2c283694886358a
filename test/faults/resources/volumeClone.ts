// VolumeClone in the fault table: a set of three, so that the provider polls their deletion by lists.

import { SEED_VOLUMES } from "../../../emulator/index";
import { volumeClone as definition } from "../../../provider/powervc/volumeClone/resource";
import {
  joined,
  LOGIN_EXPECTATIONS,
  loginSite,
  notFound,
  openPowerVc,
  PASSWORD,
  quotaExceeded,
  secretsOf,
} from "../openstackSites";
import { at, fails, ok, type RequestSite, type ResourceUnderTest } from "../resourceUnderTest";
import { del, get, hiddenInputs, post, put, request, within } from "../sites";

const TEMP = "33333333-3333-4333-8333-333333333333";
const otherSources = (at: number) =>
  SOURCES.map((_, index) => `4444444${index}-bec0-4e6d-a5ba-${String(at).padStart(12, "0")}`);
const SOURCES = [SEED_VOLUMES.data, SEED_VOLUMES.logs, TEMP];
/** Any but the sources. */
const CLONE = `/volumes/(?!${SOURCES.join("|")})[0-9a-f-]{36}`;

const VOLUME_FIELDS = within("volume", [
  "id",
  "status",
  "size",
  "name",
  "description",
  "metadata",
  "attachments",
  "volume_type",
  "group_id",
  "source_volid",
  "created_at",
]);

/** The clones of one set, by their metadata. */
const ofSet = get(/\/volumes\/detail\?metadata=/);

/** The columns of the table, in the order in which the requests are sent. */
const SITES = {
  login: loginSite([3, 1], ["token", "token.expires_at", "token.project", "token.project.id", "token.catalog"]),
  list: request(
    "create",
    "query",
    get(/\/volumes\/detail(\?limit=\d+)?$/),
    "`GET /volumes/detail` (what an interrupted run left)",
    ["volumes", "volumes.0.id", "volumes.0.metadata", "volumes.0.name"],
    { success: [3, 1], failure: [0, 0] },
  ),
  pendingRecord: request(
    "create",
    "query",
    post(new RegExp(`/volumes/${SOURCES[0]}/metadata$`)),
    "`POST /volumes/{id}/metadata` (the pending record on the first source)",
    ["metadata"],
    { success: [3, 1], failure: [0, 0], idempotent: true },
  ),
  create: request(
    "create",
    "create",
    post(/\/clone-volumes$/),
    "`POST /clone-volumes`",
    ["clone-volumes", "clone-volumes.task_uri"],
    { success: [3, 0], failure: [0, 0], counted: true },
  ),
  poll: request(
    "create",
    "poll",
    get(/\/clone-volumes\/get_progress\?/),
    "`GET /clone-volumes/get_progress` (each poll)",
    ["details", "details.results", "details.completed_tasks", "pending_tasks", "progress", "flow_details"],
    { success: [3, 1], failure: [3, 1] },
  ),
  importFind: request(
    "import",
    "fallback",
    get(/\/volumes\/detail/),
    "`GET /volumes/detail` (the clones)",
    ["volumes", "volumes.0.id", "volumes.0.metadata", "volumes.0.name"],
    { success: [3, 0], failure: [3, 0] },
  ),
  importRecord: request(
    "import",
    "change",
    post(new RegExp(`${CLONE}/metadata$`)),
    "`POST /volumes/{id}/metadata` (the ownership record of each clone)",
    ["metadata"],
    { success: [3, 0], failure: [3, 0] },
  ),
  importRename: request(
    "import",
    "change",
    put(new RegExp(`${CLONE}$`)),
    "`PUT /volumes/{id}` (each clone)",
    VOLUME_FIELDS,
    {
      success: [3, 0],
      failure: [3, 0],
    },
  ),
  read: request(
    "read",
    "fallback",
    ofSet,
    "`GET /volumes/detail?metadata=…` (the clones)",
    ["volumes", "volumes.0.id", "volumes.0.metadata", "volumes.0.name"],
    { success: [3, 0], failure: [3, 0] },
  ),
  readBefore: request(
    "update",
    "fallback",
    ofSet,
    "`GET /volumes/detail?metadata=…` (the clones)",
    ["volumes", "volumes.0.id", "volumes.0.metadata", "volumes.0.name"],
    { success: [3, 0], failure: [3, 0] },
  ),
  rename: request("update", "change", put(new RegExp(`${CLONE}$`)), "`PUT /volumes/{id}` (each clone)", VOLUME_FIELDS, {
    success: [3, 0],
    failure: [3, 0],
  }),
  delete: request("delete", "delete", del(new RegExp(`${CLONE}$`)), "`DELETE /volumes/{id}` (each clone)", [], {
    success: [0, 0],
    failure: [3, 0],
  }),
  awaitGone: request(
    "delete",
    "awaitGone",
    get(/\/volumes\/detail($|\?status=deleting|\?limit=)/),
    "`GET /volumes/detail` (until they are gone)",
    ["volumes"],
    { success: [0, 0], failure: [0, 0] },
  ),
} satisfies Record<string, RequestSite>;

const MISSING = "Volume 9b9e0504-bec0-4e6d-a5ba-83cce6a19555 could not be found.";
const NO_TASK = "Task 84a0bb4d-4644-40b0-b45a-00d2d0d75b2a could not be found.";
const QUOTA = "VolumeLimitExceeded: Maximum number of volumes allowed (10) exceeded";

export const volumeClone: ResourceUnderTest = {
  title: "VolumeClone",
  objects: "clones",
  creates: "`POST /clone-volumes` that reached PowerVC",
  definition,
  hidden: hiddenInputs("VolumeClone", "before"),
  before: { volumes: SOURCES, displayName: "before" },
  after: { volumes: SOURCES, displayName: "after", description: "changed" },
  imported: {
    make: ({ cinder }) =>
      SOURCES.map((source_volid) => cinder.createVolume({ name: "by hand", size: 5, source_volid }).id).join(),
    inputs: { volumes: SOURCES, displayName: "before" },
  },
  sites: SITES,
  // A volume can be in one clone task at a time.
  another: (at) => ({ volumes: otherSources(at), displayName: `wave-${at}` }),
  prepareAnother: ({ cinder }, at) => {
    for (const id of otherSources(at)) cinder.createVolume({ id });
  },
  expectations: joined(LOGIN_EXPECTATIONS, {
    "403": {
      // The state has the clones, and a warning says so.
      importRecord: ok(at(3, 0)),
      // Where a policy allows no list, each volume is fetched by itself.
      awaitGone: ok(at(0, 0)),
    },
    "404, in the service's own words": {
      create: fails("notFound", at(0, 1), /Volume \S+ could not be found/),
      // PowerVC has forgotten the task. The volumes show that the clones exist.
      poll: ok(at(3, 1)),
      // The test's answer is wrong: the object still exists afterwards.
      rename: fails("notFound", at(3, 0), /could not be found/),
      delete: ok(at(3, 0)),
      awaitGone: ok(at(0, 0)),
    },
    "404 of somebody else (a proxy, a wrong address)": {
      // PowerVC has given the task's id, so this 404 does not mean that it has no tasks. The volumes show the outcome.
      poll: ok(at(3, 1)),
    },
    "10 MB of garbage": {
      // A 200 to a deletion that does not happen. The provider reads the object before it believes that.
      delete: fails("failed", at(3, 0), /began to delete volume \S+ and took it back/),
    },
  }),

  prepare: (emulator) => {
    emulator.keystone.userNamed("demo").password = PASSWORD;
    emulator.cinder.createVolume({ id: TEMP, name: "temp", size: 5 });
  },
  open: (emulator, clock, http) => openPowerVc(emulator.openstack.authUrl, clock, http),
  secrets: secretsOf,
  count: (emulator) => {
    const clones = [...emulator.cinder.volumes.keys()].filter((id) => !SOURCES.includes(id));
    return at(clones.length, emulator.requests.count({ operation: "clones.create" }));
  },
  advance: (emulator) => emulator.powervc.advance(),
  statuses: (emulator) =>
    [...emulator.cinder.volumes.values()].filter(({ id }) => !SOURCES.includes(id)).map(({ status }) => status),
  healthyStatus: "available",
  expectedCount: 3,
  notFound: (site) => notFound(site, site === "poll" ? NO_TASK : MISSING),
  quotaExceeded: (site) => quotaExceeded(site, QUOTA),
  // The provider removes the pending record when PowerVC refuses the create.
  trustsRefusals: true,
  statusField: "cloneFlow",
  // No status of a finished flow: the provider would trust it while the flow is still running.
  statusWords: ["creating", "available", "in-use", "error", "deleting", "RUNNING", "PENDING", "REVERTING"],
};
