// The two calls that PowerVC adds to its Cinder: clone volumes as one consistent copy, and show the progress of that. The
// field names are the API's own. Source: IBM, "Clone volume API" (PowerVC 2.2.1 to 2.3.1), see docs/wire/powervc.md#f1.
// docs/wire/powervc.md#h lists what IBM's document leaves open.

import * as z from "zod";
import { SnapcloneError } from "../core/errors";
import { cinderError } from "../openstack/cinderErrors";
import type { KeystoneSession, ServiceRequest } from "../openstack/keystone";
import { blockStorageAddress } from "../openstack/urls";

export interface CloneVolumes {
  "display-name"?: string | undefined;
  /** IBM's document says "in case of single volume clone", but its sample has two volumes and a description. */
  description?: string | undefined;
  volumes: readonly string[];
  "target-volume-type-id"?: string | undefined;
}

export interface Progress {
  /** 100 means that the flow has ended, well or badly. */
  percent: number | undefined;
  /** From flow to state: RUNNING, SUCCESS, FAILURE, REVERTING, REVERTED, or another state of TaskFlow. */
  flows: Readonly<Record<string, string>>;
  /** From task to state. */
  completed: Readonly<Record<string, string>>;
  pending: Readonly<Record<string, string>>;
  /** From source volume to clone. */
  clones: Readonly<Record<string, string>>;
  /** PowerVC's message, if the flow has failed. */
  failure: string | undefined;
}

/** Checked, because the id becomes part of a query and of the state. */
const taskId = z.string().regex(/^[\w-]{1,64}$/, "not a task id");

const acceptedSchema = z
  .looseObject({
    "clone-volumes": z.looseObject({ task_uri: z.string().nullish(), task_id: z.string().nullish() }),
  })
  // Only the id is taken from the address: its host is the name by which PowerVC knows itself (docs/wire/powervc.md#f1).
  .transform(({ "clone-volumes": { task_uri, task_id } }) => task_id ?? taskIdOf(task_uri ?? ""))
  .pipe(taskId);

const states = z.record(z.string(), z.unknown());
/** Only shown, so a list of names does as well. */
const steps = z.union([states, z.array(z.string()).transform((): Record<string, unknown> => ({}))]).nullish();
/** IBM's samples have these fields inside `details`, beside it, or in both places (docs/wire/powervc.md#f1-progress). */
const fields = {
  progress: z.union([z.number(), z.string()]).nullish(),
  // What the flows are called does not count, so a state may stand alone.
  flow_details: z
    .union([states, z.string().transform((flow) => ({ flow })), z.array(z.string()).transform((all) => ({ ...all }))])
    .nullish(),
  completed_tasks: steps,
  pending_tasks: steps,
  /** A dictionary in all samples. The document's table says "list of strings"; a list would name no sources. */
  results: z.union([z.record(z.string(), z.unknown()), z.array(z.unknown())]).nullish(),
};
const progressSchema = z.looseObject({ ...fields, details: z.looseObject(fields).nullish() });

export class PowerVcClient {
  constructor(private readonly session: KeystoneSession) {}

  /** Returns the id of the task that makes the clones. */
  async cloneVolumes(given: CloneVolumes): Promise<string> {
    // The document says 200. The rest of Cinder answers 202 to such a request (docs/wire/powervc.md#h).
    return this.call({ method: "POST", path: "", body: { "clone-volumes": given }, schema: acceptedSchema });
  }

  /** undefined if PowerVC does not know the task, or has forgotten it. */
  async progress(task: string, signal?: AbortSignal): Promise<Progress | undefined> {
    try {
      const query = { action: "clone-volumes", task_id: task };
      const body = await this.call({ method: "GET", path: "/get_progress", query, schema: progressSchema, signal });
      return toProgress(body);
    } catch (error) {
      // PowerVC made this id, so any 404 means that it has forgotten the task, even the 404 of an unknown path. The id is all that
      // a 400 can be about.
      if (error instanceof SnapcloneError && [400, 404, 410].includes(error.parts.status ?? 0)) return undefined;
      throw error;
    }
  }

  private async call<T>(
    call: Pick<ServiceRequest<T>, "method" | "path" | "query" | "body" | "schema" | "signal">,
  ): Promise<T> {
    const endpoint = await this.session.endpoint("blockStorage", call.signal);
    const { api } = blockStorageAddress(endpoint, await this.session.projectId(call.signal));
    const path = `/clone-volumes${call.path}`;
    // Sends no microversion, like the document's samples (docs/wire/powervc.md#f3).
    return (await this.session.request<T>("blockStorage", { ...call, base: api, path, parseError: explainHere })).body;
  }
}

/**
 * The error bodies are assumed to be Cinder's (docs/wire/powervc.md#h). A Cinder without this API does not know the path.
 */
const explainHere: typeof cinderError = (answer) => {
  const explained = cinderError(answer);
  if (explained?.kind !== "config") return explained;
  return {
    ...explained,
    message: "this Cinder has no clone-volumes",
    hint: "Only IBM PowerVC 2.2.1 and later have it. Check the connection, or set its block storage endpoint.",
  };
};

function taskIdOf(uri: string): string | undefined {
  // Only the query is read: in the document's sample the address has no closing quote, and a host in angle brackets.
  const query = uri.slice(uri.indexOf("?") + 1);
  return new URLSearchParams(query).get("task_id") ?? undefined;
}

/**
 * undefined if the answer has no field of a task: a server that has forgotten the task may answer so
 * (docs/wire/powervc.md#h).
 */
function toProgress({ details, ...top }: z.infer<typeof progressSchema>): Progress | undefined {
  const both = [details ?? {}, top];
  const all = <K extends keyof typeof fields>(key: K) => both.map((part) => part[key]).filter((value) => value != null);
  if (Object.keys(fields).every((key) => all(key as keyof typeof fields).length === 0)) return undefined;
  const merged = (key: "flow_details" | "completed_tasks" | "pending_tasks") =>
    Object.fromEntries(
      all(key)
        .flatMap((part) => Object.entries(part ?? {}))
        .map(([name, state]) => [name, textOf(state)]),
    );
  const results = all("results").flatMap((part) => (Array.isArray(part) ? [] : Object.entries(part ?? {})));
  const failure = results.find(([key]) => key === "failure")?.[1];
  const percent = Number.parseFloat(String(all("progress")[0]));
  return {
    percent: Number.isFinite(percent) ? percent : undefined,
    flows: merged("flow_details"),
    completed: merged("completed_tasks"),
    pending: merged("pending_tasks"),
    clones: Object.fromEntries(
      results
        .filter((entry): entry is [string, string] => entry[0] !== "failure" && typeof entry[1] === "string")
        .map(([source, clone]) => [asUuid(source), asUuid(clone)]),
    ),
    failure: failure === undefined || failure === null ? undefined : textOf(failure).trim() || undefined,
  };
}

/** Cinder's own form of an id, which is compared as text. */
function asUuid(id: string): string {
  return /^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$/i.test(id) ? id.toLowerCase() : id;
}

/** `String` would fail for an object whose JSON has a field `toString`. */
function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
