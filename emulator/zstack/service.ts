// ZStack's REST API as its server's source has it (docs/wire/zstack.md): jobs, sessions and access keys, VMs and their
// clones, volumes, user tags. What is asked in which order (action, parameters, session) is the server's own.

import { createHash, createHmac } from "node:crypto";
import {
  type Call,
  type EmulatorRequest,
  header,
  isKnownPath,
  isObject,
  matchRoute,
  type OperationInfo,
  type Reply,
  type Route,
  type Service,
  UNROUTED,
} from "../core/http";
import {
  type JobOutcome,
  ZSTACK_SEED,
  type ZStackError,
  type ZStackJob,
  type ZStackModel,
  type ZStackTag,
  type ZStackVm,
  type ZStackVolume,
} from "./model";

interface Context {
  readonly request: EmulatorRequest;
  readonly params: Readonly<Record<string, string>>;
  /** What is inside the action's own object. */
  readonly fields: Record<string, unknown>;
  readonly systemTags: readonly string[];
}

/** An asynchronous call: what is refused at once or in the job, and what it does. */
interface Work {
  /** Milliseconds of the emulator's time. */
  readonly ms: number;
  readonly timeoutMs?: number;
  /** Carried out when the time has come: the body of the job's 200. Throws a Failure. */
  readonly run: () => unknown;
  /** What shows at once, when nothing speaks against it. */
  readonly begin?: () => void;
  /** Instead of `ms` and `run`: ends the job itself. */
  readonly drive?: (job: ZStackJob) => void;
}

interface Action {
  /** The session is looked at after the parameters and before anything is done (docs/wire/zstack.md#s1-3). */
  readonly work: (context: Context) => Work;
}

type Handler =
  | { readonly kind: "open"; readonly answer: (context: Context) => Reply }
  | { readonly kind: "sync"; readonly answer: (context: Context) => Reply }
  | { readonly kind: "async"; readonly work: Action["work"] }
  | { readonly kind: "actions"; readonly actions: Readonly<Record<string, Action>> };

const CLONE_TIMEOUT_MS = 36 * 3_600_000;
const TIMEOUT_MS = 1_800_000;
/** A deliberately wrong, internal host (docs/wire/zstack.md#s2-3). */
const INTERNAL = "http://172.20.14.227:8080/zstack/v1/api-jobs/";

export class ZStackService implements Service {
  readonly name = "zstack";
  readonly prefix = "/zstack";
  private readonly routes: readonly Route<Handler>[];

  constructor(readonly model: ZStackModel) {
    this.routes = this.buildRoutes();
  }

  resolve(request: EmulatorRequest): Call {
    const path = request.path.slice(this.prefix.length);
    // Before everything else, authentication included (RestServer.java:665; docs/wire/zstack.md#s2-4).
    const job = /^\/v1\/api-jobs\/([^/]+)$/.exec(path)?.[1];
    if (job !== undefined) return this.call("jobs.query", () => this.queryJob(request, job));
    const match = matchRoute(this.routes, request.method, path);
    if (!match) {
      const known = isKnownPath(this.routes, path);
      return this.call(UNROUTED, () =>
        known ? text(405, "method not allowed") : text(404, `no api mapping to ${path}`),
      );
    }
    const { handler, operation } = match.route;
    if (handler.kind !== "actions") {
      return this.call(operation, () => this.answer(request, match.params, handler, undefined));
    }
    const name = actionName(request.text, handler.actions);
    return this.call(name === undefined ? operation : `${operation}.${name}`, () =>
      this.answer(request, match.params, handler, name),
    );
  }

  errorReply(status: number): Reply {
    if (status === 503) {
      return fault({ code: "SYS.1000", description: "An internal error", details: "The emulator was told to." });
    }
    return text(status, status === 429 ? "Rate limit exceeded" : "The emulator was told to answer like this.");
  }

  operations(): readonly OperationInfo[] {
    const jobs = { operation: "jobs.query", method: "GET", path: `${this.prefix}/v1/api-jobs/{uuid}` };
    const routed = this.routes.flatMap(({ operation, method, path, handler }) =>
      (handler.kind === "actions"
        ? Object.keys(handler.actions).map((name) => `${operation}.${name}`)
        : [operation]
      ).map((one) => ({ operation: one, method, path: `${this.prefix}${path}` })),
    );
    return [jobs, ...routed];
  }

  state(): unknown {
    this.model.settle();
    const { vms, volumes, tags, jobs, sourceSnapshots } = this.model;
    return {
      vms: [...vms.values()],
      volumes: [...volumes.values()],
      tags: [...tags.values()],
      jobs: [...jobs.values()],
      sourceSnapshots,
    };
  }

  reset(): void {
    this.model.reset();
  }

  private buildRoutes(): Route<Handler>[] {
    const vm = (run: (vm: ZStackVm, context: Context) => unknown, ms?: number): Action => ({
      work: (context) => {
        // The existence check is a parameter check: it goes before the session's (docs/wire/zstack.md#s1-3).
        const row = this.vm(context.params.uuid);
        return { ms: ms ?? this.model.timings.zstackAction, run: () => run(row, context) };
      },
    });
    const route = (operation: string, method: string, path: string, handler: Handler) => ({
      operation,
      method,
      path: `/v1${path}`,
      handler,
    });
    return [
      route("accounts.login", "PUT", "/accounts/login", { kind: "open", answer: (context) => this.login(context) }),
      route("sessions.valid", "GET", "/accounts/sessions/{uuid}/valid", {
        kind: "open",
        answer: ({ params }) => this.reply(200, { valid: this.isSession(params.uuid) }),
      }),
      route("sessions.logout", "DELETE", "/accounts/sessions/{uuid}", {
        kind: "open",
        answer: ({ params }) => {
          this.model.sessions.delete(params.uuid ?? "");
          return this.reply(200, {});
        },
      }),
      route("node", "PUT", "/management-nodes/actions", {
        kind: "open",
        answer: ({ request }) => this.managementNode(request),
      }),
      route("vms.query", "GET", "/vm-instances", {
        kind: "sync",
        answer: ({ request }) => this.query(request, [...this.model.vms.values()], (row) => this.vmView(row)),
      }),
      route("vms.get", "GET", "/vm-instances/{uuid}", {
        kind: "sync",
        // An unknown uuid is 200 with an empty list, never 404 (docs/wire/zstack.md#s9-5).
        answer: ({ params }) => {
          const row = this.model.vms.get(params.uuid ?? "");
          return this.reply(200, { inventories: row ? [this.vmView(row)] : [], schema: schemaOf(row ? 1 : 0) });
        },
      }),
      route("vms.destroy", "DELETE", "/vm-instances/{uuid}", {
        kind: "async",
        work: (context) => this.destroy(context),
      }),
      route("vms", "PUT", "/vm-instances/{uuid}/actions", {
        kind: "actions",
        actions: {
          cloneVmInstance: { work: (context) => this.clone(context) },
          updateVmInstance: vm((row, { fields }) => this.updateVm(row, fields)),
          startVmInstance: vm((row) => this.move(row, ["Stopped", "Running", "Created"], "Running")),
          stopVmInstance: vm((row) => this.move(row, ["Running", "Stopped", "Paused", "Unknown"], "Stopped")),
          pauseVmInstance: vm((row) => this.move(row, ["Running"], "Paused")),
          resumeVmInstance: vm((row) => this.move(row, ["Paused"], "Running")),
          recoverVmInstance: vm((row) => this.move(row, ["Destroyed"], "Stopped")),
          expungeVmInstance: vm((row) => this.expunge(row)),
        },
      }),
      route("volumes.query", "GET", "/volumes", {
        kind: "sync",
        answer: ({ request }) => this.query(request, [...this.model.volumes.values()], (row) => this.volumeView(row)),
      }),
      // What VMs are placed in, by uuid alone.
      ...(["zones", "primary-storage", "l3-networks"] as const).map((path) =>
        route(`${path}.query`, "GET", `/${path}`, {
          kind: "sync",
          answer: ({ request }) => this.query(request, PLACES[path], (row) => row),
        }),
      ),
      route("configs.query", "GET", "/global-configurations", {
        kind: "sync",
        answer: ({ request }) => this.query(request, this.globalConfigs(), (row) => row),
      }),
      route("volumes.detach", "DELETE", "/volumes/{uuid}/vm-instances", {
        kind: "async",
        work: ({ params }) => this.detach(params.uuid),
      }),
      route("volumes.delete", "DELETE", "/volumes/{uuid}", {
        kind: "async",
        work: ({ params }) =>
          this.volumeWork(params.uuid, (row) => {
            if (row.vmInstanceUuid !== null) this.model.detach(row);
            row.status = "Deleted";
          }),
      }),
      route("volumes", "PUT", "/volumes/{uuid}/actions", {
        kind: "actions",
        actions: {
          expungeDataVolume: {
            work: ({ params }) =>
              this.volumeWork(params.uuid, (row) => {
                if (row.status !== "Deleted") throw new Failure(operationFailed("the volume is not deleted"));
                this.model.volumes.delete(row.uuid);
              }),
          },
        },
      }),
      route("tags.query", "GET", "/user-tags", {
        kind: "sync",
        answer: ({ request }) =>
          this.query(request, [...this.model.tags.values()], (row) => ({ ...row, type: "User", createDate: "…" })),
      }),
      route("tags.create", "POST", "/user-tags", { kind: "async", work: (context) => this.createTag(context) }),
      route("tags.delete", "DELETE", "/tags/{uuid}", {
        kind: "async",
        work: ({ params }) => ({ ms: this.quickMs(), run: () => void this.model.tags.delete(params.uuid ?? "") }),
      }),
      route("progress", "GET", "/task-progresses/{job}", {
        kind: "sync",
        answer: ({ params }) => {
          const content = this.model.progress.get(params.job ?? "");
          const row = { taskUuid: params.job, taskName: "clone", type: "Progress", content };
          return this.reply(200, { inventories: content === undefined ? [] : [row] });
        },
      }),
    ];
  }

  // ---- from the socket to the method ----------------------------------------------------------------------------

  private call(operation: string, run: () => Reply): Call {
    return {
      operation,
      run: () => {
        this.model.settle();
        try {
          return run();
        } catch (error) {
          if (error instanceof Refusal) return text(error.status, error.message);
          if (error instanceof Failure) return fault(this.localised(error.error));
          throw error;
        }
      },
    };
  }

  private answer(
    request: EmulatorRequest,
    params: Readonly<Record<string, string>>,
    handler: Handler,
    name: string | undefined,
  ): Reply {
    // By the action before the header is looked at (RestServer; docs/wire/zstack.md#s9-b).
    if (handler.kind === "actions" && (name === undefined || !this.has(name))) {
      parse(request.text);
      const url = request.path.slice(this.prefix.length);
      throw new Refusal(400, `the body doesn't contain action mapping to the URL[${url}]`);
    }
    const body = request.method === "GET" || request.method === "DELETE" ? {} : parse(request.text);
    if (handler.kind !== "open") this.checkHeader(request);
    const inner = name === undefined ? body.params : body[name];
    const fields = isObject(inner) ? inner : {};
    const systemTags = strings(body.systemTags ?? fields.systemTags, "systemTags");
    const context = { request, params, fields, systemTags };
    if (handler.kind === "open") return handler.answer(context);
    if (handler.kind === "sync") {
      this.checkSession(request);
      return handler.answer(context);
    }
    const work = handler.kind === "async" ? handler.work : (handler.actions[name ?? ""] as Action).work;
    return this.submit(request, context, work);
  }

  private has(action: string): boolean {
    return action !== "cloneVmInstance" || this.model.settings.edition === "enterprise";
  }

  /** Types, then the job's id, then 202: everything else is the job's to say (docs/wire/zstack.md#s1-3, #s2-3). */
  private submit(request: EmulatorRequest, context: Context, work: Action["work"]): Reply {
    checkTypes(context.fields);
    const { model } = this;
    const given = header(request, "X-Job-UUID");
    if (given !== undefined && given.length !== 32) {
      throw new Refusal(400, "Invalid header[X-Job-UUID], it must be a UUID with '-' stripped");
    }
    const seconds = header(request, "X-API-Timeout");
    if (seconds !== undefined && !/^\d+$/.test(seconds)) throw new Refusal(500, `For input string: "${seconds}"`);
    const uuid = given ?? model.uuid("job");
    // Before 4.5.0 the row's failed insert was swallowed, and the call carried out once more (docs/wire/zstack.md#s5).
    if (model.jobs.has(uuid) && atLeast(model.settings.version, "4.5.0")) {
      throw new Refusal(400, `Duplicate job uuid[${uuid}]`);
    }
    const job: ZStackJob = { uuid, createdMs: model.clock.nowMs() };
    model.jobs.set(uuid, job);
    let timeoutMs = TIMEOUT_MS;
    try {
      const { ms, run, begin, drive, timeoutMs: own } = this.validated(request, context, work);
      timeoutMs = own ?? TIMEOUT_MS;
      begin?.();
      if (drive) drive(job);
      else model.after(ms, () => this.end(job, () => ({ status: 200, body: run() ?? {} })));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.end(job, () => {
        throw error;
      });
    }
    const apiTimeout = seconds === undefined ? timeoutMs : Number(seconds) * 1000;
    return this.reply(202, {
      ...(atLeast(model.settings.version, "4.1.0") ? { apiTimeout } : {}),
      location: `${INTERNAL}${uuid}`,
    });
  }

  /** Parameters, session, and the dry run that ends there (docs/wire/zstack.md#s1-3, #s3-7). */
  private validated(request: EmulatorRequest, context: Context, work: Action["work"]): Work {
    const found = work(context);
    this.checkSession(request);
    const dry = context.systemTags.includes("ephemeral::validationOnly");
    return dry ? { ms: 0, run: () => ({}) } : found;
  }

  private end(job: ZStackJob, outcome: () => JobOutcome): void {
    try {
      job.outcome = outcome();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      job.outcome = { status: 503, body: { error: this.localised(error.error) } };
    }
    job.doneMs = this.model.clock.nowMs();
  }

  private queryJob(request: EmulatorRequest, uuid: string): Reply {
    if (request.method !== "GET") return text(405, "only GET is allowed");
    const job = this.model.jobs.get(uuid);
    if (!job) return text(404, "the job has been expired");
    if (!job.outcome) return this.reply(202, {});
    return this.reply(job.outcome.status, job.outcome.body);
  }

  // ---- who asks -------------------------------------------------------------------------------------------------

  private login({ request }: Context): Reply {
    const body = parse(request.text).logInByAccount;
    const { accountName, password } = isObject(body) ? body : {};
    const known = this.model.accounts.get(String(accountName));
    if (known === undefined || createHash("sha512").update(known).digest("hex") !== password) {
      const details = "wrong account name or password";
      throw new Failure({ code: "ID.1000", description: "Unable to authenticate a user", details });
    }
    if (this.model.settings.uniqueSession) this.model.sessions.clear();
    const uuid = this.model.uuid("session");
    const now = this.model.clock.nowMs();
    this.model.sessions.set(uuid, now + this.model.timings.zstackSession);
    const account = ZSTACK_SEED.account;
    return this.reply(200, {
      inventory: {
        uuid,
        accountUuid: account,
        userUuid: account,
        expiredDate: gsonDate(now + this.model.timings.zstackSession),
        createDate: gsonDate(now),
        noSessionEvaluation: false,
      },
    });
  }

  private isSession(uuid: string | undefined): boolean {
    return (this.model.sessions.get(uuid ?? "") ?? 0) > this.model.clock.nowMs();
  }

  /**
   * Never 401 (docs/wire/zstack.md#s1-3): a missing header is a 400, a bad access key a 403, a bad session the call's
   * own error.
   */
  private checkHeader(request: EmulatorRequest): void {
    const given = header(request, "Authorization");
    if (given === undefined) throw new Refusal(400, "missing header 'Authorization'");
    const [scheme, value] = given.split(" ", 2);
    if (scheme === "OAuth") return;
    if (scheme !== "ZStack") throw new Refusal(400, "Authorization type must be 'OAuth'");
    const [id, signed] = (value ?? "").split(":");
    if (!id || !signed) throw new Refusal(400, "accessKey format is 'ZStack AccessKeyId:Signature'");
    const date = header(request, "Date");
    if (date === undefined) throw new Refusal(400, "'Date' must be incuded in request header");
    const digits = /^\w{3}, (\d\d \w{3} \d{4} \d\d:\d\d:\d\d) \S+$/.exec(date)?.[1];
    if (digits === undefined) throw new Refusal(400, `date format error: ${date}`);
    // Wall clock against wall clock: the zone is not looked at (rest/checkTimeZone=false, docs/wire/zstack.md#s1-4).
    const wall = this.model.clock.nowMs() + this.model.settings.offsetMinutes * 60_000;
    if (Math.abs(Date.parse(`${digits} UTC`) - wall) > 15 * 60_000) throw new Refusal(403, "requestTimeTooSkewed");
    if (id !== ZSTACK_SEED.accessKeyId) throw new Refusal(403, `access key id: ${id} does not existed or disabled`);
    const uri = decodeURIComponent(request.path.slice(this.prefix.length));
    const right = createHmac("sha1", ZSTACK_SEED.accessKeySecret)
      .update(`${request.method}\n${date}\n${uri}`)
      .digest("base64");
    if (signed !== right) throw new Refusal(403, "wrong accessKey signature");
  }

  private checkSession(request: EmulatorRequest): void {
    const [scheme, uuid] = (header(request, "Authorization") ?? "").split(" ", 2);
    if (scheme === "ZStack") return;
    if (!this.isSession(uuid)) {
      throw new Failure({
        code: "ID.1001",
        description: "The session is invalid, either wrong session id or the session has been expired",
        details: "Session expired",
      });
    }
    // Sliding: every authorised call renews it; a job query is none (docs/wire/zstack.md#s1-2).
    this.model.sessions.set(uuid ?? "", this.model.clock.nowMs() + this.model.timings.zstackSession);
  }

  private managementNode(request: EmulatorRequest): Reply {
    const body = parse(request.text);
    if ("getVersion" in body) return this.reply(200, { success: true, version: this.model.settings.version });
    if ("getSupportAPIs" in body) {
      const clone = this.has("cloneVmInstance") ? ["APICloneVmInstanceMsg"] : [];
      return this.reply(200, { success: true, supportApis: [...clone, "APIQueryVmInstanceMsg"] });
    }
    throw new Refusal(400, "the body doesn't contain action mapping to the URL[/v1/management-nodes/actions]");
  }

  // ---- clones ---------------------------------------------------------------------------------------------------

  private clone(context: Context): Work {
    const { model } = this;
    const { fields, params, systemTags } = context;
    const names = strings(fields.names, "names");
    if (names.length === 0) throw new Failure(invalidArgument("field[names] must be a nonempty list"));
    const strategies = ["InstantStart", "JustCreate", ...(this.knows("3.9.0") ? ["CreateStopped"] : [])];
    const strategy = String(fields.strategy ?? "InstantStart");
    if (!strategies.includes(strategy)) {
      const message = "org.zstack.header.vm.APICloneVmInstanceMsg";
      throw new Failure(
        invalidArgument(
          `valid value for field[strategy] of message[${message}] are [${strategies.join(", ")}], but ${strategy} found`,
        ),
      );
    }
    // Only what fits a registered pattern (docs/wire/zstack.md#s3-6).
    const strange = systemTags.find((tag) => !/^(affinityGroupUuid|ephemeral|resourceConfig)::/.test(tag));
    if (strange !== undefined) throw new Failure(invalidArgument(`no system tag matches[${strange}]`));
    const source = this.vm(params.uuid, "vmInstanceUuid");
    if (model.living().length + names.length > model.settings.vmQuota) {
      throw new Failure({
        code: "ID.1003",
        description: "The user exceeds a quota of a resource",
        details: `quota exceeding. quota[name: vm.num, value: ${model.settings.vmQuota}], Request:${names.length}`,
      });
    }
    // Unknown fields are dropped in silence; so are those that this version does not know yet
    // (docs/wire/zstack.md#s2-7).
    const known = <T>(version: string, value: T) => (this.knows(version) ? value : undefined);
    const plan: ClonePlan = {
      source,
      names,
      strategy,
      full: known("2.5.0", fields.full) === true || fields.full === "true",
      clusterUuid: text32(known("4.6.11", fields.clusterUuid)) ?? source.clusterUuid,
      hostUuid: text32(known("4.6.11", fields.hostUuid)),
      rootStorage: text32(known("3.1.0", fields.primaryStorageUuidForRootVolume)),
      dataStorage: text32(known("3.1.0", fields.primaryStorageUuidForDataVolume)),
      rootTags: strings(known("3.1.0", fields.rootVolumeSystemTags), "rootVolumeSystemTags"),
      dataTags: strings(known("3.1.0", fields.dataVolumeSystemTags), "dataVolumeSystemTags"),
    };
    // `userTags` are accepted and then dropped (docs/wire/zstack.md#s3-6).
    const drive = (job: ZStackJob) => this.runClone(plan, job);
    return { ms: 0, run: () => ({}), drive, timeoutMs: CLONE_TIMEOUT_MS };
  }

  /** Snapshot and image, then the rows, then the starts, in this order of time; what fails fails where the server's does. */
  private runClone(plan: ClonePlan, job: ZStackJob): void {
    const { model } = this;
    const { source, names } = plan;
    const whole = model.takeBehaviour(names[0] ?? "", [
      "refused",
      "orphans",
      "unattached",
      "timeout",
      "stuck",
      "purged",
      "given-up",
      "forgotten",
    ]);
    const end = (outcome: () => JobOutcome) => {
      model.progress.delete(job.uuid);
      // What has been given up ends once, though the work goes on.
      if (!job.outcome) this.end(job, outcome);
    };
    const fail = (error: ZStackError) =>
      end(() => {
        throw new Failure(error);
      });
    if (whole === "given-up") {
      this.end(job, () => {
        throw new Failure(TIMED_OUT);
      });
    }
    if (whole === "forgotten") model.jobs.delete(job.uuid);
    model.progress.set(job.uuid, "10");
    model.after(model.timings.zstackImage, () => {
      if (!["Running", "Stopped", "Paused"].includes(source.state)) {
        return fail(wrongState(source, "CloneVmInstanceMsg", ["Paused", "Running", "Stopped"]));
      }
      const running = model.living().filter(({ state }) => state === "Running").length;
      if (whole === "refused" || running >= model.settings.capacity) return fail(NO_HOST);
      model.sourceSnapshots.push({ name: `for-clone-vm-${names[0]}`, volumeUuid: source.rootVolumeUuid ?? "" });
      const entries: Record<string, unknown>[] = [];
      const made: ZStackVm[] = [];
      for (const name of names) {
        if (model.takeBehaviour(name, ["no-host"])) {
          entries.push({ error: this.localised({ ...NO_HOST, code: "SYS.1006" }) });
          continue;
        }
        if (model.settings.uniqueVmName && model.named(name)) {
          entries.push({ error: this.localised(operationFailed(`the name ${name} is taken`)) });
          continue;
        }
        const description = `cloned from vm[uuid:${source.uuid}]`;
        made.push(model.addVm({ name, description, clusterUuid: plan.clusterUuid, hostUuid: plan.hostUuid ?? null }));
      }
      model.progress.set(job.uuid, "45");
      model.after(model.timings.zstackClone, () => {
        // In the order in which they happen to end (docs/wire/zstack.md#s3-4).
        for (const vm of [...made].reverse()) {
          if (model.vms.has(vm.uuid)) entries.unshift(this.finishClone(plan, vm, whole !== "unattached"));
        }
        model.progress.set(job.uuid, "95");
        if (whole === "orphans" || whole === "unattached") {
          return fail(operationFailed("failed to attach the data volumes", NO_HOST));
        }
        if (whole === "timeout") {
          return fail(TIMED_OUT);
        }
        if (whole === "stuck") {
          job.stuck = true;
          return;
        }
        const cloned = entries.filter((entry) => !("error" in entry)).length;
        const result = { numberOfClonedVm: cloned, inventories: entries };
        end(() => ({ status: 200, body: { result, success: true } }));
        if (whole === "purged") model.jobs.delete(job.uuid);
      });
    });
  }

  private finishClone(plan: ClonePlan, vm: ZStackVm, attach: boolean): Record<string, unknown> {
    const { model } = this;
    const failed = model.takeBehaviour(vm.name, ["start-failed", "start-failed-gone"]);
    if (failed) {
      const inventory = this.vmView(vm);
      // On ZSvirt a VM whose first start failed leaves the database (docs/wire/zstack.md#s3-4).
      if (failed === "start-failed-gone") model.removeVm(vm.uuid);
      const error = {
        code: "VM.1001",
        description: "Unable to start a vm",
        details: "failed to start VM",
        opaque: { "vm.uuid": vm.uuid },
        causes: [NO_HOST],
      };
      return { error: this.localised(error), inventory };
    }
    if (plan.strategy === "JustCreate") return { inventory: this.vmView(vm) };
    model.furnish(vm, plan.rootStorage, [...plan.rootTags]);
    if (plan.full && attach) {
      for (const disk of model.volumesOf(plan.source.uuid, "Data")) {
        model.addVolume({
          name: `${disk.name}-clone`,
          description: `for-clone-vm-${plan.source.uuid}-volume-${disk.uuid}`,
          type: "Data",
          size: disk.size,
          vmInstanceUuid: vm.uuid,
          systemTags: [...plan.dataTags],
          ...(plan.dataStorage ? { primaryStorageUuid: plan.dataStorage } : {}),
        });
      }
    }
    vm.state = plan.strategy === "InstantStart" ? "Running" : "Stopped";
    if (vm.state === "Stopped") vm.hostUuid = null;
    vm.changedMs = model.clock.nowMs();
    return { inventory: this.vmView(vm) };
  }

  // ---- VMs ------------------------------------------------------------------------------------------------------

  private updateVm(row: ZStackVm, fields: Record<string, unknown>): unknown {
    const { name, description } = fields;
    if (typeof name === "string") {
      const taken = [...this.model.vms.values()].some((other) => other !== row && other.name === name);
      if (this.model.settings.uniqueVmName && taken) throw new Failure(operationFailed(`the name ${name} is taken`));
      row.name = name.trimEnd();
    }
    if (typeof description === "string") row.description = description;
    row.changedMs = this.model.clock.nowMs();
    return { inventory: this.vmView(row) };
  }

  private move(row: ZStackVm, from: readonly string[], to: string): unknown {
    if (!from.includes(row.state)) throw new Failure(wrongState(row, `${to}VmInstanceMsg`, from));
    if (to === "Running" && row.rootVolumeUuid === null) this.model.furnish(row);
    row.state = to;
    row.hostUuid = to === "Running" ? (row.lastHostUuid ?? ZSTACK_SEED.host) : null;
    row.changedMs = this.model.clock.nowMs();
    return { inventory: this.vmView(row) };
  }

  /**
   * Policy Delay: the row stays and says Destroyed, data volumes are detached and kept (docs/wire/zstack.md#destroy).
   */
  private destroy({ params }: Context): Work {
    const { model } = this;
    const row = model.vms.get(params.uuid ?? "");
    if (!row) {
      // Idempotent, if only the uuid is one: a version 4 UUID's digits (successIfResourceNotExisting).
      if (!/^[0-9a-f]{12}[1-5][0-9a-f]{3}[89ab][0-9a-f]{15}$/.test(params.uuid ?? "")) this.vm(params.uuid);
      return { ms: 0, run: () => ({}) };
    }
    if (/^(Starting|Stopping|Rebooting|Migrating|Pausing|Resuming)$/.test(row.state)) {
      throw new Failure(
        wrongState(row, "DestroyVmInstanceMsg", ["Running", "Stopped", "Paused", "Unknown", "Created"]),
      );
    }
    if (row.state !== "Destroyed") {
      const before = row.state;
      return {
        ms: model.timings.zstackAction,
        begin: () => model.beginDestroy(row),
        run: () => {
          if (before === "Created") model.removeVm(row.uuid);
          row.state = "Destroyed";
          row.hostUuid = null;
          for (const volume of model.volumesOf(row.uuid, "Data")) {
            model.detach(volume);
            if (model.settings.deleteDataVolumes) volume.status = "Deleted";
          }
          return {};
        },
      };
    }
    return { ms: 0, run: () => ({}) };
  }

  private expunge(row: ZStackVm): unknown {
    if (row.state !== "Destroyed") throw new Failure(wrongState(row, "ExpungeVmMsg", ["Destroyed"]));
    this.model.removeVm(row.uuid);
    return {};
  }

  private quickMs(): number {
    return this.model.timings.zstackQuick ?? 0;
  }

  private globalConfigs(): object[] {
    const { deleteDataVolumes, uniqueVmName } = this.model.settings;
    const row = (name: string, value: boolean) => ({
      category: "vm",
      name,
      value: String(value),
      defaultValue: "false",
    });
    return [row("dataVolume.deleteOnVmDestroy", deleteDataVolumes), row("uniqueVmName", uniqueVmName)];
  }

  /** From a running VM the guest has to give it back (APIDetachDataVolumeFromVmMsg). */
  private detach(uuid: string | undefined): Work {
    const { model } = this;
    const volume = model.volumes.get(uuid ?? "");
    if (!volume) throw new Failure(notFound("uuid", uuid ?? "", "VolumeVO"));
    return {
      ms: this.quickMs(),
      run: () => {
        const vm = model.vms.get(volume.vmInstanceUuid ?? "");
        if (vm?.state === "Running" && !model.settings.hotUnplug) {
          throw new Failure(operationFailed("the guest does not give the volume back"));
        }
        if (vm && !["Running", "Stopped", "Paused", "Destroyed"].includes(vm.state)) {
          throw new Failure(wrongState(vm, "DetachDataVolumeFromVmMsg", ["Running", "Stopped", "Paused"]));
        }
        model.detach(volume);
        return { inventory: this.volumeView(volume) };
      },
    };
  }

  private volumeWork(uuid: string | undefined, run: (row: ZStackVolume) => void): Work {
    return {
      ms: this.quickMs(),
      run: () => {
        const row = this.model.volumes.get(uuid ?? "");
        if (row) run(row);
        return {};
      },
    };
  }

  private createTag({ fields }: Context): Work {
    const { resourceType, resourceUuid, tag } = fields;
    if (typeof resourceType !== "string" || typeof resourceUuid !== "string" || typeof tag !== "string") {
      throw new Failure(invalidArgument("resourceType, resourceUuid and tag are mandatory"));
    }
    const rows = resourceType === "VolumeVO" ? this.model.volumes : this.model.vms;
    if (!rows.has(resourceUuid)) throw new Failure(notFound("resourceUuid", resourceUuid, resourceType));
    return {
      ms: this.quickMs(),
      run: () => {
        const same = [...this.model.tags.values()].some((one) => one.resourceUuid === resourceUuid && one.tag === tag);
        if (same) throw new Failure({ code: "TAG.1000", description: "Duplicated tag", details: "duplicated tag" });
        const row: ZStackTag = { uuid: this.model.uuid("tag"), resourceType, resourceUuid, tag };
        this.model.tags.set(row.uuid, row);
        return { inventory: { ...row, type: "User" } };
      },
    };
  }

  private vm(uuid: string | undefined, field = "uuid"): ZStackVm {
    const row = this.model.vms.get(uuid ?? "");
    if (!row) throw new Failure(notFound(field, uuid ?? "", "VmInstanceVO"));
    return row;
  }

  // ---- answers --------------------------------------------------------------------------------------------------

  /**
   * Conditions as RestServer takes them apart: the first operator of its list that is anywhere in it
   * (docs/wire/zstack.md#query-gotchas).
   */
  private query<Row extends object>(
    request: EmulatorRequest,
    rows: readonly Row[],
    view: (row: Row) => unknown,
  ): Reply {
    const conditions = request.query.getAll("q").map(readCondition);
    const found = (this.model.settings.revoked ? [] : rows).filter((row) =>
      conditions.every(({ field, operator, value }) => {
        const own: unknown = field === "__userTag__" ? undefined : Reflect.get(row, field);
        if (field === "__userTag__") {
          const tags = this.model.tagsOf(String(Reflect.get(row, "uuid")));
          return tags.some((tag) => holds(tag, operator, value));
        }
        return holds(own, operator, value);
      }),
    );
    const sort = request.query.get("sort") ?? "";
    const key = sort.slice(1);
    if (key !== "") {
      const sign = sort.startsWith("-") ? -1 : 1;
      found.sort((a, b) => sign * String(Reflect.get(a, key)).localeCompare(String(Reflect.get(b, key))));
    }
    const start = Number(request.query.get("start") ?? 0);
    const limit = Number(request.query.get("limit") ?? 1000);
    const page = found.slice(start, start + limit).map(view);
    return this.reply(200, { inventories: page, schema: schemaOf(page.length) });
  }

  private vmView(row: ZStackVm): Record<string, unknown> {
    const { nics, createdMs, changedMs, ...plain } = row;
    return {
      ...plain,
      platform: "Linux",
      architecture: "x86_64",
      hypervisorType: "KVM",
      cpuSpeed: 0,
      allocatorStrategy: "LastHostPreferredAllocatorStrategy",
      createDate: gsonDate(createdMs),
      lastOpDate: gsonDate(changedMs),
      vmNics: nics.map((nic, deviceId) => ({
        ...nic,
        vmInstanceUuid: row.uuid,
        netmask: "255.255.255.0",
        gateway: "192.168.10.1",
        deviceId,
        type: "VNIC",
      })),
      allVolumes: this.model.volumesOf(row.uuid).map((volume) => this.volumeView(volume)),
      vmCdRoms: [],
    };
  }

  private volumeView(row: ZStackVolume): Record<string, unknown> {
    const { systemTags: _, createdMs, ...plain } = row;
    return {
      ...plain,
      actualSize: Math.round(row.size / 5),
      format: "qcow2",
      state: "Enabled",
      isShareable: false,
      createDate: gsonDate(createdMs),
      lastOpDate: gsonDate(createdMs),
    };
  }

  /** Texts in the server's language; the codes are the same in all (docs/wire/zstack.md#s2-8). */
  private localised(error: ZStackError): ZStackError {
    if (this.model.settings.locale === "en_US") return error;
    const said = ZH[error.code] ?? "操作失败";
    return {
      ...error,
      description: said,
      details: `错误信息: ${said}`,
      ...(error.cause ? { cause: this.localised(error.cause) } : {}),
      ...(error.causes ? { causes: error.causes.map((one) => this.localised(one)) } : {}),
    };
  }

  private knows(version: string): boolean {
    return atLeast(this.model.settings.version, version);
  }

  /**
   * No Content-Type; null fields left out; HTML-escaped; numbers as doubles where the mode says so
   * (docs/wire/zstack.md#s2-6, #s2-7).
   */
  private reply(status: number, body: unknown): Reply {
    const plain = JSON.stringify(withoutNulls(body));
    const escaped = plain.replace(/[<>&=']/g, (one) => `\\u00${one.charCodeAt(0).toString(16)}`);
    const floats = this.model.settings.floats;
    return { status, headers: COOKIE, body: floats ? escaped.replace(/([:[,])(\d+)(?=[,}\]])/g, asDouble) : escaped };
  }
}

interface ClonePlan {
  readonly source: ZStackVm;
  readonly names: readonly string[];
  readonly strategy: string;
  readonly full: boolean;
  readonly clusterUuid: string | null;
  readonly hostUuid: string | undefined;
  readonly rootStorage: string | undefined;
  readonly dataStorage: string | undefined;
  readonly rootTags: readonly string[];
  readonly dataTags: readonly string[];
}

const PLACES: Readonly<Record<"zones" | "primary-storage" | "l3-networks", readonly object[]>> = {
  zones: [{ uuid: ZSTACK_SEED.zone, name: "zone" }],
  "primary-storage": [{ uuid: ZSTACK_SEED.primaryStorage, name: "primary storage" }],
  "l3-networks": [{ uuid: ZSTACK_SEED.l3Network, name: "network", zoneUuid: ZSTACK_SEED.zone }],
};

/** Plain text with a status: what the REST layer itself refuses. */
class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** An error of the platform: JSON with 503, in the answer or in the job. */
class Failure extends Error {
  constructor(readonly error: ZStackError) {
    super(error.details);
  }
}

/** Tomcat's, which nobody needs (docs/wire/zstack.md#s2-6). */
const COOKIE = { "Set-Cookie": "JSESSIONID=0123456789ABCDEF; Path=/; HttpOnly" };

const NO_HOST: ZStackError = {
  code: "HOST_ALLOCATION.1000",
  description: "No available host found",
  details: "unable to allocate hosts, no host meets the following conditions: cpu=1 memoryCapacity=8589934592",
};

/** The server has stopped waiting, and whoever works goes on (docs/wire/zstack.md#s6). */
const TIMED_OUT: ZStackError = {
  code: "SYS.1001",
  description: "A message times out",
  details: "a message times out",
};

const ZH: Readonly<Record<string, string>> = {
  "ID.1000": "错误的帐号或密码。",
  "ID.1001": "session 已过期，或者提供了不正确的 session id。",
  "HOST_ALLOCATION.1000": "没有可用的物理机。",
  "SYS.1003": "找不到资源。",
  "SYS.1007": "参数不正确。",
};

function invalidArgument(details: string): ZStackError {
  return { code: "SYS.1007", description: "One or more API argument is invalid", details };
}

function operationFailed(details: string, cause?: ZStackError): ZStackError {
  return { code: "SYS.1006", description: "An operation failed", details, ...(cause ? { cause } : {}) };
}

function notFound(field: string, uuid: string, type: string): ZStackError {
  const details = `invalid field[${field}], resource[uuid:${uuid}, type:${type}] not found`;
  return { code: "SYS.1003", description: "A resource can not be found", details };
}

function wrongState({ state }: ZStackVm, message: string, allowed: readonly string[]): ZStackError {
  const details = `current vm instance state[${state}] doesn't allow to proceed message[org.zstack.header.vm.${message}], allowed states are [${allowed.join(", ")}]`;
  const description = "VM is not in state that allows required operation";
  return operationFailed(details, { code: "VM.1010", description, details });
}

const OPERATORS = ["!=", ">=", "<=", "!?=", "!~=", "~=", "?=", "=", ">", "<", "is null", "not null"];

interface Condition {
  field: string;
  operator: string;
  value: string;
}

function readCondition(text: string): Condition {
  const operator = OPERATORS.find((one) => text.includes(one));
  if (operator === undefined) {
    throw new Refusal(
      400,
      `Invalid query parameter. The '${text}' in the parameter[q] doesn't contain any query operator${OPERATORS.join(",")}`,
    );
  }
  const at = text.indexOf(operator);
  return { field: text.slice(0, at).trim(), operator, value: text.slice(at + operator.length) };
}

function holds(own: unknown, operator: string, value: string): boolean {
  const mine = own === null || own === undefined ? undefined : String(own);
  switch (operator) {
    case "=":
      return mine?.toLowerCase() === value.toLowerCase();
    case "!=":
      return mine?.toLowerCase() !== value.toLowerCase();
    case "?=":
      return mine !== undefined && value.split(",").includes(mine);
    case "!?=":
      return mine === undefined || !value.split(",").includes(mine);
    case "~=":
      return mine !== undefined && like(value).test(mine);
    case "!~=":
      return mine === undefined || !like(value).test(mine);
    case "is null":
      return mine === undefined;
    case "not null":
      return mine !== undefined;
    default:
      return false;
  }
}

/** SQL's LIKE, case-blind as MySQL's default collation. */
function like(pattern: string): RegExp {
  const escaped = pattern
    .replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
    .replaceAll("%", ".*")
    .replaceAll("_", ".");
  return new RegExp(`^${escaped}$`, "is");
}

function text(status: number, body: string): Reply {
  return { status, headers: COOKIE, body };
}

/** Not HTML-escaped, unlike the others (docs/wire/zstack.md#s2-7). */
function fault(error: ZStackError): Reply {
  return { status: 503, headers: COOKIE, body: JSON.stringify(withoutNulls({ error })) };
}

function parse(body: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    throw new Refusal(500, "com.google.gson.stream.MalformedJsonException: Use JsonReader.setLenient(true)");
  }
  if (!isObject(parsed)) throw new Refusal(500, "java.lang.IllegalStateException: Expected BEGIN_OBJECT");
  return parsed;
}

function actionName(body: string, actions: Readonly<Record<string, Action>>): string | undefined {
  try {
    const parsed: unknown = JSON.parse(body);
    return isObject(parsed) ? Object.keys(parsed).find((key) => Object.hasOwn(actions, key)) : undefined;
  } catch {
    return undefined;
  }
}

/** TypeVerifier.java: booleans are looked at, other types are Gson's to refuse (docs/wire/zstack.md#s9-9). */
function checkTypes(fields: Record<string, unknown>): void {
  const { full } = fields;
  if (full !== undefined && !/^(true|false)$/.test(String(full))) {
    throw new Refusal(
      400,
      `Invalid value for boolean field [full], [${String(full)}] is not a valid boolean string[true, false].`,
    );
  }
}

function strings(value: unknown, field: string): string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) {
    throw new Refusal(500, `java.lang.IllegalStateException: Expected BEGIN_ARRAY but was STRING at path $.${field}`);
  }
  return value.map(String);
}

function text32(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function schemaOf(count: number): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`inventories[${index}]`, "org.zstack.header.Inventory"]),
  );
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== null && inner !== undefined)
      .map(([key, inner]) => [key, withoutNulls(inner)]),
  );
}

/** `1.0`, `8.589934592E9`: Java's Double.toString. */
function asDouble(_all: string, before: string, digits: string): string {
  const number = Number(digits);
  if (number < 1e7) return `${before}${digits}.0`;
  const [mantissa = "", exponent] = number.toExponential().split("e+");
  return `${before}${mantissa.includes(".") ? mantissa : `${mantissa}.0`}E${exponent}`;
}

/** `Nov 14, 2017 10:20:57 PM`: Gson on JDK 8, the server's own time without a zone (docs/wire/zstack.md#s2-7). */
function gsonDate(ms: number): string {
  const date = new Date(ms);
  const month = date.toLocaleString("en-US", { month: "short", timeZone: "UTC" });
  const hours = date.getUTCHours();
  const two = (number: number) => String(number).padStart(2, "0");
  const clock = `${hours % 12 === 0 ? 12 : hours % 12}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`;
  return `${month} ${date.getUTCDate()}, ${date.getUTCFullYear()} ${clock} ${hours < 12 ? "AM" : "PM"}`;
}

function atLeast(version: string, wanted: string): boolean {
  const numbers = (one: string) => one.split(".").map(Number);
  const [mine, theirs] = [numbers(version), numbers(wanted)];
  for (let index = 0; index < theirs.length; index += 1) {
    const difference = (mine[index] ?? 0) - (theirs[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}
