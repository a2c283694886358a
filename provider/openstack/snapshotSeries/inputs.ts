// What a SnapshotSeries takes.

import * as z from "zod";
import type { Definition } from "../../core/definition";
import { connectionName } from "../../core/inputs";
import { parseDuration } from "../../core/util/duration";
import { metadata, printable, text, uuid } from "../inputs";
import { reverting } from "../revert/reverting";

export interface SnapshotSeriesInputs {
  volumeId: string;
  keep: number;
  keepWithin?: string;
  triggers?: unknown[];
  revertTriggers?: unknown[];
  name?: string;
  description?: string;
  metadata?: Record<string, string>;
  force?: boolean;
  connection?: string;
}

export const inputRules: Definition<SnapshotSeriesInputs, never>["inputs"] = {
  volumeId: { onChange: "replace", schema: uuid("a volume") },
  keep: { onChange: "update", schema: count() },
  keepWithin: { onChange: "update", schema: age().optional() },
  triggers: { onChange: "update", schema: z.array(z.unknown(), "must be a list").optional() },
  ...reverting.inputs,
  // These describe an instant as it was when it was taken, so a change holds for the next one.
  name: { onChange: "update", schema: text().optional() },
  description: { onChange: "update", schema: printable().optional() },
  metadata: { onChange: "update", schema: metadata().optional() },
  force: { onChange: "ignore", schema: z.boolean("must be true or false").optional(), default: false },
  connection: { onChange: "replace", schema: connectionName().optional() },
};

/** Milliseconds. Pulumi's durations, which end at hours, and days (`d`) and weeks (`w`). */
export function ageMs(written: string): number | undefined {
  const inHours = written.replace(/(\d+(?:\.\d+)?)([dw])/g, (_, amount, unit) => {
    return `${Number(amount) * (unit === "w" ? 168 : 24)}h`;
  });
  return parseDuration(inHours);
}

function count() {
  const message = "must be a whole number from 1 on: how many of the newest snapshots always stay";
  return z.number(message).int(message).min(1, message);
}

function age() {
  const message = 'must be a duration, such as "30d", "2w" or "36h"';
  return z.string(message).refine((written) => ageMs(written) !== undefined, message);
}
