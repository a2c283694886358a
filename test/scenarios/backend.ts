// What a scenario needs of a cloud that it runs against: a connection for the provider, and an independent eye and hand.

import { type EmulatorOptions, startEmulator } from "../../emulator";

export interface BackendSnapshot {
  id: string;
  name: string | null;
  description: string | null;
  volume_id: string;
  status: string;
  created_at: string;
  metadata: Record<string, string>;
}

export interface Backend {
  /** The value of `snapclone:connections`. */
  connections: Record<string, Record<string, unknown>>;
  /** Must never appear in state, output or errors. */
  secret: string;
  /** At least two. */
  volumes: readonly [string, string, ...string[]];
  /** All snapshots of the project, seen without the provider. */
  snapshots(): Promise<BackendSnapshot[]>;
  rename(id: string, name: string): Promise<void>;
  setMetadata(id: string, metadata: Record<string, string>): Promise<void>;
  /** Behind Pulumi's back, until it is gone. */
  remove(id: string): Promise<void>;
  /** Waits until the server has done every request whose client has died. Undefined where a server is done at once. */
  finishAbandonedRequests?(): Promise<void>;
  /** Removes what else a scenario may have left, before its snapshots. */
  clear?(): Promise<void>;
  close(): Promise<void>;
}

/** The emulator with a user whose password is like no other word. */
export async function emulatorBackend(timings: NonNullable<EmulatorOptions["timings"]>) {
  const cloud = await startEmulator({ timings });
  const secret = "Planted-Pa55word/ä&<7>";
  const user = cloud.keystone.createUser({ name: "scenario", password: secret });
  cloud.keystone.assign(user.id, cloud.cinder.projectId, ["member"]);
  const row = (id: string) => {
    const found = cloud.cinder.snapshots.get(id);
    if (!found) throw new Error(`the emulator has no snapshot ${id}`);
    return found;
  };
  const backend: Backend = {
    connections: { default: { ...cloud.openstack.connection(), username: "scenario", password: secret } },
    secret,
    volumes: ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"],
    async snapshots() {
      cloud.cinder.advance();
      return [...cloud.cinder.snapshots.values()];
    },
    async rename(id, name) {
      row(id).name = name;
    },
    async setMetadata(id, metadata) {
      Object.assign(row(id).metadata, metadata);
    },
    async remove(id) {
      cloud.cinder.removeSnapshot(id);
    },
    close: () => cloud.close(),
  };
  return { cloud, backend };
}
