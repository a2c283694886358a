// The emulator without a socket: a request goes in, a reply comes out, in the same turn. For tests that need thousands of
// clouds in seconds.

import type { Emulator } from "../../emulator";
import { type Reply, serviceAt } from "../../emulator/core/http";
import { entryOf } from "../../emulator/core/requestLog";
import { type CreateOptions, createEmulator } from "../../emulator/emulator";

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
