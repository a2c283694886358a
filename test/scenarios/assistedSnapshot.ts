// The life of an AssistedSnapshot on a real `pulumi`. The same scenarios run on the emulator, and on a real Nova with a
// guest in QEMU.

import { newStack, type Result, type Stack } from "../engine/harness";

/** A running server with a volume, and an eye on its disk that doesn't pass through the provider. */
export interface Hypervisor {
  /** "default" is an administrator's, "member" the volume's owner's. */
  connections: Record<string, Record<string, unknown>>;
  /** Attached to the server. */
  volumeId: string;
  /** Attached to nothing. */
  idleVolumeId: string;
  /** libvirt's own record of the disk: the names of its files, the active one first. */
  chain(): Promise<string[]>;
  /** A qcow2 file in the volume's folder, over this one. */
  makeFile(name: string, backing: string): Promise<void>;
  row(snapshotId: string): Promise<{ status: string; metadata: Record<string, string> }>;
}

export function assistedSnapshotScenarios(theHypervisor: () => Promise<Hypervisor>): void {
  let hypervisor: Hypervisor;
  let stack: Stack;

  beforeAll(async () => {
    hypervisor = await theHypervisor();
  }, 180_000);

  beforeEach(async () => {
    stack = await newStack({ program: { js: "" }, config: hypervisor.connections });
  });

  afterEach(() => stack.close());

  const ok = async (running: Promise<Result>): Promise<Result> => {
    const result = await running;
    if (result.code !== 0) throw new Error(`exit code ${result.code}\n${result.stdout}\n${result.stderr}`);
    return result;
  };
  const changes = (result: Result) =>
    result.events.find(({ summaryEvent }) => summaryEvent)?.summaryEvent?.resourceChanges ?? {};
  const resource = async (name: string) => {
    const found = (await stack.resources()).find(({ urn }) => urn.endsWith(`::${name}`));
    if (!found?.id) throw new Error(`no ${name} in the state`);
    return { id: found.id, outputs: found.outputs ?? {} };
  };
  const declare = (overlays: Record<string, object>) => stack.setProgram(program(hypervisor.volumeId, overlays));
  /** A snapshot of the attached volume, of the volume owner's. */
  const copied = async (): Promise<string> => {
    declare({});
    await ok(stack.up());
    return (await resource("copy")).id;
  };

  test("an overlay on a snapshot, seen in the hypervisor's record, merged back by destroy", async () => {
    const { volumeId } = hypervisor;
    const snapshotId = await copied();
    const before = await hypervisor.chain();
    const base = before.at(-1) ?? "";
    const newFile = `overlay-${snapshotId}`;
    await hypervisor.makeFile(newFile, before[0] ?? "");

    const overlay = { volumeId, newFile, fileToMerge: base, mergeTargetFile: null, manageStatus: true };
    declare({ overlay });
    expect(changes(await ok(stack.up()))).toMatchObject({ create: 1 });
    expect(await hypervisor.chain()).toEqual([newFile, ...before]);
    const made = await resource("overlay");
    expect(made).toMatchObject({
      id: `${volumeId}/${snapshotId}`,
      outputs: { verified: true, status: "available", progress: "100%", newFile, type: "qcow2", fileToMerge: base },
    });
    expect(await hypervisor.row(snapshotId)).toMatchObject({
      status: "available",
      metadata: { "snapclone:assisted-step": "made", "snapclone:assisted-phase": "settled" },
    });
    expect(changes(await ok(stack.up()))).toEqual({ same: 3 });
    expect(changes(await ok(stack.refresh()))).toEqual({ same: 3 });

    // In place, and nothing is asked of Nova for it.
    declare({ overlay: { ...overlay, manageStatus: false } });
    expect(changes(await ok(stack.up()))).toMatchObject({ update: 1 });
    expect(await hypervisor.chain()).toEqual([newFile, ...before]);
    declare({ overlay });
    await ok(stack.up());

    // Out of the program: what lay between is taken into the active file.
    declare({});
    expect(changes(await ok(stack.up()))).toMatchObject({ delete: 1 });
    expect(await hypervisor.chain()).toEqual([newFile, base]);
    expect(await hypervisor.row(snapshotId)).toMatchObject({
      status: "available",
      metadata: { "snapclone:assisted-step": "merged" },
    });
    await ok(stack.destroy());
  });

  test("wrong calls are refused before they are sent", async () => {
    const { volumeId, idleVolumeId } = hypervisor;
    const snapshotId = await copied();
    const before = await hypervisor.chain();
    const good = { volumeId, newFile: "never-made", fileToMerge: null, mergeTargetFile: null, manageStatus: true };
    const wrong: [object, string][] = [
      [{ ...good, volumeId: idleVolumeId }, `is of volume ${volumeId}, not of ${idleVolumeId}`],
      [{ ...good, snapshotId: "99999999-9999-4999-8999-999999999999" }, "Cinder has no snapshot 99999999"],
      [{ ...good, newFile: "../never-made" }, "must be a plain file name"],
      [{ ...good, mergeTargetFile: "x" }, "needs fileToMerge"],
      [{ ...good, connection: "member" }, "snapshot_admin_actions:reset_status"],
      [{ ...good, connection: "member", manageStatus: false }, "os-assisted-volume-snapshots:create"],
    ];
    for (const [overlay, said] of wrong) {
      declare({ overlay });
      const result = await stack.up();
      expect([result.code === 0, result.stdout]).toEqual([false, expect.stringContaining(said)]);
    }
    expect(await hypervisor.chain()).toEqual(before);
    expect((await hypervisor.row(snapshotId)).status).toBe("available");
    await ok(stack.destroy());
  });

  test("what fails on the compute node is seen, and a file that is there mends it", async () => {
    const { volumeId } = hypervisor;
    const snapshotId = await copied();
    const before = await hypervisor.chain();
    const newFile = `mended-${snapshotId}`;
    const overlay = { volumeId, newFile, fileToMerge: before.at(-1), mergeTargetFile: null, manageStatus: true };
    declare({ overlay });
    const result = await stack.up();
    expect([result.code === 0, result.stdout]).toEqual([false, expect.stringContaining("could not switch the disk")]);
    expect((await resource("overlay")).outputs).toMatchObject({ pending: { operation: "create", failed: true } });
    expect(await hypervisor.chain()).toEqual(before);

    await hypervisor.makeFile(newFile, before[0] ?? "");
    await ok(stack.up());
    expect((await resource("overlay")).outputs).toMatchObject({ verified: true });
    expect(await hypervisor.chain()).toEqual([newFile, ...before]);
    await ok(stack.destroy());
    expect((await hypervisor.chain())[0]).toBe(newFile);
  });
}

/** The snapshot is the volume owner's; whoever asks Nova has to be an administrator. */
function program(volumeId: string, overlays: Record<string, object>): { js: string } {
  return {
    js: `
const { AssistedSnapshot, Snapshot } = require("pulumi-snapclone");
const copy = new Snapshot("copy", { volumeId: ${JSON.stringify(volumeId)}, connection: "member" });
for (const [name, args] of Object.entries(${JSON.stringify(overlays)})) {
  new AssistedSnapshot(name, { snapshotId: copy.id, ...args });
}`,
  };
}
