// A SnapshotSeries, the engine and an OpenStack in one process. Time passes only when something waits.

import { SEED_VOLUMES } from "../../emulator";
import type { Properties } from "../../provider/core/operation";
import { snapshotSeries } from "../../provider/openstack/snapshotSeries/resource";
import type { Instant } from "../../provider/openstack/snapshotSeries/state";
import { type Fault, type FaultyHttp, inProcessProvider } from "../faults/inProcess";
import { openCloud, PASSWORD } from "../faults/openstackSites";
import { FakeEngine, type RunOptions, type RunResult } from "../support/fakeEngine";

export const VOLUME = SEED_VOLUMES.data;
const { emulator, clock, newHttp } = inProcessProvider();

export { emulator };

let http: FaultyHttp;
let cloud: ReturnType<typeof openCloud>;
export const definition = { ...snapshotSeries, connection: { kind: "openstack", open: () => cloud } };

/** A fresh cloud and an empty stack. */
export function begin(): FakeEngine {
  emulator.reset();
  emulator.keystone.userNamed("demo").password = PASSWORD;
  return new FakeEngine(definition, { clock, type: "SnapshotSeries", isDead: () => http.dead });
}

/** The next command runs in a new process. */
function newProcess(fault?: Fault): void {
  http = newHttp(fault);
  cloud = openCloud(emulator.openstack.authUrl, clock, http, "demo");
}

export async function up(
  engine: FakeEngine,
  args: Properties | undefined,
  fault?: Fault,
  options: RunOptions = {},
): Promise<RunResult> {
  newProcess(fault);
  const result = await engine.up(args === undefined ? {} : { db: { volumeId: VOLUME, ...args } }, options);
  passTime(60_000);
  return result;
}

export async function upOk(engine: FakeEngine, args: Properties | undefined): Promise<RunResult> {
  const result = await up(engine, args);
  expect(result.errors).toEqual([]);
  return result;
}

/** One `up` for each of these triggers, a day apart. */
export async function days(engine: FakeEngine, args: Properties, ...triggers: string[]): Promise<void> {
  for (const day of triggers) {
    await upOk(engine, { ...args, triggers: [day] });
    passTime(DAY_MS);
  }
}

export async function refresh(engine: FakeEngine): Promise<RunResult> {
  newProcess();
  return engine.refresh();
}

export async function destroy(engine: FakeEngine): Promise<RunResult> {
  newProcess();
  return engine.destroy();
}

export const DAY_MS = 24 * 3_600_000;

export function passTime(ms: number): void {
  emulator.clock.tick(ms);
  emulator.cinder.advance();
}

export function outputs(engine: FakeEngine): Properties & {
  snapshots: Instant[];
  pruned: Instant[];
  overdue: string[];
  failed: string[];
  latest?: string;
} {
  const [entry] = engine.state.entries;
  if (!entry) throw new Error("the state is empty");
  return entry.outputs as ReturnType<typeof outputs>;
}

/** The requests of the last command that changed something. */
export const changes = () => http.changes.map((change) => change.replace(/http.*\/v3\/[0-9a-f]+/, ""));
export const requests = () => http.requests;

export const rows = () => [...emulator.cinder.snapshots.values()];
