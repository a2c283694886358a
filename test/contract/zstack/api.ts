// ZStack's API by plain HTTP, for tests of the emulator against the server's source.

import { createHash } from "node:crypto";
import { type Emulator, startEmulator } from "../../../emulator";

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: JSON of the emulator, of which each test asserts what it needs
  readonly body: any;
  readonly text: string;
}

export class ZStackApi {
  private constructor(
    readonly emulator: Emulator,
    readonly session: string,
  ) {}

  /** An emulator that speaks English, and a session of its administrator. */
  static async start(options: Parameters<typeof startEmulator>[0] = {}): Promise<ZStackApi> {
    const emulator = await startEmulator({ clock: "instant", zstack: { locale: "en_US" }, ...options });
    const password = createHash("sha512").update("password").digest("hex");
    const open = new ZStackApi(emulator, "");
    const { body } = await open.ask("PUT", "/accounts/login", { logInByAccount: { accountName: "admin", password } });
    return new ZStackApi(emulator, body.inventory.uuid);
  }

  async ask(method: string, path: string, body?: unknown, session = this.session): Promise<Answer> {
    const reply = await fetch(`${this.emulator.url}/zstack/v1${path}`, {
      method,
      headers: { Authorization: `OAuth ${session}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await reply.text();
    return { status: reply.status, body: text.startsWith("{") ? JSON.parse(text) : undefined, text };
  }

  /** A change and the end of its job. */
  async change(method: string, path: string, body?: unknown, session?: string): Promise<Answer> {
    const started = await this.ask(method, path, body, session);
    if (started.status !== 202) return started;
    return this.ask("GET", `/api-jobs/${started.body.location.split("/").pop()}`);
  }

  /** The names of the rows that a query finds, in its order. */
  async names(path: string): Promise<string[]> {
    const { body, text } = await this.ask("GET", path);
    if (body?.inventories === undefined) throw new Error(`GET ${path}: ${text}`);
    return body.inventories.map(({ name }: { name: string }) => name);
  }
}

/** What a refusal of ZStack's own looks like, with the code and a part of the details. */
export function fault(code: string, details: string | RegExp) {
  return { status: 503, body: { error: { code, details: expect.stringMatching(details) } } };
}
