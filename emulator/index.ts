// pulumi-snapclone/emulator: the control planes in one process, in memory, for tests and for programs that have no
// cloud at hand. It shares no code with the provider: it is a second, independent reading of the wire.

import { CinderService } from "./cinder";
import { CinderModel, type CinderTimings, type Quotas } from "./cinderModel";
import { Clock, type ClockMode } from "./clock";
import { createControl } from "./control";
import { type FaultHandle, type FaultRule, Faults } from "./faults";
import type { Service } from "./http";
import { Ids } from "./ids";
import { KeystoneModel, KeystoneService } from "./keystone";
import { createLog, type RequestLog } from "./log";
import {
  type Login,
  openstackLogin,
  type PowerVcConnection,
  powervcLogin,
  type ViprConnection,
  viprLogin,
  type ZStackConnection,
  zstackLogin,
} from "./logins";
import { NovaService } from "./nova";
import { NovaModel, type NovaTimings } from "./novaModel";
import { PowerVcService } from "./powervc";
import { PowerVcModel } from "./powervcModel";
import { startServer } from "./server";
import { ViprService } from "./vipr";
import { ViprAuth } from "./viprAuth";
import { VIPR_TIMINGS, ViprModel, type ViprTimings } from "./viprModel";
import { ZStackService } from "./zstack";
import { ZStackModel, type ZStackSettings, type ZStackTimings } from "./zstackModel";

export type {
  Behaviour,
  BehaviourHandle,
  MessageRow,
  Quotas,
  SnapshotRow,
  VolumeAttachment,
  VolumeRow,
} from "./cinderModel";
export { CinderModel, SEED_VOLUMES } from "./cinderModel";
export type { ClockMode } from "./clock";
export { FAULT_ACTIONS, type FaultAction, type FaultHandle, type FaultMatch, type FaultRule } from "./faults";
export type {
  ApplicationCredential,
  Assignment,
  CatalogueEndpoint,
  CatalogueEntry,
  Project,
  Token,
  User,
} from "./keystone";
export { KeystoneModel } from "./keystone";
export type { RequestLog, RequestLogEntry, RequestMatch } from "./log";
export type { Login, OpenStackConnection, PowerVcConnection, ViprConnection, ZStackConnection } from "./logins";
export type { FileRow, NovaTrouble, ServerRow } from "./novaModel";
export { NovaModel } from "./novaModel";
export {
  CLONE_STEPS,
  type CloneRequest,
  type CloneStep,
  type CloneTask,
  type FlowBehaviour,
  PowerVcModel,
} from "./powervcModel";
export { VIPR_UNAVAILABLE } from "./vipr";
export { ViprAuth, type ViprUser } from "./viprAuth";
export {
  SEED_SESSIONS,
  type ViprBehaviour,
  type ViprGroup,
  ViprModel,
  type ViprSession,
  type ViprTarget,
  type ViprTask,
  type ViprVolume,
} from "./viprModel";
export type { CloneBehaviour, ZStackSettings, ZStackVm, ZStackVolume } from "./zstackModel";
export { ZSTACK_SEED, ZStackModel } from "./zstackModel";

/** Milliseconds of the emulator's own time. */
export interface Timings extends CinderTimings, NovaTimings, ViprTimings, ZStackTimings {
  tokenLife: number;
  /** Each of the steps of PowerVC's clone flow. */
  cloneStep: number;
}

export interface EmulatorOptions {
  /** Default 0: a free one. */
  port?: number;
  /** Default "127.0.0.1". */
  host?: string;
  /** Ids and tokens follow from it; default 1. */
  seed?: number;
  /** How asynchronous work advances; default "real". */
  clock?: ClockMode;
  timings?: Partial<Timings>;
  /** The newest microversion of the block storage service: default "3.70" (Zed), "3.59" for a Train-era cloud. */
  maxMicroversion?: string;
  /** For every project; generous by default. */
  quotas?: Partial<Quotas>;
  /** ZStack's version, language and global configuration; default 5.2.1 in Chinese. */
  zstack?: Partial<ZStackSettings>;
  /** PEM; https is served then. */
  tls?: { cert: string; key: string };
  /** Added to every answer. */
  latencyMs?: number;
}

export interface Emulator extends Login {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly authUrl: string;
  /** The administrator, scoped to the project "admin". */
  readonly admin: Login;
  readonly clock: { now(): Date; tick(ms: number): void };
  readonly cinder: CinderModel;
  readonly keystone: KeystoneModel;
  readonly nova: NovaModel;
  readonly vipr: ViprModel;
  readonly viprAuth: ViprAuth;
  /** The login of ViPR's root. */
  readonly viprLogin: Login<ViprConnection>;
  readonly zstack: ZStackModel;
  /** ZStack's administrator. */
  readonly zstackLogin: Login<ZStackConnection>;
  readonly powervc: PowerVcModel;
  /** The login of `demo` at PowerVC, whose volumes are Cinder's. */
  readonly powervcLogin: Login<PowerVcConnection>;
  readonly faults: { add(rule: FaultRule): FaultHandle; clear(): void };
  readonly requests: RequestLog;
  /** Everything as it was at the start: seed data, ids, clock, no faults, no log. */
  reset(): void;
  /** Ends hanging connections, too. */
  close(): Promise<void>;
}

const DEFAULT_TIMINGS: Timings = {
  snapshotCreate: 2000,
  snapshotDelete: 1000,
  snapshotRevert: 1000,
  volumeCreate: 1000,
  volumeDelete: 1000,
  assistedCreate: 400,
  assistedDelete: 1000,
  tokenLife: 3_600_000,
  ...VIPR_TIMINGS,
  zstackImage: 1000,
  zstackClone: 1000,
  zstackAction: 500,
  zstackSession: 7_200_000,
  cloneStep: 200,
};

export async function startEmulator(options: EmulatorOptions = {}): Promise<Emulator> {
  const seed = options.seed ?? 1;
  const clock = new Clock(options.clock);
  const ids = new Ids(seed);
  const timings = { ...DEFAULT_TIMINGS, ...options.timings };
  const faults = new Faults();
  const log = createLog();

  const keystone = new KeystoneModel(clock, ids, () => timings.tokenLife);
  const owner = () => ({ projectId: keystone.projectNamed("demo").id, userId: keystone.userNamed("demo").id });
  const cinder = new CinderModel(clock, ids, timings, options.quotas ?? {}, owner);
  const nova = new NovaModel(clock, ids, timings, cinder);
  const vipr = new ViprModel(clock, ids, timings);
  const viprAuth = new ViprAuth(clock, ids, timings);
  const zstack = new ZStackModel(clock, ids, timings, options.zstack ?? {});
  const powervc = new PowerVcModel(clock, ids, cinder, () => timings.cloneStep);
  const keystoneService = new KeystoneService(keystone, ids, clock);
  const cinderService = new CinderService(cinder, keystone, ids, options.maxMicroversion ?? "3.70");
  const behind = { keystone: keystoneService, cinder: cinderService };
  // In the order in which they are reset: Cinder's seed data belong to Keystone's project.
  const services: readonly Service[] = [
    keystoneService,
    cinderService,
    new NovaService(nova, cinder, keystone, ids),
    new ViprService(vipr, viprAuth),
    new ZStackService(zstack),
    new PowerVcService(powervc, cinder, keystone, behind, ids),
  ];

  const reset = () => {
    ids.reset();
    clock.reset();
    faults.reset();
    log.clear();
    for (const service of services) service.reset();
  };
  // The start is a reset, so that the first run and any later one have the same ids.
  reset();

  const server = await startServer(
    {
      port: options.port ?? 0,
      host: options.host ?? "127.0.0.1",
      latencyMs: options.latencyMs ?? 0,
      ...(options.tls === undefined ? {} : { tls: options.tls }),
    },
    {
      services,
      faults,
      log,
      clock,
      control: createControl({
        services,
        faults,
        log,
        clock,
        cinder,
        powervc,
        nova,
        seed,
        reset,
        vipr,
        zstack,
        revokeTokens: () => {
          keystone.revokeAll();
          viprAuth.revokeAll();
          zstack.endAllSessions();
        },
      }),
      invalidateToken: (token) => {
        keystone.revoke(token);
        viprAuth.revoke(token);
        zstack.endSession(token.replace(/^OAuth /, ""));
      },
    },
  );

  const authUrl = `${server.url}/identity/v3`;
  return {
    url: server.url,
    authUrl,
    ...openstackLogin(authUrl, "demo"),
    admin: openstackLogin(authUrl, "admin"),
    clock,
    cinder,
    keystone,
    nova,
    vipr,
    viprAuth,
    viprLogin: viprLogin(server.url),
    zstack,
    zstackLogin: zstackLogin(server.url),
    powervc,
    powervcLogin: powervcLogin(server.url),
    faults,
    requests: log.entries,
    reset,
    close: () => server.close(),
  };
}
