// The emulator's ViPR by plain HTTP: what any client may send, and not only the provider's.

import { type Emulator, type EmulatorOptions, startEmulator } from "../../emulator";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Undefined if the answer is no JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: each test says what it expects
  readonly body: any;
}

export interface Sent {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export class ViprHttp {
  private constructor(readonly emulator: Emulator) {}

  static async start(options: EmulatorOptions = {}): Promise<ViprHttp> {
    return new ViprHttp(await startEmulator({ clock: "instant", ...options }));
  }

  /** Follows no redirect, and adds nothing to the headers. */
  async send(path: string, { method = "GET", headers = {}, body }: Sent = {}): Promise<Answer> {
    const url = path.startsWith("http") ? path : `${this.emulator.url}/vipr${path}`;
    const text = body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) };
    const response = await fetch(url, { method, redirect: "manual", headers, ...text });
    const answer = await response.text();
    return { status: response.status, headers: response.headers, text: answer, body: parsed(answer) };
  }

  /** As a user that logs in for this request, in JSON. */
  async as(user: string, path: string, sent: Sent = {}): Promise<Answer> {
    const headers = {
      Accept: "application/json",
      "X-SDS-AUTH-TOKEN": await this.token(user),
      ...(sent.body === undefined ? {} : { "Content-Type": "application/json" }),
      ...sent.headers,
    };
    return this.send(path, { ...sent, headers });
  }

  root(path: string, sent?: Sent): Promise<Answer> {
    return this.as("root", path, sent);
  }

  async token(user = "root"): Promise<string> {
    const { headers } = await this.send("/login", { headers: { Authorization: basic(user) } });
    return headers.get("X-SDS-AUTH-TOKEN") ?? "";
  }

  /** Links a target, which is there when this returns. */
  async link(session: string, target_name: string): Promise<string> {
    const body = { new_linked_targets: { count: 1, target_name, copy_mode: "copy" } };
    await this.root(`/block/snapshot-sessions/${session}/link-targets`, { method: "POST", body });
    return this.emulator.vipr.active().find(({ label }) => label === `${target_name}-1`)?.id ?? "";
  }

  close(): Promise<void> {
    return this.emulator.close();
  }
}

export function basic(user: string, password = "secret", encoding: BufferEncoding = "latin1"): string {
  return `Basic ${Buffer.from(`${user}:${password}`, encoding).toString("base64")}`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
