// The fault table: everything that can go wrong with a request, and what the user must see wherever it befalls one of its
// kind. Written from the user's side. A resource (subjects/) adds its requests, and the cells in which it differs.

import type { FaultRule } from "../../emulator";
import type { ErrorKind } from "../../provider/core/errors";
import {
  type Answer,
  type Expectation,
  fails,
  ok,
  pending,
  type RequestSite,
  type ResourceUnderTest,
  recorded,
} from "./resourceUnderTest";

export type How =
  /** Given by the emulator, as a real server would; for as long as the operation lasts unless `times` says less. */
  | { answer: Answer | ((subject: ResourceUnderTest, place: string) => Answer) }
  /** The request goes where nobody answers: a closed port, a host without a name, a server whose certificate nobody signed. */
  | { elsewhere: "closed port" | "unknown host" | "untrusted server" }
  /** The real answer with one field of another type: each field in turn, and the cell holds for each. */
  | { wrongType: true }
  | { strangeStatus: string }
  | { calendar: "jumps" };

export type Rule = (place: RequestSite) => Expectation;

interface Fault {
  how: How;
  rule: Rule;
  /** For one attempt, as short as it can be: the row waits it out. */
  patient?: true;
  /** A server's `Retry-After`, which some pause must have had. */
  pauseMs?: number;
}

/** The operation ends as if nothing had happened; a request that makes something has been sent `tries` times. */
const well =
  (tries = 1): Rule =>
  (place) =>
    ok(place.well(tries));

/** The request fails in the same way whatever it is, and for good, after `tries` times. */
export function everywhere(kind: ErrorKind, says: RegExp, tries = 1): Rule {
  return (place) => {
    const counts = place.failed(tries);
    if (place.role === "detour") return ok(place.well(1));
    if (place.role === "poll" || place.role === "record") return pending(kind, counts, says);
    if (place.role === "step") return pending(kind, counts, says, "update");
    return isChange(place) ? recorded(kind, counts, says) : fails(kind, counts, says);
  };
}

function isChange({ role }: RequestSite): boolean {
  return role === "change" || role === "rework";
}

/** The same, for what may pass by itself: a wait goes on until its deadline, and then says what it has seen. */
function passing(kind: ErrorKind, says: RegExp, tries: number): Rule {
  const usual = everywhere(kind, says, tries);
  return (place) => {
    if (place.role === "poll") return pending("deadline", place.failed(tries), says);
    return place.role === "vanish" ? fails("deadline", place.failed(tries), says) : usual(place);
  };
}

/** For some roles another rule. */
function except(usual: Rule, others: { readonly [role in RequestSite["role"]]?: Rule }): Rule {
  return (place) => (others[place.role] ?? (place.role === "rework" ? others.make : undefined) ?? usual)(place);
}

/** What makes something is sent once; nobody knows what became of it, and nothing was found that bears its attempt. */
const ambiguous =
  (says: RegExp): Rule =>
  (place) =>
    (isChange(place) ? recorded : place.of === "create" ? pending : fails)("ambiguous", place.failed(1), says);

/** An answer whose body is not looked at can have any. */
const unlessUnread =
  (usual: Rule): Rule =>
  (place) =>
    place.fields.length === 0 ? well()(place) : usual(place);

const refusedLogin: Rule = (place) => fails("unauthorized", place.failed(1), /answered 401.*\n.*credentials come from/);

const html = (status: number): Answer => ({
  status,
  headers: { "Content-Type": "text/html" },
  body: `<html><head><title>${status} by nginx</title></head><body>nothing to see</body></html>`,
});

const once = (answer: Omit<FaultRule, "match">): How => ({ answer: { ...answer, times: 1 } });

const FAULT_ROWS = {
  "401, once": {
    how: once({ status: 401 }),
    // A refused credential is not tried again: that locks accounts.
    rule: except(well(2), { login: refusedLogin }),
  },
  "401, for ever": {
    how: { answer: { status: 401 } },
    rule: except(everywhere("unauthorized", /answered 401/, 2), { login: refusedLogin }),
  },
  "a token that expires while it is in use": { how: once({ action: "expire-token" }), rule: well(2) },
  "403": { how: { answer: { status: 403 } }, rule: everywhere("forbidden", /answered 403/) },
  "404, in the service's own words": {
    how: { answer: (subject, place) => subject.missing(place) },
    rule: everywhere("notFound", /could not be found/),
  },
  "404 of somebody else (a proxy, a wrong address)": {
    how: { answer: html(404) },
    // No proof of absence: nothing is gone, nothing counts as deleted.
    rule: everywhere("refused", /answered 404: an HTML page \("404 by nginx"\)/),
  },
  "409": { how: { answer: { status: 409 } }, rule: everywhere("refused", /answered 409/) },
  "413 with `Retry-After: 0` (a full quota)": {
    how: { answer: (subject, place) => subject.quota(place) },
    rule: everywhere("refused", /exceed/),
  },
  "429 with `Retry-After: 7`, once": {
    how: once({ status: 429, headers: { "Retry-After": "7" } }),
    pauseMs: 7_000,
    rule: well(2),
  },
  "429 without `Retry-After`, five times": {
    how: { answer: { status: 429, times: 5 } },
    // Turned away before it was carried out: asked again for as long as the operation may take.
    rule: well(6),
  },
  "413 with `Retry-After: 7` (a rate limit), twice": {
    how: { answer: { status: 413, headers: { "Retry-After": "7" }, times: 2 } },
    pauseMs: 7_000,
    rule: well(3),
  },
  "500": {
    how: { answer: { status: 500 } },
    rule: except(passing("transient", /answered 500/, 3), { make: ambiguous(/answered 500/) }),
  },
  "502 with HTML": {
    how: { answer: { action: "html" } },
    rule: except(passing("transient", /answered 502: an HTML page/, 3), {
      make: ambiguous(/answered 502: an HTML page/),
    }),
  },
  "503, once": {
    how: once({ status: 503 }),
    // The service says it, or a proxy that has passed the request on: nobody knows.
    rule: except(well(2), { make: ambiguous(/answered 503/) }),
  },
  "503, for ever": {
    how: { answer: { status: 503 } },
    rule: except(passing("transient", /answered 503/, 3), { make: ambiguous(/answered 503/) }),
  },
  "connection refused": {
    how: { elsewhere: "closed port" },
    // Nothing was sent: it is certain that nothing was made.
    rule: passing("transient", /cannot be reached \(ECONNREFUSED\)/, 0),
  },
  "DNS that fails": {
    how: { elsewhere: "unknown host" },
    rule: passing("transient", /cannot be reached \((ENOTFOUND|EAI_AGAIN)\)/, 0),
  },
  "TLS that doesn't verify": {
    how: { elsewhere: "untrusted server" },
    rule: everywhere("config", /certificate of \S+ is not trusted.*\n.*`cacert`/, 0),
  },
  "a reset before the answer, once": {
    how: once({ action: "reset" }),
    rule: except(well(2), { make: ambiguous(/broke off the connection.*\n.*looks for its outcome/) }),
  },
  "a reset before the answer, for ever": {
    how: { answer: { action: "reset" } },
    rule: except(passing("transient", /broke off the connection/, 3), {
      make: ambiguous(/broke off the connection.*\n.*looks for its outcome/),
    }),
  },
  "carried out, and the reply is lost": {
    how: once({ action: "lose-reply" }),
    // A create finds by its mark what it has made; the second DELETE finds nothing to do.
    rule: except(well(2), { make: well(1) }),
  },
  "a hang": {
    how: { answer: { action: "hang" } },
    patient: true,
    rule: except(passing("transient", /did not answer in time/, 3), {
      make: ambiguous(/did not answer in time.*\n.*looks for its outcome/),
    }),
  },
  "a trickle (a byte each 200 ms)": {
    how: { answer: { action: "trickle" } },
    patient: true,
    // Carried out, and found by its mark. An answer without a body is nothing to wait for.
    rule: except(unlessUnread(passing("transient", /did not answer in time/, 3)), {
      make: well(),
      vanish: passing("transient", /did not answer in time/, 3),
    }),
  },
  "a body that never ends": {
    how: { answer: { action: "endless" } },
    rule: except(unlessUnread(passing("malformed", /larger than any/, 1)), {
      make: well(),
      vanish: passing("malformed", /larger than any/, 1),
    }),
  },
  "truncated JSON": {
    how: { answer: { action: "truncate" } },
    rule: except(unlessUnread(passing("malformed", /instead of JSON/, 1)), {
      make: well(),
      vanish: passing("malformed", /instead of JSON/, 1),
    }),
  },
  "JSON of the wrong type, at each field in turn": {
    how: { wrongType: true },
    rule: except(unlessUnread(passing("malformed", /not what its API promises at/, 1)), { make: well() }),
  },
  "10 MB of garbage": {
    how: { answer: { action: "garbage", bytes: 10_000_000 } },
    rule: except(unlessUnread(passing("malformed", /larger than any/, 1)), {
      make: ambiguous(/larger than any/),
      vanish: passing("malformed", /larger than any/, 1),
    }),
  },
  "a redirect to another origin": {
    how: { answer: { action: "redirect" } },
    // Some redirects are the answer to a request that was carried out (303).
    rule: except(passing("malformed", /answered 302: a redirect to http:\/\/127\.0\.0\.1:\d+/, 1), {
      make: ambiguous(/answered 302: a redirect to http/),
    }),
  },
  "a calendar that jumps ten years to and fro": { how: { calendar: "jumps" }, rule: well() },
  "418, a status nobody has heard of": {
    how: { answer: { status: 418 } },
    rule: everywhere("refused", /answered 418/),
  },
  "599, a status nobody has heard of": {
    how: { answer: { status: 599 } },
    rule: except(passing("transient", /answered 599/, 3), { make: ambiguous(/answered 599/) }),
  },
  "an object in a status nobody has heard of": {
    how: { strangeStatus: "quantum-folding" },
    // Gone is gone.
    rule: except(well(), { poll: (place) => pending("deadline", place.failed(1), /seen: .*quantum-folding/) }),
  },
} as const satisfies Record<string, Fault>;

export type FaultName = keyof typeof FAULT_ROWS;
export const FAULTS: Readonly<Record<FaultName, Fault>> = FAULT_ROWS;

export function cellOf(subject: ResourceUnderTest, fault: FaultName, place: string): Expectation {
  const at = subject.places[place];
  if (!at) throw new Error(`${subject.title} has no place ${place}`);
  return subject.cells[fault]?.[place] ?? FAULTS[fault].rule(at);
}
