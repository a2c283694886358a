// What a Snapshot takes.

import * as z from "zod";
import type { Definition } from "../../core/definition";
import { connectionName } from "../../core/inputs";
import { metadata, printable, text, uuid } from "../inputs";
import { reverting } from "../revert/reverting";

export interface SnapshotInputs {
  volumeId: string;
  name?: string;
  description?: string;
  metadata?: Record<string, string>;
  force?: boolean;
  triggers?: unknown[];
  revertTriggers?: unknown[];
  connection?: string;
}

export const inputRules: Definition<SnapshotInputs, never>["inputs"] = {
  volumeId: { onChange: "replace", schema: uuid("a volume") },
  name: { onChange: "update", schema: text().optional() },
  description: { onChange: "update", schema: printable().optional() },
  metadata: { onChange: "update", schema: metadata().optional() },
  force: { onChange: "ignore", schema: z.boolean("must be true or false").optional(), default: false },
  triggers: { onChange: "replace", schema: z.array(z.unknown(), "must be a list").optional() },
  ...reverting.inputs,
  connection: { onChange: "replace", schema: connectionName().optional() },
};
