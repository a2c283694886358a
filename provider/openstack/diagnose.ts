// `snapclone doctor` for a connection that signs in by Keystone: OpenStack and PowerVC.

import type { Diagnosis } from "../core/connection/diagnosis";
import { isKind } from "../core/errors";
import { compareVersions } from "../core/util/version";
import type { CinderClient } from "./cinder";
import { isFilterRefusal } from "./cinderErrors";
import type { KeystoneSession } from "./keystone";

/** What this package does without, below a microversion (docs/wire/openstack.md#a4). */
const SINCE: readonly (readonly [version: string, lack: string])[] = [
  ["3.3", "the reason of a failed snapshot"],
  ["3.14", "the output groupSnapshotId"],
  ["3.22", "the filter of metadata: the provider lists all snapshots"],
  ["3.41", "the output userId"],
  ["3.65", "the output consumesQuota, and the condition of listSnapshots"],
  ["3.66", "snapshots of attached volumes without `force: true`"],
];

/** No object has it, so a list that is filtered by it is empty. */
const NOBODY = { "snapclone:stack": "snapclone-doctor" };

/** False if nothing more can be found out. */
export async function diagnoseKeystone(session: KeystoneSession, diagnosis: Diagnosis): Promise<boolean> {
  const { settings } = session;
  diagnosis.settings(settings);
  diagnosis.address("Keystone", settings.authUrl, settings.tls);
  const login = await diagnosis.attempt(
    "login",
    async () => ({ user: await session.userId(), identity: await session.identity("blockStorage") }),
    ({ user, identity }) => `user ${user}, ${identity}`,
  );
  return login !== undefined;
}

export async function diagnoseCinder(
  session: KeystoneSession,
  cinder: CinderClient,
  diagnosis: Diagnosis,
): Promise<boolean> {
  const { tls } = session.settings;
  try {
    diagnosis.address("Cinder", await session.endpoint("blockStorage"), tls);
  } catch (error) {
    diagnosis.failed("Cinder", error);
    return false;
  }
  const version = await diagnosis.attempt(
    "microversion",
    () => cinder.microversion(),
    (known) => `Cinder ${known}`,
  );
  if (version === undefined) return false;
  const lacking = SINCE.filter(([since]) => compareVersions(version, since) < 0);
  if (lacking.length > 0) {
    const lines = lacking.map(([since, lack]) => `${lack} (${since})`);
    diagnosis.report("warning", "microversion", `Cinder is too old for: ${lines.join("; ")}`);
  }
  diagnosis.clock(session.serverTime("blockStorage"));
  await diagnosis.attempt(
    "rights",
    () => cinder.listSnapshotsDetail({ status: "creating" }),
    () => "may list snapshots",
  );
  await diagnosis.attempt(
    "rights",
    () => cinder.listVolumesDetail({ status: "creating" }),
    () => "may list volumes",
  );
  await diagnoseRoles(session, diagnosis);
  await diagnoseFilters(cinder, diagnosis);
  await diagnoseQuota(cinder, diagnosis);
  return true;
}

/** Only AssistedSnapshot calls Nova, so a cloud without it is no mistake. */
export async function diagnoseNova(session: KeystoneSession, diagnosis: Diagnosis): Promise<void> {
  try {
    diagnosis.address("Nova", await session.endpoint("compute"), session.settings.tls);
  } catch (error) {
    diagnosis.failed("Nova", error, "warning");
  }
}

async function diagnoseRoles(session: KeystoneSession, diagnosis: Diagnosis): Promise<void> {
  const roles = await session.roles();
  const names = roles.join(", ");
  if (roles.length > 0 && roles.every((role) => role === "reader")) {
    diagnosis.report(
      "warning",
      "rights",
      "the login has the role reader alone, which may look things up and, by the default policy, create nothing",
      "Give it the role member on the project (docs/permissions.md).",
    );
    return;
  }
  const admin = roles.includes("admin") ? "" : " AssistedSnapshot needs an administrator.";
  diagnosis.unproven(
    `whether the login may create, tag and delete is not known without doing it; its roles are ${names || "not told"}.${admin}`,
  );
}

async function diagnoseFilters(cinder: CinderClient, diagnosis: Diagnosis): Promise<void> {
  try {
    await cinder.listSnapshotsDetail({ metadata: NOBODY });
    diagnosis.report("ok", "filters", "snapshots may be listed by metadata");
  } catch (error) {
    if (!isFilterRefusal(error)) return diagnosis.failed("filters", error);
    diagnosis.report(
      "warning",
      "filters",
      "the cloud does not allow lists by metadata, so each run lists all snapshots of the project",
      "An administrator can allow it in /etc/cinder/resource_filters.json: add metadata to snapshot and volume.",
    );
  }
}

async function diagnoseQuota(cinder: CinderClient, diagnosis: Diagnosis): Promise<void> {
  try {
    const { totalSnapshotsUsed: used, maxTotalSnapshots: most } = await cinder.limits();
    const isFull = most !== undefined && most >= 0 && used !== undefined && used >= most;
    const text = `${used ?? "?"} of ${most === -1 ? "unlimited" : (most ?? "?")} snapshots are used`;
    diagnosis.report(
      isFull ? "warning" : "ok",
      "quota",
      text,
      isFull ? "Delete snapshots, or raise the quota." : undefined,
    );
  } catch (error) {
    // The rule limits_extension:used_limits is not needed for anything else.
    diagnosis.failed("quota", error, isKind(error, "forbidden") ? "unknown" : "warning");
  }
}
