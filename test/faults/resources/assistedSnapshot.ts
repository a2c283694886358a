// AssistedSnapshot in the fault table. Its two requests to Nova can be sent once, and Nova can't be asked what became of
// them: only Cinder's record tells, and where it can't, a person has to look.

import { isDeepStrictEqual } from "node:util";
import { SEED_VOLUMES } from "../../../emulator/index";
import { assistedSnapshot as definition } from "../../../provider/openstack/assistedSnapshot/resource";
import { FAULTS, type FaultName } from "../faults";
import {
  type Answer,
  type Counts,
  type Expectation,
  fails,
  gone,
  ok,
  pending,
  type RequestSite,
  type ResourceUnderTest,
  recorded,
} from "../resourceUnderTest";
import { openCloud, PASSWORD } from "./snapshot";

const VOLUME = SEED_VOLUMES.logs;
const SNAPSHOT = "9b9e0504-bec0-4e6d-a5ba-83cce6a19555";
const OVERLAY = "overlay-1";
const STEP = "snapclone:assisted-step";
const OWNER = "snapclone:assisted-owner";

const at = (objects: number, makings: number): Counts => ({ objects, makings });

const SHOWN_FIELDS = [
  "snapshot",
  ...["id", "volume_id", "status", "size", "metadata", "name", "description", "created_at", "updated_at"].map(
    (field) => `snapshot.${field}`,
  ),
  "snapshot.os-extended-snapshot-attributes:progress",
];

const show = { method: "GET", path: /\/snapshots\/[0-9a-f-]{36}$/ } as const;

/** The columns of the table, in the order in which the requests are sent. */
const PLACES = {
  login: {
    of: "create",
    role: "login",
    call: { method: "POST", path: /\/auth\/tokens$/ },
    shown: "`POST /auth/tokens`",
    well: () => at(1, 1),
    failed: () => at(0, 0),
    fields: ["token", "token.catalog.0.endpoints.0.url"],
  },
  list: {
    of: "create",
    role: "question",
    call: { method: "GET", path: /\/snapshots\/detail\?.*metadata=/ },
    shown: "`GET /snapshots/detail` (what an interrupted run left)",
    well: () => at(1, 1),
    failed: () => at(0, 0),
    fields: ["snapshots"],
  },
  // Three looks that are repeated while something else is under way on the volume; nothing has been asked for yet.
  volume: {
    of: "create",
    role: "vanish",
    call: { method: "GET", path: /\/volumes\/[0-9a-f-]{36}$/ },
    shown: "`GET /volumes/{id}` (before)",
    well: () => at(1, 1),
    failed: () => at(0, 0),
    fields: [
      "volume",
      ...["id", "status", "metadata", "attachments", "attachments.0.server_id", "multiattach"].map(
        (f) => `volume.${f}`,
      ),
    ],
  },
  // It helps, and is not needed: Nova can't always tell.
  server: {
    of: "create",
    role: "detour",
    call: { method: "GET", path: /\/servers\/[0-9a-f-]{36}$/ },
    shown: "`GET /servers/{id}` (before)",
    well: () => at(1, 1),
    failed: () => at(1, 1),
    fields: ["server", "server.status"],
  },
  snapshot: {
    of: "create",
    role: "vanish",
    call: show,
    shown: "`GET /snapshots/{id}` (before)",
    well: () => at(1, 1),
    failed: () => at(0, 0),
    fields: SHOWN_FIELDS,
  },
  others: {
    of: "create",
    role: "vanish",
    call: { method: "GET", path: /\/snapshots\/detail\?.*volume_id=/ },
    shown: "`GET /snapshots/detail` (the volume's others, before)",
    well: () => at(1, 1),
    failed: () => at(0, 0),
    fields: ["snapshots", "snapshots.0.id", "snapshots.0.status"],
  },
  status: {
    of: "create",
    role: "question",
    call: { method: "POST", path: /\/snapshots\/[0-9a-f-]{36}\/action$/ },
    shown: "`POST /snapshots/{id}/action` (into `creating`)",
    well: () => at(1, 1),
    failed: () => at(0, 0),
    fields: [],
  },
  record: {
    of: "create",
    role: "question",
    call: { method: "POST", path: /\/snapshots\/[0-9a-f-]{36}\/metadata$/ },
    shown: "`POST /snapshots/{id}/metadata` (the record)",
    well: () => at(1, 1),
    failed: () => at(0, 0),
    fields: ["metadata", `metadata.${STEP}`],
  },
  make: {
    of: "create",
    role: "make",
    call: { method: "POST", path: /\/os-assisted-volume-snapshots$/ },
    shown: "`POST /os-assisted-volume-snapshots`",
    well: (tries) => at(1, tries),
    failed: (tries) => at(0, tries),
    fields: ["snapshot", "snapshot.id", "snapshot.volumeId"],
  },
  adopt: {
    of: "adopt",
    role: "change",
    call: { method: "POST", path: /\/snapshots\/[0-9a-f-]{36}\/metadata$/ },
    shown: "`POST /snapshots/{id}/metadata` when adopting an interrupted run's overlay",
    well: () => at(1, 0),
    failed: () => at(1, 0),
    fields: ["metadata"],
  },
  read: {
    of: "read",
    role: "question",
    call: show,
    shown: "`GET /snapshots/{id}`",
    well: () => at(1, 0),
    failed: () => at(1, 0),
    fields: SHOWN_FIELDS,
  },
  look: {
    of: "update",
    role: "question",
    call: show,
    shown: "`GET /snapshots/{id}`",
    well: () => at(1, 0),
    failed: () => at(1, 0),
    fields: SHOWN_FIELDS,
  },
  // Not like other deletes: one that is sent twice merges twice.
  remove: {
    of: "delete",
    role: "make",
    call: { method: "DELETE", path: /\/os-assisted-volume-snapshots\// },
    shown: "`DELETE /os-assisted-volume-snapshots/{id}`",
    well: (tries) => at(0, tries),
    failed: (tries) => at(1, tries),
    fields: [],
  },
} as const satisfies Record<string, RequestSite>;

const MISSING: Readonly<Record<string, string>> = {
  volume: `Volume ${VOLUME} could not be found.`,
  make: "Instance 11111111-2222-4333-8444-555555555555 could not be found.",
  remove: "Instance 11111111-2222-4333-8444-555555555555 could not be found.",
};

const faultBody = (place: string, name: string, code: number, message: string): object =>
  place === "login" ? { error: { code, message, title: name } } : { [name]: { code, message } };

/** Nobody knows what became of it, and Cinder's record has not shown it within a minute: it is in the state, and asked once. */
const unknown: Expectation = pending("ambiguous", at(0, 1), /is not known: waited .*\n.*virsh domblklist/);

/** What is looked at before anything is asked gets two minutes, which is less than three attempts of a minute each. */
const noAnswer: Expectation = fails("deadline", at(0, 0), /the last look got no answer/);
const unanswered = { volume: noAnswer, snapshot: noAnswer, others: noAnswer };

/** The same of a merge: the next run does not ask again either, it asks somebody to look. */
const unmerged = (why: RegExp): Expectation =>
  fails("ambiguous", at(1, 1), new RegExp(`is not known: ${why.source}.*\\n.*virsh domblklist`));

const CELLS: ResourceUnderTest["cells"] = {
  "403": {
    // Listed without the filter, then.
    list: ok(at(1, 1)),
    // A record that may not be written costs no more than a word.
    adopt: ok(at(1, 0)),
  },
  "404, in the service's own words": {
    login: fails("unauthorized", at(0, 0), /could not be found/),
    volume: fails("refused", at(0, 0), /Cinder has no volume/),
    snapshot: fails("refused", at(0, 0), /Cinder has no snapshot/),
    // The row was there a moment ago: no proof that it is gone.
    status: fails("transient", at(0, 0), /could not be found/),
    record: fails("transient", at(0, 0), /could not be found/),
    make: fails("transient", at(0, 1), /could not be found/),
    adopt: recorded("transient", at(1, 0), /could not be found/),
    read: gone(at(1, 0)),
    look: fails("notFound", at(1, 0), /does not exist any more.*\n.*pulumi refresh/),
    // Nova lies here, and is not asked twice.
    remove: ok(at(1, 1)),
  },
  "404 of somebody else (a proxy, a wrong address)": {
    login: fails("config", at(0, 0), /there is no Keystone at http.*\n.*clouds\.yaml/),
  },
  "a redirect to another origin": {
    login: fails("config", at(0, 0), /the address has moved.*\n.*clouds\.yaml/),
    make: unknown,
    remove: unmerged(/Nova answered 302/),
  },
  "500": { make: unknown, remove: unmerged(/Nova answered 500/) },
  "502 with HTML": { make: unknown, remove: unmerged(/Nova answered 502/) },
  "503, once": { make: unknown, remove: unmerged(/Nova answered 503/) },
  "503, for ever": { make: unknown, remove: unmerged(/Nova answered 503/) },
  "a reset before the answer, once": { make: unknown, remove: unmerged(/Nova broke off the connection/) },
  "a reset before the answer, for ever": { make: unknown, remove: unmerged(/Nova broke off the connection/) },
  "a trickle (a byte each 200 ms)": unanswered,
  "a hang": { ...unanswered, make: unknown, remove: unmerged(/Nova did not answer in time/) },
  "10 MB of garbage": { make: unknown, remove: unmerged(/.*larger than any/) },
  "599, a status nobody has heard of": { make: unknown, remove: unmerged(/Nova answered 599/) },
  "an object in a status nobody has heard of": {
    // What is not understood is not worked on.
    volume: fails("refused", at(0, 0), /quantum-folding/),
    snapshot: fails("refused", at(0, 0), /quantum-folding/),
  },
};

/** What the record's writer or the status's has begun is taken back; what can't be is in the state, and the next run goes on. */
function cellsOfAll(): ResourceUnderTest["cells"] {
  const names = Object.keys(FAULTS) as FaultName[];
  const cellAt = (name: FaultName, place: "status" | "adopt"): Expectation => {
    const own: Readonly<Record<string, Expectation>> = CELLS[name] ?? {};
    return own[place] ?? FAULTS[name].rule(PLACES[place]);
  };
  return Object.fromEntries(
    names.map((name) => {
      const adopt = cellAt(name, "adopt");
      const status = cellAt(name, "status");
      const isBegun = status.outcome === "fails" && ["transient", "malformed"].includes(status.kind ?? "");
      const cells: Record<string, Expectation> = {
        ...CELLS[name],
        adopt: adopt.outcome === "recorded" ? { ...adopt, pending: "create" } : adopt,
        status: isBegun ? { ...status, outcome: "recorded", pending: "create" } : status,
      };
      // Only what differs from the rule is an exception.
      const differs = ([place, cell]: [string, Expectation]) =>
        !isDeepStrictEqual(cell, FAULTS[name].rule(PLACES[place as keyof typeof PLACES]));
      return [name, Object.fromEntries(Object.entries(cells).filter(differs))];
    }),
  );
}

export const assistedSnapshot: ResourceUnderTest = {
  title: "AssistedSnapshot",
  objects: "overlays",
  makings: "requests that reached Nova",
  definition,
  hidden: {
    __owner: "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:AssistedSnapshot::overlay",
    __provider: "exports.handler=()=>require('pulumi-snapclone/dynamic/v1')",
  },
  before: { volumeId: VOLUME, snapshotId: SNAPSHOT, newFile: OVERLAY, type: "qcow2", manageStatus: true },
  after: { volumeId: VOLUME, snapshotId: SNAPSHOT, newFile: OVERLAY, type: "qcow2", manageStatus: false },
  places: PLACES,
  cells: cellsOfAll(),

  ready: ({ keystone, cinder, nova }) => {
    record = {};
    keystone.userNamed("admin").password = PASSWORD;
    cinder.createSnapshot({ id: SNAPSHOT, volume_id: VOLUME });
    nova.createFile(VOLUME, OVERLAY);
  },
  open: (emulator, clock, http) => openCloud(emulator.authUrl, clock, http, "admin"),
  secrets: (emulator) => [PASSWORD, encodeURIComponent(PASSWORD), ...emulator.keystone.tokens.keys()],
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
  settle: (emulator) => emulator.nova.settle(),
  statuses: (emulator) =>
    [...emulator.cinder.snapshots.values()]
      .filter(({ metadata }) => !["none", "merged"].includes(metadata[STEP] ?? "none"))
      .map(({ status }) => status),
  fine: "available",
  wanted: 1,
  missing: (place): Answer => ({
    status: 404,
    body: faultBody(place, "itemNotFound", 404, MISSING[place] ?? `Snapshot ${SNAPSHOT} could not be found.`),
  }),
  quota: (place): Answer => ({
    status: 413,
    headers: { "Retry-After": "0" },
    body: faultBody(place, "overLimit", 413, "the limit is exceeded"),
  }),
  statusField: "status",
  // None that says that Nova has ended: Cinder's record is the only witness of that, and would be believed.
  words: ["creating", "CREATING", "in-use", "0%", "100%"],
  // The record is taken back when Nova says no.
  believesRefusals: true,
  /** Looks at the disk, as the message says: it is what it is before anybody has asked for anything. */
  looked: ({ cinder, nova }) => {
    const row = cinder.snapshots.get(SNAPSHOT);
    if (!row) return;
    const overlay = nova.chain(VOLUME).length > 1;
    const step = row.metadata[STEP];
    // So that the next run can see it happen: nothing was made, and it is asked for anew.
    if (step === "asking") row.metadata[STEP] = overlay ? "asked" : "none";
    // Warned that the outcome could not be seen, and found it in order.
    if (step === "unseen" && overlay) row.status = "available";
    if (step === "merge-asking") row.metadata[STEP] = overlay ? "made" : "merged";
    // A delete that comes again, after one that went well and was not saved: the record is written anew.
    if (step === undefined && OWNER in record)
      row.metadata = { ...row.metadata, ...record, [STEP]: overlay ? "made" : "merged" };
  },
};

/** What the overlay's row had, for who writes it anew. */
let record: Record<string, string> = {};
