// Where a fault can hit: each request that an operation sends, and the operation that is on its way when it does.

export type Operation = "create" | "adopt" | "read" | "update" | "delete" | "look up";

/** One kind of request on the wire. */
export interface Call {
  method: "GET" | "POST" | "PUT" | "DELETE";
  /** Tried on path and query. */
  path: RegExp;
}

const SNAPSHOT = "/snapshots/[0-9a-f-]{36}";
const show: Call = { method: "GET", path: new RegExp(`${SNAPSHOT}$`) };
const detail: Call = { method: "GET", path: /\/snapshots\/detail/ };
const rename: Call = { method: "PUT", path: new RegExp(`${SNAPSHOT}$`) };

/** The columns of the table, in the order in which the requests are sent. */
export const PLACES = {
  login: { of: "create", call: { method: "POST", path: /\/auth\/tokens$/ }, shown: "`POST /auth/tokens`" },
  versions: { of: "create", call: { method: "GET", path: /\/volume\/$/ }, shown: "`GET /` (versions)" },
  list: { of: "create", call: detail, shown: "`GET /snapshots/detail` (what an interrupted run left)" },
  make: { of: "create", call: { method: "POST", path: /\/snapshots$/ }, shown: "`POST /snapshots`" },
  poll: { of: "create", call: show, shown: "`GET /snapshots/{id}` (each look)" },
  adopt: { of: "adopt", call: rename, shown: "`PUT /snapshots/{id}` after adopting an interrupted run's snapshot" },
  read: { of: "read", call: show, shown: "`GET /snapshots/{id}`" },
  look: { of: "update", call: show, shown: "`GET /snapshots/{id}`" },
  rename: { of: "update", call: rename, shown: "`PUT /snapshots/{id}`" },
  tag: {
    of: "update",
    call: { method: "POST", path: new RegExp(`${SNAPSHOT}/metadata$`) },
    shown: "`POST /snapshots/{id}/metadata`",
  },
  untag: {
    of: "update",
    call: { method: "DELETE", path: new RegExp(`${SNAPSHOT}/metadata/[^/]+$`) },
    shown: "`DELETE /snapshots/{id}/metadata/{key}`",
  },
  remove: {
    of: "delete",
    call: { method: "DELETE", path: new RegExp(`${SNAPSHOT}$`) },
    shown: "`DELETE /snapshots/{id}`",
  },
  vanish: { of: "delete", call: show, shown: "`GET /snapshots/{id}` (until it is gone)" },
  find: { of: "look up", call: detail, shown: "`GET /snapshots/detail`" },
} as const satisfies Record<string, { of: Operation; call: Call; shown: string }>;

export type Place = keyof typeof PLACES;
