// Gives the clones the numbers, names and descriptions that the program wants.

import type { OperationContext } from "../../core/definition";
import { writeMetadata } from "../../openstack/metadata";
import type { PowerVcContext } from "../context";
import { nameTooLong } from "./errors";
import type { VolumeCloneInputs } from "./inputs";
import { wantedName } from "./names";
import { indexTag, type Member, OWNERSHIP_KEYS } from "./ownership";
import { forEachSettled } from "./volumes";

const MAX_NAME_LENGTH = 255;

/** Sends only what differs. */
export async function reconcileClones(
  cloud: PowerVcContext,
  members: readonly Member[],
  inputs: VolumeCloneInputs,
  context: Pick<OperationContext, "warnForbidden">,
): Promise<Member[]> {
  const { volumes, displayName, description = null } = inputs;
  const wanted = (member: Member) => wantedName(member, displayName, volumes) ?? member.row.name;
  const long = members.map(wanted).find((name) => (name ?? "").length > MAX_NAME_LENGTH);
  if (long) throw nameTooLong(long);
  return forEachSettled(members, async (member) => {
    let { row } = member;
    // The number is written before the name. If the name then fails, the next preview shows it as a difference; a number
    // that failed would not be shown.
    const tag = { [OWNERSHIP_KEYS.index]: indexTag(volumes, member.source) };
    if (row.metadata[OWNERSHIP_KEYS.index] !== tag[OWNERSHIP_KEYS.index]) {
      await writeMetadata(`volume ${row.id}`, Object.keys(tag), context, async () => {
        row = { ...row, metadata: await cloud.cinder.createVolumeMetadata(row.id, tag) };
      });
    }
    const name = wanted(member);
    const patch = {
      ...(name !== row.name ? { name } : {}),
      ...((row.description || null) !== description ? { description } : {}),
    };
    if (Object.keys(patch).length > 0) row = await cloud.cinder.updateVolume(row.id, patch);
    return { ...member, row };
  });
}
