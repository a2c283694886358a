// `revertTriggers` of Snapshot and SnapshotSeries: when a changed value means a revert, and what the state holds of it.

import { z } from "zod";
import { unknownPaths } from "../../core/check";
import type { CheckFailure, HiddenOutputs, InputRule, Observed, Pending, State } from "../../core/definition";
import { canonical } from "../../core/diff";
import { digest } from "../../core/util/digest";

export const revertTriggers: InputRule<unknown[]> = {
  onChange: "update",
  schema: z.array(z.unknown(), "must be a list").optional(),
};

/** Outputs that only the state knows. Part of users' states. */
interface RevertOutputs {
  /** Absent until the revert that the program asks for is done. */
  revertTriggers: unknown;
  /** Digest of the triggers that need no revert any more: of the last revert, or of the create. */
  revertedFor: string | undefined;
  revertedAt: string | undefined;
}

/** Absent and an empty list are equal: neither asks for a revert. */
function revertKey(triggers: unknown): string | undefined {
  const text = canonical(triggers);
  return text === "null" ? undefined : digest(text);
}

/**
 * The digest to revert for; undefined if no revert is asked for. Only a changed value on a resource that the state holds
 * asks for one: never the first `up`, an adoption, or an import.
 */
export function wantedRevert(known: State & HiddenOutputs, inputs: State): string | undefined {
  const key = revertKey(inputs.revertTriggers);
  const { operation } = (known.pending ?? {}) as Partial<Pending>;
  if (known.__owner === undefined || operation === "create") return undefined;
  return key === known.revertedFor ? undefined : key;
}

export function revertOutputs(known: State): RevertOutputs {
  const { revertTriggers, revertedFor, revertedAt } = known as Partial<RevertOutputs>;
  return { revertTriggers, revertedFor, revertedAt };
}

/** `known` with what an adoption, an import or a resumed create has just found out: their triggers ask for nothing. */
export function withFound(known: State, { state }: Observed): State {
  return state.revertedFor === undefined ? known : { ...known, revertedFor: state.revertedFor };
}

/** For the outputs of a create, an adoption or an import: its triggers ask for nothing. */
export function withoutRevert({ revertTriggers }: { revertTriggers?: unknown }): RevertOutputs {
  return { revertTriggers, revertedFor: revertKey(revertTriggers), revertedAt: undefined };
}

/**
 * For the outputs of a read. A revert that was asked for and is not done leaves no triggers in the state, so that every later
 * run sees the difference. `isNew`: `known` are the inputs of a create.
 */
export function keptRevert(known: State, isNew: boolean): RevertOutputs {
  const { revertTriggers, revertedFor, revertedAt } = revertOutputs(known);
  if (isNew && revertedFor === undefined) return withoutRevert({ revertTriggers });
  const isDone = revertKey(revertTriggers) === revertedFor;
  return { revertTriggers: isDone ? revertTriggers : undefined, revertedFor, revertedAt };
}

/** For the outputs of an update. `revertedAt` is set if it has reverted the volume. */
export function afterUpdate(known: State, { revertTriggers }: { revertTriggers?: unknown }, revertedAt?: string) {
  const before = revertOutputs(known);
  return {
    revertTriggers,
    revertedFor: revertKey(revertTriggers) ?? before.revertedFor,
    revertedAt: revertedAt ?? before.revertedAt,
  };
}

/**
 * Refuses what would make another snapshot together with a revert: the new one would hold the data of now, and Cinder
 * reverts to the newest snapshot alone.
 */
export function validateRevert(inputs: State, unknown: ReadonlySet<string>, olds: State): CheckFailure[] {
  const isChanged = (key: string) => !unknown.has(key) && canonical(inputs[key]) !== canonical(olds[key]);
  if (Object.keys(olds).length === 0 || !isChanged("revertTriggers")) return [];
  if (revertKey(inputs.revertTriggers) === undefined) return [];
  return ["triggers", "volumeId"].filter(isChanged).map((key) => ({
    property: "revertTriggers",
    reason: `${key} has changed, too, which takes a new snapshot: that would hold the data as they are now, and the volume could not be reverted to the one before. Run \`pulumi up\` with the changed revertTriggers alone, and change ${key} after that`,
  }));
}

/** The warning of a preview. `target` completes "reverts volume … to". */
export function revertAnnouncement(
  known: State,
  news: State,
  { target, since }: { target: string; since: unknown },
): string | undefined {
  const isUnknown = unknownPaths(news.revertTriggers).length > 0;
  if (!isUnknown && wantedRevert(known, news) === undefined) return undefined;
  const verb = isUnknown ? "if the value of revertTriggers has changed, this reverts" : "this reverts";
  const instant = typeof since === "string" ? ` (${since})` : "";
  return `${verb} volume ${String(news.volumeId)} to ${target}: data written since then${instant} is lost`;
}
