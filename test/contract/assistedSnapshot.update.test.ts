// AssistedSnapshot, update: what the next up does about the phase that the record shows.

import { diff } from "../../provider/core/diff";
import { create, update } from "../../provider/core/lifecycle";
import { RECORD_KEYS } from "../../provider/openstack/assistedSnapshot/ownership";
import { partial } from "../support/failures";
import type { FakeEngine } from "../support/fakeEngine";
import { BASE, eventually, OVERLAY, textOf, useAssistedSnapshot, VOLUME } from "./assistedSnapshotFixture";

const fixture = useAssistedSnapshot();
const { definition, newRun, newEngine, row, phase, chain, novaRequests } = fixture;

test("update: the next up waits on for a late report", async () => {
  fixture.emulator.nova.failNext("create", "lost");
  const failure = await partial(create(definition, newRun(), { ...fixture.inputs, __timeouts: { create: "1m" } }));
  Object.assign(row(), { progress: "90%" });
  const { outs } = await update(definition, newRun(), failure.id, failure.properties, fixture.inputs);
  expect(outs).toMatchObject({ verified: true, status: "available" });
  expect(novaRequests("create")).toHaveLength(1);
});

describe("after a refresh", () => {
  const args = () => fixture.args({ create: "1m" });
  const refreshed = async (engine: FakeEngine) => {
    expect((await engine.refresh()).errors).toEqual([]);
    return engine.state.entries[0]?.outputs ?? {};
  };

  test("update: without an overlay the next up makes another, and merges nothing for the old one", async () => {
    fixture.emulator.nova.failNext("create", "lost");
    const engine = newEngine();
    await engine.up({ overlay: args() });
    // The user looked, and was wrong.
    row().metadata["snapclone:assisted-step"] = "made";
    expect((await engine.up({ overlay: args() })).errors).toEqual([]);
    row().metadata["snapclone:assisted-step"] = "none";
    expect(await refreshed(engine)).toMatchObject({ verified: false, unverifiedReason: "there is no overlay" });
    expect((await engine.up({ overlay: args() })).errors).toEqual([]);
    expect([chain(), novaRequests("create").length, novaRequests("delete")]).toEqual([[OVERLAY, BASE], 2, []]);
    expect(engine.state.entries).toMatchObject([{ outputs: { verified: true } }]);
  });

  test("update: if the user finds no overlay for a record that was lost, the up after that makes the overlay", async () => {
    const engine = newEngine();
    fixture.emulator.nova.failNext("create", "error");
    await engine.up({ overlay: args() });
    const ours = { ...row().metadata };
    row().metadata = {};
    await refreshed(engine);
    expect(textOf((await engine.up({ overlay: args() })).errors)).toMatch(/made if the disk is on overlay-1, none if/);
    row().metadata = { ...ours, "snapclone:assisted-step": "none" };
    const { errors, log } = await engine.up({ overlay: args() });
    expect(errors).toEqual([]);
    expect([chain(), novaRequests("create").length]).toEqual([[OVERLAY, BASE], 2]);
    expect(log.at(-1)).toMatch(/Cinder's driver does not know that the disk .* is on overlay-1 now/);
    expect(engine.state.entries).toMatchObject([{ outputs: { verified: true, status: "available" } }]);
  });

  // The keys of a record are removed at the same time, so a kill may leave any of them.
  test.each(["stack", "owner", "inputs", "attempt", "file", "nonce"] as const)(
    "update: where an interrupted replacement has left `%s` of the record, the next up makes the overlay",
    async (key) => {
      const engine = newEngine();
      fixture.emulator.nova.failNext("create", "error");
      await engine.up({ overlay: args() });
      const left = row().metadata[RECORD_KEYS[key]];
      row().metadata = { [RECORD_KEYS.phase]: "none", ...(left === undefined ? {} : { [RECORD_KEYS[key]]: left }) };
      expect(await refreshed(engine)).toMatchObject({ verified: false, unverifiedReason: "there is no overlay" });
      expect((await engine.up({ overlay: args() })).errors).toEqual([]);
      expect([chain(), phase()]).toEqual([[OVERLAY, BASE], "made"]);
    },
  );

  test("delete: the record of a request that was never sent says so before its keys go", async () => {
    const engine = newEngine();
    fixture.emulator.nova.failNext("create", "error");
    await engine.up({ overlay: args() });
    row().metadata[RECORD_KEYS.phase] = "preparing";
    const before = fixture.emulator.requests.length;
    expect((await engine.destroy()).errors).toEqual([]);
    const changes = fixture.emulator.requests.slice(before).filter(({ path }) => path.includes("/metadata"));
    expect(changes.map(({ method }) => method).filter((method) => method !== "GET")).toEqual([
      "POST",
      ...Array(changes.length - 1).fill("DELETE"),
    ]);
    expect(row().metadata).toEqual({});
  });

  test("update: a delete that was interrupted before it asked Nova is taken back", async () => {
    const engine = newEngine();
    await engine.up({ overlay: args() });
    Object.assign(row(), { status: "deleting" }).metadata["snapclone:assisted-step"] = "merge-preparing";
    await refreshed(engine);
    expect((await engine.up({ overlay: args() })).errors).toEqual([]);
    expect([row().status, phase(), novaRequests("delete")]).toEqual(["available", "made", []]);
    expect(engine.state.entries).toMatchObject([{ outputs: { verified: true, status: "available" } }]);
    // The up after that has nothing to do.
    const before = fixture.emulator.requests.length;
    await engine.up({ overlay: args() });
    expect(fixture.emulator.requests.length).toBe(before);
  });

  test("update: a requested merge is waited for, and another overlay is made", async () => {
    const engine = newEngine();
    await engine.up({ overlay: args() });
    fixture.emulator.nova.startDelete(VOLUME, "nobody", {
      volume_id: VOLUME,
      type: "qcow2",
      file_to_merge: null,
      merge_target_file: null,
    });
    await eventually(() => chain().length === 1);
    Object.assign(row(), { status: "deleting", progress: "90%" }).metadata["snapclone:assisted-step"] = "merge-asked";
    await refreshed(engine);
    // The disk cannot be switched to its active file. The error says so.
    const { errors } = await engine.up({ overlay: args() });
    expect(textOf(errors)).toMatch(/could not switch the disk to overlay-1/);
    fixture.emulator.nova.createFile(VOLUME, "overlay-2");
    expect((await engine.up({ overlay: { ...args(), newFile: "overlay-2" } })).errors).toEqual([]);
    expect([chain(), novaRequests("delete")]).toEqual([["overlay-2", OVERLAY], []]);
  });

  test.each([
    ["another resource's record", () => (row().metadata["snapclone:assisted-owner"] = "ann"), /was made for ann/],
    ["no record", () => (row().metadata = {}), /no longer has the record of this resource/],
  ])(
    "update: with %s on the snapshot each up fails with the reason, and nothing is written over it",
    async (_name, change, expected) => {
      const engine = newEngine();
      await engine.up({ overlay: args() });
      const ours = { ...row().metadata };
      change();
      const theirs = { ...row().metadata };
      expect(await refreshed(engine)).toMatchObject({
        verified: false,
        unverifiedReason: expect.stringMatching(expected),
      });
      for (const _time of [1, 2]) expect(textOf((await engine.up({ overlay: args() })).errors)).toMatch(expected);
      expect(row().metadata).toEqual(theirs);
      row().metadata = ours;
      expect((await engine.up({ overlay: args() })).errors).toEqual([]);
      expect(engine.state.entries).toMatchObject([{ outputs: { verified: true }, initError: false }]);
      expect([novaRequests("create").length, novaRequests("delete")]).toEqual([1, []]);
    },
  );
});

test.each(["merged", "merge-asked"])(
  "update: with the step %s on the snapshot the up fails with the reason, and the next one makes another overlay",
  async (step) => {
    const engine = newEngine();
    await engine.up({ overlay: fixture.args({ create: "1m" }) });
    // The disk can't be switched to its active file.
    fixture.emulator.nova.createFile(VOLUME, "overlay-2");
    Object.assign(row(), { status: step === "merged" ? "available" : "deleting", progress: "90%" });
    row().metadata["snapclone:assisted-step"] = step;
    const program = { ...fixture.args({ create: "1m" }), manageStatus: false };
    const { errors } = await engine.up({ overlay: program });
    expect(textOf(errors)).toMatch(/the overlay overlay-1 .* merged[\s\S]*The next `pulumi up` makes another/);
    expect(engine.state.entries).toMatchObject([{ outputs: { __step: step }, initError: true }]);
    if (step === "merge-asked") return;
    expect((await engine.up({ overlay: { ...program, newFile: "overlay-2" } })).errors).toEqual([]);
    expect([chain()[0], novaRequests("delete")]).toEqual(["overlay-2", []]);
  },
);

test("diff: shows what a change of each input does", () => {
  const olds = { ...fixture.inputs, fileToMerge: "a", mergeTargetFile: "b", status: "available", verified: true };
  const change = (changes: object) =>
    diff(definition, olds, { ...fixture.inputs, fileToMerge: "a", mergeTargetFile: "b", ...changes });
  for (const key of ["volumeId", "snapshotId", "newFile", "type", "fileToMerge", "mergeTargetFile", "connection"]) {
    expect(change({ [key]: "other" })).toEqual({ replaces: [key], deleteBeforeReplace: true });
  }
  expect(change({ manageStatus: false })).toEqual({});
  // To write the default out, or to leave it out again, is no change.
  const asIs = { ...olds, manageStatus: undefined };
  expect(diff(definition, asIs, { ...asIs, manageStatus: false })).toEqual({ changes: false });
  expect(diff(definition, { ...asIs, manageStatus: false }, asIs)).toEqual({ changes: false });
  expect(change({})).toEqual({ changes: false });
});
