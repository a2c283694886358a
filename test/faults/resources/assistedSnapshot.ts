// AssistedSnapshot in the fault table. Its two requests to Nova must not be repeated, and Nova does not report their outcome.
// Cinder's record may show it; otherwise a person has to inspect the disk.

import { isDeepStrictEqual } from "node:util";
import { SEED_VOLUMES } from "../../../emulator/index";
import { assistedSnapshot as definition } from "../../../provider/openstack/assistedSnapshot/resource";
import { FAULTS, type FaultName } from "../faults";
import {
  joined,
  LOGIN_EXPECTATIONS,
  loginSite,
  notFound,
  openCloud,
  PASSWORD,
  quotaExceeded,
  secretsOf,
} from "../openstackSites";
import {
  at,
  type Expectation,
  fails,
  gone,
  ok,
  pending,
  type RequestSite,
  type ResourceUnderTest,
  recorded,
} from "../resourceUnderTest";
import { del, get, hiddenInputs, post, request, within } from "../sites";

const VOLUME = SEED_VOLUMES.logs;
const SNAPSHOT = "9b9e0504-bec0-4e6d-a5ba-83cce6a19555";
const OVERLAY = "overlay-1";
/** The id of a volume or snapshot that only one of many uses. */
const other = (kind: "a" | "b", at: number) => `${kind.repeat(8)}-bec0-4e6d-a5ba-${String(at).padStart(12, "0")}`;
const STEP = "snapclone:assisted-step";
const OWNER = "snapclone:assisted-owner";

const SHOWN_FIELDS = within("snapshot", [
  ...["id", "volume_id", "status", "size", "metadata", "name", "description", "created_at", "updated_at"],
  "os-extended-snapshot-attributes:progress",
]);

const show = get(/\/snapshots\/[0-9a-f-]{36}$/);

/** The columns of the table, in the order in which the requests are sent. */
const SITES = {
  login: loginSite([1, 1], ["token", "token.catalog.0.endpoints.0.url"]),
  list: request(
    "create",
    "query",
    get(/\/snapshots\/detail\?.*metadata=/),
    "`GET /snapshots/detail` (what an interrupted run left)",
    ["snapshots"],
    { success: [1, 1], failure: [0, 0] },
  ),
  // Three requests that the provider repeats while something else is running on the volume, before it has changed anything.
  volume: request(
    "create",
    "awaitGone",
    get(/\/volumes\/[0-9a-f-]{36}$/),
    "`GET /volumes/{id}` (before)",
    [
      "volume",
      ...["id", "status", "metadata", "attachments", "attachments.0.server_id", "multiattach"].map(
        (f) => `volume.${f}`,
      ),
    ],
    { success: [1, 1], failure: [0, 0] },
  ),
  // Optional: Nova cannot always answer it.
  server: request(
    "create",
    "fallback",
    get(/\/servers\/[0-9a-f-]{36}$/),
    "`GET /servers/{id}` (before)",
    ["server", "server.status"],
    { success: [1, 1], failure: [1, 1] },
  ),
  snapshot: request("create", "awaitGone", show, "`GET /snapshots/{id}` (before)", SHOWN_FIELDS, {
    success: [1, 1],
    failure: [0, 0],
  }),
  others: request(
    "create",
    "awaitGone",
    get(/\/snapshots\/detail\?.*volume_id=/),
    "`GET /snapshots/detail` (the volume's others, before)",
    ["snapshots", "snapshots.0.id", "snapshots.0.status"],
    { success: [1, 1], failure: [0, 0] },
  ),
  status: request(
    "create",
    "query",
    post(/\/snapshots\/[0-9a-f-]{36}\/action$/),
    "`POST /snapshots/{id}/action` (into `creating`)",
    [],
    { success: [1, 1], failure: [0, 0] },
  ),
  record: request(
    "create",
    "query",
    post(/\/snapshots\/[0-9a-f-]{36}\/metadata$/),
    "`POST /snapshots/{id}/metadata` (the record)",
    ["metadata", `metadata.${STEP}`],
    { success: [1, 1], failure: [0, 0] },
  ),
  create: request(
    "create",
    "create",
    post(/\/os-assisted-volume-snapshots$/),
    "`POST /os-assisted-volume-snapshots`",
    ["snapshot", "snapshot.id", "snapshot.volumeId"],
    { success: [1, 0], failure: [0, 0], counted: true },
  ),
  adopt: request(
    "adopt",
    "change",
    post(/\/snapshots\/[0-9a-f-]{36}\/metadata$/),
    "`POST /snapshots/{id}/metadata` when adopting an interrupted run's overlay",
    ["metadata"],
    { success: [1, 0], failure: [1, 0] },
  ),
  read: request("read", "query", show, "`GET /snapshots/{id}`", SHOWN_FIELDS, { success: [1, 0], failure: [1, 0] }),
  readBefore: request("update", "query", show, "`GET /snapshots/{id}`", SHOWN_FIELDS, {
    success: [1, 0],
    failure: [1, 0],
  }),
  // Not like other deletes: one that is sent twice merges twice.
  delete: request(
    "delete",
    "create",
    del(/\/os-assisted-volume-snapshots\//),
    "`DELETE /os-assisted-volume-snapshots/{id}`",
    [],
    { success: [0, 0], failure: [1, 0], counted: true },
  ),
} satisfies Record<string, RequestSite>;

const MISSING: Readonly<Record<string, string>> = {
  volume: `Volume ${VOLUME} could not be found.`,
  create: "Instance 11111111-2222-4333-8444-555555555555 could not be found.",
  delete: "Instance 11111111-2222-4333-8444-555555555555 could not be found.",
};

/** The outcome is unknown, and Cinder's record did not show it within a minute. The state records the create, sent once. */
const unknown: Expectation = pending("ambiguous", at(0, 1), /is not known: waited .*\n.*virsh domblklist/);

/** The checks before the create are given up after two minutes, which is less than three attempts of a minute each. */
const noAnswer: Expectation = fails("deadline", at(0, 0), /seen: Cinder did not answer in time$/);
const unanswered = { volume: noAnswer, snapshot: noAnswer, others: noAnswer };

/** The same for a merge: the next run does not repeat the request. It asks a person to inspect the disk. */
const unmerged = (why: RegExp): Expectation =>
  fails("ambiguous", at(1, 1), new RegExp(`is not known: ${why.source}.*\\n.*virsh domblklist`));

const EXPECTATIONS = joined(LOGIN_EXPECTATIONS, {
  "403": {
    // The provider then lists without the filter.
    list: ok(at(1, 1)),
    // If the user may not write the record, the provider only warns.
    adopt: ok(at(1, 0)),
  },
  "404, in the service's own words": {
    volume: fails("refused", at(0, 0), /Cinder has no volume/),
    snapshot: fails("refused", at(0, 0), /Cinder has no snapshot/),
    // The row existed a moment ago, so this proves no absence.
    status: fails("transient", at(0, 0), /could not be found/),
    record: fails("transient", at(0, 0), /could not be found/),
    create: fails("transient", at(0, 1), /could not be found/),
    adopt: recorded("transient", at(1, 0), /could not be found/),
    read: gone(at(1, 0)),
    readBefore: fails("notFound", at(1, 0), /does not exist any more.*\n.*pulumi refresh/),
    // The test's answer is wrong, and the provider does not repeat the request.
    delete: ok(at(1, 1)),
  },
  "a redirect to another origin": {
    create: unknown,
    delete: unmerged(/Nova answered 302/),
  },
  "500": { create: unknown, delete: unmerged(/Nova answered 500/) },
  "502 with HTML": { create: unknown, delete: unmerged(/Nova answered 502/) },
  "503, once": { create: unknown, delete: unmerged(/Nova answered 503/) },
  "503, for ever": { create: unknown, delete: unmerged(/Nova answered 503/) },
  "a reset before the answer, once": { create: unknown, delete: unmerged(/Nova broke off the connection/) },
  "a reset before the answer, for ever": { create: unknown, delete: unmerged(/Nova broke off the connection/) },
  "a trickle (a byte each 200 ms)": unanswered,
  "a hang": { ...unanswered, create: unknown, delete: unmerged(/Nova did not answer in time/) },
  "10 MB of garbage": { create: unknown, delete: unmerged(/.*larger than any/) },
  "599, a status nobody has heard of": { create: unknown, delete: unmerged(/Nova answered 599/) },
  "an object in a status nobody has heard of": {
    // The provider does not work on a status that it does not know.
    volume: fails("refused", at(0, 0), /quantum-folding/),
    snapshot: fails("refused", at(0, 0), /quantum-folding/),
  },
});

/** The provider undoes a begun record or status change. What it cannot undo, the state records, and the next run continues. */
function allExpectations(): ResourceUnderTest["expectations"] {
  const names = Object.keys(FAULTS) as FaultName[];
  const expectationOf = (name: FaultName, site: "status" | "adopt"): Expectation => {
    const own: Readonly<Record<string, Expectation>> = EXPECTATIONS[name] ?? {};
    return own[site] ?? FAULTS[name].rule(SITES[site]);
  };
  return Object.fromEntries(
    names.map((name) => {
      const adopt = expectationOf(name, "adopt");
      const status = expectationOf(name, "status");
      const isBegun = status.outcome === "fails" && ["transient", "malformed"].includes(status.kind ?? "");
      const expectations: Record<string, Expectation> = {
        ...EXPECTATIONS[name],
        adopt: adopt.outcome === "recorded" ? { ...adopt, pending: "create" } : adopt,
        status: isBegun ? { ...status, outcome: "recorded", pending: "create" } : status,
      };
      // Only what differs from the rule is an exception.
      const differs = ([site, expectation]: [string, Expectation]) =>
        !isDeepStrictEqual(expectation, FAULTS[name].rule(SITES[site as keyof typeof SITES]));
      return [name, Object.fromEntries(Object.entries(expectations).filter(differs))];
    }),
  );
}

export const assistedSnapshot: ResourceUnderTest = {
  title: "AssistedSnapshot",
  objects: "overlays",
  creates: "requests that reached Nova",
  definition,
  hidden: hiddenInputs("AssistedSnapshot", "overlay"),
  before: { volumeId: VOLUME, snapshotId: SNAPSHOT, newFile: OVERLAY, type: "qcow2", manageStatus: true },
  after: { volumeId: VOLUME, snapshotId: SNAPSHOT, newFile: OVERLAY, type: "qcow2", manageStatus: false },
  sites: SITES,
  another: (at) => ({ volumeId: other("a", at), snapshotId: other("b", at) }),
  prepareAnother: ({ cinder, nova }, at) => {
    const [server = ""] = nova.servers.keys();
    cinder.createVolume({ id: other("a", at) });
    cinder.attach(other("a", at), server, `/dev/wave${at}`);
    cinder.createSnapshot({ id: other("b", at), volume_id: other("a", at) });
    nova.createFile(other("a", at), OVERLAY);
  },
  countMany: ({ cinder, nova }) => [...cinder.volumes.keys()].filter((id) => nova.chain(id).length > 1).length,
  expectations: allExpectations(),

  prepare: ({ keystone, cinder, nova }) => {
    record = {};
    keystone.userNamed("admin").password = PASSWORD;
    cinder.createSnapshot({ id: SNAPSHOT, volume_id: VOLUME });
    nova.createFile(VOLUME, OVERLAY);
  },
  open: (emulator, clock, http) => openCloud(emulator.openstack.authUrl, clock, http, "admin"),
  secrets: secretsOf,
  count: (emulator) => {
    const { metadata = {} } = emulator.cinder.snapshots.get(SNAPSHOT) ?? {};
    if (OWNER in metadata)
      record = Object.fromEntries(Object.entries(metadata).filter(([key]) => /assisted-/.test(key)));
    return at(
      emulator.nova.chain(VOLUME).length > 1 ? 1 : 0,
      emulator.requests.count({ service: "nova", method: "POST" }) +
        emulator.requests.count({ service: "nova", method: "DELETE" }),
    );
  },
  advance: (emulator) => emulator.nova.advance(),
  statuses: (emulator) =>
    [...emulator.cinder.snapshots.values()]
      .filter(({ metadata }) => !["none", "merged"].includes(metadata[STEP] ?? "none"))
      .map(({ status }) => status),
  healthyStatus: "available",
  expectedCount: 1,
  notFound: (site) => notFound(site, MISSING[site] ?? `Snapshot ${SNAPSHOT} could not be found.`),
  quotaExceeded: (site) => quotaExceeded(site, "the limit is exceeded"),
  statusField: "status",
  // No status that says that Nova has finished: only Cinder's record shows that, so the provider would trust it.
  statusWords: ["creating", "CREATING", "in-use", "0%", "100%"],
  // The provider removes the record when Nova refuses the create.
  trustsRefusals: true,
  /** Inspects the disk, as the message asks. */
  followAdvice: ({ cinder, nova }) => {
    const row = cinder.snapshots.get(SNAPSHOT);
    if (!row) return;
    const overlay = nova.chain(VOLUME).length > 1;
    const step = row.metadata[STEP];
    // Without an overlay, the next run asks Nova again.
    if (step === "asking") row.metadata[STEP] = overlay ? "asked" : "none";
    // The provider has warned that it could not see the outcome, and the person finds the overlay in order.
    if (step === "unseen" && overlay) row.status = "available";
    if (step === "merge-asking") row.metadata[STEP] = overlay ? "made" : "merged";
    // A delete after another one that succeeded and was not saved: the record is restored.
    if (step === undefined && OWNER in record)
      row.metadata = { ...row.metadata, ...record, [STEP]: overlay ? "made" : "merged" };
  },
};

/** The last record of the overlay, to restore it. */
let record: Record<string, string> = {};
