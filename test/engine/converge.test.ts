// "Unchanged means converged" on the real engine, for four resources at once: whatever fails in an `up`, the same command
// again finishes it, and after an `up` that ends with 0 there is nothing left to do. test/convergence fails
// every request of every operation; here each kind of operation fails once, where it hurts most.

import { type Emulator, SEED_SESSIONS, startEmulator, ZSTACK_SEED } from "../../emulator";
import { describeEngine, newStack, type Result, type Stack } from "./harness";

const VOLUMES = ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"];

describeEngine("up, failed, and up again", () => {
  let cloud: Emulator;
  let stack: Stack;

  beforeAll(async () => {
    cloud = await startEmulator({
      timings: {
        snapshotCreate: 200,
        snapshotDelete: 100,
        cloneStep: 20,
        volumeDelete: 100,
        viprLink: 200,
        viprUnlink: 100,
      },
    });
    const config = {
      default: { ...cloud.openstack.connection() },
      powervc: { ...cloud.powervc.connection() },
      vipr: { ...cloud.vipr.connection() },
      zstack: { ...cloud.zstack.connection() },
    };
    stack = await newStack({ program: { js: "" }, config });
  });

  afterAll(async () => {
    await stack.close();
    await cloud.close();
  });

  const declare = ({ name, tier, count, vms }: { name: string; tier: string; count: number; vms: string[] }) =>
    stack.setProgram({
      js: `
        const { ClonedVm, LinkedTargetSet, Snapshot, VolumeClone } = require("pulumi-snapclone");
        new Snapshot("s", ${JSON.stringify({ volumeId: VOLUMES[0], name, metadata: { tier, [tier]: "x" } })});
        new VolumeClone("c", ${JSON.stringify({ volumes: VOLUMES, displayName: name, connection: "powervc" })});
        new LinkedTargetSet("t", ${JSON.stringify({ snapshotSessionId: SEED_SESSIONS.monday, targetName: "dev", count, connection: "vipr" })});
        new ClonedVm("v", ${JSON.stringify({ vmInstanceUuid: ZSTACK_SEED.web, names: vms, userTags: [tier], connection: "zstack" })});
      `,
    });
  const changes = ({ events }: Result) =>
    events.find(({ summaryEvent }) => summaryEvent)?.summaryEvent?.resourceChanges ?? {};
  const failing = (operation: string) =>
    cloud.faults.add({ match: { operation }, times: Number.POSITIVE_INFINITY, status: 500 });
  const upAgain = async () => {
    cloud.faults.clear();
    for (let run = 1; run <= 2; run += 1) {
      const result = await stack.up();
      if (result.code === 0) break;
      if (run === 2) throw new Error(result.stdout + result.stderr);
    }
    const refreshed = await stack.up({ args: ["--refresh"] });
    expect([refreshed.code, changes(refreshed)]).toEqual([0, { same: 5 }]);
  };
  const there = () => {
    cloud.cinder.advance();
    cloud.powervc.advance();
    return {
      snapshots: [...cloud.cinder.snapshots.values()].map(({ name, metadata }) => [name, metadata.tier]),
      clones: [...cloud.cinder.volumes.values()]
        .filter(({ id }) => !VOLUMES.includes(id))
        .map(({ name }) => name)
        .sort(),
      targets: cloud.vipr.linkedNames(SEED_SESSIONS.monday).length,
      vms: cloud.zstack
        .living()
        .map(({ name }) => name)
        .filter((name) => name.startsWith("vm-"))
        .sort(),
    };
  };

  test("a create, a change and a deletion", async () => {
    const before = cloud.cinder.volumes.size;
    declare({ name: "one", tier: "gold", count: 1, vms: ["vm-1"] });
    failing("snapshots.create");
    failing("volumes.metadata.merge");
    failing("sessions.link");
    failing("tags.create");
    expect((await stack.up()).code).not.toBe(0);
    await upAgain();
    expect(there()).toEqual({
      snapshots: [["one", "gold"]],
      clones: ["clone-one-1", "clone-one-2"],
      targets: 1,
      vms: ["vm-1"],
    });

    declare({ name: "two", tier: "silver", count: 3, vms: ["vm-2", "vm-1"] });
    failing("snapshots.metadata.merge");
    failing("volumes.update");
    failing("sessions.link");
    failing("tags.create");
    expect((await stack.up()).code).not.toBe(0);
    await upAgain();
    expect(there()).toEqual({
      snapshots: [["two", "silver"]],
      clones: ["clone-two-1", "clone-two-2"],
      targets: 3,
      vms: ["vm-1", "vm-2"],
    });

    failing("snapshots.delete");
    failing("volumes.delete");
    failing("sessions.unlink");
    expect((await stack.destroy()).code).not.toBe(0);
    cloud.faults.clear();
    expect((await stack.destroy()).code).toBe(0);
    expect(there()).toEqual({ snapshots: [], clones: [], targets: 0, vms: [] });
    expect(cloud.cinder.volumes.size).toBe(before);
    expect(await stack.resources()).toEqual([]);
  });
});
