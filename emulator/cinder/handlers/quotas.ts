// Quotas and limits of a project (cinder/api/contrib/quotas.py, docs/wire/openstack.md#quotas).

import { json, type Reply } from "../../core/http";
import { requireAdmin } from "../../openstack/wsgi";
import { type CinderContext, validated } from "../context";
import { invalid, overLimit } from "../errors";
import type { CinderModel } from "../model";
import { quotaUpdate } from "../schemas";
import { readBooleanParam } from "../values";
import { limitsView } from "../views";

type Limits = Readonly<Record<string, number>>;

/** -1 is no limit. */
const OTHER_DEFAULTS: Limits = { per_volume_gigabytes: -1, backups: 10, backup_gigabytes: 1000, groups: 10 };

const OF_A_TYPE = ["volumes", "gigabytes", "snapshots"] as const;

export function showLimits({ model, projectId }: CinderContext): Reply {
  const absolute = limitsView(limitsOf(model, projectId), model.usageOf(projectId));
  return json(200, { limits: { rate: [], absolute } });
}

export function show(context: CinderContext): Reply {
  const { model, request } = context;
  const target = readableTarget(context);
  const limits = limitsOf(model, target);
  if (!readBooleanParam(request.query, "usage")) return json(200, { quota_set: { ...limits, id: target } });
  const used = usageByResource(model, target);
  const rows = Object.entries(limits).map(([key, limit]) => [key, { limit, in_use: used[key] ?? 0, reserved: 0 }]);
  return json(200, { quota_set: { ...Object.fromEntries(rows), id: target } });
}

export function showDefaults(context: CinderContext): Reply {
  const target = readableTarget(context);
  return json(200, { quota_set: { ...defaultLimits(context.model), id: target } });
}

function readableTarget({ params, projectId, identity }: CinderContext): string {
  const target = params.target ?? "";
  if (target !== projectId) requireAdmin(identity, "volume_extension:quotas:show");
  return target;
}

export function update(context: CinderContext): Reply {
  const { model, params, identity } = context;
  const schema = quotaUpdate(Object.keys(defaultLimits(model)));
  const { id: _, tenant_id: __, ...given } = validated(schema, context, "quota_set");
  requireAdmin(identity, "volume_extension:quotas:update");
  const target = params.target ?? "";
  const set = { ...model.quotas.get(target) };
  for (const [key, value] of Object.entries(given)) {
    checkAgainstUse(key, value, key in set ? (usageByResource(model, target)[key] ?? 0) : 0);
    set[key] = Number(value);
  }
  model.quotas.set(target, set);
  return json(200, { quota_set: limitsOf(model, target) });
}

export function remove({ model, params, identity }: CinderContext): Reply {
  requireAdmin(identity, "volume_extension:quotas:delete");
  model.quotas.delete(params.target ?? "");
  return { status: 200, headers: { "Content-Type": "application/json" }, body: "" };
}

/** What is in use counts only where the project has had a quota of its own before (cinder/api/contrib/quotas.py:119-136). */
function checkAgainstUse(key: string, limit: unknown, used: number): void {
  if (key === "per_volume_gigabytes" || limit === -1) return;
  // Python does not compare text with a number (exchanges: 'quota as text').
  if (typeof limit === "string")
    throw invalid("The server could not comply with the request since it is either malformed or otherwise incorrect.");
  if (Number(limit) < used)
    throw invalid(
      `Quota ${key} limit must be equal or greater than existing resources. Current usage is ${used} and the requested limit is ${String(limit)}.`,
    );
}

function defaultLimits(model: CinderModel): Limits {
  const { volumes, snapshots, gigabytes } = model.defaultQuotas;
  const { per_volume_gigabytes = -1, backups = 0, backup_gigabytes = 0, groups = 0 } = OTHER_DEFAULTS;
  // The newest type comes first.
  const types = [...model.volumeTypes.values()].reverse();
  const ofTypes = types.flatMap(({ name }) => OF_A_TYPE.map((resource) => [`${resource}_${name}`, -1]));
  const all = { volumes, per_volume_gigabytes, snapshots, gigabytes, backups, backup_gigabytes };
  return { ...all, ...Object.fromEntries(ofTypes), groups };
}

function limitsOf(model: CinderModel, projectId: string): Limits {
  return { ...defaultLimits(model), ...model.quotas.get(projectId) };
}

function usageByResource(model: CinderModel, projectId: string): Limits {
  const ofTypes = [...model.volumeTypes.values()].flatMap(({ id, name }) => {
    const used = model.usageOf(projectId, id);
    return OF_A_TYPE.map((resource) => [`${resource}_${name}`, used[resource]]);
  });
  return { ...model.usageOf(projectId), ...Object.fromEntries(ofTypes) };
}

/** exchanges: 'over quota: snapshots', 'gigabytes quota'; cinder/quota_utils.py process_reserve_over_quota */
export function checkQuota(
  context: CinderContext,
  resource: "snapshots" | "volumes",
  gigabytes: number,
  typeId: string,
): void {
  checkGigabytes(context, gigabytes, typeId);
  const over = exceeded(context, resource, 1, typeId);
  if (over === undefined) return;
  const limit = `Maximum number of ${resource} allowed (${over.limit}) exceeded`;
  // The two texts differ (cinder/exception.py:638-645).
  throw overLimit(
    resource === "snapshots"
      ? `SnapshotLimitExceeded: ${limit}`
      : `VolumeLimitExceeded: ${limit} for quota '${over.name}'.`,
  );
}

/** Also for a volume that grows (cinder/volume/api.py:1613-1634). */
export function checkGigabytes(context: CinderContext, gigabytes: number, typeId: string): void {
  const over = exceeded(context, "gigabytes", gigabytes, typeId);
  if (over === undefined) return;
  const { name, limit, used } = over;
  throw overLimit(
    `VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed ${name} quota. Requested ${gigabytes}G, quota is ${limit}G and ${used}G has been consumed.`,
  );
}

/** cinder/volume/flows/api/create_volume.py:684-690, cinder/volume/api.py:1598-1605 */
export function checkVolumeSize({ model, projectId }: CinderContext, size: number): void {
  const { per_volume_gigabytes: limit = -1 } = limitsOf(model, projectId);
  if (limit >= 0 && size > limit)
    throw overLimit(
      `VolumeSizeExceedsLimit: Requested volume size ${size}G is larger than maximum allowed limit ${limit}G.`,
    );
}

/** The quota that so much more would exceed: the project's, or its quota of the volume type. */
function exceeded(
  { model, projectId }: CinderContext,
  resource: (typeof OF_A_TYPE)[number],
  more: number,
  typeId: string,
): { name: string; limit: number; used: number } | undefined {
  const limits = limitsOf(model, projectId);
  const used = usageByResource(model, projectId);
  const names = [resource, `${resource}_${model.volumeTypes.get(typeId)?.name}`];
  return names
    .map((name) => ({ name, limit: limits[name] ?? -1, used: used[name] ?? 0 }))
    .find((quota) => quota.limit >= 0 && quota.used + more > quota.limit);
}
