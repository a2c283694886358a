// The real Cinder as the scenarios see it. Requests go by the lab's own fetch, not through the provider under test.

import type { Backend, BackendSnapshot } from "../scenarios/backend";
import { until } from "../scenarios/life";
import { type BackendVolume, DEVICE, SERVER, type VolumeBackend } from "../scenarios/volumes";
import { countAbandonedRequests } from "../support/abandonedRequests";
import type { OpenStackLab } from "./lab";

export function labBackend(lab: OpenStackLab): Backend {
  const [first, second] = lab.volumes;
  if (first === undefined || second === undefined) throw new Error("the lab has fewer than two volumes");
  const must = requestsOf(lab);
  return {
    connections: { default: { ...lab.connection } },
    secret: lab.connection.password,
    volumes: [first, second],
    async snapshots() {
      const body = await must("GET", "/snapshots/detail", undefined, 200);
      return (body as { snapshots: BackendSnapshot[] }).snapshots;
    },
    async rename(id, name) {
      await must("PUT", `/snapshots/${id}`, { snapshot: { name } }, 200);
    },
    async setMetadata(id, metadata) {
      await must("POST", `/snapshots/${id}/metadata`, { metadata }, 200);
    },
    async remove(id) {
      const deadline = Date.now() + 120_000;
      for (;;) {
        const { status, body } = await lab.request("GET", `/snapshots/${id}`);
        if (status === 404) return;
        const now = (body as { snapshot: BackendSnapshot }).snapshot.status;
        if (now === "available" || now === "error") await lab.request("DELETE", `/snapshots/${id}`);
        if (Date.now() > deadline) throw new Error(`snapshot ${id} is still ${now}`);
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
    },
    async finishAbandonedRequests() {
      const port = Number(new URL(lab.cinderUrl).port);
      await until(async () => countAbandonedRequests(port) === 0 || undefined);
    },
    close: () => Promise.resolve(),
  };
}

/** Besides, a volume on the faulty driver (faulty_driver.py), whose volumes depend on their snapshots. */
export async function labVolumeBackend(lab: OpenStackLab): Promise<VolumeBackend> {
  const must = requestsOf(lab);
  const plain = labBackend(lab);
  const became = async (path: string, statuses: RegExp) => {
    const deadline = Date.now() + 120_000;
    for (;;) {
      const { status, body } = await lab.request("GET", path);
      const [row] = Object.values(body as Record<string, { status?: string; size?: number }>);
      if (statuses.test(row?.status ?? String(status))) return row;
      if (/^error/.test(row?.status ?? "") || Date.now() > deadline)
        throw new Error(`${path}: ${row?.status ?? status}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  };
  const make = async (kind: "volume" | "snapshot", args: object) => {
    const body = await must("POST", `/${kind}s`, { [kind]: args }, 202);
    const { id } = (body as Record<string, { id: string }>)[kind] ?? { id: "" };
    await became(`/${kind}s/${id}`, /^available$/);
    return id;
  };
  const act = (id: string, action: string, args: object, status = 202) =>
    must("POST", `/volumes/${id}/action`, { [action]: args }, status);
  const removeVolume = async (id: string) => {
    await lab.request("DELETE", `/volumes/${id}`);
    await became(`/volumes/${id}`, /^404$/);
  };
  const volumes = async () => {
    const body = await must("GET", "/volumes/detail", undefined, 200);
    return (body as { volumes: BackendVolume[] }).volumes.filter(({ snapshot_id }) => snapshot_id !== null);
  };
  const dependingVolume = await make("volume", { size: 1, name: "depending", availability_zone: "faulty" });
  return {
    ...plain,
    dependingVolume,
    makeSnapshot: (volume_id) => make("snapshot", { volume_id, name: "by another hand" }),
    makeVolume: (snapshot_id) => make("volume", { snapshot_id, name: "by another hand" }),
    volumesFromSnapshots: volumes,
    removeVolume,
    async renameVolume(id, name) {
      await must("PUT", `/volumes/${id}`, { volume: { name } }, 200);
    },
    async setBootable(id) {
      await act(id, "os-set_bootable", { bootable: true }, 200);
    },
    async grow(id, new_size) {
      await act(id, "os-extend", { new_size });
      await became(`/volumes/${id}`, /^available$/);
    },
    async attach(id) {
      await act(id, "os-reserve", {});
      await act(id, "os-attach", { instance_uuid: SERVER, mountpoint: DEVICE });
      await became(`/volumes/${id}`, /^in-use$/);
    },
    async detach(id) {
      await act(id, "os-detach", {});
      await became(`/volumes/${id}`, /^available$/);
    },
    async clear() {
      for (const { id, status } of await volumes()) {
        if (status === "in-use") await act(id, "os-detach", {});
        await removeVolume(id);
      }
    },
    close: () => removeVolume(dependingVolume),
  };
}

function requestsOf(lab: OpenStackLab) {
  return async (method: string, path: string, body: unknown, status: number) => {
    const answer = await lab.request(method, path, body);
    if (answer.status !== status) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
}
