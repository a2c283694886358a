// What Glance shows of an image and of its versions (glance/api/v2/images.py ResponseSerializer, glance/api/versions.py).

import { hashesOf, type ImageRow } from "./model";

type View = Record<string, unknown>;

/** The properties stand beside the image's own fields. Addresses have no host. */
export function imageView(row: ImageRow): View {
  const { id, name, disk_format, container_format, visibility, size, virtual_size, status, properties } = row;
  const { checksum, sha512 } = hashesOf(row);
  return {
    ...properties,
    name,
    disk_format,
    container_format,
    visibility,
    size,
    virtual_size,
    status,
    checksum,
    protected: row.protected,
    min_ram: row.min_ram,
    min_disk: row.min_disk,
    owner: row.owner,
    os_hidden: row.os_hidden,
    os_hash_algo: sha512 === null ? null : "sha512",
    os_hash_value: sha512,
    id,
    created_at: isoSeconds(row.created_at),
    updated_at: isoSeconds(row.updated_at),
    tags: row.tags,
    self: `/v2/images/${id}`,
    file: `/v2/images/${id}/file`,
    schema: "/v2/schemas/image",
  };
}

/** `first` and `next` repeat the query (docs/wire/openstack.md#glance). */
export function imagesView(rows: readonly ImageRow[], query: URLSearchParams, nextMarker: string | undefined): View {
  // If a parameter is given twice, the addresses repeat the last one.
  const params = new URLSearchParams(Object.fromEntries(query));
  params.delete("marker");
  const first = params.size === 0 ? "/v2/images" : `/v2/images?${params}`;
  if (nextMarker !== undefined) params.set("marker", nextMarker);
  return {
    images: rows.map(imageView),
    first,
    schema: "/v2/schemas/images",
    ...(nextMarker === undefined ? {} : { next: `/v2/images?${params}` }),
  };
}

/** The versions of Glance 25 without a cache and with one store. */
export function versionsView(base: string): View {
  const minors = ["15", "9", "7", "6", "5", "4", "3", "2", "1", "0"];
  return {
    versions: minors.map((minor, at) => ({
      id: `v2.${minor}`,
      status: at === 0 ? "CURRENT" : "SUPPORTED",
      links: [{ rel: "self", href: `${base}/v2/` }],
    })),
  };
}

function isoSeconds(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");
}
