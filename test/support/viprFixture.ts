// LinkedTargetSet driven by a model of Pulumi's engine against the emulator in this process: no socket, no waiting. Any
// request of any run can fail, lose its reply, or be the last one of its process.

import { type Emulator, SEED_SESSIONS } from "../../emulator";
import type { ConnectionRequest } from "../../provider/core/connection/connections";
import type { Definition } from "../../provider/core/definition";
import { SnapcloneError } from "../../provider/core/errors";
import { HttpClient } from "../../provider/core/http/client";
import type { HttpRequest, RawResponse } from "../../provider/core/http/request";
import { ViprClient } from "../../provider/vipr/client";
import { ViprContext } from "../../provider/vipr/context";
import type { LinkedTargetSetInputs } from "../../provider/vipr/linkedTargetSet/inputs";
import { linkedTargetSet } from "../../provider/vipr/linkedTargetSet/resource";
import { AutoAdvancingClock } from "./autoAdvancingClock";
import { FakeEngine, type FakeEntry } from "./fakeEngine";
import { exchangeWith, type InProcessCloud, inProcessCloud } from "./inProcessCloud";

export interface Fault {
  /** The first request of the run that meets the fault, from 0. */
  nth: number;
  kind: /** The API's proxy answers 503. The request does not reach ViPR. */
    | "503"
    /** The same for each later request. */
    | "503 for ever"
    /** ViPR executes the request, and the connection breaks. */
    | "lost reply"
    | "killed before"
    | "killed after";
}

/** More than any work of the emulator takes. */
const A_WHILE_MS = 600_000;

export class ViprFixture {
  cloud: InProcessCloud = inProcessCloud({ clock: "manual" });
  readonly clock = new EmulatorClock(this);
  engine: FakeEngine;
  /** Requests of the present run, or of the last one. */
  requests = 0;
  /** The name of the user who logs in next. */
  username = "root";
  fault: Fault | undefined;
  isDead = false;
  /** The requests of the last run, in order. */
  asked: string[] = [];
  private https: RunHttp[] = [];

  constructor() {
    this.engine = this.newEngine();
  }

  get emulator(): Emulator {
    return this.cloud.emulator;
  }

  get vipr(): Emulator["vipr"] {
    return this.cloud.emulator.vipr;
  }

  newEngine(options: { stack?: string; origin?: string } = {}): FakeEngine {
    const connection = { ...linkedTargetSet.connection, open: this.open.bind(this) };
    const definition: Definition<LinkedTargetSetInputs, ViprContext> = { ...linkedTargetSet, connection };
    return new FakeEngine(definition, { clock: this.clock, isDead: () => this.isDead, ...options });
  }

  reset(): void {
    for (const http of this.https.splice(0)) http.isCut = true;
    this.cloud.emulator.reset();
    this.fault = undefined;
    this.isDead = false;
    this.username = "root";
    this.engine = this.newEngine();
  }

  /** A run of Pulumi: a process of its own, whose requests are counted from 0. */
  async run<T>(work: (engine: FakeEngine) => Promise<T>, fault?: Fault): Promise<T> {
    this.requests = 0;
    this.asked = [];
    this.fault = fault;
    this.isDead = false;
    try {
      return await work(this.engine);
    } finally {
      this.fault = undefined;
      this.isDead = false;
      // The process is gone: no request may go on in the background.
      for (const http of this.https.splice(0)) http.isCut = true;
    }
  }

  /** Finishes ViPR's running work. */
  finishBackendWork(): void {
    this.emulator.clock.tick(A_WHILE_MS);
    this.vipr.advance();
  }

  entry(): FakeEntry | undefined {
    return this.engine.state.entries.find(({ leaving }) => !leaving);
  }

  /** Sends the request, or does not, and answers as the run's fault says. */
  exchange(request: HttpRequest<unknown>): RawResponse {
    const { fault } = this;
    const nth = this.requests;
    this.requests += 1;
    this.asked.push(`${request.method} ${new URL(request.url).pathname.replace(/urn:[^/]+/g, "{id}")}`);
    const isHit = fault !== undefined && (fault.kind === "503 for ever" ? nth >= fault.nth : nth === fault.nth);
    const what = isHit ? fault.kind : undefined;
    if (what === "503" || what === "503 for ever") {
      return {
        status: 503,
        headers: {},
        text: '{"code":6503,"retryable":true}',
        json: { code: 6503, retryable: true },
      };
    }
    if (what === "killed before") this.isDead = true;
    if (this.isDead) throw dead();
    const answer = exchangeWith(this.cloud, request);
    if (what === "killed after") this.isDead = true;
    if (this.isDead) throw dead();
    if (what === "lost reply") {
      const isRepeatable = request.idempotent ?? request.method !== "POST";
      throw new SnapcloneError({
        kind: isRepeatable ? "transient" : "ambiguous",
        message: "ViPR broke off the connection",
      });
    }
    return answer;
  }

  /** A connection as a run opens it. */
  open({ patience }: Partial<ConnectionRequest> = {}): ViprContext {
    const http = new RunHttp(this, patience);
    this.https.push(http);
    const { url } = this.emulator.vipr.connection();
    const settings = {
      url,
      username: this.username,
      password: "secret",
      tls: { insecure: false },
      source: "a test",
      sourceKind: "environment" as const,
      warnings: [],
    };
    return new ViprContext(new ViprClient(settings, { clock: this.clock, http }), this.clock);
  }
}

/** The calendar goes with the emulator's time. */
class EmulatorClock extends AutoAdvancingClock {
  constructor(private readonly fixture: ViprFixture) {
    super(0, false, (ms) => fixture.emulator.clock.tick(ms));
  }

  override date(): Date {
    return this.fixture.emulator.clock.now();
  }
}

class RunHttp extends HttpClient {
  isCut = false;

  constructor(
    private readonly fixture: ViprFixture,
    patience: ConnectionRequest["patience"] | undefined,
  ) {
    super({ clock: fixture.clock, ...(patience === undefined ? {} : { patience }) });
  }

  protected override async exchange(request: HttpRequest<unknown>): Promise<RawResponse> {
    if (this.isCut) throw dead();
    return this.fixture.exchange(request);
  }
}

function dead(): SnapcloneError {
  return new SnapcloneError({ kind: "stopped", message: "the process is gone" });
}

export const SETS = {
  monday: { snapshotSessionId: SEED_SESSIONS.monday, targetName: "dev", count: 2 },
  shop: { snapshotSessionId: SEED_SESSIONS.shopMonday, targetName: "dev", count: 2 },
} as const;
