// Cinder's error bodies and what a user can do about them (docs/wire/openstack.md#a10).

import { orUndefined } from "../core/absence";
import { isKind, SnapcloneError } from "../core/errors";
import type { ParsedError, RawResponse } from "../core/http/request";
import { faultError } from "./faults";

/** For `parseError` of a request to Cinder, or to PowerVC's extension of it. */
export function cinderError(response: RawResponse): Partial<ParsedError> | undefined {
  const parsed = faultError(response, { api: "the Block Storage API v3", hints: HINTS, forbidden });
  if (!parsed) return undefined;
  switch (response.status) {
    // No version of the request's: not carried out. Another server of this address, or the next negotiation, takes it.
    case 406:
      return { ...parsed, kind: "transient" };
    case 413: // Cinder sends a full quota with `Retry-After: 0`, which means nothing (docs/wire/openstack.md#a10).
    case 501:
      return { ...parsed, kind: "refused" };
    case 500:
      return { ...parsed, hint: "Cinder failed internally: its log has the cause under this request id." };
    default:
      return parsed;
  }
}

/**
 * Which object a notFound is about. Needed because a snapshot that lacks a metadata key still exists
 * (docs/wire/openstack.md#a7). Older clouds have two more texts for volume metadata (cinder/api/v2/volume_metadata.py).
 */
export function missingObject(error: unknown): "snapshot" | "volume" | "metadataKey" | undefined {
  if (!isKind(error, "notFound")) return undefined;
  const { message } = error.parts;
  if (/has no metadata with key|Metadata item was not found/.test(message)) return "metadataKey";
  if (/\bSnapshot \S+ could not be found/.test(message)) return "snapshot";
  if (/\bVolume \S+ could not be found|\bvolume does not exist/.test(message)) return "volume";
  return requestedObject(error);
}

/**
 * A Cinder whose system has another language than English translates its texts (docs/wire/openstack.md#a10). Then the request
 * says what the answer is about, if the text names that.
 */
function requestedObject({ parts }: SnapcloneError): ReturnType<typeof missingObject> {
  const path = /\/(snapshot|volume)s\/([^/?]+)(?:\/metadata(?:\/([^/?]+))?)?$/;
  const [, noun, id = "", key] = path.exec(parts.request ?? "") ?? [];
  const [status, ...text] = parts.message.split(": ");
  const names = text.join(": ").split(id);
  if (noun === undefined || status === undefined || names.length < 2) return undefined;
  if (key !== undefined && isWordOf(decodeURIComponent(key), names.join(" "))) return "metadataKey";
  return noun === "volume" ? "volume" : "snapshot";
}

function isWordOf(word: string, text: string): boolean {
  const at = text.indexOf(word);
  return at >= 0 && !/\w/.test(`${text[at - 1] ?? ""}${text[at + word.length] ?? ""}`);
}

/** Resolves to undefined if Cinder itself says that the object does not exist. Every other failure is thrown. */
export function undefinedIfMissing<T>(request: Promise<T>, object: "snapshot" | "volume"): Promise<T | undefined> {
  return orUndefined(request, (error) => missingObject(error) === object);
}

/**
 * For requests about an object that another request has to prove absent: a lagging replica may answer one of them with
 * "not found". The error becomes transient.
 */
export function notFoundAsTransient(error: unknown): unknown {
  return isKind(error, "notFound") ? new SnapcloneError({ ...error.parts, kind: "transient" }) : error;
}

export async function withTransientNotFound<T>(request: Promise<T>): Promise<T> {
  try {
    return await request;
  } catch (error) {
    throw notFoundAsTransient(error);
  }
}

/** A 400 "Invalid filters metadata are found in query options." (docs/wire/openstack.md#a6), or the 403 of a policy. */
export function isFilterRefusal(error: unknown): boolean {
  if (isKind(error, "forbidden")) return true;
  return isKind(error, "refused") && error.parts.status === 400 && /\bmetadata\b/.test(error.parts.message);
}

function forbidden(rule: string | undefined): string {
  return rule
    ? `Cinder's policy rule ${rule} does not let this user do that. Ask an administrator for a role that it allows.`
    : "The user's roles on this project are not enough.";
}

const QUOTA =
  "The project's quota is full: delete snapshots or volumes that are no longer needed, or ask an administrator for more (`openstack quota show`, `openstack quota set --snapshots … --volumes … --gigabytes …`). Snapshots count towards the gigabytes too unless Cinder has no_snapshot_gb_quota.";

/** Patterns of Cinder's texts (docs/wire/openstack.md#a2, #a5, #a6, #a7, #a9 and #a10). The first match wins. */
export const HINTS: readonly (readonly [RegExp, string])[] = [
  [/LimitExceeded|exceed\w*.*quota|quota.*exceed|Maximum number of .* allowed/i, QUOTA],
  [
    /^Malformed request url/,
    "The project in the address is not the token's project. Take the project out of the endpoint.",
  ],
  [
    /status must be available, but current status is: in-use/,
    "The volume is attached. Below microversion 3.66, Cinder takes a snapshot of an attached volume only with `force: true`; the copy is crash-consistent.",
  ],
  [
    /status must be .*but current status is: (creating|downloading|uploading|attaching|detaching|extending|retyping|backing-up|restoring-backup|reserved|maintenance|awaiting-transfer)/,
    "The volume is busy. Run again when it is available or in-use; `dependsOn` keeps the order within one program.",
  ],
  [/status must be .*but current status is: (deleting|error_deleting)/, "The volume is being deleted."],
  [
    /is None or not the latest one of volume|doesn't have any snapshots/,
    "Cinder reverts a volume to its newest snapshot only (`openstack volume snapshot list --volume <volume>`).",
  ],
  [/Can't revert volume .* volume size must be equal/, "The volume has grown since the snapshot was taken."],
  [
    /Can't revert volume .* Volume's status must be 'available'/,
    "The volume is attached or busy (`openstack volume show`). Run again when it is available.",
  ],
  [/volume is in error status/, "The volume has failed: repair or replace it first (`openstack volume show`)."],
  [/volume is in maintenance mode/, "The volume is in maintenance mode. Run again when that has ended."],
  [/volume is migrating/, "The volume is being moved. Run again when that has ended."],
  [
    /volume metadata is not allowed for volumes in/,
    "The volume is being made into an image, or is in maintenance. Run again when that has ended.",
  ],
  [
    /has not been scheduled to any host|is not assigned to a host/,
    "The volume is not on any backend yet. Run again when it is available.",
  ],
  [
    /^Invalid snapshot: Originating snapshot status/,
    "The snapshot is not ready, or it has failed (`openstack volume snapshot show`). Run again when it is available.",
  ],
  [
    /to extend, currently in-use/,
    "The volume is attached, and this cloud grows no attached volume. Detach it, and run again.",
  ],
  [/to extend, currently/, "The volume is busy (`openstack volume show`). Run again when it is available or in-use."],
  [
    /^Availability zone .* is invalid/,
    "`openstack availability zone list --volume` has the zones. Without `availabilityZone`, the volume gets the snapshot's.",
  ],
  [/must be in the same availability zone/, "Leave `availabilityZone` out: the volume then gets the snapshot's."],
  [
    /^Volume type .* could not be found|Invalid volume_type provided/,
    "`openstack volume type list` has the types. Without `volumeType`, the volume gets the snapshot's.",
  ],
  [
    /Snapshot status must be available or error and must not be part of a group/,
    "The snapshot is busy (creating, deleting, backing up, restoring); or it is stuck in error_deleting, which only an administrator can end (`openstack volume snapshot set --state error <id>`); or it is part of a group snapshot, which can only be deleted as a whole (`openstack volume group snapshot delete`).",
  ],
  [
    /Volume status must be available or error or .*must not be migrating, attached, belong to a group, have snapshots/,
    "The volume is busy, attached, being migrated, part of a group, or has snapshots: Cinder has one text for all of these (`openstack volume show`).",
  ],
  [/^Snapshot \S+ has no metadata with key/, "The snapshot exists; the metadata key does not."],
  [
    /^(Snapshot|Volume) \S+ could not be found/,
    "It was deleted, or it belongs to another project or region than the connection's: Cinder gives the same answer.",
  ],
  [
    /^The resource could not be found/,
    "This Cinder does not have this call at the microversion in use: it is older than the call.",
  ],
  [
    /^Invalid filters .* are found in query options/,
    "The cloud does not allow this filter, or not at its microversion (/etc/cinder/resource_filters.json).",
  ],
  [
    /Invalid sort key/,
    "Sort by a column that Cinder has: created_at, id, status, name (display_name before 3.30), volume_size.",
  ],
  [
    /field\/attribute (display_)?description\b/,
    "A description has at most 255 printable characters: no line break, no tab.",
  ],
  [/field\/attribute (display_)?name\b/, "A name has at most 255 characters."],
  [/field\/attribute volume_id\b/, "`volumeId` must be the volume's id (a UUID), not its name."],
  [
    /field\/attribute metadata\b|Invalid metadata|does not match.*a-zA-Z0-9/,
    "Metadata takes keys of 1 to 255 letters, digits, blanks and - _ : . /, and values that are strings of at most 255 characters.",
  ],
  [
    /^Version \S+ is not supported by the API/,
    "This address supported the version a moment ago: the API is being replaced, or servers of several versions share the address. Run again.",
  ],
];
