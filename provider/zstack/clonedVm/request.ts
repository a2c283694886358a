// One clone request on its way: sending it once, whatever becomes of the reply, and waiting for its job. The facts are in
// docs/wire/zstack.md.

import { isKind } from "../../core/errors";
import { poll } from "../../core/poll";
import { retryUntilFound } from "../../core/retryUntilFound";
import type { VmRow } from "../answers";
import type { JobAnswer, Submitted } from "../client";
import type { WaitContext, ZStackContext } from "../context";
import {
  type CloneJob,
  cloneRequest,
  JobProgress,
  type JobState,
  refuseUnsupported,
  versionedInputs,
  vmSystemTags,
} from "./create";
import { stillAtWorkHint } from "./errors";
import type { ClonedVmInputs } from "./inputs";
import { POLL_INTERVAL } from "./power";
import { isAtLeast } from "./versions";

/** Refuses inputs that this version of ZStack would ignore. */
export async function refuseUnsupportedInputs(
  cloud: ZStackContext,
  inputs: ClonedVmInputs,
  warn: (text: string) => void,
): Promise<void> {
  const versioned = versionedInputs(inputs);
  if (versioned.length > 0) refuseUnsupported(versioned, await cloud.version(), warn);
}

export async function countDataVolumes(
  { client }: ZStackContext,
  vm: string,
  signal: AbortSignal | undefined,
): Promise<number> {
  const rows = await client.queryVolumes([`vmInstanceUuid=${vm}`, "type=Data"], signal);
  return rows.filter((row) => row.vmInstanceUuid === vm && row.type === "Data").length;
}

/**
 * After a lost reply, queries the job, whose id the provider has chosen. Sends again only if the server would recognise
 * the id (docs/wire/zstack.md#s5).
 */
export async function sendCloneRequest(
  cloud: ZStackContext,
  inputs: ClonedVmInputs,
  { set, names, job, seconds }: { set: string; names: readonly string[]; job: string; seconds: number },
  context: WaitContext,
): Promise<Submitted> {
  const { client } = cloud;
  const request = cloneRequest(inputs, names, set);
  const options = { job, timeoutSeconds: seconds, systemTags: vmSystemTags(inputs) };
  const findJob = async (): Promise<JobAnswer | undefined> => {
    const answer = await client.queryJob(job, context.signal);
    return answer.is === "gone" ? undefined : answer;
  };
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await client.cloneVmInstance(inputs.vmInstanceUuid, request, options);
    } catch (error) {
      if (!isKind(error, "ambiguous") || client.ignoresJobIds) throw error;
      if ((await retryUntilFound(findJob, context)) !== undefined) return { job };
      if (context.signal.aborted) throw error;
      const version = await cloud.version().catch(() => undefined);
      if (attempt > 1 || version === undefined || !isAtLeast(version, "4.5.0")) throw error;
    }
  }
}

/** Waits until the job has ended, as far as ZStack shows. `queryClones` returns the set's VMs that have no tag yet. */
export async function waitForJob(
  cloud: ZStackContext,
  job: CloneJob,
  queryClones: (signal: AbortSignal) => Promise<VmRow[]>,
  context: WaitContext,
): Promise<JobAnswer> {
  const { client } = cloud;
  const progress = new JobProgress(job, context.clock, client.ignoresJobIds);
  const last = await poll<JobState>({
    description: job.description,
    ...(job.isEarlier ? {} : { initial: { answer: { is: "running" } } }),
    fetch: async (signal) => {
      const answer = await client.queryJob(job.job, signal);
      const next = progress.nextQuery(answer, cloud.now());
      if (next === "nothing") return { answer };
      const percent = await client.progress(job.job, signal).catch(() => undefined);
      return next === "progress" ? { answer, percent } : { answer, percent, rows: await queryClones(signal) };
    },
    evaluate: (state) => progress.evaluate(state),
    interval: POLL_INTERVAL,
    estimator: cloud.cloneDuration,
    stuckHint: () => stillAtWorkHint(job),
    context,
  });
  return last.answer;
}
