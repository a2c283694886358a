// The seed of the process's first check. Pulumi reads that request before this code is loaded, and its handler still holds it.
//
// Which resource is checked first differs from preview to `up`: without this seed, a resource would have an attempt in only one
// of them, and a saved plan would fail (docs/wire/pulumi-engine.md#request-fields). The inspector finds the request on the
// stack, and else on the heap, which takes three times as long.

import type * as inspector from "node:inspector";

export interface CheckMessages {
  prototype: object;
  deserializeBinary(bytes: Uint8Array): CheckMessage;
}

export interface CheckMessage {
  getUrn(): string;
  getRandomseed_asB64(): string;
  getNews(): { getFieldsMap(): { set(key: string, value: unknown): void } } | undefined;
}

/** The parts of the inspector's answers that are used here. */
interface InspectorAnswer {
  result?: { objectId?: string; value?: unknown };
  objects?: { objectId?: string };
}

type Post = (method: string, params: object) => InspectorAnswer;

/** The global property by which this code and the inspector exchange objects. */
const EXCHANGE = Symbol.for("pulumi-snapclone/inspected");

/** undefined if neither way finds the request, and in a Node.js without an inspector: then the attempt is unnamed. */
export function firstSeed(messages: CheckMessages, urn: string): string | undefined {
  try {
    return seedOnStack(urn) ?? seedOnHeap(messages, urn);
  } catch {
    return undefined;
  }
}

/** Pulumi's handler calls this code, so its variables are on the stack. */
function seedOnStack(urn: string): string | undefined {
  const { url } = require("node:inspector") as typeof inspector;
  // Somebody debugs this process: a pause would be theirs.
  if (url() !== undefined) return undefined;
  return inspect((post, session) => {
    let seed: unknown;
    // A session of this thread gets the event before the statement that pauses has ended.
    session.once("Debugger.paused", ({ params: { callFrames } }) => {
      const isFirst = `call.request.getUrn() === ${JSON.stringify(urn)}`;
      const expression = `${isFirst} ? call.request.getRandomseed_asB64() : undefined`;
      for (const { callFrameId, functionName } of callFrames) {
        if (seed !== undefined || functionName !== "check") continue;
        const how = { callFrameId, expression, returnByValue: true, silent: true };
        seed = post("Debugger.evaluateOnCallFrame", how).result?.value;
      }
    });
    post("Debugger.enable", {});
    post("Runtime.evaluate", { expression: "debugger" });
    return typeof seed === "string" ? seed : undefined;
  });
}

function seedOnHeap(messages: CheckMessages, urn: string): string | undefined {
  const exchange = globalThis as Record<symbol, unknown>;
  try {
    exchange[EXCHANGE] = messages.prototype;
    inspect((post) => {
      const expression = `globalThis[Symbol.for(${JSON.stringify(EXCHANGE.description)})]`;
      const prototype = post("Runtime.evaluate", { expression }).result;
      const { objects } = post("Runtime.queryObjects", { prototypeObjectId: prototype?.objectId });
      post("Runtime.callFunctionOn", {
        objectId: objects?.objectId,
        functionDeclaration: `function () { ${expression} = [...this]; }`,
      });
    });
    const found = exchange[EXCHANGE];
    const requests = Array.isArray(found) ? (found as CheckMessage[]) : [];
    return requests.find((request) => request.getUrn() === urn)?.getRandomseed_asB64();
  } finally {
    delete exchange[EXCHANGE];
  }
}

/** A session of this thread opens no port, and its answers come before `post` returns. */
function inspect<T>(work: (post: Post, session: inspector.Session) => T): T {
  const { Session } = require("node:inspector") as typeof inspector;
  const session = new Session();
  session.connect();
  try {
    return work((method, params) => {
      let answer: InspectorAnswer = {};
      session.post(method, params, (_error, result) => {
        answer = (result ?? {}) as InspectorAnswer;
      });
      return answer;
    }, session);
  } finally {
    session.disconnect();
  }
}
