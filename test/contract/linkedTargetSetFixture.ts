// LinkedTargetSet's hooks against the emulator over HTTP, with clocks that run faster than real time.

import { type Emulator, type EmulatorOptions, SEED_SESSIONS, startEmulator, type ViprTarget } from "../../emulator";
import { read } from "../../provider/core/lifecycle";
import type { Properties } from "../../provider/core/operation";
import { Run } from "../../provider/core/run";
import { ViprClient } from "../../provider/vipr/client";
import { resolveVipr } from "../../provider/vipr/connection";
import { ViprContext } from "../../provider/vipr/context";
import { linkedTargetSet } from "../../provider/vipr/linkedTargetSet/resource";
import type { TargetOutput } from "../../provider/vipr/linkedTargetSet/state";
import { ScaledClock } from "../support/scaledClock";

export const NEWS: Properties = {
  snapshotSessionId: SEED_SESSIONS.monday,
  targetName: "dev",
  count: 2,
  copyMode: "copy",
  deleteTargetsOnUnlink: true,
  __owner: "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:LinkedTargetSet::dev",
  __provider: "p",
};

export const targetsOf = (outs: Properties) => outs.targets as TargetOutput[];
export const idsOf = (outs: Properties) => targetsOf(outs).map(({ id }) => id);
export const wwnsOf = (outs: Properties) => targetsOf(outs).map(({ wwn }) => wwn);

/** How much faster than real time the clocks of the emulator and of the provider run. */
const SCALE = 100;

export class LinkedTargetSetFixture {
  emulator!: Emulator;
  /** The connection that runs get from now on. */
  controller!: ViprContext;
  /** What the runs reported, as `<severity>: <text>`. */
  readonly log: string[] = [];
  readonly definition = {
    ...linkedTargetSet,
    connection: { ...linkedTargetSet.connection, open: () => this.controller },
  };
  private controllers: ViprContext[] = [];
  private readonly clock = new ScaledClock(SCALE);

  readonly start = async (options: EmulatorOptions = {}): Promise<void> => {
    this.emulator = await startEmulator({ clock: "manual", ...options });
    this.clock.drive(this.emulator);
    this.controller = this.newController();
    this.log.length = 0;
  };

  readonly close = async (): Promise<void> => {
    for (const one of this.controllers.splice(0)) await one.client.logout().catch(() => {});
    await this.emulator.close();
  };

  readonly newController = (username = "root"): ViprContext => {
    const config = { ...this.emulator.vipr.connection(), username };
    const settings = resolveVipr({ name: "default", config, env: {}, cwd: "/", home: "/" });
    const made = new ViprContext(new ViprClient(settings, { clock: this.clock }), this.clock);
    this.controllers.push(made);
    return made;
  };

  readonly newRun = (): Run =>
    new Run({ clock: this.clock, log: (severity, text) => this.log.push(`${severity}: ${text}`) });

  /** Names of the targets that are linked to the session. */
  readonly names = (session: string) => this.emulator.vipr.linkedNames(session);

  /** How many link, unlink or relink requests the emulator has received. */
  readonly posts = (operation: string) => this.emulator.requests.count({ operation: `sessions.${operation}` });

  readonly target = (id: string) => this.emulator.vipr.targets.get(id) as ViprTarget;

  /** The state after a refresh. */
  readonly refreshed = async (id: string, outs: Properties) => {
    const { props } = await read(this.definition, this.newRun(), id, outs);
    return props as Properties;
  };
}
