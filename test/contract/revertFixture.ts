// Snapshots and series that revert their volume: the engine and an OpenStack in one process. Time passes only when something
// waits. The emulator has no data, so what counts is how often, and when, its backend has begun to revert.

import { type CinderModel, SEED_VOLUMES } from "../../emulator";
import type { AnyDefinition } from "../../provider/core/definition";
import type { Properties } from "../../provider/core/operation";
import { snapshot } from "../../provider/openstack/snapshot/resource";
import { snapshotSeries } from "../../provider/openstack/snapshotSeries/resource";
import { type Fault, type FaultyHttp, inProcessProvider } from "../faults/inProcess";
import { openCloud, PASSWORD } from "../faults/openstackSites";
import { FakeEngine, type RunOptions, type RunResult } from "../support/fakeEngine";

export const VOLUME = SEED_VOLUMES.data;
const { emulator, clock, newHttp } = inProcessProvider();

export { emulator };

let http: FaultyHttp;
let cloud: ReturnType<typeof openCloud>;
let begun: string[] = [];

const connection = { kind: "openstack", open: () => cloud };
const RESOURCES: Record<string, { definition: AnyDefinition; args: Properties }> = {
  Snapshot: { definition: { ...snapshot, connection }, args: { volumeId: VOLUME, name: "nightly" } },
  SnapshotSeries: {
    definition: { ...snapshotSeries, connection },
    args: { volumeId: VOLUME, keep: 3, name: "nightly" },
  },
};

export type Type = "Snapshot" | "SnapshotSeries";
export const TYPES = ["Snapshot", "SnapshotSeries"] as const;

export class Life {
  readonly engine: FakeEngine;

  /** A fresh cloud and an empty stack. */
  constructor(readonly type: Type) {
    emulator.reset();
    emulator.keystone.userNamed("demo").password = PASSWORD;
    begun = [];
    watch(emulator.cinder);
    const { definition } = RESOURCES[type] as { definition: AnyDefinition };
    this.engine = new FakeEngine(definition, { clock, type, isDead: () => http.dead });
  }

  /** With one snapshot of the volume; the first value of `revertTriggers` is "1". */
  static async withSnapshot(type: Type, args: Properties = {}): Promise<Life> {
    const life = new Life(type);
    await life.ok({ revertTriggers: ["1"], ...args });
    expect(reverts()).toBe(0);
    return life;
  }

  /** In a new process, after which some minutes pass. */
  async up(args: Properties, fault?: Fault, options: RunOptions & { after?: number } = {}): Promise<RunResult> {
    this.newProcess(fault);
    const result = await this.engine.up({ db: { ...RESOURCES[this.type]?.args, ...args } }, options);
    passTime(options.after ?? 300_000);
    return result;
  }

  async ok(args: Properties): Promise<RunResult> {
    const result = await this.up(args);
    expect(result.errors).toEqual([]);
    return result;
  }

  /** The error of an `up`. */
  async fails(args: Properties, fault?: Fault): Promise<string> {
    const { errors } = await this.up(args, fault);
    expect(errors).toHaveLength(1);
    return String(errors[0]);
  }

  async refresh(): Promise<RunResult> {
    this.newProcess();
    return this.engine.refresh();
  }

  get outputs(): Properties {
    return this.engine.state.entries[0]?.outputs ?? {};
  }

  get snapshotId(): string {
    return String(this.type === "Snapshot" ? this.engine.idOf("db") : this.outputs.latest);
  }

  get row() {
    const row = emulator.cinder.snapshots.get(this.snapshotId);
    if (!row) throw new Error("the snapshot is gone");
    return row;
  }

  private newProcess(fault?: Fault): void {
    http = newHttp(fault);
    cloud = openCloud(emulator.openstack.authUrl, clock, http, "demo");
  }
}

function watch(cinder: CinderModel): void {
  const model = cinder as CinderModel & { original?: CinderModel["startRevert"] };
  model.original ??= cinder.startRevert.bind(cinder);
  model.startRevert = (row, snapshot) => {
    begun.push(snapshot.id);
    model.original?.(row, snapshot);
  };
}

/** How many reverts Cinder has begun. */
export const reverts = () => begun.length;

export function volume() {
  const row = emulator.cinder.volumes.get(VOLUME);
  if (!row) throw new Error("the volume is gone");
  return row;
}

/** The application attaches the volume, writes to it, and detaches it. */
export function writeToVolume(): void {
  passTime(5_000);
  volume().updated_at = emulator.cinder.stamp();
  passTime(5_000);
}

export function passTime(ms: number): void {
  emulator.clock.tick(ms);
  emulator.cinder.advance();
}

/** The requests of the last command, and those that changed something. */
export const requests = () => http.requests;
export const changes = () => http.changes.map((change) => change.replace(/http.*\/v3\/[0-9a-f]+/, ""));
