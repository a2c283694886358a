// A backend in memory and a definition over it, to test the core without any wire.

import { z } from "zod";
import { AbsenceTimer } from "../../provider/core/absence";
import type { Definition, OwnedObject, OwnershipRecord } from "../../provider/core/definition";
import { SnapcloneError } from "../../provider/core/errors";
import { poll } from "../../provider/core/poll";
import type { Clock } from "../../provider/core/util/clock";

export interface FakeInputs {
  source: string;
  name?: string;
  tags?: Record<string, string>;
  hint?: string;
  full?: boolean;
  connection?: string;
}

export interface FakeRow extends Partial<OwnershipRecord> {
  id: string;
  source: string;
  name: string;
  status: "making" | "ready" | "broken";
  /** Written by early builds. */
  phase?: "open" | "settled";
  createdAt: string;
}

/** Thrown where a test kills the provider's process: nothing after it happens. */
class Killed extends Error {}

export class FakeBackend {
  rows = new Map<string, FakeRow>();
  posts = 0;
  lists = 0;
  identity = "backend 1";
  readsUntilReady = 2;
  /** What the next POST does: executed and answered, executed and its reply lost, or refused. */
  nextPost: "ok" | "lost" | "refused" = "ok";
  /** What each of the next reads throws. */
  readErrors: SnapcloneError[] = [];
  /** How many of the next reads find nothing, as on a replica that lags. */
  staleReads = 0;
  /** Every request. */
  readonly requests: string[] = [];
  readonly deletions: string[] = [];
  /** The process dies at this request: before the backend has executed it, or after. */
  kill: { at: number; executed: boolean } | undefined;
  /** The backend's clock minus the world's, in milliseconds. */
  skew = 0;

  constructor(readonly clock: Clock) {}

  get dead(): boolean {
    return this.kill !== undefined && this.kill.at <= 0;
  }

  time(): Date {
    return new Date(this.clock.date().getTime() + this.skew);
  }

  request<T>(what: string, work: () => T): T {
    this.requests.push(what);
    const { kill } = this;
    if (kill !== undefined) {
      kill.at -= 1;
      // The process is dead: no request leaves it.
      if (kill.at < 0) throw new Killed(what);
      if (kill.at === 0 && !kill.executed) throw new Killed(`killed before ${what}`);
      if (kill.at === 0) {
        work();
        throw new Killed(`killed after ${what}`);
      }
    }
    return work();
  }

  post(row: Omit<FakeRow, "id" | "status" | "createdAt">): FakeRow {
    return this.request(`post ${row.source}`, () => {
      this.posts += 1;
      if (this.nextPost === "refused") throw new SnapcloneError({ kind: "refused", message: "quota", status: 413 });
      const id = `fake-${this.posts}`;
      const made: FakeRow = { ...row, id, status: "making", createdAt: this.time().toISOString() };
      this.rows.set(id, made);
      if (this.nextPost === "lost") throw new SnapcloneError({ kind: "ambiguous", message: "connection reset" });
      return { ...made };
    });
  }

  read(id: string): FakeRow | undefined {
    return this.request(`read ${id}`, () => {
      const error = this.readErrors.shift();
      if (error) throw error;
      if (this.staleReads-- > 0) return undefined;
      const row = this.rows.get(id);
      if (row?.status === "making" && this.readsUntilReady-- <= 1) row.status = "ready";
      return row && { ...row };
    });
  }
}

export function fakeDefinition(backend: FakeBackend): Definition<FakeInputs, FakeBackend> {
  const ownedObject = (row: FakeRow): OwnedObject => ({
    ...row,
    owner: row.owner ?? "",
    inputs: row.inputs ?? "",
    task: {},
    label: row.name,
    state: { name: row.name },
  });
  const observed = (row: FakeRow) => ({ state: { source: row.source, name: row.name, status: row.status } });
  return {
    displayName: "fake",
    connection: { kind: "fake", open: () => backend },
    inputs: {
      source: { onChange: "replace", schema: z.string() },
      name: { onChange: "update", schema: z.string().trim().max(20).optional() },
      tags: { onChange: "update", schema: z.record(z.string(), z.string()).optional() },
      hint: { onChange: "ignore", schema: z.string().optional() },
      full: { onChange: "replace", schema: z.boolean().optional(), default: false },
      connection: { onChange: "replace", schema: z.string().optional() },
    },
    autoName: "name",
    timeouts: { create: "10m", update: "1m", delete: "10m" },
    onFailedCreate: "replace",
    import: {
      id: z.string().regex(/^fake-[a-z0-9]+$/, "must be the id of a fake"),
      async find(_backend, id) {
        const row = backend.read(id);
        if (!row) return undefined;
        const { stack, owner = "", attempt } = row;
        return {
          id,
          objects: [id],
          parts: [{ id, object: `fake ${id}`, holder: id, stack, owner, attempt, written: ["record"] }],
          ...observed(row),
        };
      },
      forget: (parts) => `forget ${parts.map((part) => part.id).join(" ")}`,
      async removeRecords(_backend, parts) {
        for (const { id } of parts)
          backend.request(`forget ${id}`, () =>
            Object.assign(backend.rows.get(id) ?? {}, { owner: undefined, stack: undefined }),
          );
      },
    },
    describe: ({ name, id }) => `fake ${name ?? id}`,
    async listOwned(_backend, { stack }) {
      return backend.request("list", () => {
        backend.lists += 1;
        const owned = [...backend.rows.values()].filter((row) => row.stack === stack || row.phase === "open");
        return owned.map((row) => ownedObject({ ...row }));
      });
    },
    async recordOwnership(_backend, id, record) {
      backend.request(`record ${id}`, () => {
        const row = backend.rows.get(id);
        if (row) Object.assign(row, record);
        if (row?.phase) row.phase = "settled";
      });
    },
    async beginCreate(_backend, inputs, record) {
      const { id } = backend.post({ source: inputs.source, name: inputs.name ?? "", ...record });
      return { id, task: { kind: "make" } };
    },
    async waitForCreate(_backend, { id }, _inputs, context) {
      const absence = new AbsenceTimer(context.clock);
      const row = await poll<FakeRow | undefined>({
        description: `fake ${id} to be ready`,
        fetch: async () => backend.read(id),
        evaluate: (seen) => {
          const isGone = absence.isProven(seen !== undefined);
          if (!seen && !isGone) return { is: "pending", progress: "not to be seen yet" };
          if (!seen) return { is: "failed", error: new SnapcloneError({ kind: "notFound", message: "vanished" }) };
          if (seen.status === "broken") {
            return { is: "failed", error: new SnapcloneError({ kind: "failed", message: "it broke" }) };
          }
          return { is: seen.status === "ready" ? "done" : "pending", progress: seen.status };
        },
        interval: { first: 1000, most: 8000 },
        context,
      });
      return observed(row as FakeRow);
    },
    async read(_backend, id) {
      const row = backend.read(id);
      return row && observed(row);
    },
    async update(_backend, id, from, inputs) {
      const row = backend.rows.get(id);
      if (!row) throw new SnapcloneError({ kind: "notFound", message: "vanished" });
      if (inputs.name === "refuse-me") throw new SnapcloneError({ kind: "refused", message: "not that name" });
      if (inputs.name !== undefined && inputs.name !== from.state.name) {
        backend.request(`rename ${id}`, () => {
          row.name = inputs.name ?? "";
        });
      }
      return observed(row);
    },
    async delete(_backend, id) {
      return backend.request(`delete ${id}`, () => {
        const there = backend.rows.delete(id);
        if (there) backend.deletions.push(id);
        return there ? "deleted" : "missing";
      });
    },
    async diagnose(_backend, _id, { status }) {
      return status === "broken" ? "is broken" : undefined;
    },
    identity: async () => backend.identity,
    serverTime: () => backend.time(),
  };
}
