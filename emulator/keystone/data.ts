// The data that a user gives Keystone: more projects and users.

import * as z from "zod";
import { type DataDefinition, rowNamed } from "../core/data";
import type { KeystoneModel } from "./model";

export interface KeystoneData {
  projects?: { id?: string | undefined; name: string }[] | undefined;
  users?: KeystoneUser[] | undefined;
}

export interface KeystoneUser {
  id?: string | undefined;
  name: string;
  password: string;
  /** The roles by project (its id or its name): `admin`, `member`, `reader`. */
  roles?: { project: string; roles: ("admin" | "member" | "reader")[] }[] | undefined;
}

const hex = () => z.string().regex(/^[0-9a-f]{32}$/, "must be 32 hexadecimal digits");
const name = () => z.string().min(1, "must not be empty").max(64);

export const data: DataDefinition<KeystoneModel, KeystoneData> = {
  schema: z.strictObject({
    projects: z.array(z.strictObject({ id: hex().optional(), name: name() })).optional(),
    users: z
      .array(
        z.strictObject({
          id: hex().optional(),
          name: name(),
          password: z.string().min(1, "must not be empty"),
          roles: z
            .array(
              z.strictObject({ project: z.string(), roles: z.array(z.enum(["admin", "member", "reader"])).min(1) }),
            )
            .optional(),
        }),
      )
      .optional(),
  }),
  references: { "users.*.roles.*.project": "projects" },
  known: ({ projects, users }) => ({ projects: [...projects.values()], users: [...users.values()] }),
  load(model, { projects = [], users = [] }) {
    for (const { id, name: projectName } of projects)
      model.createProject({ name: projectName, ...(id === undefined ? {} : { id }) });
    for (const { id, name: userName, password, roles = [] } of users) {
      const user = model.createUser({ name: userName, password, ...(id === undefined ? {} : { id }) });
      for (const one of roles) model.assign(user.id, rowNamed(model.projects.values(), one.project).id, one.roles);
    }
  },
};
