// What the kill suite says of `snapclone orphans` (test/kill/orphansCommand.ts) where its kills seldom come: in the last moment
// of a destroy, and less than a second before Pulumi saves the state.

import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { stackDigest } from "../../provider/core/ownership";
import { stateOrigin } from "../../provider/pulumi/origin";
import { snapshot } from "../kill/cases/snapshot";
import { assertOrphansCommand } from "../kill/orphansCommand";
import type { ExportedState, StackFixture } from "../kill/stackFixture";

const OWNER = "urn:pulumi:kill1::snapclone-test::pulumi-nodejs:dynamic/snapclone:Snapshot::s1";

let emulator: Emulator;
let folder: string;

beforeEach(async () => {
  emulator = await startEmulator();
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "snapclone-orphans-"));
});
afterEach(async () => {
  fs.rmSync(folder, { recursive: true });
  await emulator.close();
});

function fixtureOf(state: ExportedState, madeAt: number[]): StackFixture {
  const backendUrl = `file://${folder}`;
  const place = { env: { PULUMI_BACKEND_URL: backendUrl }, cwd: "/", home: "/nowhere", host: os.hostname() };
  const digest = stackDigest(stateOrigin(undefined, place), undefined, { project: "snapclone-test", stack: "kill1" });
  const records = madeAt.map((at, n) => {
    const attempt = `${n}`.padStart(16, "0");
    const { id } = emulator.cinder.createSnapshot({
      volume_id: SEED_VOLUMES.data,
      created_at: new Date(at).toISOString().slice(0, -1),
      metadata: { "snapclone:owner": OWNER, "snapclone:stack": digest, "snapclone:attempt": attempt },
    });
    return { id, owner: OWNER, attempt, madeAt: at };
  });
  const file = path.join(folder, "state.json");
  fs.writeFileSync(file, JSON.stringify({ version: 3, deployment: state }));
  const backend = {
    connections: { default: { ...emulator.openstack.connection() } },
    records: () => records,
    copies: async () => [],
  };
  const exported = () => ({ file, backendUrl, stack: "organization/snapclone-test/kill1", state });
  return { resource: snapshot, backend, exported } as unknown as StackFixture;
}

test("a destroy that was killed when all was done: the state is empty, and the command is told the stack", async () => {
  const now = Date.now();
  await assertOrphansCommand(fixtureOf({ manifest: { time: new Date(now).toISOString() } }, []));
  await assertOrphansCommand(fixtureOf({ manifest: { time: new Date(now).toISOString() } }, [now - 60_000]));
});

test("a state that was saved right after the creates: the backend's time is not known well enough to tell", async () => {
  const now = Date.now();
  const stack = "urn:pulumi:kill1::snapclone-test::pulumi:pulumi:Stack::snapclone-test-kill1";
  const resources = [{ urn: stack, type: "pulumi:pulumi:Stack" }];
  const state = { manifest: { time: new Date(now).toISOString() }, resources };
  const made = [60_000, 900, 500, 5, -20, -500, -60_000].map((ms) => now - ms);
  await assertOrphansCommand(fixtureOf(state, made));
});
