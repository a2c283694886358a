// What a set of clones is to the state: outputs written for Pulumi, and old state read back.

import type { Observed, State, Task } from "../../core/definition";
import { finalName } from "../context";
import type { Member, RemovalOptions } from "./delete";
import type { Members } from "./members";

/** A clone as the state has it. */
export interface KnownVm {
  uuid: string;
  /** The program's name for it. */
  name: string | undefined;
  /** Data volumes that were cloned with it. */
  disks: readonly string[];
}

/** `known` has the inputs whose outputs are wanted: a description that the program does not give is none of ours. */
export async function observed(set: Members, known: State, signal: AbortSignal): Promise<Observed> {
  const order = asTexts(known.names);
  const place = ({ name }: Member) => (order.includes(name) ? order.indexOf(name) : order.length);
  const members = set.living
    .filter((member) => set.named(member.name) === member)
    .toSorted((a, b) => place(a) - place(b) || (a.name < b.name ? -1 : 1));
  const descriptions = members.map(({ row }) => row.description ?? "");
  const managed = asTexts(known.userTags);
  const onAll = managed.filter((tag) =>
    members.every(({ uuid }) => set.userTagsOf(uuid).some((one) => one.tag === tag)),
  );
  const isBusy = isCloning(known) || set.tags.intents.length > 0;
  const tagsOn = new Set(members.flatMap(({ uuid }) => set.userTagsOf(uuid).map(({ tag }) => tag)));
  const ours = managedTags(known).filter((tag) => managed.includes(tag) || tagsOn.has(tag));
  const left = await set.leftovers(removalOf(known), signal);
  return {
    state: {
      // While they are still being made, there is no telling which there will be. Else the server's own names: a clone
      // that somebody has renamed differs from the program.
      ...(isBusy ? {} : { names: members.map(({ row }) => row.name) }),
      ...(known.description === undefined ? {} : { description: common(descriptions, known.description) }),
      ...(known.powerState === undefined
        ? {}
        : {
            powerState: common(
              members.map(({ row }) => row.state),
              known.powerState,
            ),
          }),
      ...(known.userTags === undefined ? {} : { userTags: onAll }),
      // A change that fails must not forget what it was to take away.
      ...(ours.length === 0 ? {} : { __managedTags: ours }),
      vms: members.map((member) => view(member, set.id)),
      ...(left.length === 0 ? {} : { leftovers: left }),
      ...(set.doubles.length === 0 ? {} : { doubles: set.doubles.map(({ uuid, name }) => ({ uuid, name })) }),
      ...(set.tags.intents.length === 0 ? {} : { unfinished: set.tags.intents.map(({ job }) => job) }),
    },
  };
}

function view({ uuid, name, row, disks }: Member, set: string): Record<string, unknown> {
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

/** One word for all of them: the wanted one if it is so, else one that differs, so that a refresh shows the drift. */
function common(values: readonly string[], wanted: unknown): unknown {
  return values.find((value) => value !== wanted) ?? wanted;
}

/** User tags that are the provider's to take away: those in the program, and those that it has put there before. */
export function managedTags({ userTags, __managedTags: before }: State): string[] {
  return [...new Set([...asTexts(userTags), ...asTexts(before)])];
}

export function asRecords(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === "object" && one !== null) : [];
}

export function asTexts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : [];
}

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

/** Of inputs, or of a state. */
export function removalOf({ deletion, keepDataVolumes }: State): RemovalOptions {
  return { expunge: deletion === "expunge", keep: keepDataVolumes === true };
}

/** Uuids that the outputs name, by what they are of. */
export function knownPlaces({ vms, primaryStorageUuidForRootVolume, primaryStorageUuidForDataVolume }: State) {
  const rows = asRecords(vms);
  const given = [primaryStorageUuidForRootVolume, primaryStorageUuidForDataVolume];
  return {
    zones: uuids(rows.map(({ zoneUuid }) => zoneUuid)),
    "primary-storage": uuids([
      ...given,
      ...rows.flatMap(({ volumes }) => asRecords(volumes).map(({ primaryStorageUuid }) => primaryStorageUuid)),
    ]),
    "l3-networks": uuids(rows.flatMap(({ nics }) => asRecords(nics).map(({ l3NetworkUuid }) => l3NetworkUuid))),
  };
}

function uuids(values: readonly unknown[]): string[] {
  return [...new Set(values.flatMap(asUuid))];
}

function asUuid(value: unknown): string[] {
  return typeof value === "string" && /^[0-9a-f]{32}$/i.test(value) ? [value] : [];
}

/** Clones that ZStack was asked for, and of which no run has seen the end. */
export function isCloning({ pending }: State): boolean {
  if (typeof pending !== "object" || pending === null || Reflect.get(pending, "failed") === true) return false;
  return pendingTask({ pending })?.job !== undefined;
}

export function pendingTask({ pending }: State): Task | undefined {
  const task: unknown = typeof pending === "object" && pending !== null ? Reflect.get(pending, "task") : undefined;
  return typeof task === "object" && task !== null ? (task as Task) : undefined;
}
