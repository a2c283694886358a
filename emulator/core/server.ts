// The socket: reads a request, finds its service, applies a fault rule and writes the answer.

import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { pageReply } from "../page/page";
import type { Clock } from "./clock";
import type { CheckedRule, Faults } from "./faults";
import { refuseForeign } from "./foreign";
import { type Call, type EmulatorRequest, json, type Reply, type Service, serviceAt } from "./http";
import { entryOf, type RequestLogEntry, type WritableLog } from "./requestLog";

export interface ServerOptions {
  readonly port: number;
  readonly host: string;
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly latencyMs: number;
}

export interface ServerParts {
  readonly services: readonly Service[];
  readonly faults: Faults;
  readonly log: WritableLog;
  readonly clock: Clock;
  /** Answers requests under /_emulator/. */
  control(request: EmulatorRequest): Reply;
  /** Revokes the tokens that the request carries, for the action "expire-token". */
  revokeTokensOf(request: EmulatorRequest): void;
}

export interface RunningServer {
  readonly url: string;
  close(): Promise<void>;
}

export const CONTROL_PREFIX = "/_emulator";

export async function startServer(options: ServerOptions, parts: ServerParts): Promise<RunningServer> {
  const scheme = options.tls === undefined ? "http" : "https";
  const sockets = new Set<Socket>();
  const timers = new Set<NodeJS.Timeout>();
  const listener = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const exchange = new Exchange(scheme, incoming, outgoing, options, parts, timers);
    exchange.run().catch((error: unknown) => exchange.fail(error));
  };
  const server: Server =
    options.tls === undefined ? createHttpServer(listener) : createHttpsServer(options.tls, listener);
  // Answers that hang or are slow are intended, so the server has no timeouts.
  server.requestTimeout = 0;
  server.headersTimeout = 0;
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await listen(server, options);
  const { port } = server.address() as AddressInfo;
  const host = options.host.includes(":") ? `[${options.host}]` : options.host;
  return {
    url: `${scheme}://${host}:${port}`,
    close: () =>
      new Promise((resolve) => {
        for (const timer of timers) clearTimeout(timer);
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** One request and its answer. */
class Exchange {
  constructor(
    private readonly scheme: string,
    private readonly incoming: IncomingMessage,
    private readonly outgoing: ServerResponse,
    private readonly options: ServerOptions,
    private readonly parts: ServerParts,
    private readonly timers: Set<NodeJS.Timeout>,
  ) {}

  async run(): Promise<void> {
    const request = await this.read();
    if (request === undefined) return;
    if (isForPeople(request)) {
      this.send(refuseForeign(request, this.options.host) ?? this.answerPeople(request));
      return;
    }
    const service = serviceAt(this.parts.services, request.path);
    if (service === undefined) {
      this.send(this.noService(request));
      return;
    }
    await this.serve(service, request);
  }

  /** Reports a defect of the emulator in a form that no service uses. */
  fail(error: unknown): void {
    process.stderr.write(
      `snapclone emulator: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    if (this.outgoing.headersSent) this.outgoing.destroy();
    else this.send(json(500, { emulator: error instanceof Error ? error.message : String(error) }));
  }

  private answerPeople(request: EmulatorRequest): Reply {
    return request.path === "/" ? pageReply() : this.parts.control(request);
  }

  private async serve(service: Service, request: EmulatorRequest): Promise<void> {
    const { parts } = this;
    const call = service.resolve(request);
    const { method, path, target } = request;
    const toMatch = { service: service.name, operation: call.operation, method, path, target };
    const fault = parts.faults.match(toMatch, parts.clock.now());
    const entry = entryOf(
      { ...request, target: service.loggable?.(target) ?? target },
      parts.clock.now(),
      service.name,
      call.operation,
    );
    if (fault !== undefined) entry.fault = fault.id;
    parts.log.add(entry);
    if (this.options.latencyMs > 0) await this.wait(this.options.latencyMs);
    if (fault === undefined) this.send(call.run(), entry);
    else await this.sendFaulty(fault.id, fault.rule, service, request, call, entry);
  }

  private async sendFaulty(
    id: string,
    rule: CheckedRule,
    service: Service,
    request: EmulatorRequest,
    call: Call,
    entry: RequestLogEntry,
  ): Promise<void> {
    if (rule.delayMs !== undefined) await this.wait(rule.delayMs);
    const replacement = replacementOf(rule, service, request);
    const labelled = (reply: Reply): Reply => ({
      ...reply,
      headers: { ...reply.headers, ...rule.headers, "x-emulator-fault": id },
    });
    // The service executes the request only when the rule has no answer of its own.
    const reply = () => labelled(replacement ?? call.run());
    switch (rule.action) {
      case "hang":
        return;
      case "reset":
        this.resetSocket();
        return;
      case "drop-response":
        call.run();
        this.incoming.socket.destroy();
        return;
      case "expire-token":
        this.parts.revokeTokensOf(request);
        this.send(labelled(call.run()), entry);
        return;
      case "slow-body":
        this.sendSlowly(reply(), entry);
        return;
      case "infinite-body":
        this.sendForever(reply(), entry);
        return;
      case "truncate":
        this.send(truncated(reply()), entry);
        return;
      default:
        this.send(reply(), entry);
    }
  }

  private async read(): Promise<EmulatorRequest | undefined> {
    const { incoming } = this;
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of incoming) chunks.push(chunk as Buffer);
    } catch {
      return undefined; // the client closed the connection
    }
    const target = incoming.url ?? "/";
    const [path = "/", query = ""] = splitOnce(target, "?");
    return {
      method: incoming.method ?? "GET",
      path,
      target,
      query: new URLSearchParams(query),
      headers: incoming.headers,
      origin: `${this.scheme}://${incoming.headers.host ?? `${this.options.host}:${incoming.socket.localPort ?? this.options.port}`}`,
      text: Buffer.concat(chunks).toString("utf8"),
    };
  }

  private noService(request: EmulatorRequest): Reply {
    const services = this.parts.services.map(({ name, prefix }) => [name, `${request.origin}${prefix}`]);
    return json(404, {
      emulator: `no service has the path ${request.path}`,
      services: Object.fromEntries(services),
      control: `${request.origin}${CONTROL_PREFIX}/state`,
      page: `${request.origin}/`,
    });
  }

  private send(reply: Reply, entry?: RequestLogEntry): void {
    this.head(reply, entry);
    const hasBody = this.incoming.method !== "HEAD" && reply.status !== 204;
    if (hasBody) this.outgoing.setHeader("Content-Length", Buffer.byteLength(reply.body));
    this.outgoing.end(hasBody ? reply.body : undefined);
  }

  private head(reply: Reply, entry?: RequestLogEntry): void {
    if (entry !== undefined) entry.status = reply.status;
    this.outgoing.statusCode = reply.status;
    // The emulator's own time, as in the rows: clients compute ages from it.
    this.outgoing.setHeader("Date", this.parts.clock.now().toUTCString());
    for (const [name, value] of Object.entries(reply.headers)) this.outgoing.setHeader(name, value);
  }

  private resetSocket(): void {
    const { socket } = this.incoming;
    // resetAndDestroy works on plain TCP only; a TLS socket can only be closed.
    if (this.scheme === "http") socket.resetAndDestroy();
    else socket.destroy();
  }

  /** Sends one byte each 200 ms, with the Content-Length of the whole body. */
  private sendSlowly(reply: Reply, entry: RequestLogEntry): void {
    this.head(reply, entry);
    const bytes = Buffer.from(reply.body);
    this.outgoing.setHeader("Content-Length", bytes.length);
    this.outgoing.flushHeaders();
    let sent = 0;
    const timer = setInterval(() => {
      if (sent < bytes.length && !this.outgoing.destroyed) this.outgoing.write(bytes.subarray(sent, sent + 1));
      sent += 1;
      if (sent < bytes.length && !this.outgoing.destroyed) return;
      this.stop(timer);
      this.outgoing.end();
    }, 200);
    this.timers.add(timer);
  }

  /** Sends blanks for ever. JSON allows them, so only a size limit stops the reader. */
  private sendForever(reply: Reply, entry: RequestLogEntry): void {
    // A 204 has no body, and Node discards what is written to it: the loop would never end.
    if (reply.status === 204) {
      this.send(reply, entry);
      return;
    }
    this.head(reply, entry);
    const blanks = Buffer.alloc(64 * 1024, " ");
    const more = () => {
      while (!this.outgoing.destroyed && this.outgoing.write(blanks));
    };
    this.outgoing.on("drain", more);
    more();
  }

  private wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.stop(timer);
        resolve();
      }, ms);
      this.timers.add(timer);
    });
  }

  private stop(timer: NodeJS.Timeout): void {
    clearTimeout(timer);
    this.timers.delete(timer);
  }
}

/** The page and the control API. Services answer everything else. */
function isForPeople({ method, path }: EmulatorRequest): boolean {
  if (path === "/") return method === "GET" || method === "HEAD";
  return path === CONTROL_PREFIX || path.startsWith(`${CONTROL_PREFIX}/`);
}

/** Each printable character once, shuffled. */
const GARBAGE = Array.from({ length: 90 }, (_, index) => String.fromCharCode(33 + ((index * 7919) % 90))).join("");

/** The rule's answer, sent in place of the service's. Undefined when the service executes the request. */
function replacementOf(rule: CheckedRule, service: Service, request: EmulatorRequest): Reply | undefined {
  if (rule.action === "html") {
    const status = rule.status ?? 502;
    const title =
      status === 503 ? "503 Service Unavailable" : status === 504 ? "504 Gateway Time-out" : `${status} Bad Gateway`;
    const page = `<html><body><h1>${title}</h1>\nThe server returned an invalid or incomplete response.\n</body></html>\n`;
    return {
      status,
      headers: { "Content-Type": "text/html", "Cache-Control": "no-cache" },
      body: typeof rule.body === "string" ? rule.body : page,
    };
  }
  if (rule.action === "garbage") {
    const bytes = rule.bytes ?? 64;
    const body = GARBAGE.repeat(Math.ceil(bytes / GARBAGE.length)).slice(0, bytes);
    return { status: rule.status ?? 200, headers: { "Content-Type": "application/json" }, body };
  }
  if (rule.action === "redirect")
    return {
      status: rule.status ?? 302,
      headers: { Location: rule.location ?? "/", "Content-Type": "text/plain" },
      body: "",
    };
  if (rule.body !== undefined) return withBody(rule.status ?? 200, rule.body);
  return rule.status === undefined ? undefined : service.errorReply(rule.status, request);
}

function withBody(status: number, body: string | object): Reply {
  return typeof body === "string" ? { status, headers: { "Content-Type": "text/plain" }, body } : json(status, body);
}

/** Half of the body, with the length of that half: the connection is fine, the JSON is not. */
function truncated(reply: Reply): Reply {
  return { ...reply, body: reply.body.slice(0, Math.floor(reply.body.length / 2)) };
}

function splitOnce(text: string, separator: string): [string, string] {
  const index = text.indexOf(separator);
  return index < 0 ? [text, ""] : [text.slice(0, index), text.slice(index + 1)];
}

function listen(server: Server, options: ServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
