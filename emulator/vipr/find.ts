// How ViPR finds the object that an address names, and whether the user may see or change it (docs/wire/vipr.md#s5).

import type { Context } from "./context";
import { insufficientPermissions, missing, ViprError } from "./errors";

const URN = /^urn:storageos:([A-Z]+):[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}:(?:[A-Z0-9]+)?$/i;

export function isUrn(text: string): boolean {
  return URN.test(text) && text.startsWith("urn:storageos");
}

export function invalidUri(text: string): ViprError {
  return new ViprError(400, 1002, `Parameter ${text} is not a valid URI`);
}

/** @param type Given where ViPR compares the URN's type, with other words and another code (docs/wire/vipr.md#s5-a). */
export function find<Row>({ params, user }: Context, rows: ReadonlyMap<string, Row>, type?: string): Row {
  const id = params.id ?? "";
  const row = rows.get(id);
  // The filter of permissions looks the object up for a user without a role in the zone.
  if (user.role === "none") throw row === undefined ? missing(id) : insufficientPermissions(user.name);
  if (!isUrn(id)) {
    throw type === undefined ? invalidUri(id) : new ViprError(400, 1008, `Parameter id is not a valid URI: ${id}`);
  }
  if (type !== undefined && URN.exec(id)?.[1] !== type) {
    throw new ViprError(400, 1008, `Parameter id is not a ${type} URI: ${id}`);
  }
  if (row === undefined) throw missing(id);
  return row;
}

export function findForWrite<Row extends { inactive: boolean }>(
  context: Context,
  rows: ReadonlyMap<string, Row>,
  which: "active only" | "inactive too" = "active only",
): Row {
  const row = find(context, rows);
  if (row.inactive && which === "active only") {
    const message = `Entity specified in URL with the given id ${context.params.id} is inactive and marked for deletion`;
    throw new ViprError(404, 2001, message);
  }
  if (context.user.role !== "admin") throw insufficientPermissions(context.user.name);
  return row;
}
