// VolumeFromSnapshot on the real engine, against the emulator: with the snapshot that it is made from, in one program.

import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { describeEngine, newStack, type Result, type Stack } from "./harness";

const programOf = (trigger: string, sizeGiB: number) => ({
  js: `
const { Snapshot, VolumeFromSnapshot } = require("pulumi-snapclone");
const snapshot = new Snapshot("snapshot", { volumeId: "${SEED_VOLUMES.data}", triggers: ["${trigger}"] });
new VolumeFromSnapshot("restored", { snapshotId: snapshot.id, sizeGiB: ${sizeGiB} });`,
});

describeEngine("VolumeFromSnapshot on the emulator", () => {
  let cloud: Emulator;
  let stack: Stack;

  beforeAll(async () => {
    cloud = await startEmulator({ clock: "instant" });
    stack = await newStack({
      program: programOf("monday", 12),
      config: { default: { ...cloud.openstack.connection() } },
    });
  });

  afterAll(async () => {
    await stack.close();
    await cloud.close();
  });

  const restored = () => {
    cloud.cinder.advance();
    return [...cloud.cinder.volumes.values()].filter(({ snapshot_id }) => snapshot_id !== null);
  };
  const changes = (since: number) =>
    cloud.requests
      .slice(since)
      .filter(({ operation }) => /^(snapshots|volumes)\.(create|delete|os-extend)$/.test(operation))
      .map(({ operation }) => operation);

  test("grows in place; a smaller size is an error of the preview, which sends nothing", async () => {
    await ok(stack.up());
    const [made] = restored();
    stack.setProgram(programOf("monday", 14));
    await ok(stack.up());
    expect(restored()).toMatchObject([{ id: made?.id, size: 14, status: "available" }]);
    const before = cloud.requests.length;
    stack.setProgram(programOf("monday", 10));
    const preview = await stack.preview();
    expect(preview.code).not.toBe(0);
    expect(textOf(preview)).toContain("the volume has 14 GiB, and Cinder makes no volume smaller");
    expect(cloud.requests.length).toBe(before);
  });

  test("a new snapshot makes a new volume, which may be smaller: the copies stand before the old ones go", async () => {
    stack.setProgram(programOf("tuesday", 12));
    const since = cloud.requests.length;
    await ok(stack.up());
    expect(changes(since)).toEqual(["snapshots.create", "volumes.create", "volumes.delete", "snapshots.delete"]);
    expect(restored()).toMatchObject([{ size: 12 }]);
  });

  test("an attached volume stops the destroy, which names the server; detached, it goes", async () => {
    const [row] = restored();
    if (!row) throw new Error("no volume");
    row.status = "in-use";
    row.attachments = [
      {
        id: row.id,
        attachment_id: "a",
        volume_id: row.id,
        server_id: "5d9e8dbb-9b0e-4a5b-9a5b-0c2a7f1f0001",
        host_name: null,
        device: "/dev/vdc",
        attached_at: row.created_at,
      },
    ];
    const refused = await stack.destroy();
    expect(refused.code).not.toBe(0);
    expect(textOf(refused)).toContain("attached to server 5d9e8dbb-9b0e-4a5b-9a5b-0c2a7f1f0001 as /dev/vdc");
    expect([restored().length, cloud.cinder.snapshots.size]).toEqual([1, 1]);
    Object.assign(row, { status: "available", attachments: [] });
    await ok(stack.destroy());
    expect([restored(), cloud.cinder.snapshots.size]).toEqual([[], 0]);
  });
});

async function ok(running: Promise<Result>): Promise<Result> {
  const result = await running;
  expect([result.code, textOf(result)]).toEqual([0, expect.any(String)]);
  return result;
}

function textOf({ stdout, stderr }: Result): string {
  return `${stdout}${stderr}`.replaceAll(/\s+/g, " ");
}
