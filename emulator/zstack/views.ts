// ZStack's answers. A view has all fields of its Java class, null where the server has no value.

import { type EmulatorRequest, header, isObject, type Reply } from "../core/http";
import { ZSTACK_SEED, type ZStackModel } from "./model";
import { GATEWAY, NETMASK } from "./places";
import type { ZStackTag, ZStackVm, ZStackVolume } from "./rows";
import { ofClass, schemaOf } from "./schema";

/** Tomcat adds it to each answer; clients do not need it (docs/wire/zstack.md#s2-6). */
export const COOKIE = { "Set-Cookie": "JSESSIONID=0123456789ABCDEF; Path=/; HttpOnly" };

export function vmView(model: ZStackModel, vm: ZStackVm): Record<string, unknown> {
  return {
    ...vmRow(vm),
    vmNics: vm.nics.map((_, deviceId) => nicView(vm, deviceId)),
    allVolumes: model.volumesOf(vm.uuid).map(volumeView),
    vmCdRoms: [],
  };
}

/** A VM without the inventories in it. */
export function vmRow(row: ZStackVm): Record<string, unknown> {
  const { nics: _, createdMs, changedMs, reservedMemorySize, ...plain } = row;
  return ofClass("header.vm.VmInstanceInventory", {
    ...plain,
    instanceOfferingUuid: null,
    architecture: "x86_64",
    hypervisorType: "KVM",
    cpuSpeed: 0,
    // VmInstanceInventory.java: 0 is no value.
    reservedMemorySize: reservedMemorySize === 0 ? null : reservedMemorySize,
    allocatorStrategy: "LastHostPreferredAllocatorStrategy",
    createDate: new Date(createdMs),
    lastOpDate: new Date(changedMs),
  });
}

export function nicView(vm: ZStackVm, deviceId: number): Record<string, unknown> {
  const nic = vm.nics[deviceId];
  if (nic === undefined) throw new Error(`the VM ${vm.name} has no NIC ${deviceId}`);
  const { usedIpUuid, createdMs, ...plain } = nic;
  const dates = { createDate: new Date(createdMs), lastOpDate: new Date(createdMs) };
  const bytes = nic.ip.split(".").map(Number);
  const usedIp = ofClass("header.network.l3.UsedIpInventory", {
    uuid: usedIpUuid,
    ipRangeUuid: ZSTACK_SEED.ipRange,
    l3NetworkUuid: nic.l3NetworkUuid,
    ipVersion: 4,
    ip: nic.ip,
    netmask: NETMASK,
    gateway: GATEWAY,
    usedFor: null,
    ipInLong: bytes.reduce((sum, byte) => sum * 256 + byte, 0),
    // Java's bytes have a sign.
    ipInBinary: bytes.map((byte) => (byte > 127 ? byte - 256 : byte)),
    vmNicUuid: nic.uuid,
    ...dates,
  });
  return ofClass("header.vm.VmNicInventory", {
    ...plain,
    vmInstanceUuid: vm.uuid,
    hypervisorType: "KVM",
    netmask: NETMASK,
    gateway: GATEWAY,
    metaData: null,
    // Nothing sets this deprecated field; the address has its version (docs/wire/zstack.md#always).
    ipVersion: null,
    driverType: "virtio",
    usedIps: [usedIp],
    deviceId,
    type: "VNIC",
    state: "enable",
    ...dates,
  });
}

export function volumeView(row: ZStackVolume): Record<string, unknown> {
  const { systemTags: _, createdMs, changedMs, detachedMs, ...plain } = row;
  return ofClass("header.volume.VolumeInventory", {
    ...plain,
    diskOfferingUuid: null,
    installPath: installPath(row),
    actualSize: Math.round(row.size / 5),
    format: "qcow2",
    state: "Enabled",
    isShareable: false,
    volumeQos: null,
    protocol: null,
    createDate: new Date(createdMs),
    lastOpDate: new Date(changedMs),
    lastDetachDate: detachedMs === null ? null : new Date(detachedMs),
    lastAttachDate: null,
  });
}

/** As on a LocalStorage. */
function installPath({ type, uuid }: ZStackVolume): string {
  const folder = type === "Root" ? "rootVolumes" : "dataVolumes";
  return `/zstack_ps/${folder}/acct-${ZSTACK_SEED.account}/vol-${uuid}/${uuid}.qcow2`;
}

export function tagView({ createdMs = 0, ...row }: ZStackTag): Record<string, unknown> {
  return ofClass("header.tag.UserTagInventory", {
    ...row,
    type: "User",
    tagPatternUuid: null,
    tagPattern: null,
    createDate: new Date(createdMs),
    lastOpDate: new Date(createdMs),
  });
}

/**
 * An answer without Content-Type and null fields, HTML-escaped, with the times of the server's clock. With
 * `settings.floats`, numbers are doubles (docs/wire/zstack.md#s2-6, #s2-7).
 */
export function reply({ settings }: ZStackModel, status: number, body: unknown): Reply {
  const plain = JSON.stringify(asGson(body, settings.offsetMinutes));
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

/** Without null fields, and times as texts. */
export function asGson(value: unknown, offsetMinutes: number): unknown {
  if (value instanceof Date) return gsonDate(value, offsetMinutes);
  if (Array.isArray(value)) return value.map((one) => asGson(one, offsetMinutes));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== null && inner !== undefined)
      .map(([key, inner]) => [key, asGson(inner, offsetMinutes)]),
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
function gsonDate(time: Date, offsetMinutes: number): string {
  const date = wallClock(time, offsetMinutes);
  const month = date.toLocaleString("en-US", { month: "short", timeZone: "UTC" });
  const hours = date.getUTCHours();
  const two = (number: number) => String(number).padStart(2, "0");
  const clock = `${hours % 12 === 0 ? 12 : hours % 12}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`;
  return `${month} ${date.getUTCDate()}, ${date.getUTCFullYear()} ${clock} ${hours < 12 ? "AM" : "PM"}`;
}

/** A date whose UTC fields are those of the server's clock. */
export function wallClock(time: Date, offsetMinutes: number): Date {
  return new Date(time.getTime() + offsetMinutes * 60_000);
}
