import { startEmulator } from "pulumi-snapclone/emulator";

const emulator = await startEmulator({ clock: "instant" });
Object.assign(process.env, emulator.env()); // what your program finds as its cloud

const [volume] = emulator.cinder.volumes.values(); // look into it, and change it
emulator.cinder.failNext({ create: "error" }); // make something go wrong
emulator.faults.add({ match: { operation: "snapshots.create" }, action: "lose-reply" });
emulator.faults.add({ match: { service: "cinder", nth: 3 }, times: 2, status: 503, headers: { "Retry-After": "1" } });

console.log(`${volume.name} at ${emulator.authUrl}: ${emulator.requests.count({ service: "cinder" })} requests so far`);
await emulator.close();
