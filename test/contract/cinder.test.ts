// CinderClient against the emulator, over real sockets.

import { type Emulator, type EmulatorOptions, SEED_VOLUMES, startEmulator } from "../../emulator";
import type { ErrorKind } from "../../provider/core/errors";
import { CinderClient } from "../../provider/openstack/cinder";
import { missingObject } from "../../provider/openstack/cinderErrors";
import { KeystoneSession } from "../../provider/openstack/keystone";
import { failure } from "../support/failures";

const UNKNOWN = "421752a6-acf6-4b2d-bc7a-119f9148cd8c";
const VOLUME = SEED_VOLUMES.data;

const endings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

async function start(options: EmulatorOptions = {}, as: "demo" | "admin" | "other" = "demo") {
  const emulator = await startEmulator({ clock: "instant", ...options });
  const cinder = cinderOf(emulator, as);
  endings.push(() => emulator.close());
  return { emulator, cinder };
}

function cinderOf(emulator: Emulator, name: string): CinderClient {
  const domain = { name: "Default" };
  const session = new KeystoneSession({
    authUrl: emulator.openstack.authUrl,
    auth: { method: "password", user: { name, domain }, password: "secret", scope: { project: { name, domain } } },
    interface: "public",
    endpointOverride: {},
    serviceType: {},
    serviceRegion: {},
    serviceInterface: {},
    tls: { insecure: false },
    source: "a test",
    sourceKind: "environment",
    warnings: [],
  });
  endings.unshift(() => session.close());
  return new CinderClient(session);
}

const pathsOf = (emulator: Emulator, operation: string) =>
  emulator.requests.filter((entry) => entry.operation === operation).map((entry) => new URL(entry.path, emulator.url));

describe("calls", () => {
  it("snapshot: is created, shown, renamed and deleted", async () => {
    const { emulator, cinder } = await start({ clock: "manual" });
    const made = await cinder.createSnapshot({
      volume_id: VOLUME,
      name: "  nightly ",
      description: "Daily backup",
      metadata: { key: "v3", "snapclone:phase": "open" },
      force: false,
    });
    expect(made).toMatchObject({
      status: "creating",
      name: "nightly",
      description: "Daily backup",
      volume_id: VOLUME,
      metadata: { key: "v3", "snapclone:phase": "open" },
      updated_at: null,
      group_snapshot_id: null,
      consumes_quota: true,
    });
    expect(made["os-extended-snapshot-attributes:progress"]).toBeUndefined();
    expect((await cinder.showSnapshot(made.id))["os-extended-snapshot-attributes:progress"]).toBe("0%");

    const renamed = await cinder.updateSnapshot(made.id, { name: "weekly", description: null });
    expect(renamed).toMatchObject({ id: made.id, name: "weekly", description: null, status: "creating" });

    emulator.clock.tick(10_000);
    expect(await cinder.showSnapshot(made.id)).toMatchObject({
      status: "available",
      "os-extended-snapshot-attributes:progress": "100%",
      "os-extended-snapshot-attributes:project_id": emulator.keystone.projectNamed("demo").id,
      user_id: emulator.keystone.userNamed("demo").id,
    });

    await cinder.deleteSnapshot(made.id);
    expect((await cinder.showSnapshot(made.id)).status).toBe("deleting");
    emulator.clock.tick(10_000);
    for (const gone of [() => cinder.showSnapshot(made.id), () => cinder.deleteSnapshot(made.id)]) {
      const error = await failure(gone());
      expect([error.kind, missingObject(error)]).toEqual(["notFound", "snapshot"]);
    }
  });

  it("metadata: is read and written as a whole, and deleted by key", async () => {
    const { emulator, cinder } = await start();
    const { id } = emulator.cinder.createSnapshot({ volume_id: VOLUME, metadata: { a: "1" } });
    expect(await cinder.showSnapshotMetadata(id)).toEqual({ a: "1" });
    expect(await cinder.createSnapshotMetadata(id, { b: "2", "e f": "3" })).toEqual({ a: "1", b: "2", "e f": "3" });
    await cinder.deleteSnapshotMetadataKey(id, "a");
    expect(await cinder.showSnapshotMetadata(id)).toEqual({ b: "2", "e f": "3" });
    expect(await cinder.replaceSnapshotMetadata(id, { only: "this" })).toEqual({ only: "this" });
    expect(await cinder.replaceSnapshotMetadata(id, {})).toEqual({});
    for (const [of, what] of [
      [id, "metadataKey"],
      [UNKNOWN, "snapshot"],
    ] as const) {
      const error = await failure(cinder.deleteSnapshotMetadataKey(of, "a"));
      expect([error.kind, missingObject(error)]).toEqual(["notFound", what]);
    }
  });

  it("list: is read to the last page", async () => {
    const { emulator, cinder } = await start();
    const ids = Array.from({ length: 6 }, (_, n) => {
      const metadata = n % 2 === 0 ? { "snapclone:phase": "open" } : {};
      return emulator.cinder.createSnapshot({ volume_id: VOLUME, name: `n${n}`, metadata }).id;
    });
    const other = emulator.cinder.createSnapshot({ volume_id: SEED_VOLUMES.logs, name: "logs", status: "error" }).id;

    const list = await cinder.listSnapshotsDetail({
      limit: 2,
      volume_id: VOLUME,
      sort: "created_at:asc",
      with_count: true,
    });
    expect([list.snapshots.map(({ id }) => id), list.count]).toEqual([ids, 6]);
    expect(pathsOf(emulator, "snapshots.detail").map(({ searchParams }) => searchParams.get("marker"))).toEqual([
      null,
      ids[1],
      ids[3],
      ids[5],
    ]);

    const detail = async (query: Parameters<CinderClient["listSnapshotsDetail"]>[0]) =>
      (await cinder.listSnapshotsDetail(query)).snapshots.map(({ id }) => id).sort();
    expect(await detail({ limit: 4 })).toEqual([...ids, other].sort());
    expect(await detail({ status: "error" })).toEqual([other]);
    expect(await detail({ name: "n3" })).toEqual([ids[3]]);
    expect(await detail({ metadata: { "snapclone:phase": "open" } })).toEqual([ids[0], ids[2], ids[4]].sort());
    expect(await detail({ sort_key: "id", sort_dir: "desc", limit: 3 })).toHaveLength(7);
    expect(await detail({ offset: 5, limit: 1 })).toHaveLength(2);
    expect(await detail({ limit: 0 })).toEqual([]);
    const [row] = (await cinder.listSnapshotsDetail({ name: "n1" })).snapshots;
    expect(row?.["os-extended-snapshot-attributes:progress"]).toBe("100%");

    const all = (await cinderOf(emulator, "admin").listSnapshotsDetail({ all_tenants: true, limit: 3 })).snapshots;
    expect(all).toHaveLength(7);
    expect((await cinderOf(emulator, "other").listSnapshotsDetail({ all_tenants: true })).snapshots).toEqual([]);
  });

  it("volume and limits: are shown", async () => {
    const { emulator, cinder } = await start();
    const volume = emulator.cinder.createVolume({ status: "in-use", name: "disk" });
    expect(await cinder.showVolume(volume.id)).toMatchObject({
      id: volume.id,
      status: "in-use",
      name: "disk",
      size: 1,
    });
    expect((await cinder.showVolume(volume.id)).attachments).toHaveLength(1);
    emulator.cinder.createSnapshot({ volume_id: VOLUME });
    expect((await cinder.limits()).totalSnapshotsUsed).toBe(1);
    expect(missingObject(await failure(cinder.showVolume(UNKNOWN)))).toBe("volume");
  });
});

describe("microversions", () => {
  it.each(["3.0", "3.59", "3.66", "3.70"])(
    "microversion: requests and rows follow a maximum of %s",
    async (maxMicroversion) => {
      const { emulator, cinder } = await start({ maxMicroversion });
      const minor = Number(maxMicroversion.slice(2));
      expect(await cinder.microversion()).toBe(minor < 66 ? maxMicroversion : "3.66");
      expect(await cinder.atLeast("3.66")).toBe(minor >= 66);

      const { id } = await cinder.createSnapshot({ volume_id: VOLUME, name: "n", force: true, metadata: { m: "1" } });
      const sent = emulator.requests.find((entry) => entry.operation === "snapshots.create")?.body;
      expect(sent).toEqual({
        snapshot: { volume_id: VOLUME, name: "n", metadata: { m: "1" }, ...(minor < 66 ? { force: true } : {}) },
      });
      const row = await cinder.showSnapshot(id);
      expect("group_snapshot_id" in row).toBe(minor >= 14);
      expect("user_id" in row).toBe(minor >= 41);
      expect("consumes_quota" in row).toBe(minor >= 65);

      emulator.cinder.createSnapshot({ volume_id: VOLUME });
      expect((await cinder.listSnapshotsDetail({ metadata: { m: "1" } })).snapshots.map((found) => found.id)).toEqual([
        id,
      ]);

      const disk = emulator.cinder.createVolume({ status: "in-use" }).id;
      if (minor >= 66) {
        expect((await cinder.createSnapshot({ volume_id: disk, force: false })).volume_id).toBe(disk);
      } else {
        expect((await failure(cinder.createSnapshot({ volume_id: disk }))).message).toContain("`force: true`");
        expect((await cinder.createSnapshot({ volume_id: disk, force: true })).volume_id).toBe(disk);
      }
      expect(emulator.requests.count({ operation: "versions.list" })).toBe(1);
    },
  );

  it("microversion: is found if the root of the address lists no versions", async () => {
    const { emulator, cinder } = await start({ maxMicroversion: "3.59" });
    emulator.faults.add({ match: { operation: "versions.list" }, status: 404, body: "<html>", times: 99 });
    expect(await cinder.microversion()).toBe("3.59");
    emulator.faults.add({ match: { operation: "versions.show" }, status: 404, body: "<html>", times: 99 });
    expect(await cinderOf(emulator, "demo").microversion()).toBe("3.59");
  });
});

describe("errors", () => {
  it("create: a refusal is explained in plain words", async () => {
    const { emulator, cinder } = await start();
    const of = (given: object) => emulator.cinder.createVolume(given).id;
    const cases: [Parameters<CinderClient["createSnapshot"]>[0], ErrorKind, string][] = [
      [{ volume_id: UNKNOWN }, "notFound", "another project or region"],
      [{ volume_id: "zzz" }, "refused", "(a UUID)"],
      [{ volume_id: VOLUME, description: "a\nb" }, "refused", "no line break"],
      [{ volume_id: VOLUME, name: "x".repeat(256) }, "refused", "at most 255 characters"],
      [{ volume_id: VOLUME, metadata: { "": "v" } }, "refused", "keys of 1 to 255"],
      [{ volume_id: of({ status: "error" }) }, "refused", "has failed"],
      [{ volume_id: of({ status: "maintenance" }) }, "refused", "maintenance"],
      [{ volume_id: of({ status: "creating" }) }, "refused", "dependsOn"],
      [{ volume_id: of({ status: "deleting" }) }, "refused", "is being deleted"],
    ];
    for (const [snapshot, kind, text] of cases) {
      const error = await failure(cinder.createSnapshot(snapshot));
      expect([error.kind, error.message]).toEqual([kind, expect.stringContaining(text)]);
      expect(error.message).toMatch(/request id req-/);
    }
  });

  it("create: a full quota is reported after one request", async () => {
    const { emulator, cinder } = await start({ quotas: { snapshots: 0 } });
    const error = await failure(cinder.createSnapshot({ volume_id: VOLUME }));
    expect([error.kind, error.message]).toEqual(["refused", expect.stringContaining("quota is full")]);
    expect(emulator.requests.count({ operation: "snapshots.create" })).toBe(1);
  });

  it("delete, list and show: a refusal is explained, and another project sees no snapshot", async () => {
    const { emulator, cinder } = await start();
    const { id } = emulator.cinder.createSnapshot({ volume_id: VOLUME, status: "backing-up" });
    expect((await failure(cinder.deleteSnapshot(id))).message).toContain("group snapshot");
    expect((await failure(cinder.listSnapshotsDetail({ sort: "bogus" }))).message).toContain("created_at");
    expect((await failure(cinder.listSnapshotsDetail({ "name~": "x" }))).message).toContain(
      "does not allow this filter",
    );
    expect((await failure(cinder.listSnapshotsDetail({ marker: UNKNOWN }))).kind).toBe("notFound");
    expect(missingObject(await failure(cinderOf(emulator, "other").showSnapshot(id)))).toBe("snapshot");
    expect((await failure(cinder.updateSnapshot(id, {}))).kind).toBe("refused");
  });

  it("whyError: repeats Cinder's newest message", async () => {
    const { emulator, cinder } = await start();
    const make = async (create: "error" | "error-silent") => {
      emulator.cinder.failNext({ create });
      return (await cinder.createSnapshot({ volume_id: VOLUME })).id;
    };
    const [told, silent] = [await make("error"), await make("error-silent")];
    expect((await cinder.showSnapshot(told)).status).toBe("error");
    expect(await cinder.whyError(told)).toMatch(/^create snapshot:Snapshot failed to create\. \(request id req-/);
    expect(await cinder.whyError(silent)).toBeUndefined();
    expect((await cinder.listMessages(told))[0]).toMatchObject({ resource_uuid: told, message_level: "ERROR" });
    const old = await start({ maxMicroversion: "3.0" });
    expect(await old.cinder.listMessages(told)).toEqual([]);
  });

  const broken: [string, object, ErrorKind, ErrorKind, number][] = [
    ["a proxy's 503", { status: 503, body: "<html><title>Down</title>" }, "transient", "ambiguous", 3],
    ["a broken connection", { action: "reset" }, "transient", "ambiguous", 3],
    ["an answer cut short", { action: "truncate" }, "malformed", "ambiguous", 1],
    ["a web page", { action: "html", status: 200 }, "malformed", "ambiguous", 1],
  ];
  it.each(broken)(
    "create and show: %s has an outcome of its own for reads and writes",
    async (_name, fault, read, write, reads) => {
      const { emulator, cinder } = await start();
      await cinder.microversion();
      const { id } = emulator.cinder.createSnapshot({ volume_id: VOLUME });
      emulator.faults.add({ match: { service: "cinder" }, times: 99, ...fault });
      expect((await failure(cinder.createSnapshot({ volume_id: VOLUME }))).kind).toBe(write);
      expect(emulator.requests.count({ operation: "snapshots.create" })).toBe(1);
      expect((await failure(cinder.showSnapshot(id))).kind).toBe(read);
      expect(emulator.requests.count({ operation: "snapshots.show" })).toBe(reads);
    },
  );
});

it("show: can be aborted", async () => {
  const { emulator, cinder } = await start();
  await cinder.microversion();
  emulator.faults.add({ match: { operation: "snapshots.show" }, action: "hang" });
  const stop = new AbortController();
  const stopped = failure(cinder.showSnapshot(UNKNOWN, stop.signal));
  setTimeout(() => stop.abort(), 50);
  expect((await stopped).kind).toBe("stopped");
});
