// A revert on the real engine, against a real Cinder with the NFS driver, whose data are files of this machine.

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describeEngine } from "../engine/harness";
import { type RevertBackend, revertScenario } from "../scenarios/revert";
import { labBackend } from "./backend";
import { describeOpenStack, type OpenStackLab } from "./lab";

describeOpenStack("a real Cinder", (lab) => {
  describeEngine("revertTriggers", () => {
    const made: string[] = [];
    revertScenario(() => revertBackend(lab(), made), ["SnapshotSeries"]);
    afterAll(async () => {
      for (const id of made) await lab().request("DELETE", `/volumes/${id}`);
    });
  });
});

function revertBackend(lab: OpenStackLab, made: string[]): RevertBackend {
  return {
    ...labBackend(lab),
    async newVolume() {
      const { body } = await lab.request("POST", "/volumes", { volume: { size: 1, name: "revert" } });
      const { id } = (body as { volume: { id: string } }).volume;
      made.push(id);
      await untilAvailable(lab, `/volumes/${id}`, "volume");
      return id;
    },
    async takeSnapshot(volume_id) {
      const { body } = await lab.request("POST", "/snapshots", { snapshot: { volume_id, name: "by hand" } });
      const { id } = (body as { snapshot: { id: string } }).snapshot;
      await untilAvailable(lab, `/snapshots/${id}`, "snapshot");
      return id;
    },
    async write(volumeId, snapshotId) {
      qemuIo(lab, `volume-${volumeId}.${snapshotId}`, "write -P 0xab 0 64k");
    },
    async isUntouched(volumeId, snapshotId) {
      return !qemuIo(lab, `volume-${volumeId}.${snapshotId}`, "read -P 0 0 64k").includes(
        "Pattern verification failed",
      );
    },
    async reverts(snapshotId) {
      const log = readFileSync(join(lab.folder, "log", "cinder-volume.log"), "utf8");
      return log.split(`reverted to snapshot ${snapshotId} successfully`).length - 1;
    },
    holdReverts() {
      // up.sh records "pid …" of the process, which leads a group.
      const group = -Number.parseInt(readFileSync(join(lab.folder, "run", "cinder-volume.pid"), "utf8"), 10);
      process.kill(group, "SIGSTOP");
      return () => process.kill(group, "SIGCONT");
    },
  };
}

/** The file that a volume with a snapshot is written to is named after both. */
function qemuIo({ folder }: OpenStackLab, file: string, command: string): string {
  const mounts = join(folder, "mnt");
  const [share = ""] = readdirSync(mounts);
  // It ends with 1 where the pattern is another.
  const { stdout, error } = spawnSync("qemu-io", ["-f", "qcow2", "-c", command, join(mounts, share, file)]);
  if (error) throw error;
  return String(stdout);
}

async function untilAvailable(lab: OpenStackLab, path: string, name: "volume" | "snapshot"): Promise<void> {
  const deadline = Date.now() + 120_000;
  for (;;) {
    const { body } = await lab.request("GET", path);
    const status = (body as Record<string, { status: string }>)[name]?.status;
    if (status === "available") return;
    if (status === "error" || Date.now() > deadline) throw new Error(`${path} is ${status}, and not available`);
    await delay(200);
  }
}
