// The real Cinder as the scenarios see it. Requests go by the lab's own fetch, not through the provider under test.

import type { Backend, BackendSnapshot } from "../scenarios/backend";
import type { OpenStackLab } from "./lab";

export function labBackend(lab: OpenStackLab): Backend {
  const [first, second] = lab.volumes;
  if (first === undefined || second === undefined) throw new Error("the lab has fewer than two volumes");
  const must = async (method: string, path: string, body: unknown, status: number) => {
    const answer = await lab.request(method, path, body);
    if (answer.status !== status) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
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
      const deadline = Date.now() + 60_000;
      for (;;) {
        const { status, body } = await lab.request("GET", `/snapshots/${id}`);
        if (status === 404) return;
        const now = (body as { snapshot: BackendSnapshot }).snapshot.status;
        if (now === "available" || now === "error") await lab.request("DELETE", `/snapshots/${id}`);
        if (Date.now() > deadline) throw new Error(`snapshot ${id} is still ${now}`);
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
    },
    close: () => Promise.resolve(),
  };
}
