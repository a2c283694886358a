// ClonedVm under the kill tests: two clones a resource, each resource with a VM of its own to clone.

import { startEmulator, type ZStackVm } from "../../../emulator/index";
import { COMMON_STORIES } from "../plan";
import {
  type Args,
  type BackendFixture,
  type Copy,
  LATENCY_MS,
  namesOf,
  programOf,
  RequestSpy,
  type ResourceCase,
  urnOf,
} from "../resourceCase";

const SIZE = 3;
/** Digits of a version 4 UUID: ZStack looks at that. */
const SOURCES = [1, 2, 3].map((n) => `a000000${n}11114111811111111111111${n}`);

export const clonedVm: ResourceCase = {
  type: "ClonedVm",
  stories: COMMON_STORIES,
  size: SIZE,
  ground,
  program: (_ground, size) =>
    programOf(size, (name, at) => ({
      vmInstanceUuid: SOURCES[at],
      names: [`${name}-a`, `${name}-b`],
      description: "of the day",
      userTags: ["team::shop"],
    })),
  changed: (args) => ({ ...args, description: "anew", userTags: ["tier::gold"] }),
  wanted: ({ vmInstanceUuid, names, description, userTags }) =>
    (names as string[]).map((name) => ({
      from: String(vmInstanceUuid),
      shows: { name, state: "Running", description, userTags },
    })),
  idsOf: ({ outputs }) => ((outputs.vms ?? []) as Args[]).map(({ uuid }) => String(uuid)),
  isWhole: ({ names, vms }) => Array.isArray(vms) && vms.length === (names as string[]).length,
};

async function ground(stackName: string): Promise<BackendFixture> {
  const cloud = await startEmulator({
    latencyMs: LATENCY_MS,
    timings: { zstackImage: 500, zstackClone: 300, zstackAction: 200 },
  });
  const { zstack, requests } = cloud;
  const witness = new RequestSpy(requests, {
    create: /^vms\.cloneVmInstance$/,
    delete: /^vms\.destroy$/,
    look: /^(jobs|vms)\.query$/,
  });
  /** By clone; a description that the program wants comes later. */
  const sourceOf = new Map<string, string>();
  const isClone = ({ uuid, description }: ZStackVm) => {
    const source = /^cloned from vm\[uuid:(\w+)\]$/.exec(description ?? "")?.[1];
    if (source !== undefined) sourceOf.set(uuid, source);
    return source !== undefined;
  };
  witness.watch(zstack.vms, isClone);
  const ownerOf = (source: string) => urnOf(stackName, "ClonedVm", namesOf(SIZE)[SOURCES.indexOf(source)] ?? "");
  const marksOn = (uuid: string) => zstack.tagsOf(uuid).filter((tag) => tag.startsWith("snapclone::"));
  /** The tag of a clone, or what its source says of the set that its temporary name has. */
  const recordOf = ({ uuid, name }: ZStackVm, from: string): string | undefined => {
    const set = /\.sc-(\w{32})$/.exec(name)?.[1];
    const intent = marksOn(from).find((tag) => set !== undefined && tag.startsWith(`snapclone::intent::${set}::`));
    return marksOn(uuid)[0] ?? intent;
  };
  const copyOf = (vm: ZStackVm): Copy => {
    const { uuid, name, state, description } = vm;
    const from = sourceOf.get(uuid) ?? "";
    const record = recordOf(vm, from);
    // A clone's tag ends in its name.
    const owner = /::(urn:pulumi:.*)$/.exec(record ?? "")?.[1] ?? "";
    const userTags = zstack.tagsOf(uuid).filter((tag) => !tag.startsWith("snapclone::"));
    return {
      id: uuid,
      owner: record?.startsWith("snapclone::set::") ? owner.slice(0, owner.lastIndexOf("::")) : owner || ownerOf(from),
      from,
      shows: { name, state, description, userTags },
      open: record !== undefined,
      leaving: state === "Destroying",
    };
  };
  const beginDestroy = zstack.beginDestroy.bind(zstack);
  zstack.beginDestroy = (row) => {
    const copy = copyOf(row);
    const others = [...zstack.vms.values()].filter(
      (other) => other !== row && sourceOf.get(other.uuid) === copy.from && other.name === row.name,
    );
    witness.deleted(
      copy,
      others.some(({ state }) => state === "Running"),
    );
    beginDestroy(row);
  };
  const prepare = () => {
    for (const uuid of SOURCES) zstack.furnish(zstack.addVm({ uuid, name: `source ${uuid[7]}`, state: "Running" }));
    sourceOf.clear();
    witness.forget();
  };
  prepare();
  return {
    connections: { default: { ...cloud.zstackLogin.connection() } },
    sources: SOURCES as [string, string],
    async copies() {
      return zstack
        .living()
        .filter(({ uuid }) => sourceOf.has(uuid))
        .map(copyOf);
    },
    traces: () => SOURCES.filter((uuid) => marksOn(uuid).length > 0).map(ownerOf),
    async reset() {
      cloud.reset();
      prepare();
    },
    witness,
    close: () => cloud.close(),
  };
}
