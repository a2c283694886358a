// The state of the image service: images, and their content where a test gives one. Tests use it directly; handlers.ts puts
// the API in front of it.

import { createHash } from "node:crypto";
import type { Clock } from "../core/clock";
import type { Ids } from "../core/ids";

export const IMAGE_STATUSES = [
  "queued",
  "saving",
  "active",
  "killed",
  "deleted",
  "uploading",
  "importing",
  "pending_delete",
  "deactivated",
] as const;

export const VISIBILITIES = ["public", "private", "shared", "community"] as const;

/** A row of the images table: plain and mutable. */
export interface ImageRow {
  id: string;
  /** The project's id. */
  owner: string;
  name: string | null;
  status: (typeof IMAGE_STATUSES)[number];
  visibility: (typeof VISIBILITIES)[number];
  disk_format: string | null;
  container_format: string | null;
  /** Bytes; null until there is content. */
  size: number | null;
  virtual_size: number | null;
  /** GiB, and MiB. */
  min_disk: number;
  min_ram: number;
  protected: boolean;
  os_hidden: boolean;
  tags: string[];
  properties: Record<string, string>;
  /** What a download answers. Without it, the image has its size, and no download. */
  content: Buffer | undefined;
  /** Seconds since the epoch: Glance's times have whole seconds. */
  created_at: number;
  updated_at: number;
}

export const SEED_IMAGE = "44444444-4444-4444-8444-444444444444";

export class GlanceModel {
  readonly images = new Map<string, ImageRow>();

  constructor(
    private readonly clock: Clock,
    private readonly ids: Ids,
    private readonly owner: () => string,
  ) {
    this.reset();
  }

  reset(): void {
    this.images.clear();
    const size = 21_430_272;
    this.createImage({ id: SEED_IMAGE, name: "cirros", visibility: "public", size });
  }

  /** Adds an image at once: `active`, unless another status is given. */
  createImage(given: Partial<ImageRow> = {}): ImageRow {
    const now = Math.floor(this.clock.nowMs() / 1000);
    const row: ImageRow = {
      owner: this.owner(),
      name: null,
      status: "active",
      visibility: "shared",
      disk_format: "qcow2",
      container_format: "bare",
      size: given.content?.length ?? null,
      virtual_size: null,
      min_disk: 0,
      min_ram: 0,
      protected: false,
      os_hidden: false,
      tags: [],
      properties: {},
      content: undefined,
      created_at: now,
      updated_at: now,
      ...given,
      id: given.id ?? this.ids.uuid("image"),
    };
    this.images.set(row.id, row);
    return row;
  }

  /** To a member, another project's private image is as absent as one that never was. */
  visibleTo(identity: { readonly projectId: string | null; readonly isAdmin: boolean }): ImageRow[] {
    const isVisible = ({ owner, visibility, status }: ImageRow) =>
      status !== "deleted" &&
      (identity.isAdmin || owner === identity.projectId || visibility === "public" || visibility === "community");
    return [...this.images.values()].filter(isVisible);
  }
}

/** Checksums of the content. An image without content has checksums of its id, so that they are the same at each start. */
export function hashesOf({ id, size, content }: ImageRow): { checksum: string | null; sha512: string | null } {
  if (size === null) return { checksum: null, sha512: null };
  const of = (algorithm: string) =>
    createHash(algorithm)
      .update(content ?? id)
      .digest("hex");
  return { checksum: of("md5"), sha512: of("sha512") };
}
