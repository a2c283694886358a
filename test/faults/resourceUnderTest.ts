// What a resource brings to the fault table: where a fault can hit it, how its operations count, and where what a user
// must see differs from what every resource has in common (faults.ts).

import type { Emulator, FaultRule } from "../../emulator";
import type { AnyDefinition } from "../../provider/core/definition";
import type { ErrorKind } from "../../provider/core/errors";
import type { HttpClient } from "../../provider/core/http/client";
import type { Properties } from "../../provider/core/lifecycle";
import type { Clock } from "../../provider/core/util/clock";
import type { FaultName } from "./faults";

export type Operation = "create" | "adopt" | "read" | "update" | "delete" | "look up";

/** One kind of request on the wire. */
export interface Call {
  method: "GET" | "POST" | "PUT" | "DELETE";
  /** Tried on path and query. */
  path: RegExp;
}

/** On the backend when the operation has ended, and the requests on their way there that make something. */
export interface Counts {
  objects: number;
  makings: number;
}

/**
 * login: before anything. question: a look before anything was changed. detour: a look that another address can stand in
 * for. make: the request that makes the resource. poll: each look at accepted work. change: a request after which the
 * state needs to be told what is there. record: the ownership record on what is being adopted. step: of an update that is noted as pending until all its steps are done. rework: the same, for a request that must not be sent twice. remove: the request that deletes. vanish: each look until it is gone.
 */
export type SiteRole =
  | "record"
  | "step"
  | "login"
  | "question"
  | "detour"
  | "make"
  | "poll"
  | "change"
  | "rework"
  | "remove"
  | "vanish";

export interface RequestSite {
  of: Operation;
  role: SiteRole;
  call: Call;
  /** In docs/faults.md. */
  shown: string;
  /** How the operation counts where all goes well, and where this request fails for good; `tries`: how often it was sent. */
  well(tries: number): Counts;
  failed(tries: number): Counts;
  /** Sent again after it may have been carried out: it does the same twice as once. Every GET is. */
  repeatable?: boolean;
  /** The fields that the provider reads of the answer; with any other it would work on what it does not understand. */
  fields: readonly string[];
}

export interface Expectation extends Counts {
  /**
   * "ok": it did what it should. "gone": a refresh takes the resource out of the state. "fails": the state stays as it
   * was. "recorded": something exists that the state must know, and does.
   */
  outcome: "ok" | "gone" | "fails" | "recorded";
  kind?: ErrorKind;
  /** What the message must name. */
  says?: RegExp;
  /** The state remembers accepted work that the next `up` goes on with. */
  pending?: "create" | "update" | "delete";
}

export type Answer = Omit<FaultRule, "match">;

export interface ResourceUnderTest {
  /** The resource's class. */
  title: string;
  /** "snapshots": what there is of it on the backend. */
  objects: string;
  /** "POSTs that reached Cinder": what is counted as making. */
  makings: string;
  definition: AnyDefinition;
  /** The hidden inputs, and the inputs before and after an update. */
  hidden: Properties;
  before: Properties;
  after: Properties;
  places: Readonly<Record<string, RequestSite>>;
  /** Where this resource differs from the rule of faults.ts. */
  cells: { readonly [fault in FaultName]?: Readonly<Record<string, Expectation>> };

  /** Before each cell, on an emulator as it was at the start. */
  ready(emulator: Emulator): void;
  /** A client as the connection opens it. */
  open(emulator: Emulator, clock: Clock, http: HttpClient): unknown;
  /** No error, no state and no log may hold any of these. */
  secrets(emulator: Emulator): string[];
  count(emulator: Emulator): Counts;
  /** Brings the emulator's unfinished work to its end. */
  settle(emulator: Emulator): void;
  /** The statuses of all there is when a run has gone well; `fine` is what each must be, `wanted` how many there must be. */
  statuses(emulator: Emulator): string[];
  fine: string;
  wanted: number;
  /** "There is no such thing" and "your quota is full" in the service's own form. */
  missing(place: string): Answer;
  quota(place: string): Answer;
  /** The field in which an answer tells the status. */
  statusField: string;
  /** What the service calls the states of its things: with one of these, an answer in good form is a lie. */
  words: readonly string[];
  /** A 4xx to what makes something is believed: it leaves nothing by which a later run would see that it was a lie. */
  believesRefusals?: true;
  /** What a person does, before the next run, whom an error has asked to look and to say what is there. */
  looked?(emulator: Emulator): void;
  lookUp?(): Promise<{ id: string }>;
}

export const ok = (counts: Counts): Expectation => ({ outcome: "ok", ...counts });
export const gone = (counts: Counts): Expectation => ({ outcome: "gone", ...counts });
export const fails = (kind: ErrorKind, counts: Counts, says: RegExp): Expectation => {
  return { outcome: "fails", kind, says, ...counts };
};
/** What is there was observed, and the next `up` does the rest. */
export const recorded = (kind: ErrorKind, counts: Counts, says: RegExp): Expectation => {
  return { outcome: "recorded", kind, says, ...counts };
};
/** AcceptedOperation, and waited for by the next `up`. */
export const pending = (
  kind: ErrorKind,
  counts: Counts,
  says: RegExp,
  operation: Expectation["pending"] = "create",
): Expectation => {
  return { outcome: "recorded", kind, says, ...counts, ...(operation ? { pending: operation } : {}) };
};
