// The copies on a ZStack: sets of clones of VMs. ZStack itself does not tell a clone's source (docs/wire/zstack.md); the state
// does, and so does the tag of a clone that is being made.

import type { VmRow } from "../../provider/zstack/answers";
import { readTags, type SetTags } from "../../provider/zstack/clonedVm/ownership";
import { isGone, type ZStackContext } from "../../provider/zstack/context";
import { type CopyNode, keyOf } from "./model";
import type { Owners } from "./owners";
import type { ReadLineage } from "./read";

const GIB = 1024 ** 3;

export async function readZStack(cloud: ZStackContext, owners: Owners): Promise<ReadLineage> {
  const [vms, tags] = await Promise.all([
    cloud.client.queryVmInstances([]),
    cloud.client.queryUserTags(["tag~=snapclone::%"]),
  ]);
  const sets = readTags(tags);
  const sources = sourcesIn(owners, sets);
  const setOf = new Map([...sets].flatMap(([set, { members }]) => members.map(({ vmUuid }) => [vmUuid, set])));
  const living = vms.filter((row) => !isGone(row));
  return {
    backend: `${cloud.account} at ${new URL(cloud.settings.base).host}`,
    now: cloud.client.serverTime(),
    nodes: [
      ...[...sets].flatMap(([set, one]) => setNodes(set, one, sources, living, owners)),
      ...living.map((row) => vmNode(row, setOf.get(row.uuid), sets, owners)),
    ],
    notes: [],
  };
}

/** By set: the VM that its clones are of. */
function sourcesIn(owners: Owners, sets: ReadonlyMap<string, SetTags>): Map<string, string> {
  const begun = [...sets].flatMap(([set, { pendingCreates }]): [string, string][] =>
    pendingCreates.map(({ vmUuid }) => [set, vmUuid]),
  );
  const stated = owners.resources.flatMap(({ id, inputs: { vmInstanceUuid: vm } }): [string, string][] =>
    id !== undefined && typeof vm === "string" ? [[id, vm]] : [],
  );
  return new Map([...begun, ...stated]);
}

/** The set, between the source and its clones. A set whose VMs are all gone is none. */
function setNodes(
  set: string,
  { members, pendingCreates }: SetTags,
  sources: ReadonlyMap<string, string>,
  living: readonly VmRow[],
  owners: Owners,
): CopyNode[] {
  const clones = members.filter(({ vmUuid }) => living.some(({ uuid }) => uuid === vmUuid));
  if (clones.length === 0 && pendingCreates.length === 0) return [];
  const source = sources.get(set);
  const record = [...pendingCreates, ...members].find((one) => one.record !== undefined);
  const held = clones.find(({ vmUuid }) => owners.holds(keyOf("VM", vmUuid)));
  const count = `${clones.length} clones${pendingCreates.length > 0 ? ", being made" : ""}`;
  return [
    {
      key: keyOf("clone set", set),
      kind: "clone set",
      id: set,
      name: owners.resourceName(record?.record ?? {}),
      state: source === undefined ? `${count}, source not known` : count,
      createdAt: timeOf(record?.time),
      owner: owners.of(keyOf("VM", held?.vmUuid ?? ""), { ...record?.record, createdAt: timeOf(record?.time) }),
      parent: source === undefined ? undefined : keyOf("VM", source),
    },
  ];
}

function vmNode(row: VmRow, set: string | undefined, sets: ReadonlyMap<string, SetTags>, owners: Owners): CopyNode {
  const key = keyOf("VM", row.uuid);
  const tag = sets.get(set ?? "")?.members.find(({ vmUuid }) => vmUuid === row.uuid);
  const bytes = (row.allVolumes ?? []).reduce((sum, { size }) => sum + (size ?? 0), 0);
  return {
    key,
    kind: "VM",
    id: row.uuid,
    name: owners.nameOf(key, row.name),
    state: row.state,
    sizeGiB: bytes === 0 ? undefined : Math.round(bytes / GIB),
    createdAt: timeOf(tag?.time),
    owner: owners.of(key, { ...tag?.record, createdAt: timeOf(tag?.time) }),
    parent: set === undefined ? undefined : keyOf("clone set", set),
  };
}

function timeOf(seconds: number | undefined): string | undefined {
  return seconds === undefined ? undefined : new Date(seconds * 1000).toISOString();
}
