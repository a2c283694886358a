// What proves that a revert was done: a revert that never ran is never recorded as done, and one that a preview has announced is
// not skipped for a note of an earlier time.

import { check } from "../../provider/core/check";
import { snapshot } from "../../provider/openstack/snapshot/resource";
import { snapshotSeries } from "../../provider/openstack/snapshotSeries/resource";
import { FAULT_KINDS } from "../faults/inProcess";
import {
  changes,
  emulator,
  Life,
  passTime,
  requests,
  reverts,
  TYPES,
  type Type,
  VOLUME,
  volume,
} from "./revertFixture";

jest.setTimeout(60_000);

const KILLED_AFTER = FAULT_KINDS[5];
const one = { revertTriggers: ["1"] };
const two = { revertTriggers: ["2"] };
const three = { revertTriggers: ["3"] };

/** Another hand attaches and detaches the volume, and what follows comes within a second. */
function changeVolume(): void {
  volume().updated_at = emulator.cinder.stamp();
  passTime(300);
}

/** The run was killed when it had written its note, before it asked for the revert. */
async function killedAfterNote(type: Type, after: number): Promise<Life> {
  for (let nth = 1; nth < 20; nth += 1) {
    const life = await Life.withSnapshot(type);
    passTime(60_000);
    await life.up(two, { nth, kind: KILLED_AFTER }, { after });
    if (life.row.metadata["snapclone:revert"] === undefined) continue;
    expect(reverts()).toBe(0);
    return life;
  }
  throw new Error("no request has written the note");
}

/** An `up` that succeeds says that the volume was reverted. */
async function expectNoFalseEnd(life: Life, args: object): Promise<void> {
  const { errors } = await life.up({ ...two, ...args });
  if (errors.length === 0) expect(reverts()).toBe(1);
  else expect(String(errors[0])).toMatch(/nothing proves whether it took place/);
}

function renameStack({ engine }: Life): void {
  const from = engine.urn("db");
  engine.stack = "prod";
  engine.edit(({ entries }) => {
    for (const entry of entries) if (entry.urn === from) entry.urn = engine.urn("db");
  });
}

/** What the provider itself writes to the snapshot after the note of a killed run. */
const WRITES: [string, readonly Type[], object, (life: Life) => void][] = [
  ["another stack", TYPES, {}, renameStack],
  ["another name", ["Snapshot"], { name: "renamed" }, () => {}],
  ["other metadata", ["Snapshot"], { metadata: { team: "db" } }, () => {}],
  ["another stack, name and metadata", ["Snapshot"], { name: "renamed", metadata: { team: "db" } }, renameStack],
];

describe.each(WRITES)(
  "killed after the note; then the volume changes, and the snapshot gets %s",
  (_, types, args, edit) => {
    test.each(types)(
      "%s: no run takes its own write for the end of the revert, killed at any request",
      async (type) => {
        let isKilled = true;
        for (let nth = 1; isKilled; nth += 1) {
          const life = await killedAfterNote(type, 300_000);
          edit(life);
          changeVolume();
          ({ killed: isKilled } = await life.up({ ...two, ...args }, { nth, kind: KILLED_AFTER }, { after: 0 }));
          await expectNoFalseEnd(life, args);
          await expectNoFalseEnd(life, args);
        }
      },
    );

    test.each(types)("%s: nor where that run did not ask for the revert", async (type) => {
      const life = await killedAfterNote(type, 300_000);
      edit(life);
      changeVolume();
      const { errors } = await life.up({ ...one, ...args }, undefined, { after: 0 });
      expect(errors).toEqual([]);
      await expectNoFalseEnd(life, args);
    });

    test.each(types)("%s: a revert that ended before is recognised all the same", async (type) => {
      for (let nth = 1; nth < 20; nth += 1) {
        const life = await Life.withSnapshot(type);
        passTime(60_000);
        await life.up(two, { nth, kind: KILLED_AFTER }, { after: 300_000 });
        if (reverts() === 0) continue;
        edit(life);
        await life.ok({ ...one, ...args });
        await life.ok({ ...two, ...args });
        expect(reverts()).toBe(1);
        return;
      }
      throw new Error("no request has begun the revert");
    });
  },
);

describe.each(TYPES)("%s", (type) => {
  test("killed after the note, and the volume changes in the same second: not taken for the end", async () => {
    const life = await killedAfterNote(type, 300);
    changeVolume();
    passTime(300_000);
    await expectNoFalseEnd(life, {});
    expect(reverts()).toBe(0);
  });

  test("the volume changes between the note and the request: nothing is asked, and the next up reverts", async () => {
    const life = await Life.withSnapshot(type);
    passTime(60_000);
    const { row } = life;
    const advance = emulator.cinder.advance.bind(emulator.cinder);
    let isChanged = false;
    const spy = jest.spyOn(emulator.cinder, "advance").mockImplementation(() => {
      advance();
      if (isChanged || row.metadata["snapclone:revert"] === undefined) return;
      isChanged = true;
      volume().updated_at = emulator.cinder.stamp();
    });
    try {
      expect(await life.fails(two)).toMatch(
        /was changed by somebody else just before.*nothing was reverted[\s\S]*`pulumi up` again/,
      );
    } finally {
      spy.mockRestore();
    }
    expect([reverts(), row.metadata["snapclone:revert"]]).toEqual([0, undefined]);
    await life.ok(two);
    expect(reverts()).toBe(1);
  });

  test("the end of a later revert could not be noted: an earlier value reverts again", async () => {
    const life = await Life.withSnapshot(type);
    passTime(60_000);
    await life.ok(two);
    const noted = String(life.row.metadata["snapclone:reverted"]);
    await life.ok(three);
    life.row.metadata = { ...life.row.metadata, "snapclone:reverted": noted };
    for (const [args, count] of [
      [two, 3],
      [three, 4],
    ] as const) {
      const { log } = await life.ok(args);
      expect(log.join()).toContain("this reverts volume");
      expect(reverts()).toBe(count);
    }
  });

  test("so does an earlier value whose new request was noted by a run that was killed", async () => {
    const life = await Life.withSnapshot(type);
    passTime(60_000);
    await life.ok(two);
    const noted = String(life.row.metadata["snapclone:reverted"]);
    await life.ok(three);
    life.row.metadata = { ...life.row.metadata, "snapclone:reverted": noted };
    const isNoted = () => life.row.metadata["snapclone:revert"]?.startsWith(noted.slice(0, 32));
    for (let nth = 1; nth < 20 && !isNoted(); nth += 1) await life.up(two, { nth, kind: KILLED_AFTER });
    expect(reverts()).toBe(2);
    await life.ok(two);
    expect(reverts()).toBe(3);
  });

  test("an end that a user has noted counts once", async () => {
    const life = await killedAfterNote(type, 300_000);
    const asked = String(life.row.metadata["snapclone:revert"]);
    life.row.metadata = { ...life.row.metadata, "snapclone:reverted": asked.slice(0, 32) };
    await life.ok(two);
    const noted = String(life.row.metadata["snapclone:reverted"]);
    expect([reverts(), noted]).toEqual([0, expect.stringMatching(/^[0-9a-f]{32} at \S+Z$/)]);
    await life.ok(three);
    life.row.metadata = { ...life.row.metadata, "snapclone:reverted": noted };
    await life.ok(two);
    expect(reverts()).toBe(2);
  });

  test("a snapshot that is imported with the notes of a former resource: its first changed value reverts", async () => {
    const life = await Life.withSnapshot(type);
    passTime(60_000);
    await life.ok(two);
    const { row } = life;
    const notes = Object.entries(row.metadata).filter(([key]) => /^snapclone:revert/.test(key));
    life.engine.edit((state) => (state.entries = []));
    row.metadata = Object.fromEntries(notes);
    await life.ok({ ...one, __import: row.id });
    await life.ok({ ...one, __import: row.id });
    expect(reverts()).toBe(1);
    await life.ok({ ...two, __import: row.id });
    expect(reverts()).toBe(2);
  });

  test("Pulumi's own import knows no program: the first value reverts nothing, also after a failed update", async () => {
    for (const fault of [undefined, { nth: 5, kind: FAULT_KINDS[2] }]) {
      const life = new Life(type);
      await life.ok({});
      life.engine.edit(({ entries: [entry] }) => {
        if (entry) entry.outputs = { ...entry.outputs, __programUnknown: true };
      });
      const { log } = await life.up({ ...two, keep: 4, description: "new" }, fault);
      expect(log.join()).not.toContain("this reverts volume");
      await life.ok({ ...two, description: "new" });
      await life.ok({ ...two, description: "new" });
      expect(reverts()).toBe(0);
      await life.ok({ ...three, description: "new" });
      expect(reverts()).toBe(1);
    }
  });

  test("another connection, which may be another cloud, is refused by check; the default's name is no other", () => {
    const definition = type === "Snapshot" ? snapshot : snapshotSeries;
    const args = type === "Snapshot" ? { volumeId: VOLUME, name: "n" } : { volumeId: VOLUME, name: "n", keep: 3 };
    const failuresOf = (olds: object, news: object) =>
      check(definition, { ...args, ...one, ...olds }, { ...args, ...news }).failures;
    const refusal = {
      property: "revertTriggers",
      reason: expect.stringMatching(/^connection has changed, too, which may take a new snapshot/),
    };
    expect(failuresOf({}, { ...two, connection: "other" })).toEqual([refusal]);
    expect(failuresOf({ connection: "other" }, two)).toEqual([refusal]);
    expect(failuresOf({}, { ...two, connection: "default" })).toEqual([]);
    expect(failuresOf({}, { ...one, connection: "other" })).toEqual([]);
    expect(failuresOf({}, { connection: "other" })).toEqual([]);
  });
});

describe("the snapshot of a series that a preview has named", () => {
  const args = { triggers: ["tuesday"] };

  async function ofTwo(): Promise<{ life: Life; older: string; latest: string }> {
    const life = await Life.withSnapshot("SnapshotSeries", { triggers: ["monday"] });
    const older = life.snapshotId;
    passTime(24 * 3_600_000);
    await life.ok({ ...one, ...args });
    return { life, older, latest: life.snapshotId };
  }

  test.each([
    ["was deleted by somebody else", (id: string) => emulator.cinder.removeSnapshot(id)],
    ["is in error", (id: string) => Object.assign(emulator.cinder.snapshots.get(id) ?? {}, { status: "error" })],
  ])("%s: no revert to an older one, and both ways out work", async (_, spoil) => {
    for (const way of ["refresh", "value before"]) {
      const { life, older, latest } = await ofTwo();
      spoil(latest);
      const { log, errors } = await life.up({ ...two, ...args });
      expect(log.join()).toContain(`to the latest snapshot ${latest}`);
      expect(errors.map(String)).toEqual([
        expect.stringMatching(new RegExp(`${latest}, is gone or can't be used.*${older}[\\s\\S]*pulumi refresh`)),
      ]);
      expect([reverts(), changes()]).toEqual([0, []]);
      if (way === "value before") {
        await life.ok({ ...one, ...args });
        expect(reverts()).toBe(0);
        continue;
      }
      await life.refresh();
      if (emulator.cinder.snapshots.has(latest)) continue;
      expect((await life.ok({ ...two, ...args })).log.join()).toContain(`to the latest snapshot ${older}`);
      expect(reverts()).toBe(1);
    }
  });

  test("a newer one, which a killed run has taken for the same triggers, is reverted to", async () => {
    const life = await Life.withSnapshot("SnapshotSeries", { triggers: ["monday"] });
    passTime(24 * 3_600_000);
    for (let nth = 1; nth < 20 && emulator.cinder.snapshots.size < 2; nth += 1)
      await life.up({ ...one, ...args }, { nth, kind: KILLED_AFTER });
    await life.ok({ ...two, ...args });
    expect(reverts()).toBe(1);
    await life.ok({ ...two, ...args });
    expect(requests()).toBe(0);
  });
});
