// The errors that Nova answers with (nova/exception.py; texts from test/contract/exchanges/nova.txt).

import { FAULT_NAMES, type FaultStyle, HttpError } from "../openstack/wsgi";

/** Nova names a 429; Cinder does not. */
export const FAULTS: FaultStyle = {
  names: { ...FAULT_NAMES, 429: "overLimit" },
  contentType: "application/json; charset=UTF-8",
};

export function invalid(message: string): HttpError {
  return new HttpError(400, message);
}

/** An exception that Nova's method does not expect. */
export function unexpected(exception: string): HttpError {
  const name = exception === "TypeError" ? exception : `nova.exception.${exception}`;
  return new HttpError(
    500,
    `Unexpected API Error. Please report this at http://bugs.launchpad.net/nova/ and attach the Nova API log if possible.\n<class '${name}'>`,
  );
}

export function wrongState(serverId: string, attribute: string, value: string, method: string): HttpError {
  return invalid(
    `Instance ${serverId} in ${attribute} ${value}. Cannot ${method} while the instance is in this state.`,
  );
}
