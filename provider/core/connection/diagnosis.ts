// What `snapclone doctor` finds out about a connection. The kinds of connections report here; nothing is created or changed.

import { asSnapcloneError } from "../errors";
import { type Environment, proxyFor } from "../http/proxy";
import type { TlsSettings } from "../http/tls";
import { formatDuration } from "../util/duration";
import type { CommonSettings } from "./settings";

export type Level = "ok" | "warning" | "wrong" | "unknown";

export interface Finding {
  level: Level;
  /** What was examined: "login". */
  what: string;
  text: string;
  /** What the user can do. */
  hint?: string | undefined;
}

/** Waits and records are dated by the backend's clock, so a small difference does no harm. */
const SKEW_MS = 60_000;

export class Diagnosis {
  readonly findings: Finding[] = [];

  constructor(
    readonly env: Environment,
    private readonly now: () => Date,
  ) {}

  report(level: Level, what: string, text: string, hint?: string): void {
    this.findings.push({ level, what, text, ...(hint === undefined ? {} : { hint }) });
  }

  /** Where each setting comes from. Of a secret only that it is there. */
  settings({ source, given = [], warnings }: CommonSettings<string>): void {
    this.report("ok", "settings", `${source}: ${given.map(({ label, value }) => `${label} ${value}`).join(", ")}`);
    for (const warning of warnings) this.report("warning", "settings", warning);
  }

  /** How requests reach a service: by which proxy, and whether by TLS. Sends nothing. */
  address(what: string, url: string, tls: TlsSettings): void {
    let proxy: string;
    try {
      const found = proxyFor(url, this.env);
      proxy = found === undefined ? "directly, without a proxy" : `by the proxy ${found.origin} (${found.variable})`;
    } catch (error) {
      this.failed(what, error);
      return;
    }
    const { cacert, cert, insecure } = tls;
    const trust = insecure ? "not verified (insecure)" : `verified with ${cacert ? "cacert" : "the known authorities"}`;
    const client = cert ? ", with a client certificate" : "";
    const transport = url.startsWith("https:") ? `TLS ${trust}${client}` : "without TLS";
    this.report("ok", what, `${url} ${proxy}, ${transport}`);
  }

  /** Reports what `work` returns, or its failure. undefined after a failure. */
  async attempt<T>(what: string, work: () => Promise<T>, text: (result: T) => string): Promise<T | undefined> {
    try {
      const result = await work();
      this.report("ok", what, text(result));
      return result;
    } catch (error) {
      this.failed(what, error);
      return undefined;
    }
  }

  failed(what: string, error: unknown, level: Level = "wrong"): void {
    const { hint, ...parts } = asSnapcloneError(error, "").parts;
    const facts = [
      parts.status === undefined ? "" : `HTTP ${parts.status}`,
      parts.requestId ?? "",
      parts.request ?? "",
    ];
    const known = facts.filter((fact) => fact !== "").join(", ");
    this.report(level, what, `${parts.message}${known ? ` (${known})` : ""}`, hint);
  }

  clock(server: Date | undefined): void {
    if (server === undefined) {
      this.report("unknown", "clock", "no answer of the server has a Date header");
      return;
    }
    const skew = this.now().getTime() - server.getTime();
    const amount = formatDuration(Math.abs(skew));
    if (Math.abs(skew) <= SKEW_MS) this.report("ok", "clock", `this machine and the server differ by ${amount}`);
    else {
      this.report(
        "warning",
        "clock",
        `this machine's clock is ${amount} ${skew > 0 ? "ahead of" : "behind"} the server's`,
        "Set the clocks right (NTP). The provider goes by the server's clock, but certificates, tokens and signatures depend on both.",
      );
    }
  }

  /** A right that only a create would show. */
  unproven(text: string): void {
    this.report("unknown", "rights", text, "Which rights are needed: docs/permissions.md.");
  }
}
