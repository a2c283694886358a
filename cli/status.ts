// The status that an object with a record has for a stack. Only this file decides "in no state", for `snapclone orphans` and
// for `snapclone graph`.

import { attemptInId, isSameAttempt } from "../provider/core/attempt";
import type { AnyDefinition } from "../provider/core/definition";
import { shortOwner, stackDigest } from "../provider/core/ownership";
import { stackOfUrn } from "../provider/core/urn";
import { resources } from "../provider/resources";
import type { CliState } from "./state";

export type Status =
  /** The state holds it. */
  | "recorded"
  /** The state holds it until it is deleted: a replacement has taken its place. */
  | "to be deleted"
  /** The state shows that its create was interrupted: the next `pulumi up` adopts it. */
  | "pending"
  /** This stack made it, and its state does not hold it. */
  | "in no state"
  /** Made after the state was saved: an export of now may hold it. */
  | "newer than the state"
  | "another stack's"
  /** Another tool has copied the metadata of an object that the state holds. */
  | "copied record"
  /** The record does not tell the stack (early builds, untagged targets of ViPR). */
  | "unknown stack"
  /** Its stack is known, and no state was given to compare with. */
  | "not compared"
  /** The state holds it, and the backend does not have it. */
  | "gone";

/** Which digest this stack's records have. */
export interface StackIdentity {
  digest: string | undefined;
  /** Why objects of this stack can't be told for sure; undefined if they can. */
  doubt: string | undefined;
}

export interface StackName {
  organization: string;
  project: string;
  stack: string;
}

/**
 * The digest is computed as the provider computes it, from this environment. An entry's own digest is no proof: it may have
 * come from another stack (`pulumi state move`). If no entry has the computed one, this is not the runs' environment.
 */
export function identifyStack(
  origin: string,
  state: CliState | undefined,
  /** For a state that is empty. */
  given?: StackName,
): StackIdentity {
  if (state === undefined) return { digest: undefined, doubt: undefined };
  const named = state.urn === undefined ? undefined : stackOfUrn(state.urn);
  const place = given ?? named;
  if (place === undefined) {
    return { digest: undefined, doubt: "the state is empty, so it does not name its stack: give --stack" };
  }
  const entries = [...state.resources, ...state.pending];
  const [organization] = entries.flatMap(({ inputs }) =>
    typeof inputs.__organization === "string" ? [inputs.__organization] : [],
  );
  const digest = stackDigest(origin, given?.organization ?? organization, place);
  const recorded = new Set(entries.flatMap(({ outputs }) => (isDigest(outputs.__stack) ? [outputs.__stack] : [])));
  if (recorded.size === 0 || recorded.has(digest)) return { digest, doubt: undefined };
  const [only] = recorded;
  return {
    digest: recorded.size === 1 ? only : undefined,
    doubt: `the records of this stack have the digest ${[...recorded].join(", ")}, and this environment makes ${digest}: run the command in the project's folder, with the PULUMI_BACKEND_URL or login of the runs, and with --stack-config if it sets snapclone:origin`,
  };
}

/** An import that has not written its record yet has a word there (provider/core/import.ts). */
function isDigest(stack: unknown): stack is string {
  return typeof stack === "string" && /^[0-9a-f]{8,}$/.test(stack);
}

/** What the record on an object says, and when the object was made. */
export interface Recorded {
  owner: string;
  stack?: string | undefined;
  attempt?: string | undefined;
  /** ISO 8601. */
  createdAt?: string | undefined;
}

/**
 * By how many milliseconds the backend's clock is ahead of this machine's, which dates the state. Read after a list, as the
 * latest answer tells the backend's time.
 */
export function clockLead(definition: Pick<AnyDefinition, "serverTime">, client: unknown): number {
  const local = Date.now();
  return (definition.serverTime?.(client)?.getTime() ?? local) - local;
}

/**
 * The status of an object that has a record. `holder` is the entry of the state that holds the object. `isCopied` is true if the
 * state holds another object with the same record. `leadMs` is the `clockLead` of the object's backend.
 */
export function statusOf(
  record: Recorded,
  holder: { leaving: boolean } | undefined,
  state: CliState | undefined,
  { digest }: StackIdentity,
  leadMs: number,
  isCopied = false,
): Status {
  const { stack } = record;
  if (state === undefined) return stack === undefined ? "unknown stack" : "not compared";
  if (holder) return holder.leaving ? "to be deleted" : "recorded";
  if (isCopied) return "copied record";
  // The outcome of its create was unknown, and an entry has a provisional id.
  if (state.ownership.entries.some(({ id }) => isSameAttempt(attemptInId(id), record.attempt))) return "recorded";
  if (stack === undefined || digest === undefined) return "unknown stack";
  if (stack !== digest) return "another stack's";
  if (isPending(record, state, digest)) return "pending";
  const made = Date.parse(record.createdAt ?? "") - leadMs;
  return state.savedAt !== undefined && made > state.savedAt.getTime() ? "newer than the state" : "in no state";
}

/** The first create of a process has no attempt in the state (docs/wire/pulumi-engine.md#request-fields). */
function isPending({ owner, attempt: recorded }: Recorded, { pending }: CliState, digest: string): boolean {
  return pending.some(({ operation, resource, urn, inputs: { __attempt: attempt } }) => {
    if (operation !== "creating") return false;
    if (typeof attempt === "string") return isSameAttempt(attempt, recorded);
    return owner === urn || owner === shortOwner(resources[resource](), digest, urn);
  });
}
