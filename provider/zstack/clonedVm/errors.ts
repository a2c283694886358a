// Errors and warnings about a set of clones.

import { SnapcloneError } from "../../core/errors";
import type { ZStackClient } from "../client";
import type { CloneJob } from "./create";
import type { Members } from "./members";

/** Some of the names could not be cloned. The kind is "notFound" if no clone exists: then there is nothing to record. */
export function cloneFailure(missing: readonly string[], members: Members, job: string): SnapcloneError {
  const existing = members.living.map(({ name }) => name);
  const cloned = existing.length === 0 ? "none was cloned" : `cloned: ${existing.join(", ")}`;
  const why = members.reasons.length === 0 ? "ZStack gives no reason" : [...new Set(members.reasons)].join("; ");
  return new SnapcloneError({
    kind: existing.length === 0 ? "notFound" : "failed",
    message: `${missing.join(", ")} could not be cloned (${cloned}): ${why}`,
    request: `job ${job}`,
    hint: existing.length === 0 ? "Nothing was left behind. Correct the cause, then run again." : undefined,
  });
}

export function missingSource(error: SnapcloneError, source: string): SnapcloneError {
  const message = `the VM ${source} does not exist, or belongs to another account`;
  return new SnapcloneError({ ...error.parts, kind: "refused", message, hint: "Correct vmInstanceUuid." });
}

/** Nothing shows whether ZStack still works on the job. The kind keeps the pending create and the state's entry. */
export function unknownEnd(job: CloneJob, vms: number): SnapcloneError {
  return new SnapcloneError({
    kind: "deadline",
    message: `nothing has changed for five minutes, and nothing shows whether ZStack is still at work (${job.description}; VMs so far: ${vms})`,
    request: `job ${job.job}`,
    hint: stillAtWorkHint(job),
  });
}

export function stillAtWorkHint({ until }: CloneJob): string {
  const end =
    until === undefined ? "" : `, until ${new Date(until * 1000).toISOString()} at most if ZStack reports nothing`;
  return `Run the same command again later: it goes on waiting${end}. If you know that no VM will come, destroy by hand the VMs whose names end with the set's id, remove the tag snapclone::intent::… from the source VM, and remove a resource that has no VMs from the state: \`pulumi state delete <urn>\` (docs/ownership.md#clonedvm).`;
}

/** A plain 400 may mean that this edition of ZStack has no clone call. */
export async function explainRefusal(client: ZStackClient, error: SnapcloneError): Promise<SnapcloneError> {
  if (error.kind !== "refused" || error.parts.status !== 400) return error;
  const apis = await client.getSupportAPIs().catch(() => undefined);
  if (apis === undefined || apis.includes("APICloneVmInstanceMsg")) return error;
  const message = "this edition of ZStack cannot clone VMs (it has no APICloneVmInstanceMsg)";
  const hint = "The call is part of the enterprise editions.";
  return new SnapcloneError({ ...error.parts, message, hint });
}

/** `setting`: the value of ZStack's `vm/dataVolume.deleteOnVmDestroy`; undefined if this account may not see it. */
export function attachedVolume(error: SnapcloneError, setting: string | undefined): SnapcloneError {
  const verb = setting === undefined ? "may be" : "is";
  return new SnapcloneError({
    ...error.parts,
    message: `${error.parts.message}. Its VM was not destroyed: ZStack ${verb} set to delete data volumes with their VM (vm/dataVolume.deleteOnVmDestroy)`,
    hint: "Detach the volume by hand, then run again.",
  });
}

/** ZStack may forbid expunging, to this account or to all. */
export function notExpunged(error: SnapcloneError): SnapcloneError {
  const way =
    'The VM is in the recycle bin. Expunge it by hand, or set `deletion: "destroy"`, which leaves it there, and run `pulumi up`.';
  return new SnapcloneError({ ...error.parts, hint: [error.parts.hint, way].filter(Boolean).join(" ") });
}

export function duplicateWarning(name: string, vm: string): string {
  return `"${name}" is there twice: the VM ${vm} has the set's tag, too. The VM was probably recovered from the recycle bin after its successor was cloned. Destroy the VM, or remove its tag snapclone::set::… to keep it outside the set; \`pulumi destroy\` removes both VMs.`;
}

export function lackingVolumesWarning(name: string, vm: string, disks: number): string {
  return `"${name}" (VM ${vm}) lacks some of the ${disks} data volumes of its source, and no result of its clone job says why: the VM stays. If nobody has detached them, replace the set: \`pulumi up --replace <urn>\`.`;
}

export function otherVolumesWarning(name: string, volumes: readonly string[]): string {
  return `the data volumes ${volumes.join(", ")} of "${name}" were not cloned with the VM, as far as ZStack shows: they stay when the VM goes.`;
}

export function leftoverWarning(name: string, volumes: readonly string[]): string {
  const left = volumes.length === 0 ? "the VM in the recycle bin" : `the volumes ${volumes.join(", ")}`;
  return `of "${name}", which is gone, there is still ${left}: \`pulumi destroy\` removes it.`;
}
