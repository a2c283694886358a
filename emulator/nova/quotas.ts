// Nova's quotas and limits: the defaults, and what the servers use of them (nova/api/openstack/compute/{limits,quota_sets}.py,
// docs/wire/openstack.md#servers).

import { json, type Reply } from "../core/http";
import { requireAdmin } from "../openstack/wsgi";
import type { NovaContext } from "./context";
import { invalid } from "./errors";
import { FLAVOR } from "./model";
import { checkQuery } from "./query";
import { attachedServers, projectOf } from "./serverList";

/** The default, and the microversion 2.x from which the resource is gone. */
const RESOURCES: Readonly<Record<string, { readonly limit: number; readonly until?: number }>> = {
  cores: { limit: 20 },
  fixed_ips: { limit: -1, until: 36 },
  floating_ips: { limit: -1, until: 36 },
  injected_file_content_bytes: { limit: 10240, until: 57 },
  injected_file_path_bytes: { limit: 255, until: 57 },
  injected_files: { limit: 5, until: 57 },
  instances: { limit: 10 },
  key_pairs: { limit: 100 },
  metadata_items: { limit: 128 },
  ram: { limit: 51200 },
  security_group_rules: { limit: -1, until: 36 },
  security_groups: { limit: -1, until: 36 },
  server_group_members: { limit: 10 },
  server_groups: { limit: 10 },
};

export function showLimits(context: NovaContext): Reply {
  const { minor, request, identity } = context;
  checkQuery(request.query, minor, { tenant_id: "text" });
  const project = request.query.getAll("tenant_id").at(-1) ?? identity.projectId ?? "";
  if (project !== identity.projectId) requireAdmin(identity, "os_compute_api:limits:other_project");
  const { cores, ram, instances } = usage(context, project);
  const absolute = {
    maxTotalInstances: 10,
    maxTotalCores: 20,
    maxTotalRAMSize: 51200,
    maxServerMeta: 128,
    ...(minor < 39 ? { maxImageMeta: 128 } : {}),
    ...(minor < 57 ? { maxPersonality: 5, maxPersonalitySize: 10240 } : {}),
    maxTotalKeypairs: 100,
    maxServerGroups: 10,
    maxServerGroupMembers: 10,
    ...(minor < 36 ? { maxTotalFloatingIps: -1, maxSecurityGroups: -1, maxSecurityGroupRules: -1 } : {}),
    totalRAMUsed: ram,
    totalCoresUsed: cores,
    totalInstancesUsed: instances,
    ...(minor < 36 ? { totalFloatingIpsUsed: 0, totalSecurityGroupsUsed: 0 } : {}),
    totalServerGroupsUsed: 0,
  };
  return json(200, { limits: { rate: [], absolute } });
}

export function showQuotas(context: NovaContext, form: "show" | "detail" | "defaults"): Reply {
  const { minor, request, params, identity, keystone } = context;
  checkQuery(request.query, minor, { user_id: "text" });
  const project = params.project ?? "";
  if (form !== "defaults" && project !== identity.projectId)
    requireAdmin(identity, `os_compute_api:os-quota-sets:${form}`);
  if (!keystone.projects.has(project)) throw invalid(`Project ID ${project} is not a valid project.`);
  const used = usage(context, project);
  const rows = Object.entries(RESOURCES)
    .filter(([, { until = Infinity }]) => minor < until)
    .map(([name, { limit }]) => [name, form === "detail" ? { limit, in_use: used[name] ?? 0, reserved: 0 } : limit]);
  return json(200, { quota_set: { id: project, ...Object.fromEntries(rows) } });
}

function usage(context: NovaContext, project: string): Readonly<Record<string, number>> {
  const instances = attachedServers(context).filter(({ volumes }) => projectOf(volumes) === project).length;
  return { instances, cores: instances * FLAVOR.vcpus, ram: instances * FLAVOR.ram };
}
