// `revertTriggers` of a resource that is made of snapshots: when a changed value means a revert, and what the state holds of
// it. `reverting` has one entry for each part of a definition, in the order in which a resource's life calls them.

import * as z from "zod";
import { unknownPaths } from "../../core/check";
import { DEFAULT_CONNECTION } from "../../core/connection/connections";
import type { CheckFailure, HiddenOutputs, InputRule, Observed, Pending, State, Task } from "../../core/definition";
import { canonical, earlierCanonical } from "../../core/diff";
import { hasAssets } from "../../core/util/assets";
import { digest } from "../../core/util/digest";
import type { SnapshotRow } from "../cinder";
import { doneRevert } from "./record";

/** Outputs that only the state knows. Part of users' states. */
interface RevertOutputs {
  /** Absent until the revert that the program asks for is done. */
  revertTriggers: unknown;
  /** Digest of the triggers that need no revert any more: of the last revert, or of the create. */
  revertedFor: string | undefined;
  revertedAt: string | undefined;
}

interface RevertInputs {
  revertTriggers?: unknown;
}

/** A revert that the program asks for. */
interface WantedRevert {
  /** Digest of the triggers. */
  key: string;
  /** Cinder's time of the last revert that the state knows. */
  revertedAt: string | undefined;
}

const revertTriggers: InputRule<unknown[]> = {
  onChange: "update",
  schema: z.array(z.unknown(), "must be a list").optional(),
};

export const reverting = {
  /** For `inputs`. */
  inputs: { revertTriggers },

  /** For `derivedOutputs`. */
  derivedOutputs: { revertedFor: ["revertTriggers"] },

  /**
   * For `validate`. Refuses what would make another snapshot together with a revert: the new one would hold the data of now,
   * and Cinder reverts to the newest snapshot alone. Another name of the connection may mean another cloud; `check` can't
   * tell.
   */
  validate(inputs: State, unknown: ReadonlySet<string>, olds: State): CheckFailure[] {
    const textOf = (from: State, key: string) =>
      canonical(from[key] ?? (key === "connection" ? DEFAULT_CONNECTION : undefined));
    const isChanged = (key: string) => !unknown.has(key) && textOf(inputs, key) !== textOf(olds, key);
    if (Object.keys(olds).length === 0 || !isChanged("revertTriggers")) return [];
    if (revertKey(inputs.revertTriggers) === undefined) return [];
    return ["triggers", "volumeId", "connection"].filter(isChanged).map((key) => ({
      property: "revertTriggers",
      reason: `${key} has changed, too, which ${key === "connection" ? "may take" : "takes"} a new snapshot: that would hold the data as they are now, and the volume could not be reverted to the one before. Run \`pulumi up\` with the changed revertTriggers alone, and change ${key} after that`,
    }));
  },

  /** For `announceUpdate`: the warning of a preview. `target` completes "reverts volume … to". */
  announceUpdate(known: State, news: State, { target, since }: { target: string; since: unknown }): string | undefined {
    const isUnknown = unknownPaths(news.revertTriggers).length > 0;
    if (!isUnknown && wantedRevert(known, news) === undefined) return undefined;
    const verb = isUnknown ? "if the value of revertTriggers has changed, this reverts" : "this reverts";
    const instant = typeof since === "string" ? ` (${since})` : "";
    return `${verb} volume ${String(news.volumeId)} to ${target}: data written since then${instant} is lost`;
  },

  /** For the outputs of a create or an adoption: its triggers ask for nothing. */
  create({ revertTriggers }: RevertInputs): RevertOutputs {
    return { revertTriggers, revertedFor: revertKey(revertTriggers), revertedAt: undefined };
  },

  /** For the outputs of an import: the same. The reverts of a former resource answer no triggers of this one. */
  imported(inputs: RevertInputs, rows: readonly Pick<SnapshotRow, "metadata">[]): RevertOutputs {
    const times = rows.map((row) => doneRevert(row)?.at ?? "").sort();
    return { ...reverting.create(inputs), revertedAt: times.at(-1) || undefined };
  },

  /** For `waitForCreate`: whether the task is an interrupted revert. Then the update that follows does the rest. */
  isTask: (task: Task): boolean => task.revert !== undefined,

  /**
   * For the outputs of a read. A revert that was asked for and is not done leaves no triggers in the state, so that every
   * later run sees the difference. `isNew`: `known` are the inputs of a create.
   */
  read(known: State & HiddenOutputs, isNew: boolean): RevertOutputs {
    const { revertTriggers, revertedFor, revertedAt } = reverting.outputs(known);
    const isFirst = isNew || known.__programUnknown === true;
    if (isFirst && revertedFor === undefined) return { ...reverting.create({ revertTriggers }), revertedAt };
    const isDone = isKeyOf(revertedFor, revertTriggers) || isDoneByEarlyBuild(known, revertTriggers);
    return { revertTriggers: isDone ? revertTriggers : undefined, revertedFor, revertedAt };
  },

  /** For `update`: reverts if the program asks for it. `revert` returns Cinder's time of the revert. */
  async update(
    known: State,
    from: Observed,
    inputs: RevertInputs,
    revert: (wanted: WantedRevert) => Promise<string>,
  ): Promise<{ outputs: RevertOutputs; hasReverted: boolean }> {
    // What an adoption, an import or a resumed create has just found out: their triggers ask for nothing.
    const { revertedFor = known.revertedFor } = from.state;
    const before: State = { ...known, revertedFor };
    const key = wantedRevert(before, { ...inputs });
    const { revertedAt: last } = reverting.outputs(before);
    const revertedAt = key === undefined ? last : await revert({ key, revertedAt: last });
    const { revertTriggers } = inputs;
    const outputs = {
      revertTriggers,
      revertedFor: revertKey(revertTriggers) ?? reverting.outputs(before).revertedFor,
      revertedAt,
    };
    return { outputs, hasReverted: key !== undefined };
  },

  /** What the state holds of reverts, unchanged. */
  outputs(known: State): RevertOutputs {
    const { revertTriggers, revertedFor, revertedAt } = known as Partial<RevertOutputs>;
    return { revertTriggers, revertedFor, revertedAt };
  },
} as const;

/** Absent and an empty list are equal: neither asks for a revert. */
function revertKey(triggers: unknown): string | undefined {
  const text = canonical(triggers);
  return text === "null" ? undefined : digest(text);
}

/** Early builds made the digest of an asset's path or text, too. */
function isKeyOf(key: string | undefined, triggers: unknown): boolean {
  return key === revertKey(triggers) || key === digest(earlierCanonical(triggers));
}

/**
 * True if the state itself has these triggers, and so needs no revert for them. An early build's digest of an asset does not
 * tell: it was made of a path, and what a provider gets of the state has the asset's hash alone.
 */
function isDoneByEarlyBuild(known: State, triggers: unknown): boolean {
  if (known.revertedFor === undefined || !hasAssets(triggers)) return false;
  const text = canonical(known.revertTriggers);
  return text === canonical(triggers) && text === earlierCanonical(known.revertTriggers);
}

/**
 * The digest to revert for; undefined if no revert is asked for. Only a changed value on a resource that the state holds
 * asks for one: never the first `up`, an adoption, or an import, nor the first value after Pulumi's own import, which knows no
 * program.
 */
function wantedRevert(known: State & HiddenOutputs, inputs: State): string | undefined {
  const key = revertKey(inputs.revertTriggers);
  const { operation } = (known.pending ?? {}) as Partial<Pending>;
  if (known.__owner === undefined || known.__programUnknown === true || operation === "create") return undefined;
  const isDone = isKeyOf(known.revertedFor as string | undefined, inputs.revertTriggers);
  return isDone || isDoneByEarlyBuild(known, inputs.revertTriggers) ? undefined : key;
}
