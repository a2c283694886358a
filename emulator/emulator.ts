// The control planes put together: what a server needs to answer for them, and what a test does with them behind its back.

import { CinderModel, type CinderTimings, type Quotas } from "./cinder/model";
import { CinderService } from "./cinder/service";
import { Clock, type ClockMode } from "./core/clock";
import { createControl } from "./core/control";
import { type FaultHandle, type FaultRule, Faults } from "./core/faults";
import type { Service } from "./core/http";
import { Ids } from "./core/ids";
import { createLog, type RequestLog } from "./core/requestLog";
import type { ServerParts } from "./core/server";
import { KeystoneModel, KeystoneService } from "./keystone/service";
import { NovaModel, type NovaTimings } from "./nova/model";
import { NovaService } from "./nova/service";
import { PowerVcModel } from "./powervc/model";
import { PowerVcService } from "./powervc/service";
import { ViprAuth } from "./vipr/auth";
import { VIPR_TIMINGS, ViprModel, type ViprTimings } from "./vipr/model";
import { ViprService } from "./vipr/service";
import { ZStackModel, type ZStackSettings, type ZStackTimings } from "./zstack/model";
import { ZStackService } from "./zstack/service";

/** Milliseconds of the emulator's own time. */
export interface Timings extends CinderTimings, NovaTimings, ViprTimings, ZStackTimings {
  tokenLife: number;
  /** Each of the steps of PowerVC's clone flow. */
  cloneStep: number;
}

export interface CreateOptions {
  /** Ids and tokens follow from it; default 1. */
  seed?: number;
  /** How asynchronous work advances; default "real". */
  clock?: ClockMode;
  timings?: Partial<Timings>;
  /** The newest microversion of the block storage service: default "3.70" (Zed), "3.59" for a Train-era cloud. */
  maxMicroversion?: string;
  /**
   * By which a member may list snapshots (/etc/cinder/resource_filters.json): by default name, status, volume_id, metadata,
   * availability_zone, consumes_quota. Any other is refused.
   */
  snapshotFilters?: readonly string[];
  /** For every project; generous by default. */
  quotas?: Partial<Quotas>;
  /** ZStack's version, language and global configuration; default 5.2.1 in Chinese. */
  zstack?: Partial<ZStackSettings>;
}

/** The models behind the services, to be looked at and changed by whoever runs them. */
export interface Services {
  readonly clock: { now(): Date; tick(ms: number): void };
  readonly cinder: CinderModel;
  readonly keystone: KeystoneModel;
  readonly nova: NovaModel;
  readonly vipr: ViprModel;
  readonly viprAuth: ViprAuth;
  readonly zstack: ZStackModel;
  readonly powervc: PowerVcModel;
  readonly faults: { add(rule: FaultRule): FaultHandle; clear(): void };
  readonly requests: RequestLog;
  /** Everything as it was at the start: seed data, ids, clock, no faults, no log. */
  reset(): void;
}

interface Assembly {
  readonly planes: Services;
  readonly parts: ServerParts;
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

export function createEmulator(options: CreateOptions = {}): Assembly {
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
  const cinderService = new CinderService(
    cinder,
    keystone,
    ids,
    options.maxMicroversion ?? "3.70",
    options.snapshotFilters,
  );
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

  return {
    planes: { clock, cinder, keystone, nova, vipr, viprAuth, zstack, powervc, faults, requests: log.entries, reset },
    parts: {
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
  };
}
