// What a set of clones is to the state: members read from the server, outputs written for Pulumi, old state read back.

import type { Observed, State, Task } from "../core/definition";
import type { TagRow, VmRow } from "./client";
import { isMark, type Marks, plainName, type ZStackCloud } from "./cloud";

/** One clone, as it is there. */
export interface Member {
  row: VmRow;
  name: string;
}

export interface Stock {
  members: Member[];
  marks: Marks;
  /** Why something that was asked for is not among them. */
  reasons: string[];
}

export async function observed(
  cloud: ZStackCloud,
  { members, marks }: Pick<Stock, "members" | "marks">,
  known: State,
  signal: AbortSignal,
): Promise<Observed> {
  const order = asTexts(known.names);
  const place = ({ name }: Member) => (order.includes(name) ? order.indexOf(name) : order.length);
  const sorted = members.toSorted((a, b) => place(a) - place(b) || (a.name < b.name ? -1 : 1));
  const managed = asTexts(known.userTags);
  const tags = await tagsOf(cloud, members, managed, signal);
  const onAll = managed.filter((tag) =>
    members.every(({ row }) => tags.some((one) => one.resourceUuid === row.uuid && one.tag === tag)),
  );
  const open = marks.intents.find((intent) => intent.open)?.open;
  return {
    state: {
      // While they are still being made, there is no telling which there will be.
      ...(isPending(known) ? {} : { names: sorted.map(({ name }) => name) }),
      ...(known.description === undefined ? {} : { description: descriptionOf(sorted, known.description) }),
      ...(known.powerState === undefined ? {} : { powerState: powerOf(sorted, known.powerState) }),
      ...(known.userTags === undefined ? {} : { userTags: onAll }),
      vms: sorted.map((member) => view(member, marks)),
    },
    openOwner: open?.owner,
    adoptedBy: marks.adoptions[0]?.run,
  };
}

function view({ row, name }: Member, marks: Marks): Record<string, unknown> {
  const nics = row.vmNics ?? [];
  const cloned = marks.disks.filter(({ vm }) => vm === row.uuid).map(({ volume }) => volume);
  return {
    uuid: row.uuid,
    name,
    state: row.state,
    hostUuid: row.hostUuid ?? undefined,
    clusterUuid: row.clusterUuid ?? undefined,
    zoneUuid: row.zoneUuid ?? undefined,
    ips: nics.flatMap(({ ip }) => ip ?? []),
    nics: nics.map((nic) => ({
      uuid: nic.uuid,
      ip: nic.ip ?? undefined,
      mac: nic.mac ?? undefined,
      l3NetworkUuid: nic.l3NetworkUuid ?? undefined,
    })),
    rootVolumeUuid: row.rootVolumeUuid ?? undefined,
    volumes: (row.allVolumes ?? []).map((volume) => ({
      uuid: volume.uuid,
      name: volume.name ?? undefined,
      type: volume.type ?? undefined,
      size: volume.size ?? undefined,
      primaryStorageUuid: volume.primaryStorageUuid ?? undefined,
      cloned: volume.type === "Root" || cloned.includes(volume.uuid),
    })),
  };
}

/** One word for all of them: the wanted one if it is so, else one that differs, so that a refresh shows the drift. */
function descriptionOf(members: readonly Member[], wanted: unknown): unknown {
  const other = members.find(({ row }) => (row.description ?? "") !== wanted);
  return other ? (other.row.description ?? "") : wanted;
}

function powerOf(members: readonly Member[], wanted: unknown): unknown {
  return members.find(({ row }) => row.state !== wanted)?.row.state ?? wanted;
}

export function asMembers(id: string, rows: readonly VmRow[]): Member[] {
  return rows.map((row) => ({ row, name: plainName(row.name, id) }));
}

export function asVms(value: unknown): { uuid?: unknown; name?: unknown; state?: unknown }[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === "object" && one !== null) : [];
}

export function knownUuids({ vms }: State): string[] {
  return asVms(vms).flatMap(({ uuid: one }) => (typeof one === "string" && /^[0-9a-f]{32}$/i.test(one) ? [one] : []));
}

export function asTexts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : [];
}

/** Work that a server has accepted and that no run has seen the end of. */
export function isPending({ pending }: State): boolean {
  return typeof pending === "object" && pending !== null && Reflect.get(pending, "failed") !== true;
}

export function taskOf(task: Task): { job: string | undefined; until: number | undefined; names: string[] } {
  const { job, until, names: wanted } = task;
  return {
    job: typeof job === "string" ? job : undefined,
    until: typeof until === "number" ? until : undefined,
    names: asTexts(wanted),
  };
}

export async function tagsOf(
  cloud: ZStackCloud,
  members: readonly Member[],
  concerned: readonly string[] | "all",
  signal: AbortSignal,
): Promise<TagRow[]> {
  if (members.length === 0 || (concerned !== "all" && concerned.length === 0)) return [];
  const rows: TagRow[] = [];
  const uuids = members.map(({ row }) => row.uuid);
  for (let at = 0; at < uuids.length; at += 100) {
    rows.push(...(await cloud.wire.queryUserTags([`resourceUuid?=${uuids.slice(at, at + 100).join(",")}`], signal)));
  }
  return rows.filter(({ tag, resourceUuid }) => !isMark(tag) && uuids.includes(resourceUuid));
}
