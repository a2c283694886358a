// The control routes for Nova's servers and for the qcow2 files of a volume.

import type { CinderModel } from "../cinder/model";
import { type ControlRoute, controlRoute, knownFields, removed } from "../core/control";
import { json } from "../core/http";
import type { NovaModel, ServerRow } from "./model";

const FILE_FIELDS = ["name", "backing", "absolute"] as const;
const SERVER_FIELDS = ["host", "vm_state", "task_state", "launched_at"] as const;

export function novaControls(nova: NovaModel, cinder: CinderModel): ControlRoute[] {
  return [
    // A qcow2 file in the volume's folder, as `qemu-img create` makes it: AssistedSnapshot needs one.
    controlRoute("POST", "/volumes/{id}/files", (body, { id }) => {
      if (!cinder.volumes.has(id ?? "")) return removed("volume", id, false);
      const { name, ...given } = knownFields<{ name: string; backing: string; absolute: boolean }>(body, FILE_FIELDS);
      if (typeof name !== "string" || name === "") throw new Error('a file needs {"name": …}');
      return json(201, { file: nova.createFile(id ?? "", name, given) });
    }),
    controlRoute("GET", "/volumes/{id}/disk", (_, { id }) => {
      nova.advance();
      if (!cinder.volumes.has(id ?? "")) return removed("volume", id, false);
      return json(200, { chain: nova.chain(id ?? "").map((name) => nova.file(id ?? "", name)) });
    }),
    controlRoute("PATCH", "/servers/{id}", (body, { id }) => {
      const row = nova.servers.get(id ?? "");
      if (row === undefined) return removed("server", id, false);
      return json(200, { server: Object.assign(row, knownFields<ServerRow>(body, SERVER_FIELDS)) });
    }),
  ];
}
