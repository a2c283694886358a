// VolumeClone against the emulator over HTTP. Time passes only while the provider sleeps, and a process can be killed at
// any request.

import { type Emulator, type EmulatorOptions, startEmulator, type VolumeRow } from "../../emulator";
import { HttpClient } from "../../provider/core/http/client";
import type { HttpRequest, RawResponse } from "../../provider/core/http/request";
import type { Properties } from "../../provider/core/operation";
import { Run } from "../../provider/core/run";
import type { Clock } from "../../provider/core/util/clock";
import { KeystoneSession } from "../../provider/openstack/keystone";
import { resolvePowerVc } from "../../provider/powervc/connection";
import { PowerVcContext } from "../../provider/powervc/context";
import { volumeClone } from "../../provider/powervc/volumeClone/resource";

export const DATA = "11111111-1111-4111-8111-111111111111";
export const LOGS = "22222222-2222-4222-8222-222222222222";
export const TEMP = "33333333-3333-4333-8333-333333333333";
export const SOURCES = [DATA, LOGS, TEMP];
export const OWNER = "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:VolumeClone::before";
/** Inputs as a program gives them. */
export const ARGS: Properties = { volumes: SOURCES, displayName: "before", description: "Before the release" };
/** Inputs as the engine hands them to the provider. */
export const NEWS: Properties = { ...ARGS, __owner: OWNER, __provider: "p" };

/**
 * A longer sleep is a time limit, and never ends: no test is to reach a limit by sleeping through it. The longest pause is ten
 * seconds and what the difference of two times adds by rounding.
 */
const LONGEST_PAUSE_MS = 10_001;

/** The request at which the process dies, and whether the backend still receives it. */
export interface Kill {
  at(request: HttpRequest<unknown>): boolean;
  carriedOut: boolean;
}

export class VolumeCloneFixture {
  emulator!: Emulator;
  http!: KillableHttp;
  cloud!: PowerVcContext;
  /** Milliseconds that have passed since the fixture was made. */
  elapsed = 0;
  /** What the runs reported, as `<severity>: <text>`. */
  readonly log: string[] = [];
  readonly definition = { ...volumeClone, connection: { kind: "powervc", open: () => this.cloud } };
  private readonly runs: Run[] = [];
  private readonly clients: HttpClient[] = [];

  /** The time of the emulator and of the provider. */
  readonly clock: Clock = {
    now: () => this.elapsed,
    date: () => this.emulator.clock.now(),
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const leave = () => reject(signal?.reason);
        signal?.addEventListener("abort", leave, { once: true });
        if (ms > LONGEST_PAUSE_MS) return;
        this.pass(ms);
        setImmediate(() => {
          signal?.removeEventListener("abort", leave);
          resolve();
        });
      }),
  };

  readonly start = async (options: EmulatorOptions = {}): Promise<void> => {
    this.emulator = await startEmulator({
      clock: "manual",
      timings: { cloneStep: 500, volumeDelete: 1_000 },
      ...options,
    });
    this.emulator.cinder.createVolume({ id: TEMP, name: "temp", size: 5, metadata: { team: "shop" } });
    this.newProcess();
    this.log.length = 0;
  };

  readonly close = async (): Promise<void> => {
    await Promise.all(this.runs.splice(0).map((run) => run.end()));
    await Promise.all(this.clients.splice(0).map((one) => one.close()));
    await this.emulator.close();
  };

  readonly pass = (ms: number): void => {
    this.elapsed += ms;
    this.emulator.clock.tick(ms);
  };

  readonly settings = () =>
    resolvePowerVc({
      name: "default",
      config: this.emulator.powervc.connection(),
      env: {},
      cwd: "/",
      home: "/",
    });

  /** Connections that are opened from now on know nothing of what happened before. */
  readonly newProcess = (kill?: Kill): void => {
    this.http = new KillableHttp(this, kill);
    this.clients.push(this.http);
    this.cloud = new PowerVcContext(
      new KeystoneSession(this.settings(), { clock: this.clock, http: this.http }),
      this.clock,
    );
  };

  readonly newRun = (): Run => {
    const run = new Run({ clock: this.clock, log: (severity, text) => this.log.push(`${severity}: ${text}`) });
    this.runs.push(run);
    return run;
  };

  /** All volumes except the sources. */
  readonly clones = (): VolumeRow[] => {
    this.emulator.powervc.advance();
    return [...this.emulator.cinder.volumes.values()].filter(({ id }) => !SOURCES.includes(id));
  };

  readonly volume = (id: string): VolumeRow => {
    const found = this.emulator.cinder.volumes.get(id);
    if (!found) throw new Error(`no volume ${id}`);
    return found;
  };

  readonly cloneOf = (outs: Properties, source: string): VolumeRow =>
    this.volume((outs.clones as Record<string, string>)[source] ?? "");

  /** How many requests of this operation the emulator has received. */
  readonly requests = (operation: string): number => this.emulator.requests.count({ operation });

  /** The keys of pending creates that are still on the source volumes. */
  readonly pendingKeys = (): string[] =>
    SOURCES.flatMap((id) => Object.keys(this.volume(id).metadata).filter((key) => key.startsWith("snapclone:")));

  /** A set that an earlier run has made. */
  readonly existing = async (create: (run: Run) => Promise<{ id: string; outs: Properties }>) => {
    await this.start();
    const run = this.newRun();
    const { id, outs } = await create(run);
    await run.end();
    return { id, outs };
  };
}

/** Dates the answers by the emulator's clock, and dies at the request that `kill` names. */
class KillableHttp extends HttpClient {
  dead = false;

  constructor(
    private readonly fixture: VolumeCloneFixture,
    private readonly kill?: Kill,
  ) {
    super({ clock: fixture.clock });
  }

  protected override async exchange(request: HttpRequest<unknown>): Promise<RawResponse> {
    const { kill } = this;
    if (!this.dead && kill?.at(request)) {
      if (kill.carriedOut) await super.exchange(request);
      this.dead = true;
    }
    if (this.dead) throw new Error("killed");
    const answer = await super.exchange(request);
    return { ...answer, headers: { ...answer.headers, date: this.fixture.emulator.clock.now().toUTCString() } };
  }
}
