// Helpers with which a resource lists its request sites, in the order in which its operations send them.

import type { Properties } from "../../provider/core/operation";
import { at, type Call, type Counts, type Operation, type RequestSite, type SiteRole } from "./resourceUnderTest";

interface Outcomes {
  /** Counts of objects and creates if the operation succeeds, and if it fails at this request. */
  success: readonly [objects: number, creates: number];
  failure: readonly [objects: number, creates: number];
  /** Set if the request is one of those that `creates` counts: each try adds one. */
  counted?: true;
  idempotent?: true;
}

/** A request of an operation. `label` is its heading in docs/faults.md. */
export function request(
  of: Operation,
  role: SiteRole,
  call: Call,
  label: string,
  fields: readonly string[],
  { success, failure, counted, idempotent }: Outcomes,
): RequestSite {
  const counts =
    ([objects, creates]: readonly [number, number]) =>
    (tries: number): Counts =>
      at(objects, creates + (counted ? tries : 0));
  return {
    of,
    role,
    call,
    label,
    fields,
    onSuccess: counts(success),
    onFailure: counts(failure),
    ...(idempotent ? { idempotent } : {}),
  };
}

export const get = (path: RegExp): Call => ({ method: "GET", path });
export const post = (path: RegExp): Call => ({ method: "POST", path });
export const put = (path: RegExp): Call => ({ method: "PUT", path });
export const del = (path: RegExp): Call => ({ method: "DELETE", path });

/** Names of fields inside a field: `within("snapshot", ["id"])` is `["snapshot", "snapshot.id"]`. */
export function within(field: string, names: readonly string[]): string[] {
  return [field, ...names.map((name) => `${field}.${name}`)];
}

/** The same for the first element of a list: `["snapshots", "snapshots.0.id"]`. */
export function withinFirst(field: string, names: readonly string[]): string[] {
  return [field, ...names.map((name) => `${field}.0.${name}`)];
}

/** The inputs that the sdk hides in each resource. */
export function hiddenInputs(type: string, name: string): Properties {
  return {
    __owner: `urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:${type}::${name}`,
    __provider: "exports.handler=()=>require('pulumi-snapclone/dynamic/v1')",
  };
}
