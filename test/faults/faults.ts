// The fault table: for each fault, what the user must see, whichever request it hits. Start here to add a fault.
//
// The table has a row for each fault (FAULT_ROWS below), and a column for each kind of request of each resource: a
// RequestSite, listed in resources/<resource>.ts. Every cell is a test of table.ts, run over real sockets against the
// emulator:
//
//   1. The emulator is reset, and a run without faults makes what the operation needs.
//   2. The fault is injected at the cell's request, and the operation runs.
//   3. Outcome, kind of error, message, objects on the backend and creating requests must be what the cell expects. No
//      secret may leave, and nothing undefined may enter the state.
//   4. The fault is removed and the same command runs again. It must end with what the program asks for.
//
// A row's `rule` computes the expectation from the site's role, from the counts that the site declares, and from how often
// the provider may send the request. So one rule serves all five resources. For example `everywhere("forbidden", …)` says:
// the operation fails, and if something exists already, the state records it. A resource that differs lists the exception in
// its `expectations`; report.test.ts fails on an exception that equals the rule.
//
// The cells call the core as the dynamic classes' code does. For one site of each operation, table.ts runs all faults through
// the service of the native provider as well, with the same expectations (shells.ts).
//
// To add a fault, add a row, run `npx jest --selectProjects faults -t "<the row>" -- faults/table`, and look at each cell
// that fails: either the rule or the provider is wrong. Then `UPDATE=1 npx jest --selectProjects faults -- report` writes
// docs/faults.md, which users read. A new resource is a new file in resources/ and one in table/.

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

export type Injection =
  /** The emulator gives this answer, for as long as the operation lasts unless `times` says less. */
  | { answer: Answer | ((resource: ResourceUnderTest, site: string) => Answer) }
  /** The request goes elsewhere: to a closed port, an unknown host, or a server with a self-signed certificate. */
  | { elsewhere: "closed port" | "unknown host" | "untrusted server" }
  /** A proxy of the environment answers this, and forwards nothing. */
  | { proxy: { status: number; headers?: Readonly<Record<string, string>> } }
  /** The real answer with one field of another type. The expectation holds for each field of the site. */
  | { wrongType: true }
  | { strangeStatus: string }
  | { calendar: "jumps" };

export type Rule = (site: RequestSite) => Expectation;

interface Fault {
  injection: Injection;
  rule: Rule;
  /** The time limit of one attempt is short, because the row waits until it is over. */
  patient?: true;
  /** A server's `Retry-After`: the provider must have paused for about that long. */
  pauseMs?: number;
}

/** The operation succeeds. The request was sent `tries` times. */
const succeeds =
  (tries = 1): Rule =>
  (site) =>
    ok(site.onSuccess(tries));

/** The request fails for good after `tries` times, whatever its role is. */
export function everywhere(kind: ErrorKind, message: RegExp, tries = 1): Rule {
  return (site) => {
    const counts = site.onFailure(tries);
    if (site.role === "fallback") return ok(site.onSuccess(1));
    if (site.role === "poll" || site.role === "record") return pending(kind, counts, message);
    if (site.role === "step") return pending(kind, counts, message, site.of === "adopt" ? "create" : "update");
    return isChange(site) ? recorded(kind, counts, message) : fails(kind, counts, message);
  };
}

function isChange({ role }: RequestSite): boolean {
  return role === "change" || role === "changeOnce";
}

/** For a fault that may pass: a wait goes on until its deadline. Then its error contains what the wait has seen. */
function retried(kind: ErrorKind, message: RegExp, tries: number): Rule {
  const usual = everywhere(kind, message, tries);
  return (site) => {
    if (site.role === "poll") return pending("deadline", site.onFailure(tries), message);
    return site.role === "awaitGone" ? fails("deadline", site.onFailure(tries), message) : usual(site);
  };
}

/** Another rule for some roles. */
function except(usual: Rule, others: { readonly [role in RequestSite["role"]]?: Rule }): Rule {
  return (site) => (others[site.role] ?? (site.role === "changeOnce" ? others.create : undefined) ?? usual)(site);
}

/** A create is sent once. Its outcome is unknown, and the provider found no object with its attempt. */
const outcomeUnknown =
  (message: RegExp): Rule =>
  (site) =>
    (isChange(site) ? recorded : site.of === "create" ? pending : fails)("ambiguous", site.onFailure(1), message);

/** The provider ignores the body of an answer of which it reads no field. */
const unlessUnread =
  (usual: Rule): Rule =>
  (site) =>
    site.fields.length === 0 ? succeeds()(site) : usual(site);

const refusedLogin: Rule = (site) =>
  fails("unauthorized", site.onFailure(1), /answered 401.*\n.*credentials come from/);

const html = (status: number): Answer => ({
  status,
  headers: { "Content-Type": "text/html" },
  body: `<html><head><title>${status} by nginx</title></head><body>nothing to see</body></html>`,
});

const once = (answer: Omit<FaultRule, "match">): Injection => ({ answer: { ...answer, times: 1 } });

const FAULT_ROWS = {
  "401, once": {
    injection: once({ status: 401 }),
    // The provider does not repeat a refused login: that would lock the account.
    rule: except(succeeds(2), { login: refusedLogin }),
  },
  "401, for ever": {
    injection: { answer: { status: 401 } },
    rule: except(everywhere("unauthorized", /answered 401/, 2), { login: refusedLogin }),
  },
  "a token that expires while it is in use": { injection: once({ action: "expire-token" }), rule: succeeds(2) },
  "403": { injection: { answer: { status: 403 } }, rule: everywhere("forbidden", /answered 403/) },
  "404, in the service's own words": {
    injection: { answer: (resource, site) => resource.notFound(site) },
    rule: everywhere("notFound", /could not be found/),
  },
  "404 of somebody else (a proxy, a wrong address)": {
    injection: { answer: html(404) },
    // This proves no absence: nothing is gone, and nothing counts as deleted.
    rule: everywhere("refused", /answered 404: an HTML page \("404 by nginx"\)/),
  },
  "409": { injection: { answer: { status: 409 } }, rule: everywhere("refused", /answered 409/) },
  "413 with `Retry-After: 0` (a full quota)": {
    injection: { answer: (resource, site) => resource.quotaExceeded(site) },
    rule: everywhere("refused", /exceed/),
  },
  "429 with `Retry-After: 7`, once": {
    injection: once({ status: 429, headers: { "Retry-After": "7" } }),
    pauseMs: 7_000,
    rule: succeeds(2),
  },
  "429 without `Retry-After`, five times": {
    injection: { answer: { status: 429, times: 5 } },
    // The service did not execute the request, so the provider repeats it for as long as the operation may take.
    rule: succeeds(6),
  },
  "429 with `Retry-After: 7`, three times in a row": {
    injection: { answer: { status: 429, headers: { "Retry-After": "7" }, times: 3 } },
    pauseMs: 7_000,
    rule: succeeds(4),
  },
  "413 with `Retry-After: 7` (a rate limit), twice": {
    injection: { answer: { status: 413, headers: { "Retry-After": "7" }, times: 2 } },
    pauseMs: 7_000,
    rule: succeeds(3),
  },
  "500": {
    injection: { answer: { status: 500 } },
    rule: except(retried("transient", /answered 500/, 3), { create: outcomeUnknown(/answered 500/) }),
  },
  "502 with HTML": {
    injection: { answer: { action: "html" } },
    rule: except(retried("transient", /answered 502: an HTML page/, 3), {
      create: outcomeUnknown(/answered 502: an HTML page/),
    }),
  },
  "503, once": {
    injection: once({ status: 503 }),
    // The service may have sent it, or a proxy that had forwarded the request.
    rule: except(succeeds(2), { create: outcomeUnknown(/answered 503/) }),
  },
  "503, for ever": {
    injection: { answer: { status: 503 } },
    rule: except(retried("transient", /answered 503/, 3), { create: outcomeUnknown(/answered 503/) }),
  },
  "connection refused": {
    injection: { elsewhere: "closed port" },
    // Nothing was sent, so nothing was created.
    rule: retried("transient", /cannot be reached \(ECONNREFUSED\)/, 0),
  },
  "DNS that fails": {
    injection: { elsewhere: "unknown host" },
    rule: retried("transient", /cannot be reached \((ENOTFOUND|EAI_AGAIN)\)/, 0),
  },
  "407 of a proxy": {
    injection: { proxy: { status: 407, headers: { "Proxy-Authenticate": 'Basic realm="proxy"' } } },
    // Nothing was sent. No later run is better off before the variable is corrected, so a wait ends at once, too.
    rule: everywhere(
      "config",
      /the proxy http:\/\/127\.0\.0\.1:\d+ \(http_proxy\) does not accept.*\(407.*\n.*http_proxy/,
      0,
    ),
  },
  "403 of a proxy": {
    injection: { proxy: { status: 403, headers: { "X-Squid-Error": "ERR_ACCESS_DENIED 0" } } },
    rule: everywhere(
      "config",
      /the proxy \S+ \(http_proxy\) did not let the request through.*\(403.*nothing was sent/,
      0,
    ),
  },
  "503 of a proxy": {
    injection: { proxy: { status: 503, headers: { "X-Squid-Error": "ERR_CONNECT_FAIL 111" } } },
    rule: retried("transient", /the proxy \S+ \(http_proxy\) did not let the request through.*\(503/, 0),
  },
  "TLS that doesn't verify": {
    injection: { elsewhere: "untrusted server" },
    rule: everywhere("config", /certificate of \S+ is not trusted.*\n.*`cacert`/, 0),
  },
  "a reset before the answer, once": {
    injection: once({ action: "reset" }),
    rule: except(succeeds(2), { create: outcomeUnknown(/broke off the connection.*\n.*checks its outcome/) }),
  },
  "a reset before the answer, for ever": {
    injection: { answer: { action: "reset" } },
    rule: except(retried("transient", /broke off the connection/, 3), {
      create: outcomeUnknown(/broke off the connection.*\n.*checks its outcome/),
    }),
  },
  "carried out, and the reply is lost": {
    injection: once({ action: "drop-response" }),
    // The create finds its object by the record. The second DELETE finds nothing to do.
    rule: except(succeeds(2), { create: succeeds(1) }),
  },
  "a hang": {
    injection: { answer: { action: "hang" } },
    patient: true,
    rule: except(retried("transient", /did not answer in time/, 3), {
      create: outcomeUnknown(/did not answer in time.*\n.*checks its outcome/),
    }),
  },
  "a trickle (a byte each 200 ms)": {
    injection: { answer: { action: "slow-body" } },
    patient: true,
    // The service executed the create, and the provider finds the object by its record.
    rule: except(unlessUnread(retried("transient", /did not answer in time/, 3)), {
      create: succeeds(),
      awaitGone: retried("transient", /did not answer in time/, 3),
    }),
  },
  "a body that never ends": {
    injection: { answer: { action: "infinite-body" } },
    rule: except(unlessUnread(retried("malformed", /larger than any/, 1)), {
      create: succeeds(),
      awaitGone: retried("malformed", /larger than any/, 1),
    }),
  },
  "truncated JSON": {
    injection: { answer: { action: "truncate" } },
    rule: except(unlessUnread(retried("malformed", /instead of JSON/, 1)), {
      create: succeeds(),
      awaitGone: retried("malformed", /instead of JSON/, 1),
    }),
  },
  "JSON of the wrong type, at each field in turn": {
    injection: { wrongType: true },
    rule: except(unlessUnread(retried("malformed", /not what its API promises at/, 1)), { create: succeeds() }),
  },
  "10 MB of garbage": {
    injection: { answer: { action: "garbage", bytes: 10_000_000 } },
    rule: except(unlessUnread(retried("malformed", /larger than any/, 1)), {
      create: outcomeUnknown(/larger than any/),
      awaitGone: retried("malformed", /larger than any/, 1),
    }),
  },
  "a redirect to another origin": {
    injection: { answer: { action: "redirect" } },
    // Some redirects answer a request that was executed (303).
    rule: except(retried("malformed", /answered 302: a redirect to http:\/\/127\.0\.0\.1:\d+/, 1), {
      create: outcomeUnknown(/answered 302: a redirect to http/),
    }),
  },
  "a calendar that jumps ten years to and fro": { injection: { calendar: "jumps" }, rule: succeeds() },
  "418, a status nobody has heard of": {
    injection: { answer: { status: 418 } },
    rule: everywhere("refused", /answered 418/),
  },
  "599, a status nobody has heard of": {
    injection: { answer: { status: 599 } },
    rule: except(retried("transient", /answered 599/, 3), { create: outcomeUnknown(/answered 599/) }),
  },
  "an object in a status nobody has heard of": {
    injection: { strangeStatus: "quantum-folding" },
    // An object that is gone has no status.
    rule: except(succeeds(), { poll: (site) => pending("deadline", site.onFailure(1), /seen: .*quantum-folding/) }),
  },
} as const satisfies Record<string, Fault>;

export type FaultName = keyof typeof FAULT_ROWS;
export const FAULTS: Readonly<Record<FaultName, Fault>> = FAULT_ROWS;

export function expectationAt(resource: ResourceUnderTest, fault: FaultName, site: string): Expectation {
  const at = resource.sites[site];
  if (!at) throw new Error(`${resource.title} has no site ${site}`);
  return resource.expectations[fault]?.[site] ?? FAULTS[fault].rule(at);
}
