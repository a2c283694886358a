// ToyCopy in the fault table.

import type { Emulator } from "../../../emulator/index";
import { TOY_VOLUMES } from "../../../emulator/toy/model";
import { ToyClient } from "../../../provider/toy/client";
import { ToyContext } from "../../../provider/toy/context";
import { toyCopy as definition } from "../../../provider/toy/toyCopy/resource";
import { at, fails, gone, ok, pending, type RequestSite, type ResourceUnderTest } from "../resourceUnderTest";
import { del, get, hiddenInputs, post, put, request, within, withinFirst } from "../sites";

const PASSWORD = "toy-s3cret-passw0rd";

const FIELDS = ["id", "source", "name", "status", "labels", "created_at"];
const COPY_FIELDS = within("copy", FIELDS);
const COPY = /\/copies\/[0-9a-f-]{36}$/;

/** The columns of the table, in the order in which the requests are sent. */
const SITES = {
  login: request("create", "login", post(/\/v1\/sessions$/), "`POST /sessions`", ["token", "tenant"], {
    success: [1, 1],
    failure: [0, 0],
    idempotent: true,
  }),
  list: request(
    "adopt",
    "query",
    get(/\/copies\?label=/),
    "`GET /copies?label=…` (what an interrupted run left)",
    withinFirst("copies", FIELDS),
    { success: [1, 0], failure: [1, 0] },
  ),
  create: request("create", "create", post(/\/copies$/), "`POST /copies`", COPY_FIELDS, {
    success: [1, 0],
    failure: [0, 0],
    counted: true,
  }),
  poll: request("create", "poll", get(COPY), "`GET /copies/{id}` (each poll)", COPY_FIELDS, {
    success: [1, 1],
    failure: [1, 1],
  }),
  record: request(
    "adopt",
    "record",
    put(/\/copies\/[0-9a-f-]{36}\/labels$/),
    "`PUT /copies/{id}/labels` (the record on an interrupted run's copy)",
    [],
    { success: [1, 0], failure: [1, 0] },
  ),
  adopt: request(
    "adopt",
    "change",
    put(COPY),
    "`PUT /copies/{id}` after adopting an interrupted run's copy",
    COPY_FIELDS,
    { success: [1, 0], failure: [1, 0] },
  ),
  read: request("read", "query", get(COPY), "`GET /copies/{id}`", COPY_FIELDS, { success: [1, 0], failure: [1, 0] }),
  readBefore: request("update", "query", get(COPY), "`GET /copies/{id}`", COPY_FIELDS, {
    success: [1, 0],
    failure: [1, 0],
  }),
  rename: request("update", "change", put(COPY), "`PUT /copies/{id}`", COPY_FIELDS, {
    success: [1, 0],
    failure: [1, 0],
  }),
  delete: request("delete", "delete", del(COPY), "`DELETE /copies/{id}`", [], { success: [0, 0], failure: [1, 0] }),
  // The copy is gone at once, so the provider reads no field of the body.
  awaitGone: request("delete", "awaitGone", get(COPY), "`GET /copies/{id}` (until it is gone)", [], {
    success: [0, 0],
    failure: [0, 0],
  }),
} satisfies Record<string, RequestSite>;

const MISSING = "copy 9b9e0504-bec0-4e6d-a5ba-83cce6a19555 could not be found";

const copies = ({ toy }: Emulator) => {
  toy.advance();
  return [...toy.copies.values()];
};

export const toyCopy: ResourceUnderTest = {
  title: "ToyCopy",
  objects: "copies",
  creates: "`POST /copies` that reached Toy",
  definition,
  hidden: hiddenInputs("ToyCopy", "nightly"),
  before: { source: TOY_VOLUMES[0], name: "nightly" },
  after: { source: TOY_VOLUMES[0], name: "weekly" },
  sites: SITES,
  another: (at) => ({ name: `wave-${at}` }),
  expectations: {
    // A user who may not label: the record costs a warning.
    "403": { record: ok(at(1, 0)) },
    "404, in the service's own words": {
      // The backend lies here: the copy that it denies is still there afterwards.
      poll: pending("notFound", at(1, 1), /accepted and is not there/),
      read: gone(at(1, 0)),
      readBefore: fails("notFound", at(1, 0), /does not exist any more/),
      rename: fails("notFound", at(1, 0), /could not be found/),
      delete: ok(at(1, 0)),
      awaitGone: ok(at(0, 0)),
    },
    // A 404 that nobody can read, or only half of one, proves nothing.
    "a body that never ends": { awaitGone: fails("refused", at(0, 0), /answered 404: a body larger than any/) },
    "truncated JSON": { awaitGone: fails("refused", at(0, 0), /answered 404/) },
    // A 200 to a deletion that does not happen: the backend is asked, not believed.
    "10 MB of garbage": { delete: fails("failed", at(1, 0), /took it back to "available"/) },
  },

  prepare: ({ toy }) => void toy.users.set("admin", PASSWORD),
  open: ({ toy }, clock, http) => {
    const { url, username } = toy.connection();
    const settings = {
      url,
      username,
      password: PASSWORD,
      tls: { insecure: false },
      source: "stack config snapclone:connections.default",
      sourceKind: "stackConfig" as const,
      warnings: [],
    };
    return new ToyContext(new ToyClient(settings, { clock, http }));
  },
  secrets: ({ toy }) => [PASSWORD, ...toy.sessions],
  count: (emulator) => at(copies(emulator).length, emulator.requests.count({ operation: "copies.create" })),
  advance: ({ toy }) => toy.advance(),
  statuses: (emulator) => copies(emulator).map(({ status }) => status),
  healthyStatus: "available",
  expectedCount: 1,
  notFound: () => ({ status: 404, body: { error: { code: "CopyNotFound", message: MISSING } } }),
  quotaExceeded: () => ({
    status: 413,
    headers: { "Retry-After": "0" },
    body: { error: { code: "QuotaExceeded", message: "10 copies would exceed the quota" } },
  }),
  // Toy refuses before it makes anything.
  trustsRefusals: true,
  statusField: "status",
  statusWords: ["creating", "available", "error", "deleting"],
};
