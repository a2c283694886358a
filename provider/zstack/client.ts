// ZStack's REST API: login, signatures, jobs, and the calls that a set of clones needs. Names are the API's own. Nothing in
// this file waits for a job. The facts are in docs/wire/zstack.md.

import { createHash } from "node:crypto";
import type * as z from "zod";
import { isKind, registerSecret, SnapcloneError } from "../core/errors";
import { HttpClient, type HttpSettings } from "../core/http/client";
import type { HttpRequest, HttpResponse } from "../core/http/request";
import { Session } from "../core/session";
import { abortableSleep } from "../core/util/abort";
import { type Clock, systemClock } from "../core/util/clock";
import { responses, type TagRow, type VmRow, type VolumeRow } from "./answers";
import type { ZStackSettings } from "./connection";
import {
  DuplicateJob,
  type Fault,
  faultIn,
  isOfUnknownJob,
  isSessionLost,
  isSessionWanted,
  jobError,
  parseError,
  ZStackError,
} from "./errors";
import { serverDate, signature } from "./signature";

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

/** A request that the server has accepted. Only its job shows the outcome. */
export interface Submitted {
  /** The id under which the server knows the job. */
  job: string;
  /** The server's own deadline in milliseconds. Servers send it since 4.1.0 (docs/wire/zstack.md#s2-3). */
  apiTimeout?: number | undefined;
  /** The session that the request was sent with. */
  session?: string | undefined;
}

export type JobAnswer =
  | { is: "running" }
  | { is: "done"; body: unknown }
  | { is: "failed"; fault: Fault }
  /** ZStack does not know the job, or has purged it: its outcome is unknown (docs/wire/zstack.md#s2-4). */
  | { is: "gone" };

/** Collections of the infrastructure that a VM uses. Ordinary accounts may query them. */
type Infrastructure = "zones" | "primary-storage" | "l3-networks";

interface Call<T>
  extends Pick<HttpRequest<T>, "method" | "body" | "schema" | "accept" | "signal" | "idempotent" | "secretsIn"> {
  /** Below `/v1`, not encoded: it consists of ids and fixed words. */
  path: string;
  query?: URLSearchParams;
  headers?: Record<string, string>;
  /** Needs no login: job queries, logins, management-node actions (docs/wire/zstack.md#s2-4, #s3-9). */
  open?: true;
}

/** What a call that the server accepts may be answered with (docs/wire/zstack.md#s2-2). */
const ACCEPTED = [200, 201, 202, 204];

/**
 * Sessions live 7200 s from their last authorised call (docs/wire/zstack.md#s1-2); idle for less than this they are not
 * asked about.
 */
const TRUSTED_IDLE_MS = 20 * 60_000;
const PAGE = 1000;
const MALFORMED_PAUSES_MS = [250, 500];

interface Login {
  /** The session's uuid. */
  uuid: string;
  /** By the monotonic clock: when the session was last used. */
  usedAt: number;
}

export class ZStackClient {
  private readonly http: HttpClient;
  private readonly clock: Clock;
  private readonly session: Session<Login>;
  /** By job: the ends of calls that the server has answered at once, without a job. */
  private readonly ended = new Map<string, JobAnswer>();
  /** An answer has shown that the server does not take its job ids from the provider. So it can't know a call sent twice. */
  ignoresJobIds = false;

  constructor(
    private readonly settings: ZStackSettings,
    options: HttpSettings & { http?: HttpClient } = {},
  ) {
    this.clock = options.clock ?? systemClock;
    this.http = options.http ?? new HttpClient({ ...options, tls: settings.tls, clock: this.clock });
    this.session = new Session<Login>({
      clock: this.clock,
      operation: `log in at ${settings.base}`,
      logIn: (previous) => this.renewOrLogin(previous),
      isFresh: ({ usedAt }) => this.clock.now() - usedAt < TRUSTED_IDLE_MS,
    });
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
    const uuid = (await this.session.end())?.uuid;
    if (uuid !== undefined) await this.call({ method: "DELETE", path: `/accounts/sessions/${uuid}`, open: true });
  }

  // --- calls without a login

  async getVersion(signal?: AbortSignal): Promise<string> {
    const body = { getVersion: {} };
    const call = {
      method: "PUT",
      path: "/management-nodes/actions",
      body,
      schema: responses.version,
      open: true,
    } as const;
    return (await this.call({ ...call, signal })).body.version;
  }

  async getSupportAPIs(signal?: AbortSignal): Promise<readonly string[]> {
    const body = { getSupportAPIs: {} };
    const call = {
      method: "PUT",
      path: "/management-nodes/actions",
      body,
      schema: responses.apis,
      open: true,
    } as const;
    return (await this.call({ ...call, signal })).body.supportApis;
  }

  async queryJob(job: string, signal?: AbortSignal): Promise<JobAnswer> {
    const ended = this.ended.get(job);
    if (ended !== undefined) return ended;
    const path = `/api-jobs/${jobSegment(job)}`;
    const call = { method: "GET", path, schema: responses.ended, accept: [200, 202], open: true, signal } as const;
    try {
      const { status, body } = await this.callForJob(call);
      return status === 202 ? { is: "running" } : endOf(body);
    } catch (error) {
      if (!(error instanceof SnapcloneError)) throw error;
      const { status, message } = error.parts;
      // Some servers send an empty body instead of `{}`: the job runs all the same.
      if (isKind(error, "malformed") && status === 202) return { is: "running" };
      if (isOfUnknownJob(error, job)) return { is: "gone" };
      if (error instanceof ZStackError) return { is: "failed", fault: { codes: error.codes, message } };
      throw error;
    }
  }

  /**
   * ZStack itself does not look at the session here (docs/wire/zstack.md#s2-4-auth). Its SDK sends one, so a gateway in front
   * may want it: then a lost session says nothing of the job, and only its repetition with a new one does.
   */
  private async callForJob<T>(call: Call<T>): Promise<HttpResponse<T>> {
    const login = this.session.current;
    try {
      return await this.call(call, login);
    } catch (error) {
      if (this.settings.auth.method !== "account" || !(isSessionLost(error) || isSessionWanted(error))) throw error;
    }
    if (login !== undefined) this.session.drop(login);
    return this.call(call, await this.session.open(call.signal));
  }

  // --- queries

  /** Takes conditions such as `name=web`. A value must not contain an operator (docs/wire/zstack.md#query-gotchas). */
  queryVmInstances(conditions: readonly string[], signal?: AbortSignal): Promise<VmRow[]> {
    return this.query("/vm-instances", conditions, responses.vms, signal);
  }

  queryVolumes(conditions: readonly string[], signal?: AbortSignal): Promise<VolumeRow[]> {
    return this.query("/volumes", conditions, responses.volumes, signal);
  }

  queryUserTags(conditions: readonly string[], signal?: AbortSignal): Promise<TagRow[]> {
    return this.query("/user-tags", conditions, responses.tags, signal);
  }

  /** The uuids that this account can see: a query leaves out what belongs to other accounts. */
  async queryVisible(collection: Infrastructure, uuids: readonly string[], signal?: AbortSignal): Promise<string[]> {
    const rows = await this.query(`/${collection}`, [`uuid?=${uuids.join(",")}`], responses.uuids, signal);
    return rows.map(({ uuid }) => uuid).filter((uuid) => uuids.includes(uuid));
  }

  /** undefined if this account may not see the setting. */
  async globalConfig(category: string, name: string, signal?: AbortSignal): Promise<string | undefined> {
    const rows = await this.query(
      "/global-configurations",
      [`category=${category}`, `name=${name}`],
      responses.configs,
      signal,
      // They have no uuid, and the server refuses to sort by a field that there is not (docs/wire/zstack.md#query-fields).
      "id",
    );
    return rows.find((row) => row.name === name)?.value ?? undefined;
  }

  /**
   * The clone chain reports its progress in per cent (docs/wire/zstack.md#s3-8). This call needs authorization, so it also
   * keeps the session alive.
   */
  async progress(job: string, signal?: AbortSignal): Promise<string | undefined> {
    const path = `/task-progresses/${segment(job)}`;
    const { body } = await this.call({ method: "GET", path, schema: responses.progress, signal });
    return body.inventories.findLast(({ content }) => content)?.content ?? undefined;
  }

  // --- changes: the server accepts each with 202, under a job id that the provider chooses

  cloneVmInstance(
    uuid: string,
    request: CloneRequest,
    options: { job: string; timeoutSeconds?: number; systemTags?: readonly string[] },
  ): Promise<Submitted> {
    const { job, timeoutSeconds, systemTags = [] } = options;
    return this.submit(job, {
      method: "PUT",
      path: `/vm-instances/${segment(uuid)}/actions`,
      // System tags go beside the action only: this list overwrites one inside it (docs/wire/zstack.md#s3-2).
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

  /** Idempotent (docs/wire/zstack.md#destroy). The VM becomes `Destroyed` and can be recovered or expunged. */
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

  /** May be repeated: a second request for the same tag fails and adds nothing (docs/wire/zstack.md#tags). */
  createUserTag(resourceType: string, resourceUuid: string, tag: string, job: string): Promise<Submitted> {
    const body = { params: { resourceType, resourceUuid, tag } };
    return this.submit(job, { method: "POST", path: "/user-tags", body, idempotent: true });
  }

  deleteTag(uuid: string, job: string): Promise<Submitted> {
    return this.submit(job, { method: "DELETE", path: `/tags/${segment(uuid)}` });
  }

  /** A job ended by a lost session: the next request signs in anew, unless somebody has already done so. */
  forget(session: string | undefined): void {
    const { current } = this.session;
    if (current !== undefined && current.uuid === session) this.session.drop(current);
  }

  jobError(fault: Fault, job: string): ZStackError {
    return jobError(fault, job, this.settings);
  }

  private act(uuid: string, body: object, job: string): Promise<Submitted> {
    return this.submit(job, { method: "PUT", path: `/vm-instances/${segment(uuid)}/actions`, body });
  }

  private async submit(job: string, call: Omit<Call<unknown>, "accept" | "schema">): Promise<Submitted> {
    const headers = { ...call.headers, "x-job-uuid": job };
    const session = this.settings.auth.method === "account" ? (await this.session.open(call.signal)).uuid : undefined;
    try {
      const answer = await this.call({ ...call, headers, accept: ACCEPTED, schema: responses.anything });
      if (answer.status !== 202) return this.endAtOnce(job, endOf(answer.body), session);
      const parsed = responses.accepted.safeParse(answer.body);
      // Only the id of the location is usable: its host is the management node's internal one (docs/wire/zstack.md#s2-3).
      const location = parsed.data?.location ?? answer.headers.location ?? "";
      const id = /\/api-jobs\/([\w-]{1,64})\/?(?:\?|$)/.exec(location)?.[1] ?? job;
      if (id.toLowerCase() !== job.toLowerCase()) this.ignoresJobIds = true;
      return { job: id, apiTimeout: parsed.data?.apiTimeout, session };
    } catch (error) {
      const { status } = error instanceof SnapcloneError ? error.parts : {};
      if (status === 204) return this.endAtOnce(job, { is: "done", body: {} }, session);
      // The server has accepted the request, and its answer is unusable. The job has the id that the provider chose.
      if (status === 202) return { job, session };
      // An earlier attempt has arrived. Servers report that since 4.5.0 (docs/wire/zstack.md#s5, commit 32640b10).
      if (error instanceof DuplicateJob) return { job, session };
      throw error;
    }
  }

  /** There is no job to ask for. */
  private endAtOnce(job: string, end: JobAnswer, session: string | undefined): Submitted {
    this.ended.set(job, end);
    this.ignoresJobIds = true;
    return { job, session };
  }

  private async query<Row>(
    path: string,
    conditions: readonly string[],
    schema: z.ZodType<{ inventories: Row[]; total?: number | null | undefined }>,
    signal: AbortSignal | undefined,
    key = "uuid",
  ): Promise<Row[]> {
    const rows = new Map<string, Row>();
    for (let start = 0; ; ) {
      const query = new URLSearchParams([...conditions.map((condition): [string, string] => ["q", condition])]);
      query.set("limit", String(PAGE));
      query.set("start", String(start));
      query.set("sort", `-${key}`);
      query.set("replyWithCount", "true");
      const { inventories, total } = (await this.call({ method: "GET", path, query, schema, signal })).body;
      const before = rows.size;
      for (const row of inventories) rows.set(String(Reflect.get(Object(row), key) ?? JSON.stringify(row)), row);
      start += inventories.length;
      // A server may give fewer rows at once than it was asked for, or the same rows for ever.
      const isLast = inventories.length < PAGE && start >= (total ?? 0);
      if (isLast || rows.size === before) return [...rows.values()];
    }
  }

  /** Retries a GET whose 200 is malformed, as after a 502. */
  private async call<T>(call: Call<T>, login?: Login): Promise<HttpResponse<T>> {
    for (const pause of call.method === "GET" ? MALFORMED_PAUSES_MS : []) {
      try {
        return await this.callOnce(call, login);
      } catch (error) {
        if (!isKind(error, "malformed") || error.parts.status !== 200) throw error;
      }
      await abortableSleep(this.clock, pause, call.signal ?? undefined);
    }
    return this.callOnce(call, login);
  }

  /**
   * Logs in anew and sends once more what is refused because the session is lost: nothing was done. Of an accepted change, only
   * its job reports the lost session.
   */
  private async callOnce<T>(call: Call<T>, login: Login | undefined): Promise<HttpResponse<T>> {
    if (call.open || this.settings.auth.method === "accessKey") return this.send(call, login);
    return this.session.send((current) => this.send(call, current), call.signal, isSessionLost);
  }

  private async send<T>(call: Call<T>, login: Login | undefined): Promise<HttpResponse<T>> {
    const { path, query, headers, open: _open, ...request } = call;
    const uri = `/v1${path}`;
    let last: { status: number; fault: Fault | undefined; text: string } | undefined;
    try {
      const answer = await this.http.request<T>({
        ...request,
        url: `${this.settings.base}${uri}${query && query.size > 0 ? `?${query}` : ""}`,
        headers: { ...headers, ...this.authorization(call, uri, login?.uuid) },
        service: "ZStack",
        parseError: (raw) => {
          last = { status: raw.status, fault: faultIn(raw.json), text: raw.text };
          return parseError(raw, call, this.settings);
        },
      });
      if (login !== undefined) login.usedAt = this.clock.now();
      return answer;
    } catch (error) {
      // After a retry, `last` may be the answer of an earlier attempt.
      if (!(error instanceof SnapcloneError) || last === undefined || error.parts.status !== last.status) throw error;
      if (last.status === 400 && /^\W*Duplicate job uuid/.test(last.text)) throw new DuplicateJob(error.parts);
      throw last.fault ? new ZStackError(error.parts, last.fault.codes) : error;
    }
  }

  private authorization(call: Call<unknown>, uri: string, session: string | undefined): Record<string, string> {
    const { auth } = this.settings;
    if (auth.method === "account") return session === undefined ? {} : { authorization: `OAuth ${session}` };
    if (call.open && !call.path.startsWith("/api-jobs/")) return {};
    const date = serverDate(this.clock.date(), auth.timeZone);
    return { date, authorization: `ZStack ${auth.id}:${signature(auth.secret, call.method, date, uri)}` };
  }

  /** A login may end all other sessions of the account (`enable.unique.session`), so the previous one is tried first. */
  private async renewOrLogin(previous: Login | undefined): Promise<Login> {
    if (previous !== undefined) {
      const path = `/accounts/sessions/${previous.uuid}/valid`;
      // Without an answer to this question, a new login is as good.
      const body = await this.call({ method: "GET", path, schema: responses.valid, open: true }).then(
        (answer) => answer.body,
        (error: unknown) => {
          if (isKind(error, "transient", "stopped")) throw error;
          return { valid: false };
        },
      );
      if (body.valid) return Object.assign(previous, { usedAt: this.clock.now() });
    }
    const { auth } = this.settings;
    if (auth.method !== "account") throw new Error("an access key needs no session");
    const logInByAccount = { accountName: auth.accountName, password: sha512(auth.password) };
    const call = { method: "PUT", path: "/accounts/login", body: { logInByAccount }, open: true } as const;
    // The session's uuid, and the beginning of it in an answer that is cut off.
    const secretsIn = (text: string) => text.match(/[0-9a-f]{8,}/gi) ?? [];
    const { uuid } = (await this.call({ ...call, schema: responses.login, secretsIn })).body.inventory;
    registerSecret(uuid);
    return { uuid, usedAt: this.clock.now() };
  }
}

function segment(uuid: string): string {
  if (/^[0-9a-f]{32}$/i.test(uuid)) return uuid;
  throw new SnapcloneError({ kind: "input", message: `"${uuid}" is not a uuid of 32 hex digits` });
}

/** Servers may choose ids of other forms for jobs. */
function jobSegment(job: string): string {
  return /^[\w-]{1,64}$/.test(job) ? job : segment(job);
}

function endOf(body: unknown): JobAnswer {
  const fault = faultIn(body);
  return fault ? { is: "failed", fault } : { is: "done", body };
}

function sha512(text: string): string {
  return createHash("sha512").update(text, "utf8").digest("hex");
}
