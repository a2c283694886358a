// The REST API of ViPR Controller (CoprHD): a method for each call, and one login that all calls share. JSON bodies have no
// root element, although the API's documents show one (docs/wire/vipr.md#s0-1).

import * as z from "zod";
import { isKind, registerSecret, SnapcloneError } from "../core/errors";
import { HttpClient, type HttpSettings } from "../core/http/client";
import type { HttpRequest, ParsedError, RawResponse } from "../core/http/request";
import { Session } from "../core/session";
import { type Clock, systemClock } from "../core/util/clock";
import { isRecord } from "../core/util/values";
import type { ViprSettings } from "./connection";

/** `urn:storageos:<Type>:<uuid>:<vdc>`. Older data have no `<vdc>` (docs/wire/vipr.md#urns). */
const URN = /^urn:storageos:[A-Za-z]+:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:[A-Za-z0-9]*$/i;

const urn = z.string().regex(URN, "is not a URN");
/** RelatedResourceRep: `{id, link}`, of which the API promises neither. The link is `/block/snapshots/<urn>`. */
const reference = z.preprocess(
  (value) => {
    if (!isRecord(value) || value.id != null || !isRecord(value.link) || typeof value.link.href !== "string")
      return value;
    return { ...value, id: value.link.href.slice(value.link.href.lastIndexOf("/") + 1) };
  },
  z.looseObject({ id: urn, match: z.string().nullish() }),
);
/**
 * Accepts a single object instead of a list. Old servers send that, and ViPR's own test client accepts it
 * (docs/wire/vipr.md#lists).
 */
const list = <T extends z.ZodType>(item: T) =>
  z.preprocess((value) => (isRecord(value) ? [value] : value), z.array(item));

/** ViPR leaves out what is null in its database (docs/wire/vipr.md#nulls), and takes a null for false. */
const inactive = z
  .boolean()
  .nullish()
  .transform((value) => value === true);
/** ViPR sends numbers for times and texts for capacities (docs/wire/vipr.md#scalars). The other form says the same. */
const scalar = z.union([z.number(), z.string()]).nullish();
const number = scalar.transform((value) => (value == null || Number.isNaN(Number(value)) ? undefined : Number(value)));

const taskSchema = z.looseObject({
  id: urn,
  name: z.string().nullish(),
  description: z.string().nullish(),
  // Any text, because ViPR may get new states (docs/wire/vipr.md#s9).
  state: z.string().toLowerCase(),
  progress: number,
  message: z.string().nullish(),
  service_error: z
    .looseObject({ code: z.coerce.number(), description: z.string().nullish(), details: z.string().nullish() })
    .nullish(),
  allowed_operations: z.string().nullish(),
});

const sessionSchema = z.looseObject({
  id: urn,
  name: z
    .string()
    .nullish()
    .transform((name) => name ?? "(no name)"),
  inactive,
  // A volume's session has a parent; a consistency group's has the group instead
  // (docs/wire/vipr.md#consistency-groups).
  parent: reference.nullish(),
  consistency_group: reference.nullish(),
  replication_group_instance: z.string().nullish(),
  // Required: ViPR sends `[]` for an empty list (docs/wire/vipr.md#lists). If a missing list counted as empty, all targets
  // would seem to be unlinked.
  linked_targets: list(reference),
});

const snapshotSchema = z.looseObject({
  id: urn,
  name: z.string(),
  inactive,
  tags: list(z.string())
    .nullish()
    .transform((tags) => tags ?? []),
  // Absent while the target is provisioned (docs/wire/vipr.md#linked-target-model).
  wwn: z.string().nullish(),
  native_id: z.string().nullish(),
  // The volume that the target is a copy of, and the consistency group of that volume.
  parent: reference.nullish(),
  consistency_group: reference.nullish(),
  provisioned_capacity_gb: scalar,
  // The name without the characters that the array does not allow, and without the volume's number in a consistency group
  // (docs/wire/vipr.md#names).
  snapset_label: z.string().nullish(),
  // Milliseconds since 1970 (docs/wire/vipr.md#s2, "Scalars"). ViPR sets it again when the target has been linked
  // (docs/wire/vipr.md#s4).
  creation_time: number,
});

const groupSchema = z.looseObject({ id: urn, name: z.string(), volumes: list(reference) });

const volumeSchema = z.looseObject({ id: urn, name: z.string(), inactive, wwn: z.string().nullish() });

/** TenantResponse is a named reference. OpenStack's driver reads its `id` (helpers/tenant.py, `tenant_getid`). */
const tenantSchema = reference;

/** `link` and `relink` answer `{"task":[…]}`, `unlink` a bare task (docs/wire/vipr.md#s0-3). Both are taken from each. */
const acceptedTasks = z.preprocess(
  (value) => (isRecord(value) && "task" in value ? value.task : value),
  list(taskSchema)
    .refine((tasks) => tasks.length > 0, "has no task")
    .transform((tasks) => tasks as Tasks),
);
const searchResult = z.looseObject({ resource: list(reference) }).transform(({ resource }) => resource);
const bulk = <T extends z.ZodType>(schema: T) => list(schema);

export type Task = z.infer<typeof taskSchema>;
/** The tasks of one request. In every known answer of ViPR, the first is the session's. */
export type Tasks = [Task, ...Task[]];
export type SnapshotSession = z.infer<typeof sessionSchema>;
export type LinkedTarget = z.infer<typeof snapshotSchema>;
export type ConsistencyGroup = z.infer<typeof groupSchema>;
export type Volume = z.infer<typeof volumeSchema>;

/** A result of a search. `match` is the whole name. */
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

/** Ids in one bulk request. A server takes 4000 and answers 400/1031 to more (TaggedResource, DEFAULT_MAX_BULK_SIZE). */
const BULK_SIZE = 1000;
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
  /** Holds the token. */
  private readonly session: Session<string>;

  constructor(
    readonly settings: ViprSettings,
    options: HttpSettings & { http?: HttpClient } = {},
  ) {
    this.clock = options.clock ?? systemClock;
    this.ownsHttp = options.http === undefined;
    this.http = options.http ?? new HttpClient({ ...options, tls: settings.tls, clock: this.clock });
    this.session = new Session({
      clock: this.clock,
      operation: `log in at ${settings.url}`,
      logIn: () => this.issueToken(),
    });
    registerSecret(settings.password);
  }

  // --- snapshot sessions

  /** ViPR shows a deleted session until it is collected (docs/wire/vipr.md#s0-12), so callers must check `inactive`. */
  async showSession(id: string, signal?: AbortSignal): Promise<SnapshotSession> {
    return this.get(`${SESSIONS}/${segment(id)}`, sessionSchema, signal);
  }

  /** The sessions that exist. ViPR leaves out the others silently (docs/wire/vipr.md#visibility-of-deleted-things). */
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

  /** The session's tasks of the last seven days, ended ones included (docs/wire/vipr.md#related). */
  async listSessionTasks(id: string, signal?: AbortSignal): Promise<Task[]> {
    const schema = z.looseObject({ task: list(taskSchema) });
    return (await this.get(`${SESSIONS}/${segment(id)}/tasks`, schema, signal)).task;
  }

  /** The task never names the new targets (docs/wire/vipr.md#s0-4). */
  async linkTargets(session: string, targets: NewLinkedTargets): Promise<Tasks> {
    const path = `${SESSIONS}/${segment(session)}/link-targets`;
    return this.post(path, { new_linked_targets: targets }, acceptedTasks);
  }

  /** `session` is the session that the targets will be linked to. */
  async relinkTargets(session: string, ids: readonly string[]): Promise<Tasks> {
    return this.post(`${SESSIONS}/${segment(session)}/relink-targets`, { ids }, acceptedTasks);
  }

  /** Because of one bad id ViPR refuses the whole request (docs/wire/vipr.md#unlink). */
  async unlinkTargets(session: string, targets: readonly UnlinkTarget[]): Promise<Tasks> {
    return this.post(`${SESSIONS}/${segment(session)}/unlink-targets`, { linked_targets: targets }, acceptedTasks);
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
   * The targets whose names begin with `name`, in any case, if the user may see them (TaggedResource.search). It is not
   * known whether ViPR leaves out inactive targets.
   */
  async searchTargets(name: string, signal?: AbortSignal): Promise<Found[]> {
    return this.search("/block/snapshots/search", { name }, signal);
  }

  /** The targets with a tag that begins with `tag`, if the user may see them. `match` is the whole tag. */
  async searchTargetsByTag(tag: string, signal?: AbortSignal): Promise<Found[]> {
    return this.search("/block/snapshots/search", { tag }, signal);
  }

  /**
   * Tags survive a relink (docs/wire/vipr.md#related). It is no error to add a tag that is there, nor to remove one that is
   * not.
   */
  async tagTarget(id: string, tags: { add?: readonly string[]; remove?: readonly string[] }): Promise<void> {
    await this.send({ method: "PUT", path: `/block/snapshots/${segment(id)}/tags`, body: tags });
  }

  /** Removes a target that was never provisioned from ViPR's database (docs/wire/vipr.md#refused-link-cleanup). */
  async forgetTarget(id: string): Promise<Tasks> {
    const path = `/block/snapshots/${segment(id)}/deactivate`;
    return this.post(path, undefined, acceptedTasks, { type: "VIPR_ONLY" });
  }

  // --- sources

  async showGroup(id: string, signal?: AbortSignal): Promise<ConsistencyGroup> {
    return this.get(`/block/consistency-groups/${segment(id)}`, groupSchema, signal);
  }

  /** Throws "notFound" if the volume or consistency group does not exist. */
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

  /** `id` is the task's URN. ViPR refuses its `op_id` (docs/wire/vipr.md#related). */
  async showTask(id: string, signal?: AbortSignal): Promise<Task> {
    return this.get(`/vdc/tasks/${segment(id)}`, taskSchema, signal);
  }

  async bulkTasks(ids: readonly string[], signal?: AbortSignal): Promise<Task[]> {
    const schema = z.looseObject({ task: bulk(taskSchema) });
    return this.inBulk("/vdc/tasks/bulk", ids, schema, (body) => body.task, signal);
  }

  // --- the login

  /** The tenant of the user who is logged in. Each installation of ViPR has its own tenant ids. */
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
    const token = await this.session.end();
    try {
      if (token !== undefined) await this.http.request(this.prepared({ method: "GET", path: "/logout" }, token));
    } finally {
      if (this.ownsHttp) await this.http.close();
    }
  }

  private async issueToken(): Promise<string> {
    const { url, username, password } = this.settings;
    // ViPR reads no other encoding here, and counts what it misreads as a failed login (docs/wire/vipr.md#credentials).
    const basic = Buffer.from(`${username}:${password}`, "latin1").toString("base64");
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
    const reason = errorBody(answer)?.details;
    return {
      kind: "unauthorized",
      message: reason ?? `the login of "${this.settings.username}" is refused`,
      hint: /max number of tokens/i.test(reason ?? "")
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
    const found = await this.send({ method: "GET", path, query, schema: searchResult, signal });
    return found.map(({ id, match }) => ({ id, ...(match ? { match } : {}) }));
  }

  private async inBulk<Body, Row>(
    path: string,
    ids: readonly string[],
    schema: z.ZodType<Body>,
    rowsOf: (body: Body) => Row[],
    signal: AbortSignal | undefined,
  ): Promise<Row[]> {
    const rows: Row[] = [];
    for (let from = 0; from < ids.length; from += BULK_SIZE) {
      const body = { id: ids.slice(from, from + BULK_SIZE) };
      // The POST changes nothing, so it may be repeated.
      rows.push(...rowsOf(await this.send({ method: "POST", path, body, schema, idempotent: true, signal })));
    }
    return rows;
  }

  /** A request whose token ViPR rejects was not carried out, a POST neither: it is sent once more with a new token. */
  private async send<T>(request: ViprRequest<T>): Promise<T> {
    const isRejected = (error: unknown) => isKind(error, "unauthorized");
    const answer = await this.session.send(
      (token) => this.http.request(this.prepared(request, token)),
      request.signal,
      isRejected,
      ({ parts }) => new SnapcloneError({ ...parts, hint: this.whereFrom("ViPR issued this token a moment ago.") }),
    );
    return answer.body;
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
/** ViPR's code for a request that its API service could not pass to a controller service. */
const NOT_DISPATCHED = 9501;

/** The number in ViPR's error body (docs/wire/vipr.md#s5). */
export function codeOf(error: unknown): number | undefined {
  const found =
    error instanceof SnapcloneError ? /ViPR answered \d+: code (\d+)/.exec(error.parts.message)?.[1] : undefined;
  return found === undefined ? undefined : Number(found);
}

/** False if ViPR's API could not pass the request on. ViPR then reverts it (docs/wire/vipr.md#what-link-does). */
export function isDispatched({ service_error }: Task): boolean {
  return service_error?.code !== NOT_DISPATCHED;
}

export function isConsistencyGroup(id: string): boolean {
  return /^urn:storageos:BlockConsistencyGroup:/i.test(id);
}

function kindOfSource(id: string): "consistency-groups" | "volumes" {
  return isConsistencyGroup(id) ? "consistency-groups" : "volumes";
}

/** A path segment. Only a URN may become one. */
function segment(id: string): string {
  if (URN.test(id)) return id;
  throw new SnapcloneError({ kind: "input", message: `"${id}" is not a URN of ViPR` });
}

interface ErrorBody {
  code: number;
  description?: string | undefined;
  details?: string | undefined;
}

/** Reads JSON and XML: the filter in front of the API answers in XML even to a request for JSON (docs/wire/vipr.md#s0-9). */
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
  // ViPR redirects a GET with a stale token to the login (docs/wire/vipr.md#s0-9). The client does not follow.
  if (status === 302 && /\/login(\?|$)/.test(headers.location ?? "")) {
    return { kind: "unauthorized", message: "the token is not valid any more" };
  }
  const body = errorBody(answer);
  if (status === 401) return { kind: "unauthorized", message: body?.details ?? "the token is not valid any more" };
  if (body === undefined) return undefined;
  const { code, description, details } = body;
  const message = `code ${code}, ${[description, details].filter(Boolean).join(": ")}`;
  const kind = kindOf(status, code, details);
  const hint = hintOf(code, details);
  return { message, ...(kind === undefined ? {} : { kind }), ...(hint === undefined ? {} : { hint }) };
}

/** undefined: the status decides. The field `retryable` says nothing about a 503 (docs/wire/vipr.md#s0-15). */
function kindOf(status: number, code: number, details: string | undefined): ParsedError["kind"] | undefined {
  // An unknown path has the same code without details (docs/wire/vipr.md#s5).
  if (status === 404 && (code === 2001 || (code === 2000 && details !== undefined))) return "notFound";
  if (code === NOT_DISPATCHED) return "transient";
  return undefined;
}

function hintOf(code: number, details = ""): string | undefined {
  if (/exported to a host|references of type ExportGroup/.test(details)) {
    return "Take the target out of its export groups, then run again. Nothing was unlinked.";
  }
  if (/must be deleted/.test(details)) return "Set deleteTargetsOnUnlink: true; a VPLEX cannot keep such targets.";
  if (/exposed as volume/.test(details)) return "Delete the VPLEX volume that uses the target, then run again.";
  if (/would exceed the maximum/.test(details)) {
    return "A source has at most 1024 linked targets over all its sessions: unlink others first, or lower `count`.";
  }
  if (code === 1056) return "Another task uses the object: run again when that task has ended.";
  if (code === 1007) return "Snapshot sessions need a VMAX3, or a VPLEX or RecoverPoint in front of one.";
  if (code === 3000) return "The user needs TENANT_ADMIN of the project's tenant, or OWN or ALL on the project.";
  return undefined;
}
