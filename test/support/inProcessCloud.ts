// The emulator without a socket: a request goes in, a reply comes out, in the same turn. For tests that need thousands of
// clouds in seconds.

import type { Emulator } from "../../emulator";
import { type Reply, serviceAt } from "../../emulator/core/http";
import { entryOf } from "../../emulator/core/requestLog";
import { type CreateOptions, createEmulator } from "../../emulator/emulator";
import type { HttpRequest, RawResponse } from "../../provider/core/http/request";

const URL_OF_ALL = "http://cloud.test";

export interface InProcessRequest {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: unknown;
}

export interface InProcessCloud {
  readonly emulator: Emulator;
  /** undefined: no server has this address. */
  answer(request: InProcessRequest): Reply | undefined;
}

export function inProcessCloud(options: CreateOptions): InProcessCloud {
  const { parts, at } = createEmulator(options);
  return {
    emulator: { ...at(URL_OF_ALL), close: async () => {} },
    answer({ method, url, headers, body }) {
      const { origin, pathname, search } = new URL(url);
      const service = serviceAt(parts.services, pathname);
      if (origin !== URL_OF_ALL || !service) return undefined;
      const request = {
        method,
        path: pathname,
        target: pathname + search,
        query: new URLSearchParams(search),
        headers,
        origin,
        text: body === undefined ? "" : JSON.stringify(body),
      };
      const call = service.resolve(request);
      const entry = entryOf(request, parts.clock.now(), service.name, call.operation);
      parts.log.add(entry);
      const reply = call.run();
      entry.status = reply.status;
      return reply;
    },
  };
}

/** Sends a request of the provider's HTTP client, and gives the reply as that client reads it, dated by the cloud's clock. */
export function exchangeWith(cloud: InProcessCloud, { method, url, headers, body }: HttpRequest<unknown>): RawResponse {
  const sent = { accept: "application/json", "content-type": "application/json", ...headers };
  const reply = cloud.answer({ method, url, headers: sent, body });
  if (!reply) throw new Error(`no server has the address ${url}`);
  const dated = { ...reply.headers, date: cloud.emulator.clock.now().toUTCString() };
  const lower = Object.fromEntries(Object.entries(dated).map(([name, value]) => [name.toLowerCase(), String(value)]));
  return { status: reply.status, headers: lower, text: reply.body, json: parsedJson(reply.body) };
}

/** undefined if the text is no JSON. */
export function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
