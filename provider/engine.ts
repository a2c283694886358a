// What the provider process has to do with Pulumi's engine beyond answering its calls: words into the resource's row,
// the signs that a run ends, is cancelled or has lost its CLI. All of it is undocumented (reference pulumi-dynamic.md
// §6, §7), so every piece is looked for and, where it is missing, done without.

import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import type { Client, ServiceError } from "@grpc/grpc-js";
import { redact } from "./core/errors";
import type { Living, Log, Run, Severity, Siblings } from "./core/run";

/** How long the last settling may take: the engine kills the process five seconds after SIGINT (pulumi-engine.md §3). */
const END_MS = 4_000;
/** How long waits get to record what is pending, once the CLI is gone and nobody listens. */
const ORPHAN_MS = 2_000;

/** The process's script is Pulumi's own cmd/dynamic-provider: its copy of Pulumi is the one whose internals count. */
function pulumiRequire(): NodeJS.Require | undefined {
  const main = process.argv[1];
  return main !== undefined && /[\\/]cmd[\\/]dynamic-provider/.test(main) ? createRequire(main) : undefined;
}

/** One engine may have several provider processes: its address is what they share. A host's name sets two hosts apart. */
export function engineRun(): { id?: string; siblings?: Siblings } {
  const address = engineAddress();
  if (address === undefined) return {};
  const id = createHash("sha256").update(`${hostname()} ${address}`).digest("hex").slice(0, 16);
  return { id, siblings: siblingsOf(id) };
}

/** A file beside the processes, that comes to be with the first note: most runs have none. */
export function siblingsOf(id: string): Siblings {
  const file = join(tmpdir(), `snapclone-run-${id}`);
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;
  const open = <T>(flags: number, use: (descriptor: number) => T): T | undefined => {
    try {
      // Windows has no O_NOFOLLOW, and temporary folders of each user's own.
      const descriptor = openSync(file, flags | (O_NOFOLLOW ?? 0), 0o600);
      try {
        // The name can be guessed, in a folder that everybody may write to.
        return fstatSync(descriptor).uid === (process.getuid?.() ?? 0) ? use(descriptor) : undefined;
      } finally {
        closeSync(descriptor);
      }
    } catch {
      return undefined;
    }
  };
  let own = false;
  return {
    tell(living) {
      own = true;
      open(O_WRONLY | O_APPEND | O_CREAT, (descriptor) => writeSync(descriptor, `${JSON.stringify(living)}\n`));
    },
    told: () => open(O_RDONLY, (descriptor) => readFileSync(descriptor, "utf8").split("\n").flatMap(livingIn)) ?? [],
    forget() {
      if (own) rmSync(file, { force: true });
    },
  };
}

function livingIn(line: string): Living[] {
  try {
    return [JSON.parse(line) as Living];
  } catch {
    return [];
  }
}

/** Outside a provider process nothing is logged there. */
export function engineLog(): Log {
  const load = pulumiRequire();
  const address = engineAddress();
  if (!load || address === undefined) return () => {};
  let send: ReturnType<typeof logSender> | undefined;
  return (severity, text, urn) => {
    try {
      send ??= logSender(load, address);
      send(severity, redact(text), urn);
    } catch {
      // A word that can't be said must not end an operation.
    }
  };
}

function logSender(load: NodeJS.Require, address: string): (severity: Severity, text: string, urn?: string) => void {
  const grpc = load("@grpc/grpc-js") as typeof import("@grpc/grpc-js");
  const { LogRequest, LogSeverity } = load("@pulumi/pulumi/proto/engine_pb") as EngineMessages;
  const client: Client = new grpc.Client(address, grpc.credentials.createInsecure());
  return (severity, text, urn) => {
    const request = new LogRequest();
    request.setSeverity(severity === "warning" ? LogSeverity.WARNING : LogSeverity.INFO);
    request.setMessage(text);
    request.setUrn(urn ?? "");
    request.setEphemeral(severity === "status");
    client.makeUnaryRequest(
      "/pulumirpc.Engine/Log",
      (message: EngineLogRequest) => Buffer.from(message.serializeBinary()),
      // Not Empty.deserializeBinary: `onCancel` listens there.
      () => undefined,
      request,
      (_error: ServiceError | null) => {},
    );
  };
}

/** Ties the run to the process's life. Called once, when the provider is loaded. */
export function superviseRun(run: Run): void {
  const load = pulumiRequire();
  if (!load) return;

  // The end of every run: SIGINT once the engine has nothing left to do.
  process.once("SIGINT", () => {
    const settled = run.end().catch(() => {});
    const limit = new Promise((resolve) => setTimeout(resolve, END_MS).unref());
    void Promise.race([settled, limit]).then(() => process.exit(0));
  });

  // The CLI died: its end of our stdin closes, and no signal comes. Only a pipe says so: /dev/null ends at once.
  if (isPipe(0)) {
    process.stdin.once("end", () => {
      run.stop("the Pulumi CLI is gone");
      setTimeout(() => process.exit(1), ORPHAN_MS);
    });
    process.stdin.once("error", () => {});
    process.stdin.resume();
  }

  if (process.env.SNAPCLONE_IGNORE_CANCEL !== "1") onCancel(load, () => run.stop("cancelled"));
}

/**
 * Ctrl-C: the engine calls Cancel, which Pulumi's dynamic provider answers and ignores, and then waits for what is in
 * flight, however long. Cancel is the only request of type Empty that comes after this code is loaded.
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
    // Another Pulumi, without this: a cancelled run ends when its operations do.
  }
}

function isPipe(fd: number): boolean {
  try {
    const stat = fstatSync(fd);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false;
  }
}

/** The last argument (pulumi-dynamic.md §7.1). */
function engineAddress(): string | undefined {
  const address = process.argv.at(-1);
  return address !== undefined && /:\d+$/.test(address) ? address : undefined;
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
