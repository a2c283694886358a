// AssistedSnapshot on the real engine, against the emulator.

import { type Emulator, startEmulator } from "../../emulator";
import { assistedSnapshotScenarios, type Hypervisor } from "../scenarios/assistedSnapshot";
import { describeEngine, newStack } from "./harness";

describeEngine("AssistedSnapshot on the emulator", () => {
  let cloud: Emulator;

  beforeAll(async () => {
    cloud = await startEmulator({
      timings: { snapshotCreate: 200, snapshotDelete: 200, assistedCreate: 1_500, assistedDelete: 500 },
    });
  });

  afterAll(() => cloud.close());

  assistedSnapshotScenarios(async () => hypervisor(cloud));

  test("kill -9 of the provider while Nova is at work: the next up adopts, Nova is asked once", async () => {
    const { volumeId, makeFile, connections } = hypervisor(cloud);
    const snapshot = cloud.cinder.createSnapshot({ volume_id: volumeId });
    const newFile = `killed-${snapshot.id}`;
    await makeFile(newFile, cloud.nova.chain(volumeId)[0] ?? "");
    const asked = () => cloud.requests.count({ operation: "assistedSnapshots.create" });
    const before = asked();
    const args = {
      volumeId,
      snapshotId: snapshot.id,
      newFile,
      fileToMerge: null,
      mergeTargetFile: null,
      manageStatus: true,
    };
    const stack = await newStack({
      program: { js: `new (require("pulumi-snapclone").AssistedSnapshot)("overlay", ${JSON.stringify(args)});` },
      config: connections,
    });
    try {
      const run = stack.start("up");
      while (asked() === before) await new Promise((resolve) => setTimeout(resolve, 10));
      const provider = await stack.waitForProvider();
      process.kill(provider, "SIGKILL");
      expect((await run.result).code).not.toBe(0);
      expect(await stack.resources()).toEqual([]);
      expect(snapshot.metadata["snapclone:assisted-owner"]).toMatch(/::overlay$/);

      expect((await stack.up()).code).toBe(0);
      const [adopted] = await stack.resources();
      expect(adopted).toMatchObject({
        id: `${volumeId}/${snapshot.id}`,
        outputs: { verified: true, status: "available" },
      });
      expect(asked()).toBe(before + 1);
      expect(cloud.nova.chain(volumeId)[0]).toBe(newFile);
      expect((await stack.destroy()).code).toBe(0);
      expect(cloud.nova.chain(volumeId)).toEqual([newFile]);
      expect(snapshot.metadata).toEqual({});
    } finally {
      await stack.close();
    }
  });
});

/** A volume that its driver keeps in a file for each snapshot, as Cinder's NFS driver does. */
function hypervisor(cloud: Emulator): Hypervisor {
  const volume = cloud.cinder.createVolume({ status: "in-use" });
  cloud.nova.createFile(volume.id, "snapshot-1");
  cloud.nova.startCreate(volume.id, { snapshot_id: "none", new_file: "snapshot-1" });
  const row = (id: string) => {
    cloud.cinder.advance();
    const found = cloud.cinder.snapshots.get(id);
    if (!found) throw new Error(`the emulator has no snapshot ${id}`);
    return found;
  };
  return {
    connections: { default: { ...cloud.openstack.connection("admin") }, member: { ...cloud.openstack.connection() } },
    volumeId: volume.id,
    idleVolumeId: cloud.cinder.createVolume().id,
    chain: async () => cloud.nova.chain(volume.id),
    makeFile: async (name, backing) => void cloud.nova.createFile(volume.id, name, { backing }),
    row: async (id) => row(id),
  };
}
