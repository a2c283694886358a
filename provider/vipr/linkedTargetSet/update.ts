// Reconciles a set with its inputs: relinks, then links what is missing, then unlinks what is surplus.

import { orUndefined } from "../../core/absence";
import type { Observed, OperationContext, State } from "../../core/definition";
import { canonical } from "../../core/diff";
import type { SnapshotSession, Task } from "../client";
import type { ViprContext } from "../context";
import {
  deletedSession,
  incompatibleSession,
  noSession,
  notRelinked,
  perhapsNotRefreshed,
  taskFailed,
  tooFewTargets,
  warningsAbout,
} from "./errors";
import type { LinkedTargetSetInputs } from "./inputs";
import { batchName } from "./names";
import {
  asList,
  isOfSameSource,
  type Member,
  nextBatch,
  observedOf,
  remainsOf,
  sourceOf,
  type TargetOutput,
  type TargetSetState,
} from "./state";
import { beingProvisioned, type Doubt, fetchIdleSet, runTask, waitUntilShown } from "./tasks";
import { forgetRefusedLink, forgetUnprovisioned, refetchSet, unlink } from "./unlink";

export function isAsWanted(state: State, inputs: LinkedTargetSetInputs): boolean {
  const targets = asList<TargetOutput>(state.targets);
  return (
    state.count === inputs.count &&
    targets.every(({ snapshotSessionId }) => snapshotSessionId === inputs.snapshotSessionId) &&
    asList(state.remains).length === 0 &&
    !wantsRefresh(inputs, state)
  );
}

/** Targets that were just linked have no `refreshedBy`, and need no refresh. */
function wantsRefresh(inputs: LinkedTargetSetInputs, { refreshedBy }: State): boolean {
  return refreshedBy !== undefined && canonical(refreshedBy) !== canonical(inputs.refreshTriggers);
}

/** The observation with the triggers of the program, which the targets have after a successful update. */
export function withTriggers(observed: Observed, { refreshTriggers }: LinkedTargetSetInputs): Observed {
  return { ...observed, state: { ...observed.state, refreshTriggers, refreshedBy: refreshTriggers ?? [] } };
}

export async function reconcileTargets(
  controller: ViprContext,
  id: string,
  inputs: LinkedTargetSetInputs,
  before: State,
  context: OperationContext,
): Promise<Observed> {
  const { snapshotSessionId: wanted, count } = inputs;
  const warned = new Set<string>();
  const warn = (seen: TargetSetState) => {
    const warnings = warningsAbout(seen, wanted).filter((warning) => !warned.has(warning));
    for (const warning of warnings) {
      context.warn(warning);
      warned.add(warning);
    }
  };
  const known: State = { ...before, ...inputs };
  const set = await fetchIdleSet(controller, id, known, context, { sessions: [before.snapshotSessionId] });
  warn(set);
  const session = await targetSession(controller, wanted, context.signal);
  if (!hasSource(set, session)) throw incompatibleSession(set, session);

  const step = new Reconciliation(controller, inputs, known, set, context);
  const kept = set.groups.slice(0, count);
  const isRefresh = wantsRefresh(inputs, before);
  await step.relink(kept.flat().filter((member) => isRefresh || member.session?.id !== wanted));
  await step.link(count - kept.length);
  // Unlink last, when the targets that replace the unlinked ones exist.
  await step.removeSurplus();
  warn(step.set);
  return withTriggers(observedOf(step.set, step.known), inputs);
}

/** The steps of one update, with the set as the latest step has left it. */
class Reconciliation {
  constructor(
    private readonly controller: ViprContext,
    private readonly inputs: LinkedTargetSetInputs,
    /** The state before the update, with the program's inputs. */
    public known: State,
    public set: TargetSetState,
    private readonly context: OperationContext,
  ) {}

  async relink(members: readonly Member[]): Promise<void> {
    if (members.length === 0) return;
    const { controller, context, failed } = this;
    const { snapshotSessionId: session, refreshTriggers: refreshedBy = [] } = this.inputs;
    const { refreshedBy: refreshedBefore } = this.known;
    const ids = members.map(({ row }) => row.id);
    const send = () => controller.client.relinkTargets(session, ids);
    const request = { kind: "relink", session, send, refreshedBy, refreshedBefore, failed } as const;
    const doubt = await runTask(controller, request, context);
    const isMoved = (seen: TargetSetState) =>
      seen.members.every(({ row, session: to }) => !ids.includes(row.id) || !to || to.id === session);
    const fetch = () => refetchSet(controller, this.set, this.known, context);
    const after = doubt ? await waitUntilShown(fetch, isMoved, context) : await fetch();
    context.done();
    const elsewhere = after.members.filter(
      (one) => ids.includes(one.row.id) && one.session && one.session.id !== session,
    );
    if (elsewhere.length > 0) throw notRelinked(elsewhere, doubt?.error);
    const isRefresh = members.every((member) => member.session?.id === session);
    if (doubt && isRefresh && (!doubt.isLost || hasOthers(after, session))) throw perhapsNotRefreshed(doubt);
    controller.refreshedBy.set(this.set.id, refreshedBy);
    this.known = { ...this.known, refreshedBy };
    this.set = after;
  }

  async link(missing: number): Promise<void> {
    if (missing <= 0) return;
    const { controller, context, inputs, known, set } = this;
    const { snapshotSessionId: session, copyMode } = inputs;
    await forgetUnprovisioned(controller, set);
    const linked = { batch: nextBatch(set), count: missing };
    const targets = { count: missing, target_name: batchName(set.id, linked.batch), copy_mode: copyMode };
    const send = () => controller.client.linkTargets(session, targets);
    const { refreshedBy } = known;
    const request = { kind: "link", session, send, refreshedBy, linked, failed: this.failed } as const;
    let doubt: Doubt | undefined;
    try {
      doubt = await runTask(controller, request, context);
    } catch (error) {
      await forgetRefusedLink(controller, set.id, linked, { ...known, batches: set.batches }, error, context.signal);
      throw error;
    }
    const fetch = () => refetchSet(controller, set, known, context, linked);
    const isEnough = ({ groups }: TargetSetState) => groups.length >= inputs.count;
    const isGone = doubt?.isLost === false;
    const underWay = (seen: TargetSetState) => (isGone ? beingProvisioned(seen, linked) : []);
    this.set = await waitUntilShown(fetch, isEnough, context, underWay);
    if (!isEnough(this.set)) throw tooFewTargets(this.set, inputs, isGone ? doubt?.error : undefined);
    context.done();
  }

  async removeSurplus(): Promise<void> {
    const { controller, context, known } = this;
    const surplus = (seen: TargetSetState) => [
      ...seen.groups.slice(this.inputs.count).flat(),
      ...remainsOf(seen).filter(({ session }) => session),
    ];
    this.set = await unlink(controller, this.set, surplus, known, context);
    await forgetUnprovisioned(controller, this.set);
    if (remainsOf(this.set).length > 0) this.set = await refetchSet(controller, this.set, known, context);
  }

  private readonly failed = (task: Task) => taskFailed(task, this.set, this.inputs);
}

/**
 * True if the session has targets of others. If it has none, whatever was relinked to the session were targets of this set: a
 * relink leaves its targets linked to the session (docs/wire/vipr.md#what-relink-does).
 */
function hasOthers({ members, sessions }: TargetSetState, session: string): boolean {
  const ours = new Set(members.map(({ row }) => row.id));
  return sessions.get(session)?.linked_targets.some(({ id }) => !ours.has(id)) ?? true;
}

/** A set has one source. Targets without a session show their source, too. */
function hasSource(set: TargetSetState, session: SnapshotSession): boolean {
  const linkedTo = set.members.find((member) => member.session)?.session;
  if (linkedTo) return isOfSameSource(linkedTo, session);
  return set.members.length === 0 || set.source === undefined || set.source === sourceOf(session);
}

async function targetSession(controller: ViprContext, id: string, signal: AbortSignal): Promise<SnapshotSession> {
  const session = await orUndefined(controller.client.showSession(id, signal));
  if (!session) throw noSession(id);
  if (session.inactive) throw deletedSession(session);
  return session;
}
