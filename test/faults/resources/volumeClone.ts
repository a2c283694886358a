// VolumeClone in the fault table: a set of three, so that their deletion is watched by lists.

import { SEED_VOLUMES } from "../../../emulator/index";
import { KeystoneSession } from "../../../provider/openstack/keystone";
import { PowerVcContext } from "../../../provider/powervc/context";
import { volumeClone as definition } from "../../../provider/powervc/volumeClone/resource";
import { type Answer, type Counts, fails, ok, type RequestSite, type ResourceUnderTest } from "../resourceUnderTest";
import { PASSWORD, settingsOf } from "./snapshot";

const TEMP = "33333333-3333-4333-8333-333333333333";
const SOURCES = [SEED_VOLUMES.data, SEED_VOLUMES.logs, TEMP];
/** Any but the sources. */
const CLONE = `/volumes/(?!${SOURCES.join("|")})[0-9a-f-]{36}`;

const at = (objects: number, makings: number): Counts => ({ objects, makings });

const VOLUME_FIELDS = [
  "volume",
  ...[
    "id",
    "status",
    "size",
    "name",
    "description",
    "metadata",
    "attachments",
    "volume_type",
    "group_id",
    "source_volid",
    "created_at",
  ].map((field) => `volume.${field}`),
];

/** The clones of one set, by their metadata. */
const ofSet = { method: "GET", path: /\/volumes\/detail\?metadata=/ } as const;

/** The columns of the table, in the order in which the requests are sent. */
const PLACES = {
  login: {
    of: "create",
    role: "login",
    call: { method: "POST", path: /\/auth\/tokens$/ },
    shown: "`POST /auth/tokens`",
    well: () => at(3, 1),
    failed: () => at(0, 0),
    fields: ["token", "token.expires_at", "token.project", "token.project.id", "token.catalog"],
  },
  list: {
    of: "create",
    role: "question",
    call: { method: "GET", path: /\/volumes\/detail(\?limit=\d+)?$/ },
    shown: "`GET /volumes/detail` (what an interrupted run left)",
    well: () => at(3, 1),
    failed: () => at(0, 0),
    fields: ["volumes", "volumes.0.id", "volumes.0.metadata", "volumes.0.name"],
  },
  intent: {
    of: "create",
    role: "question",
    call: { method: "POST", path: new RegExp(`/volumes/${SOURCES[0]}/metadata$`) },
    shown: "`POST /volumes/{id}/metadata` (the request, noted on the first source)",
    well: () => at(3, 1),
    failed: () => at(0, 0),
    repeatable: true,
    fields: ["metadata"],
  },
  make: {
    of: "create",
    role: "make",
    call: { method: "POST", path: /\/clone-volumes$/ },
    shown: "`POST /clone-volumes`",
    well: (tries) => at(3, tries),
    failed: (tries) => at(0, tries),
    fields: ["clone-volumes", "clone-volumes.task_uri"],
  },
  poll: {
    of: "create",
    role: "poll",
    call: { method: "GET", path: /\/clone-volumes\/get_progress\?/ },
    shown: "`GET /clone-volumes/get_progress` (each look)",
    well: () => at(3, 1),
    failed: () => at(3, 1),
    fields: ["details", "details.results", "details.completed_tasks", "pending_tasks", "progress", "flow_details"],
  },
  read: {
    of: "read",
    role: "detour",
    call: ofSet,
    shown: "`GET /volumes/detail?metadata=…` (the clones)",
    well: () => at(3, 0),
    failed: () => at(3, 0),
    fields: ["volumes", "volumes.0.id", "volumes.0.metadata", "volumes.0.name"],
  },
  look: {
    of: "update",
    role: "detour",
    call: ofSet,
    shown: "`GET /volumes/detail?metadata=…` (the clones)",
    well: () => at(3, 0),
    failed: () => at(3, 0),
    fields: ["volumes", "volumes.0.id", "volumes.0.metadata", "volumes.0.name"],
  },
  rename: {
    of: "update",
    role: "change",
    call: { method: "PUT", path: new RegExp(`${CLONE}$`) },
    shown: "`PUT /volumes/{id}` (each clone)",
    well: () => at(3, 0),
    failed: () => at(3, 0),
    fields: VOLUME_FIELDS,
  },
  remove: {
    of: "delete",
    role: "remove",
    call: { method: "DELETE", path: new RegExp(`${CLONE}$`) },
    shown: "`DELETE /volumes/{id}` (each clone)",
    well: () => at(0, 0),
    failed: () => at(3, 0),
    fields: [],
  },
  vanish: {
    of: "delete",
    role: "vanish",
    call: { method: "GET", path: /\/volumes\/detail($|\?status=deleting|\?limit=)/ },
    shown: "`GET /volumes/detail` (until they are gone)",
    well: () => at(0, 0),
    failed: () => at(0, 0),
    fields: ["volumes"],
  },
} as const satisfies Record<string, RequestSite>;

const MISSING = "Volume 9b9e0504-bec0-4e6d-a5ba-83cce6a19555 could not be found.";
const NO_TASK = "Task 84a0bb4d-4644-40b0-b45a-00d2d0d75b2a could not be found.";
const QUOTA = "VolumeLimitExceeded: Maximum number of volumes allowed (10) exceeded";

const faultBody = (place: string, name: string, code: number, message: string): object =>
  place === "login" ? { error: { code, message, title: name } } : { [name]: { code, message } };

export const volumeClone: ResourceUnderTest = {
  title: "VolumeClone",
  objects: "clones",
  makings: "`POST /clone-volumes` that reached PowerVC",
  definition,
  hidden: {
    __owner: "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:VolumeClone::before",
    __provider: "exports.handler=()=>require('pulumi-snapclone/dynamic/v1')",
  },
  before: { volumes: SOURCES, displayName: "before" },
  after: { volumes: SOURCES, displayName: "after", description: "changed" },
  places: PLACES,
  cells: {
    "404, in the service's own words": {
      // Of a login it is Keystone's word for an unknown token.
      login: fails("unauthorized", at(0, 0), /could not be found/),
      make: fails("notFound", at(0, 1), /Volume \S+ could not be found/),
      // A task that PowerVC has forgotten: the volumes themselves tell that the clones are there.
      poll: ok(at(3, 1)),
      // The backend lies here: what it denies is still there afterwards.
      rename: fails("notFound", at(3, 0), /could not be found/),
      remove: ok(at(3, 0)),
      vanish: ok(at(0, 0)),
    },
    "404 of somebody else (a proxy, a wrong address)": {
      // PowerVC gave the task's id: no 404 says that it has no tasks. The volumes tell how it went.
      poll: ok(at(3, 1)),
      login: fails("config", at(0, 0), /there is no Keystone at http.*\n.*clouds\.yaml/),
    },
    "10 MB of garbage": {
      // A 200 to a deletion that does not happen: the backend is asked, not believed.
      remove: fails("failed", at(3, 0), /began to delete volume \S+ and took it back/),
    },
    "a redirect to another origin": {
      login: fails("config", at(0, 0), /the address has moved.*\n.*clouds\.yaml/),
    },
  },

  ready: (emulator) => {
    emulator.keystone.userNamed("demo").password = PASSWORD;
    emulator.cinder.createVolume({ id: TEMP, name: "temp", size: 5 });
  },
  open: (emulator, clock, http) => {
    const settings = { ...settingsOf(emulator.authUrl, "demo"), serviceType: { blockStorage: "volume" } };
    return new PowerVcContext(new KeystoneSession(settings, { clock, http }), clock);
  },
  secrets: (emulator) => [PASSWORD, encodeURIComponent(PASSWORD), ...emulator.keystone.tokens.keys()],
  count: (emulator) => {
    const clones = [...emulator.cinder.volumes.keys()].filter((id) => !SOURCES.includes(id));
    return at(clones.length, emulator.requests.count({ operation: "clones.create" }));
  },
  settle: (emulator) => emulator.powervc.settle(),
  statuses: (emulator) =>
    [...emulator.cinder.volumes.values()].filter(({ id }) => !SOURCES.includes(id)).map(({ status }) => status),
  fine: "available",
  wanted: 3,
  missing: (place): Answer => ({
    status: 404,
    body: faultBody(place, "itemNotFound", 404, place === "poll" ? NO_TASK : MISSING),
  }),
  quota: (place): Answer => ({
    status: 413,
    headers: { "Retry-After": "0" },
    body: faultBody(place, "overLimit", 413, QUOTA),
  }),
  // The intent is withdrawn when PowerVC says no.
  believesRefusals: true,
  statusField: "cloneFlow",
  // None that says that the flow has ended: PowerVC alone knows, and would be believed while it goes on.
  words: ["creating", "available", "in-use", "error", "deleting", "RUNNING", "PENDING", "REVERTING"],
};
