// AssistedSnapshot's lifecycle against the emulator: what is asked of Nova and what never is, what becomes of the disk,
// and what the user is told.

import { setTimeout as delay } from "node:timers/promises";
import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { check } from "../../provider/core/check";
import { diff } from "../../provider/core/diff";
import { create, type Properties, read, remove, update } from "../../provider/core/lifecycle";
import { Run } from "../../provider/core/run";
import type { Clock } from "../../provider/core/util/clock";
import { assistedSnapshot as released } from "../../provider/openstack/assistedSnapshot/resource";
import { resolveOpenStack } from "../../provider/openstack/connection";
import { OpenStackContext } from "../../provider/openstack/context";
import { KeystoneSession } from "../../provider/openstack/keystone";
import { partial } from "../support/failures";
import { FakeEngine, type FakeEngineOptions } from "../support/fakeEngine";

/** So many times as fast as life, the emulator's and ours. */
const SCALE = 50;
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
let cloud: OpenStackContext;
let snapshotId: string;
let news: Properties;
const log: string[] = [];
const definition = { ...released, connection: { kind: "openstack", open: () => cloud } };
const newRun = () => new Run({ clock, log: (severity, text) => log.push(`${severity}: ${text}`) });
const newEngine = (options: Partial<FakeEngineOptions> = {}) => new FakeEngine(definition, { clock, ...options });
const textOf = (errors: readonly unknown[]) =>
  errors.map((error) => (error instanceof Error ? error.message : String(error))).join("\n");

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

function connect(config: unknown): OpenStackContext {
  const settings = resolveOpenStack({ name: "default", config, env: {}, cwd: "/", home: "/" });
  return new OpenStackContext(new KeystoneSession(settings, { clock }), clock);
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
const isOfActiveFile = (line: string) => line.includes("Cinder's driver does not know");
const warnings = () => log.filter((line) => line.startsWith("warning") && !isOfActiveFile(line));
const ofActiveFile = () => log.filter(isOfActiveFile);
/** The emulator's work in the background takes its time, also after an operation that could not wait for it. */
const until = async (happened: () => boolean) => {
  while (!happened()) await delay(2);
};

const failureOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "it went well",
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
/** Carries out the command of an error's remedy, as its reader would. */
const writeAsTold = (message: string, step?: string) => {
  const [, command = ""] = /`openstack volume snapshot set ([^`]*)`/.exec(message) ?? [];
  const words = command.split(" ");
  expect(words.pop()).toBe(snapshotId);
  for (const word of words.filter((one) => one !== "--property")) {
    const [key = "", value = ""] = word.split(/=(.*)/s);
    row().metadata[key] = value === "…" ? (step ?? "") : value;
  }
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
    expect(log.filter((line) => line.startsWith("status")).at(-1)).toBe("status: creating 90%");
    expect(ofActiveFile()).toEqual([
      expect.stringMatching(
        /^warning: .* the disk of volume 22222222-\S+ is on overlay-1 now\..*volume-22222222-\S+\.info/,
      ),
    ]);

    await remove(definition, newRun(), id, outs);
    expect(chain()).toEqual([OVERLAY]);
    expect(emulator.nova.file(VOLUME, OVERLAY)?.holds).toEqual([OVERLAY, BASE]);
    // Nothing of ours is left.
    expect(row()).toMatchObject({ status: "available", name: "nightly", metadata: {} });
    expect(warnings()).toEqual([]);
    expect(ofActiveFile()[1]).toMatch(/is on overlay-1 for good/);
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
    // Three looks come before Nova is asked: one for what else is under way, and the two of rule 6 list.
    const oddOnce = (nth: number) =>
      emulator.faults.add({ match: { method: "GET", path: show, nth }, status: 200, body: { snapshot: odd } });
    oddOnce(2);
    const { id, outs } = await create(definition, newRun(), news);
    expect(outs).toMatchObject({ verified: true, status: "available" });

    // And two before it is asked to merge.
    oddOnce(3);
    await remove(definition, newRun(), id, outs);
    expect(chain()).toEqual([OVERLAY]);
    expect(step()).toBeUndefined();
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

  test("a delete that comes again asks Nova for nothing: a person says what is so, and a new overlay can follow", async () => {
    const { id, outs } = await create(definition, newRun(), news);
    await remove(definition, newRun(), id, outs);
    // Killed after the last request, and before the engine had saved it.
    const again = await failureOf(remove(definition, newRun(), id, outs));
    expect(again).toMatch(/no longer bears the record[\s\S]*nothing was asked of Nova[\s\S]*virsh domblklist/);
    writeAsTold(again, "merged");
    await remove(definition, newRun(), id, outs);
    expect(asked("delete")).toHaveLength(1);
    expect(row().metadata).toEqual({});
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
    expect(ofActiveFile().at(-1)).toContain("has lost below");
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
    [
      "a server that is not running",
      () => setServer({ vm_state: "stopped" }),
      /is SHUTOFF: Nova would say yes, and nothing/,
    ],
    ["a volume for several servers", () => setVolume({ multiattach: true }), /several servers/],
    ["a snapshot in error", () => Object.assign(row(), { status: "error" }), /is in status "error"/],
    ["a snapshot being deleted", () => Object.assign(row(), { status: "deleting" }), /is in status "deleting"/],
    [
      "a snapshot that has an overlay",
      () =>
        Object.assign(row(), { metadata: { "snapclone:assisted-step": "made", "snapclone:assisted-owner": "ann" } }),
      /has an overlay already: its record says "made", made for ann/,
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
      /its record says "asked" for ann/,
    ],
  ];
  const setServer = (fields: object) => Object.assign(emulator.nova.serverOf(VOLUME) ?? {}, fields);
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
    ["no mark any more", () => Object.assign(row(), { metadata: {} }), /no longer bears the record/],
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
    expect(row()).toMatchObject({ status: "available", metadata: {} });
  });

  test("a busy server, on both ways: the status is taken back", async () => {
    const server = emulator.nova.serverOf(VOLUME);
    if (server) server.task_state = "rebooting";
    await expect(create(definition, newRun(), news)).rejects.toThrow(/in task_state rebooting[\s\S]*Run again/);
    expect(row()).toMatchObject({ status: "available", metadata: {} });
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
    expect(row()).toMatchObject({ status: "available", metadata: {} });
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
    expect([asked("delete").length, row().metadata, row().status]).toEqual([1, {}, "available"]);
  });
});

describe("Nova's report never comes", () => {
  const args = () => ({
    ...news,
    __owner: undefined,
    __provider: undefined,
    __timeouts: { create: "1m", delete: "1m" },
  });
  const unreported = async (kind: "create" | "delete") => {
    emulator.nova.failNext(kind, "lost");
    const engine = newEngine();
    const { errors } = await engine.up({ overlay: args() });
    return { engine, said: textOf(errors) };
  };

  test("of the overlay: the error says where to look and what to write", async () => {
    const { engine, said } = await unreported("create");
    expect(said).toMatch(/waited .* for Nova's report on the overlay .*seen: creating/);
    expect(said).toMatch(/nova-compute's log[\s\S]*the server is not running/);
    expect(said).toMatch(
      /virsh domblklist[\s\S]*assisted-step=…[\s\S]*made if the disk is on overlay-1, none if it is not/,
    );
    expect(said).toContain("docs/assisted-snapshot.md");
    expect(engine.state.entries).toMatchObject([{ outputs: { pending: { operation: "create" }, verified: false } }]);
    // Whether it will still come is not known: nothing is merged on a guess, and nothing is asked for twice.
    expect(textOf((await engine.destroy()).errors)).toMatch(/is not known[\s\S]*virsh domblklist/);
    expect(textOf((await engine.up({ overlay: args() })).errors)).toMatch(/waited/);
    expect([asked("create").length, asked("delete").length]).toEqual([1, 0]);
  });

  test("it was made: said so, the next up has it, and it is merged like any other", async () => {
    const { engine } = await unreported("create");
    // Nova's report was lost, its work was not.
    emulator.nova.startCreate(VOLUME, { snapshot_id: "nobody", new_file: OVERLAY });
    await until(() => chain()[0] === OVERLAY);
    row().metadata["snapclone:assisted-step"] = "made";
    expect((await engine.up({ overlay: args() })).errors).toEqual([]);
    expect(engine.state.entries).toMatchObject([{ outputs: { verified: true, status: "available" } }]);
    expect((await engine.destroy()).errors).toEqual([]);
    expect([asked("create").length, chain(), row().metadata]).toEqual([1, [OVERLAY], {}]);
  });

  test("it was not made: said so, the next up asks for it, once more", async () => {
    const { engine } = await unreported("create");
    row().metadata["snapclone:assisted-step"] = "none";
    expect((await engine.up({ overlay: args() })).errors).toEqual([]);
    expect(engine.state.entries).toMatchObject([{ outputs: { verified: true, status: "available" } }]);
    expect([asked("create").length, chain()]).toEqual([2, [OVERLAY, BASE]]);
  });

  test("it was not made, and nobody wants it any more: destroy merges nothing, and Cinder's row is as it was", async () => {
    const { engine } = await unreported("create");
    expect(row().status).toBe("creating");
    row().metadata["snapclone:assisted-step"] = "none";
    expect((await engine.destroy()).errors).toEqual([]);
    expect([engine.state.entries, asked("delete")]).toEqual([[], []]);
    expect(row()).toMatchObject({ status: "available", metadata: {} });
  });

  test("nobody can tell: out of the state and out of Cinder's row, nothing is merged, and another can follow", async () => {
    const { engine } = await unreported("create");
    engine.edit((state) => {
      state.entries = [];
    });
    // `openstack volume snapshot unset --property …`, and `set --state available`.
    Object.assign(row(), { metadata: {}, status: "available" });
    emulator.nova.createFile(VOLUME, "overlay-2");
    expect((await engine.up({ overlay: { ...args(), newFile: "overlay-2" } })).errors).toEqual([]);
    expect([asked("delete"), chain()]).toEqual([[], ["overlay-2", BASE]]);
  });

  test.each([
    ["it was merged", "merged", 1],
    ["it was not merged", "made", 2],
  ])("of the merge; %s: said so, and destroy ends", async (_name, written, requests) => {
    const engine = newEngine();
    await engine.up({ overlay: args() });
    emulator.nova.failNext("delete", "lost");
    const said = textOf((await engine.destroy()).errors);
    expect(said).toMatch(/waited .* for Nova's report on the merge/);
    expect(said).toMatch(/Asked was .*virsh domblklist.*merged if it has, made if it has not/);
    // It is waited for, and never asked for on a guess.
    expect(textOf((await engine.destroy()).errors)).toMatch(/waited/);
    expect(asked("delete")).toHaveLength(1);
    row().metadata["snapclone:assisted-step"] = written;
    expect((await engine.destroy()).errors).toEqual([]);
    expect([engine.state.entries, asked("delete").length]).toEqual([[], requests]);
    expect(row()).toMatchObject({ status: "available", metadata: {} });
  });
});

describe("interrupted", () => {
  const args = () => ({ ...news, __owner: undefined, __provider: undefined, __timeouts: { create: "1m" } });

  test("a killed run's overlay is adopted, not made a second time, and that is said", async () => {
    let dead = true;
    const engine = newEngine({ isDead: () => dead });
    expect(await engine.up({ overlay: args() })).toMatchObject({ killed: true });
    dead = false;
    const { errors, log: said } = await engine.up({ overlay: { ...args(), fileToMerge: BASE } });
    expect(errors).toEqual([]);
    expect(said).toContainEqual(
      expect.stringMatching(/^info: adopted the assisted snapshot .* ago\).*: an interrupted run made it/),
    );
    expect(engine.state.entries).toMatchObject([{ outputs: { verified: true, fileToMerge: BASE } }]);
    expect(asked("create")).toHaveLength(1);
    // Found again by no create, whatever becomes of the state.
    engine.edit((state) => {
      state.entries = [];
      state.pending = [];
    });
    const other = await engine.up({ overlay: args() });
    expect(textOf(other.errors)).toMatch(/has an overlay already: its record says "made"/);
    expect(other.log).toContainEqual(expect.stringMatching(/in no state: an assisted snapshot/));
    expect(asked("create")).toHaveLength(1);
  });

  test("one killed while Nova was at work is waited for", async () => {
    emulator.nova.failNext("create", "lost");
    let dead = true;
    const engine = newEngine({ isDead: () => dead });
    await engine.up({ overlay: args() });
    dead = false;
    expect(step()).toBe("asked");
    Object.assign(row(), { progress: "90%" });
    expect((await engine.up({ overlay: args() })).errors).toEqual([]);
    expect(engine.state.entries).toMatchObject([{ outputs: { verified: true } }]);
    expect(asked("create")).toHaveLength(1);
  });

  test.each(["new", "old"])(
    "one (%s) killed on the way to Nova, and nothing to see: it asks somebody to look, and takes the answer",
    async (left) => {
      let dead = false;
      const engine = newEngine({ isDead: () => dead });
      emulator.faults.add({ match: { operation: "assistedSnapshots.create" }, action: "reset" });
      const write = cloud.cinder.createSnapshotMetadata.bind(cloud.cinder);
      jest.spyOn(cloud.cinder, "createSnapshotMetadata").mockImplementation(async (id, metadata) => {
        const all = await write(id, metadata);
        if (metadata["snapclone:assisted-step"] === "asking") dead = true;
        return all;
      });
      expect(await engine.up({ overlay: args() })).toMatchObject({ killed: true });
      jest.restoreAllMocks();
      dead = false;
      expect(step()).toBe("asking");
      // As a build before 0.2 has left it.
      if (left === "old") {
        const { "snapclone:assisted-stack": _, "snapclone:assisted-attempt": __, ...old } = row().metadata;
        row().metadata = { ...old, "snapclone:assisted-phase": "open" };
        engine.edit((state) => {
          state.pending = [{ urn: engine.urn("overlay"), inputs: {} }];
        });
      }

      const { errors } = await engine.up({ overlay: args() });
      expect(textOf(errors)).toMatch(/whether the disk was switched to overlay-1 is not known[\s\S]*assisted-step=…/);
      expect(textOf((await engine.destroy()).errors)).toMatch(/is not known/);
      row().metadata["snapclone:assisted-step"] = "none";
      expect((await engine.up({ overlay: args() })).errors).toEqual([]);
      expect([chain()[0], engine.state.entries.length]).toEqual([OVERLAY, 1]);
      expect(row().metadata["snapclone:assisted-stack"]).toMatch(/^[0-9a-f]{32}$/);
      expect((await engine.destroy()).errors).toEqual([]);
    },
  );

  test("one killed before it asked Nova: the next run asks, and nobody has to look", async () => {
    let dead = false;
    const engine = newEngine({ isDead: () => dead });
    emulator.faults.add({ match: { operation: "snapshots.os-reset_status" }, status: 500, times: 9 });
    const write = cloud.cinder.createSnapshotMetadata.bind(cloud.cinder);
    const writes = jest.spyOn(cloud.cinder, "createSnapshotMetadata").mockImplementation(async (id, metadata) => {
      if (dead) throw new Error("dead");
      const all = await write(id, metadata);
      dead = metadata["snapclone:assisted-step"] === "preparing";
      return all;
    });
    const removals = jest.spyOn(cloud.cinder, "deleteSnapshotMetadataKey").mockRejectedValue(new Error("dead"));
    expect(await engine.up({ overlay: args() })).toMatchObject({ killed: true });
    writes.mockRestore();
    removals.mockRestore();
    emulator.faults.clear();
    dead = false;
    expect(step()).toBe("preparing");
    expect((await engine.up({ overlay: args() })).errors).toEqual([]);
    expect([chain()[0], asked("create").length]).toEqual([OVERLAY, 1]);
  });

  test("the mark of a build before 0.2: adopted by this one, and by no old one after it", async () => {
    const engine = newEngine();
    await engine.up({ overlay: args() });
    const {
      "snapclone:assisted-stack": _,
      "snapclone:assisted-attempt": __,
      "snapclone:assisted-nonce": ___,
      ...old
    } = row().metadata;
    const mark = (phase: string) => Object.assign(row(), { metadata: { ...old, "snapclone:assisted-phase": phase } });
    const interrupted = () =>
      engine.edit((state) => {
        state.entries = [];
        state.pending = [{ urn: engine.urn("overlay"), inputs: {} }];
      });
    mark("settled");
    interrupted();
    expect(textOf((await engine.up({ overlay: args() })).errors)).toMatch(/has an overlay already/);
    mark("open");
    interrupted();
    expect((await engine.up({ overlay: args() })).errors).toEqual([]);
    expect(row().metadata).toMatchObject({
      "snapclone:assisted-phase": "settled",
      "snapclone:assisted-stack": expect.any(String),
    });
    expect(asked("create")).toHaveLength(1);
    // What such a build has in its state is merged, too.
    mark("settled");
    expect((await engine.destroy()).errors).toEqual([]);
    expect([chain(), row().metadata]).toEqual([[OVERLAY], {}]);
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

  test("the record lies beside Snapshot's own, and goes without it", async () => {
    const beside = { "snapclone:phase": "settled", mine: "x" };
    row().metadata = { ...beside };
    const { id, outs } = await create(definition, newRun(), news);
    expect(row().metadata).toMatchObject({ ...beside, "snapclone:assisted-owner": news.__owner });
    await remove(definition, newRun(), id, outs);
    expect(row().metadata).toEqual(beside);
  });
});

describe("what is not found may be there", () => {
  const missing = { itemNotFound: { code: 404, message: "Snapshot x could not be found." } };
  const hide = (match: object, times = 1) => emulator.faults.add({ match, status: 404, body: missing, times });
  const show = (nth: number) => ({ operation: "snapshots.show", nth });

  test.each([2, 3, 4])("one 404 at look %s of a create: it is waited for, and in the state", async (nth) => {
    hide(show(nth));
    const { outs } = await create(definition, newRun(), news);
    expect(outs).toMatchObject({ verified: true, status: "available" });
  });

  test("one 404 to what writes the record, after Nova has accepted: it is in the state, and the next run has it", async () => {
    hide({ operation: "snapshots.metadata.merge", nth: 5 });
    const failure = await partial(create(definition, newRun(), news));
    expect(failure.id).toBe(`${VOLUME}/${snapshotId}`);
    const { outs } = await update(definition, newRun(), failure.id, failure.properties, news);
    expect(outs).toMatchObject({ verified: true, status: "available" });
    expect(asked("create")).toHaveLength(1);
  });

  test.each(["snapshots.metadata.merge", "snapshots.os-reset_status"])(
    "one 404 to %s in a delete: nothing leaves the state, and the next run merges once",
    async (operation) => {
      const { id, outs } = await create(definition, newRun(), news);
      hide({ operation, nth: 1 });
      await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/could not be found/);
      await remove(definition, newRun(), id, outs);
      expect([asked("delete").length, chain(), row().metadata]).toEqual([1, [OVERLAY], {}]);
    },
  );

  test("another project's login: refresh and destroy name both, and nothing leaves the state", async () => {
    const engine = newEngine();
    await engine.up({ overlay: { ...news } });
    const backend = String(engine.state.entries[0]?.outputs.__backend);
    await cloud.session.close();
    const { keystone } = emulator;
    keystone.assign(keystone.userNamed("demo").id, keystone.createProject({ name: "mill" }).id, ["member"]);
    cloud = connect({ ...emulator.connection(), projectName: "mill" });
    for (const run of [() => engine.refresh(), () => engine.destroy()]) {
      const said = textOf((await run()).errors);
      expect(said).toContain(`the state says ${backend}`);
      expect(said).toContain(`the connection reaches ${await cloud.session.identity("blockStorage")}`);
    }
    expect(engine.state.entries).toHaveLength(1);
    expect(asked("delete")).toEqual([]);
  });

  test("an administrator who is none any more does not see other projects' snapshots: that proves nothing", async () => {
    const { id, outs } = await create(definition, newRun(), news);
    const blind = { ...missing, itemNotFound: { code: 404, message: `Volume ${VOLUME} could not be found.` } };
    hide({ operation: "snapshots.show" }, Number.POSITIVE_INFINITY);
    const volume = emulator.faults.add({
      match: { operation: "volumes.show" },
      status: 404,
      body: blind,
      times: Number.POSITIVE_INFINITY,
    });
    await expect(read(definition, newRun(), id, outs)).rejects.toThrow(/does not see its volume/);
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/does not see its volume/);
    volume.remove();
    expect(await read(definition, newRun(), id, outs)).toEqual({});
  });
});

describe("whose overlay it is", () => {
  const others: [string, Record<string, string>, RegExp][] = [
    ["another resource's", { owner: "urn:pulumi:dev::shop::x::other" }, /was made for urn:pulumi:dev::shop::x::other/],
    ["another stack's", { stack: "0".repeat(32) }, /was made by another stack/],
    ["of other inputs", { inputs: "0".repeat(32) }, /made from other inputs/],
    ["another file", { file: "overlay-9" }, /is the file overlay-9, and this one's is overlay-1/],
  ];
  test.each(others)("%s is not merged: the error says whose it is, and the way out", async (_name, fields, said) => {
    const { id, outs } = await create(definition, newRun(), news);
    const ours = { ...row().metadata };
    for (const [key, value] of Object.entries(fields)) row().metadata[`snapclone:assisted-${key}`] = value;
    const message = await failureOf(remove(definition, newRun(), id, outs));
    expect(message).toMatch(said);
    expect(message).toMatch(/nothing was asked of Nova[\s\S]*pulumi state delete/);
    expect([asked("delete"), row().status]).toEqual([[], "available"]);
    // If it is ours all the same, the record is written as the error says.
    writeAsTold(message);
    expect(row().metadata).toMatchObject({ ...ours, "snapclone:assisted-attempt": ours["snapclone:assisted-attempt"] });
    await remove(definition, newRun(), id, outs);
    expect(chain()).toEqual([OVERLAY]);
  });

  test("an alias and a rename of the stack rewrite the record; the overlay stays", async () => {
    const engine = newEngine();
    const args = { ...news, __owner: undefined, __provider: undefined };
    await engine.up({ overlay: args });
    const before = row().metadata;
    expect((await engine.up({ renamed: args }, {}, { renamed: "overlay" })).errors).toEqual([]);
    expect(row().metadata["snapclone:assisted-owner"]).toBe(engine.urn("renamed"));
    expect(row().metadata["snapclone:assisted-attempt"]).toBe(engine.state.entries[0]?.inputs.__attempt ?? "recorded");
    expect(row().metadata["snapclone:assisted-nonce"]).toBe(before["snapclone:assisted-nonce"]);
    expect((await engine.destroy()).errors).toEqual([]);
    expect([asked("create").length, asked("delete").length, row().metadata]).toEqual([1, 1, {}]);
  });

  test("a record that another stack has written meanwhile is not overwritten by a rename", async () => {
    const engine = newEngine();
    const args = { ...news, __owner: undefined, __provider: undefined };
    await engine.up({ overlay: args });
    row().metadata["snapclone:assisted-owner"] = "somebody else";
    const { errors } = await engine.up({ renamed: args }, {}, { renamed: "overlay" });
    expect(textOf(errors)).toMatch(/was made for somebody else: its record was not changed/);
    expect(row().metadata["snapclone:assisted-owner"]).toBe("somebody else");
  });
});

describe("what a refresh shows, the next up acts on", () => {
  const args = () => ({ ...news, __owner: undefined, __provider: undefined, __timeouts: { create: "1m" } });
  const refreshed = async (engine: FakeEngine) => {
    expect((await engine.refresh()).errors).toEqual([]);
    return engine.state.entries[0]?.outputs ?? {};
  };

  test("there is no overlay: another is made, and nothing is merged for the old one", async () => {
    emulator.nova.failNext("create", "lost");
    const engine = newEngine();
    await engine.up({ overlay: args() });
    // Somebody looked, and was wrong.
    row().metadata["snapclone:assisted-step"] = "made";
    expect((await engine.up({ overlay: args() })).errors).toEqual([]);
    row().metadata["snapclone:assisted-step"] = "none";
    expect(await refreshed(engine)).toMatchObject({ verified: false, unverifiedReason: "there is no overlay" });
    expect((await engine.up({ overlay: args() })).errors).toEqual([]);
    expect([chain(), asked("create").length, asked("delete")]).toEqual([[OVERLAY, BASE], 2, []]);
    expect(engine.state.entries).toMatchObject([{ outputs: { verified: true } }]);
  });

  test("a delete that was interrupted before it asked Nova, and is not wanted any more: it is taken back", async () => {
    const engine = newEngine();
    await engine.up({ overlay: args() });
    Object.assign(row(), { status: "deleting" }).metadata["snapclone:assisted-step"] = "merge-preparing";
    await refreshed(engine);
    expect((await engine.up({ overlay: args() })).errors).toEqual([]);
    expect([row().status, step(), asked("delete")]).toEqual(["available", "made", []]);
    expect(engine.state.entries).toMatchObject([{ outputs: { verified: true, status: "available" } }]);
    // And that was all.
    const before = emulator.requests.length;
    await engine.up({ overlay: args() });
    expect(emulator.requests.length).toBe(before);
  });

  test("a merge that was asked for: it is waited for, and another overlay is made", async () => {
    const engine = newEngine();
    await engine.up({ overlay: args() });
    emulator.nova.startDelete(VOLUME, "nobody", {
      volume_id: VOLUME,
      type: "qcow2",
      file_to_merge: null,
      merge_target_file: null,
    });
    await until(() => chain().length === 1);
    Object.assign(row(), { status: "deleting", progress: "90%" }).metadata["snapclone:assisted-step"] = "merge-asked";
    await refreshed(engine);
    // The file is the active one: it can't be switched to again, and that is said.
    const { errors } = await engine.up({ overlay: args() });
    expect(textOf(errors)).toMatch(/could not switch the disk to overlay-1/);
    emulator.nova.createFile(VOLUME, "overlay-2");
    expect((await engine.up({ overlay: { ...args(), newFile: "overlay-2" } })).errors).toEqual([]);
    expect([chain(), asked("delete")]).toEqual([["overlay-2", OVERLAY], []]);
  });

  test.each([
    ["somebody else's record", () => (row().metadata["snapclone:assisted-owner"] = "ann"), /was made for ann/],
    ["no record", () => (row().metadata = {}), /no longer bears the record of this resource/],
  ])("%s: it is told each time, and nothing is written over it", async (_name, spoil, said) => {
    const engine = newEngine();
    await engine.up({ overlay: args() });
    const ours = { ...row().metadata };
    spoil();
    const theirs = { ...row().metadata };
    expect(await refreshed(engine)).toMatchObject({ verified: false, unverifiedReason: expect.stringMatching(said) });
    for (const _time of [1, 2]) expect(textOf((await engine.up({ overlay: args() })).errors)).toMatch(said);
    expect(row().metadata).toEqual(theirs);
    row().metadata = ours;
    expect((await engine.up({ overlay: args() })).errors).toEqual([]);
    expect(engine.state.entries).toMatchObject([{ outputs: { verified: true }, initError: false }]);
    expect([asked("create").length, asked("delete")]).toEqual([1, []]);
  });
});

describe("two runs at once on one volume", () => {
  let elsewhere: OpenStackContext;
  let secondDefinition: typeof definition;
  /** How many requests Nova had in hand when a new one came, at most. */
  let atOnce: number;

  beforeEach(() => {
    elsewhere = connect(emulator.admin.connection());
    secondDefinition = { ...released, connection: { kind: "openstack", open: () => elsewhere } };
    atOnce = 0;
    const { nova } = emulator;
    for (const method of ["startCreate", "startDelete"] as const) {
      const start = nova[method].bind(nova) as (...given: unknown[]) => void;
      nova[method] = (...given: unknown[]) => {
        const under = emulator.cinder
          .snapshotsOf(VOLUME)
          .filter(({ metadata }) => /^(merge-)?(asking|asked)$/.test(metadata["snapclone:assisted-step"] ?? ""));
        atOnce = Math.max(atOnce, under.length);
        start(...given);
      };
    }
  });
  afterEach(() => elsewhere.session.close());

  /** Each request takes its own time, so that the two meet anywhere. */
  const slow = (one: OpenStackContext) => {
    const { cinder } = one;
    for (const method of [
      "createSnapshotMetadata",
      "listSnapshotsDetail",
      "showSnapshot",
      "resetSnapshotStatus",
    ] as const) {
      const call = cinder[method].bind(cinder) as (...given: unknown[]) => Promise<unknown>;
      (cinder as unknown as Record<string, unknown>)[method] = async (...given: unknown[]) => {
        await clock.sleep(Math.random() * 500);
        const answer = await call(...given);
        await clock.sleep(Math.random() * 500);
        return answer;
      };
    }
  };

  test.each(Array.from({ length: 6 }, (_, n) => n))(
    "on one snapshot (%s): one has it, the other is told whose it is",
    async () => {
      slow(cloud);
      slow(elsewhere);
      emulator.nova.createFile(VOLUME, "overlay-2");
      const ends = await Promise.allSettled([
        create(definition, newRun(), news),
        create(secondDefinition, newRun(), { ...news, newFile: "overlay-2", __owner: `${String(news.__owner)}-2` }),
      ]);
      expect(asked("create")).toHaveLength(1);
      const failures = ends.flatMap((end) => (end.status === "rejected" ? [String(end.reason)] : []));
      expect(failures).toEqual([
        expect.stringMatching(/has an overlay already: its record says "\w+", made for urn:.*overlay/),
      ]);
      expect(chain()).toHaveLength(2);
      expect(row().status).toBe("available");
    },
  );

  test.each(Array.from({ length: 4 }, (_, n) => n))("on two snapshots (%s): one after the other", async () => {
    slow(cloud);
    slow(elsewhere);
    const other = emulator.cinder.createSnapshot({ volume_id: VOLUME }).id;
    emulator.nova.createFile(VOLUME, "overlay-2");
    const made = await Promise.all([
      create(definition, newRun(), news),
      create(secondDefinition, newRun(), {
        ...news,
        snapshotId: other,
        newFile: "overlay-2",
        __owner: `${String(news.__owner)}-2`,
      }),
    ]);
    expect([asked("create").length, atOnce]).toEqual([2, 1]);
    const [one, two] = made;
    await Promise.all([
      remove(definition, newRun(), one.id, one.outs),
      remove(secondDefinition, newRun(), two.id, two.outs),
    ]);
    expect([asked("delete").length, atOnce]).toEqual([2, 1]);
    expect(emulator.cinder.snapshotsOf(VOLUME).map(({ metadata }) => metadata)).toEqual([{}, {}]);
  });

  test("one that was held up between its last look and its write sees that another has claimed the row", async () => {
    emulator.nova.createFile(VOLUME, "overlay-2");
    let heldUp = false;
    const claimant = () => row().metadata["snapclone:assisted-nonce"] ?? "";
    const write = cloud.cinder.createSnapshotMetadata.bind(cloud.cinder);
    jest.spyOn(cloud.cinder, "createSnapshotMetadata").mockImplementation(async (id, metadata) => {
      if (metadata["snapclone:assisted-step"] === "preparing" && !heldUp) {
        heldUp = true;
        await until(() => claimant().endsWith("-2"));
      }
      return write(id, metadata);
    });
    // It has seen that nobody was there, and its claim comes late.
    const writeElsewhere = elsewhere.cinder.createSnapshotMetadata.bind(elsewhere.cinder);
    jest.spyOn(elsewhere.cinder, "createSnapshotMetadata").mockImplementation(async (id, metadata) => {
      await until(() => heldUp);
      return writeElsewhere(id, metadata);
    });
    const owner = `${String(news.__owner)}-2`;
    await Promise.allSettled([
      create(definition, newRun(), news),
      create(secondDefinition, newRun(), { ...news, newFile: "overlay-2", __owner: owner }),
    ]);
    expect(asked("create")).toHaveLength(1);
    expect(atOnce).toBeLessThanOrEqual(1);
    expect([chain().length, row().status]).toEqual([2, "available"]);
  });

  const inMs = (ms: number) => new Date(Date.now() + ms).toISOString();
  const nonce = (ms: number, text = "") =>
    `${text}0a1b2c3d-000000 2026-11-01T00:00:00.000Z/${inMs(ms)} 0123456789abcdef urn:pulumi:dev::mill::x::theirs`;
  const foreign = (metadata: Record<string, string>) => emulator.cinder.createSnapshot({ volume_id: VOLUME, metadata });

  test("another's claim is waited for, and who has it is said", async () => {
    foreign({ "snapclone:assisted-nonce": nonce(3_600_000, "claim ") });
    await expect(create(definition, newRun(), news)).rejects.toThrow(
      /waited .* it is claimed for urn:pulumi:dev::mill::x::theirs since 2026-11-01T00:00:00.000Z \(run 0a1b2c3d-000000\)/,
    );
    expect([asked("create"), row().metadata]).toEqual([[], {}]);
  });

  test.each([
    ["a claim", undefined, /asked Nova for nothing/],
    ["a request for an overlay", "asked", /=made [0-9a-f-]{36}` if the disk is on its file, .*=none/],
    ["a request for a merge", "merge-asking", /=merged [0-9a-f-]{36}` if it has been merged, .*=made/],
  ])("what a run has left whose time is over is told, with the way to remove it: %s", async (_name, left, way) => {
    const metadata = { "snapclone:assisted-nonce": nonce(-1_000, left ? "" : "claim ") };
    const theirs = foreign({ ...metadata, ...(left ? { "snapclone:assisted-step": left } : {}) });
    const said = await failureOf(create(definition, newRun(), news));
    expect(said).toMatch(/theirs since .*: the time of that run was over at/);
    expect(said).toMatch(way);
    expect(asked("create")).toEqual([]);
    const [, unset, command = ""] = /`openstack volume snapshot (un)?set ([^`]*)`/.exec(said) ?? [];
    for (const [, key = "", value = ""] of command.matchAll(/--property ([^=\s]+)=?(\S*)/g)) {
      if (unset) delete theirs.metadata[key];
      else theirs.metadata[key] = value;
    }
    expect((await create(definition, newRun(), news)).outs.verified).toBe(true);
  });

  test("our own claim of a killed run is no obstacle", async () => {
    const { id, outs } = await create(definition, newRun(), news);
    const own = row().metadata["snapclone:assisted-nonce"] ?? "";
    await remove(definition, newRun(), id, outs);
    row().metadata = { "snapclone:assisted-nonce": `claim ${own}` };
    emulator.nova.createFile(VOLUME, "overlay-2");
    expect((await create(definition, newRun(), { ...news, newFile: "overlay-2" })).outs.verified).toBe(true);
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

test.each([
  [true, 20, 25],
  [false, 16, 20],
])(
  "manageStatus %s: %s requests for an overlay at most, %s for its merge, login and lists included",
  async (manageStatus, most, mostOfMerge) => {
    const run = newRun();
    const { id, outs } = await create(definition, run, { ...news, manageStatus });
    await run.end();
    // Each further look at Nova's work is one more.
    const looks = () => Math.max(0, emulator.requests.count({ operation: "snapshots.show" }) - 2);
    const [made, looked] = [emulator.requests.length, looks()];
    expect(made - looked).toBeLessThanOrEqual(most);
    await until(() => chain()[0] === OVERLAY);
    const next = newRun();
    await remove(definition, next, id, outs);
    await next.end();
    expect(emulator.requests.length - made - (looks() - looked)).toBeLessThanOrEqual(mostOfMerge);
  },
);

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
  // The default written out, and left out again.
  const asIs = { ...olds, manageStatus: undefined };
  expect(diff(definition, asIs, { ...asIs, manageStatus: false })).toEqual({ changes: false });
  expect(diff(definition, { ...asIs, manageStatus: false }, asIs)).toEqual({ changes: false });
  expect(change({})).toEqual({ changes: false });
});
