// What Cinder asks the image service when a volume is made from an image (docs/wire/openstack.md#glance).

import { hashesOf, type ImageRow } from "../../glance/model";
import { HttpError } from "../../openstack/wsgi";
import type { CinderContext } from "../context";
import { invalid } from "../errors";

const GIB = 2 ** 30;

/** By id, or by a name that only one image has (cinder/api/v2/volumes.py _image_uuid_from_ref). */
export function readImage({ glance, identity }: CinderContext, given: unknown): ImageRow | undefined {
  if (given === undefined || given === null) return undefined;
  const reference = String(given);
  const images = glance.visibleTo(identity);
  const id = reference.split("/").pop();
  const byId = images.find((row) => row.id === id);
  if (byId !== undefined) return byId;
  const named = images.filter(({ name }) => name === reference);
  if (named.length > 1)
    throw new HttpError(409, `Multiple matches found for '${reference}', use an ID to be more specific.`);
  if (named[0] === undefined) throw invalid("Invalid image identifier or unable to access requested image.");
  return named[0];
}

/** cinder/volume/volume_utils.py:1101-1132 */
export function checkImage({ id, status, size, min_disk }: ImageRow, volumeSize: number): void {
  const gib = Math.ceil((size ?? 0) / GIB);
  const reason =
    status !== "active"
      ? `Image ${id} is not active.`
      : gib > volumeSize
        ? `Size of specified image ${gib}GB is larger than volume size ${volumeSize}GB.`
        : volumeSize < min_disk
          ? `Volume size ${volumeSize}GB cannot be smaller than the image minDisk size ${min_disk}GB.`
          : undefined;
  if (reason !== undefined) throw invalid(`Invalid input received: ${reason}`);
}

/** cinder/volume/volume_utils.py get_volume_image_metadata */
export function imageMetadata(row: ImageRow): Record<string, string> {
  const { id, name, size, disk_format, container_format, min_disk, min_ram, properties } = row;
  const fields = { checksum: hashesOf(row).checksum, container_format, disk_format, min_disk, min_ram, size };
  const present = Object.entries(fields).flatMap(([key, value]) => (value === null ? [] : [[key, String(value)]]));
  return { ...properties, image_id: id, ...(name ? { image_name: name } : {}), ...Object.fromEntries(present) };
}
