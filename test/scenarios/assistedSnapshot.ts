// The life of an AssistedSnapshot on a real `pulumi`. The same scenario runs on the emulator, and on a real Nova with a guest
// in QEMU.

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
  const fails = async (running: Promise<Result>): Promise<string> => {
    const result = await running;
    expect(result.code).not.toBe(0);
    return result.stdout;
  };
  const changes = (result: Result) =>
    result.events.find(({ summaryEvent }) => summaryEvent)?.summaryEvent?.resourceChanges ?? {};
  const resource = async (name: string) => {
    const found = (await stack.resources()).find(({ urn }) => urn.endsWith(`::${name}`));
    if (!found?.id) throw new Error(`no ${name} in the state`);
    return { id: found.id, outputs: found.outputs ?? {} };
  };
  const declare = (overlays: Record<string, object>) => stack.setProgram(program(hypervisor.volumeId, overlays));
  test("an overlay: refused before a request is sent; failed, and reported; in place, seen by the hypervisor; merged", async () => {
    const { volumeId, idleVolumeId } = hypervisor;
    declare({});
    await ok(stack.up());
    const snapshotId = (await resource("copy")).id;
    const before = await hypervisor.chain();
    const [active = "", base = active] = [before[0], before.at(-1)];
    const newFile = `overlay-${snapshotId}`;
    const overlay = { volumeId, newFile, fileToMerge: base, mergeTargetFile: null, manageStatus: true };

    // Nova would have accepted each of these, or failed without a report.
    declare({
      otherVolume: { ...overlay, volumeId: idleVolumeId },
      noSnapshot: { ...overlay, snapshotId: "99999999-9999-4999-8999-999999999999" },
      noAdministrator: { ...overlay, connection: "member" },
    });
    const refused = await fails(stack.up({ args: ["--continue-on-error"] }));
    expect(refused).toContain(`is of volume ${volumeId}, not of ${idleVolumeId}`);
    expect(refused).toContain("Cinder has no snapshot 99999999");
    expect(refused).toContain("snapshot_admin_actions:reset_status");
    expect(await hypervisor.chain()).toEqual(before);

    // The file does not exist, so the hypervisor fails, and Cinder's record shows that.
    declare({ overlay });
    expect(await fails(stack.up())).toContain(`could not switch the disk to ${newFile}`);
    expect((await resource("overlay")).outputs).toMatchObject({ pending: { operation: "create", failed: true } });
    expect([await hypervisor.chain(), (await hypervisor.row(snapshotId)).status]).toEqual([before, "available"]);

    await hypervisor.makeFile(newFile, active);
    await ok(stack.up());
    expect(await hypervisor.chain()).toEqual([newFile, ...before]);
    expect(await resource("overlay")).toMatchObject({
      id: `${volumeId}/${snapshotId}`,
      outputs: { verified: true, status: "available", progress: "100%", newFile, type: "qcow2", fileToMerge: base },
    });
    expect(await hypervisor.row(snapshotId)).toMatchObject({
      status: "available",
      metadata: { "snapclone:assisted-step": "made", "snapclone:assisted-file": newFile },
    });
    expect(changes(await ok(stack.up()))).toEqual({ same: 3 });

    // Out of the program: what lay between is taken into the active file.
    declare({});
    expect(changes(await ok(stack.up()))).toMatchObject({ delete: 1 });
    expect(await hypervisor.chain()).toEqual([newFile, base]);
    const { status, metadata } = await hypervisor.row(snapshotId);
    expect(status).toBe("available");
    expect(Object.keys(metadata).filter((key) => key.startsWith("snapclone:assisted-"))).toEqual([]);
    await ok(stack.destroy());
    expect((await hypervisor.chain())[0]).toBe(newFile);
  });
}

/** The volume's owner makes the snapshot. Only an administrator may ask Nova. */
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
