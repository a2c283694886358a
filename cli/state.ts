// The state of a stack for the commands: reads `pulumi stack export`, and gives the resources of this package and the
// operations that were begun and not recorded as ended.

import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { messageOf, registerSecret } from "../provider/core/errors";
import type { StackState } from "../provider/core/ownership";
import { nameOfUrn } from "../provider/core/urn";
import { SIGNATURE_KEY } from "../provider/core/util/assets";
import { isRecord } from "../provider/core/util/values";
import { ownDeployment, parseState } from "../provider/pulumi/state";
import { ownerUrn } from "../provider/pulumi/urns";
import { type ResourceName, resourceOfType } from "../provider/resources";
import { UsageError } from "./command";
import type { Io } from "./io";

export interface StateResource {
  /** As ownership records name it, whichever shell made the entry. */
  urn: string;
  /** The name in the program. */
  name: string;
  /** `snapshot`. Resources of a type that this build does not know are left out. */
  resource: ResourceName;
  /** Absent on an operation that has not ended. */
  id: string | undefined;
  inputs: Readonly<Record<string, unknown>>;
  outputs: Readonly<Record<string, unknown>>;
  /** A replacement has taken its place, and it waits to be deleted. */
  leaving: boolean;
  /** Only read (`get`): Pulumi never deletes it. */
  external: boolean;
}

export interface PendingOperation extends StateResource {
  /** `creating`, `updating`, `deleting`. */
  operation: string;
}

export interface CliState {
  /** Any resource's URN, which names project and stack. Absent in an empty state. */
  urn: string | undefined;
  /** When Pulumi saved the state. */
  savedAt: Date | undefined;
  /** For the core's questions of ownership. */
  ownership: StackState;
  resources: readonly StateResource[];
  pending: readonly PendingOperation[];
}

/** For a command's options: `--state FILE`. */
export const STATE_OPTION = {
  type: "string",
  value: "FILE",
  help: "the output of `pulumi stack export`; - reads stdin",
} as const;

/** In place of a value that is a secret. */
const SECRET = "[secret]";

/** `source` is a file or `-`. Throws a UsageError for what is no exported state. */
export async function readState(io: Pick<Io, "stdin" | "cwd">, source: string): Promise<CliState> {
  const text = await readSource(io, source);
  try {
    return parseCliState(text);
  } catch (error) {
    const from = source === "-" ? "stdin" : source;
    throw new UsageError(
      `${from} is not an exported state: ${messageOf(error)}. Write it with: pulumi stack export --file state.json`,
    );
  }
}

function parseCliState(text: string): CliState {
  const { resources, pending, urn, savedAt } = ownDeployment(text);
  const saved = new Date(savedAt ?? Number.NaN);
  return {
    urn,
    savedAt: Number.isNaN(saved.getTime()) ? undefined : saved,
    ownership: parseState(text),
    resources: resources.flatMap((entry) => stateResource(entry) ?? []),
    pending: pending.flatMap(({ type, resource }): PendingOperation[] => {
      const known = isRecord(resource) ? stateResource(resource) : undefined;
      return known ? [{ ...known, operation: String(type) }] : [];
    }),
  };
}

/** The text of a file, or of stdin for `-`. */
export async function readSource({ stdin, cwd }: Pick<Io, "stdin" | "cwd">, source: string): Promise<string> {
  if (source !== "-") {
    try {
      return await readFile(resolve(cwd, source), "utf8");
    } catch (error) {
      throw new UsageError(messageOf(error));
    }
  }
  const parts: Buffer[] = [];
  for await (const part of stdin) parts.push(Buffer.from(part));
  return Buffer.concat(parts).toString("utf8");
}

function stateResource(entry: Record<string, unknown>): StateResource | undefined {
  const resource = resourceOfType(String(entry.type));
  if (resource === undefined) return undefined;
  const urn = ownerUrn(String(entry.urn));
  return {
    urn,
    name: nameOfUrn(urn),
    resource,
    id: typeof entry.id === "string" && entry.id !== "" ? entry.id : undefined,
    inputs: properties(entry.inputs),
    outputs: properties(entry.outputs),
    leaving: entry.delete === true,
    external: entry.external === true,
  };
}

function properties(value: unknown): Record<string, unknown> {
  const plain = withoutSecrets(value);
  return isRecord(plain) ? plain : {};
}

/** An export has secrets encrypted; with `--show-secrets` in plain text, which must not reach any output. */
function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (!isRecord(value)) return value;
  if (typeof value[SIGNATURE_KEY] === "string") {
    if (typeof value.plaintext === "string") registerPlainText(value.plaintext);
    return SECRET;
  }
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withoutSecrets(inner)]));
}

/** The plain text of a secret is JSON. */
function registerPlainText(json: string): void {
  const register = (value: unknown): void => {
    if (typeof value === "string") registerSecret(value);
    else if (typeof value === "object" && value !== null) Object.values(value).forEach(register);
  };
  try {
    register(JSON.parse(json));
  } catch {
    registerSecret(json);
  }
}
