// A ZStack that differs from the emulator wherever the vendor's documents leave a server free: how a call is answered, who
// chooses a job's id, what a job's end looks like, how many rows a page has. Written from the documents alone, without the
// emulator's code.

import type { HttpRequest, RawResponse } from "../../provider/core/http/request";
import type { Properties } from "../../provider/core/operation";
import { stopped } from "../../provider/core/util/abort";
import { clonedVm } from "../../provider/zstack/clonedVm/resource";
import { resolveZStack } from "../../provider/zstack/connection";
import { newUuid, ZStackContext } from "../../provider/zstack/context";
import { AnsweredHttp } from "./answeredHttp";
import { AutoAdvancingClock } from "./autoAdvancingClock";
import { FakeEngine, type RunOptions, type RunResult } from "./fakeEngine";

export interface Vm {
  uuid: string;
  name: string;
  state: string;
  description: string;
  type: string;
  zoneUuid: string;
  vmNics: object[];
  allVolumes: { uuid: string; type: string; description?: string }[];
}
export interface Tag {
  uuid: string;
  resourceUuid: string;
  tag: string;
}
export interface Answer {
  status: number;
  body?: unknown;
  text?: string;
  headers?: Record<string, string>;
}
interface Job {
  endsAt: number;
  work: () => Answer;
  end?: Answer;
  asked: number;
}

export interface Ways {
  version: string;
  /** Calls that the vendor's server accepts with 202 are carried out and answered at once. */
  isSynchronous: boolean;
  /** The server heeds `X-Job-UUID`. Otherwise it chooses the ids itself. */
  heedsJobId: boolean;
  hasDashes: boolean;
  location(job: string): Answer;
  /** The query of a job needs a session, too. */
  jobsNeedSession: boolean;
  /** How often the end of a job is told. */
  tellsEnd: number;
  unknownJob(job: string): Answer;
  /** A session that has ended is refused at once, whatever the method. */
  lostSession: Answer;
  page: number;
  ignoresConditions: boolean;
  sessionMs: number;
  cloneMs: number;
  actionMs: number;
  /** When the rows of clones appear, after the call. */
  rowsMs: number;
  nameOf(name: string): string;
  copiesUserTags: boolean;
  repeatsTags: boolean;
  result(rows: readonly Vm[]): Answer;
  /** Answers a call before the server does. */
  before(method: string, path: string, body: unknown): Answer | undefined;
}

export const SOURCE = "c4d628c203433f64b062ad07c8edf10d";
const ORIGIN = Date.UTC(2026, 10, 28);

const failure = (code: string, details: string, status = 503): Answer => ({
  status,
  body: { error: { code, description: "An operation failed", details } },
});
const done = (body: unknown = {}): Answer => ({ status: 200, body });

const VENDOR: Ways = {
  version: "5.2.1",
  isSynchronous: false,
  heedsJobId: true,
  hasDashes: false,
  location: (job) => ({ status: 202, body: { location: `http://172.20.14.227:8080/zstack/v1/api-jobs/${job}` } }),
  jobsNeedSession: false,
  tellsEnd: Number.POSITIVE_INFINITY,
  unknownJob: () => ({ status: 404, text: "the job has been expired" }),
  lostSession: failure("ID.1001", "Session expired"),
  page: 1000,
  ignoresConditions: false,
  sessionMs: 7_200_000,
  cloneMs: 20_000,
  actionMs: 500,
  rowsMs: 1_000,
  nameOf: (name) => name,
  copiesUserTags: false,
  repeatsTags: false,
  result: (rows) =>
    done({ result: { numberOfClonedVm: rows.length, inventories: rows.map((inventory) => ({ inventory })) } }),
  before: () => undefined,
};

class Clock extends AutoAdvancingClock {
  override date(): Date {
    return new Date(ORIGIN + this.now());
  }
}

export class OtherZStack {
  readonly clock = new Clock(0);
  readonly ways: Ways;
  readonly vms = new Map<string, Vm>();
  tags: Tag[] = [];
  readonly engine: FakeEngine;
  /** The clone calls that were carried out. */
  clones = 0;
  logins = 0;
  sent: string[] = [];
  private readonly jobs = new Map<string, Job>();
  private readonly sessions = new Map<string, number>();
  private faults: Readonly<Record<number, "killed" | "killed after" | "lost reply">> = {};
  private isDead = false;

  constructor(
    ways: Partial<Ways> = {},
    private readonly connection: object = { accountName: "admin", password: "correct horse" },
  ) {
    this.ways = { ...VENDOR, ...ways };
    this.addVm({ uuid: SOURCE, name: "web" });
    const connectionKind = {
      kind: "zstack",
      open: () => this.connect(),
      close: (context: unknown) => (context as ZStackContext).client.logOut(),
    };
    const definition = { ...clonedVm, connection: connectionKind } as typeof clonedVm;
    this.engine = new FakeEngine(definition, { clock: this.clock, isDead: () => this.isDead });
  }

  addVm(given: Partial<Vm>): Vm {
    const vm = {
      uuid: newUuid(),
      name: "",
      state: "Running",
      description: "",
      type: "UserVm",
      zoneUuid: "d886a09330e13282b7a320a98d0a53ec",
      vmNics: [],
      allVolumes: [{ uuid: newUuid(), type: "Root" }],
      ...given,
    };
    this.vms.set(vm.uuid, vm);
    return vm;
  }

  connect(): ZStackContext {
    const config = { url: "http://cloud.test/zstack", ...this.connection };
    const settings = resolveZStack({ name: "default", config, env: {}, cwd: "/", home: "/" });
    return new ZStackContext(
      settings,
      this.clock,
      new AnsweredHttp(this.clock, async (request) => this.exchange(request)),
    );
  }

  async run(
    command: (engine: FakeEngine) => Promise<RunResult>,
    faults: Readonly<Record<number, "killed" | "killed after" | "lost reply">> = {},
  ): Promise<RunResult & { messages: string }> {
    this.faults = faults;
    this.sent = [];
    this.isDead = false;
    const result = await command(this.engine);
    this.faults = {};
    const messages = [...result.errors.map((error) => (error as Error).message), ...result.log].join("\n");
    return { ...result, messages };
  }

  up(program: Record<string, Properties>, faults = {}, options: RunOptions = {}) {
    return this.run((engine) => engine.up(program, options), faults);
  }

  destroy(faults = {}) {
    return this.run((engine) => engine.destroy(), faults);
  }

  refresh(faults = {}) {
    return this.run((engine) => engine.refresh(), faults);
  }

  /** All VMs but the source that are not in the recycle bin. */
  get living(): Vm[] {
    return [...this.vms.values()].filter(({ uuid, state }) => uuid !== SOURCE && state !== "Destroyed");
  }

  get names(): string[] {
    return this.living.map(({ name }) => name).sort();
  }

  get outputs(): Properties {
    return this.engine.state.entries[0]?.outputs ?? {};
  }

  wait(ms: number): Promise<void> {
    return this.clock.sleep(ms);
  }

  exchange({ method, url, headers = {}, body }: HttpRequest<unknown>): RawResponse {
    if (this.isDead) throw stopped();
    const fault = this.faults[this.sent.length];
    const { pathname, searchParams } = new URL(url);
    const path = pathname.replace("/zstack/v1", "");
    this.sent.push(`${method} ${path}${body === undefined ? "" : ` ${JSON.stringify(body)}`}`);
    if (this.sent.length > 5_000) throw new Error("a storm of requests");
    if (fault === "killed") {
      this.isDead = true;
      throw stopped();
    }
    this.advance();
    const answer = this.ways.before(method, path, body) ?? this.answer(method, path, searchParams, headers, body);
    if (fault === "killed after") {
      this.isDead = true;
      throw stopped();
    }
    if (fault === "lost reply") return { status: 502, headers: {}, text: "<html>", json: undefined };
    const text = answer.text ?? JSON.stringify(answer.body) ?? "";
    const json = answer.text === undefined ? JSON.parse(JSON.stringify(answer.body ?? null)) : undefined;
    return { status: answer.status, headers: answer.headers ?? {}, text, json: text === "" ? undefined : json };
  }

  private advance(): void {
    for (const job of this.jobs.values()) if (this.clock.now() >= job.endsAt) job.end ??= job.work();
  }

  private answer(
    method: string,
    path: string,
    query: URLSearchParams,
    headers: Record<string, string>,
    body: unknown,
  ): Answer {
    const [, first = "", second = "", third = "", fourth = ""] = path.split("/");
    if (path === "/accounts/login") return this.logIn();
    if (path === "/management-nodes/actions") {
      const isVersion = Object.hasOwn(body as object, "getVersion");
      return done(isVersion ? { version: this.ways.version } : { supportApis: ["APICloneVmInstanceMsg"] });
    }
    const session = this.sessionIn(headers);
    if (first === "api-jobs") {
      if (this.ways.jobsNeedSession && session !== undefined) return session;
      return this.queryJob(second);
    }
    if (first === "accounts" && fourth === "valid") return done({ valid: this.isAlive(third) });
    if (first === "accounts" && method === "DELETE") return done();
    if (session !== undefined) return session;
    if (method === "GET") return this.query(first, query);
    return this.accept(headers["x-job-uuid"], () => this.begin(method, path, body));
  }

  private logIn(): Answer {
    this.logins += 1;
    const uuid = newUuid();
    this.sessions.set(uuid, this.clock.now() + this.ways.sessionMs);
    return done({ inventory: { uuid } });
  }

  private isAlive(session: string): boolean {
    return (this.sessions.get(session) ?? 0) > this.clock.now();
  }

  private sessionIn({ authorization }: Record<string, string>): Answer | undefined {
    if (authorization?.startsWith("ZStack ")) return undefined;
    const session = authorization?.replace("OAuth ", "");
    if (session === undefined) return { status: 400, text: "missing header 'Authorization'" };
    if (!this.isAlive(session)) return this.ways.lostSession;
    this.sessions.set(session, this.clock.now() + this.ways.sessionMs);
    return undefined;
  }

  // --- jobs

  private accept(wanted: string | undefined, begin: () => { ms: number; work: () => Answer }): Answer {
    const { heedsJobId, hasDashes, isSynchronous, location } = this.ways;
    if (heedsJobId && wanted !== undefined && this.jobs.has(wanted)) {
      return { status: 400, text: `Duplicate job uuid[${wanted}]` };
    }
    const id = heedsJobId && wanted !== undefined ? wanted : newUuid();
    const { ms, work } = begin();
    if (isSynchronous) return work();
    this.jobs.set(id, { endsAt: this.clock.now() + ms, work, asked: 0 });
    return location(hasDashes ? id.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-") : id);
  }

  private queryJob(id: string): Answer {
    const job = this.jobs.get(this.ways.hasDashes ? id.replaceAll("-", "") : id);
    if (job === undefined) return this.ways.unknownJob(id);
    if (job.end === undefined) return { status: 202, body: {} };
    job.asked += 1;
    return job.asked > this.ways.tellsEnd ? this.ways.unknownJob(id) : job.end;
  }

  private begin(method: string, path: string, body: unknown): { ms: number; work: () => Answer } {
    const [, collection = "", uuid = ""] = path.split("/");
    const { actionMs, cloneMs } = this.ways;
    const now = (work: () => Answer) => ({ ms: actionMs, work });
    if (collection === "user-tags") return now(() => this.addTag(body as { params: Tag }));
    if (collection === "tags") {
      return now(() => {
        this.tags = this.tags.filter((one) => one.uuid !== uuid);
        return done();
      });
    }
    const [[action = "", given = {}] = []] = Object.entries((body ?? {}) as Record<string, Record<string, unknown>>);
    if (action === "cloneVmInstance") return { ms: cloneMs, work: this.clone(uuid, given.names as string[]) };
    return now(() => this.act(method === "DELETE" ? "destroy" : action, uuid, given));
  }

  private act(action: string, uuid: string, given: Record<string, unknown>): Answer {
    const vm = this.vms.get(uuid);
    if (vm === undefined) return action === "destroy" ? done() : failure("SYS.1003", `${uuid} not found`);
    if (action === "updateVmInstance") Object.assign(vm, given);
    if (action === "destroy") vm.state = "Destroyed";
    if (action === "startVmInstance" || action === "resumeVmInstance") vm.state = "Running";
    if (action === "stopVmInstance") vm.state = "Stopped";
    if (action === "expungeVmInstance") {
      this.vms.delete(uuid);
      this.tags = this.tags.filter(({ resourceUuid }) => resourceUuid !== uuid);
      return done();
    }
    return done(action === "destroy" ? {} : { inventory: vm });
  }

  private clone(source: string, names: readonly string[]): () => Answer {
    const { nameOf, result, copiesUserTags, rowsMs } = this.ways;
    this.clones += 1;
    let rows: Vm[] = [];
    const make = () => {
      rows = names.map((name) =>
        this.addVm({ name: nameOf(name), state: "Starting", description: `cloned from ${source}` }),
      );
      const copied = this.tags.filter(({ resourceUuid }) => copiesUserTags && resourceUuid === source);
      for (const { uuid } of rows) {
        for (const { tag } of copied) this.tags.push({ uuid: newUuid(), resourceUuid: uuid, tag });
      }
      return done();
    };
    if (!this.ways.isSynchronous) {
      this.jobs.set(newUuid(), { endsAt: this.clock.now() + rowsMs, work: make, asked: 0 });
    }
    return () => {
      if (rows.length === 0) make();
      for (const row of rows) row.state = "Running";
      return result(rows);
    };
  }

  private addTag({ params: { resourceUuid, tag } }: { params: Tag }): Answer {
    if (!this.vms.has(resourceUuid)) return failure("SYS.1003", `resource[uuid:${resourceUuid}] not found`);
    const isThere = this.tags.some(
      (one) => one.resourceUuid === resourceUuid && one.tag.toLowerCase() === tag.toLowerCase(),
    );
    // MySQL compares without the case (docs/wire/zstack.md#query-sql).
    if (isThere && !this.ways.repeatsTags) return failure("SYS.1006", `Duplicated Tag[tag:${tag}, type:User]`);
    const row = { uuid: newUuid(), resourceUuid, tag };
    this.tags.push(row);
    return done({ inventory: row });
  }

  // --- queries

  private query(collection: string, query: URLSearchParams): Answer {
    const rows: object[] =
      collection === "vm-instances" ? [...this.vms.values()] : collection === "user-tags" ? this.tags : [];
    const conditions = this.ways.ignoresConditions ? [] : query.getAll("q");
    const found = rows.filter((row) =>
      conditions.every((condition) => fits(row as Record<string, unknown>, condition)),
    );
    const from = Number(query.get("start") ?? 0);
    const to = from + Math.min(this.ways.page, Number(query.get("limit") ?? 1000));
    const total = query.get("replyWithCount") === "true" ? { total: found.length } : {};
    return done({ inventories: found.slice(from, to), ...total, schema: {} });
  }
}

function fits(row: Record<string, unknown>, condition: string): boolean {
  const [, field = "", operator = "", value = ""] = /^(\w+)(!=|~=|\?=|=)(.*)$/s.exec(condition) ?? [];
  const own = String(row[field] ?? "").toLowerCase();
  const wanted = value.toLowerCase();
  if (operator === "?=") return wanted.split(",").includes(own);
  if (operator === "!=") return own !== wanted;
  if (operator === "=") return own === wanted;
  const escaped = wanted.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replaceAll("%", ".*").replaceAll("_", ".")}$`, "s").test(own);
}
