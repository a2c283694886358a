// ZStack's logins, sessions and access keys (docs/wire/zstack.md#s1-2, #s1-3, #s1-4).

import { createHash, createHmac } from "node:crypto";
import { type EmulatorRequest, header, isObject, type Reply } from "../core/http";
import { optionalInteger, parse } from "./body";
import type { Context, Work } from "./context";
import { Failure, notFound, Refusal, type ZStackError } from "./errors";
import { ZSTACK_SEED, type ZStackModel } from "./model";
import { checkRange } from "./parameters";
import type { ZStackSession } from "./rows";
import { ofClass } from "./schema";
import { result } from "./views";

/** The context path of the server, in front of the signed path. */
export const PREFIX = "/zstack";

const SESSION_LOST: ZStackError = {
  code: "ID.1001",
  description: "The session is invalid, either wrong session id or the session has been expired",
  details: "Session expired",
};

export function login(context: Context): Reply {
  const { model, request } = context;
  const body = parse(request.text).logInByAccount;
  const { accountName, password } = isObject(body) ? body : {};
  const known = model.accounts.get(String(accountName));
  if (known === undefined || createHash("sha512").update(known).digest("hex") !== password) {
    const details = "wrong account name or password";
    throw new Failure({ code: "ID.1000", description: "Unable to authenticate a user", details });
  }
  if (model.settings.uniqueSession) model.sessions.clear();
  const uuid = model.uuid("session");
  const now = model.clock.nowMs();
  const session = { createdMs: now, endMs: now + model.timings.zstackSession };
  model.sessions.set(uuid, session);
  return result(context, { inventory: sessionView(uuid, session) });
}

/** APIRenewSessionMsg.java:14–27, Session.java:101–127: 60 s to a year; without a duration as each authorised call. */
export function renewSession({ model, params: { uuid = "" }, fields: { duration } }: Context): Work {
  checkRange("duration", duration, [60, 31_536_000]);
  if (!model.sessions.has(uuid)) throw new Failure(notFound("sessionUuid", uuid, "SessionVO"));
  return {
    ms: 0,
    run: () => {
      const session = model.sessions.get(uuid);
      if (session === undefined || !isSession(model, uuid)) throw new Failure(SESSION_LOST);
      const seconds = optionalInteger(duration);
      const ms = seconds === undefined ? model.timings.zstackSession : seconds * 1000;
      session.endMs = model.clock.nowMs() + ms;
      return { inventory: sessionView(uuid, session) };
    },
  };
}

function sessionView(uuid: string, { createdMs, endMs }: ZStackSession): object {
  return ofClass("header.identity.SessionInventory", {
    uuid,
    accountUuid: ZSTACK_SEED.account,
    userUuid: ZSTACK_SEED.account,
    // SessionInventory.valueOf does not set it.
    userType: null,
    expiredDate: new Date(endMs),
    createDate: new Date(createdMs),
    noSessionEvaluation: false,
  });
}

export function isSession(model: ZStackModel, uuid: string | undefined): boolean {
  return (model.sessions.get(uuid ?? "")?.endMs ?? 0) > model.clock.nowMs();
}

/**
 * Never answers 401 (docs/wire/zstack.md#s1-3): a missing header is a 400, a bad access key a 403, a bad session an
 * error of the call.
 */
export function checkHeader(model: ZStackModel, request: EmulatorRequest): void {
  const given = header(request, "Authorization");
  if (given === undefined) throw new Refusal(400, "missing header 'Authorization'");
  const [scheme, value] = given.split(" ", 2);
  if (scheme === "OAuth") return;
  if (scheme !== "ZStack") throw new Refusal(400, "Authorization type must be 'OAuth'");
  const [id, signed] = (value ?? "").split(":");
  if (!id || !signed) throw new Refusal(400, "accessKey format is 'ZStack AccessKeyId:Signature'");
  const date = header(request, "Date");
  if (date === undefined) throw new Refusal(400, "'Date' must be incuded in request header");
  const digits = /^\w{3}, (\d\d \w{3} \d{4} \d\d:\d\d:\d\d) \S+$/.exec(date)?.[1];
  if (digits === undefined) throw new Refusal(400, `date format error: ${date}`);
  // ZStack compares wall clocks and ignores the zone (rest/checkTimeZone=false, docs/wire/zstack.md#s1-4).
  const wall = model.clock.nowMs() + model.settings.offsetMinutes * 60_000;
  if (Math.abs(Date.parse(`${digits} UTC`) - wall) > 15 * 60_000) throw new Refusal(403, "requestTimeTooSkewed");
  if (id !== ZSTACK_SEED.accessKeyId) throw new Refusal(403, `access key id: ${id} does not existed or disabled`);
  const uri = decodeURIComponent(request.path.slice(PREFIX.length));
  const right = createHmac("sha1", ZSTACK_SEED.accessKeySecret)
    .update(`${request.method}\n${date}\n${uri}`)
    .digest("base64");
  if (signed !== right) throw new Refusal(403, "wrong accessKey signature");
}

export function checkSession(model: ZStackModel, request: EmulatorRequest): void {
  const [scheme, uuid] = (header(request, "Authorization") ?? "").split(" ", 2);
  if (scheme === "ZStack") return;
  const session = model.sessions.get(uuid ?? "");
  if (session === undefined || !isSession(model, uuid)) throw new Failure(SESSION_LOST);
  // Each authorised call renews the session. A job query is not authorised (docs/wire/zstack.md#s1-2).
  session.endMs = model.clock.nowMs() + model.timings.zstackSession;
}
