// PowerVC's own two calls, which it adds to its Cinder: clone volumes as one consistent copy, and how far that is. The
// volumes themselves are Cinder's. Field names are the API's own; nothing here waits.
// Source: IBM, "Clone volume API" (PowerVC 2.2.1 to 2.3.1); docs/wire/powervc.md#f1, and #h for
// what it leaves open.

import { z } from "zod";
import { SnapcloneError } from "../core/errors";
import { blockStorageAddress, explain } from "../openstack/cinder";
import type { KeystoneSession, ServiceRequest } from "../openstack/keystone";

export interface CloneVolumes {
  "display-name"?: string | undefined;
  /** "In case of single volume clone", says the document, and its sample sends it with two. */
  description?: string | undefined;
  volumes: readonly string[];
  "target-volume-type-id"?: string | undefined;
}

export interface Progress {
  /** In percent. 100 says that the flow has ended, not how. */
  percent: number | undefined;
  /** Flow to its state: RUNNING, SUCCESS, FAILURE, REVERTING, REVERTED, or another of TaskFlow's. */
  flows: Readonly<Record<string, string>>;
  /** Task to its state. */
  completed: Readonly<Record<string, string>>;
  pending: Readonly<Record<string, string>>;
  /** Source volume to clone. */
  clones: Readonly<Record<string, string>>;
  /** Why it failed, in PowerVC's words. */
  failure: string | undefined;
}

/** It goes into a query, and into the state. */
const taskId = z.string().regex(/^[\w-]{1,64}$/, "not a task id");

const acceptedSchema = z
  .looseObject({
    "clone-volumes": z.looseObject({ task_uri: z.string().nullish(), task_id: z.string().nullish() }),
  })
  // The address names whatever host PowerVC knows itself by (docs/wire/powervc.md#f1): only the id in it counts.
  .transform(({ "clone-volumes": { task_uri, task_id } }) => task_id ?? taskIdOf(task_uri ?? ""))
  .pipe(taskId);

const states = z.record(z.string(), z.unknown()).nullish();
/** The document's samples have the same fields inside `details`, beside it, or some here and some there (docs/wire/powervc.md#f1-progress). */
const fields = {
  progress: z.union([z.number(), z.string()]).nullish(),
  flow_details: states,
  completed_tasks: states,
  pending_tasks: states,
  /** A dictionary in all samples, a "list of strings" in the table: a list tells nothing about sources. */
  results: z.union([z.record(z.string(), z.unknown()), z.array(z.unknown())]).nullish(),
};
const progressSchema = z.looseObject({ ...fields, details: z.looseObject(fields).nullish() });

export class PowerVcClient {
  constructor(private readonly session: KeystoneSession) {}

  /** Returns the task's id. The clones are made by a flow of tasks that goes on by itself. */
  async cloneVolumes(given: CloneVolumes): Promise<string> {
    // 200 says the document; 202 is what the rest of Cinder says to such a request (docs/wire/powervc.md#h).
    return this.call({ method: "POST", path: "", body: { "clone-volumes": given }, schema: acceptedSchema });
  }

  /** undefined where PowerVC knows nothing of the task (any more). */
  async progress(task: string, signal?: AbortSignal): Promise<Progress | undefined> {
    try {
      const query = { action: "clone-volumes", task_id: task };
      const body = await this.call({ method: "GET", path: "/get_progress", query, schema: progressSchema, signal });
      return toProgress(body);
    } catch (error) {
      // PowerVC gave this id: a 404 of whatever form, the routing one included, says that it has forgotten the task.
      if (error instanceof SnapcloneError && error.parts.status === 404) return undefined;
      throw error;
    }
  }

  private async call<T>(
    call: Pick<ServiceRequest<T>, "method" | "path" | "query" | "body" | "schema" | "signal">,
  ): Promise<T> {
    const endpoint = await this.session.endpoint("blockStorage", call.signal);
    const { api } = blockStorageAddress(endpoint, await this.session.projectId(call.signal));
    const path = `/clone-volumes${call.path}`;
    // Without a microversion, as the document's samples (docs/wire/powervc.md#f3).
    return (await this.session.request<T>("blockStorage", { ...call, base: api, path, parseError: explainHere })).body;
  }
}

/** Cinder's error bodies (docs/wire/powervc.md#h: assumed); an address that no route matches means a server without this API. */
const explainHere: typeof explain = (answer) => {
  const explained = explain(answer);
  if (explained?.kind !== "config") return explained;
  return {
    ...explained,
    message: "this Cinder has no clone-volumes",
    hint: "Only IBM PowerVC has it, from 2.2.1 on. Check the connection, or set its block storage endpoint.",
  };
};

function taskIdOf(uri: string): string | undefined {
  // The document's sample has no closing quote and a host in angle brackets: only the query is read.
  const query = uri.slice(uri.indexOf("?") + 1);
  return new URLSearchParams(query).get("task_id") ?? undefined;
}

/** undefined: an answer without any word on a task is what a server says that has forgotten it (docs/wire/powervc.md#h). */
function toProgress({ details, ...top }: z.infer<typeof progressSchema>): Progress | undefined {
  const both = [details ?? {}, top];
  const all = <K extends keyof typeof fields>(key: K) =>
    both.map((place) => place[key]).filter((value) => value != null);
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
      results.filter((entry): entry is [string, string] => entry[0] !== "failure" && typeof entry[1] === "string"),
    ),
    failure: failure === undefined || failure === null ? undefined : textOf(failure),
  };
}

/** Not `String`: that fails for an object with a `toString` of its own, and JSON may have one. */
function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
