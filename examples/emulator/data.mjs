import { startEmulator } from "pulumi-snapclone/emulator";

const emulator = await startEmulator({
  data: {
    cinder: {
      volumes: [{ name: "db", sizeGiB: 50 }],
      snapshots: [{ volume: "db", name: "last-week", createdAt: "2026-11-21T02:00:00Z" }],
    },
  },
});

const [, , db] = emulator.cinder.volumes.values(); // after the two of the seed data
const [snapshot] = emulator.cinder.snapshots.values();
console.log(`${snapshot.name} of ${db.name} has ${snapshot.volume_size} GiB`);
await emulator.close();
