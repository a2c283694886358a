// ZStack's REST API on the wire: login, signatures, jobs, and the calls that a set of clones needs. Field names are the
// API's own; nothing here waits. The facts are in docs/wire/zstack.md.

import { createHash, createHmac } from "node:crypto";
import { z } from "zod";
import { type ErrorKind, type ErrorParts, isKind, registerSecret, SnapcloneError, truncate } from "../core/errors";
import {
  HttpClient,
  type HttpRequest,
  type HttpResponse,
  type ParsedError,
  type RawResponse,
} from "../core/http/client";
import type { Patience } from "../core/http/rateGate";
import { abortableSleep, withAbort } from "../core/util/abort";
import { type Clock, systemClock } from "../core/util/clock";
import { isRecord } from "../core/util/values";
import type { ZStackSettings } from "./connection";

/** What cannot stand in an address would be recorded and never be found again. */
const uuidSchema = z.string().regex(/^[0-9a-f]{32}$/i, "not a uuid of 32 hex digits");
const optionalText = z.string().nullish();

const volumeSchema = z.looseObject({
  uuid: uuidSchema,
  name: optionalText,
  type: optionalText,
  /** A double from some servers (docs/wire/zstack.md#s2-7). */
  size: z.number().nullish(),
  primaryStorageUuid: optionalText,
  vmInstanceUuid: optionalText,
  lastVmInstanceUuid: optionalText,
  status: optionalText,
});

const vmSchema = z.looseObject({
  uuid: uuidSchema,
  name: z.string(),
  /** Usually one of docs/wire/zstack.md#states; a string, since versions add their own. */
  state: z.string(),
  description: optionalText,
  zoneUuid: optionalText,
  clusterUuid: optionalText,
  hostUuid: optionalText,
  rootVolumeUuid: optionalText,
  vmNics: z
    .array(z.looseObject({ uuid: z.string(), l3NetworkUuid: optionalText, ip: optionalText, mac: optionalText }))
    .nullish(),
  allVolumes: z.array(volumeSchema).nullish(),
});

const tagSchema = z.looseObject({ uuid: uuidSchema, resourceUuid: z.string(), tag: z.string() });

const answers = {
  login: z.looseObject({ inventory: z.looseObject({ uuid: uuidSchema }) }),
  valid: z.looseObject({ valid: z.boolean() }),
  version: z.looseObject({ version: z.string() }),
  apis: z.looseObject({ supportApis: z.array(z.string()) }),
  vms: z.looseObject({ inventories: z.array(vmSchema) }),
  volumes: z.looseObject({ inventories: z.array(volumeSchema) }),
  tags: z.looseObject({ inventories: z.array(tagSchema) }),
  uuids: z.looseObject({ inventories: z.array(z.looseObject({ uuid: uuidSchema })) }),
  configs: z.looseObject({ inventories: z.array(z.looseObject({ name: z.string(), value: optionalText })) }),
  progress: z.looseObject({ inventories: z.array(z.looseObject({ content: z.string().nullish() })) }),
  accepted: z.looseObject({ location: z.string().optional(), apiTimeout: z.number().optional() }),
  /** Of a job that has ended: what it was decides what is in it. */
  ended: z.looseObject({}),
  anything: z.unknown(),
};

export type VmRow = z.infer<typeof vmSchema>;
export type VolumeRow = z.infer<typeof volumeSchema>;
export type TagRow = z.infer<typeof tagSchema>;

export interface CloneRequest {
  names: readonly string[];
  strategy?: string | undefined;
  full?: boolean | undefined;
  primaryStorageUuidForRootVolume?: string | undefined;
  primaryStorageUuidForDataVolume?: string | undefined;
  rootVolumeSystemTags?: readonly string[] | undefined;
  dataVolumeSystemTags?: readonly string[] | undefined;
  clusterUuid?: string | undefined;
  hostUuid?: string | undefined;
}

/** A request that the server has taken on (202). What becomes of it only its job tells. */
export interface Submitted {
  job: string;
  /** The server's own deadline for it, in milliseconds; since 4.1.0 (docs/wire/zstack.md#s2-3). */
  apiTimeout?: number | undefined;
  /** The session it was sent with. */
  session?: string | undefined;
}

export type JobAnswer =
  | { is: "running" }
  | { is: "done"; body: unknown }
  | { is: "failed"; fault: Fault }
  /** Unknown or purged: that says nothing of its outcome (docs/wire/zstack.md#s2-4). */
  | { is: "gone" };

/** An error of ZStack's own: `code` is what it is matched by; `details` may be Chinese (docs/wire/zstack.md#s2-8). */
export interface Fault {
  /** Its own, its causes', in any depth. */
  codes: readonly string[];
  message: string;
}

export class ZStackError extends SnapcloneError {
  constructor(
    parts: ErrorParts,
    readonly codes: readonly string[],
  ) {
    super(parts);
  }

  override withOperation(operation: string, hint?: string): ZStackError {
    return new ZStackError(
      { ...this.parts, operation: this.parts.operation ?? operation, hint: this.parts.hint ?? hint },
      this.codes,
    );
  }
}

export function hasCode(error: unknown, code: string): boolean {
  return error instanceof ZStackError && error.codes.includes(code);
}

/** The session was lost: nothing was carried out, since an interceptor turned it away (docs/wire/zstack.md#s1-3). */
export const SESSION_LOST = "ID.1001";
const NOT_FOUND = "SYS.1003";
/** A message timed out or got lost on its way to an agent: the work may go on for hours (docs/wire/zstack.md#s6). */
const OUTCOME_UNKNOWN = /^SYS\.(1001|1011|1015|1016)$/;

export function isOutcomeUnknown({ codes }: Pick<Fault, "codes">): boolean {
  return codes.some((code) => OUTCOME_UNKNOWN.test(code));
}

/** What a VM is placed in. Queries of these are open to ordinary accounts. */
export const BASE_PATHS = ["zones", "primary-storage", "l3-networks"] as const;

interface Call<T>
  extends Pick<HttpRequest<T>, "method" | "body" | "schema" | "accept" | "signal" | "idempotent" | "secretsIn"> {
  /** Below `/v1`, plain: ids and fixed words. */
  path: string;
  query?: URLSearchParams;
  headers?: Record<string, string>;
  /**
   * OperationContext queries, logins and management-node actions take no authorization (docs/wire/zstack.md#s2-4,
   * #s3-9).
   */
  open?: true;
}

/**
 * Sessions live 7200 s from their last authorised call (docs/wire/zstack.md#s1-2); idle for less than this they are not
 * asked about.
 */
const TRUSTED_IDLE_MS = 20 * 60_000;
/** A wrong password stays wrong: with each login, a captcha comes nearer (docs/wire/zstack.md#s1-1). */
const LOGIN_FAILED_MS = 30_000;
const PAGE = 1000;
const MALFORMED_PAUSES_MS = [250, 500];

export class ZStackClient {
  private readonly http: HttpClient;
  private readonly clock: Clock;
  private session: { uuid: string; usedAt: number } | undefined;
  private entering: Promise<string> | undefined;
  private failed: { error: SnapcloneError; until: number } | undefined;

  constructor(
    private readonly settings: ZStackSettings,
    options: { http?: HttpClient; clock?: Clock; patience?: () => Patience } = {},
  ) {
    this.clock = options.clock ?? systemClock;
    const { patience } = options;
    this.http =
      options.http ?? new HttpClient({ tls: settings.tls, clock: this.clock, ...(patience ? { patience } : {}) });
    const { auth } = settings;
    if (auth.method === "account") {
      registerSecret(auth.password);
      registerSecret(sha512(auth.password));
    } else registerSecret(auth.secret);
  }

  async close(): Promise<void> {
    await this.http.close();
  }

  /** What time it is at the management node; undefined before its first dated answer. */
  serverTime(): Date | undefined {
    return this.http.serverTime(this.settings.base);
  }

  /** An account may have 500 sessions, and they live for two hours (docs/wire/zstack.md#s1-2): none is left behind. */
  async logOut(): Promise<void> {
    const uuid = this.session?.uuid;
    this.session = undefined;
    if (uuid !== undefined) await this.call({ method: "DELETE", path: `/accounts/sessions/${uuid}`, open: true });
  }

  // --- what can be asked without a login

  async getVersion(signal?: AbortSignal): Promise<string> {
    const body = { getVersion: {} };
    const call = {
      method: "PUT",
      path: "/management-nodes/actions",
      body,
      schema: answers.version,
      open: true,
    } as const;
    return (await this.call({ ...call, signal })).body.version;
  }

  async getSupportAPIs(signal?: AbortSignal): Promise<readonly string[]> {
    const body = { getSupportAPIs: {} };
    const call = { method: "PUT", path: "/management-nodes/actions", body, schema: answers.apis, open: true } as const;
    return (await this.call({ ...call, signal })).body.supportApis;
  }

  async queryJob(job: string, signal?: AbortSignal): Promise<JobAnswer> {
    const path = `/api-jobs/${segment(job)}`;
    const call = { method: "GET", path, schema: answers.ended, accept: [200, 202], open: true, signal } as const;
    try {
      const { status, body } = await this.call(call);
      if (status === 202) return { is: "running" };
      const fault = faultIn(body);
      return fault ? { is: "failed", fault } : { is: "done", body };
    } catch (error) {
      // An empty body where `{}` belongs: running all the same.
      if (isKind(error, "malformed") && error.parts.status === 202) return { is: "running" };
      if (isKind(error, "notFound") && error.parts.status === 404) return { is: "gone" };
      if (error instanceof ZStackError)
        return { is: "failed", fault: { codes: error.codes, message: error.parts.message } };
      throw error;
    }
  }

  // --- queries

  /** Conditions such as `name=web`: a value must not hold an operator (docs/wire/zstack.md#query-gotchas). */
  queryVmInstances(conditions: readonly string[], signal?: AbortSignal): Promise<VmRow[]> {
    return this.query("/vm-instances", conditions, answers.vms, signal);
  }

  queryVolumes(conditions: readonly string[], signal?: AbortSignal): Promise<VolumeRow[]> {
    return this.query("/volumes", conditions, answers.volumes, signal);
  }

  queryUserTags(conditions: readonly string[], signal?: AbortSignal): Promise<TagRow[]> {
    return this.query("/user-tags", conditions, answers.tags, signal);
  }

  /** Which of these this account can see: a query leaves out what belongs to others. */
  async queryPlaces(
    place: (typeof BASE_PATHS)[number],
    uuids: readonly string[],
    signal?: AbortSignal,
  ): Promise<string[]> {
    const rows = await this.query(`/${place}`, [`uuid?=${uuids.join(",")}`], answers.uuids, signal);
    return rows.map(({ uuid }) => uuid).filter((uuid) => uuids.includes(uuid));
  }

  /** undefined where this account may not see it. */
  async globalConfig(category: string, name: string, signal?: AbortSignal): Promise<string | undefined> {
    const rows = await this.query(
      "/global-configurations",
      [`category=${category}`, `name=${name}`],
      answers.configs,
      signal,
    );
    return rows.find((row) => row.name === name)?.value ?? undefined;
  }

  /**
   * The clone chain reports per cent (docs/wire/zstack.md#s3-8). It is an authorised call, so it also keeps the session
   * alive.
   */
  async progress(job: string, signal?: AbortSignal): Promise<string | undefined> {
    const path = `/task-progresses/${segment(job)}`;
    const { body } = await this.call({ method: "GET", path, schema: answers.progress, signal });
    return body.inventories.findLast(({ content }) => content)?.content ?? undefined;
  }

  // --- what changes something: each is taken on with 202, under a job id of our choice

  cloneVmInstance(
    uuid: string,
    request: CloneRequest,
    options: { job: string; timeoutSeconds?: number; systemTags?: readonly string[] },
  ): Promise<Submitted> {
    const { job, timeoutSeconds, systemTags = [] } = options;
    return this.submit(job, {
      method: "PUT",
      path: `/vm-instances/${segment(uuid)}/actions`,
      // At one place only: the outer list overwrites an inner one (docs/wire/zstack.md#s3-2).
      body: { cloneVmInstance: request, ...(systemTags.length > 0 ? { systemTags } : {}) },
      headers: timeoutSeconds === undefined ? {} : { "x-api-timeout": String(timeoutSeconds) },
      idempotent: false,
    });
  }

  updateVmInstance(uuid: string, changes: { name?: string; description?: string }, job: string): Promise<Submitted> {
    return this.act(uuid, { updateVmInstance: changes }, job);
  }

  startVmInstance(uuid: string, job: string): Promise<Submitted> {
    return this.act(uuid, { startVmInstance: {} }, job);
  }

  resumeVmInstance(uuid: string, job: string): Promise<Submitted> {
    return this.act(uuid, { resumeVmInstance: {} }, job);
  }

  stopVmInstance(uuid: string, type: "grace" | "cold", job: string): Promise<Submitted> {
    return this.act(uuid, { stopVmInstance: { type } }, job);
  }

  /** Idempotent (docs/wire/zstack.md#destroy). It leaves the VM `Destroyed`, to be recovered or expunged. */
  destroyVmInstance(uuid: string, job: string): Promise<Submitted> {
    const query = new URLSearchParams({ deleteMode: "Permissive" });
    return this.submit(job, { method: "DELETE", path: `/vm-instances/${segment(uuid)}`, query });
  }

  expungeVmInstance(uuid: string, job: string): Promise<Submitted> {
    return this.act(uuid, { expungeVmInstance: {} }, job);
  }

  deleteDataVolume(uuid: string, job: string): Promise<Submitted> {
    const query = new URLSearchParams({ deleteMode: "Permissive" });
    return this.submit(job, { method: "DELETE", path: `/volumes/${segment(uuid)}`, query });
  }

  /** The VM may be running (the vendor's SDK, DetachDataVolumeFromVmAction). */
  detachDataVolume(uuid: string, vm: string, job: string): Promise<Submitted> {
    const query = new URLSearchParams({ vmUuid: vm });
    return this.submit(job, { method: "DELETE", path: `/volumes/${segment(uuid)}/vm-instances`, query });
  }

  expungeDataVolume(uuid: string, job: string): Promise<Submitted> {
    const path = `/volumes/${segment(uuid)}/actions`;
    return this.submit(job, { method: "PUT", path, body: { expungeDataVolume: {} } });
  }

  /** The same tag twice is one (TAG.1000), so it may be repeated. */
  createUserTag(resourceType: string, resourceUuid: string, tag: string, job: string): Promise<Submitted> {
    const body = { params: { resourceType, resourceUuid, tag } };
    return this.submit(job, { method: "POST", path: "/user-tags", body, idempotent: true });
  }

  deleteTag(uuid: string, job: string): Promise<Submitted> {
    return this.submit(job, { method: "DELETE", path: `/tags/${segment(uuid)}` });
  }

  /** A job ended by a lost session: the next request signs in anew, unless somebody has already done so. */
  forget(session: string | undefined): void {
    if (this.session?.uuid === session) this.session = undefined;
  }

  /** How an error of a job reads that has ended badly. */
  jobError(fault: Fault, job: string): ZStackError {
    const { kind, hint } = this.judge(fault.codes, "job");
    return new ZStackError({ kind, message: fault.message, hint, request: `job ${job}` }, fault.codes);
  }

  private act(uuid: string, body: object, job: string): Promise<Submitted> {
    return this.submit(job, { method: "PUT", path: `/vm-instances/${segment(uuid)}/actions`, body });
  }

  private async submit(job: string, call: Omit<Call<unknown>, "accept" | "schema">): Promise<Submitted> {
    const headers = { ...call.headers, "x-job-uuid": job };
    const session = this.settings.auth.method === "account" ? await this.enter(call.signal ?? undefined) : undefined;
    try {
      const { body } = await this.call({ ...call, headers, accept: [202], schema: answers.anything });
      const parsed = answers.accepted.safeParse(body);
      // Of the location only the id: its host is the management node's internal one (docs/wire/zstack.md#s2-3).
      const id = /\/api-jobs\/([0-9a-f]{32})$/i.exec(parsed.data?.location ?? "")?.[1];
      return { job: id ?? job, apiTimeout: parsed.data?.apiTimeout, session };
    } catch (error) {
      // AcceptedOperation, and the rest of the answer is lost: the id was ours to begin with.
      if (error instanceof SnapcloneError && error.parts.status === 202) return { job, session };
      // It has arrived before; since 4.5.0 the server says so (docs/wire/zstack.md#s5, commit 32640b10).
      if (error instanceof DuplicateJob) return { job, session };
      throw error;
    }
  }

  private async query<Row>(
    path: string,
    conditions: readonly string[],
    schema: z.ZodType<{ inventories: Row[] }>,
    signal: AbortSignal | undefined,
  ): Promise<Row[]> {
    const rows: Row[] = [];
    for (;;) {
      const query = new URLSearchParams([...conditions.map((condition): [string, string] => ["q", condition])]);
      query.set("limit", String(PAGE));
      query.set("start", String(rows.length));
      query.set("sort", "-uuid");
      const { inventories } = (await this.call({ method: "GET", path, query, schema, signal })).body;
      rows.push(...inventories);
      if (inventories.length < PAGE) return rows;
    }
  }

  /** A question with an answer that is none is asked again, as after a 502. */
  private async call<T>(call: Call<T>): Promise<HttpResponse<T>> {
    for (const pause of call.method === "GET" ? MALFORMED_PAUSES_MS : []) {
      try {
        return await this.callOnce(call);
      } catch (error) {
        if (!isKind(error, "malformed") || error.parts.status !== 200) throw error;
      }
      await abortableSleep(this.clock, pause, call.signal ?? undefined);
    }
    return this.callOnce(call);
  }

  /** One new login and one repetition where the session turns out to be lost; a job tells it later, and not here. */
  private async callOnce<T>(call: Call<T>): Promise<HttpResponse<T>> {
    if (call.open) return this.send(call, undefined);
    if (this.settings.auth.method === "accessKey") return this.send(call, undefined);
    const session = await this.enter(call.signal ?? undefined);
    try {
      return await this.send(call, session);
    } catch (error) {
      if (!hasCode(error, SESSION_LOST) || call.method !== "GET") throw error;
    }
    this.forget(session);
    return this.send(call, await this.enter(call.signal ?? undefined));
  }

  private async send<T>(call: Call<T>, session: string | undefined): Promise<HttpResponse<T>> {
    const { path, query, headers, open, ...request } = call;
    const uri = `/v1${path}`;
    let last: { status: number; fault: Fault | undefined; text: string } | undefined;
    try {
      const answer = await this.http.request<T>({
        ...request,
        url: `${this.settings.base}${uri}${query && query.size > 0 ? `?${query}` : ""}`,
        headers: { ...headers, ...(open ? {} : this.authorization(call.method, uri, session)) },
        service: "ZStack",
        parseError: (raw) => {
          last = { status: raw.status, fault: faultIn(raw.json), text: raw.text };
          return this.explain(raw, call);
        },
      });
      if (session !== undefined && this.session?.uuid === session) this.session.usedAt = this.clock.now();
      return answer;
    } catch (error) {
      // A repetition may have ended otherwise than the answer that was explained last.
      if (!(error instanceof SnapcloneError) || last === undefined || error.parts.status !== last.status) throw error;
      if (last.status === 400 && /^\W*Duplicate job uuid/.test(last.text)) throw new DuplicateJob(error.parts);
      throw last.fault ? new ZStackError(error.parts, last.fault.codes) : error;
    }
  }

  private authorization(method: string, uri: string, session: string | undefined): Record<string, string> {
    const { auth } = this.settings;
    if (auth.method === "account") return { authorization: `OAuth ${session}` };
    const date = serverDate(this.clock.date(), auth.timeZone);
    return { date, authorization: `ZStack ${auth.id}:${signature(auth.secret, method, date, uri)}` };
  }

  /** The session's uuid: one login for all who wait, and none while the present session lives. */
  private async enter(signal: AbortSignal | undefined): Promise<string> {
    const { session } = this;
    if (session && this.clock.now() - session.usedAt < TRUSTED_IDLE_MS) return session.uuid;
    this.entering ??= this.renewOrLogin(session?.uuid).finally(() => {
      this.entering = undefined;
    });
    return withAbort(this.entering, signal);
  }

  /** A login may log every other session of the account out (`enable.unique.session`): it is not asked for lightly. */
  private async renewOrLogin(old: string | undefined): Promise<string> {
    if (old !== undefined) {
      const call = {
        method: "GET",
        path: `/accounts/sessions/${old}/valid`,
        schema: answers.valid,
        open: true,
      } as const;
      if ((await this.call(call)).body.valid) {
        this.session = { uuid: old, usedAt: this.clock.now() };
        return old;
      }
    }
    if (this.failed && this.clock.now() < this.failed.until) throw this.failed.error;
    try {
      const { auth } = this.settings;
      if (auth.method !== "account") throw new Error("an access key needs no session");
      const logInByAccount = { accountName: auth.accountName, password: sha512(auth.password) };
      const call = { method: "PUT", path: "/accounts/login", body: { logInByAccount }, open: true } as const;
      // The session's uuid, and the beginning of it in an answer that is cut off.
      const secretsIn = (text: string) => text.match(/[0-9a-f]{8,}/gi) ?? [];
      const { uuid } = (await this.call({ ...call, schema: answers.login, secretsIn })).body.inventory;
      registerSecret(uuid);
      this.session = { uuid, usedAt: this.clock.now() };
      this.failed = undefined;
      return uuid;
    } catch (error) {
      if (!(error instanceof SnapcloneError)) throw error;
      const failure = error.withOperation(`log in at ${this.settings.base}`);
      if (!isKind(error, "transient", "malformed")) {
        this.failed = { error: failure, until: this.clock.now() + LOGIN_FAILED_MS };
      }
      throw failure;
    }
  }

  /** docs/wire/zstack.md#s2-6: ZStack's own errors are a 503 with JSON; everything else is plain text. */
  private explain({ status, json, text }: RawResponse, call: Call<unknown>): Partial<ParsedError> | undefined {
    const fault = faultIn(json);
    if (fault) {
      const of = call.path.startsWith("/api-jobs/") ? "job" : call.method === "GET" ? "question" : "request";
      return { message: fault.message, ...this.judge(fault.codes, of) };
    }
    if (status >= 300 && status < 400 && call.path === "/accounts/login") {
      return {
        kind: "config",
        message: "the address has moved",
        hint: `Credentials are not sent after a redirect. Set the address it leads to in ${this.settings.source}: often the same with https.`,
      };
    }
    if (/^\s*</.test(text)) return undefined;
    const words = text.trim() === "" ? {} : { message: `"${truncate(unescaped(text.trim()), 400)}"` };
    // Not ZStack's (docs/wire/zstack.md#s1-3): a gateway in front of it wants to know who asks.
    if (status === 401) return { ...words, hint: `The credentials come from ${this.settings.source}.` };
    // ZStack itself says 403 of access keys only (docs/wire/zstack.md#s1-4).
    if (status === 403 && this.settings.auth.method === "accessKey") {
      return { kind: "unauthorized", ...words, hint: this.keyRemedy() };
    }
    if (status === 404 && text.includes("the job has been expired")) return { kind: "notFound", ...words };
    if (status === 404) {
      return {
        kind: "config",
        ...words,
        hint: `Correct the address in ${this.settings.source}: http://<host>:8080/zstack.`,
      };
    }
    return status === 400 || status === 405 ? { kind: "refused", ...words } : undefined;
  }

  private keyRemedy(): string {
    const { auth, source } = this.settings;
    const zone = (auth.method === "accessKey" ? auth.timeZone : undefined) ?? "this machine's own";
    return [
      `The access key comes from ${source}. Check its id and secret, and that it is enabled.`,
      // rest/checkTimeZone is off by default: digits of the wall clock are compared, ±15 minutes
      // (docs/wire/zstack.md#s1-4).
      `ZStack compares the clock's digits with its own wall clock and ignores the zone: the time zone in use is ${zone}; set \`timeZone\` to the management node's (such as Asia/Shanghai).`,
      this.staleConfig(),
    ]
      .filter(Boolean)
      .join(" ");
  }

  private staleConfig(): string {
    // Seen on the real engine (docs/wire/pulumi-engine.md#rotation).
    return this.settings.sourceKind === "stackConfig"
      ? "`pulumi refresh` and `pulumi destroy` see the stack configuration of the last `pulumi up`: after a change of credentials run them with `--run-program`."
      : "";
  }

  /** docs/wire/zstack.md#s6, by code alone. The first code is the error's own. */
  private judge(codes: readonly string[], of: "question" | "request" | "job"): { kind: ErrorKind; hint?: string } {
    const has = (pattern: RegExp) => codes.some((code) => pattern.test(code));
    if (has(/^ID\.(1000|1001|1005|1006|2\d\d\d)$/)) {
      const known = Object.entries(LOGIN_HINTS).find(([code]) => codes.includes(code))?.[1] ?? "";
      const hint = [`The credentials come from ${this.settings.source}.`, known, this.staleConfig()];
      return { kind: "unauthorized", hint: hint.filter(Boolean).join(" ") };
    }
    if (has(/^ID\.1002$/)) {
      return { kind: "forbidden", hint: "The account's roles do not allow this. Ask an administrator." };
    }
    const kind: ErrorKind = of === "job" ? "failed" : "refused";
    // What a query does not find is an empty list (docs/wire/zstack.md#s9-5): of a question this code proves nothing.
    if (codes[0] === NOT_FOUND && of !== "question") return { kind: "notFound" };
    const hint = HINTS.find(([pattern]) => has(pattern))?.[1];
    const told = hint === undefined ? {} : { hint };
    // Not carried out, and it passes: the management node is starting, or its bus is.
    if (of !== "job" && has(/^SYS\.(1010|1011|1012|2111)$/)) return { kind: "transient", ...told };
    if (of === "question" && has(/^SYS\.(1000|1001|1015|1016)$/)) return { kind: "transient", ...told };
    return { kind, ...told };
  }
}

/** The server has seen this job id before. */
class DuplicateJob extends SnapcloneError {}

const LOGIN_HINTS: Readonly<Record<string, string>> = {
  "ID.1000": "ZStack gives one answer for an unknown account and a wrong password.",
  "ID.1005": "The account must change its password first, in ZStack's own interface.",
  "ID.1006": "The account has too many sessions: close some, or use an access key.",
};

const HINTS: readonly (readonly [RegExp, string])[] = [
  [/^ID\.1003$/, "The account's quota is full: remove what is no longer needed, or ask an administrator for more."],
  [/^HOST_ALLOCATION\./, "No host can take it: free processors or memory, add a host, or choose another cluster."],
  [/^PS\.1000$/, "The primary storage has no space left."],
  [/^PS\.1003$/, "The primary storage is not connected."],
  [/^L3\.1000$/, "The network has no free address."],
  [/^VM\.1010$/, "The VM is in a state that does not allow it. Run again when that has changed."],
  [/^LICENSE\./, "The licence does not allow it."],
  [/^SYS\.(1010|1011|1012|2111)$/, "The management node is not ready. Run again when it is."],
];

/**
 * `HMAC-SHA1(secret, METHOD \n Date \n URI)`; the URI is the decoded path without context path and query
 * (docs/wire/zstack.md#s1-4).
 */
export function signature(secret: string, method: string, date: string, uri: string): string {
  return createHmac("sha1", secret).update(`${method}\n${date}\n${uri}`).digest("base64");
}

/** `EEE, dd MMM yyyy HH:mm:ss z` with the digits of the server's wall clock. The zone as an offset: "CST" is several. */
export function serverDate(now: Date, timeZone: string | undefined): string {
  const minutes = offsetMinutes(now, timeZone);
  const shifted = new Date(now.getTime() + minutes * 60_000).toUTCString().replace(/ GMT$/, "");
  if (minutes === 0) return `${shifted} GMT`;
  const two = (number: number) => String(Math.floor(number)).padStart(2, "0");
  return `${shifted} GMT${minutes < 0 ? "-" : "+"}${two(Math.abs(minutes) / 60)}:${two(Math.abs(minutes) % 60)}`;
}

function offsetMinutes(now: Date, timeZone: string | undefined): number {
  if (timeZone === undefined) return -now.getTimezoneOffset();
  const fixed = /^([+-])(\d\d):(\d\d)$/.exec(timeZone);
  if (fixed) return (fixed[1] === "-" ? -1 : 1) * (Number(fixed[2]) * 60 + Number(fixed[3]));
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
  }).formatToParts(now);
  const part = (type: string) => Number(parts.find((one) => one.type === type)?.value);
  const wall = Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"));
  return Math.round((wall - Math.floor(now.getTime() / 60_000) * 60_000) / 60_000);
}

/** `{"error": {…}}` of a 503, of a job's 200, of an entry of a clone's result. `success: false` alone is an error, too. */
export function faultIn(body: unknown): Fault | undefined {
  if (!isRecord(body)) return undefined;
  if (isRecord(body.error)) return faultOf(body.error);
  return body.success === false
    ? { codes: [], message: "ZStack says that it did not succeed, and not why" }
    : undefined;
}

function faultOf(error: Record<string, unknown>): Fault {
  const chain: { code: string; text: string }[] = [];
  const walk = (one: unknown, depth: number) => {
    if (!isRecord(one) || depth > 20) return;
    const text = [one.details, one.description].find((words) => typeof words === "string" && words.trim() !== "");
    chain.push({ code: typeof one.code === "string" ? one.code : "", text: unescaped(String(text ?? "")).trim() });
    walk(one.cause, depth + 1);
    if (Array.isArray(one.causes)) for (const cause of one.causes) walk(cause, depth + 1);
  };
  walk(error, 0);
  const [own, ...causes] = chain;
  const deepest = causes.at(-1);
  const line = ({ code, text }: { code: string; text: string }) =>
    [code, truncate(text, 400)].filter(Boolean).join(": ");
  const cause = deepest && deepest.text !== own?.text ? line(deepest) : deepest?.code;
  const said = `${own && line(own) !== "" ? line(own) : "an error without a code"}${cause ? ` (cause: ${cause})` : ""}`;
  return { codes: chain.map(({ code }) => code).filter(Boolean), message: said };
}

/** Gson escapes for HTML (docs/wire/zstack.md#s2-7); JSON.parse has undone its \u003d, some layers add entities. */
function unescaped(text: string): string {
  const named: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(
    /&(?:#(\d+)|(lt|gt|quot|apos|amp));/g,
    (_all, code: string | undefined, name: string | undefined) =>
      code === undefined ? (named[name ?? ""] ?? "") : String.fromCodePoint(Math.min(Number(code), 0x10ffff)),
  );
}

function segment(uuid: string): string {
  if (/^[0-9a-f]{32}$/i.test(uuid)) return uuid;
  throw new SnapcloneError({ kind: "input", message: `"${uuid}" is not a uuid of 32 hex digits` });
}

function sha512(text: string): string {
  return createHash("sha512").update(text, "utf8").digest("hex");
}
