// The fault table: a row for each thing that can go wrong, a column for each request of each operation that it can
// befall, and in each cell what the user must see. Written from the user's side; docs/faults.md is made from it.

import type { FaultRule } from "../../emulator";
import type { ErrorKind } from "../../provider/core/errors";
import type { Place } from "./places";

export interface Cell {
  /**
   * "ok": it did what it should. "gone": a refresh takes the resource out of the state. "fails": the state stays as it
   * was. "recorded": something exists that the state must know, and does.
   */
  outcome: "ok" | "gone" | "fails" | "recorded";
  /** On the backend when the operation has ended. */
  snapshots: number;
  /** POSTs that reached Cinder. */
  posts: number;
  kind?: ErrorKind;
  /** What the message must name. */
  says?: RegExp;
  /** The state remembers accepted work that the next `up` waits for. */
  pending?: true;
}

export type Fault =
  /** Given by the emulator, as a real server would; for as long as the operation lasts unless `times` says less. */
  | { answer: Answer | ((place: Place) => Answer) }
  /** The request goes where nobody answers: a closed port, a host without a name, a server whose certificate nobody signed. */
  | { elsewhere: "closed port" | "unknown host" | "untrusted server" }
  /** The real answer with one field of another type: each field in turn, and the cell holds for each. */
  | { wrongType: Readonly<Record<Place, readonly string[]>> }
  | { snapshotStatus: string }
  | { calendar: "jumps" };

type Answer = Omit<FaultRule, "match">;

export interface Row {
  fault: string;
  how: Fault;
  /** For one attempt, as short as it can be: the row waits it out. */
  patient?: true;
  /** A server's `Retry-After`, which some pause must have had. */
  pauseMs?: number;
  cells: Readonly<Record<Place, Cell>>;
}

const ok = (snapshots: number, posts: number): Cell => ({ outcome: "ok", snapshots, posts });
const gone = (snapshots: number): Cell => ({ outcome: "gone", snapshots, posts: 0 });
const fails = (kind: ErrorKind, snapshots: number, posts: number, says: RegExp): Cell => {
  return { outcome: "fails", kind, snapshots, posts, says };
};
/** The create was accepted and is waited for by the next `up`. */
const pending = (kind: ErrorKind, says: RegExp): Cell => {
  return { outcome: "recorded", kind, snapshots: 1, posts: 1, says, pending: true };
};
/** What is there was observed, and the next `up` does the rest. */
const recorded = (kind: ErrorKind, posts: number, says: RegExp): Cell => {
  return { outcome: "recorded", kind, snapshots: 1, posts, says };
};

/** Every operation as it ends where nothing goes wrong. */
const WELL: Readonly<Record<Place, Cell>> = {
  login: ok(1, 1),
  versions: ok(1, 1),
  list: ok(1, 1),
  make: ok(1, 1),
  poll: ok(1, 1),
  adopt: ok(1, 1),
  read: ok(1, 0),
  look: ok(1, 1),
  rename: ok(1, 1),
  tag: ok(1, 1),
  untag: ok(1, 1),
  remove: ok(0, 0),
  vanish: ok(0, 0),
  find: ok(1, 0),
};

/**
 * Every operation where the request fails in the same way, and for good. Cinder's other addresses for the versions stand
 * in for the first one. `posts`: how often a POST of each kind reaches the server.
 */
function everywhere(kind: ErrorKind, says: RegExp, posts = 1): Readonly<Record<Place, Cell>> {
  return {
    login: fails(kind, 0, 0, says),
    versions: WELL.versions,
    list: fails(kind, 0, 0, says),
    make: fails(kind, 0, posts, says),
    poll: pending(kind, says),
    adopt: recorded(kind, 0, says),
    read: fails(kind, 1, 0, says),
    look: fails(kind, 1, 0, says),
    rename: recorded(kind, 0, says),
    tag: recorded(kind, posts, says),
    untag: recorded(kind, 1, says),
    remove: fails(kind, 1, 0, says),
    vanish: fails(kind, 0, 0, says),
    find: fails(kind, 1, 0, says),
  };
}

/** The same, for what may pass by itself: a wait goes on until its deadline, and then says what it has seen. */
function passing(kind: ErrorKind, says: RegExp, posts: number): Readonly<Record<Place, Cell>> {
  return {
    ...everywhere(kind, says, posts),
    poll: pending("deadline", says),
    vanish: fails("deadline", 0, 0, says),
  };
}

const html = (status: number): Answer => ({
  status,
  headers: { "Content-Type": "text/html" },
  body: `<html><head><title>${status} by nginx</title></head><body>nothing to see</body></html>`,
});

const faultBody = (place: Place, name: string, code: number, message: string): object =>
  place === "login" ? { error: { code, message, title: name } } : { [name]: { code, message } };

const MISSING = "Snapshot 9b9e0504-bec0-4e6d-a5ba-83cce6a19555 could not be found.";
const NO_VOLUME = "Volume 11111111-1111-4111-8111-111111111111 could not be found.";
const QUOTA = "SnapshotLimitExceeded: Maximum number of snapshots allowed (10) exceeded";

/** The fields that the provider reads of each answer; with any other it would work on what it does not understand. */
const SNAPSHOT_FIELDS = [
  "snapshot",
  ...[
    "id",
    "volume_id",
    "status",
    "size",
    "metadata",
    "metadata.tier",
    "name",
    "description",
    "created_at",
    "updated_at",
    "group_snapshot_id",
    "user_id",
    "consumes_quota",
  ].map((field) => `snapshot.${field}`),
];
const SHOWN_FIELDS = [
  ...SNAPSHOT_FIELDS,
  "snapshot.os-extended-snapshot-attributes:project_id",
  "snapshot.os-extended-snapshot-attributes:progress",
];
const LISTED_FIELDS = [
  "snapshots",
  ...SHOWN_FIELDS.slice(1).map((field) => field.replace("snapshot.", "snapshots.0.")),
];

export const TABLE: readonly Row[] = [
  {
    fault: "401, once",
    how: { answer: { status: 401, times: 1 } },
    cells: {
      ...WELL,
      // A refused credential is not tried again: that locks accounts.
      login: fails("unauthorized", 0, 0, /Keystone answered 401.*\n.*credentials come from .*clouds\.yaml/),
      make: ok(1, 2),
      tag: ok(1, 2),
    },
  },
  {
    fault: "401, for ever",
    how: { answer: { status: 401 } },
    cells: {
      ...everywhere("unauthorized", /Cinder answered 401.*\n.*Keystone issued this token a moment ago/, 2),
      login: fails("unauthorized", 0, 0, /Keystone answered 401.*\n.*credentials come from .*clouds\.yaml/),
    },
  },
  {
    fault: "a token that expires while it is in use",
    how: { answer: { action: "expire-token", times: 1 } },
    cells: { ...WELL, make: ok(1, 2), tag: ok(1, 2) },
  },
  {
    fault: "403",
    how: { answer: { status: 403 } },
    cells: everywhere("forbidden", /answered 403/),
  },
  {
    fault: "404, in the service's own words",
    how: {
      answer: (place) => ({
        status: 404,
        body: faultBody(place, "itemNotFound", 404, place === "make" ? NO_VOLUME : MISSING),
      }),
    },
    cells: {
      // The backend lies here: the snapshot that it denies is still there afterwards.
      ...everywhere("notFound", /could not be found/),
      // Keystone's word for an unknown application credential or token.
      login: fails("unauthorized", 0, 0, /could not be found/),
      make: fails("notFound", 0, 1, /Volume \S+ could not be found/),
      poll: fails("notFound", 1, 1, /vanished while it was being created/),
      adopt: fails("notFound", 1, 0, /could not be found/),
      read: gone(1),
      look: fails("notFound", 1, 0, /does not exist any more.*\n.*pulumi refresh/),
      rename: fails("notFound", 1, 0, /could not be found/),
      tag: fails("notFound", 1, 1, /could not be found/),
      untag: fails("notFound", 1, 1, /could not be found/),
      remove: ok(1, 0),
      vanish: ok(0, 0),
    },
  },
  {
    fault: "404 of somebody else (a proxy, a wrong address)",
    how: { answer: html(404) },
    cells: {
      // No proof of absence: nothing is gone, nothing counts as deleted.
      ...everywhere("refused", /answered 404: an HTML page \("404 by nginx"\)/),
      login: fails("config", 0, 0, /there is no Keystone at http.*\n.*clouds\.yaml/),
    },
  },
  { fault: "409", how: { answer: { status: 409 } }, cells: everywhere("refused", /answered 409/) },
  {
    fault: "413 with `Retry-After: 0` (a full quota)",
    how: {
      answer: (place) => ({
        status: 413,
        headers: { "Retry-After": "0" },
        body: faultBody(place, "overLimit", 413, QUOTA),
      }),
    },
    cells: {
      ...everywhere("refused", /Maximum number of snapshots allowed \(10\) exceeded/),
      make: fails("refused", 0, 1, /Maximum number of snapshots allowed.*\n.*quota is full.*openstack quota/),
    },
  },
  {
    fault: "429 with `Retry-After: 7`, once",
    how: { answer: { status: 429, headers: { "Retry-After": "7" }, times: 1 } },
    pauseMs: 7_000,
    cells: { ...WELL, make: ok(1, 2), tag: ok(1, 2) },
  },
  {
    fault: "429 without `Retry-After`",
    how: { answer: { status: 429 } },
    cells: passing("transient", /answered 429/, 3),
  },
  {
    fault: "500",
    how: { answer: { status: 500 } },
    cells: {
      ...passing("transient", /answered 500/, 3),
      make: fails("ambiguous", 0, 1, /Cinder answered 500/),
    },
  },
  {
    fault: "502 with HTML",
    how: { answer: { action: "html" } },
    cells: {
      ...passing("transient", /answered 502: an HTML page/, 3),
      make: fails("ambiguous", 0, 1, /Cinder answered 502: an HTML page/),
    },
  },
  {
    fault: "503, once",
    how: { answer: { status: 503, times: 1 } },
    // Cinder says it, or a proxy that has passed the request on: nobody knows.
    cells: { ...WELL, make: fails("ambiguous", 0, 1, /Cinder answered 503/), tag: ok(1, 2) },
  },
  {
    fault: "503, for ever",
    how: { answer: { status: 503 } },
    cells: {
      ...passing("transient", /answered 503/, 3),
      make: fails("ambiguous", 0, 1, /Cinder answered 503/),
    },
  },
  {
    fault: "connection refused",
    how: { elsewhere: "closed port" },
    cells: {
      // Nothing was sent: it is certain that nothing was made.
      ...passing("transient", /(Cinder|Keystone) cannot be reached \(ECONNREFUSED\)/, 0),
      versions: fails("transient", 0, 0, /Cinder cannot be reached \(ECONNREFUSED\)/),
    },
  },
  {
    fault: "DNS that fails",
    how: { elsewhere: "unknown host" },
    cells: {
      ...passing("transient", /(Cinder|Keystone) cannot be reached \((ENOTFOUND|EAI_AGAIN)\)/, 0),
      versions: fails("transient", 0, 0, /Cinder cannot be reached/),
    },
  },
  {
    fault: "TLS that doesn't verify",
    how: { elsewhere: "untrusted server" },
    cells: {
      ...everywhere("config", /certificate of (Cinder|Keystone) is not trusted.*\n.*`cacert`/, 0),
      versions: fails("config", 0, 0, /certificate of Cinder is not trusted/),
    },
  },
  {
    fault: "a reset before the answer, once",
    how: { answer: { action: "reset", times: 1 } },
    cells: {
      ...WELL,
      make: fails("ambiguous", 0, 1, /broke off the connection.*\n.*looks for its outcome/),
      tag: ok(1, 2),
    },
  },
  {
    fault: "a reset before the answer, for ever",
    how: { answer: { action: "reset" } },
    cells: {
      ...passing("transient", /broke off the connection/, 3),
      versions: fails("transient", 0, 0, /broke off the connection/),
      make: fails("ambiguous", 0, 1, /broke off the connection.*\n.*looks for its outcome/),
    },
  },
  {
    fault: "carried out, and the reply is lost",
    how: { answer: { action: "lose-reply", times: 1 } },
    // A create finds by its mark what it has made; the second DELETE finds nothing to do.
    cells: { ...WELL, tag: ok(1, 2) },
  },
  {
    fault: "a hang",
    how: { answer: { action: "hang" } },
    patient: true,
    cells: {
      ...passing("transient", /did not answer in time/, 3),
      versions: fails("transient", 0, 0, /did not answer in time/),
      make: fails("ambiguous", 0, 1, /did not answer in time.*\n.*looks for its outcome/),
    },
  },
  {
    fault: "a trickle (a byte each 200 ms)",
    how: { answer: { action: "trickle" } },
    patient: true,
    cells: {
      ...passing("transient", /did not answer in time/, 3),
      versions: fails("transient", 0, 0, /did not answer in time/),
      // Carried out, and found by its mark.
      make: ok(1, 1),
      // These answers have no body: there is nothing to wait for.
      untag: ok(1, 1),
      remove: ok(0, 0),
    },
  },
  {
    fault: "a body that never ends",
    how: { answer: { action: "endless" } },
    cells: {
      ...passing("malformed", /larger than any/, 1),
      make: ok(1, 1),
      // The status says that it was accepted, and the body is not looked at.
      untag: ok(1, 1),
      remove: ok(0, 0),
      // A 404 of which nobody can read whose it is proves nothing.
      vanish: fails("refused", 0, 0, /answered 404: a body larger than any/),
    },
  },
  {
    fault: "truncated JSON",
    how: { answer: { action: "truncate" } },
    cells: {
      ...passing("malformed", /instead of JSON/, 1),
      make: ok(1, 1),
      untag: ok(1, 1),
      remove: ok(0, 0),
      // Half of "not found" is no proof.
      vanish: fails("refused", 0, 0, /answered 404/),
    },
  },
  {
    fault: "JSON of the wrong type, at each field in turn",
    how: {
      wrongType: {
        login: [
          "token",
          "token.expires_at",
          "token.issued_at",
          "token.user",
          "token.user.id",
          "token.project",
          "token.project.id",
          "token.catalog",
          "token.catalog.0.type",
          "token.catalog.0.endpoints",
          "token.catalog.0.endpoints.0.interface",
          "token.catalog.0.endpoints.0.url",
        ],
        versions: ["versions", "versions.0.id", "versions.0.version", "versions.0.min_version"],
        list: ["snapshots"],
        make: SNAPSHOT_FIELDS,
        poll: SHOWN_FIELDS,
        adopt: SNAPSHOT_FIELDS,
        read: SHOWN_FIELDS,
        look: SHOWN_FIELDS,
        rename: SNAPSHOT_FIELDS,
        tag: ["metadata", "metadata.tier"],
        // Answers without a body.
        untag: [],
        remove: [],
        // The answer that ends the wait is an error: nothing of its body is a field of ours.
        vanish: [],
        find: LISTED_FIELDS,
      },
    },
    cells: {
      ...passing("malformed", /not what its API promises at/, 1),
      make: ok(1, 1),
      untag: ok(1, 1),
      remove: ok(0, 0),
      vanish: ok(0, 0),
    },
  },
  {
    fault: "10 MB of garbage",
    how: { answer: { action: "garbage", bytes: 10_000_000 } },
    cells: {
      ...passing("malformed", /larger than any/, 1),
      make: fails("ambiguous", 0, 1, /larger than any/),
      // A 200 to a key that is not deleted: what is there is what is shown, and the next refresh shows the key.
      untag: ok(1, 1),
      // A 200 to a deletion that does not happen: the backend is asked, not believed.
      remove: fails("failed", 1, 0, /began to delete snapshot \S+ and took it back/),
      vanish: fails("deadline", 0, 0, /larger than any/),
    },
  },
  {
    fault: "a redirect to another origin",
    how: { answer: { action: "redirect" } },
    cells: {
      ...passing("malformed", /answered 302: a redirect to http:\/\/127\.0\.0\.1:\d+/, 1),
      login: fails("config", 0, 0, /the address has moved.*\n.*clouds\.yaml/),
      // Some redirects are the answer to a request that was carried out (303).
      make: fails("ambiguous", 0, 1, /answered 302: a redirect to http/),
      tag: recorded("malformed", 1, /answered 302: a redirect to http/),
    },
  },
  { fault: "a calendar that jumps ten years to and fro", how: { calendar: "jumps" }, cells: WELL },
  {
    fault: "418, a status nobody has heard of",
    how: { answer: { status: 418 } },
    cells: everywhere("refused", /answered 418/),
  },
  {
    fault: "599, a status nobody has heard of",
    how: { answer: { status: 599 } },
    cells: {
      ...passing("transient", /answered 599/, 3),
      make: fails("ambiguous", 0, 1, /Cinder answered 599/),
    },
  },
  {
    fault: "a snapshot in a status nobody has heard of",
    how: { snapshotStatus: "quantum-folding" },
    cells: {
      ...WELL,
      poll: pending("deadline", /seen: .*quantum-folding/),
      // Gone is gone.
      vanish: ok(0, 0),
    },
  },
];
