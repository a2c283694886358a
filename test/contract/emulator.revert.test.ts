// What the emulator answers to a revert: each refusal in Cinder's words, and what success and failure leave behind
// (docs/wire/openstack.md#revert).

import { SEED_VOLUMES } from "../../emulator";
import { inProcessCloud } from "../support/inProcessCloud";

const VOLUME = SEED_VOLUMES.data;
const { emulator, answer } = inProcessCloud({ clock: "manual" });
const { cinder } = emulator;
let token = "";
let snapshot: ReturnType<typeof cinder.createSnapshot>;

function call(path: string, body: unknown, headers: Record<string, string> = {}) {
  const url = `${emulator.openstack.authUrl.replace(/\/identity.*/, "")}${path}`;
  const reply = answer({ method: "POST", url, headers: { "content-type": "application/json", ...headers }, body });
  if (!reply) throw new Error(`no server at ${url}`);
  return { ...reply, json: reply.body === "" ? undefined : JSON.parse(reply.body) };
}

function revert(body: unknown, version = "3.66") {
  const headers = { "x-auth-token": token, "openstack-api-version": `volume ${version}` };
  const { status, json } = call(`/volume/v3/${cinder.projectId}/volumes/${VOLUME}/action`, { revert: body }, headers);
  return [status, json && (Object.values(json)[0] as { message: string }).message];
}

const volume = () => cinder.volumes.get(VOLUME) as NonNullable<ReturnType<typeof cinder.volumes.get>>;
const refusal = () => `Can't revert volume ${VOLUME} to its latest snapshot ${snapshot.id}.`;
const backup = () => [...cinder.snapshots.values()].find(({ name }) => name?.startsWith("[revert]"));
const pass = (ms: number) => {
  emulator.clock.tick(ms);
  cinder.advance();
};

beforeEach(() => {
  emulator.reset();
  snapshot = cinder.createSnapshot({ volume_id: VOLUME });
  const { username: name, password } = emulator.openstack.connection() as { username: string; password: string };
  const domain = { name: "Default" };
  const scope = { project: { name: "demo", domain } };
  const identity = { methods: ["password"], password: { user: { name, domain, password } } };
  const { pathname } = new URL(emulator.openstack.authUrl);
  token = String(call(`${pathname}/auth/tokens`, { auth: { identity, scope } }).headers?.["X-Subject-Token"]);
});

test.each<[string, () => unknown, string, number, () => string]>([
  ["3.39", () => ({ snapshot_id: snapshot.id }), "3.39", 404, () => "The resource could not be found."],
  [
    "no id",
    () => ({}),
    "3.40",
    400,
    () => `Specified snapshot None is None or not the latest one of volume ${VOLUME}.`,
  ],
  [
    "null",
    () => ({ snapshot_id: null }),
    "3.40",
    400,
    () => `Specified snapshot None is None or not the latest one of volume ${VOLUME}.`,
  ],
  [
    "no UUID",
    () => ({ snapshot_id: "x" }),
    "3.40",
    400,
    () => `Specified snapshot x is None or not the latest one of volume ${VOLUME}.`,
  ],
])("a request with %s", (_, body, version, status, text) => {
  expect(revert(body(), version)).toEqual([status, text()]);
  expect(volume().status).toBe("available");
});

test("a number is no id, and no revert at all is none", () => {
  expect(revert({ snapshot_id: 7 })[0]).toBe(400);
  expect(revert("x")[0]).toBe(400);
});

test("further fields are taken, as the real schema takes them", () => {
  expect(revert({ snapshot_id: snapshot.id, x: 1 })).toEqual([202, undefined]);
});

test.each<[string, () => void, number, () => string]>([
  ["no snapshot", () => cinder.removeSnapshot(snapshot.id), 400, () => `Volume ${VOLUME} doesn't have any snapshots.`],
  [
    "a newer snapshot in any status",
    () => cinder.createSnapshot({ volume_id: VOLUME, status: "error" }),
    400,
    () => `Specified snapshot ${snapshot.id} is None or not the latest one of volume ${VOLUME}.`,
  ],
  [
    "a volume that has grown",
    () => (volume().size = 11),
    400,
    () => `${refusal()} The volume size must be equal to the snapshot size.`,
  ],
  ...["in-use", "error", "reverting", "extending"].map((status): [string, () => void, number, () => string] => [
    `a volume in ${status}`,
    () => (volume().status = status),
    409,
    () => `Invalid volume: ${refusal()} Volume's status must be 'available'.`,
  ]),
])("%s", (_, prepare, status, text) => {
  prepare();
  const before = volume().status;
  expect(revert({ snapshot_id: snapshot.id })).toEqual([status, text()]);
  expect([volume().status, backup()]).toEqual([before, undefined]);
});

test("a snapshot that is not available: refused, and the volume stays in reverting, as on the real server", () => {
  snapshot.status = "backing-up";
  const text = `Invalid snapshot: ${refusal()} Snapshot's status must be 'available'.`;
  expect(revert({ snapshot_id: snapshot.id })).toEqual([409, text]);
  pass(3_600_000);
  expect(volume().status).toBe("reverting");
});

test("a revert: statuses, times of the same moment at the end, and no copy left", () => {
  expect(revert({ snapshot_id: snapshot.id })).toEqual([202, undefined]);
  expect([volume().status, snapshot.status, backup()?.consumes_quota]).toEqual(["reverting", "restoring", false]);
  const begun = volume().updated_at;
  expect(revert({ snapshot_id: snapshot.id })[0]).toBe(400);
  pass(1_000);
  expect([volume().status, snapshot.status, backup()]).toEqual(["available", "available", undefined]);
  expect(volume().updated_at).not.toBe(begun);
  const [one, other] = [volume(), snapshot].map(({ updated_at }) => Date.parse(`${updated_at}Z`));
  expect(Math.abs(Number(one) - Number(other))).toBeLessThanOrEqual(1);
});

test("a revert that fails: the volume in error, the snapshot available, the copy left, and no message", () => {
  cinder.behaviour({ of: "volume", revert: "error" });
  revert({ snapshot_id: snapshot.id });
  pass(1_000);
  expect([volume().status, snapshot.status, backup()?.status]).toEqual(["error", "available", "available"]);
  expect(cinder.messages.size).toBe(0);
});

test("a revert that never ends", () => {
  cinder.behaviour({ of: "volume", revert: "stuck" });
  revert({ snapshot_id: snapshot.id });
  pass(3_600_000);
  expect([volume().status, snapshot.status]).toEqual(["reverting", "restoring"]);
});
