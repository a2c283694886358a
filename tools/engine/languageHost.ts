// A stand-in for Pulumi's language hosts, for an engine that comes without them: serves LanguageRuntime over gRPC, and runs
// programs as the vendor's host of the language does (programs.ts).
//
// It has what local programs need. It has no `pulumi install` and `pulumi about`, no plugins and policy packs written in
// these languages, no debuggers, no tracing, and no pipes for the long deprecated synchronous invokes.
//
// This file is copied next to the engine with programs.ts, so it imports nothing but Node's own modules.

import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { createRequire } from "node:module";
import * as path from "node:path";
import type * as grpc from "@grpc/grpc-js";
import type * as languageGrpc from "@pulumi/pulumi/proto/language_grpc_pb";
import type * as language from "@pulumi/pulumi/proto/language_pb";
import type * as plugin from "@pulumi/pulumi/proto/plugin_pb";
import type * as empty from "google-protobuf/google/protobuf/empty_pb";
import { type Language, type Request, type Starter, starters } from "./programs";

/** A program's exit code for "I have already told the user what is wrong" (@pulumi/pulumi, cmd/run/index.ts). */
const BAIL = 32;
/** As long as the vendor's host gives a program that is asked to end. */
const GRACE_MS = 5_000;
/** The engine's own limit for a message. */
const MAX_MESSAGE_BYTES = 400 * 1024 * 1024;

interface Modules {
  grpc: typeof grpc;
  service: typeof languageGrpc;
  language: typeof language;
  plugin: typeof plugin;
  empty: typeof empty;
}

/** Prints the port on stdout, where the engine reads it. `fallback` is a folder whose @pulumi/pulumi may serve. */
export function serve(fallback: string, name: Language): void {
  const modules = loadModules([process.cwd(), fallback]);
  const programs = new Set<ChildProcess>();
  const server = new modules.grpc.Server({
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
  });
  server.addService(modules.service.LanguageRuntimeService, languageRuntime(modules, starters[name], programs));
  server.bindAsync("127.0.0.1:0", modules.grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error !== null) throw error;
    process.stdout.write(`${port}\n`);
  });
  endWithTheEngine(programs);
}

function languageRuntime(
  modules: Modules,
  start: Starter,
  programs: Set<ChildProcess>,
): grpc.UntypedServiceImplementation {
  const { language, plugin, empty } = modules;
  // The engine's address comes as the last argument, or by a handshake when the engine attaches to a running host.
  let engineAddress = process.argv.slice(2).findLast((arg) => !arg.startsWith("-")) ?? "";

  const handshake: Unary<language.LanguageHandshakeRequest, language.LanguageHandshakeResponse> = (call, reply) => {
    engineAddress = call.request.getEngineAddress();
    reply(null, new language.LanguageHandshakeResponse());
  };
  const run: Unary<language.RunRequest, language.RunResponse> = (call, reply) => {
    const folder = call.request.getInfo()?.getProgramDirectory() || call.request.getPwd();
    const track = (child: ChildProcess) => {
      programs.add(child);
      child.once("exit", () => programs.delete(child));
      call.on("cancelled", () => end(child));
    };
    runProgram(start, { run: call.request, engineAddress, folder, track }, () => call.cancelled).then(
      (outcome) => {
        const response = new language.RunResponse();
        response.setError(outcome.error);
        response.setBail(outcome.bail);
        reply(null, response);
      },
      (error: Error) => reply(error),
    );
  };
  const getPluginInfo: Unary<empty.Empty, plugin.PluginInfo> = (_call, reply) => {
    const info = new plugin.PluginInfo();
    info.setVersion("0.0.0-standin");
    reply(null, info);
  };
  const cancel: Unary<empty.Empty, empty.Empty> = (_call, reply) => {
    for (const program of programs) end(program);
    reply(null, new empty.Empty());
  };

  return {
    handshake,
    run,
    getPluginInfo,
    cancel,
    // Nothing to install beforehand: dynamic providers come with the program's own node_modules.
    getRequiredPackages: answer(() => new language.GetRequiredPackagesResponse()),
    getRequiredPlugins: answer(() => new language.GetRequiredPluginsResponse()),
    getProgramDependencies: answer(() => new language.GetProgramDependenciesResponse()),
    runtimeOptionsPrompts: answer(() => new language.RuntimeOptionsResponse()),
  };
}

type Unary<Request, Response> = grpc.handleUnaryCall<Request, Response>;

function answer<Response>(make: () => Response): Unary<unknown, Response> {
  return (_call, reply) => reply(null, make());
}

interface Outcome {
  error: string;
  bail: boolean;
}

async function runProgram(start: Starter, request: Request, isCancelled: () => boolean): Promise<Outcome> {
  if (request.run.getAttachDebugger()) {
    return failed("this repository's stand-in language host can't attach a debugger; install Pulumi for that");
  }
  const command = await start(request);
  if ("problem" in command) return failed(command.problem);
  if (isCancelled()) {
    command.tidyUp?.();
    return failed("Program was cancelled before it began");
  }
  const child = spawn(command.file, command.args, {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, ...command.env },
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
  });
  request.track(child);
  return new Promise<Outcome>((resolve) => {
    child.once("error", (error) => resolve(failed(`Problem executing program: ${error.message}`)));
    child.once("exit", (code, signal) => {
      if (code === 0) resolve({ error: "", bail: false });
      else if (code === BAIL) resolve({ error: "", bail: true });
      else if (signal !== null) resolve(failed(`Program was ended by ${signal}`));
      else resolve(failed(`Program exited with non-zero exit code: ${code}`));
    });
  }).finally(command.tidyUp);
}

function failed(error: string): Outcome {
  return { error, bail: false };
}

/** Sends an interrupt first, so that the program can clean up. */
function end(program: ChildProcess): void {
  program.kill("SIGINT");
  setTimeout(() => program.kill("SIGKILL"), GRACE_MS).unref();
}

/** No program outlives its host, and no host its engine. The engine sends SIGINT, or its end closes our stdin. */
function endWithTheEngine(programs: Set<ChildProcess>): void {
  let ending = false;
  const endAll = () => {
    if (ending) return;
    ending = true;
    if (programs.size === 0) process.exit(0);
    for (const program of programs) {
      program.once("exit", () => programs.size === 0 && setImmediate(() => process.exit(0)));
      end(program);
    }
    setTimeout(() => process.exit(0), GRACE_MS + 1_000).unref();
  };
  process.on("SIGINT", endAll);
  process.on("SIGTERM", endAll);
  // Only a pipe shows the engine's end (Go makes a FIFO, Node a socket). By hand, stdin is a terminal or /dev/null.
  const stdin = fs.fstatSync(0);
  if (stdin.isFIFO() || stdin.isSocket()) process.stdin.once("end", endAll).resume();
}

function loadModules(folders: readonly string[]): Modules {
  for (const folder of folders) {
    const fromFolder = createRequire(path.join(folder, "noop.js"));
    let manifest: string;
    try {
      manifest = fromFolder.resolve("@pulumi/pulumi/package.json");
    } catch {
      continue;
    }
    // grpc-js and protobuf must be the copies that @pulumi/pulumi itself uses.
    const fromSdk = createRequire(manifest);
    return {
      grpc: fromSdk("@grpc/grpc-js"),
      service: fromSdk("./proto/language_grpc_pb"),
      language: fromSdk("./proto/language_pb"),
      plugin: fromSdk("./proto/plugin_pb"),
      empty: fromSdk("google-protobuf/google/protobuf/empty_pb"),
    };
  }
  throw new Error("@pulumi/pulumi is not installed");
}
