// ZStack's answers.

import { type EmulatorRequest, header, isObject, type Reply } from "../core/http";
import type { ZStackModel, ZStackTag, ZStackVm, ZStackVolume } from "./model";
import { ofClass, schemaOf } from "./schema";

/** Tomcat adds it to each answer; clients do not need it (docs/wire/zstack.md#s2-6). */
export const COOKIE = { "Set-Cookie": "JSESSIONID=0123456789ABCDEF; Path=/; HttpOnly" };

export function vmView(model: ZStackModel, row: ZStackVm): Record<string, unknown> {
  const { nics, createdMs, changedMs, ...plain } = row;
  return ofClass("header.vm.VmInstanceInventory", {
    ...plain,
    platform: "Linux",
    architecture: "x86_64",
    hypervisorType: "KVM",
    cpuSpeed: 0,
    allocatorStrategy: "LastHostPreferredAllocatorStrategy",
    createDate: gsonDate(createdMs),
    lastOpDate: gsonDate(changedMs),
    vmNics: nics.map((nic, deviceId) =>
      ofClass("header.vm.VmNicInventory", {
        ...nic,
        vmInstanceUuid: row.uuid,
        netmask: "255.255.255.0",
        gateway: "192.168.10.1",
        deviceId,
        type: "VNIC",
      }),
    ),
    allVolumes: model.volumesOf(row.uuid).map((volume) => volumeView(volume)),
    vmCdRoms: [],
  });
}

export function volumeView(row: ZStackVolume): Record<string, unknown> {
  const { systemTags: _, createdMs, ...plain } = row;
  return ofClass("header.volume.VolumeInventory", {
    ...plain,
    actualSize: Math.round(row.size / 5),
    format: "qcow2",
    state: "Enabled",
    isShareable: false,
    createDate: gsonDate(createdMs),
    lastOpDate: gsonDate(createdMs),
  });
}

export function tagView({ createdMs = 0, ...row }: ZStackTag): Record<string, unknown> {
  const date = gsonDate(createdMs);
  return ofClass("header.tag.UserTagInventory", { ...row, type: "User", createDate: date, lastOpDate: date });
}

/**
 * An answer without Content-Type and null fields, HTML-escaped. With `settings.floats`, numbers are doubles
 * (docs/wire/zstack.md#s2-6, #s2-7).
 */
export function reply({ settings }: ZStackModel, status: number, body: unknown): Reply {
  const plain = JSON.stringify(withoutNulls(body));
  const escaped = plain.replace(/[<>&=']/g, (one) => `\\u00${one.charCodeAt(0).toString(16)}`);
  const { floats } = settings;
  return { status, headers: COOKIE, body: floats ? escaped.replace(/([:[,])(\d+)(?=[,}\]])/g, asDouble) : escaped };
}

/** The result of a call. Queries always tell its schema, other calls on request (docs/wire/zstack.md#schema). */
export function result(
  { model, request }: { readonly model: ZStackModel; readonly request: EmulatorRequest },
  body: object,
  kind: "query" | "call" = "call",
): Reply {
  const told = kind === "query" || header(request, "X-JSON-Schema") !== undefined;
  return reply(model, 200, told ? { ...body, schema: schemaOf(body) } : body);
}

export function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== null && inner !== undefined)
      .map(([key, inner]) => [key, withoutNulls(inner)]),
  );
}

/** `1.0`, `8.589934592E9`: Java's Double.toString. */
function asDouble(_all: string, before: string, digits: string): string {
  const number = Number(digits);
  if (number < 1e7) return `${before}${digits}.0`;
  const [mantissa = "", exponent] = number.toExponential().split("e+");
  return `${before}${mantissa.includes(".") ? mantissa : `${mantissa}.0`}E${exponent}`;
}

/** `Nov 14, 2017 10:20:57 PM`: as Gson writes it on JDK 8, the server's time without a zone (docs/wire/zstack.md#s2-7). */
export function gsonDate(ms: number): string {
  const date = new Date(ms);
  const month = date.toLocaleString("en-US", { month: "short", timeZone: "UTC" });
  const hours = date.getUTCHours();
  const two = (number: number) => String(number).padStart(2, "0");
  const clock = `${hours % 12 === 0 ? 12 : hours % 12}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`;
  return `${month} ${date.getUTCDate()}, ${date.getUTCFullYear()} ${clock} ${hours < 12 ? "AM" : "PM"}`;
}
