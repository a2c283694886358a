// The Compute API v2.1 on the wire: the two calls of os-assisted-volume-snapshots, which have no call to read what they
// did, and the status of a server. Field names are the API's own. Nothing here waits for work to end.

import * as z from "zod";
import { SnapcloneError } from "../core/errors";
import type { ParsedError, RawResponse } from "../core/http/request";
import { linkedAbort } from "../core/util/abort";
import { type Clock, systemClock } from "../core/util/clock";
import { faultError, parseFault } from "./faults";
import type { KeystoneSession } from "./keystone";
import { computeAddress, pathSegment } from "./urls";

/** Every field is always sent: Nova accepts less, and then does nothing or something else (docs/wire/openstack.md#b1). */
export interface CreateInfo {
  /** Cinder's snapshot, to which Nova reports. */
  snapshot_id: string;
  type: "qcow2";
  /** An existing file beside the disk's active one. A name, never a path. */
  new_file: string;
  /** Any text. Nova's response repeats it. */
  id: string;
}

/**
 * Every field is always sent: the compute node reads each by index. If one is missing, the node stops with a KeyError long
 * after the 204 (docs/wire/openstack.md#b2).
 */
export interface DeleteInfo {
  volume_id: string;
  type: "qcow2";
  file_to_merge: string | null;
  merge_target_file: string | null;
}

const createdSchema = z.looseObject({
  snapshot: z.looseObject({ id: z.string().nullable(), volumeId: z.string() }),
});

const serverSchema = z.looseObject({ server: z.looseObject({ status: z.string() }) });

/** The status of a server is helpful and not required, so that a slow response is not waited for. */
const SERVER_STATUS_TIMEOUT_MS = 10_000;

/** All calls exist in 2.1. From 2.75 on Nova refuses query parameters that it does not know. */
const VERSION = { "openstack-api-version": "compute 2.1" };
const PATH = "/os-assisted-volume-snapshots";

export class NovaClient {
  constructor(
    private readonly session: KeystoneSession,
    private readonly clock: Clock = systemClock,
  ) {}

  /** Returns when Nova has accepted the request. The compute node works afterwards and reports to Cinder only. */
  async createAssistedSnapshot(volumeId: string, create_info: CreateInfo): Promise<void> {
    const { body } = await this.session.request("compute", {
      method: "POST",
      base: await this.api(),
      path: PATH,
      body: { snapshot: { volume_id: volumeId, create_info } },
      headers: VERSION,
      schema: createdSchema,
      accept: [200],
      parseError: novaError,
    });
    // Nova only repeats the id (docs/wire/openstack.md#b1). If it differs, another service has answered.
    const { id, volumeId: volume } = body.snapshot;
    if (id === create_info.id && volume === volumeId) return;
    throw new SnapcloneError({
      kind: "ambiguous",
      message: `Nova answered for snapshot ${id} of volume ${volume}; the request was for snapshot ${create_info.id} of volume ${volumeId}`,
      hint: "Check that the compute endpoint is Nova's own and that no proxy answers in its place.",
    });
  }

  /**
   * Returns when Nova has accepted the request. Nova ignores the snapshot's id: `delete_info` alone says what is merged
   * (docs/wire/openstack.md#seen-assisted-delete). Never sent twice: a second request would merge what the first has left.
   */
  async deleteAssistedSnapshot(snapshotId: string, delete_info: DeleteInfo): Promise<void> {
    const { volume_id, type, file_to_merge, merge_target_file } = delete_info;
    await this.session.request("compute", {
      method: "DELETE",
      base: await this.api(),
      path: `${PATH}/${pathSegment(snapshotId, "a snapshot id")}`,
      // Without the quotes that the API reference shows around it: Nova answers those with 400 (docs/wire/openstack.md#b2).
      query: { delete_info: JSON.stringify({ volume_id, type, file_to_merge, merge_target_file }) },
      headers: VERSION,
      idempotent: false,
      accept: [204],
      parseError: novaError,
    });
  }

  /**
   * `ACTIVE`, `SHUTOFF`, …; undefined if Nova does not answer with a status. Without a network service Nova answers with an
   * error (docs/wire/openstack.md#seen), and a member does not see another project's server.
   */
  async serverStatus(id: string, signal?: AbortSignal): Promise<string | undefined> {
    const timeout = linkedAbort(signal);
    const timer = this.clock.sleep(SERVER_STATUS_TIMEOUT_MS, timeout.signal).then(
      () => timeout.abort(new Error("no answer in time")),
      () => {},
    );
    try {
      const { body } = await this.session.request("compute", {
        method: "GET",
        base: await this.api(),
        path: `/servers/${pathSegment(id, "a server id")}`,
        headers: VERSION,
        schema: serverSchema,
        accept: [200],
        parseError: novaError,
        signal: timeout.signal,
      });
      return body.server.status;
    } catch (error) {
      if (signal?.aborted) throw error;
      return undefined;
    } finally {
      timeout.release();
      timeout.abort();
      await timer;
    }
  }

  private async api(): Promise<string> {
    return computeAddress(await this.session.endpoint("compute"));
  }
}

/** Nova's error bodies (docs/wire/openstack.md#b3). */
function novaError(response: RawResponse): Partial<ParsedError> | undefined {
  const parsed = faultError(response, { api: "the Compute API v2.1", hints: HINTS, forbidden });
  // Nova raises this before it sends anything to a compute node (nova/compute/api.py, _get_bdm_by_volume_id).
  const message = response.status === 500 ? parseFault(response.json)?.message : undefined;
  return message !== undefined && /VolumeBDMIsMultiAttach/.test(message) ? { ...parsed, kind: "refused" } : parsed;
}

function forbidden(rule: string | undefined): string {
  return rule
    ? `Nova's policy rule ${rule} does not let this user do that: by default it is for administrators alone. Use an administrator's connection, or have the rule changed.`
    : "Nova does not let this user do that: by default it is for administrators alone.";
}

/** Patterns of Nova's texts (docs/wire/openstack.md#b3). */
export const HINTS: readonly (readonly [RegExp, string])[] = [
  [
    /No volume Block Device Mapping/,
    "The volume is attached to no server of this Nova. While it is being detached, Cinder may still show it as attached.",
  ],
  [/in task_state /, "The server is busy with another operation. Run again when that has ended."],
  [/in vm_state /, "Files below the active one can be merged only while the server runs. Start it, and run again."],
  [/is not ready|in launched_at None/, "The server has not been started yet."],
  [/multi-?attach/i, "A volume that several servers may attach cannot be copied or merged through one of them."],
];
