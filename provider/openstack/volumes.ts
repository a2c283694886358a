// Reads Cinder's volumes for the resources on OpenStack: one by its id, those with a record, and those that a wait watches.

import { BatchPoller } from "../core/batchPoller";
import { DurationEstimator } from "../core/durationEstimator";
import { SnapcloneError } from "../core/errors";
import type { Clock } from "../core/util/clock";
import type { CinderClient, ListVolumes, Metadata, VolumeRow } from "./cinder";
import { isFilterRefusal, undefinedIfMissing } from "./cinderErrors";

/** Who holds the volume: "server 3f… as /dev/vdb". Not every attachment is Nova's (docs/wire/openstack.md#volumes). */
export function attachmentsText({ attachments }: Pick<VolumeRow, "attachments">): string {
  const places = attachments.map(({ server_id, host_name, device }) => {
    const host = host_name ? `host ${host_name}` : "something that Cinder does not name";
    return `${server_id ? `server ${server_id}` : host}${device ? ` as ${device}` : ""}`;
  });
  return places.join(", ");
}

/** Cinder gives these statuses to volumes that were `available` or `in-use` before (cinder/objects/fields.py, VolumeStatus). */
const MADE =
  /^(available|in-use|reserved|attaching|detaching|maintenance|extending|error_extending|uploading|backing-up|error_backing-up|restoring-backup|error_restoring|retyping|reverting|awaiting-transfer)$/i;

/**
 * True if the volume has been made. A later run may resume the wait for a volume that somebody has used since. Some of these
 * statuses last until somebody ends them, such as `reserved` for a shelved server.
 */
export function isMade({ status }: Pick<VolumeRow, "status">): boolean {
  return MADE.test(status);
}

export class VolumeReader {
  /** How long this cloud takes to make and to delete a volume. */
  readonly estimators = { creating: new DurationEstimator(), deleting: new DurationEstimator() };
  private readonly pollers = new Map<string, BatchPoller<VolumeRow>>();
  private refusesMetadataFilter = false;

  constructor(
    private readonly cinder: CinderClient,
    private readonly clock: Clock,
  ) {}

  /** undefined if Cinder itself says that the volume does not exist. */
  async find(id: string, signal?: AbortSignal): Promise<VolumeRow | undefined> {
    const row = await undefinedIfMissing(this.cinder.showVolume(id, signal), "volume");
    if (row === undefined || row.id === id) return row;
    throw new SnapcloneError({
      kind: "malformed",
      message: `Cinder showed volume ${row.id}; the request was for volume ${id}`,
    });
  }

  /**
   * The volumes with this metadata. A cloud may forbid the metadata filter (/etc/cinder/resource_filters.json); then all
   * volumes are listed and filtered here.
   */
  async withMetadata(metadata: Metadata): Promise<VolumeRow[]> {
    let refusal: unknown;
    if (!this.refusesMetadataFilter) {
      try {
        return await this.cinder.listVolumesDetail({ metadata });
      } catch (error) {
        if (!isFilterRefusal(error)) throw error;
        refusal = error;
      }
    }
    const rows = await this.cinder.listVolumesDetail();
    // Only now is it known that the filter was refused, and not the list itself.
    if (refusal !== undefined) this.refusesMetadataFilter = true;
    const wanted = Object.entries(metadata);
    return rows.filter((row) => wanted.every(([key, value]) => row.metadata[key] === value));
  }

  /** The poller that all waits with this status share. A volume that the list omits is fetched by its id. */
  poller(status: NonNullable<ListVolumes["status"]>, options: { resolveWhenMissing?: boolean } = {}) {
    const poller =
      this.pollers.get(status) ??
      new BatchPoller<VolumeRow>({
        clock: this.clock,
        resolveWhenMissing: options.resolveWhenMissing ?? false,
        fetchOne: (id) => this.find(id),
        fetchAll: async () => new Map((await this.cinder.listVolumesDetail({ status })).map((row) => [row.id, row])),
      });
    this.pollers.set(status, poller);
    return poller;
  }
}
