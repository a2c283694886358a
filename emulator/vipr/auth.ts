// ViPR's logins and tokens (docs/wire/vipr.md#s1).

import type { Clock } from "../core/clock";
import type { Ids } from "../core/ids";
import { ViprError } from "./errors";
import type { ViprTimings } from "./rows";

export interface ViprUser {
  name: string;
  password: string;
  /** Its rights in the volumes' project. */
  role: "admin" | "monitor" | "none";
  /** The URN of its tenant. Default: the tenant of the seed data. */
  tenant?: string;
}

interface Token {
  user: ViprUser;
  issuedAt: number;
  usedAt: number;
}

const TOKENS_MOST = 100;
const FAILURES_MOST = 10;
const LOCKED_MINUTES = 10;
/** The form of the tokens that ViPR issues. It cannot decode any other text. */
const FORM = /^BAAc[A-Za-z0-9+/]+=*$/;

export class ViprAuth {
  readonly users = new Map<string, ViprUser>();
  private tokens = new Map<string, Token>();
  private failures: { count: number; lastAt: number } | undefined;
  private sweptAt = 0;

  constructor(
    private readonly clock: Clock,
    private readonly ids: Ids,
    private readonly timings: ViprTimings,
  ) {}

  addUser(user: ViprUser): void {
    this.users.set(user.name, user);
  }

  /** Returns a token, or undefined for wrong credentials. Failures count against the client's address. */
  login(name: string, password: string): string | undefined {
    this.refuseLocked();
    const now = this.clock.nowMs();
    const user = this.users.get(name.toLowerCase());
    if (user === undefined || user.password !== password) {
      this.failures = { count: (this.failures?.count ?? 0) + 1, lastAt: now };
      return undefined;
    }
    this.failures = undefined;
    this.sweep();
    if ([...this.tokens.values()].filter((token) => token.user === user).length >= TOKENS_MOST) {
      throw new ViprError(401, 4000, "Max number of tokens exceeded for this user");
    }
    const token = `BAAc${Buffer.from(`${this.ids.hex("vipr token")}${this.ids.hex("vipr token")}`).toString("base64")}`;
    this.tokens.set(token, { user, issuedAt: now, usedAt: now });
    return token;
  }

  /** Ten failures lock the address until ten minutes after the last one (InvalidLoginManager.java:85-119, 457-474). */
  refuseLocked(): void {
    const { count = 0, lastAt = 0 } = this.failures ?? {};
    const left = minutes(lastAt) + LOCKED_MINUTES - minutes(this.clock.nowMs());
    if (left <= 0) this.failures = undefined;
    else if (count >= FAILURES_MOST) {
      const message = `Exceeding invalid login limit from the client after ${FAILURES_MOST} invalid login attempts. Will be cleared within ${left} minutes. `;
      throw new ViprError(401, 4000, message);
    }
  }

  /** The user of a token. "stale": an expired token; "garbage": a text that is no token. */
  identify(token: string | undefined): ViprUser | "none" | "stale" | "garbage" {
    if (token === undefined || token === "") return "none";
    if (!FORM.test(token)) return "garbage";
    const now = this.clock.nowMs();
    const known = this.tokens.get(token);
    if (known === undefined || this.hasEnded(known, now)) return "stale";
    known.usedAt = now;
    return known.user;
  }

  logout(token: string, force: boolean): string {
    const who = this.identify(token);
    if (typeof who === "string") throw new ViprError(401, 4000, "Token not found or invalid token provided");
    this.tokens.delete(token);
    if (force) this.revokeAllOf(who.name);
    return who.name;
  }

  revokeAllOf(name: string): void {
    for (const [token, { user }] of this.tokens) if (user.name === name.toLowerCase()) this.tokens.delete(token);
  }

  revoke(token: string): void {
    this.tokens.delete(token);
  }

  revokeAll(): void {
    this.tokens.clear();
  }

  /** The tokens that count against the limit. */
  get alive(): number {
    return this.tokens.size;
  }

  /** The `Max-Age` of a token's cookie. */
  get lifeInSeconds(): number {
    return Math.floor(this.timings.viprTokenLife / 1000);
  }

  reset(): void {
    this.users.clear();
    this.tokens = new Map();
    this.failures = undefined;
    this.sweptAt = this.clock.nowMs();
    this.addUser({ name: "root", password: "secret", role: "admin" });
    this.addUser({ name: "monitor", password: "secret", role: "monitor" });
    this.addUser({ name: "stranger", password: "secret", role: "none" });
  }

  private hasEnded({ issuedAt, usedAt }: Token, now: number): boolean {
    return now - issuedAt >= this.timings.viprTokenLife || now - usedAt >= this.timings.viprTokenIdle;
  }

  /** Removes expired tokens. They count against the limit until then. */
  private sweep(): void {
    const now = this.clock.nowMs();
    if (now - this.sweptAt < this.timings.viprTokenIdle) return;
    this.sweptAt = now;
    for (const [text, token] of this.tokens) if (this.hasEnded(token, now)) this.tokens.delete(text);
  }
}

function minutes(ms: number): number {
  return Math.floor(ms / 60_000);
}
