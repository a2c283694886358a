// The provider process's dealings with Pulumi's engine beyond answering calls: messages in the resource's row, the signals
// that a run ends, is cancelled or has lost its CLI, and the fields of requests that Pulumi's dynamic provider drops. None
// of it is documented by Pulumi (docs/wire/pulumi-engine.md), so the provider also works where a part is missing.

import { fstatSync } from "node:fs";
import { createRequire } from "node:module";
import type { Client, ServiceError } from "@grpc/grpc-js";
import { redact } from "../core/errors";
import type { Log, Run, Severity } from "../core/run";
import { type CheckMessages, firstSeed } from "./firstRequest";

/** How long the warnings at the end may take: the engine kills the process five seconds after SIGINT (docs/wire/pulumi-engine.md). */
const END_MS = 4_000;
/** How long operations have to end once the CLI is gone. */
const ORPHAN_MS = 2_000;

/** Messages that the engine has not acknowledged. */
const unacknowledged = new Set<Promise<void>>();

/** Logs to the engine. Outside a provider process it logs nothing. */
export function engineLog(): Log {
  const load = pulumiRequire();
  const address = engineAddress();
  if (!load || address === undefined) return () => {};
  let send: ReturnType<typeof logSender> | undefined;
  return (severity, text, urn) => {
    try {
      send ??= logSender({ grpc: load("@grpc/grpc-js"), messages: load("@pulumi/pulumi/proto/engine_pb") }, address);
      send(severity, text, urn);
    } catch {
      // A message that cannot be sent must not end an operation.
    }
  };
}

/** `modules` are the process's own copies: the dynamic provider has Pulumi's, the plugin its bundled ones. */
export function logSender(
  { grpc, messages }: { grpc: typeof import("@grpc/grpc-js"); messages: EngineMessages },
  address: string,
): (severity: Severity, text: string, urn?: string) => void {
  const { LogRequest, LogSeverity } = messages;
  // Statistics that nobody asks for would be kept for each message.
  const client: Client = new grpc.Client(address, grpc.credentials.createInsecure(), { "grpc.enable_channelz": 0 });
  return (severity, text, urn) => {
    const request = new LogRequest();
    request.setSeverity(severity === "warning" ? LogSeverity.WARNING : LogSeverity.INFO);
    request.setMessage(redact(text));
    request.setUrn(urn ?? "");
    request.setEphemeral(severity === "status");
    const answered = new Promise<void>((resolve) => {
      client.makeUnaryRequest(
        "/pulumirpc.Engine/Log",
        (message: EngineLogRequest) => Buffer.from(message.serializeBinary()),
        // Not Empty.deserializeBinary, which `onCancel` replaces.
        () => undefined,
        request,
        (_error: ServiceError | null) => resolve(),
      );
    });
    unacknowledged.add(answered);
    void answered.then(() => unacknowledged.delete(answered));
  };
}

/** Ends or stops the run with the process. Called once, when the provider is loaded. */
export function superviseRun(run: Run): void {
  const load = pulumiRequire();
  if (!load) return;
  endWithProcess({ end: () => run.end(), stop: (reason) => run.stop(reason) });
  if (!ignoresCancel()) onCancel(load, () => run.stop("cancelled"));
}

/** The user wants a cancelled run to wait for what it has begun. */
export function ignoresCancel(): boolean {
  return process.env.SNAPCLONE_IGNORE_CANCEL === "1";
}

/** Ends the run when the engine asks the process to end, and stops the run when the engine is gone. */
export function endWithProcess({ end, stop }: { end(): Promise<void>; stop(reason: string): void }): void {
  // The end of every run: SIGINT once the engine has nothing left to do. On Windows the engine sends Ctrl-Break, which
  // Node calls SIGBREAK (pulumi sdk/go/common/util/cmdutil/term_windows.go).
  const endRun = () => {
    const told = end()
      .catch(() => {})
      // The process must not exit before its messages have arrived.
      .then(() => Promise.all(unacknowledged));
    const limit = new Promise((resolve) => setTimeout(resolve, END_MS).unref());
    void Promise.race([told, limit]).then(() => process.exit(0));
  };
  process.once("SIGINT", endRun);
  process.once("SIGBREAK", endRun);

  // When the CLI dies, stdin ends and no signal comes. Only a pipe shows that: /dev/null ends at once.
  if (isPipe(0)) {
    process.stdin.once("end", () => {
      stop("the Pulumi CLI is gone");
      setTimeout(() => process.exit(1), ORPHAN_MS);
    });
    process.stdin.once("error", () => {});
    process.stdin.resume();
  }
}

/** Loads from the copy of Pulumi that runs this process, since its internals are the ones in use. */
function pulumiRequire(): NodeJS.Require | undefined {
  const main = process.argv[1];
  return main !== undefined && /[\\/]cmd[\\/]dynamic-provider/.test(main) ? createRequire(main) : undefined;
}

/**
 * On Ctrl-C the engine calls Cancel and then waits for the operations in flight, however long. Pulumi's dynamic provider
 * ignores Cancel. It is the only request of type Empty that comes after this code is loaded.
 */
function onCancel(load: NodeJS.Require, cancelled: () => void): void {
  try {
    const { Empty } = load("google-protobuf/google/protobuf/empty_pb.js") as { Empty: EmptyMessage };
    const original = Empty.deserializeBinary;
    Empty.deserializeBinary = (bytes) => {
      cancelled();
      return original.call(Empty, bytes);
    };
  } catch {
    // A Pulumi without this class: a cancelled run ends when its operations do.
  }
}

/** What an error says of itself to Pulumi's handlers; the engine is told its message. */
const TOLD = "pulumi-snapclone: the engine has the message";
let isTelling = false;

/**
 * The engine prints the message of an error that it is answered. Pulumi's handlers of check, diff, read and delete also
 * write `${error}: ${error.stack}` to stderr (docs/wire/pulumi-engine.md#errors), and a user would read it three times.
 */
export function tellErrorsOnce(): void {
  if (!pulumiRequire()) return;
  isTelling = true;
  const original = console.error;
  console.error = (...args: unknown[]) => {
    if (args[0] !== `${TOLD}: ${TOLD}`) original.apply(console, args);
  };
}

/** An error for the engine, with nothing for the handlers. */
export function answerOf(message: string): Error {
  const answer = new Error(message);
  answer.stack = isTelling ? TOLD : message;
  if (isTelling) answer.toString = () => TOLD;
  return answer;
}

/** Where a field that Pulumi's dynamic provider drops travels: an input that exists between Pulumi's reading of a request and ours, and nowhere else. */
const REQUEST = "__request";

let checkRequest: CheckMessages | undefined;
/** The first request of the process is read before this code is loaded (docs/wire/pulumi-engine.md#request-fields). */
let isFirstCheck = true;

/** Puts the fields of each request into its own properties, where `takeRandomSeed` and `takeTimeout` find them. */
export function passRequestFields(): void {
  const load = pulumiRequire();
  if (!load) return;
  try {
    const messages = load("@pulumi/pulumi/proto/provider_pb") as ProviderMessages;
    const { Value } = load("google-protobuf/google/protobuf/struct_pb.js") as StructMessages;
    const pass = <Message>(
      type: { deserializeBinary(bytes: Uint8Array): Message },
      propertiesOf: (request: Message) => Properties | undefined,
      fieldOf: (request: Message) => string | number,
    ) => {
      const original = type.deserializeBinary;
      type.deserializeBinary = (bytes) => {
        const request = original.call(type, bytes);
        const field = fieldOf(request);
        // Protobuf's "not set".
        if (field !== "" && field !== 0)
          propertiesOf(request)?.getFieldsMap().set(REQUEST, Value.fromJavaScript(field));
        return request;
      };
    };
    const timeoutOf = (request: TimedMessage) => request.getTimeout();
    pass(
      messages.CheckRequest,
      (check) => check.getNews(),
      (check) => check.getRandomseed_asB64(),
    );
    pass(messages.CreateRequest, (create) => create.getProperties(), timeoutOf);
    pass(messages.UpdateRequest, (update) => update.getNews(), timeoutOf);
    pass(messages.DeleteRequest, (remove) => remove.getProperties(), timeoutOf);
    checkRequest = messages.CheckRequest;
  } catch {
    // Another Pulumi, without this: objects get no attempt, and are told apart by number and time; `customTimeouts` are
    // those that the program gives.
  }
}

/**
 * Takes the timeout in milliseconds out of the properties of a create, update or delete: `customTimeouts` as
 * transformations and the provider's defaults have left them.
 */
export function takeTimeout(properties: Record<string, unknown>): number | undefined {
  const seconds = properties[REQUEST];
  delete properties[REQUEST];
  return typeof seconds === "number" ? seconds * 1000 : undefined;
}

/**
 * Takes the seed out of a check's new inputs. `urn` is that of a resource that is to be made, undefined for any other:
 * nothing else needs the seed.
 */
export function takeRandomSeed(inputs: Record<string, unknown>, urn: string | undefined): Uint8Array | undefined {
  const passed = inputs[REQUEST];
  delete inputs[REQUEST];
  const mayBeFirst = isFirstCheck && passed === undefined && urn !== undefined;
  isFirstCheck = false;
  const seed = mayBeFirst && checkRequest ? firstSeed(checkRequest, urn) : passed;
  return typeof seed === "string" && seed !== "" ? Buffer.from(seed, "base64") : undefined;
}

function isPipe(fd: number): boolean {
  try {
    const stat = fstatSync(fd);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false;
  }
}

/** The last argument of the process (docs/wire/pulumi-engine.md#log). */
export function engineAddress(): string | undefined {
  const address = process.argv.at(-1);
  return address !== undefined && /:\d+$/.test(address) ? address : undefined;
}

interface TimedMessage {
  /** Seconds; 0 where none is given. */
  getTimeout(): number;
}

interface Properties {
  getFieldsMap(): { set(key: string, value: unknown): void };
}

interface ProviderMessages {
  CheckRequest: CheckMessages;
  CreateRequest: MessageType<TimedMessage & { getProperties(): Properties | undefined }>;
  UpdateRequest: MessageType<TimedMessage & { getNews(): Properties | undefined }>;
  DeleteRequest: MessageType<TimedMessage & { getProperties(): Properties | undefined }>;
}

interface MessageType<Message> {
  deserializeBinary(bytes: Uint8Array): Message;
}

interface StructMessages {
  Value: { fromJavaScript(value: string | number): unknown };
}

interface EmptyMessage {
  deserializeBinary(bytes: Uint8Array): unknown;
}

interface EngineLogRequest {
  setSeverity(severity: number): void;
  setMessage(text: string): void;
  setUrn(urn: string): void;
  setEphemeral(ephemeral: boolean): void;
  serializeBinary(): Uint8Array;
}

interface EngineMessages {
  LogRequest: new () => EngineLogRequest;
  LogSeverity: { INFO: number; WARNING: number };
}
