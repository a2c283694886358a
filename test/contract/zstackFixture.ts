// Runs ClonedVm on a model of the engine against a ZStack in this process. Each command acts as a process of its own with its
// own login. Any request can fail or kill the process, and hours pass at once.

import { ZSTACK_SEED } from "../../emulator";
import type { Reply } from "../../emulator/core/http";
import type { ZStackSettings, ZStackTimings } from "../../emulator/zstack/model";
import type { Definition } from "../../provider/core/definition";
import type { HttpRequest, RawResponse } from "../../provider/core/http/request";
import type { Properties } from "../../provider/core/operation";
import { stopped } from "../../provider/core/util/abort";
import type { ClonedVmInputs } from "../../provider/zstack/clonedVm/inputs";
import { clonedVm } from "../../provider/zstack/clonedVm/resource";
import { resolveZStack } from "../../provider/zstack/connection";
import { ZStackContext } from "../../provider/zstack/context";
import { AnsweredHttp } from "../support/answeredHttp";
import { AutoAdvancingClock } from "../support/autoAdvancingClock";
import { FakeEngine, type RunResult } from "../support/fakeEngine";
import { type InProcessCloud, inProcessCloud, parsedJson } from "../support/inProcessCloud";

/**
 * The fault of one request. "killed": the process dies before the request is sent. "killed after": the process dies after
 * the server has executed the request. "job fails": the server accepts the request, and its job fails without an effect.
 * "session ends": the session ends just before the request.
 */
export type Fault = "503" | "lost reply" | "killed" | "killed after" | "job fails" | "session ends";

const ORIGIN = Date.UTC(2026, 10, 28);

class FixtureClock extends AutoAdvancingClock {
  override date(): Date {
    return new Date(ORIGIN + this.now());
  }
}

export class ZStackFixture {
  readonly cloud: InProcessCloud;
  readonly clock: FixtureClock;
  readonly engine: FakeEngine;
  readonly definition: Definition<ClonedVmInputs, ZStackContext>;
  /** How many requests the current process has sent. */
  requests = 0;
  /** Methods and targets of these requests. */
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
    this.clock = new FixtureClock(0, false, (ms) => this.cloud.emulator.clock.tick(ms));
    this.definition = {
      ...clonedVm,
      connection: { kind: "zstack", open: () => this.connect(), close: (context) => context.client.logOut() },
    };
    this.engine = new FakeEngine(this.definition, { clock: this.clock, isDead: () => this.isDead });
  }

  get zstack() {
    return this.cloud.emulator.zstack;
  }

  connect(): ZStackContext {
    const config = {
      ...this.cloud.emulator.zstack.connection(),
      url: "http://cloud.test/zstack",
      ...this.connection,
    };
    const settings = resolveZStack({ name: "default", config, env: {}, cwd: "/", home: "/" });
    return new ZStackContext(
      settings,
      this.clock,
      new AnsweredHttp(this.clock, async (request) => this.exchange(request)),
    );
  }

  /** Runs one command as a process of its own, with faults by the number of the request, from 0. */
  async run(
    command: (engine: FakeEngine) => Promise<RunResult>,
    faults: Readonly<Record<number, Fault>> = {},
  ): Promise<RunResult & { messages: string }> {
    this.faults = new Map(Object.entries(faults).map(([at, fault]) => [Number(at), fault]));
    this.requests = 0;
    this.sent = [];
    this.isDead = false;
    const result = await command(this.engine);
    this.faults.clear();
    const messages = [...result.errors.map((error) => (error as Error).message), ...result.log].join("\n");
    return { ...result, messages };
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

  /** All living VMs without the seed's. */
  get clones() {
    return this.zstack.living().filter(({ uuid }) => uuid !== ZSTACK_SEED.web && uuid !== ZSTACK_SEED.db);
  }

  get names(): string[] {
    return this.clones.map(({ name }) => name).sort();
  }

  /** All tags of the provider. */
  get tags(): string[] {
    return [...this.zstack.tags.values()].map(({ tag }) => tag).filter((tag) => tag.startsWith("snapclone::"));
  }

  get outputs(): Properties {
    return this.engine.state.entries[0]?.outputs ?? {};
  }

  wait(ms: number): void {
    this.cloud.emulator.clock.tick(ms);
    this.zstack.advance();
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
      fault === "503" ? { status: 503, headers: {}, body: "<html>a proxy's</html>" } : this.execute(request);
    if (fault === "killed after") {
      this.isDead = true;
      throw stopped();
    }
    if (fault === "lost reply") return { status: 502, headers: {}, text: "<html>", json: undefined };
    return { status: reply.status, headers: {}, text: reply.body, json: parsedJson(reply.body) };
  }

  private execute({ method, url, headers, body }: HttpRequest<unknown>): Reply {
    const sent = { accept: "application/json", "content-type": "application/json", ...headers };
    const reply = this.cloud.answer({ method, url, headers: sent, body });
    if (!reply) throw new Error(`nobody answers ${url}`);
    return reply;
  }
}

function answerOf(status: number, json: object): RawResponse {
  return { status, headers: {}, text: JSON.stringify(json), json };
}
