// The `import` option of a ClonedVm: takes over VMs that something else has made, by their uuids in the order of `names`. A
// VM's name on the server is no identity: an update sets it, as any later update does.

import type { Importable, Importer, RecordedPart, WorkUnderWay } from "../../core/definition";
import { SnapcloneError } from "../../core/errors";
import { idList, idsIn, wrongImport } from "../../core/importIds";
import { digest } from "../../core/util/digest";
import type { TagRow, VmRow } from "../answers";
import { isGone, type ZStackContext } from "../context";
import { dataVolumes } from "./create";
import { type ClonedVmInputs, names as namesSchema, uuid } from "./inputs";
import { Members } from "./members";
import { PROVISIONAL_NAME, readTags, removeTags, tagsOfSet } from "./ownership";
import { observed, vmOutput } from "./state";

/** The states in which a VM is of use, and which it does not leave by itself. */
const USABLE = /^(Running|Stopped|Paused)$/;

export const importer: Importer<ClonedVmInputs, ZStackContext> = {
  id: idList(uuid("a VM"), "VM", "must be the uuids of the VMs, separated by commas, in the order of `names`"),

  needs: ["vmInstanceUuid"],

  async find(cloud, importId, record, inputs, context): Promise<Importable | undefined> {
    const uuids = idsIn(importId);
    refuseOtherCount(uuids, inputs.names);
    const found = await cloud.vms(uuids, context.signal);
    if (found.length === 0) return undefined;
    const lacking = uuids.filter((one) => !found.some((row) => row.uuid === one));
    if (lacking.length > 0) throw wrongImport(`there is no VM ${lacking.join(", ")}, or this login may not see it`);
    const rows = found.toSorted((a, b) => uuids.indexOf(a.uuid) - uuids.indexOf(b.uuid));
    refuseUnusable(rows);
    const warn = (text: string) => context.warn(text);
    const source = sourceFor(rows, inputs.vmInstanceUuid, warn);
    const names = inputs.names ?? serverNames(rows);
    warnOfDataVolumes(rows, warn);

    const id = setId(`import ${record.stack} ${record.owner} ${importId}`);
    const tags = await cloud.tagsOn(uuids, context.signal);
    refuseOtherMembers(uuids, await cloud.client.queryUserTags([tagsOfSet(id)], context.signal), id);
    // No data volume is `cloned`, so none is ever deleted with its VM.
    const vms = rows.map((row, index) => vmOutput({ uuid: row.uuid, name: names[index] ?? "", row, disks: [] }, id));
    const known = { ...inputs, names, vmInstanceUuid: source, vms };
    const members = new Members(cloud, id, cloud.shortDeadline(context.signal), known);
    members.show(rows, tags);
    const { state } = await observed(members, known);
    return {
      id,
      objects: uuids,
      parts: await partsOf(cloud, uuids, tags, context.signal),
      state: { ...state, vmInstanceUuid: source },
    };
  },

  forget: (parts) =>
    parts.flatMap(({ written }) => written.map((tag) => `\`zstack-cli DeleteTag uuid=${tag}\``)).join(", "),

  async removeRecords(cloud, parts) {
    const tags = parts.flatMap(({ id, written }) => written.map((tagUuid) => ({ tagUuid, vmUuid: id })));
    await removeTags(cloud, tags, cloud.shortDeadline());
  },
};

/** Has the form of a version 4 UUID, as the id of a set that was cloned has. */
function setId(of: string): string {
  const digits = digest(of);
  return `${digits.slice(0, 12)}4${digits.slice(13, 16)}8${digits.slice(17, 32)}`;
}

function refuseOtherCount(uuids: readonly string[], names: readonly string[] | undefined): void {
  if (names === undefined || names.length === uuids.length) return;
  throw wrongImport(
    `the option has ${uuids.length} VMs, and the program has ${names.length} names`,
    "Give each VM a name. A name that is added after the import clones one more VM.",
  );
}

function refuseUnusable(rows: readonly VmRow[]): void {
  const reasons = rows.flatMap(({ uuid: one, name, state, type }) => {
    // ZStack clones no other (docs/wire/zstack.md#s3-3).
    if (type && type !== "UserVm") return [`${one} is of the type ${type}, and no VM of a user`];
    if (PROVISIONAL_NAME.test(name)) return [`${one} ("${name}") belongs to a create that has not ended`];
    if (isGone({ state })) return [`${one} is in the recycle bin (state ${state})`];
    return USABLE.test(state) ? [] : [`${one} is in state ${state}`];
  });
  if (reasons.length === 0) return;
  throw new SnapcloneError({
    kind: "refused",
    message: `${reasons.join("; ")}; nothing was changed`,
    hint: "Only VMs of users that are Running, Stopped or Paused can be taken over. Run `pulumi up` again when they are.",
  });
}

/** ZStack names the source in a clone's description, which anybody may change (docs/wire/zstack.md#s3-6). */
function sourceFor(rows: readonly VmRow[], wanted: string | undefined, warn: (text: string) => void): string {
  const claims = rows.map((row) => ({ uuid: row.uuid, source: sourceIn(row) }));
  const source = wanted ?? claims.find((claim) => claim.source !== undefined)?.source;
  if (source === undefined) {
    throw wrongImport(
      `of which VM ${rows.map((row) => row.uuid).join(", ")} was made, ZStack does not show`,
      "Declare the VMs in the program, with `vmInstanceUuid` and the option `import` of the dynamic class (docs/import.md).",
    );
  }
  if (rows.some((row) => row.uuid === source)) throw wrongImport(`${source} is the source VM, and no clone of it`);
  const others = claims.filter((claim) => claim.source !== undefined && claim.source !== source);
  if (others.length > 0) {
    const texts = others.map((claim) => `${claim.uuid} is a clone of ${claim.source}`);
    throw wrongImport(
      `${texts.join("; ")} by its description, and vmInstanceUuid is ${source}`,
      "Correct vmInstanceUuid or the option. If the description is wrong, change it in ZStack.",
    );
  }
  const unproven = claims.filter((claim) => claim.source === undefined).map((claim) => claim.uuid);
  if (unproven.length > 0) {
    warn(
      `of which VM a clone was made, ZStack does not show for ${unproven.join(", ")}: ${wanted === undefined ? "the other descriptions count" : "the program's word counts"}`,
    );
  }
  return source;
}

function sourceIn({ description }: VmRow): string | undefined {
  return /^cloned from vm\[uuid:([0-9a-f]{32})\]$/.exec(description ?? "")?.[1];
}

/** Pulumi's own import does not know the program, so the names on the server become the program's. */
function serverNames(rows: readonly VmRow[]): string[] {
  const result = namesSchema().safeParse(rows.map(({ name }) => name));
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const named = rows[Number(issue?.path[0])];
  throw wrongImport(
    `the name of the VM ${named?.uuid} ("${named?.name}") ${issue?.message}`,
    "Give the VM another name in ZStack, or declare it in the program with the option `import` of the dynamic class (docs/import.md).",
  );
}

function warnOfDataVolumes(rows: readonly VmRow[], warn: (text: string) => void): void {
  const volumes = rows.flatMap(dataVolumes);
  if (volumes.length === 0) return;
  warn(
    `nothing proves that the data volumes ${volumes.join(", ")} came with the clones: they are never deleted. A destroy detaches and keeps them`,
  );
}

/**
 * The same import of an earlier time may have cloned more VMs since, before the state let its set go. An update would delete
 * them, since they have no name in the program.
 */
function refuseOtherMembers(uuids: readonly string[], tags: readonly TagRow[], id: string): void {
  const { members = [], pendingCreates = [] } = readTags(tags).get(id) ?? {};
  const others = [...members, ...pendingCreates].filter(({ vmUuid }) => !uuids.includes(vmUuid));
  if (others.length === 0) return;
  const tagged = others.map(({ vmUuid, tagUuid }) => `the VM ${vmUuid} (tag ${tagUuid})`);
  throw new SnapcloneError({
    kind: "refused",
    message: `an earlier import of these VMs by this resource has cloned more, or was about to: ${tagged.join(", ")} has its record; nothing was changed`,
    hint: "To keep these VMs outside the set, remove the tags: `zstack-cli DeleteTag uuid=` with the tag's uuid. Then run `pulumi up` again.",
  });
}

async function partsOf(
  cloud: ZStackContext,
  uuids: readonly string[],
  tags: readonly TagRow[],
  signal: AbortSignal,
): Promise<RecordedPart[]> {
  const sets = [...readTags(tags)].filter(([, { members }]) => members.length > 0);
  const cloning = new Map<string, WorkUnderWay>();
  for (const [set] of sets) {
    const [pending] =
      readTags(await cloud.client.queryUserTags([tagsOfSet(set)], signal)).get(set)?.pendingCreates ?? [];
    if (pending) {
      const work = `the clone job ${pending.job} of the set of clones ${set}`;
      cloning.set(set, { work, forget: `\`zstack-cli DeleteTag uuid=${pending.tagUuid}\`` });
    }
  }
  return uuids.flatMap((one): RecordedPart[] => {
    const object = `VM ${one}`;
    const recorded = sets.flatMap(([set, { members, notes }]) => {
      const [tag] = members.filter(({ vmUuid }) => vmUuid === one);
      if (tag === undefined) return [];
      const written = [...members, ...notes].filter(({ vmUuid }) => vmUuid === one).map(({ tagUuid }) => tagUuid);
      // Tags of early builds name no owner.
      const { stack, owner = "", attempt } = tag.record ?? {};
      const whose = owner === "" ? `the set of clones ${set}` : owner;
      return [{ id: one, object, holder: set, stack, owner: whose, attempt, written, underWay: cloning.get(set) }];
    });
    return recorded.length > 0 ? recorded : [{ id: one, object, holder: one, owner: "", written: [] }];
  });
}
