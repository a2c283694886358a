// The errors of clone-volumes. IBM's document names statuses and no bodies (docs/wire/powervc.md#f1), so the texts here
// are worded as Cinder's.

import { invalid } from "../cinder/errors";
import type { VolumeRow } from "../cinder/model";
import { HttpError } from "../openstack/wsgi";

export function taskNotFound(id: string | null): HttpError {
  return new HttpError(404, `Task ${id} could not be found.`);
}

export function volumeTypeNotFound(id: unknown): HttpError {
  return new HttpError(404, `Volume type ${String(id)} could not be found.`);
}

export function wrongStatus({ id, status }: VolumeRow): HttpError {
  return invalid(`Invalid volume: Volume ${id} status must be available, in-use, but current status is: ${status}.`);
}
