// `revertTriggers` of Snapshot and SnapshotSeries: when the volume is reverted, when it is not, and what the user is told.

import { check, UNKNOWN } from "../../provider/core/check";
import { SnapcloneError } from "../../provider/core/errors";
import { CinderClient } from "../../provider/openstack/cinder";
import { snapshot } from "../../provider/openstack/snapshot/resource";
import { snapshotSeries } from "../../provider/openstack/snapshotSeries/resource";
import {
  changes,
  emulator,
  Life,
  passTime,
  requests,
  reverts,
  TYPES,
  VOLUME,
  volume,
  writeToVolume,
} from "./revertFixture";

jest.setTimeout(60_000);

const NEWER = "99999999-9999-4999-8999-999999999999";
const one = { revertTriggers: ["1"] };
const two = { revertTriggers: ["2"] };

function forbid(method: "createSnapshotMetadata" | "revertVolume", rule: string) {
  const message = `Policy doesn't allow ${rule} to be performed.`;
  const error = new SnapcloneError({ kind: "forbidden", status: 403, message });
  return jest.spyOn(CinderClient.prototype, method).mockRejectedValue(error);
}

describe.each(TYPES)("%s", (type) => {
  test("a changed value reverts the volume once, and the next up sends nothing", async () => {
    const life = await Life.withSnapshot(type);
    const { log } = await life.ok(two);
    expect(reverts()).toBe(1);
    expect(volume().status).toBe("available");
    expect(log).toContainEqual(
      expect.stringMatching(
        /^warning: snapshot.*"nightly": this reverts volume 1111\S+ to (the latest )?snapshot [0-9a-f-]{36}: data written since then \(\d{4}-\S+\) is lost$/,
      ),
    );
    expect(log).toContainEqual(`info: volume ${VOLUME} was reverted to snapshot ${life.snapshotId}`);
    expect(life.outputs).toMatchObject({ ...two, revertedAt: expect.stringMatching(/^\d{4}-.*Z$/) });
    expect(life.row.metadata["snapclone:reverted"]).toMatch(/^[0-9a-f]{32} at \d{4}-\S+Z$/);
    await life.ok(two);
    expect([reverts(), requests()]).toEqual([1, 0]);
    await life.ok(one);
    expect(reverts()).toBe(2);
  });

  test("the note is written before the request, and the end after it", async () => {
    const life = await Life.withSnapshot(type);
    await life.ok(two);
    expect(changes()).toEqual([
      `POST /snapshots/${life.snapshotId}/metadata`,
      `POST /volumes/${VOLUME}/action`,
      `POST /snapshots/${life.snapshotId}/metadata`,
    ]);
  });

  test("triggers that a resource gets only now are a changed value", async () => {
    const life = new Life(type);
    await life.ok({});
    await life.ok(two);
    expect(reverts()).toBe(1);
  });

  test.each([
    ["the first up", undefined],
    ["removed triggers", {}],
    ["an empty list", { revertTriggers: [] }],
    ["another description", { ...one, description: "the same" }],
  ])("%s: no revert", async (_, args) => {
    const life = await Life.withSnapshot(type);
    const { log } = args ? await life.ok(args) : { log: [] };
    expect(log.filter((line) => line.includes("reverts volume"))).toEqual([]);
    // The last value again is no change, either.
    await life.ok(one);
    expect(reverts()).toBe(0);
  });

  test("a refresh reverts nothing, before and after", async () => {
    const life = await Life.withSnapshot(type);
    expect((await life.refresh()).errors).toEqual([]);
    await life.ok(two);
    const { log } = await life.refresh();
    expect(log).toEqual([]);
    await life.ok(two);
    expect(reverts()).toBe(1);
  });

  test("a replacement reverts nothing", async () => {
    const life = await Life.withSnapshot(type);
    const before = life.engine.idOf("db");
    expect((await life.up(two, undefined, { replace: ["db"] })).errors).toEqual([]);
    expect(life.engine.idOf("db")).not.toBe(before);
    await life.ok(two);
    expect(reverts()).toBe(0);
  });

  test("an adoption reverts nothing, with another value, too", async () => {
    const life = new Life(type);
    for (let nth = 1; emulator.cinder.snapshots.size === 0; nth += 1) {
      expect((await life.up(one, { nth, kind: "is where the process is killed, after" })).killed).toBe(true);
    }
    await life.ok(two);
    expect([emulator.cinder.snapshots.size, reverts()]).toEqual([1, 0]);
    await life.ok(two);
    expect(requests()).toBe(0);
  });

  test("a create that met its deadline, and another value since: no revert", async () => {
    const life = new Life(type);
    emulator.cinder.failNext({ create: "stuck" });
    await life.fails({ ...one, __timeouts: { create: "2m" } });
    for (const row of emulator.cinder.snapshots.values()) row.status = "available";
    await life.ok(two);
    await life.ok(two);
    expect(reverts()).toBe(0);
  });

  test("triggers that change, too, are refused by check, with a path and a way", async () => {
    const definition = type === "Snapshot" ? snapshot : snapshotSeries;
    const olds = { volumeId: VOLUME, keep: 3, name: "n", ...one, triggers: ["monday"] };
    const args = type === "Snapshot" ? { volumeId: VOLUME, name: "n" } : { volumeId: VOLUME, name: "n", keep: 3 };
    const failuresOf = (news: object) => check(definition, olds, { ...args, triggers: ["monday"], ...news }).failures;
    expect(failuresOf({ ...two, triggers: ["tuesday"] })).toEqual([
      {
        property: "revertTriggers",
        reason: expect.stringMatching(/^triggers has changed, too.*`pulumi up` with the changed/),
      },
    ]);
    expect(failuresOf({ ...two, volumeId: VOLUME.replace(/1/g, "3") })).toHaveLength(1);
    expect(failuresOf(two)).toEqual([]);
    expect(failuresOf({ ...one, triggers: ["tuesday"] })).toEqual([]);
    expect(failuresOf({ triggers: ["tuesday"] })).toEqual([]);
    expect(failuresOf({ revertTriggers: "now" })).toEqual([{ property: "revertTriggers", reason: "must be a list" }]);
  });

  test("a failed revert is not forgotten by a refresh, and a changed trigger is then still refused", async () => {
    const life = await Life.withSnapshot(type, { triggers: ["monday"] });
    volume().status = "backing-up";
    await life.fails({ ...two, triggers: ["monday"] });
    await life.refresh();
    expect(life.outputs.revertTriggers).toBeUndefined();
    const { inputs } = life.engine.state.entries[0] ?? {};
    const definition = type === "Snapshot" ? snapshot : snapshotSeries;
    const news = { ...inputs, ...two, triggers: ["tuesday"] };
    expect(check(definition, inputs ?? {}, news).failures).toHaveLength(1);
    volume().status = "available";
    await life.ok({ ...two, triggers: ["monday"] });
    expect(reverts()).toBe(1);
  });

  describe("refused before anything is asked, and done by the next up", () => {
    const life: { now?: Life } = {};
    const setting: [string, () => void, RegExp, () => void][] = [
      [
        "an attached volume: by whom",
        () => {
          const attachment = { id: VOLUME, attachment_id: "a", volume_id: VOLUME, host_name: null, attached_at: "" };
          Object.assign(volume(), {
            status: "in-use",
            attachments: [{ ...attachment, server_id: "server-1", device: "/dev/vdb" }],
          });
        },
        /attached to server server-1 as \/dev\/vdb, and Cinder reverts a volume that is "available" only; nothing was reverted[\s\S]*openstack server remove volume/,
        () => Object.assign(volume(), { status: "available", attachments: [] }),
      ],
      [
        "a volume in error",
        () => (volume().status = "error"),
        /is in status "error".*nothing was reverted[\s\S]*administrator/,
        () => (volume().status = "available"),
      ],
      [
        "a volume that somebody else is reverting",
        () => (volume().status = "reverting"),
        /is in status "reverting".*nothing was reverted[\s\S]*when that has ended/,
        () => (volume().status = "available"),
      ],
      [
        "a snapshot that is being backed up, which would leave the volume in reverting for ever",
        () => ((life.now as Life).row.status = "backing-up"),
        /snapshot \S+ is in status "backing-up".*nothing was reverted/,
        () => ((life.now as Life).row.status = "available"),
      ],
      [
        "a volume that has grown",
        () => (volume().size = 11),
        /has grown to 11 GiB since snapshot \S+ of 10 GiB.*nothing was reverted[\s\S]*VolumeFromSnapshot/,
        () => (volume().size = 10),
      ],
      [
        "a newer snapshot by somebody else: which and whose",
        () => {
          const metadata = { "snapclone:owner": "urn:somebody" };
          emulator.cinder.createSnapshot({ id: NEWER, volume_id: VOLUME, name: "by hand", metadata });
        },
        /is not the newest one of volume 1111\S+, and Cinder reverts to that alone: newer is 99999999-\S+ "by hand" \(of urn:somebody\); nothing was reverted[\s\S]*Delete the newer/,
        () => emulator.cinder.removeSnapshot(NEWER),
      ],
    ];

    test("an older snapshot is no newer one where the clocks of this machine go forward between the two (TZ=Europe/Berlin)", async () => {
      const now = await Life.withSnapshot(type);
      Object.assign(now.row, { created_at: "2026-03-29T03:10:00.000000" });
      emulator.cinder.createSnapshot({ volume_id: VOLUME, name: "older", created_at: "2026-03-29T02:30:00.000000" });
      await now.ok(two);
      expect(reverts()).toBe(1);
    });

    test.each(setting)("%s", async (_, prepare, text, repair) => {
      life.now = await Life.withSnapshot(type);
      passTime(1_000);
      prepare();
      expect(await life.now.fails(two)).toMatch(text);
      expect([reverts(), changes()]).toEqual([0, []]);
      repair();
      await life.now.ok(two);
      expect(reverts()).toBe(1);
    });
  });

  test("an API older than 3.40: refused, with the other way", async () => {
    const life = await Life.withSnapshot(type);
    const spy = jest.spyOn(CinderClient.prototype, "microversion").mockResolvedValue("3.39");
    try {
      expect(await life.fails(two)).toMatch(
        /speaks 3\.39, and reverts from 3\.40.*nothing was reverted[\s\S]*VolumeFromSnapshot/,
      );
      expect(changes()).toEqual([]);
    } finally {
      spy.mockRestore();
    }
  });

  test("a login that may not write metadata: refused, since a killed run could revert twice", async () => {
    const life = await Life.withSnapshot(type);
    const forbidden = forbid("createSnapshotMetadata", "volume:update_snapshot_metadata");
    expect(await life.fails(two)).toMatch(
      /update_snapshot_metadata.*may not write that; nothing was reverted[\s\S]*openstack volume revert/,
    );
    expect(changes()).toEqual([]);
    forbidden.mockRestore();
    await life.ok(two);
    expect(reverts()).toBe(1);
  });

  test("a policy that forbids the revert: the rule, the note is taken back, and the next up asks anew", async () => {
    const life = await Life.withSnapshot(type);
    const forbidden = forbid("revertVolume", "volume:revert_to_snapshot");
    expect(await life.fails(two)).toMatch(/volume:revert_to_snapshot/);
    expect(life.row.metadata["snapclone:revert"]).toBeUndefined();
    forbidden.mockRestore();
    writeToVolume();
    await life.ok(two);
    expect(reverts()).toBe(1);
  });

  test("a revert that fails: Cinder's copy is named, the value is not repeated, a new value reverts", async () => {
    const life = await Life.withSnapshot(type);
    emulator.cinder.behaviour({ of: "volume", revert: "error", times: 1 });
    const text = await life.fails(two);
    expect(text).toMatch(
      /could not revert volume 1111\S+ to snapshot \S+ \(the volume is in status "error"\).*Cinder left no message why/,
    );
    const backup = [...emulator.cinder.snapshots.values()].find(({ name }) => name?.startsWith("[revert] volume"));
    expect(text).toContain(`snapshot ${backup?.id} "[revert] volume ${VOLUME} backup snapshot"`);
    expect(await life.fails(two)).toMatch(/could not revert volume/);
    // An administrator has repaired the volume, and the owner has deleted the copy.
    emulator.cinder.removeSnapshot(backup?.id ?? "");
    passTime(60_000);
    Object.assign(volume(), { status: "available", updated_at: emulator.cinder.stamp() });
    expect(await life.fails(two)).toMatch(/nothing proves whether it took place/);
    expect(reverts()).toBe(1);
    await life.ok({ revertTriggers: ["3"] });
    expect(reverts()).toBe(2);
  });

  test("a revert that takes too long: recorded, and the next up goes on waiting", async () => {
    const life = await Life.withSnapshot(type);
    emulator.cinder.behaviour({ of: "volume", revert: "stuck", times: 1 });
    const slow = { ...two, __timeouts: { update: "2m" } };
    expect(await life.fails(slow)).toMatch(
      /waited 1 min 55 s for volume 1111\S+ to be reverted to snapshot \S+; seen: reverting[\s\S]*resumes the wait/,
    );
    expect(await life.fails(slow)).toMatch(/waited 2 min/);
    await life.refresh();
    const at = emulator.cinder.stamp();
    Object.assign(volume(), { status: "available", updated_at: at });
    Object.assign(life.row, { status: "available", updated_at: at });
    for (const row of emulator.cinder.snapshots.values())
      if (row.name?.startsWith("[revert]")) emulator.cinder.removeSnapshot(row.id);
    const { log } = await life.ok(slow);
    expect(log.join()).toMatch(/that an earlier run asked for at \S+ has taken place/);
    expect(reverts()).toBe(1);
  });

  test("a value that a preview does not know: told as a possible revert", async () => {
    const definition = type === "Snapshot" ? snapshot : snapshotSeries;
    const life = await Life.withSnapshot(type);
    const text = definition.announceUpdate?.("id", life.outputs, { volumeId: VOLUME, revertTriggers: [UNKNOWN] });
    expect(text).toMatch(/^if the value of revertTriggers has changed, this reverts volume/);
  });
});

test("a state of an early build: adding triggers reverts, also after a run that was refused", async () => {
  const life = new Life("Snapshot");
  await life.ok({});
  expect(Object.keys(life.outputs).filter((key) => key.startsWith("revert"))).toEqual([]);
  volume().status = "backing-up";
  await life.fails(two);
  await life.refresh();
  volume().status = "available";
  await life.ok(two);
  expect(reverts()).toBe(1);
});

test("an import reverts nothing", async () => {
  const life = new Life("Snapshot");
  const { id } = emulator.cinder.createSnapshot({ volume_id: VOLUME, name: "old" });
  await life.ok({ ...two, __import: id });
  await life.ok({ ...two, __import: id });
  expect([life.engine.idOf("db"), reverts()]).toEqual([id, 0]);
  await life.ok({ revertTriggers: ["3"], __import: id });
  expect(reverts()).toBe(1);
});
