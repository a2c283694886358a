// LinkedTargetSet in the fault table. Two targets, relinked by the update: all of it is there or nothing is.

import { type Emulator, SEED_SESSIONS } from "../../../emulator/index";
import { ViprClient } from "../../../provider/vipr/client";
import { ViprContext } from "../../../provider/vipr/context";
import { linkedTargetSet as definition } from "../../../provider/vipr/linkedTargetSet/resource";
import {
  type Counts,
  fails,
  ok,
  pending,
  type RequestSite,
  type ResourceUnderTest,
  recorded,
} from "../resourceUnderTest";

const PASSWORD = "planted-pass%word \"8'";

const at = (objects: number, makings: number): Counts => ({ objects, makings });

const TASK = ["id", "name", "description", "state", "progress"];
const SESSION_FIELDS = ["id", "name", "inactive", "parent", "parent.id", "linked_targets"];
const TARGET_FIELDS = [
  "block_snapshot",
  ...["id", "name", "inactive", "tags", "wwn", "native_id", "parent", "parent.id", "provisioned_capacity_gb"].map(
    (field) => `block_snapshot.0.${field}`,
  ),
];
const FOUND_FIELDS = ["resource", "resource.0.id", "resource.0.match"];

const SESSION = "/snapshot-sessions/urn:[^/]+";
const showTask = { method: "GET", path: /\/vdc\/tasks\/urn:[^/]+$/ } as const;
const bulk = { method: "POST", path: /\/block\/snapshots\/bulk$/ } as const;
const search = { method: "GET", path: /\/block\/snapshots\/search\?/ } as const;
const relink = { method: "POST", path: new RegExp(`${SESSION}/relink-targets$`) } as const;

/** The columns of the table, in the order in which the requests are sent. */
const PLACES = {
  login: {
    of: "create",
    role: "login",
    call: { method: "GET", path: /\/vipr\/login$/ },
    shown: "`GET /login`",
    well: () => at(2, 1),
    failed: () => at(0, 0),
    // The token is in a header.
    fields: [],
  },
  list: {
    of: "create",
    role: "question",
    call: search,
    shown: "`GET /block/snapshots/search` (what an interrupted run left)",
    well: () => at(2, 1),
    failed: () => at(0, 0),
    fields: ["resource"],
  },
  make: {
    of: "create",
    role: "make",
    call: { method: "POST", path: new RegExp(`${SESSION}/link-targets$`) },
    shown: "`POST …/link-targets`",
    well: (tries) => at(2, tries),
    failed: (tries) => at(0, tries),
    fields: ["task", ...TASK.map((field) => `task.0.${field}`)],
  },
  poll: {
    of: "create",
    role: "poll",
    call: showTask,
    shown: "`GET /vdc/tasks/{id}` (each look)",
    well: () => at(2, 1),
    failed: () => at(2, 1),
    fields: [...TASK, "message"],
  },
  targets: {
    of: "create",
    role: "poll",
    call: bulk,
    shown: "`POST /block/snapshots/bulk` (which they are)",
    well: () => at(2, 1),
    failed: () => at(2, 1),
    fields: TARGET_FIELDS,
  },
  session: {
    of: "create",
    role: "poll",
    call: { method: "GET", path: new RegExp(`${SESSION}$`) },
    shown: "`GET /block/snapshot-sessions/{id}` (whether they are linked)",
    well: () => at(2, 1),
    failed: () => at(2, 1),
    fields: SESSION_FIELDS,
  },
  tenant: {
    of: "create",
    role: "detour",
    call: { method: "GET", path: /\/vipr\/tenant$/ },
    shown: "`GET /tenant` (which ViPR it is)",
    well: () => at(2, 1),
    failed: () => at(2, 1),
    fields: ["id"],
  },
  record: {
    of: "adopt",
    role: "record",
    call: { method: "PUT", path: /\/block\/snapshots\/urn:[^/]+\/tags$/ },
    shown: "`PUT /block/snapshots/{id}/tags` (the record on an interrupted run's targets)",
    well: () => at(2, 1),
    failed: () => at(2, 0),
    fields: [],
  },
  adopt: {
    of: "adopt",
    role: "rework",
    call: relink,
    shown: "`POST …/relink-targets` after adopting an interrupted run's targets",
    well: (tries) => at(2, tries),
    failed: (tries) => at(2, tries),
    fields: ["task", ...TASK.map((field) => `task.0.${field}`)],
  },
  find: {
    of: "read",
    role: "question",
    call: search,
    shown: "`GET /block/snapshots/search`",
    well: () => at(2, 0),
    failed: () => at(2, 0),
    fields: FOUND_FIELDS,
  },
  read: {
    of: "read",
    role: "question",
    call: bulk,
    shown: "`POST /block/snapshots/bulk`",
    well: () => at(2, 0),
    failed: () => at(2, 0),
    fields: TARGET_FIELDS,
  },
  look: {
    of: "update",
    role: "question",
    call: bulk,
    shown: "`POST /block/snapshots/bulk`",
    well: () => at(2, 1),
    failed: () => at(2, 0),
    fields: TARGET_FIELDS,
  },
  relink: {
    of: "update",
    role: "rework",
    call: relink,
    shown: "`POST …/relink-targets`",
    well: (tries) => at(2, tries),
    failed: (tries) => at(2, tries),
    fields: ["task", ...TASK.map((field) => `task.0.${field}`)],
  },
  // It makes nothing, and is not to be sent twice either.
  remove: {
    of: "delete",
    role: "make",
    call: { method: "POST", path: new RegExp(`${SESSION}/unlink-targets$`) },
    shown: "`POST …/unlink-targets`",
    well: (tries) => at(0, tries),
    failed: (tries) => at(2, tries),
    fields: TASK,
  },
  vanish: {
    of: "delete",
    role: "vanish",
    call: showTask,
    shown: "`GET /vdc/tasks/{id}` (until they are unlinked)",
    well: () => at(0, 1),
    failed: () => at(0, 1),
    fields: [...TASK, "message"],
  },
} as const satisfies Record<string, RequestSite>;

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
  makings: "POSTs of link, relink and unlink that reached ViPR",
  definition,
  hidden: {
    __owner: "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:LinkedTargetSet::dev",
    __provider: "exports.handler=()=>require('pulumi-snapclone/dynamic/v1')",
  },
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
  places: PLACES,
  cells: {
    // A user who may not tag: the record costs a warning.
    "403": { record: ok(at(2, 1)) },
    "404, in the service's own words": {
      login: fails("notFound", at(0, 0), /Unable to find entity/),
      list: fails("notFound", at(0, 0), /Unable to find entity/),
      // The sessions of the targets' source are asked for instead.
      session: ok(at(2, 1)),
      // A member that has gone is for the next look to see.
      record: ok(at(2, 1)),
      make: fails("refused", at(0, 1), /there is no snapshot session urn/),
      // Tasks are kept for seven days: one that is gone has ended, and the targets tell how.
      poll: ok(at(2, 1)),
      // That one thing is missing does not make the set gone.
      targets: pending("refused", at(2, 1), /Unable to find entity/),
      adopt: recorded("refused", at(2, 1), /Unable to find entity/),
      find: fails("notFound", at(2, 0), /Unable to find entity/),
      read: fails("notFound", at(2, 0), /Unable to find entity/),
      look: fails("notFound", at(2, 0), /Unable to find entity/),
      relink: recorded("refused", at(2, 1), /Unable to find entity/),
      // Looked again: they are still linked.
      remove: fails("refused", at(2, 2), /Unable to find entity/),
      vanish: ok(at(0, 1)),
    },
    // The body of the login is read to its end, although nothing in it is used.
    "a trickle (a byte each 200 ms)": {
      login: fails("transient", at(0, 0), /did not answer in time/),
      record: pending("transient", at(2, 0), /did not answer in time/),
    },
    // A 200 without a token.
    "10 MB of garbage": { login: fails("malformed", at(0, 0), /without a token.*\n.*443 is the portal/) },
    "an object in a status nobody has heard of": {
      // Only tasks have a state.
      targets: ok(at(2, 1)),
      session: ok(at(2, 1)),
      // They are unlinked, and nothing says that the task has ended.
      vanish: fails("deadline", at(0, 1), /seen: .*quantum-folding/),
    },
  },

  ready: (emulator) => {
    emulator.viprAuth.addUser({ name: "root", password: PASSWORD, role: "admin" });
  },
  open: (emulator, clock, http) => {
    const { url, username } = emulator.viprLogin.connection();
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
  settle: (emulator) => emulator.vipr.settle(),
  statuses: (emulator: Emulator) =>
    emulator.vipr.active().map(({ wwn }) => (wwn === undefined ? "prepared" : "linked")),
  fine: "linked",
  wanted: 2,
  missing: () => ({ status: 404, body: error(2000, "Unable to find entity in request URL", MISSING) }),
  quota: () => ({
    status: 413,
    headers: { "Retry-After": "0" },
    body: error(
      1008,
      "Parameter was provided but invalid",
      "The requested linked_targets count 2 would exceed the maximum",
    ),
  }),
  statusField: "state",
  // What it made all the same is told at the end of the run, as being in no state.
  believesRefusals: true,
  words: ["ready", "pending", "error", "suspended_no_error", "queued"],
};

function isMaking({ operation }: { operation: string }): boolean {
  return /^sessions\.(link|unlink|relink)$/.test(operation);
}
