// A set of clones in Pulumi's state: writing outputs, and reading those of earlier runs and builds.

import type { Observed, State, Task } from "../../core/definition";
import { isGone, type ZStackContext } from "../context";
import type { DeleteOptions } from "./delete";
import type { Member, Members } from "./members";
import { finalName, isUuid } from "./ownership";
import { notedTags } from "./tagNotes";

/** A clone in the state. */
export interface KnownVm {
  uuid: string;
  /** The program's name for the VM. */
  name: string | undefined;
  /** Data volumes that were cloned with the VM. */
  disks: readonly string[];
}

/** The rest of a VM that is gone. */
interface Leftover {
  uuid: string;
  name: string;
  volumes: readonly string[];
}

/** `known` has the inputs to report: a description that the program does not set is not the provider's. */
export async function observed(members: Members, known: State): Promise<Observed> {
  const order = asTexts(known.names);
  const indexOf = ({ name }: Member) => (order.includes(name) ? order.indexOf(name) : order.length);
  const living = members.living
    .filter((member) => members.named(member.name) === member)
    .toSorted((a, b) => indexOf(a) - indexOf(b) || (a.name < b.name ? -1 : 1));
  const pendingJobs = members.tags.pendingCreates.map(({ job }) => job);
  const { onAll, managed } = observedTags(members, living, known);
  const leftovers = await findLeftovers(members, deleteOptions(known));
  const duplicates = members.duplicates.map(({ uuid, name }) => ({ uuid, name }));
  const descriptions = living.map(({ row }) => row.description ?? "");
  const states = living.map(({ row }) => row.state);
  return {
    state: {
      // While clones are being made, their number is unknown. Otherwise these are the names on the server, so that a clone
      // that somebody has renamed differs from the program.
      ...(isCloning(known) || pendingJobs.length > 0 ? {} : { names: living.map(({ row }) => row.name) }),
      ...(known.description === undefined ? {} : { description: commonValue(descriptions, known.description) }),
      ...(known.powerState === undefined ? {} : { powerState: commonValue(states, known.powerState) }),
      ...(known.userTags === undefined ? {} : { userTags: onAll }),
      ...(managed.length === 0 ? {} : { __managedTags: managed }),
      __notedTags: members.tags.notes.length === 0 ? undefined : notedTags(members),
      vms: living.map((member) => vmOutput(member, members.id)),
      ...(leftovers.length === 0 ? {} : { leftovers }),
      ...(duplicates.length === 0 ? {} : { doubles: duplicates }),
      ...(pendingJobs.length === 0 ? {} : { unfinished: pendingJobs }),
    },
  };
}

/** `managed` keeps tags that are no longer wanted and still exist: after a failed update, the next one removes them. */
function observedTags(members: Members, living: readonly Member[], known: State) {
  const wanted = asTexts(known.userTags);
  const tagsOf = ({ uuid }: Member) => members.userTagsOf(uuid).map(({ tag }) => tag);
  const existing = new Set(living.flatMap(tagsOf));
  return {
    onAll: wanted.filter((tag) => living.every((member) => tagsOf(member).includes(tag))),
    managed: [...new Set([...managedTags(known), ...notedTags(members)])].filter(
      (tag) => wanted.includes(tag) || existing.has(tag),
    ),
  };
}

/** Finds cloned volumes that no other VM uses, and VMs in the recycle bin that are to be expunged. */
async function findLeftovers(members: Members, { expunge, keep }: DeleteOptions): Promise<Leftover[]> {
  const { cloud, context, all } = members;
  const gone = all.filter(({ row }) => isGone(row));
  const disks = keep ? [] : gone.flatMap((member) => member.disks);
  const rows = disks.length === 0 ? [] : await cloud.volumes(disks, context.signal);
  const isLeft = (disk: string, vm: string) =>
    rows.some(({ uuid, status, vmInstanceUuid: at }) => uuid === disk && status !== "Deleted" && (!at || at === vm));
  return gone.flatMap(({ uuid, name, row, disks: own }) => {
    const volumes = own.filter((disk) => isLeft(disk, uuid));
    const isBinned = expunge && members.isKnown(uuid) && row?.state === "Destroyed";
    return volumes.length > 0 || isBinned ? [{ uuid, name, volumes }] : [];
  });
}

export function vmOutput(
  { uuid, name, row, disks }: Pick<Member, "uuid" | "name" | "row" | "disks">,
  set: string,
): Record<string, unknown> {
  const nics = row?.vmNics ?? [];
  return {
    uuid,
    name: finalName(name, set),
    state: row?.state,
    hostUuid: row?.hostUuid ?? undefined,
    clusterUuid: row?.clusterUuid ?? undefined,
    zoneUuid: row?.zoneUuid ?? undefined,
    ips: nics.flatMap(({ ip }) => ip ?? []),
    nics: nics.map((nic) => ({
      uuid: nic.uuid,
      ip: nic.ip ?? undefined,
      mac: nic.mac ?? undefined,
      l3NetworkUuid: nic.l3NetworkUuid ?? undefined,
    })),
    rootVolumeUuid: row?.rootVolumeUuid ?? undefined,
    volumes: (row?.allVolumes ?? []).map((volume) => ({
      uuid: volume.uuid,
      name: volume.name ?? undefined,
      type: volume.type ?? undefined,
      size: volume.size ?? undefined,
      primaryStorageUuid: volume.primaryStorageUuid ?? undefined,
      cloned: volume.type === "Root" || disks.includes(volume.uuid),
    })),
  };
}

/** One value for all VMs: `wanted` if all have it, otherwise one that differs, so that a refresh shows the drift. */
function commonValue(values: readonly string[], wanted: unknown): unknown {
  return values.find((value) => value !== wanted) ?? wanted;
}

/** User tags that the provider may remove: those in the program, and those that it has added before. */
export function managedTags({ userTags, __managedTags: before }: State): string[] {
  return [...new Set([...asTexts(userTags), ...asTexts(before)])];
}

/** Takes inputs or a state. */
export function deleteOptions({ deletion, keepDataVolumes }: State): DeleteOptions {
  return { expunge: deletion === "expunge", keep: keepDataVolumes === true };
}

// --- reading the state

export function knownVms({ vms, leftovers }: State): KnownVm[] {
  const clonedDisks = (volumes: unknown) =>
    asRecords(volumes).flatMap(({ uuid, type, cloned }) => (type === "Data" && cloned === true ? asUuid(uuid) : []));
  const known = (uuid: unknown, name: unknown, disks: readonly string[]) =>
    asUuid(uuid).map((one) => ({ uuid: one, name: typeof name === "string" ? name : undefined, disks }));
  return [
    ...asRecords(vms).flatMap(({ uuid, name, volumes }) => known(uuid, name, clonedDisks(volumes))),
    ...asRecords(leftovers).flatMap(({ uuid, name, volumes }) => known(uuid, name, asTexts(volumes).flatMap(asUuid))),
  ];
}

/** The VMs that the state says are the set's, also those that are more than the program wants. */
export function heldVms({ vms, leftovers, doubles }: State): string[] {
  return [vms, leftovers, doubles].flatMap(asRecords).flatMap(({ uuid }) => asUuid(uuid));
}

export function sourceOf({ vmInstanceUuid }: State): string | undefined {
  return typeof vmInstanceUuid === "string" && isUuid(vmInstanceUuid) ? vmInstanceUuid : undefined;
}

/** True if clones were requested and no run has seen their job's end. */
export function isCloning({ pending }: State): boolean {
  if (typeof pending !== "object" || pending === null || Reflect.get(pending, "failed") === true) return false;
  return pendingTask({ pending })?.job !== undefined;
}

export function pendingTask({ pending }: State): Task | undefined {
  const task: unknown = typeof pending === "object" && pending !== null ? Reflect.get(pending, "task") : undefined;
  return typeof task === "object" && task !== null ? (task as Task) : undefined;
}

const INFRASTRUCTURE = {
  zones: "the zone",
  "primary-storage": "the primary storage",
  "l3-networks": "the network",
} as const;

/**
 * Returns why it proves nothing that the clones are not found: this login sees neither their source nor any infrastructure
 * that the outputs name. Returns undefined if the login sees one of these.
 */
export async function doubtAbsence(
  cloud: ZStackContext,
  known: State,
  signal: AbortSignal,
): Promise<string | undefined> {
  const source = sourceOf(known);
  if (source !== undefined && (await cloud.vms([source], signal)).length > 0) return undefined;
  const uuids = knownInfrastructure(known);
  const collections = Object.keys(INFRASTRUCTURE) as (keyof typeof INFRASTRUCTURE)[];
  for (const collection of collections) {
    const asked = uuids[collection];
    if (asked.length > 0 && (await cloud.client.queryVisible(collection, asked, signal)).length > 0) return undefined;
  }
  const others = collections.flatMap((collection) =>
    uuids[collection].map((uuid) => `${INFRASTRUCTURE[collection]} ${uuid}`),
  );
  return [
    `the state has clones of the VM ${source}${others.length === 0 ? "" : ` in ${others.join(", ")}`},`,
    `and this login (${cloud.account} at ${cloud.settings.base}) sees none of these:`,
    "it reaches another ZStack, or the account has lost its rights",
  ].join(" ");
}

function knownInfrastructure({ vms, primaryStorageUuidForRootVolume, primaryStorageUuidForDataVolume }: State) {
  const rows = asRecords(vms);
  const uuids = (values: readonly unknown[]) => [...new Set(values.flatMap(asUuid))];
  const storages = rows.flatMap(({ volumes }) => asRecords(volumes).map((volume) => volume.primaryStorageUuid));
  return {
    zones: uuids(rows.map(({ zoneUuid }) => zoneUuid)),
    "primary-storage": uuids([primaryStorageUuidForRootVolume, primaryStorageUuidForDataVolume, ...storages]),
    "l3-networks": uuids(rows.flatMap(({ nics }) => asRecords(nics).map(({ l3NetworkUuid }) => l3NetworkUuid))),
  };
}

export function asRecords(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === "object" && one !== null) : [];
}

export function asTexts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : [];
}

function asUuid(value: unknown): string[] {
  return typeof value === "string" && /^[0-9a-f]{32}$/i.test(value) ? [value] : [];
}
