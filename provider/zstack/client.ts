// ZStack's REST API: login, signatures, jobs, and the calls that a set of clones needs. Names are the API's own. Nothing in
// this file waits for a job. The facts are in docs/wire/zstack.md.

import { createHash } from "node:crypto";
import { z } from "zod";
import { isKind, registerSecret, SnapcloneError } from "../core/errors";
import { HttpClient, type HttpSettings } from "../core/http/client";
import type { HttpRequest, HttpResponse } from "../core/http/request";
import { Session } from "../core/session";
import { abortableSleep } from "../core/util/abort";
import { type Clock, systemClock } from "../core/util/clock";
import type { ZStackSettings } from "./connection";
import { DuplicateJob, type Fault, faultIn, hasCode, jobError, parseError, SESSION_LOST, ZStackError } from "./errors";
import { serverDate, signature } from "./signature";

/** Any other id would not fit into an address: it would be recorded and could never be found again. */
const uuidSchema = z.string().regex(/^[0-9a-f]{32}$/i, "not a uuid of 32 hex digits");
const optionalText = z.string().nullish();

const volumeSchema = z.looseObject({
  uuid: uuidSchema,
  name: optionalText,
  description: optionalText,
  type: optionalText,
  /** Some servers send a double (docs/wire/zstack.md#s2-7). */
  size: z.number().nullish(),
  primaryStorageUuid: optionalText,
  vmInstanceUuid: optionalText,
  lastVmInstanceUuid: optionalText,
  status: optionalText,
});

const vmSchema = z.looseObject({
  uuid: uuidSchema,
  name: z.string(),
  /** Usually one of docs/wire/zstack.md#states. A string, because versions add states. */
  state: z.string(),
  description: optionalText,
  type: optionalText,
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

const responses = {
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
  /** A job that has ended. Its fields depend on what the job did. */
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

/** A request that the server has accepted with 202. Only its job shows the outcome. */
export interface Submitted {
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
  /** Sent without authorization: job queries, logins, management-node actions (docs/wire/zstack.md#s2-4, #s3-9). */
  open?: true;
}

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
    const path = `/api-jobs/${segment(job)}`;
    const call = { method: "GET", path, schema: responses.ended, accept: [200, 202], open: true, signal } as const;
    try {
      const { status, body } = await this.call(call);
      if (status === 202) return { is: "running" };
      const fault = faultIn(body);
      return fault ? { is: "failed", fault } : { is: "done", body };
    } catch (error) {
      // Some servers send an empty body instead of `{}`: the job runs all the same.
      if (isKind(error, "malformed") && error.parts.status === 202) return { is: "running" };
      if (isKind(error, "notFound") && error.parts.status === 404) return { is: "gone" };
      if (error instanceof ZStackError)
        return { is: "failed", fault: { codes: error.codes, message: error.parts.message } };
      throw error;
    }
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
      const { body } = await this.call({ ...call, headers, accept: [202], schema: responses.anything });
      const parsed = responses.accepted.safeParse(body);
      // Only the id of the location is usable: its host is the management node's internal one (docs/wire/zstack.md#s2-3).
      const id = /\/api-jobs\/([0-9a-f]{32})$/i.exec(parsed.data?.location ?? "")?.[1];
      return { job: id ?? job, apiTimeout: parsed.data?.apiTimeout, session };
    } catch (error) {
      // The server has accepted the request, and its answer is unusable. The job has the id that the provider chose.
      if (error instanceof SnapcloneError && error.parts.status === 202) return { job, session };
      // An earlier attempt has arrived. Servers report that since 4.5.0 (docs/wire/zstack.md#s5, commit 32640b10).
      if (error instanceof DuplicateJob) return { job, session };
      throw error;
    }
  }

  private async query<Row>(
    path: string,
    conditions: readonly string[],
    schema: z.ZodType<{ inventories: Row[] }>,
    signal: AbortSignal | undefined,
    key = "uuid",
  ): Promise<Row[]> {
    const rows: Row[] = [];
    for (;;) {
      const query = new URLSearchParams([...conditions.map((condition): [string, string] => ["q", condition])]);
      query.set("limit", String(PAGE));
      query.set("start", String(rows.length));
      query.set("sort", `-${key}`);
      const { inventories } = (await this.call({ method: "GET", path, query, schema, signal })).body;
      rows.push(...inventories);
      if (inventories.length < PAGE) return rows;
    }
  }

  /** Retries a GET whose 200 is malformed, as after a 502. */
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

  /** Logs in anew and retries a GET once if the session is lost. For a change, only its job reports the lost session. */
  private async callOnce<T>(call: Call<T>): Promise<HttpResponse<T>> {
    if (call.open) return this.send(call, undefined);
    if (this.settings.auth.method === "accessKey") return this.send(call, undefined);
    const isLost = (error: unknown): error is SnapcloneError => hasCode(error, SESSION_LOST) && call.method === "GET";
    return this.session.send((login) => this.send(call, login), call.signal, isLost);
  }

  private async send<T>(call: Call<T>, login: Login | undefined): Promise<HttpResponse<T>> {
    const { path, query, headers, open, ...request } = call;
    const uri = `/v1${path}`;
    let last: { status: number; fault: Fault | undefined; text: string } | undefined;
    try {
      const answer = await this.http.request<T>({
        ...request,
        url: `${this.settings.base}${uri}${query && query.size > 0 ? `?${query}` : ""}`,
        headers: { ...headers, ...(open ? {} : this.authorization(call.method, uri, login?.uuid)) },
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

  private authorization(method: string, uri: string, session: string | undefined): Record<string, string> {
    const { auth } = this.settings;
    if (auth.method === "account") return { authorization: `OAuth ${session}` };
    const date = serverDate(this.clock.date(), auth.timeZone);
    return { date, authorization: `ZStack ${auth.id}:${signature(auth.secret, method, date, uri)}` };
  }

  /** A login may end all other sessions of the account (`enable.unique.session`), so the previous one is tried first. */
  private async renewOrLogin(previous: Login | undefined): Promise<Login> {
    if (previous !== undefined) {
      const path = `/accounts/sessions/${previous.uuid}/valid`;
      const { body } = await this.call({ method: "GET", path, schema: responses.valid, open: true });
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

function sha512(text: string): string {
  return createHash("sha512").update(text, "utf8").digest("hex");
}
