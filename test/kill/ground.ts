// Where the kills happen: a backend seen with an eye of its own. The emulator shows every request and everything that
// was ever made; of a real cloud only the rows are seen.

import { startEmulator } from "../../emulator";
import type { Backend, BackendSnapshot } from "../scenarios/backend";
import type { WireEvent } from "./plan";

export interface Deletion {
  id: string;
  owner: string;
  /** Another snapshot of the same resource was available when this one was given up. */
  another: boolean;
}

export interface Ground {
  connections: Record<string, Record<string, unknown>>;
  volumes: readonly [string, string, ...string[]];
  /** Of the stack that is tested, and nobody else's. */
  rows(): Promise<BackendSnapshot[]>;
  /** As before everything. */
  reset(): Promise<void>;
  /** Undefined where the wire isn't seen. */
  witness?: Witness;
  close(): Promise<void>;
}

export interface Witness {
  /** How often it was seen since `reset`. */
  count(event: WireEvent, work: "create" | "delete"): number;
  requests(): number;
  /** Ids of everything that was ever made, in order. */
  made: readonly string[];
  deletions: readonly Deletion[];
}

/** Between the log's entry for a request and its execution: long enough to kill in between, and to lose the reply. */
const LATENCY_MS = 15;

export async function emulatorGround(): Promise<Ground> {
  const cloud = await startEmulator({
    latencyMs: LATENCY_MS,
    timings: { snapshotCreate: 600, snapshotDelete: 300 },
  });
  const { cinder, requests } = cloud;
  const made: string[] = [];
  const deletions: Deletion[] = [];

  const set = cinder.snapshots.set.bind(cinder.snapshots);
  cinder.snapshots.set = (id, row) => {
    made.push(id);
    return set(id, row);
  };
  const startDelete = cinder.startSnapshotDelete.bind(cinder);
  cinder.startSnapshotDelete = (row, requestId) => {
    const owner = ownerOf(row);
    const others = [...cinder.snapshots.values()].filter((other) => other !== row && ownerOf(other) === owner);
    deletions.push({ id: row.id, owner, another: others.some(({ status }) => status === "available") });
    startDelete(row, requestId);
  };

  const counts: Record<WireEvent, (work: "create" | "delete") => number> = {
    sent: (work) => requests.count({ operation: `snapshots.${work}` }),
    answered: (work) => requests.count(({ operation, status }) => operation === `snapshots.${work}` && status !== 0),
    // The first list of a run looks for debris; the others wait for something.
    looked: () => requests.count({ operation: "snapshots.detail" }) + requests.count({ operation: "snapshots.show" }),
    settled: () => requests.count({ operation: "snapshots.metadata.set" }),
  };
  return {
    connections: { default: { ...cloud.connection() } },
    volumes: ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"],
    async rows() {
      cinder.settle();
      return [...cinder.snapshots.values()];
    },
    async reset() {
      cloud.reset();
      made.length = 0;
      deletions.length = 0;
    },
    witness: {
      count: (event, work) => counts[event](work),
      requests: () => requests.length,
      made,
      deletions,
    },
    close: () => cloud.close(),
  };
}

/** Any backend of the scenarios, with a stack name of our own among other people's snapshots. */
export function backendGround(backend: Backend, stackName: string): Ground {
  const ours = async () =>
    (await backend.snapshots()).filter((row) => ownerOf(row).startsWith(`urn:pulumi:${stackName}::`));
  return {
    connections: backend.connections,
    volumes: backend.volumes,
    rows: ours,
    async reset() {
      for (const { id } of await ours()) await backend.remove(id);
    },
    close: () => backend.close(),
  };
}

export function ownerOf({ metadata }: Pick<BackendSnapshot, "metadata">): string {
  return metadata["snapclone:owner"] ?? "";
}
