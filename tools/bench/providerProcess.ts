// A provider's process of either shell without an engine: it is started, asked over gRPC and ended as Pulumi's engine does
// it. So one thing can be measured at a time: the start, or a thousand creates that wait.

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import * as grpc from "@grpc/grpc-js";
import { EngineService } from "@pulumi/pulumi/proto/engine_grpc_pb";
import { ResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as pb from "@pulumi/pulumi/proto/provider_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import type { FoundEngine } from "../engine";
import { METER_FOLDER, type Meter } from "./meter";
import { VOLUME } from "./programs";
import { newProject, PLUGIN, peakUntil, readMeter, removeProject } from "./stack";

export type ShellName = "dynamic" | "native";

/** How a create has ended. "recorded": the state gets the object's id and a pending create. */
export type Outcome = "done" | "recorded" | "failed";

export interface ProviderProcess {
  /** From the start of the process to its port. */
  startMs: number;
  create(name: string): Promise<Outcome>;
  cancel(): Promise<void>;
  /** Ends the process, and resolves to what it has needed, and to the peak of its memory until `time` (`Date.now()`). */
  end(time?: number): Promise<Meter & { untilMiB: number }>;
}

type Child = ChildProcessByStdio<Writable, Readable, null>;

const START_MS = 60_000;
/** Pulumi's own launcher of its dynamic provider. */
const LAUNCHER = path.join(
  path.dirname(require.resolve("@pulumi/pulumi/package.json")),
  "pulumi-resource-pulumi-nodejs",
);
/** What a program of the dynamic classes hides in each resource. */
const PROVIDER_TEXT = 'exports.handler=()=>require("pulumi-snapclone/dynamic/v1").snapshot';

export async function startProvider(
  shell: ShellName,
  engine: FoundEngine,
  connection: object,
): Promise<ProviderProcess> {
  const project = newProject(engine, "");
  const logs = await startLogServer();
  const begun = performance.now();
  const child: Child = spawn(shell === "native" ? PLUGIN : LAUNCHER, [logs.address], {
    cwd: project.dir,
    env: { ...project.env, ...project.metering, PULUMI_NODEJS_PROJECT: "bench", PULUMI_NODEJS_STACK: "bench" },
    stdio: ["pipe", "pipe", "inherit"],
    // A group of its own, which gets the signals: the launcher is a shell.
    detached: true,
  });
  const address = `127.0.0.1:${await portOf(child)}`;
  const startMs = performance.now() - begun;
  const client = new ResourceProviderClient(address, grpc.credentials.createInsecure());
  const connections = JSON.stringify({ default: connection });
  const config = shell === "native" ? { connections } : { "snapclone:connections": connections };
  await call(client, "configure", new pb.ConfigureRequest().setArgs(Struct.fromJavaScript(config)));
  return {
    startMs,
    create: (name) => call(client, "create", createRequest(shell, name)).then(() => "done" as const, outcomeOf),
    cancel: async () => {
      await call(client, "cancel", new Empty());
    },
    end: async (time = Date.now()) => {
      const closed = once(child, "close");
      process.kill(-Number(child.pid), "SIGINT");
      await closed;
      client.close();
      logs.close();
      const meter = readMeter(project.metering[METER_FOLDER]);
      const untilMiB = peakUntil(project.metering[METER_FOLDER], time);
      await removeProject(project);
      if (meter === undefined) throw new Error(`the ${shell} provider has written no figures`);
      return { ...meter, untilMiB };
    },
  };
}

function createRequest(shell: ShellName, name: string): pb.CreateRequest {
  const type = shell === "native" ? "snapclone:index:Snapshot" : "pulumi-nodejs:dynamic/snapclone:Snapshot";
  const urn = `urn:pulumi:bench::snapclone-bench::${type}::${name}`;
  const inputs = { volumeId: VOLUME, name, __attempt: `${name}-0123456789abcdef` };
  const hidden = shell === "native" ? {} : { __owner: urn, __provider: PROVIDER_TEXT };
  return new pb.CreateRequest().setUrn(urn).setProperties(Struct.fromJavaScript({ ...inputs, ...hidden }));
}

function call<Request>(client: ResourceProviderClient, method: string, request: Request): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const send = Reflect.get(client, method) as (request: Request, done: grpc.requestCallback<unknown>) => void;
    send.call(client, request, (error, response) => (error ? reject(error) : resolve(response)));
  });
}

function outcomeOf({ metadata }: grpc.ServiceError): Outcome {
  const [packed] = metadata?.get("grpc-status-details-bin") ?? [];
  if (packed === undefined) return "failed";
  const [detail] = Status.deserializeBinary(new Uint8Array(packed as Buffer)).getDetailsList();
  const failed = pb.ErrorResourceInitFailed.deserializeBinary(detail?.getValue_asU8() ?? new Uint8Array());
  const isPending = failed.getProperties()?.getFieldsMap().has("pending") ?? false;
  return failed.getId() !== "" && isPending ? "recorded" : "failed";
}

async function portOf(child: Child): Promise<number> {
  const ended = once(child, "exit").then(() => {
    throw new Error("the provider ended before it had a port");
  });
  const late = new Promise<never>((_resolve, reject) => {
    setTimeout(() => reject(new Error("the provider has no port")), START_MS).unref();
  });
  ended.catch(() => {});
  const [line] = (await Promise.race([once(createInterface(child.stdout), "line"), ended, late])) as [string];
  return Number(line);
}

/** Takes the provider's messages, as the engine does. */
async function startLogServer(): Promise<{ address: string; close(): void }> {
  const server = new grpc.Server();
  const log: grpc.handleUnaryCall<unknown, Empty> = (_call, reply) => reply(null, new Empty());
  server.addService(EngineService, { log });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(error);
      else resolve(bound);
    });
  });
  return { address: `127.0.0.1:${port}`, close: () => server.forceShutdown() };
}
