// ClonedVm's life on a model of the engine, against a ZStack in this process: each command is a process of its own with a
// login of its own, any request can go wrong or kill it, and hours pass at once.

import { ZSTACK_SEED } from "../../emulator";
import type { Reply } from "../../emulator/core/http";
import type { ZStackSettings, ZStackTimings } from "../../emulator/zstack/model";
import type { Definition } from "../../provider/core/definition";
import { HttpClient, type HttpRequest, type RawResponse } from "../../provider/core/http/client";
import type { Properties } from "../../provider/core/lifecycle";
import { stopped } from "../../provider/core/util/abort";
import type { ClonedVmInputs } from "../../provider/zstack/clonedVm/inputs";
import { clonedVm } from "../../provider/zstack/clonedVm/resource";
import { resolveZStack } from "../../provider/zstack/connection";
import { ZStackContext } from "../../provider/zstack/context";
import { AutoAdvancingClock } from "../support/autoAdvancingClock";
import { FakeEngine, type RunResult } from "../support/fakeEngine";
import { type InProcessCloud, inProcessCloud } from "../support/inProcessCloud";

/**
 * What becomes of one request. "killed": the process dies before it is sent, "killed after": when it was carried out.
 * "job fails": it is taken on, and ends badly without having done anything. "session ends": just before it.
 */
export type Fault = "503" | "lost reply" | "killed" | "killed after" | "job fails" | "session ends";

const ORIGIN = Date.UTC(2026, 10, 28);

class SiteClock extends AutoAdvancingClock {
  override date(): Date {
    return new Date(ORIGIN + this.now());
  }
}

export class ZStackSite {
  readonly cloud: InProcessCloud;
  readonly clock: SiteClock;
  readonly engine: FakeEngine;
  readonly definition: Definition<ClonedVmInputs, ZStackContext>;
  /** Of the present process, from 0. */
  requests = 0;
  /** Methods and targets of all requests of the present process. */
  sent: string[] = [];
  private faults = new Map<number, Fault>();
  private isDead = false;
  private readonly failedJobs = new Set<string>();

  constructor(
    settings: Partial<ZStackSettings> = {},
    timings: Partial<ZStackTimings> = {},
    private readonly connection: object = {},
  ) {
    this.cloud = inProcessCloud({ clock: "manual", zstack: { locale: "en_US", ...settings }, timings });
    this.clock = new SiteClock(0, false, (ms) => this.cloud.emulator.clock.tick(ms));
    this.definition = {
      ...clonedVm,
      connection: { kind: "zstack", open: () => this.connect(), close: (context) => context.wire.logOut() },
    };
    this.engine = new FakeEngine(this.definition, { clock: this.clock, isDead: () => this.isDead });
  }

  get zstack() {
    return this.cloud.emulator.zstack;
  }

  connect(): ZStackContext {
    const config = {
      ...this.cloud.emulator.zstackLogin.connection(),
      url: "http://cloud.test/zstack",
      ...this.connection,
    };
    const settings = resolveZStack({ name: "default", config, env: {}, cwd: "/", home: "/" });
    return new ZStackContext(settings, this.clock, new SiteHttp(this, this.clock));
  }

  /** Faults by the number of the request, in one command of the engine: a process of its own. */
  async run(
    command: (engine: FakeEngine) => Promise<RunResult>,
    faults: Readonly<Record<number, Fault>> = {},
  ): Promise<RunResult & { said: string }> {
    this.faults = new Map(Object.entries(faults).map(([at, fault]) => [Number(at), fault]));
    this.requests = 0;
    this.sent = [];
    this.isDead = false;
    const result = await command(this.engine);
    this.faults.clear();
    const said = [...result.errors.map((error) => (error as Error).message), ...result.log].join("\n");
    return { ...result, said };
  }

  up(program: Record<string, Properties>, faults: Readonly<Record<number, Fault>> = {}) {
    return this.run((engine) => engine.up(program), faults);
  }

  destroy(faults: Readonly<Record<number, Fault>> = {}) {
    return this.run((engine) => engine.destroy(), faults);
  }

  refresh(faults: Readonly<Record<number, Fault>> = {}) {
    return this.run((engine) => engine.refresh(), faults);
  }

  /** All VMs that live and are not the seed's. */
  get clones() {
    return this.zstack.living().filter(({ uuid }) => uuid !== ZSTACK_SEED.web && uuid !== ZSTACK_SEED.db);
  }

  get names(): string[] {
    return this.clones.map(({ name }) => name).sort();
  }

  /** Of ours, anywhere. */
  get tags(): string[] {
    return [...this.zstack.tags.values()].map(({ tag }) => tag).filter((tag) => tag.startsWith("snapclone::"));
  }

  get outputs(): Properties {
    return this.engine.state.entries[0]?.outputs ?? {};
  }

  wait(ms: number): void {
    this.cloud.emulator.clock.tick(ms);
    this.zstack.settle();
  }

  exchange(request: HttpRequest<unknown>): RawResponse {
    if (this.isDead) throw stopped();
    const fault = this.faults.get(this.requests);
    this.requests += 1;
    this.sent.push(`${request.method} ${decodeURIComponent(request.url.replace(/^.*\/v1/, ""))}`);
    if (fault === "killed") {
      this.isDead = true;
      throw stopped();
    }
    const job = request.headers?.["x-job-uuid"];
    if (fault === "job fails" && job !== undefined) {
      this.failedJobs.add(job);
      return answerOf(202, { location: `http://172.20.14.227:8080/zstack/v1/api-jobs/${job}` });
    }
    if (this.failedJobs.has(request.url.slice(-32))) {
      return answerOf(503, { error: { code: "SYS.1006", description: "An operation failed", details: "told to" } });
    }
    if (fault === "session ends") this.zstack.endAllSessions();
    const reply =
      fault === "503" ? { status: 503, headers: {}, body: "<html>a proxy's</html>" } : this.carryOut(request);
    if (fault === "killed after") {
      this.isDead = true;
      throw stopped();
    }
    if (fault === "lost reply") return { status: 502, headers: {}, text: "<html>", json: undefined };
    return { status: reply.status, headers: {}, text: reply.body, json: parsed(reply.body) };
  }

  private carryOut({ method, url, headers, body }: HttpRequest<unknown>): Reply {
    const sent = { accept: "application/json", "content-type": "application/json", ...headers };
    const reply = this.cloud.answer({ method, url, headers: sent, body });
    if (!reply) throw new Error(`nobody answers ${url}`);
    return reply;
  }
}

class SiteHttp extends HttpClient {
  constructor(
    private readonly site: ZStackSite,
    clock: SiteClock,
  ) {
    super({ clock });
  }

  protected override async exchange(request: HttpRequest<unknown>): Promise<RawResponse> {
    return this.site.exchange(request);
  }
}

function answerOf(status: number, json: object): RawResponse {
  return { status, headers: {}, text: JSON.stringify(json), json };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
