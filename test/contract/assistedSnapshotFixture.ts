// AssistedSnapshot against the emulator: one snapshot of an attached volume, one overlay file, and what was asked of Nova.

import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import type { Properties } from "../../provider/core/operation";
import { Run } from "../../provider/core/run";
import { assistedSnapshot } from "../../provider/openstack/assistedSnapshot/resource";
import type { OpenStackContext } from "../../provider/openstack/context";
import { FakeEngine, type FakeEngineOptions } from "../support/fakeEngine";
import { connectOpenStack } from "../support/openstackCloud";
import { ScaledClock } from "../support/scaledClock";

/** How many times faster than real time the emulator's clock and ours run. */
const SCALE = 100;
export const clock = new ScaledClock(SCALE);
/** Attached, in the seed data. */
export const VOLUME = SEED_VOLUMES.logs;
export const BASE = `volume-${VOLUME}`;
export const OVERLAY = "overlay-1";

/** Starts an emulator for each test. */
export function useAssistedSnapshot(): AssistedSnapshotFixture {
  const fixture = new AssistedSnapshotFixture();
  beforeEach(() => fixture.start());
  afterEach(() => fixture.stop());
  return fixture;
}

/** The functions are bound, so that a test file can destructure them. */
export class AssistedSnapshotFixture {
  declare emulator: Emulator;
  declare cloud: OpenStackContext;
  snapshotId = "";
  inputs: Properties = {};
  readonly log: string[] = [];
  readonly definition = { ...assistedSnapshot, connection: { kind: "openstack", open: () => this.cloud } };

  async start(): Promise<void> {
    this.emulator = await startEmulator({ clock: "manual" });
    clock.drive(this.emulator);
    this.cloud = this.connect(this.emulator.openstack.connection("admin"));
    this.log.length = 0;
    this.snapshotId = this.emulator.cinder.createSnapshot({ volume_id: VOLUME, name: "nightly" }).id;
    this.emulator.nova.createFile(VOLUME, OVERLAY);
    this.inputs = {
      volumeId: VOLUME,
      snapshotId: this.snapshotId,
      newFile: OVERLAY,
      type: "qcow2",
      manageStatus: true,
      __owner: "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:AssistedSnapshot::overlay",
      __provider: "p",
    };
  }

  async stop(): Promise<void> {
    await this.cloud.session.close();
    await this.emulator.close();
  }

  readonly connect = (config: unknown): OpenStackContext => connectOpenStack(config, clock);

  readonly newRun = () => new Run({ clock, log: (severity, text) => this.log.push(`${severity}: ${text}`) });
  readonly newEngine = (options: Partial<FakeEngineOptions> = {}) =>
    new FakeEngine(this.definition, { clock, ...options });
  /** For an engine, which adds the hidden inputs itself. */
  readonly args = (timeouts?: object): Properties => ({
    ...this.inputs,
    __owner: undefined,
    __provider: undefined,
    __timeouts: timeouts,
  });

  /** Cinder's row of the snapshot. */
  readonly row = () => {
    this.emulator.cinder.advance();
    const found = this.emulator.cinder.snapshots.get(this.snapshotId);
    if (!found) throw new Error("the snapshot is gone");
    return found;
  };
  readonly phase = () => this.row().metadata["snapclone:assisted-step"];
  /** The files of the server's disk, the active one first. */
  readonly chain = () => {
    this.emulator.nova.advance();
    return this.emulator.nova.chain(VOLUME);
  };
  readonly novaRequests = (operation: "create" | "delete") =>
    this.emulator.requests.filter((entry) => entry.operation === `assistedSnapshots.${operation}`);
  readonly statusChanges = () => this.emulator.requests.count({ operation: "snapshots.os-reset_status" });
  readonly warnings = () => this.log.filter((line) => line.startsWith("warning") && !isDriverWarning(line));
  readonly driverWarnings = () => this.log.filter(isDriverWarning);

  /** Runs the command of an error's hint. `phase` replaces its "…". */
  readonly runHintedCommand = (message: string, phase?: string): void => {
    const [, command = ""] = /`openstack volume snapshot set ([^`]*)`/.exec(message) ?? [];
    const words = command.split(" ");
    expect(words.pop()).toBe(this.snapshotId);
    for (const word of words.filter((one) => one !== "--property")) {
      const [key = "", value = ""] = word.split(/=(.*)/s);
      this.row().metadata[key] = value === "…" ? (phase ?? "") : value;
    }
  };
}

/** For the emulator's work in the background, which may outlast the operation. The emulator's time passes while we sleep. */
export async function eventually(happened: () => boolean): Promise<void> {
  while (!happened()) await clock.sleep(200);
}

export function textOf(errors: readonly unknown[]): string {
  return errors.map((error) => (error instanceof Error ? error.message : String(error))).join("\n");
}

export function failureOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "it went well",
    (error: unknown) => textOf([error]),
  );
}

function isDriverWarning(line: string): boolean {
  return line.includes("Cinder's driver does not know");
}
