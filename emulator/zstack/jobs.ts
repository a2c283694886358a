// ZStack's asynchronous calls: what a call refuses at once, and what its job reports (docs/wire/zstack.md#s1-3, #s2-3).

import { type EmulatorRequest, header, type Reply } from "../core/http";
import { checkSession } from "./auth";
import { checkTypes } from "./body";
import type { Context, Work } from "./context";
import { Failure, localised, Refusal, text } from "./errors";
import type { ZStackModel } from "./model";
import type { JobOutcome, ZStackJob } from "./rows";
import { reply, result } from "./views";

const TIMEOUT_MS = 1_800_000;
/** An internal host, which clients cannot resolve (docs/wire/zstack.md#s2-3). */
const INTERNAL = "http://172.20.14.227:8080/zstack/v1/api-jobs/";

/**
 * Checks the types, then the job's id, then answers 202. The job reports every other error
 * (docs/wire/zstack.md#s1-3, #s2-3).
 */
export function submit(context: Context, work: (context: Context) => Work): Reply {
  const { model, request } = context;
  checkTypes(context.fields);
  const { uuid, timeoutMs: requested } = readHeaders(model, request);
  const job: ZStackJob = { uuid, createdMs: model.clock.nowMs() };
  model.jobs.set(uuid, job);
  let timeoutMs = TIMEOUT_MS;
  try {
    const { ms, run, begin, drive, timeoutMs: own } = checked(context, work);
    timeoutMs = own ?? TIMEOUT_MS;
    begin?.();
    if (drive) drive(job);
    else model.after(ms, () => endJob(model, job, () => ({ status: 200, body: run() ?? {} })));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    endJob(model, job, () => {
      throw error;
    });
  }
  return reply(model, 202, {
    ...(model.isAtLeast("4.1.0") ? { apiTimeout: requested ?? timeoutMs } : {}),
    location: `${INTERNAL}${uuid}`,
  });
}

export function endJob(model: ZStackModel, job: ZStackJob, outcome: () => JobOutcome): void {
  try {
    job.outcome = outcome();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    job.outcome = { status: 503, body: { error: localised(error.error, model.settings.locale) } };
  }
  job.doneMs = model.clock.nowMs();
}

export function queryJob(model: ZStackModel, request: EmulatorRequest, uuid: string): Reply {
  if (request.method !== "GET") return text(405, "only GET method is allowed for querying job status");
  const job = model.jobs.get(uuid);
  if (!job) return text(404, "the job has been expired");
  if (!job.outcome) return reply(model, 202, {});
  const { status, body } = job.outcome;
  return status === 200 ? result({ model, request }, body) : reply(model, status, body);
}

function readHeaders(model: ZStackModel, request: EmulatorRequest): { uuid: string; timeoutMs: number | undefined } {
  const given = header(request, "X-Job-UUID");
  if (given !== undefined && given.length !== 32) {
    throw new Refusal(400, "Invalid header[X-Job-UUID], it must be a UUID with '-' stripped");
  }
  const seconds = header(request, "X-API-Timeout");
  if (seconds !== undefined && !/^\d+$/.test(seconds)) throw new Refusal(500, `For input string: "${seconds}"`);
  const uuid = given ?? model.uuid("job");
  // Before 4.5.0 the server ignored the failed insert of the row and executed the call again (docs/wire/zstack.md#s5).
  if (model.jobs.has(uuid) && model.isAtLeast("4.5.0")) throw new Refusal(400, `Duplicate job uuid[${uuid}]`);
  return { uuid, timeoutMs: seconds === undefined ? undefined : Number(seconds) * 1000 };
}

/** Checks the parameters, then the session. A dry run ends there (docs/wire/zstack.md#s1-3, #s3-7). */
function checked(context: Context, work: (context: Context) => Work): Work {
  const found = work(context);
  checkSession(context.model, context.request);
  found.validate?.();
  const dryRun = context.systemTags.includes("ephemeral::validationOnly");
  return dryRun ? { ms: 0, run: () => ({}) } : found;
}
