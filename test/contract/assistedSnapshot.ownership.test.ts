// AssistedSnapshot, ownership: whose overlay it is, after interrupted runs and with several runs at once.

import { create, read, remove } from "../../provider/core/lifecycle";
import type { OpenStackContext } from "../../provider/openstack/context";
import {
  BASE,
  clock,
  eventually,
  failureOf,
  OVERLAY,
  textOf,
  useAssistedSnapshot,
  VOLUME,
} from "./assistedSnapshotFixture";

const fixture = useAssistedSnapshot();
const { definition, newRun, newEngine, connect, row, phase, chain, novaRequests, runHintedCommand } = fixture;

describe("after an interrupted run", () => {
  const args = () => fixture.args({ create: "1m" });

  test("create: a killed run's overlay is adopted and not made again, and a message tells", async () => {
    let dead = true;
    const engine = newEngine({ isDead: () => dead });
    expect(await engine.up({ overlay: fixture.args() })).toMatchObject({ killed: true });
    dead = false;
    const { errors, log: lines } = await engine.up({ overlay: { ...fixture.args(), fileToMerge: BASE } });
    expect(errors).toEqual([]);
    expect(lines).toContainEqual(
      expect.stringMatching(/^info: adopted the assisted snapshot .* ago\).*: an interrupted run made it/),
    );
    expect(engine.state.entries).toMatchObject([{ outputs: { verified: true, fileToMerge: BASE } }]);
    expect(novaRequests("create")).toHaveLength(1);
    // Once recorded, the overlay is never adopted again, even if the state loses it.
    engine.edit((state) => {
      state.entries = [];
      state.pending = [];
    });
    const other = await engine.up({ overlay: fixture.args() });
    expect(textOf(other.errors)).toMatch(/has an overlay already: its record says "made"/);
    expect(other.log).toContainEqual(expect.stringMatching(/in no state: an assisted snapshot/));
    expect(novaRequests("create")).toHaveLength(1);
  });

  test("create: an overlay whose run was killed while Nova worked is waited for", async () => {
    fixture.emulator.nova.failNext("create", "lost");
    let dead = true;
    const engine = newEngine({ isDead: () => dead });
    await engine.up({ overlay: args() });
    dead = false;
    expect(phase()).toBe("asked");
    Object.assign(row(), { progress: "90%" });
    expect((await engine.up({ overlay: args() })).errors).toEqual([]);
    expect(engine.state.entries).toMatchObject([{ outputs: { verified: true } }]);
    expect(novaRequests("create")).toHaveLength(1);
  });

  test.each(["new", "old"])(
    "create: after a kill on the way to Nova (%s record), the user is asked to look, and the written answer counts",
    async (left) => {
      let dead = false;
      const engine = newEngine({ isDead: () => dead });
      fixture.emulator.faults.add({ match: { operation: "assistedSnapshots.create" }, action: "reset" });
      const write = fixture.cloud.cinder.createSnapshotMetadata.bind(fixture.cloud.cinder);
      jest.spyOn(fixture.cloud.cinder, "createSnapshotMetadata").mockImplementation(async (id, metadata) => {
        const all = await write(id, metadata);
        if (metadata["snapclone:assisted-step"] === "asking") dead = true;
        return all;
      });
      expect(await engine.up({ overlay: args() })).toMatchObject({ killed: true });
      jest.restoreAllMocks();
      dead = false;
      expect(phase()).toBe("asking");
      // As an early build leaves it.
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

  test("create: after a kill before Nova was asked, the next run asks, and nobody has to look", async () => {
    let dead = false;
    const engine = newEngine({ isDead: () => dead });
    fixture.emulator.faults.add({ match: { operation: "snapshots.os-reset_status" }, status: 500, times: 9 });
    const write = fixture.cloud.cinder.createSnapshotMetadata.bind(fixture.cloud.cinder);
    const writes = jest
      .spyOn(fixture.cloud.cinder, "createSnapshotMetadata")
      .mockImplementation(async (id, metadata) => {
        if (dead) throw new Error("dead");
        const all = await write(id, metadata);
        dead = metadata["snapclone:assisted-step"] === "preparing";
        return all;
      });
    const removals = jest.spyOn(fixture.cloud.cinder, "deleteSnapshotMetadataKey").mockRejectedValue(new Error("dead"));
    expect(await engine.up({ overlay: args() })).toMatchObject({ killed: true });
    writes.mockRestore();
    removals.mockRestore();
    fixture.emulator.faults.clear();
    dead = false;
    expect(phase()).toBe("preparing");
    expect((await engine.up({ overlay: args() })).errors).toEqual([]);
    expect([chain()[0], novaRequests("create").length]).toEqual([OVERLAY, 1]);
  });

  test("create: the record of an early build is adopted, and no early build adopts it afterwards", async () => {
    const engine = newEngine();
    await engine.up({ overlay: args() });
    const {
      "snapclone:assisted-stack": _,
      "snapclone:assisted-attempt": __,
      "snapclone:assisted-nonce": ___,
      ...old
    } = row().metadata;
    const setLegacyPhase = (phase: string) =>
      Object.assign(row(), { metadata: { ...old, "snapclone:assisted-phase": phase } });
    const interrupted = () =>
      engine.edit((state) => {
        state.entries = [];
        state.pending = [{ urn: engine.urn("overlay"), inputs: {} }];
      });
    setLegacyPhase("settled");
    interrupted();
    expect(textOf((await engine.up({ overlay: args() })).errors)).toMatch(/has an overlay already/);
    setLegacyPhase("open");
    interrupted();
    expect((await engine.up({ overlay: args() })).errors).toEqual([]);
    expect(row().metadata).toMatchObject({
      "snapclone:assisted-phase": "settled",
      "snapclone:assisted-stack": expect.any(String),
    });
    expect(novaRequests("create")).toHaveLength(1);
    // An overlay from the state of such a build is merged too.
    setLegacyPhase("settled");
    expect((await engine.destroy()).errors).toEqual([]);
    expect([chain(), row().metadata]).toEqual([[OVERLAY], {}]);
  });
});

test("create: the record does not touch a Snapshot's record on the same snapshot; a delete removes only its own", async () => {
  const beside = { "snapclone:phase": "settled", mine: "x" };
  row().metadata = { ...beside };
  const { id, outs } = await create(definition, newRun(), fixture.inputs);
  expect(row().metadata).toMatchObject({ ...beside, "snapclone:assisted-owner": fixture.inputs.__owner });
  await remove(definition, newRun(), id, outs);
  expect(row().metadata).toEqual(beside);
});

describe("with a login that does not see the snapshot", () => {
  test("refresh and destroy: another project's login fails naming both projects, and nothing leaves the state", async () => {
    const engine = newEngine();
    await engine.up({ overlay: { ...fixture.inputs } });
    const backend = String(engine.state.entries[0]?.outputs.__backend);
    await fixture.cloud.session.close();
    const { keystone } = fixture.emulator;
    keystone.assign(keystone.userNamed("demo").id, keystone.createProject({ name: "mill" }).id, ["member"]);
    fixture.cloud = connect({ ...fixture.emulator.openstack.connection(), projectName: "mill" });
    for (const run of [() => engine.refresh(), () => engine.destroy()]) {
      const text = textOf((await run()).errors);
      expect(text).toContain(`the state says ${backend}`);
      expect(text).toContain(`the connection reaches ${await fixture.cloud.session.identity("blockStorage")}`);
    }
    expect(engine.state.entries).toHaveLength(1);
    expect(novaRequests("delete")).toEqual([]);
  });

  test("read and delete: what a former administrator does not see is not taken for gone", async () => {
    const { id, outs } = await create(definition, newRun(), fixture.inputs);
    const hide = (operation: string, object: string) => {
      const body = { itemNotFound: { code: 404, message: `${object} could not be found.` } };
      return fixture.emulator.faults.add({ match: { operation }, status: 404, body, times: Number.POSITIVE_INFINITY });
    };
    hide("snapshots.show", "Snapshot x");
    const volume = hide("volumes.show", `Volume ${VOLUME}`);
    await expect(read(definition, newRun(), id, outs)).rejects.toThrow(/does not see its volume/);
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/does not see its volume/);
    volume.remove();
    expect(await read(definition, newRun(), id, outs)).toEqual({});
  });
});

describe("with another resource's record", () => {
  const others: [string, Record<string, string>, RegExp][] = [
    ["of another resource", { owner: "urn:pulumi:dev::shop::x::other" }, /was made for urn:pulumi:dev::shop::x::other/],
    ["of another stack", { stack: "0".repeat(32) }, /was made by another stack/],
    ["of other inputs", { inputs: "0".repeat(32) }, /made from other inputs/],
    ["in another file", { file: "overlay-9" }, /is the file overlay-9; this resource's overlay is overlay-1/],
  ];

  test.each(others)(
    "delete: an overlay %s is not merged; the error says whose it is, and the way out",
    async (_name, fields, expected) => {
      const { id, outs } = await create(definition, newRun(), fixture.inputs);
      const ours = { ...row().metadata };
      for (const [key, value] of Object.entries(fields)) row().metadata[`snapclone:assisted-${key}`] = value;
      const message = await failureOf(remove(definition, newRun(), id, outs));
      expect(message).toMatch(expected);
      expect(message).toMatch(/nothing was asked of Nova[\s\S]*pulumi state delete/);
      expect([novaRequests("delete"), row().status]).toEqual([[], "available"]);
      // If the overlay is this resource's after all, the user writes the record as the error says.
      runHintedCommand(message);
      expect(row().metadata).toMatchObject({
        ...ours,
        "snapclone:assisted-attempt": ours["snapclone:assisted-attempt"],
      });
      await remove(definition, newRun(), id, outs);
      expect(chain()).toEqual([OVERLAY]);
    },
  );

  test("update: an alias rewrites the record; the overlay stays", async () => {
    const engine = newEngine();
    const args = fixture.args();
    await engine.up({ overlay: args });
    const before = row().metadata;
    expect((await engine.up({ renamed: args }, {}, { renamed: "overlay" })).errors).toEqual([]);
    expect(row().metadata["snapclone:assisted-owner"]).toBe(engine.urn("renamed"));
    expect(row().metadata["snapclone:assisted-attempt"]).toBe(engine.state.entries[0]?.inputs.__attempt ?? "recorded");
    expect(row().metadata["snapclone:assisted-nonce"]).toBe(before["snapclone:assisted-nonce"]);
    expect((await engine.destroy()).errors).toEqual([]);
    expect([novaRequests("create").length, novaRequests("delete").length, row().metadata]).toEqual([1, 1, {}]);
  });

  test("update: a rename does not overwrite a record that another stack has written since", async () => {
    const engine = newEngine();
    const args = fixture.args();
    await engine.up({ overlay: args });
    row().metadata["snapclone:assisted-owner"] = "somebody else";
    const { errors } = await engine.up({ renamed: args }, {}, { renamed: "overlay" });
    expect(textOf(errors)).toMatch(/was made for somebody else: its record was not changed/);
    expect(row().metadata["snapclone:assisted-owner"]).toBe("somebody else");
  });
});

describe("two runs at once on one volume", () => {
  let elsewhere: OpenStackContext;
  let secondDefinition: typeof definition;
  /** The largest number of requests that Nova had in hand when a new one came. */
  let atOnce: number;

  beforeEach(() => {
    elsewhere = connect(fixture.emulator.openstack.connection("admin"));
    secondDefinition = { ...definition, connection: { kind: "openstack", open: () => elsewhere } };
    atOnce = 0;
    const { nova } = fixture.emulator;
    for (const method of ["startCreate", "startDelete"] as const) {
      const start = nova[method].bind(nova) as (...given: unknown[]) => void;
      nova[method] = (...given: unknown[]) => {
        const under = fixture.emulator.cinder
          .snapshotsOf(VOLUME)
          .filter(({ metadata }) => /^(merge-)?(asking|asked)$/.test(metadata["snapclone:assisted-step"] ?? ""));
        atOnce = Math.max(atOnce, under.length);
        start(...given);
      };
    }
  });
  afterEach(() => elsewhere.session.close());

  /** Delays each request by a random time, so that the two runs meet anywhere. */
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
    "create: of two runs on one snapshot (%s) one makes the overlay, and the other is told whose it is",
    async () => {
      slow(fixture.cloud);
      slow(elsewhere);
      fixture.emulator.nova.createFile(VOLUME, "overlay-2");
      const ends = await Promise.allSettled([
        create(definition, newRun(), fixture.inputs),
        create(secondDefinition, newRun(), {
          ...fixture.inputs,
          newFile: "overlay-2",
          __owner: `${String(fixture.inputs.__owner)}-2`,
        }),
      ]);
      expect(novaRequests("create")).toHaveLength(1);
      const failures = ends.flatMap((end) => (end.status === "rejected" ? [String(end.reason)] : []));
      expect(failures).toEqual([
        expect.stringMatching(/has an overlay already: its record says "\w+", made for urn:.*overlay/),
      ]);
      expect(chain()).toHaveLength(2);
      expect(row().status).toBe("available");
    },
  );

  test.each(Array.from({ length: 4 }, (_, n) => n))(
    "create: two runs on two snapshots (%s) ask Nova one after the other",
    async () => {
      slow(fixture.cloud);
      slow(elsewhere);
      const other = fixture.emulator.cinder.createSnapshot({ volume_id: VOLUME }).id;
      fixture.emulator.nova.createFile(VOLUME, "overlay-2");
      const made = await Promise.all([
        create(definition, newRun(), fixture.inputs),
        create(secondDefinition, newRun(), {
          ...fixture.inputs,
          snapshotId: other,
          newFile: "overlay-2",
          __owner: `${String(fixture.inputs.__owner)}-2`,
        }),
      ]);
      expect([novaRequests("create").length, atOnce]).toEqual([2, 1]);
      const [one, two] = made;
      await Promise.all([
        remove(definition, newRun(), one.id, one.outs),
        remove(secondDefinition, newRun(), two.id, two.outs),
      ]);
      expect([novaRequests("delete").length, atOnce]).toEqual([2, 1]);
      expect(fixture.emulator.cinder.snapshotsOf(VOLUME).map(({ metadata }) => metadata)).toEqual([{}, {}]);
    },
  );

  test("create: a run that was held up before its write sees that another run has claimed the row", async () => {
    fixture.emulator.nova.createFile(VOLUME, "overlay-2");
    let heldUp = false;
    const claimant = () => row().metadata["snapclone:assisted-nonce"] ?? "";
    const write = fixture.cloud.cinder.createSnapshotMetadata.bind(fixture.cloud.cinder);
    jest.spyOn(fixture.cloud.cinder, "createSnapshotMetadata").mockImplementation(async (id, metadata) => {
      if (metadata["snapclone:assisted-step"] === "preparing" && !heldUp) {
        heldUp = true;
        await eventually(() => claimant().endsWith("-2"));
      }
      return write(id, metadata);
    });
    // The second run has seen no other run, and its claim comes late.
    const writeElsewhere = elsewhere.cinder.createSnapshotMetadata.bind(elsewhere.cinder);
    jest.spyOn(elsewhere.cinder, "createSnapshotMetadata").mockImplementation(async (id, metadata) => {
      await eventually(() => heldUp);
      return writeElsewhere(id, metadata);
    });
    const owner = `${String(fixture.inputs.__owner)}-2`;
    await Promise.allSettled([
      create(definition, newRun(), fixture.inputs),
      create(secondDefinition, newRun(), { ...fixture.inputs, newFile: "overlay-2", __owner: owner }),
    ]);
    expect(novaRequests("create")).toHaveLength(1);
    expect(atOnce).toBeLessThanOrEqual(1);
    expect([chain().length, row().status]).toEqual([2, "available"]);
  });

  const inMs = (ms: number) => new Date(Date.now() + ms).toISOString();
  const nonce = (ms: number, text = "") =>
    `${text}0a1b2c3d-000000 2026-11-01T00:00:00.000Z/${inMs(ms)} 0123456789abcdef urn:pulumi:dev::mill::x::theirs`;
  const foreign = (metadata: Record<string, string>) =>
    fixture.emulator.cinder.createSnapshot({ volume_id: VOLUME, metadata });

  test("create: another run's claim is waited for, and the error says who has it", async () => {
    foreign({ "snapclone:assisted-nonce": nonce(3_600_000, "claim ") });
    await expect(create(definition, newRun(), fixture.inputs)).rejects.toThrow(
      /waited .* it is claimed for urn:pulumi:dev::mill::x::theirs since 2026-11-01T00:00:00.000Z \(run 0a1b2c3d-000000\)/,
    );
    expect([novaRequests("create"), row().metadata]).toEqual([[], {}]);
  });

  test.each([
    ["a claim", undefined, /asked Nova for nothing/],
    ["a request for an overlay", "asked", /=made [0-9a-f-]{36}` if the disk is on its file, .*=none/],
    ["a request for a merge", "merge-asking", /=merged [0-9a-f-]{36}` if it has been merged, .*=made/],
  ])(
    "create: what a run has left behind after its deadline is reported with the way to remove it: %s",
    async (_name, left, way) => {
      const metadata = { "snapclone:assisted-nonce": nonce(-1_000, left ? "" : "claim ") };
      const theirs = foreign({ ...metadata, ...(left ? { "snapclone:assisted-step": left } : {}) });
      const text = await failureOf(create(definition, newRun(), fixture.inputs));
      expect(text).toMatch(/theirs since .*: the deadline of that run passed at/);
      expect(text).toMatch(way);
      expect(novaRequests("create")).toEqual([]);
      const [, unset, command = ""] = /`openstack volume snapshot (un)?set ([^`]*)`/.exec(text) ?? [];
      for (const [, key = "", value = ""] of command.matchAll(/--property ([^=\s]+)=?(\S*)/g)) {
        if (unset) delete theirs.metadata[key];
        else theirs.metadata[key] = value;
      }
      expect((await create(definition, newRun(), fixture.inputs)).outs.verified).toBe(true);
    },
  );

  test("create: the resource's own claim from a killed run does not block it", async () => {
    const { id, outs } = await create(definition, newRun(), fixture.inputs);
    const own = row().metadata["snapclone:assisted-nonce"] ?? "";
    await remove(definition, newRun(), id, outs);
    row().metadata = { "snapclone:assisted-nonce": `claim ${own}` };
    fixture.emulator.nova.createFile(VOLUME, "overlay-2");
    expect((await create(definition, newRun(), { ...fixture.inputs, newFile: "overlay-2" })).outs.verified).toBe(true);
  });
});
