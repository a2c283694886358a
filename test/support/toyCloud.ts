// A backend in memory and a definition over it, to test the core without any wire.

import { z } from "zod";
import type { Definition, OpenObject } from "../../provider/core/definition";
import { SnapcloneError } from "../../provider/core/errors";
import { waitFor } from "../../provider/core/wait";

export interface ToyInputs {
  source: string;
  name?: string;
  tags?: Record<string, string>;
  hint?: string;
  connection?: string;
}

export interface ToyRow {
  id: string;
  source: string;
  name: string;
  status: "making" | "ready" | "broken";
  owner: string;
  inputs: string;
  phase: "open" | "settled";
  adoptedBy?: string;
}

export class ToyCloud {
  rows = new Map<string, ToyRow>();
  posts = 0;
  lists = 0;
  looksUntilReady = 2;
  /** What the next POST does: carried out and answered, carried out and lost, or turned away. */
  nextPost: "ok" | "lost" | "refused" | "late" = "ok";
  /** What each following look throws. */
  trouble: SnapcloneError[] = [];

  post(row: Omit<ToyRow, "id" | "status">): ToyRow {
    this.posts += 1;
    if (this.nextPost === "refused") throw new SnapcloneError({ kind: "refused", said: "quota", status: 413 });
    const made: ToyRow = { id: `toy-${this.posts}`, status: "making", ...row };
    this.rows.set(made.id, made);
    if (this.nextPost === "lost") throw new SnapcloneError({ kind: "ambiguous", said: "connection reset" });
    return made;
  }

  look(id: string): ToyRow | undefined {
    const trouble = this.trouble.shift();
    if (trouble) throw trouble;
    const row = this.rows.get(id);
    if (row?.status === "making" && this.looksUntilReady-- <= 1) row.status = "ready";
    return row && { ...row };
  }
}

export function toyDefinition(cloud: ToyCloud): Definition<ToyInputs, ToyCloud> {
  const openObject = (row: ToyRow): OpenObject => ({ ...row, task: {}, state: { name: row.name } });
  const observed = (row: ToyRow) => ({
    state: { source: row.source, name: row.name, status: row.status },
    openOwner: row.phase === "open" ? row.owner : undefined,
    adoptedBy: row.adoptedBy,
  });
  return {
    noun: "toy",
    connection: { kind: "toy", open: () => cloud },
    inputs: {
      source: { onChange: "replace", schema: z.string() },
      name: { onChange: "update", schema: z.string().trim().max(20).optional() },
      tags: { onChange: "update", schema: z.record(z.string(), z.string()).optional() },
      hint: { onChange: "ignore", schema: z.string().optional() },
      connection: { onChange: "replace", schema: z.string().optional() },
    },
    autoName: "name",
    timeouts: { create: "10m", update: "1m", delete: "10m" },
    afterFailedCreate: "replace",
    describe: ({ name, id }) => `toy ${name ?? id}`,
    async listOpen() {
      cloud.lists += 1;
      return [...cloud.rows.values()].filter(({ phase }) => phase === "open").map(openObject);
    },
    async claim(_cloud, id, run) {
      const row = cloud.rows.get(id);
      if (row) row.adoptedBy = run;
    },
    async settle(_cloud, id) {
      const row = cloud.rows.get(id);
      if (row) row.phase = "settled";
    },
    async start(_cloud, inputs, marker) {
      const row = cloud.post({ source: inputs.source, name: inputs.name ?? "", ...marker, phase: "open" });
      return { id: row.id, task: { kind: "make" } };
    },
    async finish(_cloud, { id }, _inputs, job) {
      const row = await waitFor<ToyRow | undefined>({
        what: `toy ${id} to be ready`,
        look: async () => cloud.look(id),
        judge: (seen) => {
          if (!seen) return { is: "failed", error: new SnapcloneError({ kind: "notFound", said: "vanished" }) };
          if (seen.status === "broken") {
            return { is: "failed", error: new SnapcloneError({ kind: "failed", said: "it broke" }) };
          }
          return { is: seen.status === "ready" ? "done" : "pending", progress: seen.status };
        },
        pace: { first: 1000, most: 8000 },
        job,
      });
      return observed(row as ToyRow);
    },
    async observe(_cloud, id) {
      const row = cloud.rows.get(id);
      return row && observed(row);
    },
    async change(_cloud, id, from, inputs) {
      const row = cloud.rows.get(id);
      if (!row) throw new SnapcloneError({ kind: "notFound", said: "vanished" });
      if (inputs.name === "refuse-me") throw new SnapcloneError({ kind: "refused", said: "not that name" });
      if (inputs.name !== undefined && inputs.name !== from.state.name) row.name = inputs.name;
      return observed(row);
    },
    async remove(_cloud, id) {
      cloud.rows.delete(id);
    },
    async problem(_cloud, _id, { status }) {
      return status === "broken" ? "is broken" : undefined;
    },
  };
}
