// A provider and a cloud in one process, without a socket and without waiting, where any request of a run can fail, lose its
// reply, or be the last one of its process.

import { HttpClient } from "../../provider/core/http/client";
import type { HttpRequest, RawResponse } from "../../provider/core/http/request";
import { AutoAdvancingClock } from "../support/autoAdvancingClock";
import { exchangeWith, type InProcessCloud, inProcessCloud } from "../support/inProcessCloud";

export const FAULT_KINDS = [
  "fails once",
  "is carried out, and its reply lost",
  "fails, and all that follow",
  "is carried out, its reply lost, and all that follow fail",
  "is where the process is killed, before",
  "is where the process is killed, after",
] as const;

export interface Fault {
  /** The request of the run that meets the fault, from 1. */
  nth: number;
  kind: (typeof FAULT_KINDS)[number];
}

const PROXY_ERROR: RawResponse = { status: 503, headers: {}, text: '{"proxy":"no"}', json: { proxy: "no" } };
const REFUSED = { badRequest: { code: 400, message: "no" } };
const REFUSAL: RawResponse = { status: 400, headers: {}, text: JSON.stringify(REFUSED), json: REFUSED };

export function inProcessProvider() {
  const cloud = inProcessCloud({ clock: "manual" });
  const clock = new EmulatorClock(cloud);
  return {
    emulator: cloud.emulator,
    clock,
    newHttp: (fault?: Fault, refused?: RegExp) => new FaultyHttp(cloud, clock, fault, refused),
  };
}

/** Time and date of the emulator: when the provider's time advances, the emulator's does. */
class EmulatorClock extends AutoAdvancingClock {
  constructor(private readonly cloud: InProcessCloud) {
    super(0, false, (ms) => cloud.emulator.clock.tick(ms));
  }

  override date(): Date {
    return this.cloud.emulator.clock.now();
  }
}

/** The HTTP client of one run. */
export class FaultyHttp extends HttpClient {
  requests = 0;
  /** The requests that change something. */
  readonly changes: string[] = [];
  /** True once the process was killed: no later request is sent. */
  dead = false;

  constructor(
    private readonly cloud: InProcessCloud,
    clock: AutoAdvancingClock,
    private readonly fault?: Fault,
    /** The requests that OpenStack refuses, as "<method> <address>". */
    private readonly refused?: RegExp,
  ) {
    super({ clock });
  }

  protected override async exchange(request: HttpRequest<unknown>): Promise<RawResponse> {
    if (this.dead) throw new Error("killed");
    this.requests += 1;
    if (this.refused?.test(`${request.method} ${request.url}`)) return REFUSAL;
    if (this.fault === undefined || this.requests < this.fault.nth) return this.forward(request);
    const { nth, kind } = this.fault;
    if (this.requests > nth) return kind.includes("all that follow") ? PROXY_ERROR : this.forward(request);
    if (kind.includes("killed")) {
      if (kind.endsWith("after")) this.forward(request);
      this.dead = true;
      throw new Error("killed");
    }
    if (!kind.startsWith("fails")) this.forward(request);
    return PROXY_ERROR;
  }

  private forward(request: HttpRequest<unknown>): RawResponse {
    const { method, url } = request;
    if (method !== "GET" && !url.endsWith("/auth/tokens")) this.changes.push(`${method} ${url}`);
    return exchangeWith(this.cloud, request);
  }
}
