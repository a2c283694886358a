// AssistedSnapshot, delete: what is merged, what never is, and what the user is told about the outcome.

import { diff } from "../../provider/core/diff";
import { create, read, remove, update } from "../../provider/core/lifecycle";
import { RECORD_KEYS } from "../../provider/openstack/assistedSnapshot/ownership";
import { BASE, eventually, failureOf, OVERLAY, textOf, useAssistedSnapshot, VOLUME } from "./assistedSnapshotFixture";

const fixture = useAssistedSnapshot();
const {
  definition,
  newRun,
  newEngine,
  row,
  phase,
  chain,
  novaRequests,
  statusChanges,
  warnings,
  driverWarnings,
  runHintedCommand,
} = fixture;

test("delete: a repeated delete asks Nova for nothing; the user writes what happened, and a new overlay can follow", async () => {
  const { id, outs } = await create(definition, newRun(), fixture.inputs);
  await remove(definition, newRun(), id, outs);
  // The first run was killed after its last request, before the engine saved the state.
  const again = await failureOf(remove(definition, newRun(), id, outs));
  expect(again).toMatch(/no longer has the record[\s\S]*nothing was asked of Nova[\s\S]*virsh domblklist/);
  runHintedCommand(again, "merged");
  await remove(definition, newRun(), id, outs);
  expect(novaRequests("delete")).toHaveLength(1);
  expect(row().metadata).toEqual({});
  fixture.emulator.nova.createFile(VOLUME, "overlay-2");
  expect((await create(definition, newRun(), { ...fixture.inputs, newFile: "overlay-2" })).outs.verified).toBe(true);
  expect(chain()).toEqual(["overlay-2", OVERLAY]);
});

test("delete: merges into a file of the chain, and one file into another", async () => {
  fixture.emulator.nova.createFile(VOLUME, "below");
  const below = fixture.emulator.cinder.createSnapshot({ volume_id: VOLUME }).id;
  const first = await create(definition, newRun(), {
    ...fixture.inputs,
    snapshotId: below,
    newFile: "below",
    fileToMerge: BASE,
  });
  fixture.emulator.nova.createFile(VOLUME, OVERLAY);
  const second = await create(definition, newRun(), { ...fixture.inputs, fileToMerge: "below", mergeTargetFile: BASE });
  expect(chain()).toEqual([OVERLAY, "below", BASE]);
  await remove(definition, newRun(), second.id, second.outs);
  expect(chain()).toEqual([OVERLAY, BASE]);
  expect(fixture.emulator.nova.file(VOLUME, BASE)?.holds).toEqual([BASE, "below"]);
  expect(driverWarnings().at(-1)).toContain("has lost below");
  await remove(definition, newRun(), first.id, first.outs);
  expect(chain()).toEqual([OVERLAY, BASE]);
});

// The keys of a record are removed at the same time, so a kill may leave any of them.
test.each(["stack", "owner", "inputs", "attempt", "file", "nonce"] as const)(
  "delete: goes on where an interrupted delete has left `%s` of the record",
  async (left) => {
    const { id, outs } = await create(definition, newRun(), fixture.inputs);
    const key = RECORD_KEYS[left];
    fixture.emulator.faults.add({
      match: { method: "DELETE", path: new RegExp(`/metadata/${encodeURIComponent(key)}$`) },
      times: 1,
      status: 501,
    });
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/501/);
    await eventually(() => Object.keys(row().metadata).length === 2);
    await remove(definition, newRun(), id, outs);
    expect(row().metadata).toEqual({});
    expect(novaRequests("delete")).toHaveLength(1);
  },
);

describe("refused before Nova is asked", () => {
  const setVolume = (fields: object) => Object.assign(fixture.emulator.cinder.volumes.get(VOLUME) ?? {}, fields);
  const other = (fields: object) => fixture.emulator.cinder.createSnapshot({ volume_id: VOLUME, ...fields });

  const cases: [string, () => void, RegExp][] = [
    ["a volume without a server", () => setVolume({ status: "available", attachments: [] }), /attached to no server/],
    [
      "a volume with another snapshot in creation",
      () => void other({ status: "creating" }),
      /of the same volume is creating/,
    ],
    [
      "a server that is being moved",
      () =>
        setVolume({
          attachments: fixture.emulator.cinder.volumes.get(VOLUME)?.attachments.flatMap((one) => [one, { ...one }]),
        }),
      /server \S+ is being moved to another host/,
    ],
    ["a snapshot without the record", () => Object.assign(row(), { metadata: {} }), /no longer has the record/],
    ["a volume that is gone", () => fixture.emulator.cinder.removeVolume(VOLUME), /has no volume/],
  ];

  test.each(cases)("delete: refuses %s", async (_name, prepare, expected) => {
    const { id, outs } = await create(definition, newRun(), fixture.inputs);
    const before = statusChanges();
    prepare();
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(expected);
    expect(novaRequests("delete")).toEqual([]);
    expect(statusChanges()).toBe(before);
  });

  test("delete: a value in the state that is not the name of a file is refused", async () => {
    const { id, outs } = await create(definition, newRun(), fixture.inputs);
    await expect(remove(definition, newRun(), id, { ...outs, fileToMerge: "../base" })).rejects.toThrow(
      /not a file's name/,
    );
    expect(novaRequests("delete")).toEqual([]);
  });

  test("delete: refuses a record that shows the report of an earlier merge", async () => {
    const { id, outs } = await create(definition, newRun(), { ...fixture.inputs, manageStatus: undefined });
    await eventually(() => chain()[0] === OVERLAY);
    Object.assign(row(), { status: "deleting", progress: "90%" });
    fixture.emulator.nova.failNext("delete", "lost");
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/the report of an earlier merge/);
    expect(novaRequests("delete")).toEqual([]);
  });
});

test("delete: Nova's own 404 says that the overlay is gone; a 404 from another address does not", async () => {
  const { id, outs } = await create(definition, newRun(), fixture.inputs);
  const match = { operation: "assistedSnapshots.delete" };
  const webob = { message: "The resource could not be found.<br />", code: "404 Not Found", title: "Not Found" };
  fixture.emulator.faults.add({ match, status: 404, body: webob });
  await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/no such address/);
  expect(phase()).toBe("made");
  fixture.emulator.faults.add({
    match,
    status: 404,
    body: { itemNotFound: { code: 404, message: "Instance x not found." } },
  });
  await remove(definition, newRun(), id, outs);
  expect(row()).toMatchObject({ status: "available", metadata: {} });
});

describe("failed on the compute node", () => {
  test("delete: error_deleting reports where to look and what was requested; once corrected in place, the delete works", async () => {
    const wrong = { ...fixture.inputs, fileToMerge: "nobody", mergeTargetFile: BASE };
    const { id, outs } = await create(definition, newRun(), wrong);
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(
      /error_deleting[\s\S]*"file_to_merge":"nobody"[\s\S]*nova-compute's log/,
    );
    expect(chain()).toEqual([OVERLAY, BASE]);
    const { props = {} } = await read(definition, newRun(), id, outs);
    expect(props.status).toBe("error_deleting");
    expect(warnings().at(-1)).toContain('status "error_deleting"');

    expect(diff(definition, outs, fixture.inputs).replaces).toEqual(["fileToMerge", "mergeTargetFile"]);
    expect(diff(definition, props, fixture.inputs)).toEqual({});
    const corrected = await update(definition, newRun(), id, props, fixture.inputs);
    await remove(definition, newRun(), id, corrected.outs);
    expect([chain(), row().status]).toEqual([[OVERLAY], "available"]);
  });

  test("delete: with the status left alone, only an administrator can reset error_deleting", async () => {
    const { id, outs } = await create(definition, newRun(), fixture.inputs);
    Object.assign(row(), { status: "error_deleting" });
    await expect(remove(definition, newRun(), id, { ...outs, manageStatus: undefined })).rejects.toThrow(
      /has to reset the status/,
    );
    expect(novaRequests("delete")).toEqual([]);
  });

  test("delete: with a path in the chain every partial merge fails with an explanation", async () => {
    fixture.emulator.nova.createFile(VOLUME, OVERLAY, { absolute: true });
    const { id, outs } = await create(definition, newRun(), { ...fixture.inputs, fileToMerge: BASE });
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/linked by relative names/);
  });

  test("delete: a merge that outlasts the deadline is waited for by the next run, and requested once", async () => {
    const { id, outs } = await create(definition, newRun(), fixture.inputs);
    fixture.emulator.nova.failNext("delete", "lost");
    await expect(remove(definition, newRun(), id, { ...outs, __timeouts: { delete: "1m" } })).rejects.toThrow(
      /waited .* for Nova's report on the merge[\s\S]*The request was/,
    );
    Object.assign(row(), { progress: "90%" });
    await remove(definition, newRun(), id, outs);
    expect([novaRequests("delete").length, row().metadata, row().status]).toEqual([1, {}, "available"]);
  });
});

const args = () => fixture.args({ create: "1m", delete: "1m" });
test.each([
  ["the overlay was merged", "merged", 1],
  ["the overlay was not merged", "made", 2],
])(
  "delete: after a report that never came, destroy ends once the user has written that %s",
  async (_name, written, requests) => {
    const engine = newEngine();
    await engine.up({ overlay: args() });
    fixture.emulator.nova.failNext("delete", "lost");
    const text = textOf((await engine.destroy()).errors);
    expect(text).toMatch(/waited .* for Nova's report on the merge/);
    expect(text).toMatch(/The request was .*virsh domblklist.*merged if it has, made if it has not/);
    // The next destroy waits again, and does not ask Nova on a guess.
    expect(textOf((await engine.destroy()).errors)).toMatch(/waited/);
    expect(novaRequests("delete")).toHaveLength(1);
    row().metadata["snapclone:assisted-step"] = written;
    expect((await engine.destroy()).errors).toEqual([]);
    expect([engine.state.entries, novaRequests("delete").length]).toEqual([[], requests]);
    expect(row()).toMatchObject({ status: "available", metadata: {} });
  },
);

test("delete: when the response is lost and the record cannot tell, Nova is never asked again", async () => {
  const unmanaged = { ...fixture.inputs, manageStatus: undefined };
  const { id, outs } = await create(definition, newRun(), unmanaged);
  fixture.emulator.faults.add({ match: { operation: "assistedSnapshots.delete" }, action: "drop-response" });
  for (let times = 0; times < 2; times += 1) {
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/whether Nova has merged .* is not known/);
  }
  expect(novaRequests("delete")).toHaveLength(1);
  row().metadata["snapclone:assisted-step"] = "merged";
  await remove(definition, newRun(), id, outs);
  expect(novaRequests("delete")).toHaveLength(1);
});

test("delete: with a snapshot that was deleted in Cinder, nothing is merged, and a warning tells", async () => {
  const { id, outs } = await create(definition, newRun(), fixture.inputs);
  fixture.emulator.cinder.removeSnapshot(fixture.snapshotId);
  expect(await read(definition, newRun(), id, outs)).toEqual({});
  await remove(definition, newRun(), id, outs);
  expect(warnings().at(-1)).toContain("nothing was merged");
  expect(novaRequests("delete")).toEqual([]);
});

const missing = { itemNotFound: { code: 404, message: "Snapshot x could not be found." } };
const hide = (match: object, times = 1) => fixture.emulator.faults.add({ match, status: 404, body: missing, times });

test.each(["snapshots.metadata.merge", "snapshots.os-reset_status"])(
  "delete: after one 404 to %s nothing leaves the state, and the next run merges once",
  async (operation) => {
    const { id, outs } = await create(definition, newRun(), fixture.inputs);
    hide({ operation, nth: 1 });
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/could not be found/);
    await remove(definition, newRun(), id, outs);
    expect([novaRequests("delete").length, chain(), row().metadata]).toEqual([1, [OVERLAY], {}]);
  },
);
