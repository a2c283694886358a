// Ids and tokens that depend on the seed alone. Each kind has its own counter, so that an additional token does not change
// the id of the next snapshot.

import { createHash } from "node:crypto";

export class Ids {
  private readonly counters = new Map<string, number>();

  constructor(private readonly seed: number) {}

  /** Random-looking version 4 UUID. */
  uuid(kind: string): string {
    const hex = this.hex(kind);
    const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(18, 20)}-${hex.slice(20)}`;
  }

  /** 32 hexadecimal digits, the form of Keystone's ids. */
  hex(kind: string): string {
    return this.bytes(kind).toString("hex").slice(0, 32);
  }

  /** A token in the form of Keystone's Fernet tokens. */
  token(): string {
    const bytes = Buffer.concat(Array.from({ length: 4 }, () => this.bytes("token")));
    return `gAAAAAB${bytes.toString("base64url").slice(0, 170)}`;
  }

  /** 22 characters of base64url, the form of Keystone's audit ids. */
  audit(): string {
    return this.bytes("audit").toString("base64url").slice(0, 22);
  }

  reset(): void {
    this.counters.clear();
  }

  private bytes(kind: string): Buffer {
    const count = (this.counters.get(kind) ?? 0) + 1;
    this.counters.set(kind, count);
    return createHash("sha256").update(`${this.seed}/${kind}/${count}`).digest();
  }
}
