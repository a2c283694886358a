// The dry run: the server checks a clone request with `ephemeral::validationOnly` and clones nothing
// (docs/wire/zstack.md#s3-7). No live server has shown that cloneVmInstance respects that tag everywhere
// (docs/wire/zstack.md#s10-6), so a pending create on the source announces the clones that a server may make.

import type { CheckFailure, OperationContext } from "../../core/definition";
import { isKind, type SnapcloneError } from "../../core/errors";
import type { JobAnswer, Submitted } from "../client";
import { newUuid, type ZStackContext } from "../context";
import { cloneRequest, hasResult, vmSystemTags } from "./create";
import { explainRefusal } from "./errors";
import type { ClonedVmInputs } from "./inputs";
import { Members } from "./members";
import { DRY_RUN } from "./ownership";
import { refuseUnsupportedInputs } from "./request";

const TIMEOUT_MS = 60_000;
const PENDING_SECONDS = 3600;

/** Sends nothing unless the connection has `dryRun`. */
export async function dryRun(
  cloud: ZStackContext,
  inputs: ClonedVmInputs,
  {
    clock,
    signal,
    warn,
    stack,
    owner,
  }: Pick<OperationContext, "clock" | "signal" | "warn" | "stack"> & { owner: string },
): Promise<CheckFailure[]> {
  if (!cloud.settings.dryRun) return [];
  const job = newUuid();
  const warnForbidden = (what: string, { parts }: SnapcloneError) => warn(`${what}: ${parts.message}`);
  const context = { clock, signal, warn, warnForbidden, deadline: clock.now() + TIMEOUT_MS, progress() {} };
  const members = new Members(cloud, job, context, { ...inputs });
  try {
    await announce(members, inputs, { stack, owner });
    const submitted = await send(members, inputs);
    const end = await cloud.jobEnd("check the clone request", submitted.job, context);
    await deleteClones(members, end);
    if (end.is === "failed") throw cloud.client.jobError(end.fault, submitted.job);
    return [];
  } catch (error) {
    if (isKind(error, "notFound")) return [{ property: "vmInstanceUuid", reason: error.parts.message }];
    if (isKind(error, "refused", "failed", "forbidden")) return [await checkFailure(cloud, error)];
    throw error;
  }
}

async function announce(
  members: Members,
  inputs: ClonedVmInputs,
  { stack, owner }: { stack: string; owner: string },
): Promise<void> {
  await refuseUnsupportedInputs(members.cloud, inputs, members.context.warn);
  const time = members.cloud.now();
  const pending = {
    set: members.id,
    job: members.id,
    until: time + PENDING_SECONDS,
    time,
    clones: inputs.names.length,
    disks: 0,
    record: { stack, owner: owner.slice(0, 255), inputs: "", attempt: DRY_RUN },
    isOld: false,
  };
  await members.writePendingCreate(pending, inputs.vmInstanceUuid);
}

async function send(members: Members, inputs: ClonedVmInputs): Promise<Submitted> {
  const { cloud, id } = members;
  const systemTags = [...vmSystemTags(inputs), "ephemeral::validationOnly"];
  const request = cloneRequest(inputs, inputs.names, id);
  return cloud.client.cloneVmInstance(inputs.vmInstanceUuid, request, { job: id, systemTags }).catch(async (error) => {
    if (isKind(error, "refused")) await members.clearPendingCreates();
    throw error;
  });
}

/** Deletes what a server has cloned that does not support the dry run, and removes the pending create. */
async function deleteClones(members: Members, end: JobAnswer): Promise<void> {
  await members.waitForJobs([]);
  if ((end.is === "done" && hasResult(end.body)) || members.untagged.length > 0) {
    await members.tagClonesWithDisks();
    await members.delete(members.everything, { expunge: true, keep: false });
    members.context.warn(
      "this ZStack does not support the dry run and really cloned the VM; the provider has deleted the clones. Turn `dryRun` off in the connection.",
    );
  }
  await members.clearPendingCreates();
}

async function checkFailure(cloud: ZStackContext, error: SnapcloneError): Promise<CheckFailure> {
  const { message, hint } = (await explainRefusal(cloud.client, error)).parts;
  return { property: "names", reason: [message, hint].filter(Boolean).join(" ") };
}
