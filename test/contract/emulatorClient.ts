// An emulator for a test, and clients of its APIs that know nothing of the provider.

import { type Emulator, type EmulatorOptions, SEED_VOLUMES, startEmulator } from "../../emulator";

const running: Emulator[] = [];

export async function start(options: EmulatorOptions = { clock: "instant" }): Promise<Emulator> {
  const emulator = await startEmulator(options);
  running.push(emulator);
  return emulator;
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((emulator) => emulator.close()));
});

export interface TokenBody {
  token: {
    project: { id: string; name: string };
    user: { id: string };
    catalog: { type: string; endpoints: { url: string }[] }[];
  };
}

/** The fields that the tests read. Which of them exist depends on the request. */
export interface Body {
  id: string;
  code: string;
  error: unknown;
  computeFault: { message: string };
  serviceUnavailable: { code: number };
  versions: object[];
  snapshot: SnapshotBody;
  snapshots: SnapshotBody[];
  snapshots_links?: { href: string }[];
  volume: { id: string };
  messages: { user_message: string }[];
  services: { cinder: { snapshots: object[] } };
  faults: object[];
  operations: { operation: string }[];
  requests: object[];
}

export interface SnapshotBody {
  id: string;
  name: string;
  status: string;
  created_at: string;
  updated_at: string;
  "os-extended-snapshot-attributes:progress": string;
}

export interface Reply {
  status: number;
  headers: Headers;
  text: string;
  body: Body;
}

export type Ask = (method: string, path: string, body?: unknown, microversion?: string) => Promise<Reply>;

export async function login(
  emulator: Emulator,
  auth: object = {},
  base = emulator.url,
): Promise<{ status: number; token: string; body: TokenBody }> {
  const user = { name: "demo", password: "secret", domain: { name: "Default" } };
  const scope = "identity" in auth ? {} : { scope: { project: { name: "demo", domain: { id: "default" } } } };
  const reply = await fetch(`${base}/identity/v3/auth/tokens`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ auth: { identity: { methods: ["password"], password: { user } }, ...scope, ...auth } }),
  });
  return {
    status: reply.status,
    token: reply.headers.get("x-subject-token") ?? "",
    body: (await reply.json()) as TokenBody,
  };
}

/** Asks Cinder as the member of demo. */
export async function client(emulator: Emulator): Promise<Ask> {
  const { token } = await login(emulator);
  return async (method, path, body, microversion = "3.59") => {
    const reply = await fetch(`${emulator.url}/volume/v3/${emulator.cinder.projectId}${path}`, {
      method,
      redirect: "manual",
      headers: {
        "X-Auth-Token": token,
        "OpenStack-API-Version": `volume ${microversion}`,
        "Content-Type": "application/json",
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return read(reply);
  };
}

export async function read(reply: Response): Promise<Reply> {
  const text = await reply.text();
  const isJson = reply.headers.get("content-type") === "application/json" && text.startsWith("{") && text.endsWith("}");
  const body = (isJson ? JSON.parse(text) : {}) as Body;
  return { status: reply.status, headers: reply.headers, text, body };
}

export async function create(ask: Ask, fields: object = {}): Promise<SnapshotBody> {
  return (await ask("POST", "/snapshots", { snapshot: { volume_id: SEED_VOLUMES.data, ...fields } })).body.snapshot;
}

export async function statusOf(ask: Ask, id: string): Promise<string> {
  const { status, body } = await ask("GET", `/snapshots/${id}`);
  return status === 200 ? body.snapshot.status : String(status);
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
