// Which inputs of a ClonedVm a version of ZStack knows.

import { compareVersions } from "../../core/util/version";
import type { ClonedVmInputs } from "./inputs";

/** Inputs that older servers ignore without an error (docs/wire/zstack.md#s2-7, #s3-1), each with its first version. */
export const SINCE: readonly (readonly [keyof ClonedVmInputs, string])[] = [
  ["full", "2.5.0"],
  ["primaryStorageUuidForRootVolume", "3.1.0"],
  ["primaryStorageUuidForDataVolume", "3.1.0"],
  ["volumeProvisioningStrategy", "3.1.0"],
  ["clusterUuid", "4.6.11"],
  ["hostUuid", "4.6.11"],
];
/** The first version that can clone a VM without starting the clone. */
export const CREATE_STOPPED_SINCE = "3.9.0";

/** What this version would drop without an error: inputs, each with its first version. */
export function unsupportedInputs(version: string): string[] {
  const all = [...SINCE, ["strategy: CreateStopped", CREATE_STOPPED_SINCE] as const];
  return all.filter(([, since]) => !isAtLeast(version, since)).map(([input, since]) => `${input} (${since})`);
}

/**
 * ZStack had no REST API before 1.9 (docs/wire/zstack.md#s3-1). A lower version is ZSvirt's, which started to count anew
 * and supports everything (docs/wire/zstack.md#s0).
 */
export function isAtLeast(version: string, wanted: string): boolean {
  return compareVersions(version, "1.9") < 0 || compareVersions(version, wanted) >= 0;
}
