// The wire of ViPR Controller (CoprHD): one login, shared by everything that uses the connection, and a method for each
// call. JSON bodies are bare, without the root element that the API's documents show (docs/wire/vipr.md#s0-1).

import { z } from "zod";
import { isKind, registerSecret, SnapcloneError } from "../core/errors";
import {
  HttpClient,
  type HttpRequest,
  type HttpResponse,
  type ParsedError,
  type RawResponse,
} from "../core/http/client";
import type { Patience } from "../core/http/rateGate";
import { stopped, withAbort } from "../core/util/abort";
import { type Clock, systemClock } from "../core/util/clock";
import { isRecord } from "../core/util/values";
import type { ViprSettings } from "./connection";

/** `urn:storageos:<Type>:<uuid>:<vdc>`; older data end in a bare colon (docs/wire/vipr.md#urns). */
const URN = /^urn:storageos:[A-Za-z]+:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:[A-Za-z0-9]*$/i;

const urn = z.string().regex(URN, "is not a URN");
const reference = z.looseObject({ id: urn });
/**
 * A single object where a list is due: old servers' JSON, as ViPR's own test client allows for
 * (docs/wire/vipr.md#lists).
 */
const list = <T extends z.ZodType>(item: T) =>
  z.preprocess((value) => (isRecord(value) ? [value] : value), z.array(item));

const taskSchema = z.looseObject({
  id: urn,
  name: z.string().nullish(),
  description: z.string().nullish(),
  // New states are to be expected (docs/wire/vipr.md#s9).
  state: z.string(),
  progress: z.number().nullish(),
  message: z.string().nullish(),
  service_error: z
    .looseObject({ code: z.number(), description: z.string().nullish(), details: z.string().nullish() })
    .nullish(),
  allowed_operations: z.string().nullish(),
});

const sessionSchema = z.looseObject({
  id: urn,
  name: z.string(),
  inactive: z.boolean(),
  // A volume's session has a parent; a consistency group's has the group instead
  // (docs/wire/vipr.md#consistency-groups).
  parent: reference.nullish(),
  consistency_group: reference.nullish(),
  replication_group_instance: z.string().nullish(),
  // Never left out: an empty list is `[]` (docs/wire/vipr.md#lists), and a missing one must not look as if all were
  // unlinked.
  linked_targets: list(reference),
});

const snapshotSchema = z.looseObject({
  id: urn,
  name: z.string(),
  inactive: z.boolean(),
  tags: z.array(z.string()).default([]),
  // Not there while it is being provisioned (docs/wire/vipr.md#linked-target-model).
  wwn: z.string().nullish(),
  native_id: z.string().nullish(),
  // The volume that it is a copy of; and the group that this volume is in.
  parent: reference.nullish(),
  consistency_group: reference.nullish(),
  provisioned_capacity_gb: z.string().nullish(),
  // The name without what the array can't have, and without the volume's number in a consistency group
  // (docs/wire/vipr.md#names).
  snapset_label: z.string().nullish(),
  // Milliseconds since 1970 (docs/wire/vipr.md#s2, "Scalars"); set anew when it has been linked (docs/wire/vipr.md#s4).
  creation_time: z.number().nullish(),
});

const groupSchema = z.looseObject({ id: urn, name: z.string(), volumes: list(reference) });

const volumeSchema = z.looseObject({ id: urn, name: z.string(), inactive: z.boolean(), wwn: z.string().nullish() });

/** TenantResponse is a named reference; OpenStack's driver reads the `id` of it (helpers/tenant.py, `tenant_getid`). */
const tenantSchema = reference;

const oneTask = z.looseObject({ task: list(taskSchema).refine((tasks) => tasks.length > 0, "has no task") });
const searchResult = z.looseObject({
  resource: list(z.looseObject({ id: urn, match: z.string().nullish() })),
});
const bulk = <T extends z.ZodType>(schema: T) => list(schema);

export type Task = z.infer<typeof taskSchema>;
export type SnapshotSession = z.infer<typeof sessionSchema>;
export type LinkedTarget = z.infer<typeof snapshotSchema>;
export type ConsistencyGroup = z.infer<typeof groupSchema>;
export type Volume = z.infer<typeof volumeSchema>;

/** What a search shows: the id, and what of the thing has matched (its whole name). */
export interface Found {
  id: string;
  match?: string;
}

export interface NewLinkedTargets {
  count: number;
  target_name: string;
  copy_mode: string;
}

export interface UnlinkTarget {
  id: string;
  delete_target: boolean;
}

/** A server's limit is 4000 (TaggedResource, DEFAULT_MAX_BULK_SIZE); above it says 400/1031. */
const BULK = 1000;
/** How long an unreachable ViPR is left alone: a wave of callers fails with the first, the next poll tries anew. */
const UNREACHABLE_MS = 2_000;
/** The login's own header and the one that all other requests carry (docs/wire/vipr.md#token). */
const TOKEN = "x-sds-auth-token";

interface ViprRequest<T> extends Omit<HttpRequest<T>, "url" | "service"> {
  path: string;
  query?: Record<string, string>;
}

export class ViprClient {
  private readonly http: HttpClient;
  private readonly ownsHttp: boolean;
  private readonly clock: Clock;
  private token: string | undefined;
  private loggingIn: Promise<string> | undefined;
  private failed: { error: SnapcloneError; until: number } | undefined;

  constructor(
    private readonly settings: ViprSettings,
    options: { http?: HttpClient; clock?: Clock; patience?: () => Patience } = {},
  ) {
    this.clock = options.clock ?? systemClock;
    this.ownsHttp = options.http === undefined;
    const { patience } = options;
    this.http =
      options.http ?? new HttpClient({ tls: settings.tls, clock: this.clock, ...(patience ? { patience } : {}) });
    registerSecret(settings.password);
  }

  // --- snapshot sessions

  /** Inactive ones are shown until they are collected (docs/wire/vipr.md#s0-12): whoever asks looks at `inactive`. */
  async showSession(id: string, signal?: AbortSignal): Promise<SnapshotSession> {
    return this.get(`${SESSIONS}/${segment(id)}`, sessionSchema, signal);
  }

  /** Those that exist; others are left out without a word (docs/wire/vipr.md#visibility-of-deleted-things). */
  async bulkSessions(ids: readonly string[], signal?: AbortSignal): Promise<SnapshotSession[]> {
    const schema = z.looseObject({ block_snapshot_session: bulk(sessionSchema) });
    return this.inBulk(`${SESSIONS}/bulk`, ids, schema, (body) => body.block_snapshot_session, signal);
  }

  /** Ids of the sessions of a volume or of a consistency group. */
  async listSessions(source: string, signal?: AbortSignal): Promise<string[]> {
    const schema = z.looseObject({ snapshot_session: list(reference) });
    const path = `/block/${kindOfSource(source)}/${segment(source)}/protection/snapshot-sessions`;
    return (await this.get(path, schema, signal)).snapshot_session.map(({ id }) => id);
  }

  /** Of the last seven days, whatever became of them (docs/wire/vipr.md#related). */
  async listSessionTasks(id: string, signal?: AbortSignal): Promise<Task[]> {
    const schema = z.looseObject({ task: list(taskSchema) });
    return (await this.get(`${SESSIONS}/${segment(id)}/tasks`, schema, signal)).task;
  }

  /**
   * The answer is a list with one task (docs/wire/vipr.md#s0-3), which never tells the new targets
   * (docs/wire/vipr.md#s0-4).
   */
  async linkTargets(session: string, targets: NewLinkedTargets): Promise<Task> {
    const path = `${SESSIONS}/${segment(session)}/link-targets`;
    return firstOf(await this.post(path, { new_linked_targets: targets }, oneTask));
  }

  /** `session` is where they are to be linked, whatever they are linked to now. */
  async relinkTargets(session: string, ids: readonly string[]): Promise<Task> {
    return firstOf(await this.post(`${SESSIONS}/${segment(session)}/relink-targets`, { ids }, oneTask));
  }

  /**
   * The answer is a task, not in a list (docs/wire/vipr.md#s0-3). One bad id refuses all of them
   * (docs/wire/vipr.md#unlink).
   */
  async unlinkTargets(session: string, targets: readonly UnlinkTarget[]): Promise<Task> {
    return this.post(`${SESSIONS}/${segment(session)}/unlink-targets`, { linked_targets: targets }, taskSchema);
  }

  // --- linked targets

  async showTarget(id: string, signal?: AbortSignal): Promise<LinkedTarget> {
    return this.get(`/block/snapshots/${segment(id)}`, snapshotSchema, signal);
  }

  async bulkTargets(ids: readonly string[], signal?: AbortSignal): Promise<LinkedTarget[]> {
    const schema = z.looseObject({ block_snapshot: bulk(snapshotSchema) });
    return this.inBulk("/block/snapshots/bulk", ids, schema, (body) => body.block_snapshot, signal);
  }

  /**
   * Those whose name begins so, case aside; only those that the user may see (TaggedResource.search). Whether it leaves out
   * what is inactive is not known.
   */
  async searchTargets(name: string, signal?: AbortSignal): Promise<Found[]> {
    return this.search("/block/snapshots/search", { name }, signal);
  }

  /**
   * Tags survive a relink (docs/wire/vipr.md#related). What is set already, or not there to be taken away, is no error.
   */
  async tagTarget(id: string, tags: { add?: readonly string[]; remove?: readonly string[] }): Promise<void> {
    await this.send({ method: "PUT", path: `/block/snapshots/${segment(id)}/tags`, body: tags });
  }

  /** Takes one out of ViPR's books that was never provisioned (docs/wire/vipr.md#debris-cleanup). */
  async forgetTarget(id: string): Promise<Task> {
    const path = `/block/snapshots/${segment(id)}/deactivate`;
    return firstOf(await this.post(path, undefined, oneTask, { type: "VIPR_ONLY" }));
  }

  // --- sources

  async showGroup(id: string, signal?: AbortSignal): Promise<ConsistencyGroup> {
    return this.get(`/block/consistency-groups/${segment(id)}`, groupSchema, signal);
  }

  /** A volume or a consistency group; its content is not looked at. */
  async showSource(id: string, signal?: AbortSignal): Promise<void> {
    await this.get(`/block/${kindOfSource(id)}/${segment(id)}`, reference, signal);
  }

  // --- volumes that were linked targets

  async bulkVolumes(ids: readonly string[], signal?: AbortSignal): Promise<Volume[]> {
    const schema = z.looseObject({ volume: bulk(volumeSchema) });
    return this.inBulk("/block/volumes/bulk", ids, schema, (body) => body.volume, signal);
  }

  async searchVolumes(by: { wwn: string } | { name: string }, signal?: AbortSignal): Promise<string[]> {
    return (await this.search("/block/volumes/search", { ...by }, signal)).map(({ id }) => id);
  }

  // --- tasks

  /** By the task's URN; its `op_id` would be refused (docs/wire/vipr.md#related). */
  async showTask(id: string, signal?: AbortSignal): Promise<Task> {
    return this.get(`/vdc/tasks/${segment(id)}`, taskSchema, signal);
  }

  async bulkTasks(ids: readonly string[], signal?: AbortSignal): Promise<Task[]> {
    const schema = z.looseObject({ task: bulk(taskSchema) });
    return this.inBulk("/vdc/tasks/bulk", ids, schema, (body) => body.task, signal);
  }

  // --- the login

  /** The tenant of the user who is logged in: another in each installation of ViPR. */
  async showTenant(signal?: AbortSignal): Promise<string> {
    return (await this.get("/tenant", tenantSchema, signal)).id;
  }

  /** ViPR's time, from its latest answer. */
  serverTime(): Date | undefined {
    return this.http.serverTime(this.settings.url);
  }

  /**
   * Each login makes a token, and a user has a hundred of them (docs/wire/vipr.md#s0-10): so the last thing a run does
   * is this. An Http that was handed in belongs to whoever made it.
   */
  async logout(): Promise<void> {
    const { token } = this;
    this.token = undefined;
    try {
      if (token !== undefined) await this.http.request(this.prepared({ method: "GET", path: "/logout" }, token));
    } finally {
      if (this.ownsHttp) await this.http.close();
    }
  }

  private async login(signal: AbortSignal | undefined): Promise<string> {
    if (signal?.aborted) throw stopped();
    if (this.token !== undefined) return this.token;
    // One login for all who wait: it obeys nobody's signal, each waits for it as long as its own allows.
    this.loggingIn ??= this.authenticate().finally(() => {
      this.loggingIn = undefined;
    });
    return withAbort(this.loggingIn, signal);
  }

  private async authenticate(): Promise<string> {
    if (this.failed && this.clock.now() < this.failed.until) throw this.failed.error;
    try {
      this.token = await this.issueToken();
      this.failed = undefined;
      return this.token;
    } catch (error) {
      const failure = error as SnapcloneError;
      // Ten failed logins lock this address out for ten minutes, right ones included (docs/wire/vipr.md#login): a login
      // that was refused is refused for the life of this client.
      const passing = isKind(failure, "transient", "malformed");
      this.failed = { error: failure, until: passing ? this.clock.now() + UNREACHABLE_MS : Number.POSITIVE_INFINITY };
      throw failure;
    }
  }

  private async issueToken(): Promise<string> {
    const { url, username, password } = this.settings;
    const basic = Buffer.from(`${username}:${password}`, "utf8").toString("base64");
    registerSecret(basic);
    const { headers, status } = await this.http.request({
      method: "GET",
      url: `${url}/login`,
      service: "ViPR",
      // Never with a token beside it: one that can't be read fails before the credentials are looked at
      // (docs/wire/vipr.md#login).
      headers: { authorization: `Basic ${basic}` },
      parseError: (answer) => this.explainLogin(answer),
    });
    const token = headers[TOKEN];
    if (!token) {
      throw new SnapcloneError({
        kind: "malformed",
        message: `ViPR answered ${status} to the login without a token (header X-SDS-AUTH-TOKEN)`,
        hint: `Check that ${url} is the API's own address (port 4443; 443 is the portal) and that no proxy takes its headers away.`,
      });
    }
    registerSecret(token);
    return token;
  }

  /** A refused login has an empty body, a locked address the one that says so (docs/wire/vipr.md#login). */
  private explainLogin(answer: RawResponse): Partial<ParsedError> | undefined {
    if (answer.status !== 401) return explain(answer);
    const told = errorBody(answer)?.details;
    return {
      kind: "unauthorized",
      message: told ?? `the login of "${this.settings.username}" is refused`,
      hint: /max number of tokens/i.test(told ?? "")
        ? "The user has 100 tokens in use. Log some out (GET /logout?force=true drops all of them), or wait two hours."
        : this.whereFrom("It is not tried again in this run: ten failed logins lock this address out for ten minutes."),
    };
  }

  private whereFrom(more: string): string {
    const { source, sourceKind } = this.settings;
    const stale =
      sourceKind === "stackConfig"
        ? " After a change of the stack config, refresh and destroy need --run-program (docs/connections.md)."
        : "";
    return `The credentials come from ${source}. ${more}${stale}`;
  }

  // --- requests

  private get<T>(path: string, schema: z.ZodType<T>, signal: AbortSignal | undefined): Promise<T> {
    return this.send({ method: "GET", path, schema, signal });
  }

  private post<T>(path: string, body: unknown, schema: z.ZodType<T>, query?: Record<string, string>): Promise<T> {
    return this.send({ method: "POST", path, body, schema, ...(query ? { query } : {}) });
  }

  private async search(path: string, query: Record<string, string>, signal?: AbortSignal): Promise<Found[]> {
    const { resource } = await this.send({ method: "GET", path, query, schema: searchResult, signal });
    return resource.map(({ id, match }) => ({ id, ...(match ? { match } : {}) }));
  }

  private async inBulk<Body, Row>(
    path: string,
    ids: readonly string[],
    schema: z.ZodType<Body>,
    rowsOf: (body: Body) => Row[],
    signal: AbortSignal | undefined,
  ): Promise<Row[]> {
    const rows: Row[] = [];
    for (let from = 0; from < ids.length; from += BULK) {
      const body = { id: ids.slice(from, from + BULK) };
      // A question, whatever its method.
      rows.push(...rowsOf(await this.send({ method: "POST", path, body, schema, idempotent: true, signal })));
    }
    return rows;
  }

  /** What is turned away for its token was not carried out, POSTs included: once more, with a new one. */
  private async send<T>(request: ViprRequest<T>): Promise<T> {
    const first = await this.login(request.signal);
    try {
      return (await this.exchange(request, first)).body;
    } catch (error) {
      if (!isKind(error, "unauthorized")) throw error;
    }
    // Of many requests that come back with the same old token only the first drops it; the others find the new one.
    if (this.token === first) this.token = undefined;
    const second = await this.login(request.signal);
    try {
      return (await this.exchange(request, second)).body;
    } catch (error) {
      if (!isKind(error, "unauthorized")) throw error;
      throw new SnapcloneError({ ...error.parts, hint: this.whereFrom("ViPR issued this token a moment ago.") });
    }
  }

  private exchange<T>(request: ViprRequest<T>, token: string): Promise<HttpResponse<T>> {
    return this.http.request(this.prepared(request, token));
  }

  private prepared<T>({ path, query, ...rest }: ViprRequest<T>, token: string): HttpRequest<T> {
    const parameters = query === undefined ? "" : `?${new URLSearchParams(query)}`;
    return {
      ...rest,
      url: `${this.settings.url}${path}${parameters}`,
      service: "ViPR",
      headers: { [TOKEN]: token },
      parseError: explain,
    };
  }
}

const SESSIONS = "/block/snapshot-sessions";
/** The API service found no controller service. */
const NOT_DISPATCHED = 9501;

/** The number in ViPR's error body (docs/wire/vipr.md#s5). */
export function codeOf(error: unknown): number | undefined {
  const found =
    error instanceof SnapcloneError ? /ViPR answered \d+: code (\d+)/.exec(error.parts.message)?.[1] : undefined;
  return found === undefined ? undefined : Number(found);
}

/** Its request got further than ViPR's API. What did not is taken back (docs/wire/vipr.md#what-link-does). */
export function isDispatched({ service_error }: Task): boolean {
  return service_error?.code !== NOT_DISPATCHED;
}

export function isConsistencyGroup(id: string): boolean {
  return /^urn:storageos:BlockConsistencyGroup:/i.test(id);
}

function kindOfSource(id: string): "consistency-groups" | "volumes" {
  return isConsistencyGroup(id) ? "consistency-groups" : "volumes";
}

/** An id goes into an address: nothing but a URN does. */
function segment(id: string): string {
  if (URN.test(id)) return id;
  throw new SnapcloneError({ kind: "input", message: `"${id}" is not a URN of ViPR` });
}

function firstOf({ task }: z.infer<typeof oneTask>): Task {
  return task[0] as Task;
}

interface ErrorBody {
  code: number;
  description?: string | undefined;
  details?: string | undefined;
}

/**
 * JSON where JSON was asked for, and XML all the same where the filter in front of it answers (docs/wire/vipr.md#s0-9).
 */
function errorBody({ json, text }: RawResponse): ErrorBody | undefined {
  if (isRecord(json) && typeof json.code === "number") {
    const { code, description, details } = json;
    return {
      code,
      description: typeof description === "string" ? description : undefined,
      details: typeof details === "string" ? details : undefined,
    };
  }
  const element = (name: string) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1]?.trim();
  const code = Number(element("code"));
  if (!/<error[\s>]/.test(text) || !Number.isInteger(code)) return undefined;
  return { code, description: element("description"), details: element("details") };
}

function explain(answer: RawResponse): Partial<ParsedError> | undefined {
  const { status, headers } = answer;
  // A GET with a stale token is not refused but sent to the login (docs/wire/vipr.md#s0-9). Nothing follows it there.
  if (status === 302 && /\/login(\?|$)/.test(headers.location ?? "")) {
    return { kind: "unauthorized", message: "the token is not good any more" };
  }
  const body = errorBody(answer);
  if (status === 401) return { kind: "unauthorized", message: body?.details ?? "the token is not good any more" };
  if (body === undefined) return undefined;
  const { code, description, details } = body;
  const message = `code ${code}, ${[description, details].filter(Boolean).join(": ")}`;
  const kind = kindOf(status, code, details);
  const hint = hintOf(code, details);
  return { message, ...(kind === undefined ? {} : { kind }), ...(hint === undefined ? {} : { hint }) };
}

/** undefined: as the status has it. A 503 does not depend on the word `retryable` (docs/wire/vipr.md#s0-15). */
function kindOf(status: number, code: number, details: string | undefined): ParsedError["kind"] | undefined {
  // An unknown address has the same code, and no details (docs/wire/vipr.md#s5).
  if (status === 404 && (code === 2001 || (code === 2000 && details !== undefined))) return "notFound";
  if (code === NOT_DISPATCHED) return "transient";
  return undefined;
}

function hintOf(code: number, details = ""): string | undefined {
  if (/exported to a host|references of type ExportGroup/.test(details)) {
    return "Take the target out of its export groups, then run again. Nothing was unlinked.";
  }
  if (/must be deleted/.test(details)) return "Set deleteTargetsOnUnlink: true; a VPLEX cannot keep such targets.";
  if (/exposed as volume/.test(details)) return "Delete the VPLEX volume that was built on it, then run again.";
  if (/would exceed the maximum/.test(details)) {
    return "A source has at most 1024 linked targets over all its sessions: unlink others first, or lower count.";
  }
  if (code === 1056) return "Somebody else's task is at work on it: run again when that has ended.";
  if (code === 1007) return "Snapshot sessions work on VMAX3, and on VPLEX or RecoverPoint in front of one.";
  if (code === 3000) return "The user needs TENANT_ADMIN of the project's tenant, or OWN or ALL on the project.";
  return undefined;
}
