// Unlinks targets of a set, and removes targets that ViPR never provisioned. Never unlinks a target that was not made for
// the set.

import type { OperationContext, State } from "../../core/definition";
import { isKind, type SnapcloneError } from "../../core/errors";
import { codeOf, type ViprClient } from "../client";
import type { ViprContext } from "../context";
import { stillLinked, taskFailed } from "./errors";
import { lockForUnlink } from "./locks";
import { searchSet } from "./ownership";
import {
  asList,
  fetchSet,
  isProvisioned,
  type LinkRequest,
  type Member,
  type PromotedVolume,
  promotedFrom,
  recordedIds,
  type TargetOutput,
  type TargetSetState,
} from "./state";
import { type Doubt, type LostTask, runTask, type TaskRequest, waitForSessions, waitUntilShown } from "./tasks";

/** ViPR's codes for a target that is not where it was a moment ago (docs/wire/vipr.md#unlink). */
const GONE_MEANWHILE = [1004, 1006, 1013];
/** ViPR's code for a name that is taken or too long (docs/wire/vipr.md#validation-of-link-targets). */
const REFUSED_PARAMETER = 1008;

/**
 * Unlinks the members that `which` chooses, those of one session at a time and the last linked first. Returns the set as it
 * is afterwards.
 */
export async function unlink(
  controller: ViprContext,
  set: TargetSetState,
  which: (set: TargetSetState) => readonly Member[],
  known: State,
  context: OperationContext,
): Promise<TargetSetState> {
  const isKept = known.deleteTargetsOnUnlink === false;
  const kept: PromotedVolume[] = [...set.promoted];
  let now = set;
  let refused: SnapcloneError | undefined;
  for (;;) {
    const surplus = which(now).filter((member) => member.session);
    const session = surplus.at(-1)?.session?.id;
    if (session === undefined) return now;
    const here = surplus.filter((member) => member.session?.id === session).reverse();
    if (isKept && known.copyMode !== "copy") {
      context.warn(
        "targets in copy mode nocopy are kept as volumes: their content is not guaranteed once they are unlinked",
      );
    }
    const ids = here.map(({ row }) => row.id);
    const stillIn = (seen: TargetSetState) =>
      which(seen).filter((member) => ids.includes(member.row.id) && member.session);
    let doubt: Doubt | undefined;
    try {
      doubt = await runTask(controller, unlinkRequest(controller, session, ids, known, now), context);
      const fetch = () => refetchSet(controller, now, known, context);
      if (doubt) await waitUntilShown(fetch, (seen) => stillIn(seen).length === 0, context);
      context.done();
      refused = undefined;
      if (isKept) kept.push(...(await keptVolumes(controller.client, here, context.signal)));
    } catch (error) {
      // Somebody else may have unlinked one of them in the meantime. Then the set that is fetched next has fewer members.
      if (!isGoneMeanwhile(error) || refused) throw error;
      refused = error;
    }
    const after = await refetchSet(controller, { ...now, promoted: kept }, known, context);
    const left = stillIn(after);
    if (refused && left.length === here.length) throw refused;
    if (!refused && left.length > 0) throw stillLinked(left, doubt?.error);
    if (!refused && isKept) warnOfUnseen(here, after, context);
    now = after;
  }
}

function unlinkRequest(
  { client }: ViprContext,
  session: string,
  ids: readonly string[],
  known: State,
  set: TargetSetState | undefined,
): TaskRequest {
  const targets = ids.map((id) => ({ id, delete_target: known.deleteTargetsOnUnlink !== false }));
  return {
    kind: "unlink",
    session,
    send: () => client.unlinkTargets(session, targets),
    refreshedBy: known.refreshedBy,
    failed: (task) => taskFailed(task, set, undefined),
  };
}

/** What is known after the targets that the state names were unlinked. */
export interface QuickUnlink {
  /** Nothing else has a name of the set. */
  isAll: boolean;
  unlinked: boolean;
  /** The reply to a request was lost while unlinks of other sets were running. */
  lost?: LostTask;
  /** What became of the request for these targets is to be seen by what is linked. */
  doubt?: Doubt & { ids: readonly string[] };
}

/**
 * Unlinks the targets that the state names without fetching them first: ViPR refuses the whole request if one of them is not
 * there (docs/wire/vipr.md#unlink). Where it can, it does so beside the unlinks of other sets.
 */
export async function unlinkRecorded(
  controller: ViprContext,
  id: string,
  known: State,
  context: OperationContext,
): Promise<QuickUnlink> {
  const targets = asList<TargetOutput>(known.targets);
  const ids = new Set(targets.map((target) => target.id));
  const isRest = known.pending === undefined && recordedIds(known).every((target) => ids.has(target));
  // Targets that are to be kept must be fetched: their WWNs lead to the volumes that they become.
  if (targets.length === 0 || !isRest || known.deleteTargetsOnUnlink === false)
    return { isAll: false, unlinked: false };
  const { free, shared } = await lockForUnlink(controller, known, context);
  let unlinked = false;
  try {
    for (const session of new Set(targets.map(({ snapshotSessionId }) => snapshotSessionId))) {
      const here = targets.filter((target) => target.snapshotSessionId === session).map((target) => target.id);
      const request = unlinkRequest(controller, session, here.reverse(), known, undefined);
      const before = await waitForSessions(controller, [session], context, { beside: shared });
      try {
        const doubt = await runTask(controller, { ...request, before, shared }, context);
        if (doubt) return { isAll: false, unlinked: true, doubt: { ...doubt, ids: here } };
      } catch (error) {
        if (isGoneMeanwhile(error)) return { isAll: false, unlinked };
        const isLost = shared && isKind(error, "ambiguous");
        if (isLost) return { isAll: false, unlinked: true, lost: { kind: "unlink", session, before, error } };
        throw error;
      }
      for (const target of here) controller.unlinkedTargets.add(target);
      unlinked = true;
    }
  } finally {
    free();
  }
  const others = await searchSet(controller, id, context.signal);
  return { isAll: others.every((target) => ids.has(target)), unlinked };
}

function isGoneMeanwhile(error: unknown): error is SnapcloneError {
  return isKind(error, "notFound") || (isKind(error, "refused") && GONE_MEANWHILE.includes(codeOf(error) ?? 0));
}

/** Only the WWN leads from a target to the volume that it has become (docs/wire/vipr.md#s0-14). */
async function keptVolumes(client: ViprClient, members: readonly Member[], signal: AbortSignal) {
  const ids: string[] = [];
  for (const { row } of members) {
    if (row.wwn) ids.push(...(await client.searchVolumes({ wwn: row.wwn }, signal)));
  }
  const volumes = ids.length > 0 ? await client.bulkVolumes([...new Set(ids)], signal) : [];
  return volumes.filter(({ inactive }) => !inactive).map(promotedFrom);
}

function warnOfUnseen(unlinked: readonly Member[], { promoted }: TargetSetState, context: OperationContext): void {
  const unseen = unlinked.filter(({ row }) => !promoted.some(({ wwn, name }) => wwn === row.wwn || name === row.name));
  for (const { row } of unseen) {
    context.warn(
      `${row.name} was kept, and ViPR shows no volume for it. Search for a volume with the WWN ${row.wwn ?? "(none)"}`,
    );
  }
}

/** Fetches the set again, with what is known of it by now. */
export function refetchSet(
  controller: ViprContext,
  { id, batches, promoted, source }: TargetSetState,
  known: State,
  { signal }: OperationContext,
  linked?: LinkRequest,
): Promise<TargetSetState> {
  const now = { ...known, batches, targets: [], promotedVolumes: promoted, sourceId: source ?? known.sourceId };
  const sessions = asList<TargetOutput>(known.targets).map(({ snapshotSessionId }) => snapshotSessionId);
  return fetchSet(controller, id, now, { signal, sessions, linked });
}

/** A target that was never provisioned keeps its name from being used again (docs/wire/vipr.md#s0-6). */
export async function forgetUnprovisioned(
  { client }: ViprContext,
  { unlinked }: Pick<TargetSetState, "unlinked">,
): Promise<void> {
  for (const { row } of unlinked) {
    if (!isProvisioned(row)) await client.forgetTarget(row.id);
  }
}

/**
 * When ViPR refuses a link because of one name, it has already made the targets whose names come before it, and leaves them
 * (docs/wire/vipr.md#s0-6).
 */
export async function forgetRefusedLink(
  controller: ViprContext,
  id: string,
  linked: LinkRequest,
  known: State,
  error: unknown,
  signal: AbortSignal,
): Promise<void> {
  if (!isKind(error, "refused") || codeOf(error) !== REFUSED_PARAMETER) return;
  try {
    const set = await fetchSet(controller, id, known, { signal, linked });
    await forgetUnprovisioned(controller, { unlinked: set.unlinked.filter(({ batch }) => batch === linked.batch) });
  } catch {
    // The user must see ViPR's refusal, not this error. The next update removes the targets.
  }
}
