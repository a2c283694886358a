// The data that a user gives Nova: servers, with the volumes that are attached to them.

import * as z from "zod";
import type { CinderModel } from "../cinder/model";
import { type DataDefinition, given, rowNamed, uuid } from "../core/data";
import type { NovaModel } from "./model";

export interface NovaData {
  servers?: NovaServer[] | undefined;
}

export interface NovaServer {
  id?: string | undefined;
  name?: string | undefined;
  /** @default "active" */
  state?: "active" | "stopped" | undefined;
  /** The compute node. @default "compute-1" */
  host?: string | undefined;
  /** Ids or names of volumes. They become `in-use`, as /dev/vdb, /dev/vdc and so on. The server is in their project. */
  volumes: string[];
}

export function novaData(cinder: () => CinderModel): DataDefinition<NovaModel, NovaData> {
  return {
    schema: z.strictObject({
      servers: z
        .array(
          z.strictObject({
            id: uuid().optional(),
            name: z.string().min(1).max(255).optional(),
            state: z.enum(["active", "stopped"]).optional(),
            host: z.string().min(1).optional(),
            volumes: z.array(z.string()).min(1, "a server is shown by its volumes: name one at least").max(24),
          }),
        )
        .optional(),
    }),
    references: { "servers.*.volumes.*": "cinder.volumes" },
    known: ({ servers }) => ({ servers: [...servers.values()] }),
    load(model, { servers = [] }) {
      for (const { state, volumes, ...row } of servers) {
        const server = model.createServer(given({ ...row, vm_state: state }));
        for (const [at, volume] of volumes.entries()) {
          const { id } = rowNamed(cinder().volumes.values(), volume);
          cinder().attach(id, server.id, `/dev/vd${String.fromCharCode("b".charCodeAt(0) + at)}`);
        }
      }
    },
  };
}
