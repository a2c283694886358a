// LinkedTargetSet in the fault table. Two targets, relinked by the update: all of it is there or nothing is.

import { type Emulator, SEED_SESSIONS } from "../../../emulator/index";
import { ViprClient } from "../../../provider/vipr/client";
import { ViprContext } from "../../../provider/vipr/context";
import { linkedTargetSet as definition } from "../../../provider/vipr/linkedTargetSet/resource";
import { at, fails, ok, pending, type RequestSite, type ResourceUnderTest, recorded } from "../resourceUnderTest";
import { get, hiddenInputs, post, put, request, withinFirst } from "../sites";

const PASSWORD = "planted-pass%word \"8'";

const TASK = ["id", "name", "description", "state", "progress"];
const SESSION_FIELDS = ["id", "name", "inactive", "parent", "parent.id", "linked_targets"];
const TARGET_FIELDS = withinFirst("block_snapshot", [
  ...["id", "name", "inactive", "tags", "wwn", "native_id", "parent", "parent.id", "provisioned_capacity_gb"],
]);
const FOUND_FIELDS = ["resource", "resource.0.id", "resource.0.match"];

const SESSION = "/snapshot-sessions/urn:[^/]+";
const showTask = get(/\/vdc\/tasks\/urn:[^/]+$/);
const bulk = post(/\/block\/snapshots\/bulk$/);
const search = get(/\/block\/snapshots\/search\?/);
const relink = post(new RegExp(`${SESSION}/relink-targets$`));

/** The columns of the table, in the order in which the requests are sent. */
const SITES = {
  // The token is in a header.
  login: request("create", "login", get(/\/vipr\/login$/), "`GET /login`", [], { success: [2, 1], failure: [0, 0] }),
  list: request(
    "create",
    "query",
    search,
    "`GET /block/snapshots/search` (what an interrupted run left)",
    ["resource"],
    { success: [2, 1], failure: [0, 0] },
  ),
  create: request(
    "create",
    "create",
    post(new RegExp(`${SESSION}/link-targets$`)),
    "`POST …/link-targets`",
    withinFirst("task", TASK),
    { success: [2, 0], failure: [0, 0], counted: true },
  ),
  poll: request("create", "poll", showTask, "`GET /vdc/tasks/{id}` (each poll)", [...TASK, "message"], {
    success: [2, 1],
    failure: [2, 1],
  }),
  targets: request("create", "poll", bulk, "`POST /block/snapshots/bulk` (which they are)", TARGET_FIELDS, {
    success: [2, 1],
    failure: [2, 1],
  }),
  session: request(
    "create",
    "poll",
    get(new RegExp(`${SESSION}$`)),
    "`GET /block/snapshot-sessions/{id}` (whether they are linked)",
    SESSION_FIELDS,
    { success: [2, 1], failure: [2, 1] },
  ),
  tenant: request("create", "fallback", get(/\/vipr\/tenant$/), "`GET /tenant` (which ViPR it is)", ["id"], {
    success: [2, 1],
    failure: [2, 1],
  }),
  record: request(
    "adopt",
    "record",
    put(/\/block\/snapshots\/urn:[^/]+\/tags$/),
    "`PUT /block/snapshots/{id}/tags` (the record on an interrupted run's targets)",
    [],
    { success: [2, 1], failure: [2, 0] },
  ),
  adopt: request(
    "adopt",
    "changeOnce",
    relink,
    "`POST …/relink-targets` after adopting an interrupted run's targets",
    withinFirst("task", TASK),
    { success: [2, 0], failure: [2, 0], counted: true },
  ),
  importSession: request(
    "import",
    "query",
    get(new RegExp(`${SESSION}$`)),
    "`GET /block/snapshot-sessions/{id}`",
    SESSION_FIELDS,
    { success: [2, 0], failure: [2, 0] },
  ),
  importTargets: request("import", "query", bulk, "`POST /block/snapshots/bulk`", TARGET_FIELDS, {
    success: [2, 0],
    failure: [2, 0],
  }),
  importTasks: request(
    "import",
    "query",
    get(new RegExp(`${SESSION}/tasks$`)),
    "`GET /block/snapshot-sessions/{id}/tasks`",
    ["task"],
    { success: [2, 0], failure: [2, 0] },
  ),
  importRecord: request(
    "import",
    "change",
    put(/\/block\/snapshots\/urn:[^/]+\/tags$/),
    "`PUT /block/snapshots/{id}/tags` (the ownership record)",
    [],
    { success: [2, 0], failure: [2, 0] },
  ),
  find: request("read", "query", search, "`GET /block/snapshots/search`", FOUND_FIELDS, {
    success: [2, 0],
    failure: [2, 0],
  }),
  read: request("read", "query", bulk, "`POST /block/snapshots/bulk`", TARGET_FIELDS, {
    success: [2, 0],
    failure: [2, 0],
  }),
  readBefore: request("update", "query", bulk, "`POST /block/snapshots/bulk`", TARGET_FIELDS, {
    success: [2, 1],
    failure: [2, 0],
  }),
  relink: request("update", "changeOnce", relink, "`POST …/relink-targets`", withinFirst("task", TASK), {
    success: [2, 0],
    failure: [2, 0],
    counted: true,
  }),
  // It creates nothing, but must not be sent twice either.
  delete: request("delete", "create", post(new RegExp(`${SESSION}/unlink-targets$`)), "`POST …/unlink-targets`", TASK, {
    success: [0, 0],
    failure: [2, 0],
    counted: true,
  }),
  awaitGone: request(
    "delete",
    "awaitGone",
    showTask,
    "`GET /vdc/tasks/{id}` (until they are unlinked)",
    [...TASK, "message"],
    { success: [0, 1], failure: [0, 1] },
  ),
} satisfies Record<string, RequestSite>;

const MISSING =
  "Unable to find entity specified in URL with the given id urn:storageos:BlockSnapshot:9b9e0504-bec0-4e6d-a5ba-83cce6a19555:vdc1";
const error = (code: number, description: string, details: string): object => ({
  code,
  retryable: false,
  description,
  details,
});

export const linkedTargetSet: ResourceUnderTest = {
  title: "LinkedTargetSet",
  objects: "targets",
  creates: "POSTs of link, relink and unlink that reached ViPR",
  definition,
  hidden: hiddenInputs("LinkedTargetSet", "dev"),
  before: {
    snapshotSessionId: SEED_SESSIONS.monday,
    targetName: "dev",
    count: 2,
    copyMode: "copy",
    deleteTargetsOnUnlink: true,
  },
  after: {
    snapshotSessionId: SEED_SESSIONS.tuesday,
    targetName: "dev",
    count: 2,
    copyMode: "copy",
    deleteTargetsOnUnlink: true,
  },
  imported: {
    make: ({ vipr }) => {
      const names = ["by hand", "by hand, too"].map((label) => vipr.linkNow(SEED_SESSIONS.monday, label).id);
      return [SEED_SESSIONS.monday, ...names].join();
    },
    inputs: { snapshotSessionId: SEED_SESSIONS.monday, targetName: "dev", count: 2, copyMode: "copy" },
  },
  sites: SITES,
  another: (at) => ({ targetName: `wave-${at}` }),
  expectations: {
    // If the user may not tag, the provider only warns.
    "403": { record: ok(at(2, 1)), importRecord: ok(at(2, 0)) },
    "404, in the service's own words": {
      login: fails("notFound", at(0, 0), /Unable to find entity/),
      list: fails("notFound", at(0, 0), /Unable to find entity/),
      // The provider reads the sessions of the targets' source instead.
      session: ok(at(2, 1)),
      // The next read notices a target that is gone.
      record: ok(at(2, 1)),
      create: fails("refused", at(0, 1), /there is no snapshot session urn/),
      // ViPR keeps tasks for seven days. A task that is gone has ended, and the targets show how.
      poll: ok(at(2, 1)),
      // The set is not gone because one target is missing.
      targets: pending("refused", at(2, 1), /Unable to find entity/),
      adopt: recorded("refused", at(2, 1), /Unable to find entity/),
      importSession: fails("input", at(2, 0), /there is no snapshot session \S+, or this login may not see it/),
      importTargets: fails("notFound", at(2, 0), /Unable to find entity/),
      importTasks: fails("notFound", at(2, 0), /Unable to find entity/),
      // The next read notices a target that is gone.
      importRecord: ok(at(2, 0)),
      find: fails("notFound", at(2, 0), /Unable to find entity/),
      read: fails("notFound", at(2, 0), /Unable to find entity/),
      readBefore: fails("notFound", at(2, 0), /Unable to find entity/),
      relink: recorded("refused", at(2, 1), /Unable to find entity/),
      // The provider reads the targets again: they are still linked.
      delete: fails("refused", at(2, 2), /Unable to find entity/),
      awaitGone: ok(at(0, 1)),
    },
    // The body of the login is read to its end, although nothing in it is used.
    "a trickle (a byte each 200 ms)": {
      login: fails("transient", at(0, 0), /did not answer in time/),
      record: pending("transient", at(2, 0), /did not answer in time/),
      importRecord: recorded("transient", at(2, 0), /did not answer in time/),
    },
    // A 200 without a token.
    "10 MB of garbage": { login: fails("malformed", at(0, 0), /without a token.*\n.*443 is the portal/) },
    "an object in a status nobody has heard of": {
      // Only tasks have a state.
      targets: ok(at(2, 1)),
      session: ok(at(2, 1)),
      // They are unlinked, and nothing says that the task has ended.
      awaitGone: fails("deadline", at(0, 1), /seen: .*quantum-folding/),
    },
  },

  prepare: (emulator) => {
    emulator.vipr.auth.addUser({ name: "root", password: PASSWORD, role: "admin" });
  },
  open: (emulator, clock, http) => {
    const { url, username } = emulator.vipr.connection();
    const settings = {
      url,
      username,
      password: PASSWORD,
      tls: { insecure: false },
      source: "stack config snapclone:connections.default",
      sourceKind: "stackConfig" as const,
      warnings: [],
    };
    return new ViprContext(new ViprClient(settings, { clock, http }), clock);
  },
  secrets: () => [PASSWORD, encodeURIComponent(PASSWORD), Buffer.from(`root:${PASSWORD}`).toString("base64"), "BAAc"],
  count: (emulator) => at(emulator.vipr.active().length, emulator.requests.count(isMaking)),
  advance: (emulator) => emulator.vipr.advance(),
  statuses: (emulator: Emulator) =>
    emulator.vipr.active().map(({ wwn }) => (wwn === undefined ? "prepared" : "linked")),
  healthyStatus: "linked",
  expectedCount: 2,
  notFound: () => ({ status: 404, body: error(2000, "Unable to find entity in request URL", MISSING) }),
  quotaExceeded: () => ({
    status: 413,
    headers: { "Retry-After": "0" },
    body: error(
      1008,
      "Parameter was provided but invalid",
      "The requested linked_targets count 2 would exceed the maximum",
    ),
  }),
  statusField: "state",
  // If ViPR has created something all the same, the end of the run reports it as being in no state.
  trustsRefusals: true,
  statusWords: ["ready", "pending", "error", "suspended_no_error", "queued"],
};

function isMaking({ operation }: { operation: string }): boolean {
  return /^sessions\.(link|unlink|relink)$/.test(operation);
}
