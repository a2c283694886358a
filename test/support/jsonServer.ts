// A server that a test writes from a backend's documents, by plain node:http and without the emulator's code.

import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";

// biome-ignore lint/suspicious/noExplicitAny: bodies of a foreign API
export type Body = any;

export interface Sent {
  method: string;
  path: string;
  query: URLSearchParams;
  body: Body;
}

export interface Reply {
  status: number;
  /** A string is sent as it is. */
  body: Body;
  headers?: Record<string, string>;
}

export class JsonServer {
  private constructor(private readonly server: Server) {}

  /** `handle`: undefined breaks the connection off without a reply. */
  static async start(handle: (request: IncomingMessage) => Promise<Reply | undefined>): Promise<JsonServer> {
    const server = createServer(async (request, response) => {
      const reply = await handle(request);
      if (reply === undefined) return void request.socket.destroy();
      const { status, body, headers = {} } = reply;
      response.writeHead(status, { "content-type": "application/json", ...headers });
      response.end(body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new JsonServer(server);
  }

  get url(): string {
    const { port } = this.server.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
