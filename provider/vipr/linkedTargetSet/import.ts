// The `import` option of a LinkedTargetSet: takes over targets that something else has linked to a session, by the session's
// URN and the targets' URNs or names. ViPR can't rename a target, so the names stay; the state and a tag on each target say
// that they are the set's. Targets that are linked later get names of the set.

import * as z from "zod";
import { orUndefined } from "../../core/absence";
import type { Importable, Importer, OperationContext, OwnershipRecord, RecordedPart } from "../../core/definition";
import { SnapcloneError } from "../../core/errors";
import { idsIn, wrongImport } from "../../core/importIds";
import { digest } from "../../core/util/digest";
import { isConsistencyGroup, type LinkedTarget, type SnapshotSession } from "../client";
import type { ViprContext } from "../context";
import { type LinkedTargetSetInputs, sessionId, targetName as targetNameSchema } from "./inputs";
import { MAX_TARGET_NAME_LENGTH, nameInSet, newSetId, parseName, parseSetId, RECORD_LENGTHS } from "./names";
import { NOBODY_TAG, recordTagged } from "./ownership";
import { type Batch, fetchSet, isProvisioned, observedOf, sourceOf } from "./state";
import { runningTask } from "./tasks";

const LIST =
  "must be the URN of the session, then the URNs or names of the targets in the order in which they are to count, all separated by commas";
/** Each group becomes a batch, and the batches of later links need numbers, too. */
const MOST_GROUPS = 500;
const TARGET = /^urn:storageos:BlockSnapshot:/i;

export const importer: Importer<LinkedTargetSetInputs, ViprContext> = {
  id: z.string("must be a text").transform((text, context): string => {
    const [session, ...targets] = idsIn(text);
    const refuse = (message: string) => context.addIssue({ code: "custom", message });
    const wrongSession = sessionId().safeParse(session).error?.issues[0]?.message;
    const wrongKind = targets.find((one) => /^urn:/i.test(one) && !TARGET.test(one));
    if (targets.length === 0 || targets.includes("")) refuse(LIST);
    else if (wrongSession !== undefined) refuse(`${LIST}. The first ${wrongSession}`);
    else if (wrongKind !== undefined) refuse(`names ${wrongKind}, which is not a linked target (BlockSnapshot)`);
    else if (new Set(targets).size < targets.length) refuse("names one target twice");
    return [session, ...targets].join(",");
  }),

  async find(controller, importId, record, inputs, context): Promise<Importable | undefined> {
    const { signal } = context;
    const [sessionUrn = "", ...wanted] = idsIn(importId);
    if (inputs.snapshotSessionId !== undefined && inputs.snapshotSessionId !== sessionUrn) {
      throw wrongImport(
        `the option names the session ${sessionUrn}, and the program has ${inputs.snapshotSessionId}`,
        "Name the session that the targets are linked to in both. Change snapshotSessionId after the import to relink them.",
      );
    }
    const session = await orUndefined(controller.client.showSession(sessionUrn, signal));
    if (!session || session.inactive) {
      throw wrongImport(`there is no snapshot session ${sessionUrn}, or this login may not see it`);
    }
    const rows = await targetsOf(controller, session, wanted, signal);
    const groups = groupsOf(session, rows.all, rows.wanted);
    refuseOtherCount(groups.length, inputs.count);
    await warnOfParts(controller, session, groups, context);
    await refuseBusy(controller, sessionUrn, signal);

    const targetName = inputs.targetName ?? nameFrom(rows.wanted);
    const id = setId(targetName, record, importId);
    const batches = groups.map(
      (group, index): Batch => ({ batch: index + 1, parts: group.length, targetIds: group.map((row) => row.id) }),
    );
    const known = { snapshotSessionId: sessionUrn, batches };
    const set = await fetchSet(controller, id, known, { signal });
    const others = set.members.filter(({ row }) => !rows.wanted.some((one) => one.id === row.id));
    if (others.length > 0) throw earlierImport(others.map(({ row }) => row));
    const { state } = observedOf(set, known);
    return {
      id,
      objects: rows.wanted.map((row) => row.id),
      parts: rows.wanted.map((row) => partOf(row, record)),
      // The id has no name if nobody owns the set, as for the command.
      state: { ...state, targetName },
    };
  },

  forget: (parts) =>
    parts
      .map(({ id, written }) => `\`PUT /block/snapshots/${id}/tags\` with \`${JSON.stringify(changeFor(written))}\``)
      .join(", "),

  async removeRecords({ client }, parts) {
    for (const { id, written } of parts) await client.tagTarget(id, changeFor(written));
  },
};

function setId(targetName: string, record: OwnershipRecord, importId: string): string {
  const attempt = digest(`import ${record.stack} ${record.owner} ${importId}`).slice(0, RECORD_LENGTHS.attempt);
  return newSetId(targetName, { ...record, attempt });
}

/** All targets of the session, and the wanted ones in the order of the option. */
async function targetsOf(
  { client }: ViprContext,
  session: SnapshotSession,
  wanted: readonly string[],
  signal: AbortSignal,
): Promise<{ all: LinkedTarget[]; wanted: LinkedTarget[] }> {
  const ids = session.linked_targets.map(({ id }) => id);
  const rows = ids.length === 0 ? [] : await client.bulkTargets(ids, signal);
  const all = rows.filter(({ inactive }) => !inactive);
  const found = wanted.map((one) => all.filter(({ id, name }) => (TARGET.test(one) ? id === one : name === one)));
  const missing = wanted.filter((_, index) => found[index]?.length === 0);
  if (missing.length > 0) {
    throw wrongImport(
      `no target ${missing.map((one) => `"${one}"`).join(", ")} is linked to the session ${session.name} (${session.id}), or this login may not see it`,
      "Correct the option: `GET /block/snapshot-sessions/{id}` lists the session's targets.",
    );
  }
  const doubles = wanted.filter((_, index) => (found[index]?.length ?? 0) > 1);
  if (doubles.length > 0) {
    throw wrongImport(`several targets are called "${doubles[0]}"`, "Name them by their URNs.");
  }
  const chosen = found.flat();
  if (new Set(chosen).size < chosen.length)
    throw wrongImport("the option names one target twice, by its name and its URN");
  const unfinished = chosen.filter((row) => !isProvisioned(row));
  if (unfinished.length > 0) {
    throw wrongImport(
      `${unfinished.map(labelOf).join(", ")} has no device on the array (yet)`,
      "Run `pulumi up` again later.",
    );
  }
  return { all, wanted: chosen };
}

/**
 * The targets of a consistency group's session belong together: those with one label are of one instant of all volumes
 * (docs/wire/vipr.md#names). A part alone would be no copy of the consistency group.
 */
function groupsOf(
  session: SnapshotSession,
  all: readonly LinkedTarget[],
  wanted: readonly LinkedTarget[],
): LinkedTarget[][] {
  const source = sourceOf(session);
  const isOfGroup = source !== undefined && isConsistencyGroup(source);
  const groups = new Map<string, LinkedTarget[]>();
  for (const row of wanted) {
    const label = isOfGroup ? row.snapset_label : row.id;
    if (!label) throw wrongImport(`with which other targets ${labelOf(row)} was linked, ViPR does not show`);
    groups.set(label, [...(groups.get(label) ?? []), row]);
  }
  const left = isOfGroup
    ? all.filter((row) => groups.has(row.snapset_label ?? "") && !wanted.some(({ id }) => id === row.id))
    : [];
  if (left.length > 0) {
    throw wrongImport(
      `the targets of a consistency group are taken over as a whole, and the option lacks ${left.map(labelOf).join(", ")}`,
      "Add them to the option: they have the instant of targets that it names.",
    );
  }
  if (groups.size > MOST_GROUPS) throw wrongImport(`the option names more than ${MOST_GROUPS} targets`);
  return [...groups.values()];
}

/** A group may have lost targets, or the consistency group may have got volumes since: ViPR does not show which. */
async function warnOfParts(
  { client }: ViprContext,
  session: SnapshotSession,
  groups: readonly (readonly LinkedTarget[])[],
  context: Pick<OperationContext, "signal" | "warn">,
): Promise<void> {
  const source = sourceOf(session);
  if (source === undefined || !isConsistencyGroup(source)) return;
  const group = await client.showGroup(source, context.signal).catch(() => undefined);
  const smaller = groups.filter(({ length }) => length < (group?.volumes.length ?? 0));
  if (smaller.length === 0) return;
  const texts = smaller.map((targets) => targets.map(labelOf).join(" with "));
  context.warn(
    `the consistency group ${group?.name} has ${group?.volumes.length} volumes, and of these groups of targets each has fewer: ${texts.join("; ")}. Whether they ever had more, ViPR does not show: they count as whole`,
  );
}

/** An update would unlink what is too many, and link what is too few. */
function refuseOtherCount(found: number, count: number | undefined): void {
  if (count === undefined || count === found) return;
  throw wrongImport(
    `the option names ${found} targets (or groups of targets), and the program has count ${count}`,
    `Import with count ${found}, and change count afterwards.`,
  );
}

async function refuseBusy(controller: ViprContext, session: string, signal: AbortSignal): Promise<void> {
  const task = await runningTask(controller, session, signal);
  if (task === undefined) return;
  throw new SnapcloneError({
    kind: "refused",
    message: `ViPR's task ${task.id} (${task.description ?? task.name}) works on the session's targets; nothing was changed`,
    hint: "Run `pulumi up` again when the task has ended.",
  });
}

/** Pulumi's own import does not know the program: what stands before ViPR's numbers is the `targetName`. */
function nameFrom([first]: readonly LinkedTarget[]): string {
  const name = first?.name ?? "";
  const own = parseSetId(parseName(name)?.id ?? "")?.targetName;
  const text = own ?? name.replace(/(-\d+){1,2}$/, "").replace(/\p{Cc}/gu, "");
  const result = targetNameSchema().safeParse(text.slice(0, MAX_TARGET_NAME_LENGTH));
  return result.success ? result.data : "imported";
}

/**
 * The same import of an earlier time may have linked more targets since, before the state let its set go. An update would
 * unlink them.
 */
function earlierImport(rows: readonly LinkedTarget[]): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    message: `an earlier import of these targets by this resource has linked ${rows.map(labelOf).join(", ")}, which the option does not name; nothing was changed`,
    hint: "Add them to the option, or unlink them in ViPR. Then run `pulumi up` again.",
  });
}

function labelOf({ id, name }: LinkedTarget): string {
  return `${name} (${id})`;
}

/** Takes the record away. A name can't be changed, so a tag overrides the record in it. */
function changeFor(written: readonly string[]): { add?: string[]; remove?: string[] } {
  const remove = written.filter((tag) => tag.startsWith("snapclone:"));
  return {
    ...(written.length > remove.length ? { add: [NOBODY_TAG] } : {}),
    ...(remove.length > 0 ? { remove } : {}),
  };
}

/** `written` has the tags, and the name if that has the record, too. */
function partOf(row: LinkedTarget, record: OwnershipRecord): RecordedPart {
  const set = parseName(nameInSet(row))?.id;
  const tags = row.tags.filter((tag) => /^snapclone:\w+=./.test(tag));
  const written = parseName(row.name) === undefined ? tags : [...tags, row.name];
  const common = { id: row.id, object: `target ${labelOf(row)}`, written };
  const tagged = recordTagged(row);
  if (tagged) return { ...common, holder: set ?? row.id, ...tagged, stack: tagged.stack || undefined };
  const named = parseSetId(set ?? "");
  if (set === undefined || named === undefined || /^0+$/.test(named.owner)) {
    return { ...common, holder: row.id, owner: "" };
  }
  // The owner in a name is a digest of stack and URN: only one's own can be told.
  const stack = named.owner === record.owner ? record.stack : undefined;
  return { ...common, holder: set, stack, owner: named.owner, attempt: named.attempt };
}
