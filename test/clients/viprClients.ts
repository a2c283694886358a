// CoprHD's own Java client against the emulator, for several users at once.

import * as http from "node:http";
import { type Emulator, startEmulator } from "../../emulator";
import { JavaClient, missingTools } from "./javaClient";

export interface Answer {
  // biome-ignore lint/suspicious/noExplicitAny: the client's models, of which each test asserts what it needs
  readonly value?: any;
  /** The paths of the models' properties that are null: the answer had no such field. */
  readonly absent?: readonly string[];
  readonly error?: { class: string; message: string; status?: string; code?: string };
}

const reason = missingTools();
if (reason !== undefined) console.warn(`CoprHD's Java client is not run: ${reason}`);
export const suite = reason === undefined ? describe : describe.skip;

/** Jersey 1 uses a class of the JDK that modules hide, and JAXB 2 makes classes in a way that they forbid. */
const JVM = [
  "--add-exports",
  "java.base/sun.net.util=ALL-UNNAMED",
  "-Dcom.sun.xml.bind.v2.bytecode.ClassTailor.noOptimize=true",
];

export class ViprClients {
  private readonly clients = new Map<string, JavaClient>();

  private constructor(
    readonly emulator: Emulator,
    private readonly front: http.Server,
  ) {}

  static async start(): Promise<ViprClients> {
    const emulator = await startEmulator({ clock: { scale: 100 } });
    return new ViprClients(emulator, await atTheRoot(emulator.url));
  }

  /** Starts a client for a user, and logs in. A second one for the same user has another name. */
  async open(user: string, mediaType = "application/json", { name = user, password = "secret" } = {}): Promise<Answer> {
    const { port } = this.front.address() as { port: number };
    const client = JavaClient.start("ViprCalls", "vipr-client.jar", "vipr-pom.xml", JVM, [String(port), mediaType]);
    this.clients.set(name, client);
    return this.call(name, "auth", "login", [user, password]);
  }

  async call(
    name: string,
    on: string,
    call: string,
    given: readonly unknown[] = [],
    wait?: "wait" | "absent",
  ): Promise<Answer> {
    const client = this.clients.get(name);
    if (client === undefined) throw new Error(`no client of ${name} is open`);
    return client.call<Answer>({ on, call, arguments: given, ...(wait ? { [wait]: true } : {}) });
  }

  /** The value of a call that must not fail. */
  async value(
    name: string,
    on: string,
    call: string,
    given: readonly unknown[] = [],
    wait?: "wait",
  ): Promise<Answer["value"]> {
    const answer = await this.call(name, on, call, given, wait);
    expect(answer.error).toBeUndefined();
    return answer.value;
  }

  async close(): Promise<void> {
    for (const client of this.clients.values()) await client.stop();
    await new Promise((resolve) => this.front.close(resolve));
    await this.emulator.close();
  }
}

/** ViPR serves its API at the root of its own port, the emulator serves it at /vipr beside the other services. */
function atTheRoot(url: string): Promise<http.Server> {
  const server = http.createServer((request, response) => {
    const { method, headers } = request;
    const path = request.url?.startsWith("/vipr/") ? request.url : `/vipr${request.url}`;
    const inner = http.request(
      `${url}${path}`,
      { method, headers: { ...headers, host: new URL(url).host } },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    request.pipe(inner);
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}
