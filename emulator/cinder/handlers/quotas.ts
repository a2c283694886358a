// Quotas and limits of a project.

import { json, type Reply } from "../../core/http";
import { element, requireAdmin } from "../../openstack/wsgi";
import { type CinderContext, requireBody } from "../context";
import { invalid, overLimit } from "../errors";
import { limitsView, quotaView } from "../views";

export function showLimits({ model, projectId }: CinderContext): Reply {
  const absolute = limitsView(model.quotasOf(projectId), model.usageOf(projectId));
  return json(200, { limits: { rate: [], absolute } });
}

export function show({ model, params, projectId, identity }: CinderContext): Reply {
  const target = params.target ?? "";
  if (target !== projectId) requireAdmin(identity, "volume_extension:quotas:show");
  return json(200, { quota_set: { id: target, ...quotaView(model.quotasOf(target)) } });
}

export function update(context: CinderContext): Reply {
  const { model, params, identity } = context;
  requireAdmin(identity, "volume_extension:quotas:update");
  const given = element(requireBody(context), "quota_set");
  const target = params.target ?? "";
  const quotas = { ...model.quotasOf(target) };
  for (const key of ["volumes", "snapshots", "gigabytes"] as const) {
    const value = given[key];
    if (value === undefined) continue;
    if (!Number.isInteger(value) || Number(value) < -1)
      throw invalid(`Invalid input for field/attribute ${key}. Value: ${String(value)}.`);
    quotas[key] = Number(value);
  }
  model.quotas.set(target, quotas);
  return json(200, { quota_set: quotaView(quotas) });
}

/** -1 is no limit. exchanges: 'over quota: snapshots', 'gigabytes quota'. */
export function checkQuota(context: CinderContext, resource: "snapshots" | "volumes", gigabytes: number): void {
  const quotas = context.model.quotasOf(context.projectId);
  const used = context.model.usageOf(context.projectId);
  checkGigabytes(context, gigabytes);
  if (quotas[resource] < 0 || used[resource] + 1 <= quotas[resource]) return;
  const limit = `Maximum number of ${resource} allowed (${quotas[resource]}) exceeded`;
  // The two texts differ (cinder/exception.py:638-645).
  throw overLimit(
    resource === "snapshots" ? `SnapshotLimitExceeded: ${limit}` : `VolumeLimitExceeded: ${limit} for quota 'volumes'.`,
  );
}

/** Also for a volume that grows (cinder/volume/api.py:1613-1634). */
export function checkGigabytes({ model, projectId }: CinderContext, gigabytes: number): void {
  const { gigabytes: quota } = model.quotasOf(projectId);
  const used = model.usageOf(projectId).gigabytes;
  if (quota >= 0 && used + gigabytes > quota)
    throw overLimit(
      `VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested ${gigabytes}G, quota is ${quota}G and ${used}G has been consumed.`,
    );
}
