import { startEmulator } from "pulumi-snapclone/emulator";

const emulator = await startEmulator({ clock: "instant" });
Object.assign(process.env, emulator.openstack.env()); // your program logs in with these

const [volume] = emulator.cinder.volumes.values(); // read the state, and change it
emulator.cinder.failNext({ create: "error" }); // the next snapshot ends in the status "error"
emulator.faults.add({ match: { operation: "snapshots.create" }, action: "drop-response" });
emulator.faults.add({ match: { service: "cinder", nth: 3 }, times: 2, status: 503, headers: { "Retry-After": "1" } });

const count = emulator.requests.count({ service: "cinder" });
console.log(`${volume.name} at ${emulator.openstack.authUrl}: ${count} requests so far`);
await emulator.close();
