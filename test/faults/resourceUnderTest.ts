// What a resource brings to the fault table: the requests that a fault can hit, the counts that its operations end in, and
// the expectations in which it differs from the rules of faults.ts.

import type { Emulator, FaultRule } from "../../emulator";
import type { AnyDefinition } from "../../provider/core/definition";
import type { ErrorKind } from "../../provider/core/errors";
import type { HttpClient } from "../../provider/core/http/client";
import type { Properties } from "../../provider/core/operation";
import type { Clock } from "../../provider/core/util/clock";
import type { FaultName } from "./faults";

export type Operation = "create" | "adopt" | "import" | "read" | "update" | "delete" | "look up";

/** One kind of request. */
export interface Call {
  method: "GET" | "POST" | "PUT" | "DELETE";
  /** Matched with path and query. */
  path: RegExp;
}

/** Objects on the backend after the operation, and creating requests that reached the service during the operation. */
export interface Counts {
  objects: number;
  creates: number;
}

/** What a request is for. The rules of faults.ts differ by role. */
export type SiteRole =
  /** Gets a token, before any other request. */
  | "login"
  /** Reads, before the operation has changed anything. */
  | "query"
  /** Reads what the provider can also get at another address. */
  | "fallback"
  /** Creates the resource. */
  | "create"
  /** Reads accepted work, again and again. */
  | "poll"
  /** Writes the ownership record on an object that is being adopted. */
  | "record"
  /** Changes an object. If it fails, the state must record what exists. */
  | "change"
  /** Like "change", for a request that must not be sent twice. */
  | "changeOnce"
  /** One of several changes of an update, which is pending until the last of them has succeeded. */
  | "step"
  /** Deletes the object. */
  | "delete"
  /** Reads until the object is gone. */
  | "awaitGone";

/** A kind of request in one operation of a resource: a column of the fault table. */
export interface RequestSite {
  of: Operation;
  role: SiteRole;
  call: Call;
  /** The heading in docs/faults.md. */
  label: string;
  /** The counts after an operation that succeeds, if this request was sent `tries` times. */
  onSuccess(tries: number): Counts;
  /** The counts after an operation that fails at this request, sent `tries` times. */
  onFailure(tries: number): Counts;
  /** True if the request may be sent again after the service may have executed it. Every GET is idempotent. */
  idempotent?: boolean;
  /** The fields of the response that the provider reads. It must refuse a response with any of them malformed. */
  fields: readonly string[];
}

export interface Expectation extends Counts {
  /**
   * "ok": the operation succeeded. "gone": a refresh removes the resource from the state. "fails": the state stays as it
   * was. "recorded": the operation failed, and the state records what exists.
   */
  outcome: "ok" | "gone" | "fails" | "recorded";
  kind?: ErrorKind;
  /** What the error's message must match. */
  message?: RegExp;
  /** The operation that the state records as accepted: the next `up` resumes it. */
  pending?: "create" | "update" | "delete";
}

export type Answer = Omit<FaultRule, "match">;

export interface ResourceUnderTest {
  /** The resource's class. */
  title: string;
  /** What `Counts.objects` counts, as docs/faults.md calls it: "snapshots". */
  objects: string;
  /** What `Counts.creates` counts: "POSTs that reached Cinder". */
  creates: string;
  definition: AnyDefinition;
  /** The shell through which Pulumi calls the provider. Default: the core's functions, as the dynamic classes' code calls them. */
  shell?: "native";
  /** The hidden inputs, and the inputs before and after an update. */
  hidden: Properties;
  before: Properties;
  after: Properties;
  /** What an import takes over. Required with sites of the operation "import". */
  imported?: {
    /** Makes it on the emulator, as a person does, and returns the id of the option `import`. */
    make(emulator: Emulator): string;
    inputs: Properties;
  };
  sites: Readonly<Record<string, RequestSite>>;
  /** Expectations that differ from the fault's rule, by fault and site. */
  expectations: { readonly [fault in FaultName]?: Readonly<Record<string, Expectation>> };

  /** Adds to a fresh emulator what the operations need. */
  prepare(emulator: Emulator): void;
  /** Opens a client as the connection does. */
  open(emulator: Emulator, clock: Clock, http: HttpClient): unknown;
  /** Texts that no error, no state and no log may contain. */
  secrets(emulator: Emulator): string[];
  count(emulator: Emulator): Counts;
  /** Finishes the emulator's running work. */
  advance(emulator: Emulator): void;
  /** The statuses of all objects. */
  statuses(emulator: Emulator): string[];
  /** The status that each object has after a successful run, and the number of objects. */
  healthyStatus: string;
  expectedCount: number;
  /** The most objects at any moment, where an update makes one before it deletes another. Default: expectedCount. */
  mostAtOnce?: number;
  /** The service's own responses for "not found" and "quota exceeded". */
  notFound(site: string): Answer;
  quotaExceeded(site: string): Answer;
  /** The field in which a response has the status. */
  statusField: string;
  /** Statuses that the service knows. A well-formed response with one of them may still be wrong. */
  statusWords: readonly string[];
  /** True if the provider trusts a 4xx to a create: it then leaves no record that would let a later run find the object. */
  trustsRefusals?: true;
  /** Does, before the next run, what the error asks a person to do. */
  followAdvice?(emulator: Emulator): void;
  /** The arguments of `getSnapshot`. */
  lookUp?: Properties;
  /** Other operations of the same resource, with requests of their own: chapters of the table, too. */
  variants?: readonly ResourceUnderTest[];
  /** Inputs of one of many that are created at once (test/soak/waves.test.ts): what differs from `before`. */
  another(at: number): Properties;
  /** Adds to the emulator what only this one needs. */
  prepareAnother?(emulator: Emulator, at: number): void;
  /** The objects on the backend, where `count` only tells whether there is one. */
  countMany?(emulator: Emulator): number;
}

export const at = (objects: number, creates: number): Counts => ({ objects, creates });

export const ok = (counts: Counts): Expectation => ({ outcome: "ok", ...counts });
export const gone = (counts: Counts): Expectation => ({ outcome: "gone", ...counts });
export const fails = (kind: ErrorKind, counts: Counts, message: RegExp): Expectation => {
  return { outcome: "fails", kind, message, ...counts };
};
/** The state records what exists, and the next `up` does the rest. */
export const recorded = (kind: ErrorKind, counts: Counts, message: RegExp): Expectation => {
  return { outcome: "recorded", kind, message, ...counts };
};
/** The state records accepted work, and the next `up` waits for it. */
export const pending = (
  kind: ErrorKind,
  counts: Counts,
  message: RegExp,
  operation: Expectation["pending"] = "create",
): Expectation => {
  return { outcome: "recorded", kind, message, ...counts, ...(operation ? { pending: operation } : {}) };
};
