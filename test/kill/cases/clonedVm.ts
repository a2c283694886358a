// ClonedVm in the kill suite: two clones a resource, each resource with a VM of its own to clone.

import { type Emulator, startEmulator, type ZStackVm } from "../../../emulator/index";
import { COMMON_SCENARIOS } from "../plan";
import {
  type Args,
  type BackendFixture,
  type Copy,
  LATENCY_MS,
  namesOf,
  programOf,
  type RecordOnBackend,
  RequestSpy,
  type ResourceCase,
  urnOf,
} from "../resourceCase";

const SIZE = 3;
/** The digits of a version 4 UUID, which ZStack demands. */
const SOURCES = [1, 2, 3].map((n) => `a000000${n}11114111811111111111111${n}`);

export const clonedVm: ResourceCase = {
  type: "ClonedVm",
  scenarios: COMMON_SCENARIOS,
  size: SIZE,
  openBackend,
  program: (_backend, size) =>
    programOf(size, (name, at) => ({
      vmInstanceUuid: SOURCES[at],
      names: [`${name}-a`, `${name}-b`],
      description: "of the day",
      userTags: ["team::shop"],
    })),
  changed: (args) => ({ ...args, description: "anew", userTags: ["tier::gold"] }),
  expectedCopies: ({ vmInstanceUuid, names, description, userTags }) =>
    (names as string[]).map((name) => ({
      source: String(vmInstanceUuid),
      attributes: { name, state: "Running", description, userTags },
    })),
  copyIdsOf: ({ outputs }) => ((outputs.vms ?? []) as Args[]).map(({ uuid }) => String(uuid)),
  isComplete: ({ names, vms }) => Array.isArray(vms) && vms.length === (names as string[]).length,
};

async function openBackend(stackName: string): Promise<BackendFixture> {
  const cloud = await startEmulator({
    latencyMs: LATENCY_MS,
    timings: { zstackImage: 500, zstackClone: 300, zstackAction: 200 },
  });
  const { zstack, requests } = cloud;
  const spy = new RequestSpy(requests, {
    create: /^vms\.cloneVmInstance$/,
    delete: /^vms\.destroy$/,
    poll: /^(jobs|vms)\.query$/,
  });
  /** Sources by clone. Kept apart, since a later update replaces the description that names the source. */
  const sourceOf = new Map<string, string>();
  const isClone = ({ uuid, description }: ZStackVm) => {
    const source = /^cloned from vm\[uuid:(\w+)\]$/.exec(description ?? "")?.[1];
    if (source !== undefined) sourceOf.set(uuid, source);
    return source !== undefined;
  };
  spy.watch(zstack.vms, isClone);
  const { copyOf, ownerOf, recordsOn } = copyReader(cloud, stackName, sourceOf);
  const beginDestroy = zstack.beginDestroy.bind(zstack);
  zstack.beginDestroy = (row) => {
    const copy = copyOf(row);
    const others = [...zstack.vms.values()].filter(
      (other) => other !== row && sourceOf.get(other.uuid) === copy.source && plainName(other) === plainName(row),
    );
    spy.recordDeletion(
      copy,
      others.some(({ state }) => state === "Running"),
    );
    beginDestroy(row);
  };
  const prepare = () => {
    for (const uuid of SOURCES) zstack.furnish(zstack.addVm({ uuid, name: `source ${uuid[7]}`, state: "Running" }));
    sourceOf.clear();
    spy.clear();
  };
  prepare();
  return {
    connections: { default: { ...cloud.zstack.connection() } },
    sources: SOURCES as [string, string],
    async copies() {
      return zstack
        .living()
        .filter(({ uuid }) => sourceOf.has(uuid))
        .map(copyOf);
    },
    records: () => recordsIn(cloud),
    recordOwners: () => SOURCES.filter((uuid) => recordsOn(uuid).length > 0).map(ownerOf),
    async reset() {
      cloud.reset();
      prepare();
    },
    spy,
    close: () => cloud.close(),
  };
}

/** Without the end that a clone's name has until its record is written. */
function plainName({ name }: ZStackVm): string {
  return name.replace(/\.sc-\w{32}$/, "");
}

/** By set: the pending create on its source, or else the tag of a clone (provider/zstack/clonedVm/ownership.ts has their forms). */
function recordsIn({ zstack }: Emulator): RecordOnBackend[] {
  const tags = zstack.living().flatMap(({ uuid }) => zstack.tagsOf(uuid).map((tag) => tag.split("::")));
  const found = new Map<string, RecordOnBackend>();
  for (const [kind, time, attempt, owner, end] of [
    ["intent", 5, 9, 11, undefined],
    ["set", 3, 6, 8, -1],
  ] as const) {
    for (const parts of tags) {
      const [prefix, one, id = ""] = parts;
      if (prefix !== "snapclone" || one !== kind || found.has(id)) continue;
      const urn = parts.slice(owner, end).join("::");
      found.set(id, { id, owner: urn, attempt: parts[attempt] ?? "", madeAt: Number(parts[time]) * 1000 });
    }
  }
  return [...found.values()];
}

function copyReader({ zstack }: Emulator, stackName: string, sourceOf: ReadonlyMap<string, string>) {
  const ownerOf = (source: string) => urnOf(stackName, "ClonedVm", namesOf(SIZE)[SOURCES.indexOf(source)] ?? "");
  const recordsOn = (uuid: string) => zstack.tagsOf(uuid).filter((tag) => tag.startsWith("snapclone::"));
  /** The clone's own tag, or else the pending record on its source for the set in the clone's temporary name. */
  const recordOf = ({ uuid, name }: ZStackVm, source: string): string | undefined => {
    const set = /\.sc-(\w{32})$/.exec(name)?.[1];
    const pendingCreate = recordsOn(source).find(
      (tag) => set !== undefined && tag.startsWith(`snapclone::intent::${set}::`),
    );
    return recordsOn(uuid)[0] ?? pendingCreate;
  };
  const copyOf = (vm: ZStackVm): Copy => {
    const { uuid, name, state, description } = vm;
    const source = sourceOf.get(uuid) ?? "";
    const record = recordOf(vm, source);
    // A clone's tag ends in the clone's name.
    const owner = /::(urn:pulumi:.*)$/.exec(record ?? "")?.[1] ?? "";
    const userTags = zstack.tagsOf(uuid).filter((tag) => !tag.startsWith("snapclone::"));
    return {
      id: uuid,
      owner: record?.startsWith("snapclone::set::")
        ? owner.slice(0, owner.lastIndexOf("::"))
        : owner || ownerOf(source),
      source,
      attributes: { name, state, description, userTags },
      hasRecord: record !== undefined,
      isDeleting: state === "Destroying",
    };
  };
  return { copyOf, ownerOf, recordsOn };
}
