// What all stacks of the soak share: one emulator with all services, its clock, the faults, and the chances.

import type { Emulator } from "../../emulator";
import { SnapcloneError } from "../../provider/core/errors";
import { HttpClient } from "../../provider/core/http/client";
import type { HttpRequest, RawResponse } from "../../provider/core/http/request";
import { AutoAdvancingClock } from "../support/autoAdvancingClock";
import { exchangeWith, type InProcessCloud, inProcessCloud } from "../support/inProcessCloud";

/** One request in fifty. */
const FAULT_RATE = 0.02;
const FAULTS = ["fails", "lost reply", "killed before", "killed after"] as const;
const PROXY_ERROR: RawResponse = { status: 503, headers: {}, text: '{"proxy":"no"}', json: { proxy: "no" } };

export class SoakWorld {
  readonly cloud: InProcessCloud = inProcessCloud({ clock: "manual", zstack: { locale: "en_US" } });
  readonly clock: AutoAdvancingClock = new WorldClock(this);
  operations = 0;
  requests = 0;
  faults = 0;
  kills = 0;
  private readonly began = this.emulator.clock.now().getTime();
  private state: number;

  constructor(seed: number) {
    this.state = seed;
  }

  get emulator(): Emulator {
    return this.cloud.emulator;
  }

  get elapsedMs(): number {
    return this.emulator.clock.now().getTime() - this.began;
  }

  pass(ms: number): void {
    this.emulator.clock.tick(ms);
    for (const service of ["cinder", "powervc", "vipr", "zstack"] as const) this.emulator[service].advance();
  }

  /** From 0 to 1, the same in each run of a seed (mulberry32). */
  number(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.number() * items.length)] as T;
  }
}

class WorldClock extends AutoAdvancingClock {
  constructor(private readonly world: SoakWorld) {
    super(0, false, (ms) => world.emulator.clock.tick(ms));
  }

  override date(): Date {
    return this.world.emulator.clock.now();
  }
}

/** The HTTP client of one process of one stack. */
export class SoakHttp extends HttpClient {
  /** True once the process was killed: no later request is sent. */
  dead = false;

  constructor(
    private readonly world: SoakWorld,
    private readonly hasFaults: boolean,
  ) {
    super({ clock: world.clock });
  }

  protected override async exchange(request: HttpRequest<unknown>): Promise<RawResponse> {
    const { world } = this;
    if (this.dead) throw dead();
    world.requests += 1;
    const fault = this.hasFaults && world.number() < FAULT_RATE ? world.pick(FAULTS) : undefined;
    if (fault !== undefined) world.faults += 1;
    if (fault === "fails") return PROXY_ERROR;
    const answer = fault === "killed before" ? undefined : exchangeWith(world.cloud, request);
    if (fault?.startsWith("killed")) {
      this.dead = true;
      world.kills += 1;
      throw dead();
    }
    return answer === undefined || fault === "lost reply" ? PROXY_ERROR : answer;
  }
}

function dead(): SnapcloneError {
  return new SnapcloneError({ kind: "stopped", message: "the process is gone" });
}
