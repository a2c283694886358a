// The rows of a ZStack: VMs with their NICs, volumes, tags, snapshots, sessions and jobs.

export interface ZStackVm {
  uuid: string;
  name: string;
  description: string | null;
  /** One of docs/wire/zstack.md#states. */
  state: string;
  type: string;
  zoneUuid: string;
  clusterUuid: string | null;
  hostUuid: string | null;
  lastHostUuid: string | null;
  imageUuid: string;
  rootVolumeUuid: string | null;
  defaultL3NetworkUuid: string;
  cpuNum: number;
  memorySize: number;
  /** 0 is "none". */
  reservedMemorySize: number;
  platform: string;
  guestOsType: string | null;
  nics: ZStackNic[];
  createdMs: number;
  changedMs: number;
}

export interface ZStackNic {
  uuid: string;
  usedIpUuid: string;
  internalName: string;
  ip: string;
  mac: string;
  l3NetworkUuid: string;
  createdMs: number;
}

export interface ZStackVolume {
  uuid: string;
  name: string;
  description: string | null;
  type: "Root" | "Data";
  size: number;
  primaryStorageUuid: string;
  vmInstanceUuid: string | null;
  lastVmInstanceUuid: string | null;
  rootImageUuid: string | null;
  /** 0 is the root volume's. A volume keeps its own when it is detached. */
  deviceId: number | null;
  status: "Ready" | "Deleted";
  /** The system tags of the clone request; in no answer. */
  systemTags: string[];
  createdMs: number;
  changedMs: number;
  detachedMs: number | null;
}

export interface ZStackTag {
  uuid: string;
  resourceType: string;
  resourceUuid: string;
  tag: string;
  /** @default the beginning of Unix time */
  createdMs?: number;
}

export interface ZStackSnapshot {
  name: string;
  volumeUuid: string;
}

export interface ZStackSession {
  readonly createdMs: number;
  endMs: number;
}

/** The result of an API job, undefined while it runs. */
export interface JobOutcome {
  status: 200 | 503;
  body: object;
}

export interface ZStackJob {
  uuid: string;
  createdMs: number;
  doneMs?: number;
  outcome?: JobOutcome;
  /** The job never ends, because its management node crashed (docs/wire/zstack.md#s2-4). */
  stuck?: boolean;
}
