// One case: an operation of a resource against a cloud in this process that answers some of its requests badly, what must
// hold whatever comes of it, and the same again without bad answers.

import { validateHeaderValue } from "node:http";
import { inspect, isDeepStrictEqual } from "node:util";
import type { Reply } from "../../../emulator/core/http";
import { SnapcloneError } from "../../../provider/core/errors";
import { HttpClient, type HttpRequest, type RawResponse } from "../../../provider/core/http/client";
import { PartialFailure } from "../../../provider/core/lifecycle";
import { AutoAdvancingClock } from "../../support/autoAdvancingClock";
import { type InProcessCloud, inProcessCloud } from "../../support/inProcessCloud";
import { again, perform, prepare, type Stored, UserRun, wanted } from "../operations";
import type { Operation, RequestSite, ResourceUnderTest } from "../resourceUnderTest";
import { type Case, lowerCase, mutate, parsed } from "./mutations";

const TIMEOUTS = { create: "4m", update: "4m", delete: "4m" };
/** Of the clock's own time, and more than all the pauses of an operation together may be. */
const LIMIT_MS = 900_000;
/** Longer than any work of the emulator takes. */
const A_WHILE_MS = 600_000;

/** One cloud for all cases of a resource, as new for each of them; its time passes when the provider's does. */
export class EmulatorFixture {
  private readonly cloud = inProcessCloud({ clock: "manual" });
  private readonly clock = new AutoAdvancingClock(0, false, (ms) => this.cloud.emulator.clock.tick(ms));

  constructor(private readonly subject: ResourceUnderTest) {}

  /** How many an operation sends where all goes well. */
  async requestsOf(operation: Operation): Promise<number> {
    const before = await this.begin(operation);
    const http = this.newHttp();
    const { error } = await perform(operation, this.newRun(http), before, TIMEOUTS);
    http.cut();
    if (error) throw error;
    return http.requests;
  }

  /** One operation against some spoilt answers, and the same again without them. */
  async meet(one: Case): Promise<{ outcome: "ok" | "fails" | "recorded"; spoilt: number }> {
    const { subject, clock } = this;
    const { emulator } = this.cloud;
    const before = await this.begin(one.operation);

    const http = this.newHttp(one);
    const user = this.newRun(http);
    const begun = clock.now();
    const result = await perform(one.operation, user, before, TIMEOUTS);
    const problems: string[] = [...http.problems];
    if (clock.now() - begun > LIMIT_MS) problems.push(`it took ${clock.now() - begun} ms`);

    const { error, stored } = result;
    if (error !== undefined && !(error instanceof SnapcloneError || error instanceof PartialFailure)) throw error;
    const said = `${error?.message ?? ""}\n${user.log.join("\n")}`;
    for (const secret of ["please report it", ...subject.secrets(emulator)]) {
      if (said.includes(secret)) problems.push(`it says "${secret}": ${said}`);
    }
    if (stored && (stored.id.trim() === "" || !isDeepStrictEqual(JSON.parse(JSON.stringify(stored)), stored))) {
      problems.push(`the state is not JSON: ${inspect(stored)}`);
    }
    http.cut();

    if (subject.looked) {
      this.passAWhile();
      subject.looked(emulator);
    }
    const calm = this.newHttp();
    await again(one.operation, this.newRun(calm), before, result);
    calm.cut();
    this.passAWhile();
    const left = subject.statuses(emulator).join();
    const { objects } = subject.count(emulator);
    const due = wanted(one.operation, subject);
    const isDone = objects === due && left === Array.from({ length: due }, () => subject.fine).join();
    if (!isDone) problems.push(`in the end there are ${objects} ${subject.objects}: ${left}`);
    if (problems.length > 0) throw new Error(problems.join("\n"));
    const outcome = error === undefined ? "ok" : error instanceof PartialFailure ? "recorded" : "fails";
    return { outcome, spoilt: http.spoiltAnswers };
  }

  /** Everything as at the start, and what the operation finds. */
  private async begin(operation: Operation): Promise<Stored | undefined> {
    this.cloud.emulator.reset();
    this.subject.ready(this.cloud.emulator);
    const http = this.newHttp();
    const before = await prepare(operation, this.newRun(http), TIMEOUTS);
    http.cut();
    return before;
  }

  private newHttp(plan?: Case): SpoilingHttp {
    return new SpoilingHttp(this.subject, this.cloud, this.clock, plan);
  }

  private newRun(http: HttpClient): UserRun {
    return new UserRun(this.subject, this.clock, this.subject.open(this.cloud.emulator, this.clock, http));
  }

  private passAWhile(): void {
    this.cloud.emulator.clock.tick(A_WHILE_MS);
    this.subject.settle(this.cloud.emulator);
  }
}

/** The provider's HTTP client over the in-process cloud, which spoils some answers in a row. */
class SpoilingHttp extends HttpClient {
  readonly problems: string[] = [];
  requests = 0;
  spoiltAnswers = 0;
  private isCut = false;
  /** Of the last request that makes something, by its kind. */
  private readonly lastStatus = new Map<RequestSite, number>();

  constructor(
    private readonly subject: ResourceUnderTest,
    private readonly cloud: InProcessCloud,
    clock: AutoAdvancingClock,
    private readonly plan?: Case,
  ) {
    super({ clock });
  }

  /** What still goes on in the background is not to meet the next case. */
  cut(): void {
    this.isCut = true;
  }

  protected override async exchange(request: HttpRequest<unknown>): Promise<RawResponse> {
    if (this.isCut) throw unreachable(request);
    this.checkLegal(request);
    const { plan } = this;
    const how = plan?.spoils[this.requests - plan.nth];
    this.requests += 1;
    const status = how && plan?.status;
    const making = this.makingOf(request);
    const last = making && this.lastStatus.get(making);
    if (!making?.repeatable && last !== undefined && !isPromise(last)) {
      this.problems.push(`a second ${request.method} ${request.url} after a ${last}`);
    }
    const reply =
      status !== undefined && this.isTurnedAway(status, making)
        ? { status, headers: {}, body: '{"emulator":"not carried out"}' }
        : this.carryOut(request);
    const { objects } = this.subject.count(this.cloud.emulator);
    if (objects > this.subject.wanted) this.problems.push(`${objects} were made`);
    const answer = how ? mutate(reply, status, how) : reply;
    if (how) this.spoiltAnswers += 1;
    if (making) this.lastStatus.set(making, answer.status);
    return { status: answer.status, headers: lowerCase(answer.headers), text: answer.body, json: parsed(answer.body) };
  }

  private isTurnedAway(status: number, making: RequestSite | undefined): boolean {
    if (isPromise(status)) return true;
    const isBelieved = making !== undefined && this.subject.believesRefusals === true && status >= 400 && status < 500;
    return status >= 300 && (isBelieved || !this.plan?.carriedOut);
  }

  private carryOut(request: HttpRequest<unknown>): Reply {
    const { method, url, headers, body } = request;
    const sent = { accept: "application/json", "content-type": "application/json", ...headers };
    const reply = this.cloud.answer({ method, url, headers: sent, body });
    if (reply) return reply;
    throw unreachable(request);
  }

  /** The place of a request that makes something. */
  private makingOf({ method, url }: HttpRequest<unknown>): RequestSite | undefined {
    const { pathname, search } = new URL(url);
    return Object.values(this.subject.places).find(
      ({ role, call }) =>
        (role === "make" || role === "rework") && call.method === method && call.path.test(pathname + search),
    );
  }

  /** Whether it could go over a wire. */
  private checkLegal({ method, url, headers = {} }: HttpRequest<unknown>): void {
    if (!URL.canParse(url)) this.problems.push(`no address: ${method} ${url}`);
    for (const [name, value] of Object.entries(headers)) {
      try {
        validateHeaderValue(name, value);
      } catch {
        this.problems.push(`no header: ${name}: ${JSON.stringify(value)}`);
      }
    }
  }
}

/** A 401 and a 429 promise that nothing was done; any other error may be said of what was. */
function isPromise(status: number): boolean {
  return status === 401 || status === 429;
}

function unreachable({ service }: HttpRequest<unknown>): SnapcloneError {
  return new SnapcloneError({ kind: "transient", message: `${service} cannot be reached (ECONNREFUSED)` });
}
