// ClonedVm in the fault table.

import { ZSTACK_SEED } from "../../../emulator/index";
import { clonedVm as definition } from "../../../provider/zstack/clonedVm/resource";
import { resolveZStack } from "../../../provider/zstack/connection";
import { ZStackContext } from "../../../provider/zstack/context";
import { everywhere, type Rule } from "../faults";
import {
  type Answer,
  type Counts,
  type Expectation,
  fails,
  ok,
  type RequestSite,
  type ResourceUnderTest,
  recorded,
} from "../resourceUnderTest";

const PASSWORD = "planted-pass%word \"9'";

const at = (objects: number, makings: number): Counts => ({ objects, makings });

const VM = `/vm-instances/(?!${ZSTACK_SEED.web})[0-9a-f]{32}`;
const TAG_FIELDS = ["inventories", "inventories.0.uuid", "inventories.0.resourceUuid", "inventories.0.tag"];
const VM_FIELDS = [
  "inventories",
  ...[
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
  ].map((field) => `inventories.0.${field}`),
];

/** The columns of the table, in the order in which the requests are sent. */
const PLACES = {
  login: {
    of: "create",
    role: "login",
    call: { method: "PUT", path: /\/accounts\/login$/ },
    shown: "`PUT /accounts/login`",
    well: () => at(1, 1),
    failed: () => at(0, 0),
    fields: ["inventory", "inventory.uuid"],
  },
  list: {
    of: "create",
    role: "question",
    call: { method: "GET", path: /\/user-tags\?q=tag%7E%3Dsnapclone%3A%3A%25%3A%3Aurn/ },
    shown: "`GET /user-tags` (what this stack owns)",
    well: () => at(1, 1),
    failed: () => at(0, 0),
    fields: ["inventories"],
  },
  make: {
    of: "create",
    role: "make",
    call: { method: "PUT", path: new RegExp(`/vm-instances/${ZSTACK_SEED.web}/actions$`) },
    shown: "`PUT /vm-instances/{uuid}/actions` (clone)",
    well: (tries) => at(1, tries),
    failed: (tries) => at(0, tries),
    // The same job id makes the same request of it.
    repeatable: true,
    fields: [],
  },
  poll: {
    of: "create",
    role: "poll",
    call: { method: "GET", path: /\/vm-instances\?q=name/ },
    shown: "`GET /vm-instances` (what has come of it)",
    well: () => at(1, 1),
    failed: () => at(1, 1),
    fields: VM_FIELDS,
  },
  adopt: {
    of: "adopt",
    role: "change",
    call: { method: "PUT", path: new RegExp(`${VM}/actions$`) },
    shown: "`PUT /vm-instances/{uuid}/actions` (update) after adopting an interrupted run's clones",
    well: () => at(1, 0),
    failed: () => at(1, 0),
    fields: [],
  },
  read: {
    of: "read",
    role: "question",
    call: { method: "GET", path: /\/vm-instances\?q=uuid/ },
    shown: "`GET /vm-instances`",
    well: () => at(1, 0),
    failed: () => at(1, 0),
    fields: VM_FIELDS,
  },
  marks: {
    of: "update",
    role: "question",
    call: { method: "GET", path: /\/user-tags\?/ },
    shown: "`GET /user-tags` (what belongs to the set)",
    well: () => at(1, 0),
    failed: () => at(1, 0),
    fields: TAG_FIELDS,
  },
  rename: {
    of: "update",
    role: "change",
    call: { method: "PUT", path: new RegExp(`${VM}/actions$`) },
    shown: "`PUT /vm-instances/{uuid}/actions` (update)",
    well: () => at(1, 0),
    failed: () => at(1, 0),
    fields: [],
  },
  remove: {
    of: "delete",
    role: "remove",
    call: { method: "DELETE", path: new RegExp(`${VM}\\?`) },
    shown: "`DELETE /vm-instances/{uuid}`",
    well: () => at(0, 0),
    failed: () => at(1, 0),
    fields: [],
  },
} as const satisfies Record<string, RequestSite>;

const cellsBy = (rule: Rule): Record<string, Expectation> =>
  Object.fromEntries(Object.entries(PLACES).map(([name, place]) => [name, rule(place)]));

/**
 * Whether it has arrived is asked of its job, whose id is ours; then it is sent once more under the same id
 * (docs/wire/zstack.md#s5).
 */
const lost = (says = /does not know the job/) => ({ make: fails("notFound", at(0, 2), says) });
/** ZStack has no 401 (docs/wire/zstack.md#s1-3): nothing that a new login would mend. */
const { login: _, ...refused401 } = cellsBy(everywhere("unauthorized", /answered 401/));
/**
 * A 503 with its own JSON is ZStack's "no" (docs/wire/zstack.md#s2-6), and not one that passes: only questions are
 * asked again.
 */
const no = {
  login: fails("refused", at(0, 0), /SYS\.1000/),
  make: fails("refused", at(0, 1), /SYS\.1000/),
  adopt: recorded("refused", at(1, 0), /SYS\.1000/),
  rename: recorded("refused", at(1, 0), /SYS\.1000/),
  remove: fails("refused", at(1, 0), /SYS\.1000/),
};

export const clonedVm: ResourceUnderTest = {
  title: "ClonedVm",
  objects: "clones",
  makings: "calls to clone that reached ZStack",
  definition,
  hidden: {
    __owner: "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:ClonedVm::web",
    __provider: "exports.handler=()=>require('pulumi-snapclone/dynamic/v1')",
  },
  before: { vmInstanceUuid: ZSTACK_SEED.web, names: ["web-1"], description: "one" },
  after: { vmInstanceUuid: ZSTACK_SEED.web, names: ["web-1"], description: "two" },
  places: PLACES,
  cells: {
    "401, once": refused401,
    "401, for ever": { make: fails("unauthorized", at(0, 1), /answered 401/) },
    "404, in the service's own words": {
      // A query finds an empty list, never nothing: of a question this word proves nothing (docs/wire/zstack.md#s9-5).
      ...cellsBy(everywhere("refused", /SYS\.1003: could not be found/)),
      login: fails("notFound", at(0, 0), /SYS\.1003/),
      make: fails("notFound", at(0, 1), /SYS\.1003/),
      // One VM is missing, which is not the whole set.
      adopt: recorded("failed", at(1, 0), /"web-1" vanished: .*SYS\.1003/),
      rename: recorded("failed", at(1, 0), /"web-1" vanished: .*SYS\.1003/),
      // The backend lies: the VM is still there, and it is asked until the deadline.
      remove: fails("deadline", at(1, 0), /waited 2 min for "web-1" to be gone; seen: .*web-1 Running/),
    },
    "500": lost(),
    "502 with HTML": lost(),
    "503, once": no,
    "503, for ever": no,
    // The second one arrives.
    "a reset before the answer, once": { make: ok(at(1, 2)) },
    "a reset before the answer, for ever": lost(),
    "a hang": lost(),
    "a trickle (a byte each 200 ms)": {
      // Carried out, and all that is wanted of the answer is that it has come: three times it does not.
      adopt: recorded("transient", at(1, 0), /did not answer in time/),
      rename: recorded("transient", at(1, 0), /did not answer in time/),
      remove: fails("transient", at(0, 0), /did not answer in time/),
    },
    "10 MB of garbage": {
      ...lost(),
      // A 200 where 202 belongs is nobody's acceptance.
      adopt: recorded("malformed", at(1, 0), /answered 200/),
      rename: recorded("malformed", at(1, 0), /answered 200/),
      remove: fails("malformed", at(1, 0), /answered 200/),
    },
    "a redirect to another origin": {
      ...lost(),
      login: fails("config", at(0, 0), /the address has moved.*\n.*snapclone:connections/),
    },
    "599, a status nobody has heard of": lost(),
  },

  ready: (emulator) => {
    emulator.zstack.accounts.set("admin", PASSWORD);
  },
  open: (emulator, clock, http) => {
    const config = { ...emulator.zstackLogin.connection(), password: PASSWORD };
    return new ZStackContext(resolveZStack({ name: "default", config, env: {}, cwd: "/", home: "/" }), clock, http);
  },
  secrets: (emulator) => [PASSWORD, encodeURIComponent(PASSWORD), ...emulator.zstack.sessions.keys()],
  count: (emulator) =>
    at(
      emulator.zstack.living().filter(({ name }) => name.startsWith("web-")).length,
      emulator.requests.count({ method: "PUT", path: new RegExp(`${ZSTACK_SEED.web}/actions$`) }),
    ),
  settle: (emulator) => emulator.zstack.settle(),
  statuses: (emulator) =>
    emulator.zstack
      .living()
      .filter(({ name }) => name === "web-1")
      .map(({ state }) => state),
  fine: "Running",
  wanted: 1,
  missing: (): Answer => fault("SYS.1003", "could not be found"),
  quota: (): Answer => fault("ID.1003", "quota exceeded"),
  // The intent is taken away when ZStack says no.
  believesRefusals: true,
  statusField: "state",
  words: [
    "Running",
    "Stopped",
    "Created",
    "Starting",
    "Destroyed",
    "Unknown",
    "Enabled",
    "Disabled",
    "Ready",
    "Deleted",
  ],
};

/** ZStack says everything with a 503 (docs/wire/zstack.md#s2-6). */
function fault(code: string, details: string): Answer {
  return { status: 503, body: { error: { code, description: "x", details } } };
}
