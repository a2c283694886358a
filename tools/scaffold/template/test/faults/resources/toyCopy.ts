// ToyCopy in the fault table.

import type { Emulator } from "../../../emulator/index";
import { TOY_VOLUMES } from "../../../emulator/toy/model";
import { ToyClient } from "../../../provider/toy/client";
import { ToyContext } from "../../../provider/toy/context";
import { toyCopy as definition } from "../../../provider/toy/toyCopy/resource";
import { type Counts, fails, gone, ok, pending, type RequestSite, type ResourceUnderTest } from "../resourceUnderTest";

const PASSWORD = "toy-s3cret-passw0rd";

const at = (objects: number, creates: number): Counts => ({ objects, creates });

const FIELDS = ["id", "source", "name", "status", "labels", "created_at"];
const COPY_FIELDS = ["copy", ...FIELDS.map((field) => `copy.${field}`)];
const COPY = /\/copies\/[0-9a-f-]{36}$/;

/** The columns of the table, in the order in which the requests are sent. */
const SITES = {
  login: {
    of: "create",
    role: "login",
    call: { method: "POST", path: /\/v1\/sessions$/ },
    label: "`POST /sessions`",
    onSuccess: () => at(1, 1),
    onFailure: () => at(0, 0),
    idempotent: true,
    fields: ["token", "tenant"],
  },
  list: {
    of: "adopt",
    role: "query",
    call: { method: "GET", path: /\/copies\?label=/ },
    label: "`GET /copies?label=…` (what an interrupted run left)",
    onSuccess: () => at(1, 0),
    onFailure: () => at(1, 0),
    fields: ["copies", ...FIELDS.map((field) => `copies.0.${field}`)],
  },
  make: {
    of: "create",
    role: "create",
    call: { method: "POST", path: /\/copies$/ },
    label: "`POST /copies`",
    onSuccess: (tries) => at(1, tries),
    onFailure: (tries) => at(0, tries),
    fields: COPY_FIELDS,
  },
  poll: {
    of: "create",
    role: "poll",
    call: { method: "GET", path: COPY },
    label: "`GET /copies/{id}` (each look)",
    onSuccess: () => at(1, 1),
    onFailure: () => at(1, 1),
    fields: COPY_FIELDS,
  },
  record: {
    of: "adopt",
    role: "record",
    call: { method: "PUT", path: /\/copies\/[0-9a-f-]{36}\/labels$/ },
    label: "`PUT /copies/{id}/labels` (the record on an interrupted run's copy)",
    onSuccess: () => at(1, 0),
    onFailure: () => at(1, 0),
    fields: [],
  },
  adopt: {
    of: "adopt",
    role: "change",
    call: { method: "PUT", path: COPY },
    label: "`PUT /copies/{id}` after adopting an interrupted run's copy",
    onSuccess: () => at(1, 0),
    onFailure: () => at(1, 0),
    fields: COPY_FIELDS,
  },
  read: {
    of: "read",
    role: "query",
    call: { method: "GET", path: COPY },
    label: "`GET /copies/{id}`",
    onSuccess: () => at(1, 0),
    onFailure: () => at(1, 0),
    fields: COPY_FIELDS,
  },
  look: {
    of: "update",
    role: "query",
    call: { method: "GET", path: COPY },
    label: "`GET /copies/{id}`",
    onSuccess: () => at(1, 0),
    onFailure: () => at(1, 0),
    fields: COPY_FIELDS,
  },
  rename: {
    of: "update",
    role: "change",
    call: { method: "PUT", path: COPY },
    label: "`PUT /copies/{id}`",
    onSuccess: () => at(1, 0),
    onFailure: () => at(1, 0),
    fields: COPY_FIELDS,
  },
  remove: {
    of: "delete",
    role: "delete",
    call: { method: "DELETE", path: COPY },
    label: "`DELETE /copies/{id}`",
    onSuccess: () => at(0, 0),
    onFailure: () => at(1, 0),
    fields: [],
  },
  vanish: {
    of: "delete",
    role: "awaitGone",
    call: { method: "GET", path: COPY },
    label: "`GET /copies/{id}` (until it is gone)",
    onSuccess: () => at(0, 0),
    onFailure: () => at(0, 0),
    // The copy is gone at once.
    fields: [],
  },
} as const satisfies Record<string, RequestSite>;

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
  hidden: {
    __owner: "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:ToyCopy::nightly",
    __provider: "exports.handler=()=>require('pulumi-snapclone/dynamic/v1')",
  },
  before: { source: TOY_VOLUMES[0], name: "nightly" },
  after: { source: TOY_VOLUMES[0], name: "weekly" },
  sites: SITES,
  expectations: {
    // A user who may not label: the record costs a warning.
    "403": { record: ok(at(1, 0)) },
    "404, in the service's own words": {
      // The backend lies here: the copy that it denies is still there afterwards.
      poll: pending("notFound", at(1, 1), /accepted and is not there/),
      read: gone(at(1, 0)),
      look: fails("notFound", at(1, 0), /does not exist any more/),
      rename: fails("notFound", at(1, 0), /could not be found/),
      remove: ok(at(1, 0)),
      vanish: ok(at(0, 0)),
    },
    // A 404 that nobody can read, or only half of one, proves nothing.
    "a body that never ends": { vanish: fails("refused", at(0, 0), /answered 404: a body larger than any/) },
    "truncated JSON": { vanish: fails("refused", at(0, 0), /answered 404/) },
    // A 200 to a deletion that does not happen: the backend is asked, not believed.
    "10 MB of garbage": { remove: fails("failed", at(1, 0), /took it back to "available"/) },
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
