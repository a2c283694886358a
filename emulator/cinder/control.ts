// The control routes for Cinder's rows: they change a row at once, without the API's rules.

import { type ControlRoute, controlRoute, knownFields, ok, removed, withNamePattern } from "../core/control";
import { json } from "../core/http";
import type { Behaviour, CinderModel, SnapshotRow, VolumeRow } from "./model";

const VOLUME_FIELDS = [
  "id",
  "name",
  "description",
  "size",
  "status",
  "project_id",
  "availability_zone",
  "metadata",
  "bootable",
  "group_id",
] as const;
const SNAPSHOT_FIELDS = [
  "name",
  "description",
  "status",
  "progress",
  "metadata",
  "group_snapshot_id",
  "consumes_quota",
] as const;
const BEHAVIOUR_FIELDS = [
  "of",
  "match",
  "create",
  "delete",
  "extend",
  "revert",
  "createMs",
  "deleteMs",
  "times",
] as const;

export function cinderControls(cinder: CinderModel): ControlRoute[] {
  return [
    controlRoute("POST", "/volumes", (body) =>
      json(201, { volume: cinder.createVolume(knownFields<VolumeRow>(body, VOLUME_FIELDS)) }),
    ),
    controlRoute("DELETE", "/volumes/{id}", (_, { id }) => removed("volume", id, cinder.removeVolume(id ?? ""))),
    controlRoute("PATCH", "/snapshots/{id}", (body, { id }) => {
      const row = cinder.snapshots.get(id ?? "");
      if (row === undefined) return removed("snapshot", id, false);
      return json(200, { snapshot: Object.assign(row, knownFields<SnapshotRow>(body, SNAPSHOT_FIELDS)) });
    }),
    controlRoute("DELETE", "/snapshots/{id}", (_, { id }) => removed("snapshot", id, cinder.removeSnapshot(id ?? ""))),
    controlRoute("POST", "/behaviours", (body) => {
      cinder.behaviour(withNamePattern<Behaviour>(knownFields<Behaviour>(body, BEHAVIOUR_FIELDS)));
      return ok(201);
    }),
  ];
}
