// The data that a user gives ViPR: volumes, consistency groups, snapshot sessions. ViPR calls a name a label.

import * as z from "zod";
import { type DataDefinition, gibibytes, type Named, rowNamed } from "../core/data";
import type { ViprModel } from "./model";

export interface ViprData {
  groups?: { id?: string | undefined; name: string }[] | undefined;
  volumes?: ViprDataVolume[] | undefined;
  sessions?: ViprDataSession[] | undefined;
}

export interface ViprDataVolume {
  id?: string | undefined;
  name: string;
  /** @default 10 */
  sizeGiB?: number | undefined;
  /** A consistency group's id or name. */
  group?: string | undefined;
}

/** A session of a volume or of a group, which is named by its id or its name. */
export interface ViprDataSession {
  id?: string | undefined;
  name: string;
  volume?: string | undefined;
  group?: string | undefined;
}

const name = () => z.string().min(1, "must not be empty").max(64);
const urn = (type: string) => {
  const pattern = new RegExp(`^urn:storageos:${type}:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:\\w+$`);
  return z.string().regex(pattern, `must be like urn:storageos:${type}:<uuid>:vdc1`).optional();
};

export const data: DataDefinition<ViprModel, ViprData> = {
  schema: z.strictObject({
    groups: z.array(z.strictObject({ id: urn("BlockConsistencyGroup"), name: name() })).optional(),
    volumes: z
      .array(
        z.strictObject({
          id: urn("Volume"),
          name: name(),
          sizeGiB: gibibytes().optional(),
          group: z.string().optional(),
        }),
      )
      .optional(),
    sessions: z
      .array(
        z
          .strictObject({
            id: urn("BlockSnapshotSession"),
            name: name(),
            volume: z.string().optional(),
            group: z.string().optional(),
          })
          .refine(({ volume, group }) => (volume === undefined) !== (group === undefined), {
            message: "a session has a volume or a group",
          }),
      )
      .optional(),
  }),
  references: { "volumes.*.group": "groups", "sessions.*.volume": "volumes", "sessions.*.group": "groups" },
  known: ({ volumes, groups, sessions }) => ({
    volumes: named(volumes),
    groups: named(groups),
    sessions: named(sessions),
  }),
  load(model, { groups = [], volumes = [], sessions = [] }) {
    for (const one of groups) model.createGroup(one.name, one.id);
    for (const { id, name: label, sizeGiB, group } of volumes) {
      const size = sizeGiB === undefined ? {} : { capacityGb: sizeGiB };
      const owner = group === undefined ? {} : { group: rowNamed(named(model.groups), group).id };
      model.createVolume(label, { ...size, ...owner, ...(id === undefined ? {} : { id }) });
    }
    for (const { id, name: label, volume, group } of sessions) {
      const of =
        volume !== undefined
          ? { volume: rowNamed(named(model.volumes), volume).id }
          : { group: rowNamed(named(model.groups), group ?? "").id };
      model.createSession(label, of, id);
    }
  },
};

function named(rows: ReadonlyMap<string, { id: string; label: string }>): (Named & { id: string })[] {
  return [...rows.values()].map(({ id, label }) => ({ id, name: label }));
}
