// The names and descriptions of a set's VMs.

import type { VmRow } from "../answers";
import type { Step, ZStackContext } from "../context";
import type { ClonedVmInputs } from "./inputs";
import type { LivingMember } from "./members";

/** Gives a VM its name and the program's description; no step if it has both. */
export function renameSteps(
  { client }: ZStackContext,
  { uuid, name, row }: LivingMember,
  inputs: ClonedVmInputs,
): Step<readonly VmRow[]>[] {
  const { description = row.description ?? "" } = inputs;
  const changes = {
    ...(row.name === name ? {} : { name }),
    ...((row.description ?? "") === description ? {} : { description }),
  };
  if (Object.keys(changes).length === 0) return [];
  const isChanged = (found: VmRow) => found.name === name && (found.description ?? "") === description;
  return [
    {
      action: "updateVm",
      operation: `${changes.name === undefined ? "describe" : "rename"} "${name}"`,
      member: name,
      submit: (job) => client.updateVmInstance(uuid, changes, job),
      isDone: (rows) => rows.some((found) => found.uuid === uuid && isChanged(found)),
    },
  ];
}
