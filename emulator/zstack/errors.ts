// ZStack's errors: what the REST layer and the platform refuse, and their texts in English and Chinese.

import type { Reply } from "../core/http";
import type { ZStackSettings } from "./model";
import type { ZStackVm } from "./rows";
import { asGson, COOKIE } from "./views";

export interface ZStackError {
  code: string;
  description: string;
  details: string;
  cause?: ZStackError;
  causes?: ZStackError[];
  opaque?: unknown;
}

/** The REST layer refuses the request: plain text with a status. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** The platform reports an error: JSON with 503, in the answer or in the job. */
export class Failure extends Error {
  constructor(readonly error: ZStackError) {
    super(error.details);
  }
}

export const NO_HOST: ZStackError = {
  code: "HOST_ALLOCATION.1000",
  description: "No available host found",
  details: "unable to allocate hosts, no host meets the following conditions: cpu=1 memoryCapacity=8589934592",
};

/** The server stops waiting, and the work continues (docs/wire/zstack.md#s6). */
export const TIMED_OUT: ZStackError = {
  code: "SYS.1001",
  description: "A message or a operation timeout",
  details: "a message times out",
};

const ZH: Readonly<Record<string, string>> = {
  "ID.1000": "错误的帐号或密码。",
  "ID.1001": "session 已过期，或者提供了不正确的 session id。",
  "HOST_ALLOCATION.1000": "没有可用的物理机。",
  "SYS.1003": "找不到资源。",
  "SYS.1007": "参数不正确。",
};

export function internalError(details: string): ZStackError {
  return { code: "SYS.1000", description: "An internal error happened in system", details };
}

export function invalidArgument(details: string): ZStackError {
  return { code: "SYS.1007", description: "One or more API argument is invalid", details };
}

export function operationFailed(details: string, cause?: ZStackError): ZStackError {
  return { code: "SYS.1006", description: "An operation failed", details, ...(cause ? { cause } : {}) };
}

export function notFound(field: string, uuid: string, type: string): ZStackError {
  const details = `invalid field[${field}], resource[uuid:${uuid}, type:${type}] not found`;
  return { code: "SYS.1003", description: "A resource can not be found", details };
}

/**
 * A call of the kind "success if there is no such resource" still checks the form of the uuid
 * (portal/…/PortApiValidator.java, docs/wire/zstack.md#destroy).
 */
export function checkUuidForm(field: string, uuid: string): void {
  if (/^[0-9a-f]{12}[1-5][0-9a-f]{3}[89ab][0-9a-f]{15}$/.test(uuid)) return;
  const details = `invalid value[${uuid}] of field [${field}]`;
  throw new Failure({ code: "SYS.1003", description: "A resource can not be found", details });
}

export function wrongState({ state }: ZStackVm, message: string, allowed: readonly string[]): ZStackError {
  const details = `current vm instance state[${state}] doesn't allow to proceed message[org.zstack.header.vm.${message}], allowed states are [${allowed.join(", ")}]`;
  const description = "VM is not in state that allows required operation";
  return operationFailed(details, { code: "VM.1010", description, details });
}

/** Translates the texts into the server's language. The codes stay (docs/wire/zstack.md#s2-8). */
export function localised(error: ZStackError, locale: ZStackSettings["locale"]): ZStackError {
  if (locale === "en_US") return error;
  const message = ZH[error.code] ?? "操作失败";
  return {
    ...error,
    description: message,
    details: `错误信息: ${message}`,
    ...(error.cause ? { cause: localised(error.cause, locale) } : {}),
    ...(error.causes ? { causes: error.causes.map((one) => localised(one, locale)) } : {}),
  };
}

export function text(status: number, body: string): Reply {
  return { status, headers: COOKIE, body };
}

/** Not HTML-escaped, unlike other answers (docs/wire/zstack.md#s2-7). */
export function fault(error: ZStackError): Reply {
  return { status: 503, headers: COOKIE, body: JSON.stringify(asGson({ error }, 0)) };
}
