// Projects and users of a test's own, made through the lab's Keystone.

import { randomUUID } from "node:crypto";
import type { Callers, Tokens } from "../contract/replay";
import type { LabConnection, OpenStackLab } from "./lab";

export interface Accounts {
  /** By the names of the callers. */
  readonly tokens: Tokens;
  connection(caller: string): LabConnection;
  /** Ids of the projects by those that the callers name. */
  readonly projects: ReadonlyMap<string, string>;
  remove(): Promise<void>;
}

export async function makeAccounts(lab: OpenStackLab, callers: Callers): Promise<Accounts> {
  const keystone = keystoneAdmin(lab);
  const run = `exchanges-${randomUUID().slice(0, 8)}`;
  const made: string[] = [];
  const make = async (kind: "project" | "user" | "role", entity: object): Promise<string> => {
    const body = await keystone("POST", `/${kind}s`, { [kind]: entity });
    const { id } = (body as Record<string, { id: string }>)[kind] ?? { id: "" };
    made.unshift(`/${kind}s/${id}`);
    return id;
  };
  const roles = new Map<string, string>();
  for (const { id, name } of ((await keystone("GET", "/roles")) as { roles: { id: string; name: string }[] }).roles)
    roles.set(name, id);

  const connection = (caller: string): LabConnection => ({
    ...lab.connection,
    username: `${run}-${caller}`,
    password: "secret",
    projectName: `${run}-${callers[caller]?.projectId}`,
  });
  const projects = new Map<string, string>();
  const tokens: Record<string, string> = {};
  for (const [caller, { projectId, roles: names }] of Object.entries(callers)) {
    const { username, password, projectName } = connection(caller);
    const project = projects.get(projectId) ?? (await make("project", { name: projectName, domain_id: "default" }));
    projects.set(projectId, project);
    const user = await make("user", { name: username, password, domain_id: "default" });
    for (const name of names) {
      const role = roles.get(name) ?? (await make("role", { name }));
      roles.set(name, role);
      await keystone("PUT", `/projects/${project}/users/${user}/roles/${role}`);
    }
    tokens[caller] = await lab.token(connection(caller));
  }
  return {
    tokens,
    connection,
    projects,
    async remove() {
      for (const path of made) await keystone("DELETE", path);
    },
  };
}

/** Keystone as its administrator; whatever isn't a success is thrown. */
export function keystoneAdmin(lab: OpenStackLab) {
  return async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const as = lab.adminConnection;
    const answer = await lab.request(method, `${as.authUrl}${path}`, body, { as });
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
}
