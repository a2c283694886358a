// The errors that Cinder answers with (cinder/exception.py; texts from test/contract/exchanges/cinder.txt).

import { FAULT_NAMES, type FaultStyle, HttpError } from "../openstack/wsgi";

/** Cinder has no rate limit of its own, so 429 has no name here; Nova's has (nova/errors.ts). */
export const FAULTS: FaultStyle = { names: FAULT_NAMES, contentType: "application/json" };

export function invalid(message: string): HttpError {
  return new HttpError(400, message);
}

/** The answer to a method that this microversion does not have. */
export function noSuchMethod(): HttpError {
  return new HttpError(404, "The resource could not be found.");
}

export function overLimit(message: string): HttpError {
  return new HttpError(413, message, { retryAfter: "0" });
}

export function snapshotNotFound(id: unknown): HttpError {
  return new HttpError(404, `Snapshot ${String(id)} could not be found.`);
}

export function volumeNotFound(id: unknown): HttpError {
  // exchanges: 'volume_id null' prints Python's None
  return new HttpError(404, `Volume ${id === null ? "None" : String(id)} could not be found.`);
}

export function volumeTypeNotFound(id: string): HttpError {
  return new HttpError(404, `Volume type ${id} could not be found.`);
}

export function messageNotFound(id: unknown): HttpError {
  return new HttpError(404, `Message ${String(id)} could not be found.`);
}
