// ToyCopy: a point-in-time copy of a Toy volume. `available` when `up` returns, renamed in place, gone when `destroy`
// returns.

import * as z from "zod";
import { AbsenceTimer, orUndefined } from "../../core/absence";
import type { Definition } from "../../core/definition";
import { isKind } from "../../core/errors";
import { connectionName } from "../../core/inputs";
import { poll } from "../../core/poll";
import type { CopyRow } from "../client";
import { type ToyContext, toy } from "../context";
import { copyName, source, type ToyCopyInputs } from "./inputs";
import { ownedObject, recordLabels, stackLabel } from "./ownership";
import { evaluateCreation, evaluateDeletion, observed } from "./state";

const INTERVAL = { first: 500, most: 10_000 };

export const toyCopy: Definition<ToyCopyInputs, ToyContext> = {
  displayName: "toy copy",
  connection: toy,
  inputs: {
    source: { onChange: "replace", schema: source() },
    name: { onChange: "update", schema: copyName().optional() },
    triggers: { onChange: "replace", schema: z.array(z.unknown(), "must be a list").optional() },
    connection: { onChange: "replace", schema: connectionName().optional() },
  },
  autoName: "name",
  timeouts: { create: "30m", update: "5m", delete: "30m" },
  // A copy that ends in `error` holds no data.
  onFailedCreate: "replace",

  describe: ({ name, id, source }) =>
    typeof name === "string" ? `toy copy "${name}"` : `toy copy ${id ?? `of ${source}`}`,

  async listOwned({ client }, { stack }) {
    const rows = await client.listCopies(stackLabel(stack));
    return rows.filter(({ status }) => status !== "deleting").map(ownedObject);
  },

  async listRecorded({ client }) {
    const rows = await client.listCopies();
    return rows
      .filter(({ status }) => status !== "deleting")
      .map(ownedObject)
      .filter(({ owner }) => owner !== "");
  },

  async recordOwnership({ client }, id, record) {
    await client.labelCopy(id, recordLabels(record));
  },

  async beginCreate({ client }, inputs, record) {
    const wanted = { source: inputs.source, name: inputs.name, labels: recordLabels(record) };
    const row = await client.createCopy(wanted);
    return { id: row.id, task: {}, initialState: row };
  },

  async waitForCreate({ client, creation }, { id, initialState }, _inputs, context) {
    const absence = new AbsenceTimer(context.clock);
    const row = await poll<CopyRow | undefined>({
      description: `toy copy ${id} to become available`,
      fetch: (signal) => orUndefined(client.showCopy(id, signal)),
      evaluate: (seen) => evaluateCreation(id, seen, absence),
      ...(initialState ? { initial: initialState as CopyRow } : {}),
      interval: INTERVAL,
      estimator: creation,
      context,
    });
    return observed(row as CopyRow);
  },

  async read({ client }, id, _known, signal) {
    const row = await orUndefined(client.showCopy(id, signal));
    return row && observed(row);
  },

  async update({ client }, id, from, { name }) {
    if (name === undefined || name === from.state.name) return from;
    return observed(await client.renameCopy(id, name));
  },

  async delete({ client, deletion }, id, _known, context) {
    try {
      await client.deleteCopy(id);
    } catch (error) {
      if (isKind(error, "notFound")) return "missing";
      throw error;
    }
    await poll<CopyRow | undefined>({
      description: `toy copy ${id} to be deleted`,
      fetch: (signal) => orUndefined(client.showCopy(id, signal)),
      evaluate: evaluateDeletion,
      interval: INTERVAL,
      estimator: deletion,
      context,
    });
    return "deleted";
  },

  diagnose: async (_context, _id, { status }) =>
    status === "available" ? undefined : `status ${String(status)}: the copy can't be used`,

  identity: async ({ client }, _known, signal) => `tenant ${await client.tenant(signal)}`,
  serverTime: ({ client }) => client.serverTime(),
};
