// What goes into Pulumi's state: the outputs of a resource, and the record of an operation that failed halfway.

import { attemptInId } from "./attempt";
import { isHidden } from "./check";
import { targetOf } from "./connection/connections";
import type {
  AnyDefinition,
  HiddenInputs,
  HiddenOutputs,
  Observed,
  OperationContext,
  Pending,
  Task,
} from "./definition";
import { canonical } from "./diff";
import { type ErrorKind, SnapcloneError } from "./errors";
import type { Properties } from "./operation";
import { toState } from "./util/toState";

/** The task of a create whose outcome is unknown. */
export const UNKNOWN_OUTCOME: Task = { outcome: "unknown" };

/** What the outputs are made with. */
export interface OutputSource {
  definition: AnyDefinition;
  client: unknown;
  context: Pick<OperationContext, "stack" | "signal">;
}

/** An error whose id and properties the engine records: Pulumi's init failure (docs/wire/pulumi-engine.md#init-failure). */
export class PartialFailure extends Error {
  readonly reasons: string[];
  readonly kind: ErrorKind;

  constructor(
    readonly id: string,
    readonly properties: Properties,
    cause: SnapcloneError,
  ) {
    super(cause.message);
    this.name = "PartialFailure";
    this.stack = cause.message;
    this.reasons = [cause.message];
    this.kind = cause.kind;
  }
}

/** For a failure after the backend has accepted work: the state gets what is there now, so that no object is lost. */
export async function recordFailure(
  target: OutputSource,
  id: string,
  news: Properties,
  olds: Properties,
  pending: Pending | undefined,
  failure: SnapcloneError,
): Promise<PartialFailure> {
  const { definition, client } = target;
  const known = { ...olds, ...news, __stack: target.context.stack };
  // Reads again, for ten seconds at most: the state must hold what was observed, not what was wanted (pulumi#21458).
  const observed =
    attemptInId(id) === undefined
      ? await definition.read(client, id, known, AbortSignal.timeout(10_000)).catch(() => undefined)
      : undefined;
  const error = new SnapcloneError({
    ...failure.parts,
    hint: [failure.parts.hint, hintOf(definition, pending)].filter(Boolean).join("\n"),
  });
  const base = observed ? news : { ...news, ...olds, ...hiddenOf(news) };
  // If the read fails, the ids that only the outputs have must stay.
  const before = Object.entries(olds).filter(
    ([key]) => !isHidden(key) && !(key in definition.inputs) && key !== "pending",
  );
  // What was not seen is where the state says, even if the login reaches another backend now.
  const { __backend, __target } = olds as HiddenOutputs;
  const place = observed ? {} : toState({ __backend, __target });
  const recorded = async (state: Observed["state"]) =>
    new PartialFailure(id, { ...(await outputs(target, base, { state }, pending)), ...place }, error);
  try {
    return await recorded(observed?.state ?? Object.fromEntries(before));
  } catch {
    // The cause may be a value that Pulumi cannot store. An entry with the inputs alone still has the id.
    return recorded({});
  }
}

function hintOf({ onFailedCreate }: AnyDefinition, pending: Pending | undefined): string {
  if (isUnknown(pending)) {
    return "Whether the request was carried out is not known. This is recorded: the next `pulumi up` adopts the object or makes it, and `pulumi destroy` removes it.";
  }
  if (!pending) return "The state holds what is there now. Remove the cause and run `pulumi up` again.";
  if (!pending.failed) return "This is recorded, and nothing is lost: the next `pulumi up` resumes the wait.";
  const isUpdated = pending.operation !== "create" || onFailedCreate === "update";
  return `This is recorded: the next \`pulumi up\` ${isUpdated ? "does what is left" : "replaces it"}, and \`pulumi destroy\` removes it.`;
}

/** The inputs as the program gave them, overlaid with all that was observed. */
export async function outputs(
  { definition, client, context }: OutputSource,
  inputs: Properties,
  observed: Observed,
  pending?: Pending,
): Promise<Properties> {
  const kept = Object.entries(inputs).filter(([key]) => isHidden(key) || key in definition.inputs);
  const known = { ...Object.fromEntries(kept), ...observed.state };
  // If the backend's identity cannot be had now, the recorded one stays.
  const backend = await definition.identity(client, known, context.signal).catch(() => undefined);
  const owned = (inputs as HiddenInputs).__owner === undefined ? {} : { __stack: context.stack || undefined };
  const target = targetOf(definition.connection, client);
  const place = {
    ...(backend === undefined ? {} : { __backend: backend }),
    ...(target === undefined ? {} : { __target: target }),
  };
  return toState({ ...known, ...owned, ...place, pending });
}

const HIDDEN_INPUTS: ReadonlySet<string> = new Set<keyof HiddenInputs>([
  "__owner",
  "__organization",
  "__timeouts",
  "__secrets",
  "__attempt",
  "__import",
  "__imported",
  "__provider",
]);

function hiddenOf(news: Properties): Properties {
  return Object.fromEntries(Object.entries(news).filter(([key]) => HIDDEN_INPUTS.has(key)));
}

/** For a refresh: the inputs as the backend has them, so that drift shows as a difference from the program. */
export function inputsOf(definition: AnyDefinition, props: Properties): Properties {
  return Object.fromEntries(
    Object.entries(props).filter(
      ([key, value]) => HIDDEN_INPUTS.has(key) || (key in definition.inputs && canonical(value) !== "null"),
    ),
  );
}

function isUnknown(pending: Pending | undefined): boolean {
  return pending?.task.outcome === UNKNOWN_OUTCOME.outcome;
}
