// ClonedVm in the fault table.

import { ZSTACK_SEED } from "../../../emulator/index";
import { clonedVm as definition } from "../../../provider/zstack/clonedVm/resource";
import { resolveZStack } from "../../../provider/zstack/connection";
import { ZStackContext } from "../../../provider/zstack/context";
import { everywhere, type Rule } from "../faults";
import {
  type Answer,
  at,
  type Expectation,
  fails,
  ok,
  type RequestSite,
  type ResourceUnderTest,
  recorded,
} from "../resourceUnderTest";
import { del, get, hiddenInputs, post, put, request, withinFirst } from "../sites";

const PASSWORD = "planted-pass%word \"9'";

const VM = `/vm-instances/(?!${ZSTACK_SEED.web})[0-9a-f]{32}`;
const TAG_FIELDS = ["inventories", "inventories.0.uuid", "inventories.0.resourceUuid", "inventories.0.tag"];
const VM_FIELDS = withinFirst("inventories", [
  "uuid",
  "name",
  "state",
  "description",
  "zoneUuid",
  "clusterUuid",
  "hostUuid",
  "rootVolumeUuid",
  "vmNics",
  "vmNics.0.uuid",
  "vmNics.0.ip",
  "vmNics.0.mac",
  "vmNics.0.l3NetworkUuid",
  "allVolumes",
  "allVolumes.0.uuid",
  "allVolumes.0.name",
  "allVolumes.0.type",
  "allVolumes.0.size",
  "allVolumes.0.primaryStorageUuid",
]);

/** The columns of the table, in the order in which the requests are sent. */
const SITES = {
  login: request(
    "create",
    "login",
    put(/\/accounts\/login$/),
    "`PUT /accounts/login`",
    ["inventory", "inventory.uuid"],
    { success: [1, 1], failure: [0, 0] },
  ),
  list: request(
    "create",
    "query",
    get(/\/user-tags\?q=tag%7E%3Dsnapclone%3A%3A%25%3A%3Aurn/),
    "`GET /user-tags` (what this stack owns)",
    ["inventories"],
    { success: [1, 1], failure: [0, 0] },
  ),
  // With the same job id it is the same request.
  create: request(
    "create",
    "create",
    put(new RegExp(`/vm-instances/${ZSTACK_SEED.web}/actions$`)),
    "`PUT /vm-instances/{uuid}/actions` (clone)",
    [],
    { success: [1, 0], failure: [0, 0], counted: true, idempotent: true },
  ),
  poll: request(
    "create",
    "poll",
    get(/\/vm-instances\?q=name/),
    "`GET /vm-instances` (what has come of it)",
    VM_FIELDS,
    { success: [1, 1], failure: [1, 1] },
  ),
  adopt: request(
    "adopt",
    "change",
    put(new RegExp(`${VM}/actions$`)),
    "`PUT /vm-instances/{uuid}/actions` (update) after adopting an interrupted run's clones",
    [],
    { success: [1, 0], failure: [1, 0] },
  ),
  importFind: request("import", "query", get(/\/vm-instances\?q=uuid/), "`GET /vm-instances`", VM_FIELDS, {
    success: [1, 0],
    failure: [1, 0],
  }),
  importTags: request("import", "query", get(/\/user-tags\?/), "`GET /user-tags`", ["inventories"], {
    success: [1, 0],
    failure: [1, 0],
  }),
  importRecord: request("import", "change", post(/\/user-tags$/), "`POST /user-tags` (the ownership record)", [], {
    success: [1, 0],
    failure: [1, 0],
  }),
  importRename: request(
    "import",
    "change",
    put(new RegExp(`${VM}/actions$`)),
    "`PUT /vm-instances/{uuid}/actions` (update)",
    [],
    { success: [1, 0], failure: [1, 0] },
  ),
  read: request("read", "query", get(/\/vm-instances\?q=uuid/), "`GET /vm-instances`", VM_FIELDS, {
    success: [1, 0],
    failure: [1, 0],
  }),
  tags: request("update", "query", get(/\/user-tags\?/), "`GET /user-tags` (what belongs to the set)", TAG_FIELDS, {
    success: [1, 0],
    failure: [1, 0],
  }),
  rename: request(
    "update",
    "change",
    put(new RegExp(`${VM}/actions$`)),
    "`PUT /vm-instances/{uuid}/actions` (update)",
    [],
    { success: [1, 0], failure: [1, 0] },
  ),
  delete: request("delete", "delete", del(new RegExp(`${VM}\\?`)), "`DELETE /vm-instances/{uuid}`", [], {
    success: [0, 0],
    failure: [1, 0],
  }),
} satisfies Record<string, RequestSite>;

const expectationsBy = (rule: Rule): Record<string, Expectation> =>
  Object.fromEntries(Object.entries(SITES).map(([name, site]) => [name, rule(site)]));

/**
 * The provider asks for the job, whose id it has chosen, and then sends the request once more with the same id
 * (docs/wire/zstack.md#s5).
 */
const lost = (says = /does not know the job/) => ({ create: fails("notFound", at(0, 2), says) });
/**
 * A 503 with its own JSON is ZStack's "no" (docs/wire/zstack.md#s2-6), and not one that passes: only questions are
 * asked again.
 */
const no = {
  login: fails("refused", at(0, 0), /SYS\.1000/),
  create: fails("refused", at(0, 1), /SYS\.1000/),
  adopt: recorded("refused", at(1, 0), /SYS\.1000/),
  importRecord: recorded("refused", at(1, 0), /SYS\.1000/),
  importRename: recorded("refused", at(1, 0), /SYS\.1000/),
  rename: recorded("refused", at(1, 0), /SYS\.1000/),
  delete: fails("refused", at(1, 0), /SYS\.1000/),
};

export const clonedVm: ResourceUnderTest = {
  title: "ClonedVm",
  objects: "clones",
  creates: "calls to clone that reached ZStack",
  definition,
  hidden: hiddenInputs("ClonedVm", "web"),
  before: { vmInstanceUuid: ZSTACK_SEED.web, names: ["web-1"], description: "one" },
  after: { vmInstanceUuid: ZSTACK_SEED.web, names: ["web-1"], description: "two" },
  imported: {
    make: ({ zstack }) => {
      const vm = zstack.addVm({ name: "web-by-hand", state: "Running", description: "one" });
      zstack.furnish(vm);
      return vm.uuid;
    },
    inputs: { vmInstanceUuid: ZSTACK_SEED.web, names: ["web-1"], description: "one" },
  },
  sites: SITES,
  another: (at) => ({ names: [`web-wave-${at}`] }),
  expectations: {
    // The state has the VMs, and a warning says so.
    "403": { importRecord: ok(at(1, 0)) },
    "404, in the service's own words": {
      // A query finds an empty list, never nothing: of a question this word proves nothing (docs/wire/zstack.md#s9-5).
      ...expectationsBy(everywhere("refused", /SYS\.1003: could not be found/)),
      login: fails("notFound", at(0, 0), /SYS\.1003/),
      create: fails("notFound", at(0, 1), /SYS\.1003/),
      // One VM is missing, which is not the whole set.
      adopt: recorded("failed", at(1, 0), /"web-1" vanished: .*SYS\.1003/),
      importRecord: recorded("failed", at(1, 0), /"web-1" vanished: .*SYS\.1003/),
      importRename: recorded("failed", at(1, 0), /"web-1" vanished: .*SYS\.1003/),
      rename: recorded("failed", at(1, 0), /"web-1" vanished: .*SYS\.1003/),
      // The test's answer is wrong: the VM still exists, and the provider polls until the deadline.
      delete: fails("deadline", at(1, 0), /waited [12] min.* for "web-1" to be gone; seen: .*web-1 Running/),
    },
    "500": lost(),
    "502 with HTML": lost(),
    "503, once": no,
    "503, for ever": no,
    // The second request arrives.
    "a reset before the answer, once": { create: ok(at(1, 2)) },
    "a reset before the answer, for ever": lost(),
    "a hang": lost(),
    "a trickle (a byte each 200 ms)": {
      // Carried out, and all that is wanted of the answer is that it has come: three times it does not.
      adopt: recorded("transient", at(1, 0), /did not answer in time/),
      importRecord: recorded("transient", at(1, 0), /did not answer in time/),
      importRename: recorded("transient", at(1, 0), /did not answer in time/),
      rename: recorded("transient", at(1, 0), /did not answer in time/),
      delete: fails("transient", at(0, 0), /did not answer in time/),
    },
    "10 MB of garbage": {
      ...lost(),
      // A change that is not accepted in words that ZStack could say has failed.
      adopt: recorded("malformed", at(1, 0), /larger than any/),
      importRecord: recorded("malformed", at(1, 0), /larger than any/),
      importRename: recorded("malformed", at(1, 0), /larger than any/),
      rename: recorded("malformed", at(1, 0), /larger than any/),
      delete: fails("malformed", at(1, 0), /larger than any/),
    },
    "a redirect to another origin": {
      ...lost(),
      login: fails("config", at(0, 0), /the address has moved.*\n.*snapclone:connections/),
    },
    "599, a status nobody has heard of": lost(),
    "an object in a status nobody has heard of": {
      importFind: fails("refused", at(1, 0), /is in state quantum-folding; nothing was changed/),
    },
  },

  prepare: (emulator) => {
    emulator.zstack.accounts.set("admin", PASSWORD);
  },
  open: (emulator, clock, http) => {
    const config = { ...emulator.zstack.connection(), password: PASSWORD };
    return new ZStackContext(resolveZStack({ name: "default", config, env: {}, cwd: "/", home: "/" }), clock, http);
  },
  secrets: (emulator) => [PASSWORD, encodeURIComponent(PASSWORD), ...emulator.zstack.sessions.keys()],
  count: (emulator) =>
    at(
      emulator.zstack.living().filter(({ name }) => name.startsWith("web-")).length,
      emulator.requests.count({ method: "PUT", path: new RegExp(`${ZSTACK_SEED.web}/actions$`) }),
    ),
  advance: (emulator) => emulator.zstack.advance(),
  statuses: (emulator) =>
    emulator.zstack
      .living()
      .filter(({ name }) => name === "web-1")
      .map(({ state }) => state),
  healthyStatus: "Running",
  expectedCount: 1,
  notFound: (): Answer => fault("SYS.1003", "could not be found"),
  quotaExceeded: (): Answer => fault("ID.1003", "quota exceeded"),
  // The provider removes the pending record when ZStack refuses the create.
  trustsRefusals: true,
  statusField: "state",
  // Without "Destroyed": that somebody has put a clone into the recycle bin may be true, and another clone is right then.
  statusWords: ["Running", "Stopped", "Created", "Starting", "Unknown", "Enabled", "Disabled", "Ready", "Deleted"],
};

/** ZStack says everything with a 503 (docs/wire/zstack.md#s2-6). */
function fault(code: string, details: string): Answer {
  return { status: 503, body: { error: { code, description: "x", details } } };
}
