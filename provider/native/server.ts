// The plugin's process: serves the provider on a port of its own, prints the port, and ends with the engine. The engine's
// address is the last argument, or comes with the handshake.

import { inspect } from "node:util";
import * as grpc from "@grpc/grpc-js";
import * as messages from "@pulumi/pulumi/proto/engine_pb";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import { redact } from "../core/errors";
import { endWithProcess, engineAddress, ignoresCancel, logSender } from "../pulumi/engine";
import { NativeProvider } from "./provider";
import { handlers } from "./service";

/** The engine's own limit for a message. */
const MAX_MESSAGE_BYTES = 400 * 1024 * 1024;

export interface Served {
  provider: NativeProvider;
  server: grpc.Server;
  port: number;
}

/** `address` is the engine's, if it is known already. */
export async function serve(address: string | undefined): Promise<Served> {
  let log: ReturnType<typeof logSender> | undefined;
  const connect = (to: string) => {
    if (to !== "") log = logSender({ grpc, messages }, to);
  };
  if (address !== undefined) connect(address);
  const provider = new NativeProvider((...message) => log?.(...message));
  const server = new grpc.Server({
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
    // Statistics that nobody asks for, kept for each call.
    "grpc.enable_channelz": 0,
  });
  server.addService(ResourceProviderService, handlers(provider, { connect, ignoresCancel: ignoresCancel() }));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(error);
      else resolve(bound);
    });
  });
  return { provider, server, port };
}

/** What the bundled plugin runs. */
export async function main(): Promise<void> {
  // As Pulumi's dynamic provider does: a fault that nobody has caught must not end the creates of the other resources.
  for (const event of ["unhandledRejection", "uncaughtException"]) {
    process.on(event, (error: unknown) =>
      console.error(redact(`unexpected error, please report it: ${inspect(error)}`)),
    );
  }
  const { provider, port } = await serve(engineAddress());
  endWithProcess({ end: () => provider.end(), stop: (reason) => provider.stop(reason) });
  process.stdout.write(`${port}\n`);
}
