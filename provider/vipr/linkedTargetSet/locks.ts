// Which operations on one session may overlap. ViPR excludes none (docs/wire/vipr.md#s0-13), so the provider does.
//
// Links of a volume's session overlap, and unlinks of different targets of such a session: ViPR itself links the targets of one
// request in parallel, and each step touches its own target only (docs/wire/vipr.md#concurrency). In a consistency group's
// session the steps come one after another, so their links and unlinks do. An update excludes all others: it decides by what
// is linked.

import type { OperationContext, State } from "../../core/definition";
import { isConsistencyGroup } from "../client";
import type { ViprContext } from "../context";
import { asList, asText, isText, type TargetOutput } from "./state";

/** What the locks are called in messages. */
const SESSION = "snapshot session";

type Free = () => void;

/** For the link of a new set. */
export async function lockForLink(controller: ViprContext, session: string, context: OperationContext): Promise<Free> {
  const { sessionLocks, linkLocks } = controller;
  const free = await sessionLocks.acquire([session], SESSION, context, "shared");
  try {
    // Only a second link needs to know what the session is of.
    if (!linkLocks.isFree(session) && (await controller.isOfVolume(session))) return free;
    const freeLink = await linkLocks.acquire([session], SESSION, context);
    return () => {
      freeLink();
      free();
    };
  } catch (error) {
    free();
    throw error;
  }
}

/** For an unlink of targets that the state names. `shared` if unlinks of other sets may run meanwhile. */
export async function lockForUnlink(
  controller: ViprContext,
  known: State,
  context: OperationContext,
): Promise<{ free: Free; shared: boolean }> {
  const source = asText(known.sourceId);
  const shared = source !== undefined && !isConsistencyGroup(source);
  const mode = shared ? "shared" : "exclusive";
  return { free: await controller.sessionLocks.acquire(sessionsOf(known), SESSION, context, mode), shared };
}

/** For everything else. */
export function lockForUpdate(controller: ViprContext, known: State, context: OperationContext): Promise<Free> {
  return controller.sessionLocks.acquire(sessionsOf(known), SESSION, context);
}

function sessionsOf({ targets, snapshotSessionId }: State): string[] {
  const linkedTo = asList<TargetOutput>(targets).map((target) => target.snapshotSessionId);
  return [asText(snapshotSessionId), ...linkedTo].filter(isText);
}
