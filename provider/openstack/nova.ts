// The Compute API v2.1 on the wire, as far as os-assisted-volume-snapshots go: two calls, none to look at what they did,
// and one to look at the server. Field names are the API's own; nothing here waits for work to end.

import { z } from "zod";
import { SnapcloneError } from "../core/errors";
import type { ParsedError, RawResponse } from "../core/http/client";
import type { Patience } from "../core/http/rateGate";
import { type Clock, systemClock } from "../core/util/clock";
import { explainFault, faultOf, segment } from "./cinder";
import type { KeystoneSession } from "./keystone";

/** Complete, always: Nova takes less, and does nothing or something else with it (docs/wire/openstack.md#b1). */
export interface CreateInfo {
  /** Cinder's snapshot: what Nova's report is addressed to. */
  snapshot_id: string;
  type: "qcow2";
  /** A file that exists already, beside the disk's active one. A name, never a path. */
  new_file: string;
  /** Nova answers with it, whatever it is. */
  id: string;
}

/**
 * All four, always: the compute node reads each by index, so that with one missing it stops with a KeyError, long after
 * the 204 (docs/wire/openstack.md#b2).
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

/** A look that helps and is not needed: it is not waited for longer. */
const SERVER_LOOK_MS = 10_000;

/** These calls have been there from the beginning; from 2.75 on Nova refuses query parameters that it doesn't know. */
const VERSION = { "openstack-api-version": "compute 2.1" };
const PATH = "/os-assisted-volume-snapshots";

export class NovaClient {
  constructor(
    private readonly session: KeystoneSession,
    private readonly clock: Clock = systemClock,
  ) {}

  /** Accepted, not done: the compute node works afterwards, and tells Cinder alone. */
  async createAssistedSnapshot(volumeId: string, create_info: CreateInfo, operation?: Patience): Promise<void> {
    const { body } = await this.session.request("compute", {
      method: "POST",
      base: await this.api(),
      path: PATH,
      body: { snapshot: { volume_id: volumeId, create_info } },
      headers: VERSION,
      schema: createdSchema,
      accept: [200],
      parseError: explain,
      operation,
    });
    // The id is a bare echo (docs/wire/openstack.md#b1). If it isn't ours, something else has answered.
    const { id, volumeId: volume } = body.snapshot;
    if (id === create_info.id && volume === volumeId) return;
    throw new SnapcloneError({
      kind: "ambiguous",
      message: `Nova answered for snapshot ${id} of volume ${volume}, and was asked for ${create_info.id} of ${volumeId}`,
      hint: "Check that the compute endpoint is Nova's own and that no proxy answers in its place.",
    });
  }

  /**
   * Accepted, not done. Nova does not look at the snapshot's id (docs/wire/openstack.md#seen-assisted-delete): what is
   * merged follows from `delete_info` alone. Never sent twice: a second one would merge what the first has left.
   */
  async deleteAssistedSnapshot(snapshotId: string, delete_info: DeleteInfo, operation?: Patience): Promise<void> {
    const { volume_id, type, file_to_merge, merge_target_file } = delete_info;
    await this.session.request("compute", {
      method: "DELETE",
      base: await this.api(),
      path: `${PATH}/${segment(snapshotId, "a snapshot id")}`,
      // Without the quotes around it that the API's own document shows: those are a 400 (docs/wire/openstack.md#b2).
      query: { delete_info: JSON.stringify({ volume_id, type, file_to_merge, merge_target_file }) },
      headers: VERSION,
      idempotent: false,
      accept: [204],
      parseError: explain,
      operation,
    });
  }

  /**
   * `ACTIVE`, `SHUTOFF`, …; undefined where Nova does not tell: without a network service it answers with an error
   * (docs/wire/openstack.md#seen), and another project's server is hidden from a member.
   */
  async serverStatus(id: string, signal?: AbortSignal): Promise<string | undefined> {
    const enough = new AbortController();
    const forward = () => enough.abort(signal?.reason);
    signal?.addEventListener("abort", forward, { once: true });
    if (signal?.aborted) forward();
    const over = this.clock.sleep(SERVER_LOOK_MS, enough.signal).then(
      () => enough.abort(new Error("no answer in time")),
      () => {},
    );
    try {
      const { body } = await this.session.request("compute", {
        method: "GET",
        base: await this.api(),
        path: `/servers/${segment(id, "a server id")}`,
        headers: VERSION,
        schema: serverSchema,
        accept: [200],
        parseError: explain,
        signal: enough.signal,
      });
      return body.server.status;
    } catch (error) {
      if (signal?.aborted) throw error;
      return undefined;
    } finally {
      signal?.removeEventListener("abort", forward);
      enough.abort();
      await over;
    }
  }

  private async api(): Promise<string> {
    return computeAddress(await this.session.endpoint("compute"));
  }
}

/** Catalogues end in nothing, /v2, /v2.1 or /v2.1/<project id>; the project may always be left out of v2.1. */
export function computeAddress(endpoint: string): string {
  const { origin, pathname } = new URL(endpoint);
  return `${origin}${pathname.replace(/\/+$/, "").replace(/\/v\d+(\.\d+)?(\/[^/]+)?$/, "")}/v2.1`;
}

/** The error bodies of docs/wire/openstack.md#b3. */
function explain(answer: RawResponse): Partial<ParsedError> | undefined {
  const explained = explainFault(answer, {
    api: "the Compute API v2.1",
    hints: HINTS,
    forbidden: (rule) =>
      rule
        ? `Nova's policy rule ${rule} does not let this user do that: by default it is for administrators alone. Use an administrator's connection, or have the rule changed.`
        : "Nova does not let this user do that: by default it is for administrators alone.",
  });
  // Raised before anything is sent to a compute node (nova/compute/api.py, _get_bdm_by_volume_id).
  const message = answer.status === 500 ? faultOf(answer.json)?.message : undefined;
  return message !== undefined && /VolumeBDMIsMultiAttach/.test(message)
    ? { ...explained, kind: "refused" }
    : explained;
}

/** The texts of docs/wire/openstack.md#b3. */
const HINTS: readonly (readonly [RegExp, string])[] = [
  [
    /No volume Block Device Mapping/,
    "The volume is attached to no server of this Nova. Cinder may say otherwise for a moment while it is being detached.",
  ],
  [/in task_state /, "The server is busy with something else. Run again when that has ended."],
  [/in vm_state /, "Files below the active one can be merged while the server runs only. Start it, and run again."],
  [/is not ready|in launched_at None/, "The server has not been started yet."],
  [/multi-?attach/i, "A volume that several servers may have cannot be copied or merged through one of them."],
];
