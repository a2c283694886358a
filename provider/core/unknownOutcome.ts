// What a delete removes for an entry that has no id of the backend's, because the outcome of its create was unknown.

import { proveAbsence } from "./absence";
import { attemptInId, isSameAttempt } from "./attempt";
import type { AnyDefinition, HiddenOutputs, OwnedObject } from "./definition";
import { messageOf, SnapcloneError } from "./errors";
import { type Creation, type Properties, scopeOf } from "./operation";
import { hasCopy, holdsOneOf, isOfStack, objectsOf, ownershipRecord } from "./ownership";

/**
 * After a create of unknown outcome: what that create made, and nobody has adopted. An adopted object has another attempt, or
 * the old one where the record could not be written; then another entry of the state holds it.
 */
export async function objectsToDelete(
  { definition, run, client, tracker }: Pick<Creation, "definition" | "run" | "client" | "tracker">,
  id: string,
  known: Properties,
): Promise<readonly Pick<OwnedObject, "id" | "state">[]> {
  const attempt = attemptInId(id);
  if (attempt === undefined) return [{ id, state: known }];
  const { __owner: urn, __stack: stack = run.stackOf(known) } = known as HiddenOutputs;
  if (urn === undefined) return [];
  // As the create has written it: the stack may have another name today.
  const record = ownershipRecord(definition, stack, urn, attempt, known);
  const listed = await tracker.list(scopeOf({ definition, record, urn, inputs: known }), "afresh");
  // Two short attempts may have the same beginning. An object that this run made belongs to the replacement.
  const ours = listed.filter((object) => object.owner === record.owner && isOfStack(object, record.stack));
  const ofAttempt = ours.filter((object) => isSameAttempt(object.attempt, attempt));
  if (ofAttempt.length === 0) await proveAbsence(definition, client, id, known, run.signal);
  const made = ofAttempt.filter((object) => !tracker.madeHere(object.id));
  if (made.length === 0) return [];
  const { entries } = await run.askState(true).catch((error: unknown) => {
    throw unknownHolder(definition, made, error);
  });
  const left = made.filter((object) => !entries.some((entry) => holdsOneOf(entry, objectsOf(object))));
  const copied = left.filter((object) => hasCopy(object, made));
  // If an entry holds one of them, the others are its copies.
  if (copied.length > 1 && left.length === made.length) throw copiedRecord(definition, copied);
  return left.filter((object) => !copied.includes(object));
}

function copiedRecord({ displayName }: AnyDefinition, objects: readonly OwnedObject[]): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    message: `an interrupted create made one ${displayName}, and ${objects.map(({ id }) => id).join(", ")} have its record: another tool has copied metadata, and nothing shows which of them is the original. Nothing was deleted`,
    hint: "Look at the objects, delete on the backend what nobody needs, and remove this entry: `pulumi state delete <urn>`.",
  });
}

function unknownHolder({ displayName }: AnyDefinition, made: readonly OwnedObject[], error: unknown): SnapcloneError {
  const reason = messageOf(error);
  return new SnapcloneError({
    kind: "refused",
    message: `an interrupted create made the ${displayName} ${made.map(({ id }) => id).join(", ")}, and whether another entry of the state holds it is not known: ${reason}. Nothing was deleted`,
    hint: "Put `pulumi` on the PATH of the run, leave PULUMI_SKIP_CHECKPOINTS unset, and run the same command again. Or look at the object, delete it on the backend if nobody needs it, and remove this entry: `pulumi state delete <urn>`.",
  });
}
