// `snapclone doctor` for a ZStack connection.

import type { Diagnosis } from "../core/connection/diagnosis";
import { unsupportedInputs } from "./clonedVm/versions";
import type { ZStackContext } from "./context";

/** No object has it, so a query for it is empty. */
const NOBODY = "snapclone-doctor";

export async function diagnoseZStack(cloud: ZStackContext, diagnosis: Diagnosis): Promise<void> {
  const { client, settings } = cloud;
  diagnosis.settings(settings);
  diagnosis.address("ZStack", settings.base, settings.tls);
  // Needs no login.
  const isThere = await diagnosis.attempt(
    "version",
    () => cloud.version(),
    (known) => `ZStack ${known ?? "does not tell"}`,
  );
  const version = await cloud.version().catch(() => undefined);
  if (version === undefined && isThere === undefined && diagnosis.findings.at(-1)?.level === "wrong") return;
  const lacking = version === undefined ? [] : unsupportedInputs(version);
  if (lacking.length > 0) {
    diagnosis.report("warning", "version", `ZStack ${version} is too old for: ${lacking.join(", ")}`);
  }
  const login = await diagnosis.attempt(
    "login",
    () => client.queryUserTags([`tag=${NOBODY}`]),
    () => `${cloud.account}; may query tags`,
  );
  if (login === undefined) return;
  diagnosis.clock(client.serverTime());
  await diagnosis.attempt(
    "rights",
    () => client.queryVmInstances([`name=${NOBODY}`]),
    () => "may query VMs",
  );
  await diagnosis.attempt(
    "rights",
    () => client.queryVolumes([`name=${NOBODY}`]),
    () => "may query volumes",
  );
  diagnosis.unproven("whether the login may clone, tag and destroy VMs is not known without doing it");
}
