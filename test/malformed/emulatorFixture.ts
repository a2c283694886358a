// One case: an operation of a resource against a cloud in this process that gives malformed answers to some requests, what
// must hold whatever the outcome is, and the same command again without them.

import { validateHeaderValue } from "node:http";
import { inspect, isDeepStrictEqual } from "node:util";
import type { Reply } from "../../emulator/core/http";
import { SnapcloneError } from "../../provider/core/errors";
import { HttpClient } from "../../provider/core/http/client";
import type { HttpRequest, RawResponse } from "../../provider/core/http/request";
import { PartialFailure } from "../../provider/core/outputs";
import { again, expectedCount, perform, prepare, UserRun } from "../faults/operations";
import type { Operation, RequestSite, ResourceUnderTest } from "../faults/resourceUnderTest";
import type { Entry } from "../faults/shells";
import { AutoAdvancingClock } from "../support/autoAdvancingClock";
import { type InProcessCloud, inProcessCloud } from "../support/inProcessCloud";
import { type Case, lowerCase, mutate, parsed } from "./mutations";

const TIMEOUTS = { create: "4m", update: "4m", delete: "4m" };
/** Time of the test's clock: more than all pauses of an operation together. */
const LIMIT_MS = 900_000;
/** Longer than any work of the emulator takes. */
const A_WHILE_MS = 600_000;

/** One cloud for all cases of a resource, reset for each. Its time advances with the provider's. */
export class EmulatorFixture {
  private readonly cloud = inProcessCloud({ clock: "manual" });
  private readonly clock = new AutoAdvancingClock(0, false, (ms) => this.cloud.emulator.clock.tick(ms));

  constructor(private readonly resource: ResourceUnderTest) {}

  /** How many an operation sends where all goes well. */
  async requestsOf(operation: Operation): Promise<number> {
    const before = await this.begin(operation);
    const http = this.newHttp();
    const { error } = await perform(operation, this.newRun(http), before, TIMEOUTS);
    http.cut();
    if (error) throw error;
    return http.requests;
  }

  /** One operation with some malformed answers, and the same command again without them. */
  async meet(one: Case): Promise<{ outcome: "ok" | "fails" | "recorded"; mutated: number }> {
    const { resource, clock } = this;
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
    const output = `${error?.message ?? ""}\n${user.log.join("\n")}`;
    for (const secret of ["please report it", ...resource.secrets(emulator)]) {
      if (output.includes(secret)) problems.push(`it says "${secret}": ${output}`);
    }
    if (stored && (stored.id.trim() === "" || !isDeepStrictEqual(JSON.parse(JSON.stringify(stored)), stored))) {
      problems.push(`the state is not JSON: ${inspect(stored)}`);
    }
    http.cut();

    if (resource.followAdvice) {
      this.passAWhile();
      resource.followAdvice(emulator);
    }
    const calm = this.newHttp();
    await again(one.operation, this.newRun(calm), before, result);
    calm.cut();
    this.passAWhile();
    const left = resource.statuses(emulator).join();
    const { objects } = resource.count(emulator);
    const due = expectedCount(one.operation, resource);
    const isDone = objects === due && left === Array.from({ length: due }, () => resource.healthyStatus).join();
    if (!isDone) problems.push(`in the end there are ${objects} ${resource.objects}: ${left}`);
    if (problems.length > 0) throw new Error(problems.join("\n"));
    const outcome = error === undefined ? "ok" : error instanceof PartialFailure ? "recorded" : "fails";
    return { outcome, mutated: http.mutatedAnswers };
  }

  /** Everything as at the start, and what the operation finds. */
  private async begin(operation: Operation): Promise<Entry | undefined> {
    this.cloud.emulator.reset();
    this.resource.prepare(this.cloud.emulator);
    const http = this.newHttp();
    const before = await prepare(operation, this.newRun(http), TIMEOUTS, this.cloud.emulator);
    http.cut();
    return before;
  }

  private newHttp(plan?: Case): MutatingHttp {
    return new MutatingHttp(this.resource, this.cloud, this.clock, plan);
  }

  private newRun(http: HttpClient): UserRun {
    return new UserRun(this.resource, this.clock, this.resource.open(this.cloud.emulator, this.clock, http));
  }

  private passAWhile(): void {
    this.cloud.emulator.clock.tick(A_WHILE_MS);
    this.resource.advance(this.cloud.emulator);
  }
}

/** The provider's HTTP client over the in-process cloud, which malforms some answers in a row. */
class MutatingHttp extends HttpClient {
  readonly problems: string[] = [];
  requests = 0;
  mutatedAnswers = 0;
  private isCut = false;
  /** The status of the last creating request, by its site. */
  private readonly lastStatus = new Map<RequestSite, number>();

  constructor(
    private readonly resource: ResourceUnderTest,
    private readonly cloud: InProcessCloud,
    clock: AutoAdvancingClock,
    private readonly plan?: Case,
  ) {
    super({ clock });
  }

  /** Stops requests that are still running in the background, so that they cannot disturb the next case. */
  cut(): void {
    this.isCut = true;
  }

  protected override async exchange(request: HttpRequest<unknown>): Promise<RawResponse> {
    if (this.isCut) throw unreachable(request);
    this.checkLegal(request);
    const { plan } = this;
    const mutation = plan?.mutations[this.requests - plan.nth];
    this.requests += 1;
    const status = mutation && plan?.status;
    const create = this.createSiteOf(request);
    const last = create && this.lastStatus.get(create);
    if (!create?.idempotent && last !== undefined && !isPromise(last)) {
      this.problems.push(`a second ${request.method} ${request.url} after a ${last}`);
    }
    const reply =
      status !== undefined && this.isTurnedAway(status, create)
        ? { status, headers: {}, body: '{"emulator":"not carried out"}' }
        : this.forward(request);
    const { objects } = this.resource.count(this.cloud.emulator);
    if (objects > (this.resource.mostAtOnce ?? this.resource.expectedCount)) this.problems.push(`${objects} were made`);
    const answer = mutation ? mutate(reply, status, mutation) : reply;
    if (mutation) this.mutatedAnswers += 1;
    if (create) this.lastStatus.set(create, answer.status);
    return { status: answer.status, headers: lowerCase(answer.headers), text: answer.body, json: parsed(answer.body) };
  }

  private isTurnedAway(status: number, create: RequestSite | undefined): boolean {
    if (isPromise(status)) return true;
    const isTrusted = create !== undefined && this.resource.trustsRefusals === true && status >= 400 && status < 500;
    return status >= 300 && (isTrusted || !this.plan?.carriedOut);
  }

  private forward(request: HttpRequest<unknown>): Reply {
    const { method, url, headers, body } = request;
    const sent = { accept: "application/json", "content-type": "application/json", ...headers };
    const reply = this.cloud.answer({ method, url, headers: sent, body });
    if (reply) return reply;
    throw unreachable(request);
  }

  /** The site of a creating request. */
  private createSiteOf({ method, url }: HttpRequest<unknown>): RequestSite | undefined {
    const { pathname, search } = new URL(url);
    return Object.values(this.resource.sites).find(
      ({ role, call }) =>
        (role === "create" || role === "changeOnce") && call.method === method && call.path.test(pathname + search),
    );
  }

  /** Notes a problem if the request could not be sent over a network. */
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

/** A 401 or a 429 promises that the request was not executed. Any other error may follow an executed request. */
function isPromise(status: number): boolean {
  return status === 401 || status === 429;
}

function unreachable({ service }: HttpRequest<unknown>): SnapcloneError {
  return new SnapcloneError({ kind: "transient", message: `${service} cannot be reached (ECONNREFUSED)` });
}
