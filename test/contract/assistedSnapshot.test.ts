// AssistedSnapshot's lifecycle against the emulator: what is asked of Nova and what never is, what becomes of the disk,
// and what the user is told.

import { setTimeout as delay } from "node:timers/promises";
import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { check } from "../../provider/core/check";
import type { Clock } from "../../provider/core/clock";
import { diff } from "../../provider/core/diff";
import { markerOf } from "../../provider/core/ledger";
import { create, type Properties, read, remove, update } from "../../provider/core/lifecycle";
import { Run } from "../../provider/core/run";
import { assistedSnapshot as released } from "../../provider/openstack/assistedSnapshot";
import { Cloud } from "../../provider/openstack/cloud";
import { resolveOpenStack } from "../../provider/openstack/connection";
import { OpenStackSession } from "../../provider/openstack/keystone";
import { partial } from "../support/failures";

/** So many times as fast as life, the emulator's and ours. */
const SCALE = 100;
const clock: Clock = {
  now: () => performance.now() * SCALE,
  date: () => new Date(),
  sleep: async (ms, signal) => void (await delay(ms / SCALE, undefined, signal ? { signal } : undefined)),
};
/** Attached, in the seed data. */
const VOLUME = SEED_VOLUMES.logs;
const BASE = `volume-${VOLUME}`;
const OVERLAY = "overlay-1";

let emulator: Emulator;
let cloud: Cloud;
let snapshotId: string;
let news: Properties;
const log: string[] = [];
const definition = { ...released, connection: { kind: "openstack", open: () => cloud } };
const newRun = () => new Run({ clock, log: (severity, text) => log.push(`${severity}: ${text}`) });

beforeEach(async () => {
  emulator = await startEmulator({ clock: { scale: SCALE } });
  cloud = connect(emulator.admin.connection());
  log.length = 0;
  snapshotId = emulator.cinder.createSnapshot({ volume_id: VOLUME, name: "nightly" }).id;
  emulator.nova.createFile(VOLUME, OVERLAY);
  news = {
    volumeId: VOLUME,
    snapshotId,
    newFile: OVERLAY,
    type: "qcow2",
    manageStatus: true,
    __owner: "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:AssistedSnapshot::overlay",
    __provider: "p",
  };
});

afterEach(async () => {
  await cloud.session.close();
  await emulator.close();
});

function connect(config: unknown): Cloud {
  const settings = resolveOpenStack({ name: "default", config, env: {}, cwd: "/", home: "/" });
  return new Cloud(new OpenStackSession(settings, { clock }), clock);
}

const row = () => {
  emulator.cinder.settle();
  const found = emulator.cinder.snapshots.get(snapshotId);
  if (!found) throw new Error("the snapshot is gone");
  return found;
};
const step = () => row().metadata["snapclone:assisted-step"];
const chain = () => {
  emulator.nova.settle();
  return emulator.nova.chain(VOLUME);
};
const asked = (operation: "create" | "delete") =>
  emulator.requests.filter((entry) => entry.operation === `assistedSnapshots.${operation}`);
const statusChanges = () => emulator.requests.count({ operation: "snapshots.os-reset_status" });
const warnings = () => log.filter((line) => line.startsWith("warning"));
/** The emulator's work in the background takes its time, also after an operation that could not wait for it. */
const until = async (happened: () => boolean) => {
  while (!happened()) await delay(2);
};

describe("create and delete, with the status managed", () => {
  test("both are seen to be done, and the record is as it was before", async () => {
    const { id, outs } = await create(definition, newRun(), news);
    expect(id).toBe(`${VOLUME}/${snapshotId}`);
    expect(outs).toMatchObject({ verified: true, status: "available", progress: "100%", snapshotId, volumeId: VOLUME });
    expect(outs).not.toHaveProperty("unverifiedReason");
    expect(chain()).toEqual([OVERLAY, BASE]);
    expect(asked("create").map(({ body }) => body)).toEqual([
      {
        snapshot: {
          volume_id: VOLUME,
          create_info: { snapshot_id: snapshotId, type: "qcow2", new_file: OVERLAY, id: snapshotId },
        },
      },
    ]);
    expect(log.at(-1)).toBe("status: creating 90%");

    await remove(definition, newRun(), id, outs);
    expect(chain()).toEqual([OVERLAY]);
    expect(emulator.nova.file(VOLUME, OVERLAY)?.holds).toEqual([OVERLAY, BASE]);
    expect(row()).toMatchObject({ status: "available", name: "nightly" });
    expect(step()).toBe("merged");
    expect(warnings()).toEqual([]);
    const [sent] = asked("delete");
    expect(JSON.parse(new URL(sent?.path ?? "", "http://x").searchParams.get("delete_info") ?? "")).toEqual({
      volume_id: VOLUME,
      type: "qcow2",
      file_to_merge: null,
      merge_target_file: null,
    });
  });

  test("a status nobody has heard of shows nothing, and is waited out in both directions", async () => {
    const odd = { ...(await cloud.cinder.showSnapshot(snapshotId)), status: "quantum-folding" };
    const show = new RegExp(`/snapshots/${snapshotId}$`);
    // One look comes before Nova is asked.
    const oddOnce = (nth: number) =>
      emulator.faults.add({ match: { method: "GET", path: show, nth }, status: 200, body: { snapshot: odd } });
    oddOnce(2);
    const { id, outs } = await create(definition, newRun(), news);
    expect(outs).toMatchObject({ verified: true, status: "available" });

    // And three before it is asked to merge.
    oddOnce(4);
    await remove(definition, newRun(), id, outs);
    expect(chain()).toEqual([OVERLAY]);
    expect(step()).toBe("merged");
    expect(log.filter((line) => line.startsWith("status: quantum-folding"))).toHaveLength(2);
    expect(warnings()).toEqual([]);
  });

  test("a status nobody has heard of when all is done: it is not put back, and the next run does that", async () => {
    const { cinder } = cloud;
    const mark = cinder.createSnapshotMetadata.bind(cinder);
    jest.spyOn(cinder, "createSnapshotMetadata").mockImplementation(async (id, metadata) => {
      const marked = await mark(id, metadata);
      if (metadata["snapclone:assisted-step"] === "made") row().status = "quantum-folding";
      return marked;
    });
    const failure = await partial(create(definition, newRun(), news));
    expect(failure.message).toMatch(/"quantum-folding", which nobody knows/);
    row().status = "creating";
    const next = newRun();
    const { outs } = await update(definition, next, failure.id, failure.properties, news);
    expect(outs).toMatchObject({ verified: true, status: "available", progress: "100%" });
    expect(asked("create")).toHaveLength(1);
    await next.end();
  });

  test("a delete that comes again asks for nothing, and a new overlay can follow", async () => {
    const { id, outs } = await create(definition, newRun(), news);
    await remove(definition, newRun(), id, outs);
    await remove(definition, newRun(), id, outs);
    expect(asked("delete")).toHaveLength(1);
    emulator.nova.createFile(VOLUME, "overlay-2");
    expect((await create(definition, newRun(), { ...news, newFile: "overlay-2" })).outs.verified).toBe(true);
    expect(chain()).toEqual(["overlay-2", OVERLAY]);
  });

  test("on to a file of the chain, and one file into another", async () => {
    emulator.nova.createFile(VOLUME, "below");
    const below = emulator.cinder.createSnapshot({ volume_id: VOLUME }).id;
    const first = await create(definition, newRun(), {
      ...news,
      snapshotId: below,
      newFile: "below",
      fileToMerge: BASE,
    });
    emulator.nova.createFile(VOLUME, OVERLAY);
    const second = await create(definition, newRun(), { ...news, fileToMerge: "below", mergeTargetFile: BASE });
    expect(chain()).toEqual([OVERLAY, "below", BASE]);
    await remove(definition, newRun(), second.id, second.outs);
    expect(chain()).toEqual([OVERLAY, BASE]);
    expect(emulator.nova.file(VOLUME, BASE)?.holds).toEqual([BASE, "below"]);
    await remove(definition, newRun(), first.id, first.outs);
    expect(chain()).toEqual([OVERLAY, BASE]);
  });

  test("an old report on the record is not taken for the new one", async () => {
    Object.assign(row(), { progress: "90%" });
    emulator.nova.failNext("create", "lost");
    const failure = await partial(create(definition, newRun(), { ...news, __timeouts: { create: "1m" } }));
    expect(failure.reasons[0]).toContain(`seen: creating 10%`);
    expect(chain()).toEqual([BASE]);
  });

  test("a user who may not reset a status is told the rule, and Nova is not asked", async () => {
    await cloud.session.close();
    cloud = connect(emulator.connection());
    await expect(create(definition, newRun(), news)).rejects.toThrow(/snapshot_admin_actions:reset_status/);
    expect(asked("create")).toEqual([]);
    expect(row().metadata).toEqual({});
  });
});

describe("with the status left alone", () => {
  beforeEach(() => {
    news = { ...news, manageStatus: undefined };
  });

  test("a record that can't show it: said in the outputs and as a warning, in both directions", async () => {
    const { id, outs } = await create(definition, newRun(), news);
    expect(outs).toMatchObject({
      verified: false,
      unverifiedReason: expect.stringContaining('is in status "available"'),
    });
    expect(warnings()).toEqual([expect.stringContaining("could not be seen to be in place")]);
    await until(() => chain()[0] === OVERLAY);
    const { props } = await read(definition, newRun(), id, outs);
    expect(props).toMatchObject({ verified: false, unverifiedReason: outs.unverifiedReason });

    await remove(definition, newRun(), id, outs);
    expect(warnings().at(-1)).toContain("could not be seen to be done");
    await until(() => chain().length === 1);
    expect(statusChanges()).toBe(0);
  });

  test("a record that an administrator has put into creating and deleting shows it", async () => {
    Object.assign(row(), { status: "creating" });
    const { id, outs } = await create(definition, newRun(), news);
    expect(outs).toMatchObject({ verified: true, status: "creating", progress: "90%" });
    Object.assign(row(), { status: "deleting", progress: "100%" });
    await remove(definition, newRun(), id, outs);
    expect(row()).toMatchObject({ status: "deleting", progress: "90%" });
    expect(chain()).toEqual([OVERLAY]);
    expect([statusChanges(), warnings()]).toEqual([0, []]);
  });

  test("a report in deleting that was there before proves nothing", async () => {
    const { id, outs } = await create(definition, newRun(), news);
    await until(() => chain()[0] === OVERLAY);
    Object.assign(row(), { status: "deleting", progress: "90%" });
    emulator.nova.failNext("delete", "lost");
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/there before/);
    expect(asked("delete")).toEqual([]);
  });

  test("a policy that hides the progress", async () => {
    cloud.snapshot = async (id) => {
      const { "os-extended-snapshot-attributes:progress": _, ...rest } = await cloud.cinder.showSnapshot(id);
      return rest as Awaited<ReturnType<typeof cloud.cinder.showSnapshot>>;
    };
    const { outs } = await create(definition, newRun(), { ...news, manageStatus: true });
    expect(outs).toMatchObject({ verified: false, unverifiedReason: expect.stringContaining("policy hides") });
    expect(statusChanges()).toBe(0);
  });
});

describe("refused before it is sent", () => {
  const cases: [string, () => void, RegExp][] = [
    ["a snapshot that Cinder doesn't have", () => emulator.cinder.removeSnapshot(snapshotId), /has no snapshot/],
    ["a volume that Cinder doesn't have", () => emulator.cinder.removeVolume(VOLUME), /has no volume/],
    ["a snapshot of another volume", () => Object.assign(row(), { volume_id: SEED_VOLUMES.data }), /is of volume 1111/],
    ["a volume without a server", () => setVolume({ status: "available", attachments: [] }), /attached to no server/],
    ["a volume being detached", () => setVolume({ status: "detaching" }), /status "detaching"/],
    ["a volume for several servers", () => setVolume({ multiattach: true }), /several servers/],
    ["a snapshot in error", () => Object.assign(row(), { status: "error" }), /is in status "error"/],
    ["a snapshot being deleted", () => Object.assign(row(), { status: "deleting" }), /is in status "deleting"/],
    [
      "a snapshot that has an overlay",
      () =>
        Object.assign(row(), { metadata: { "snapclone:assisted-step": "made", "snapclone:assisted-owner": "ann" } }),
      /has an overlay already: its mark says "made", made for ann/,
    ],
    [
      "a snapshot that Cinder is making",
      () => Object.assign(row(), { status: "creating", progress: "0%" }),
      /creating 0%/,
    ],
    [
      "a report that nobody has ended",
      () => Object.assign(row(), { status: "creating", progress: "90%" }),
      /creating 90%/,
    ],
    ["another snapshot on its way", () => void other({ status: "creating" }), /of the same volume is creating/],
    ["another snapshot being merged", () => void other({ status: "deleting" }), /of the same volume is deleting/],
    [
      "another overlay on its way",
      () => void other({ metadata: { "snapclone:assisted-step": "asked", "snapclone:assisted-owner": "ann" } }),
      /marked "asked" for ann/,
    ],
  ];
  const setVolume = (fields: object) => Object.assign(emulator.cinder.volumes.get(VOLUME) ?? {}, fields);
  const other = (fields: object) => emulator.cinder.createSnapshot({ volume_id: VOLUME, ...fields });

  test.each(cases)("create: %s", async (_name, prepare, said) => {
    prepare();
    await expect(create(definition, newRun(), news)).rejects.toThrow(said);
    expect(asked("create")).toEqual([]);
    expect(statusChanges()).toBe(0);
  });

  const deletes: [string, () => void, RegExp][] = [
    ["a volume without a server", () => setVolume({ status: "available", attachments: [] }), /attached to no server/],
    ["another snapshot on its way", () => void other({ status: "creating" }), /of the same volume is creating/],
    ["no mark any more", () => Object.assign(row(), { metadata: {} }), /no longer bears the mark/],
    ["a volume that is gone", () => emulator.cinder.removeVolume(VOLUME), /has no volume/],
  ];
  test.each(deletes)("delete: %s", async (_name, prepare, said) => {
    const { id, outs } = await create(definition, newRun(), news);
    const before = statusChanges();
    prepare();
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(said);
    expect(asked("delete")).toEqual([]);
    expect(statusChanges()).toBe(before);
  });

  test("delete: what is in the state is no file's name", async () => {
    const { id, outs } = await create(definition, newRun(), news);
    await expect(remove(definition, newRun(), id, { ...outs, fileToMerge: "../base" })).rejects.toThrow(
      /not a file's name/,
    );
    expect(asked("delete")).toEqual([]);
  });

  test("something on its way is waited for, for a while", async () => {
    const busy = other({ status: "creating", progress: "0%" });
    const making = create(definition, newRun(), news);
    await until(() => log.some((line) => line.includes("waiting: snapshot")));
    busy.status = "available";
    expect((await making).outs.verified).toBe(true);
  });
});

describe("Nova says no", () => {
  test("not an administrator: the rule is named, and nothing is left", async () => {
    await cloud.session.close();
    cloud = connect(emulator.connection());
    await expect(create(definition, newRun(), { ...news, manageStatus: undefined })).rejects.toThrow(
      /os_compute_api:os-assisted-volume-snapshots:create/,
    );
    expect(step()).toBe("none");
    expect(
      (await cloud.cinder.listSnapshotsDetail({ metadata: { "snapclone:assisted-phase": "open" } })).snapshots,
    ).toEqual([]);
  });

  test("a busy server, on both ways: the status is taken back", async () => {
    const server = emulator.nova.serverOf(VOLUME);
    if (server) server.task_state = "rebooting";
    await expect(create(definition, newRun(), news)).rejects.toThrow(/in task_state rebooting[\s\S]*Run again/);
    expect([row().status, step()]).toEqual(["available", "none"]);
    if (server) server.task_state = null;
    const { id, outs } = await create(definition, newRun(), news);
    if (server) server.task_state = "rebooting";
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/in task_state rebooting/);
    expect([row().status, step()]).toEqual(["available", "made"]);
    if (server) server.task_state = null;
    await remove(definition, newRun(), id, outs);
    expect(chain()).toEqual([OVERLAY]);
  });

  test("404 in Nova's own words is gone; an address that isn't Nova's is not", async () => {
    const { id, outs } = await create(definition, newRun(), news);
    const match = { operation: "assistedSnapshots.delete" };
    const webob = { message: "The resource could not be found.<br />", code: "404 Not Found", title: "Not Found" };
    emulator.faults.add({ match, status: 404, body: webob });
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/no such address/);
    expect(step()).toBe("made");
    emulator.faults.add({
      match,
      status: 404,
      body: { itemNotFound: { code: 404, message: "Instance x not found." } },
    });
    await remove(definition, newRun(), id, outs);
    expect([step(), row().status]).toEqual(["merged", "available"]);
  });
});

describe("it goes wrong on the compute node", () => {
  test("no file: told, recorded, replaced by the next up, and nothing is merged for it", async () => {
    const failure = await partial(create(definition, newRun(), { ...news, newFile: "missing" }));
    expect(failure.reasons[0]).toMatch(/could not switch the disk to missing[\s\S]*nova-compute's log/);
    expect(failure.properties).toMatchObject({ verified: false, pending: { operation: "create", failed: true } });
    expect(diff(definition, failure.properties, news)).toMatchObject({ deleteBeforeReplace: true });
    await remove(definition, newRun(), failure.id, failure.properties);
    expect(asked("delete")).toEqual([]);
    expect(row().status).toBe("available");
    expect((await create(definition, newRun(), news)).outs.verified).toBe(true);
  });

  test("the same with the status left alone: the record stays in error", async () => {
    Object.assign(row(), { status: "creating" });
    const unmanaged = { ...news, manageStatus: undefined, newFile: "missing" };
    const failure = await partial(create(definition, newRun(), unmanaged));
    expect(row().status).toBe("error");
    await remove(definition, newRun(), failure.id, failure.properties);
    expect([asked("delete"), statusChanges()]).toEqual([[], 0]);
  });

  test("a server that is not running: no report ever; the deadline says where to look", async () => {
    const server = emulator.nova.serverOf(VOLUME);
    if (server) server.vm_state = "stopped";
    const failure = await partial(create(definition, newRun(), { ...news, __timeouts: { create: "1m" } }));
    expect(failure.reasons[0]).toMatch(/waited .* for Nova's report[\s\S]*the server is not running/);
    expect(failure.properties).toMatchObject({ pending: { operation: "create" }, verified: false });
    // Whether it will still come is not known: nothing is merged on a guess.
    await expect(remove(definition, newRun(), failure.id, failure.properties)).rejects.toThrow(/virsh domblklist/);
    expect(asked("delete")).toEqual([]);
    // Somebody has looked and says so.
    row().metadata["snapclone:assisted-step"] = "none";
    await remove(definition, newRun(), failure.id, failure.properties);
    expect(asked("delete")).toEqual([]);
  });

  test("a late report: the next up goes on waiting for it", async () => {
    emulator.nova.failNext("create", "lost");
    const failure = await partial(create(definition, newRun(), { ...news, __timeouts: { create: "1m" } }));
    Object.assign(row(), { progress: "90%" });
    const { outs } = await update(definition, newRun(), failure.id, failure.properties, news);
    expect(outs).toMatchObject({ verified: true, status: "available" });
    expect(asked("create")).toHaveLength(1);
  });

  test("error_deleting says where to look and what was asked; corrected in place, it can be deleted", async () => {
    const wrong = { ...news, fileToMerge: "nobody", mergeTargetFile: BASE };
    const { id, outs } = await create(definition, newRun(), wrong);
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(
      /error_deleting[\s\S]*"file_to_merge":"nobody"[\s\S]*nova-compute's log/,
    );
    expect(chain()).toEqual([OVERLAY, BASE]);
    const { props = {} } = await read(definition, newRun(), id, outs);
    expect(props.status).toBe("error_deleting");
    expect(warnings().at(-1)).toContain('status "error_deleting"');

    expect(diff(definition, outs, news).replaces).toEqual(["fileToMerge", "mergeTargetFile"]);
    expect(diff(definition, props, news)).toEqual({});
    const corrected = await update(definition, newRun(), id, props, news);
    await remove(definition, newRun(), id, corrected.outs);
    expect([chain(), row().status]).toEqual([[OVERLAY], "available"]);
  });

  test("error_deleting with the status left alone: an administrator has to reset it", async () => {
    const { id, outs } = await create(definition, newRun(), news);
    Object.assign(row(), { status: "error_deleting" });
    await expect(remove(definition, newRun(), id, { ...outs, manageStatus: undefined })).rejects.toThrow(
      /has to reset it/,
    );
    expect(asked("delete")).toEqual([]);
  });

  test("a path in the chain: every partial merge fails, and is told", async () => {
    emulator.nova.createFile(VOLUME, OVERLAY, { absolute: true });
    const { id, outs } = await create(definition, newRun(), { ...news, fileToMerge: BASE });
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/linked by relative names/);
  });

  test("a merge that takes longer than the deadline is gone on with, and asked for once", async () => {
    const { id, outs } = await create(definition, newRun(), news);
    emulator.nova.failNext("delete", "lost");
    await expect(remove(definition, newRun(), id, { ...outs, __timeouts: { delete: "1m" } })).rejects.toThrow(
      /waited .* for Nova's report on the merge[\s\S]*Asked was/,
    );
    Object.assign(row(), { progress: "90%" });
    await remove(definition, newRun(), id, outs);
    expect([asked("delete").length, step(), row().status]).toEqual([1, "merged", "available"]);
  });
});

describe("interrupted", () => {
  test("a killed run's overlay is adopted, not made a second time", async () => {
    const first = await create(definition, newRun(), news);
    const again = await create(definition, newRun(), { ...news, fileToMerge: BASE });
    expect(again.id).toBe(first.id);
    expect(again.outs).toMatchObject({ verified: true, fileToMerge: BASE });
    expect(asked("create")).toHaveLength(1);
  });

  test("one killed while Nova was at work is waited for", async () => {
    emulator.nova.failNext("create", "lost");
    await partial(create(definition, newRun(), { ...news, __timeouts: { create: "1m" } }));
    const making = create(definition, newRun(), news);
    await until(() => log.filter((line) => line.startsWith("status: adopting")).length === 1);
    Object.assign(row(), { progress: "90%" });
    expect((await making).outs.verified).toBe(true);
    expect(asked("create")).toHaveLength(1);
  });

  test("one killed on the way to Nova, and nothing to see: it asks somebody to look, and takes the answer", async () => {
    const open = {
      "snapclone:assisted-owner": String(news.__owner),
      "snapclone:assisted-phase": "open",
      "snapclone:assisted-step": "asking",
    };
    const { inputs } = markerOf(definition, String(news.__owner), news);
    row().metadata = { ...open, "snapclone:assisted-inputs": inputs };
    const failure = await partial(create(definition, newRun(), news));
    expect(failure.reasons[0]).toMatch(/whether the disk was switched to overlay-1 is not known[\s\S]*assisted-step=…/);
    expect(asked("create")).toEqual([]);
    await expect(remove(definition, newRun(), failure.id, failure.properties)).rejects.toThrow(/is not known/);

    row().metadata["snapclone:assisted-step"] = "asked";
    const { outs } = await update(definition, newRun(), failure.id, failure.properties, news);
    expect(outs).toMatchObject({ verified: false });

    // Nothing was made: it is asked for now.
    row().metadata["snapclone:assisted-step"] = "none";
    const anew = await update(definition, newRun(), failure.id, failure.properties, news);
    expect(anew.outs).toMatchObject({ verified: true });
    expect([asked("create").length, chain()[0]]).toEqual([1, OVERLAY]);
  });

  test("the reply was lost: the record tells", async () => {
    emulator.faults.add({ match: { operation: "assistedSnapshots.create" }, action: "lose-reply" });
    const { id, outs } = await create(definition, newRun(), news);
    expect(outs.verified).toBe(true);
    emulator.faults.add({ match: { operation: "assistedSnapshots.delete" }, action: "lose-reply" });
    await remove(definition, newRun(), id, outs);
    expect([asked("create").length, asked("delete").length, chain()]).toEqual([1, 1, [OVERLAY]]);
  });

  test("the reply was lost, and the record can't tell: never asked again", async () => {
    const unmanaged = { ...news, manageStatus: undefined };
    const { id, outs } = await create(definition, newRun(), unmanaged);
    emulator.faults.add({ match: { operation: "assistedSnapshots.delete" }, action: "lose-reply" });
    for (let times = 0; times < 2; times += 1) {
      await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/whether Nova has merged .* is not known/);
    }
    expect(asked("delete")).toHaveLength(1);
    row().metadata["snapclone:assisted-step"] = "merged";
    await remove(definition, newRun(), id, outs);
    expect(asked("delete")).toHaveLength(1);
  });

  test("a snapshot deleted behind Pulumi's back: gone; nothing is merged, and that is said", async () => {
    const { id, outs } = await create(definition, newRun(), news);
    emulator.cinder.removeSnapshot(snapshotId);
    expect(await read(definition, newRun(), id, outs)).toEqual({});
    await remove(definition, newRun(), id, outs);
    expect(warnings().at(-1)).toContain("nothing was merged");
    expect(asked("delete")).toEqual([]);
  });

  test("the mark is settled at the end of the run, and lies beside Snapshot's own", async () => {
    row().metadata = { "snapclone:phase": "settled", mine: "x" };
    const run = newRun();
    await create(definition, run, news);
    await run.end();
    expect(row().metadata).toMatchObject({
      "snapclone:assisted-phase": "settled",
      "snapclone:phase": "settled",
      mine: "x",
    });
    await expect(create(definition, newRun(), news)).rejects.toThrow(/has an overlay already/);
  });
});

test("two overlays of one volume are made one after the other, two of different volumes at once", async () => {
  const second = emulator.cinder.createSnapshot({ volume_id: VOLUME }).id;
  emulator.nova.createFile(VOLUME, "overlay-2", { backing: OVERLAY });
  const elsewhere = emulator.cinder.createVolume({ status: "in-use" }).id;
  const third = emulator.cinder.createSnapshot({ volume_id: elsewhere }).id;
  emulator.nova.createFile(elsewhere, "overlay-3");
  const run = newRun();
  const owner = (n: number) => ({ __owner: `${String(news.__owner)}${n}` });
  const all = await Promise.all([
    create(definition, run, { ...news, ...owner(1) }),
    create(definition, run, { ...news, ...owner(2), snapshotId: second, newFile: "overlay-2" }),
    create(definition, run, { ...news, ...owner(3), volumeId: elsewhere, snapshotId: third, newFile: "overlay-3" }),
  ]);
  expect(all.map(({ outs }) => outs.verified)).toEqual([true, true, true]);
  expect(chain()).toEqual(["overlay-2", OVERLAY, BASE]);
  expect(log).toContain(`status: waiting for another operation on the volume ${VOLUME}`);
  // Whoever fails lets the next one in.
  await expect(create(definition, run, { ...news, ...owner(4) })).rejects.toThrow(/has an overlay already/);
  await Promise.all([all[0], all[1]].map((made) => made && remove(definition, run, made.id, { ...made.outs })));
  expect(asked("delete")).toHaveLength(2);
});

test("check refuses all that is wrong at once, with the path, and sends nothing", () => {
  const wrong = {
    volumeId: "my-volume",
    newFile: "folder/file",
    type: "raw",
    fileToMerge: "..",
    mergeTargetFile: "nbd:host",
    manageStatus: "yes",
    connection: "",
    fileToMrge: "typo",
  };
  const failures = check(definition, {}, wrong).failures.map(({ property, reason }) => `${property}: ${reason}`);
  expect(failures).toEqual([
    "fileToMrge: unknown property; did you mean fileToMerge?",
    expect.stringMatching(/^volumeId: must be the UUID of a volume/),
    "snapshotId: is required",
    expect.stringMatching(/^newFile: must be a plain file name/),
    'type: must be "qcow2", the only type there is',
    'fileToMerge: must not contain ".."',
    expect.stringMatching(/^mergeTargetFile: must be a plain file name/),
    "manageStatus: must be true or false",
    "connection: must be the name of a connection",
  ]);
  const pair = (fileToMerge: unknown, mergeTargetFile: unknown) =>
    check(definition, {}, { ...news, fileToMerge, mergeTargetFile }).failures;
  expect(pair(null, "base")).toEqual([
    { property: "mergeTargetFile", reason: expect.stringContaining("needs fileToMerge") },
  ]);
  expect(pair("base", "base")).toEqual([
    { property: "mergeTargetFile", reason: expect.stringContaining("into itself") },
  ]);
  expect([pair(null, null), pair("a", null), pair("a", "b"), pair(undefined, undefined)]).toEqual([[], [], [], []]);
  expect(check(definition, {}, { ...news, type: undefined }).inputs.type).toBe("qcow2");
  expect(emulator.requests).toHaveLength(0);
});

test("what a change does", () => {
  const olds = { ...news, fileToMerge: "a", mergeTargetFile: "b", status: "available", verified: true };
  const change = (changes: object) =>
    diff(definition, olds, { ...news, fileToMerge: "a", mergeTargetFile: "b", ...changes });
  for (const key of ["volumeId", "snapshotId", "newFile", "type", "fileToMerge", "mergeTargetFile", "connection"]) {
    expect(change({ [key]: "other" })).toEqual({ replaces: [key], deleteBeforeReplace: true });
  }
  expect(change({ manageStatus: false })).toEqual({});
  expect(change({})).toEqual({ changes: false });
});
