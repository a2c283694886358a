// The rows of ViPR Controller: volumes, consistency groups, snapshot sessions, linked targets (BlockSnapshot), tasks
// (docs/wire/vipr.md#s3, #s4).

export interface ViprTimings {
  /** From the answer to the end of the task, however many targets. */
  viprLink: number;
  viprUnlink: number;
  viprRelink: number;
  /** How long an inactive row stays readable: at least ten minutes on a real ViPR (docs/wire/vipr.md#s0-12). */
  viprGarbage: number;
  viprTokenLife: number;
  viprTokenIdle: number;
}

export const VIPR_TIMINGS: ViprTimings = {
  viprLink: 2_000,
  viprUnlink: 1_000,
  viprRelink: 1_000,
  viprGarbage: 600_000,
  viprTokenLife: 8 * 3_600_000,
  viprTokenIdle: 2 * 3_600_000,
};

export interface Deletable {
  id: string;
  inactive: boolean;
  /** Milliseconds; set with `inactive`. */
  inactiveSince?: number;
}

/** Each of ViPR's objects takes tags (TaggedResource.java). */
export interface Tagged {
  tags: Set<string>;
}

export interface ViprVolume extends Deletable, Tagged {
  label: string;
  wwn: string;
  nativeId: string;
  capacityGb: number;
  /** Its consistency group. */
  group?: string;
  createdAt: number;
}

export interface ViprGroup extends Deletable, Tagged {
  label: string;
  /** The replication group on the array. */
  replicationGroup: string;
  createdAt: number;
}

export interface ViprSession extends Deletable, Tagged {
  label: string;
  /** A session has a volume or a group. */
  volume?: string;
  group?: string;
  /** May contain ids of inactive targets (docs/wire/vipr.md#s0-11). */
  linked: Set<string>;
  createdAt: number;
}

export interface ViprTarget extends Deletable, Tagged {
  label: string;
  /** The label without the characters that an array refuses. Names collide by it (docs/wire/vipr.md#names). */
  snapsetLabel: string;
  /** The source volume. */
  parent: string;
  /** Stored, and in no answer (docs/wire/vipr.md#s0-8). */
  copyMode: string;
  exported: boolean;
  createdAt: number;
  /** Set once it is linked. */
  wwn?: string;
  nativeId?: string;
}

export interface ViprTask extends Tagged {
  id: string;
  opId: string;
  name: string;
  description: string;
  resource: { id: string; name: string; path: string };
  state: string;
  progress: number;
  startedAt: number;
  endedAt?: number;
  workflow?: string;
  message?: string;
  error?: { code: number; description: string; details: string };
  allowedOperations: string;
}

export const SEED_SESSIONS = {
  /** Two instants of one volume. */
  monday: "urn:storageos:BlockSnapshotSession:aaaaaaaa-1111-4111-8111-111111111111:vdc1",
  tuesday: "urn:storageos:BlockSnapshotSession:aaaaaaaa-2222-4222-8222-222222222222:vdc1",
  /** A session of another volume. */
  logs: "urn:storageos:BlockSnapshotSession:bbbbbbbb-1111-4111-8111-111111111111:vdc1",
  /** Sessions of a consistency group of two volumes. */
  shopMonday: "urn:storageos:BlockSnapshotSession:cccccccc-1111-4111-8111-111111111111:vdc1",
  shopTuesday: "urn:storageos:BlockSnapshotSession:cccccccc-2222-4222-8222-222222222222:vdc1",
} as const;
