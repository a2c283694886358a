// AssistedSnapshot, create: what is checked, what is asked of Nova, and what the user is told about the outcome.

import { SEED_VOLUMES } from "../../emulator";
import { check } from "../../provider/core/check";
import { diff } from "../../provider/core/diff";
import { create, read, remove, update } from "../../provider/core/lifecycle";
import { RECORD_KEYS } from "../../provider/openstack/assistedSnapshot/ownership";
import { partial } from "../support/failures";
import { BASE, eventually, OVERLAY, textOf, useAssistedSnapshot, VOLUME } from "./assistedSnapshotFixture";

const fixture = useAssistedSnapshot();
const {
  definition,
  newRun,
  newEngine,
  connect,
  row,
  phase,
  chain,
  novaRequests,
  statusChanges,
  warnings,
  driverWarnings,
  log,
} = fixture;

describe("with the status managed", () => {
  test("create: the outcome is seen, and a delete leaves the record as it was before", async () => {
    const { id, outs } = await create(definition, newRun(), fixture.inputs);
    expect(id).toBe(`${VOLUME}/${fixture.snapshotId}`);
    expect(outs).toMatchObject({
      verified: true,
      status: "available",
      progress: "100%",
      snapshotId: fixture.snapshotId,
      volumeId: VOLUME,
    });
    expect(outs).not.toHaveProperty("unverifiedReason");
    expect(chain()).toEqual([OVERLAY, BASE]);
    expect(novaRequests("create").map(({ body }) => body)).toEqual([
      {
        snapshot: {
          volume_id: VOLUME,
          create_info: { snapshot_id: fixture.snapshotId, type: "qcow2", new_file: OVERLAY, id: fixture.snapshotId },
        },
      },
    ]);
    expect(log.filter((line) => line.startsWith("status")).at(-1)).toBe("status: creating 90%");
    expect(driverWarnings()).toEqual([
      expect.stringMatching(
        /^warning: .* the disk of volume 22222222-\S+ is on overlay-1 now\..*volume-22222222-\S+\.info/,
      ),
    ]);

    await remove(definition, newRun(), id, outs);
    expect(chain()).toEqual([OVERLAY]);
    expect(fixture.emulator.nova.file(VOLUME, OVERLAY)?.holds).toEqual([OVERLAY, BASE]);
    // Nothing of the record is left.
    expect(row()).toMatchObject({ status: "available", name: "nightly", metadata: {} });
    expect(warnings()).toEqual([]);
    expect(driverWarnings()[1]).toMatch(/is on overlay-1 for good/);
    const [sent] = novaRequests("delete");
    expect(JSON.parse(new URL(sent?.path ?? "", "http://x").searchParams.get("delete_info") ?? "")).toEqual({
      volume_id: VOLUME,
      type: "qcow2",
      file_to_merge: null,
      merge_target_file: null,
    });
  });

  test("create: an unknown status shows nothing, and is waited out; so does a delete", async () => {
    const odd = { ...(await fixture.cloud.cinder.showSnapshot(fixture.snapshotId)), status: "quantum-folding" };
    const show = new RegExp(`/snapshots/${fixture.snapshotId}$`);
    // Before Nova is asked, the create shows the snapshot once; docs/ownership.md, rule 6, lists instead.
    const oddOnce = (nth: number) =>
      fixture.emulator.faults.add({ match: { method: "GET", path: show, nth }, status: 200, body: { snapshot: odd } });
    oddOnce(2);
    const { id, outs } = await create(definition, newRun(), fixture.inputs);
    expect(outs).toMatchObject({ verified: true, status: "available" });

    // Before Nova is asked, the delete shows it twice.
    oddOnce(3);
    await remove(definition, newRun(), id, outs);
    expect(chain()).toEqual([OVERLAY]);
    expect(phase()).toBeUndefined();
    expect(log.filter((line) => line.startsWith("status: quantum-folding"))).toHaveLength(2);
    expect(warnings()).toEqual([]);
  });

  test("create: the next run puts a status back that was unknown when all was done", async () => {
    const { cinder } = fixture.cloud;
    const write = cinder.createSnapshotMetadata.bind(cinder);
    jest.spyOn(cinder, "createSnapshotMetadata").mockImplementation(async (id, metadata) => {
      const written = await write(id, metadata);
      if (metadata["snapclone:assisted-step"] === "made") row().status = "quantum-folding";
      return written;
    });
    const failure = await partial(create(definition, newRun(), fixture.inputs));
    expect(failure.message).toMatch(/unknown status "quantum-folding"/);
    row().status = "creating";
    const next = newRun();
    const { outs } = await update(definition, next, failure.id, failure.properties, fixture.inputs);
    expect(outs).toMatchObject({ verified: true, status: "available", progress: "100%" });
    expect(novaRequests("create")).toHaveLength(1);
    await next.end();
  });

  test("create: an old report on the record is not taken for the new one", async () => {
    Object.assign(row(), { progress: "90%" });
    fixture.emulator.nova.failNext("create", "lost");
    const failure = await partial(create(definition, newRun(), { ...fixture.inputs, __timeouts: { create: "1m" } }));
    expect(failure.reasons[0]).toContain(`seen: creating 10%`);
    expect(chain()).toEqual([BASE]);
  });

  test("create: a user who may not reset a status is told the policy rule, and Nova is not asked", async () => {
    await fixture.cloud.session.close();
    fixture.cloud = connect(fixture.emulator.openstack.connection());
    await expect(create(definition, newRun(), fixture.inputs)).rejects.toThrow(/snapshot_admin_actions:reset_status/);
    expect(novaRequests("create")).toEqual([]);
    expect(row().metadata).toEqual({});
  });

  test("create: a missing file is reported and recorded, the next up replaces the resource, and nothing is merged for it", async () => {
    const failure = await partial(create(definition, newRun(), { ...fixture.inputs, newFile: "missing" }));
    expect(failure.reasons[0]).toMatch(/could not switch the disk to missing[\s\S]*nova-compute's log/);
    expect(failure.properties).toMatchObject({ verified: false, pending: { operation: "create", failed: true } });
    expect(diff(definition, failure.properties, fixture.inputs)).toMatchObject({ deleteBeforeReplace: true });
    await remove(definition, newRun(), failure.id, failure.properties);
    expect(novaRequests("delete")).toEqual([]);
    expect(row().status).toBe("available");
    expect((await create(definition, newRun(), fixture.inputs)).outs.verified).toBe(true);
  });
});

describe("with the status left alone", () => {
  beforeEach(() => {
    fixture.inputs = { ...fixture.inputs, manageStatus: undefined };
  });

  test("create: outputs and a warning tell that the record cannot show the outcome; a delete warns too", async () => {
    const { id, outs } = await create(definition, newRun(), fixture.inputs);
    expect(outs).toMatchObject({
      verified: false,
      unverifiedReason: expect.stringContaining('is in status "available"'),
    });
    expect(warnings()).toEqual([expect.stringContaining("its outcome could not be seen")]);
    await eventually(() => chain()[0] === OVERLAY);
    const { props } = await read(definition, newRun(), id, outs);
    expect(props).toMatchObject({ verified: false, unverifiedReason: outs.unverifiedReason });

    await remove(definition, newRun(), id, outs);
    expect(warnings().at(-1)).toContain("its outcome could not be seen");
    await eventually(() => chain().length === 1);
    expect(statusChanges()).toBe(0);
  });

  test("create: a record that an administrator has put into creating shows the outcome; one in deleting shows the merge", async () => {
    Object.assign(row(), { status: "creating" });
    const { id, outs } = await create(definition, newRun(), fixture.inputs);
    expect(outs).toMatchObject({ verified: true, status: "creating", progress: "90%" });
    Object.assign(row(), { status: "deleting", progress: "100%" });
    await remove(definition, newRun(), id, outs);
    expect(row()).toMatchObject({ status: "deleting", progress: "90%" });
    expect(chain()).toEqual([OVERLAY]);
    expect([statusChanges(), warnings()]).toEqual([0, []]);
  });

  test("create: a policy that hides the progress also hides the outcome", async () => {
    fixture.cloud.snapshot = async (id) => {
      const { "os-extended-snapshot-attributes:progress": _, ...rest } = await fixture.cloud.cinder.showSnapshot(id);
      return rest as Awaited<ReturnType<typeof fixture.cloud.cinder.showSnapshot>>;
    };
    const { outs } = await create(definition, newRun(), { ...fixture.inputs, manageStatus: true });
    expect(outs).toMatchObject({ verified: false, unverifiedReason: expect.stringContaining("policy hides") });
    expect(statusChanges()).toBe(0);
  });

  test("create: after a failure the record stays in error", async () => {
    Object.assign(row(), { status: "creating" });
    const unmanaged = { ...fixture.inputs, manageStatus: undefined, newFile: "missing" };
    const failure = await partial(create(definition, newRun(), unmanaged));
    expect(row().status).toBe("error");
    await remove(definition, newRun(), failure.id, failure.properties);
    expect([novaRequests("delete"), statusChanges()]).toEqual([[], 0]);
  });
});

describe("refused before Nova is asked", () => {
  const cases: [string, () => void, RegExp][] = [
    [
      "a snapshot that Cinder doesn't have",
      () => fixture.emulator.cinder.removeSnapshot(fixture.snapshotId),
      /has no snapshot/,
    ],
    ["a volume that Cinder doesn't have", () => fixture.emulator.cinder.removeVolume(VOLUME), /has no volume/],
    ["a snapshot of another volume", () => Object.assign(row(), { volume_id: SEED_VOLUMES.data }), /is of volume 1111/],
    ["a volume without a server", () => setVolume({ status: "available", attachments: [] }), /attached to no server/],
    ["a volume that is being detached", () => setVolume({ status: "detaching" }), /status "detaching"/],
    [
      "a server that is not running",
      () => setServer({ vm_state: "stopped" }),
      /is SHUTOFF: Nova would accept the request and do nothing/,
    ],
    ["a volume for several servers", () => setVolume({ multiattach: true }), /several servers/],
    [
      "a server that is being moved",
      () => setVolume({ attachments: twice() }),
      /server \S+ is being moved to another host/,
    ],
    ["a snapshot in error", () => Object.assign(row(), { status: "error" }), /is in status "error"/],
    ["a snapshot that is being deleted", () => Object.assign(row(), { status: "deleting" }), /is in status "deleting"/],
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
      "a report that no administrator has ended",
      () => Object.assign(row(), { status: "creating", progress: "90%" }),
      /creating 90%/,
    ],
    [
      "a volume with another snapshot in creation",
      () => void other({ status: "creating" }),
      /of the same volume is creating/,
    ],
    [
      "a volume with another snapshot in deletion",
      () => void other({ status: "deleting" }),
      /of the same volume is deleting/,
    ],
    [
      "a volume with another overlay in creation",
      () => void other({ metadata: { "snapclone:assisted-step": "asked", "snapclone:assisted-owner": "ann" } }),
      /its record says "asked" for ann/,
    ],
  ];
  // On the host that it leaves and on the one that it comes to.
  const twice = () => fixture.emulator.cinder.volumes.get(VOLUME)?.attachments.flatMap((one) => [one, { ...one }]);
  const setServer = (fields: object) => Object.assign(fixture.emulator.nova.serverOf(VOLUME) ?? {}, fields);
  const setVolume = (fields: object) => Object.assign(fixture.emulator.cinder.volumes.get(VOLUME) ?? {}, fields);
  const other = (fields: object) => fixture.emulator.cinder.createSnapshot({ volume_id: VOLUME, ...fields });

  test.each(cases)("create: refuses %s", async (_name, prepare, expected) => {
    prepare();
    await expect(create(definition, newRun(), fixture.inputs)).rejects.toThrow(expected);
    expect(novaRequests("create")).toEqual([]);
    expect(statusChanges()).toBe(0);
  });

  test("create: another operation on the volume is waited for, for a while", async () => {
    const busy = other({ status: "creating", progress: "0%" });
    const making = create(definition, newRun(), fixture.inputs);
    await eventually(() => log.some((line) => line.includes("waiting: snapshot")));
    busy.status = "available";
    expect((await making).outs.verified).toBe(true);
  });
});

describe("refused by Nova", () => {
  test("create: a user who is no administrator is told the policy rule, and nothing is left behind", async () => {
    await fixture.cloud.session.close();
    fixture.cloud = connect(fixture.emulator.openstack.connection());
    await expect(create(definition, newRun(), { ...fixture.inputs, manageStatus: undefined })).rejects.toThrow(
      /os_compute_api:os-assisted-volume-snapshots:create/,
    );
    expect(row()).toMatchObject({ status: "available", metadata: {} });
  });

  test("create: a record without a phase, as an interrupted restore leaves it, is again without one", async () => {
    const { stack, owner, inputs, attempt, file } = RECORD_KEYS;
    const before = Object.fromEntries([stack, owner, inputs, attempt, file].map((key) => [key, `earlier ${key}`]));
    Object.assign(row(), { metadata: { ...before } });
    const server = fixture.emulator.nova.serverOf(VOLUME);
    if (server) server.task_state = "rebooting";
    await expect(create(definition, newRun(), fixture.inputs)).rejects.toThrow(/in task_state rebooting/);
    expect(row().metadata).toEqual(before);
  });

  test("create: a busy server puts the status back to what it was; so does a delete", async () => {
    const server = fixture.emulator.nova.serverOf(VOLUME);
    if (server) server.task_state = "rebooting";
    await expect(create(definition, newRun(), fixture.inputs)).rejects.toThrow(
      /in task_state rebooting[\s\S]*Run again/,
    );
    expect(row()).toMatchObject({ status: "available", metadata: {} });
    if (server) server.task_state = null;
    const { id, outs } = await create(definition, newRun(), fixture.inputs);
    if (server) server.task_state = "rebooting";
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/in task_state rebooting/);
    expect([row().status, phase()]).toEqual(["available", "made"]);
    if (server) server.task_state = null;
    await remove(definition, newRun(), id, outs);
    expect(chain()).toEqual([OVERLAY]);
  });
});

describe("without Nova's report", () => {
  const args = () => fixture.args({ create: "1m", delete: "1m" });
  const unreported = async () => {
    fixture.emulator.nova.failNext("create", "lost");
    const engine = newEngine();
    const { errors } = await engine.up({ overlay: args() });
    return { engine, text: textOf(errors) };
  };

  test("create: the error says where to look and what to write, and neither up nor destroy guesses", async () => {
    const { engine, text } = await unreported();
    expect(text).toMatch(/waited .* for Nova's report on the overlay .*seen: creating/);
    expect(text).toMatch(/nova-compute's log[\s\S]*the server is not running/);
    expect(text).toMatch(
      /virsh domblklist[\s\S]*assisted-step=…[\s\S]*made if the disk is on overlay-1, none if it is not/,
    );
    expect(text).toContain("docs/assisted-snapshot.md");
    expect(engine.state.entries).toMatchObject([{ outputs: { pending: { operation: "create" }, verified: false } }]);
    // The report may still come: nothing is merged on a guess, and Nova is not asked twice.
    expect(textOf((await engine.destroy()).errors)).toMatch(/is not known[\s\S]*virsh domblklist/);
    expect(textOf((await engine.up({ overlay: args() })).errors)).toMatch(/waited/);
    expect([novaRequests("create").length, novaRequests("delete").length]).toEqual([1, 0]);
  });

  test("create: once the user has written that the overlay was made, the next up has it, and destroy merges it", async () => {
    const { engine } = await unreported();
    // Only Nova's report was lost: the work is done.
    fixture.emulator.nova.startCreate(VOLUME, { snapshot_id: "nobody", new_file: OVERLAY });
    await eventually(() => chain()[0] === OVERLAY);
    row().metadata["snapclone:assisted-step"] = "made";
    expect((await engine.up({ overlay: args() })).errors).toEqual([]);
    expect(engine.state.entries).toMatchObject([{ outputs: { verified: true, status: "available" } }]);
    expect((await engine.destroy()).errors).toEqual([]);
    expect([novaRequests("create").length, chain(), row().metadata]).toEqual([1, [OVERLAY], {}]);
  });

  test("create: once the user has written that the overlay was not made, the next up asks for it again", async () => {
    const { engine } = await unreported();
    row().metadata["snapclone:assisted-step"] = "none";
    expect((await engine.up({ overlay: args() })).errors).toEqual([]);
    expect(engine.state.entries).toMatchObject([{ outputs: { verified: true, status: "available" } }]);
    expect([novaRequests("create").length, chain()]).toEqual([2, [OVERLAY, BASE]]);
  });

  test("create: once the user has written that the overlay was not made, destroy merges nothing and restores the snapshot", async () => {
    const { engine } = await unreported();
    expect(row().status).toBe("creating");
    row().metadata["snapclone:assisted-step"] = "none";
    expect((await engine.destroy()).errors).toEqual([]);
    expect([engine.state.entries, novaRequests("delete")]).toEqual([[], []]);
    expect(row()).toMatchObject({ status: "available", metadata: {} });
  });

  test("create: with the resource out of the state and the record removed, nothing is merged, and another overlay can follow", async () => {
    const { engine } = await unreported();
    engine.edit((state) => {
      state.entries = [];
    });
    // `openstack volume snapshot unset --property …`, and `set --state available`.
    Object.assign(row(), { metadata: {}, status: "available" });
    fixture.emulator.nova.createFile(VOLUME, "overlay-2");
    expect((await engine.up({ overlay: { ...args(), newFile: "overlay-2" } })).errors).toEqual([]);
    expect([novaRequests("delete"), chain()]).toEqual([[], ["overlay-2", BASE]]);
  });
});

test("create: the record tells the outcome when the response is lost; a delete reads it too", async () => {
  fixture.emulator.faults.add({ match: { operation: "assistedSnapshots.create" }, action: "drop-response" });
  const { id, outs } = await create(definition, newRun(), fixture.inputs);
  expect(outs.verified).toBe(true);
  fixture.emulator.faults.add({ match: { operation: "assistedSnapshots.delete" }, action: "drop-response" });
  await remove(definition, newRun(), id, outs);
  expect([novaRequests("create").length, novaRequests("delete").length, chain()]).toEqual([1, 1, [OVERLAY]]);
});

describe("with a 404 that proves nothing", () => {
  const missing = { itemNotFound: { code: 404, message: "Snapshot x could not be found." } };
  const hide = (match: object, times = 1) => fixture.emulator.faults.add({ match, status: 404, body: missing, times });
  const show = (nth: number) => ({ operation: "snapshots.show", nth });

  test.each([2, 3, 4])("create: one 404 to read %s of the snapshot is waited out", async (nth) => {
    hide(show(nth));
    const { outs } = await create(definition, newRun(), fixture.inputs);
    expect(outs).toMatchObject({ verified: true, status: "available" });
  });

  test("create: after one 404 to the record of an accepted request, the state has the overlay and the next run completes it", async () => {
    hide({ operation: "snapshots.metadata.merge", nth: 5 });
    const failure = await partial(create(definition, newRun(), fixture.inputs));
    expect(failure.id).toBe(`${VOLUME}/${fixture.snapshotId}`);
    const { outs } = await update(definition, newRun(), failure.id, failure.properties, fixture.inputs);
    expect(outs).toMatchObject({ verified: true, status: "available" });
    expect(novaRequests("create")).toHaveLength(1);
  });
});

test("create: overlays of one volume are made one after the other, those of two volumes at once", async () => {
  const second = fixture.emulator.cinder.createSnapshot({ volume_id: VOLUME }).id;
  fixture.emulator.nova.createFile(VOLUME, "overlay-2", { backing: OVERLAY });
  const elsewhere = fixture.emulator.cinder.createVolume({ status: "in-use" }).id;
  const third = fixture.emulator.cinder.createSnapshot({ volume_id: elsewhere }).id;
  fixture.emulator.nova.createFile(elsewhere, "overlay-3");
  const run = newRun();
  const owner = (n: number) => ({ __owner: `${String(fixture.inputs.__owner)}${n}` });
  const all = await Promise.all([
    create(definition, run, { ...fixture.inputs, ...owner(1) }),
    create(definition, run, { ...fixture.inputs, ...owner(2), snapshotId: second, newFile: "overlay-2" }),
    create(definition, run, {
      ...fixture.inputs,
      ...owner(3),
      volumeId: elsewhere,
      snapshotId: third,
      newFile: "overlay-3",
    }),
  ]);
  expect(all.map(({ outs }) => outs.verified)).toEqual([true, true, true]);
  expect(chain()).toEqual(["overlay-2", OVERLAY, BASE]);
  expect(log).toContain(`status: waiting for another operation on the volume ${VOLUME}`);
  // An operation that fails releases the volume.
  await expect(create(definition, run, { ...fixture.inputs, ...owner(4) })).rejects.toThrow(/has an overlay already/);
  await Promise.all([all[0], all[1]].map((made) => made && remove(definition, run, made.id, { ...made.outs })));
  expect(novaRequests("delete")).toHaveLength(2);
});

test.each([
  [true, 20, 25],
  [false, 16, 20],
])(
  "create: with manageStatus %s, an overlay takes %s requests at most and its merge %s, login and lists included",
  async (manageStatus, most, mostOfMerge) => {
    const run = newRun();
    const { id, outs } = await create(definition, run, { ...fixture.inputs, manageStatus });
    await run.end();
    // Not counted: each further poll of the row, since their number depends on the machine.
    const polls = () => Math.max(0, fixture.emulator.requests.count({ operation: "snapshots.show" }) - 2);
    const [made, polled] = [fixture.emulator.requests.length, polls()];
    expect(made - polled).toBeLessThanOrEqual(most);
    await eventually(() => chain()[0] === OVERLAY);
    const next = newRun();
    await remove(definition, next, id, outs);
    await next.end();
    expect(fixture.emulator.requests.length - made - (polls() - polled)).toBeLessThanOrEqual(mostOfMerge);
  },
);

test("check: everything that is wrong is refused at once, with the path, and nothing is sent", () => {
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
    check(definition, {}, { ...fixture.inputs, fileToMerge, mergeTargetFile }).failures;
  expect(pair(null, "base")).toEqual([
    { property: "mergeTargetFile", reason: expect.stringContaining("needs fileToMerge") },
  ]);
  expect(pair("base", "base")).toEqual([
    { property: "mergeTargetFile", reason: expect.stringContaining("into itself") },
  ]);
  expect([pair(null, null), pair("a", null), pair("a", "b"), pair(undefined, undefined)]).toEqual([[], [], [], []]);
  expect(check(definition, {}, { ...fixture.inputs, type: undefined }).inputs.type).toBe("qcow2");
  expect(fixture.emulator.requests).toHaveLength(0);
});
