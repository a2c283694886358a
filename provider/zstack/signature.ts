// The signature of requests with an access key (docs/wire/zstack.md#s1-4).

import { createHmac } from "node:crypto";

/**
 * `HMAC-SHA1(secret, METHOD \n Date \n URI)`. The URI is the decoded path without the context path and the query
 * (docs/wire/zstack.md#s1-4).
 */
export function signature(secret: string, method: string, date: string, uri: string): string {
  return createHmac("sha1", secret).update(`${method}\n${date}\n${uri}`).digest("base64");
}

/** `EEE, dd MMM yyyy HH:mm:ss z` in the server's wall-clock time. The zone is an offset, since "CST" is ambiguous. */
export function serverDate(now: Date, timeZone: string | undefined): string {
  const minutes = offsetMinutes(now, timeZone);
  const shifted = new Date(now.getTime() + minutes * 60_000).toUTCString().replace(/ GMT$/, "");
  if (minutes === 0) return `${shifted} GMT`;
  const two = (number: number) => String(Math.floor(number)).padStart(2, "0");
  return `${shifted} GMT${minutes < 0 ? "-" : "+"}${two(Math.abs(minutes) / 60)}:${two(Math.abs(minutes) % 60)}`;
}

function offsetMinutes(now: Date, timeZone: string | undefined): number {
  if (timeZone === undefined) return -now.getTimezoneOffset();
  const fixed = /^([+-])(\d\d):(\d\d)$/.exec(timeZone);
  if (fixed) return (fixed[1] === "-" ? -1 : 1) * (Number(fixed[2]) * 60 + Number(fixed[3]));
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
  }).formatToParts(now);
  const part = (type: string) => Number(parts.find((one) => one.type === type)?.value);
  const wall = Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"));
  return Math.round((wall - Math.floor(now.getTime() / 60_000) * 60_000) / 60_000);
}
