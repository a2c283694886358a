// Asks the emulator's OpenStack services by plain HTTP, as one of Keystone's users. It knows nothing of the provider.

import type { Emulator } from "../../emulator";

interface PlainAnswer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whichever field it is about
  readonly body: any;
  readonly headers: Headers;
}

export interface OpenStackUser {
  readonly token: string;
  readonly projectId: string;
  readonly userId: string;
  readonly headers: Record<string, string>;
  /** The path stands behind the project; the microversion is 3.70. */
  cinder(method: string, path: string, body?: unknown, more?: Record<string, string>): Promise<PlainAnswer>;
  nova(path: string, minor?: number): Promise<PlainAnswer>;
  /** The path stands behind /v3. */
  keystone(method: string, path: string, body?: unknown): Promise<PlainAnswer>;
}

export async function ask(
  url: string,
  method: string,
  headers: Record<string, string>,
  body?: unknown,
): Promise<PlainAnswer> {
  const answer = await fetch(url, {
    method,
    headers: { "Content-Type": "application/json", Accept: "application/json", ...headers },
    redirect: "manual",
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  const isJson = answer.headers.get("Content-Type")?.startsWith("application/json") === true && text !== "";
  return { status: answer.status, headers: answer.headers, body: isJson ? JSON.parse(text) : text };
}

/** `demo` is a member of the project demo, `admin` its administrator. */
export async function openstackUser(emulator: Emulator, name: "demo" | "admin" | "other" = "demo") {
  const domain = { id: "default" };
  const project = name === "other" ? "other" : "demo";
  return userOf(emulator, {
    identity: { methods: ["password"], password: { user: { name, password: "secret", domain } } },
    scope: { project: { name: project, domain } },
  });
}

export async function userOf({ url }: Emulator, auth: object): Promise<OpenStackUser> {
  const { body, headers: answered } = await ask(`${url}/identity/v3/auth/tokens`, "POST", {}, { auth });
  const token = answered.get("X-Subject-Token") ?? "";
  const { project, user } = body.token;
  const headers = { "X-Auth-Token": token };
  return {
    token,
    projectId: project.id,
    userId: user.id,
    headers,
    cinder: (method, path, given, more = {}) => {
      const version = { "OpenStack-API-Version": "volume 3.70", ...more };
      return ask(`${url}/volume/v3/${project.id}${path}`, method, { ...headers, ...version }, given);
    },
    nova: (path, minor = 1) =>
      ask(`${url}/compute/v2.1${path}`, "GET", { ...headers, "OpenStack-API-Version": `compute 2.${minor}` }),
    keystone: (method, path, given) => ask(`${url}/identity/v3${path}`, method, headers, given),
  };
}
