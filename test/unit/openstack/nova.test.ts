// NovaClient against responses that no Nova should send: none of them counts as accepted, and nothing is sent twice.

import type { ErrorKind } from "../../../provider/core/errors";
import { KeystoneSession } from "../../../provider/openstack/keystone";
import { NovaClient } from "../../../provider/openstack/nova";
import { computeAddress } from "../../../provider/openstack/urls";
import { failure } from "../../support/failures";
import {
  type Call,
  type Cloud,
  fakeClock,
  isLogin,
  type Reply,
  settingsFor,
  startCloud,
  tokenReply,
} from "./openstackContext";

const VOLUME = "808d0720-70a7-4e92-8dff-d516ff6dce06";
const SNAPSHOT = "9b9e0504-bec0-4e6d-a5ba-83cce6a19555";
const CREATE = { snapshot_id: SNAPSHOT, type: "qcow2", new_file: "overlay", id: SNAPSHOT } as const;
const DELETE = { volume_id: VOLUME, type: "qcow2", file_to_merge: "a b&c", merge_target_file: null } as const;
const created = { snapshot: { id: SNAPSHOT, volumeId: VOLUME } };

const endings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

async function novaOf(answer: (call: Call) => Reply): Promise<{ nova: NovaClient; cloud: Cloud; sent: () => Call[] }> {
  const cloud = await startCloud((call) => (isLogin(call) ? tokenReply("token-1") : answer(call)));
  const changes = { endpointOverride: { compute: `${cloud.url}/v2.1` } };
  const session = new KeystoneSession(settingsFor(cloud.url, changes), { clock: fakeClock() });
  endings.push(
    () => session.close(),
    () => cloud.close(),
  );
  return { nova: new NovaClient(session), cloud, sent: () => cloud.calls.filter((call) => !isLogin(call)) };
}

test.each([
  ["http://h:8774", "http://h:8774/v2.1"],
  ["http://h:8774/v2.1", "http://h:8774/v2.1"],
  ["http://h:8774/v2/38d2d7a82d9c4142a295298087bf9459", "http://h:8774/v2.1"],
  ["https://h/compute/v2.1/38d2d7a82d9c4142a295298087bf9459/", "https://h/compute/v2.1"],
  ["https://h/compute", "https://h/compute/v2.1"],
])("computeAddress: %s", (endpoint, api) => {
  expect(computeAddress(endpoint)).toBe(api);
});

test("create and delete: requests have all fields, and no others", async () => {
  const { nova, sent } = await novaOf(({ method }) =>
    method === "POST" ? { body: created } : { status: 204, body: "" },
  );
  await nova.createAssistedSnapshot(VOLUME, CREATE);
  await nova.deleteAssistedSnapshot(SNAPSHOT, { ...DELETE, more: "x" } as typeof DELETE);
  const [post, remove] = sent();
  expect(post).toMatchObject({
    path: "/v2.1/os-assisted-volume-snapshots",
    body: { snapshot: { volume_id: VOLUME, create_info: CREATE } },
    headers: { "openstack-api-version": "compute 2.1" },
  });
  expect(remove?.path).toBe(`/v2.1/os-assisted-volume-snapshots/${SNAPSHOT}`);
  expect(JSON.parse(remove?.query.get("delete_info") ?? "")).toEqual(DELETE);
});

test.each(["", ".", ".."])("delete: with the snapshot id %j nothing is sent", async (id) => {
  const { nova, sent } = await novaOf(() => ({ status: 204, body: "" }));
  expect((await failure(nova.deleteAssistedSnapshot(id, DELETE))).kind).toBe("input");
  expect(sent()).toEqual([]);
});

const HTML = { "content-type": "text/html" };
const bad: [string, Reply, ErrorKind, ErrorKind][] = [
  ["a broken connection", "reset", "ambiguous", "ambiguous"],
  ["a proxy's 502", { status: 502, headers: HTML, body: "<html>" }, "ambiguous", "ambiguous"],
  ["a proxy's 504", { status: 504, headers: HTML, body: "<html>" }, "ambiguous", "ambiguous"],
  [
    "an error inside Nova",
    { status: 500, body: { computeFault: { code: 500, message: "TypeError" } } },
    "ambiguous",
    "ambiguous",
  ],
  ["a web page with 200", { headers: HTML, body: "<html>" }, "ambiguous", "ambiguous"],
  ["202", { status: 202, body: created }, "ambiguous", "ambiguous"],
  ["a redirect", { status: 302, headers: { location: "https://other/" }, body: "" }, "ambiguous", "ambiguous"],
  ["another snapshot's answer", { body: { snapshot: { id: "other", volumeId: VOLUME } } }, "ambiguous", "ambiguous"],
  ["no id", { body: { snapshot: { id: null, volumeId: VOLUME } } }, "ambiguous", "ambiguous"],
  ["half of the JSON", { body: '{"snapshot": {"id"' }, "ambiguous", "ambiguous"],
  ["a bare 404", { status: 404, headers: HTML, body: "<html>" }, "refused", "refused"],
  [
    "webob's 404",
    { status: 404, body: { message: "The resource could not be found.", code: "404 Not Found", title: "Not Found" } },
    "config",
    "config",
  ],
  [
    "a call that this Nova doesn't have",
    { status: 404, body: { itemNotFound: { code: 404, message: "The resource could not be found." } } },
    "refused",
    "refused",
  ],
  [
    "Nova's own 404",
    { status: 404, body: { itemNotFound: { code: 404, message: "Instance x could not be found." } } },
    "notFound",
    "notFound",
  ],
  ["403 without a rule", { status: 403, body: { forbidden: { code: 403, message: "no" } } }, "forbidden", "forbidden"],
  ["409", { status: 409, body: { conflictingRequest: { code: 409, message: "busy" } } }, "refused", "refused"],
];
test.each(bad)(
  "create and delete: %s is an error, and nothing is sent twice",
  async (_name, reply, createKind, deleteKind) => {
    const { nova, sent } = await novaOf(() => reply);
    expect((await failure(nova.createAssistedSnapshot(VOLUME, CREATE))).kind).toBe(createKind);
    expect((await failure(nova.deleteAssistedSnapshot(SNAPSHOT, DELETE))).kind).toBe(deleteKind);
    expect(sent()).toHaveLength(2);
  },
);
