// pulumirpc.ResourceProvider over gRPC: one handler for each call, which translates messages to the plain values of
// provider.ts and back. `provider.main` of @pulumi/pulumi is not used: it drops timeouts, previews, configuration and old
// inputs, and knows no cancel (docs/wire/pulumi-engine.md#native).

import * as grpc from "@grpc/grpc-js";
import { PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import { type IResourceProviderServer, ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as pb from "@pulumi/pulumi/proto/provider_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { Any } from "google-protobuf/google/protobuf/any_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { canonical } from "../core/diff";
import { messageOf, redact } from "../core/errors";
import { version } from "../version";
import type { DiffKind } from "./details";
import { receive, send } from "./properties";
import { type Failure, InitFailure, type NativeProvider, type Sent } from "./provider";
import { schemaText } from "./schema";

export interface Connection {
  /** The engine's address, where messages go. */
  connect(address: string): void;
  /** The user wants a cancelled run to wait for what it has begun. */
  ignoresCancel: boolean;
}

/** Puts a message into the words of this shell's users. */
type Text = (message: string) => string;

type Handler<Request, Response> = (call: { request: Request }) => Response | Promise<Response>;

/** The calls that this provider answers. The others are "unimplemented", and the engine does without. */
export function handlers(provider: NativeProvider, connection: Connection): IResourceProviderServer {
  const text = (message: string) => provider.textForUsers(message);
  const answered = {
    handshake: (({ request }) => {
      connection.connect(request.getEngineAddress());
      provider.beginRun();
      return new pb.ProviderHandshakeResponse().setAcceptSecrets(true);
    }) satisfies Handler<pb.ProviderHandshakeRequest, pb.ProviderHandshakeResponse>,
    attach: (({ request }) => {
      connection.connect(request.getAddress());
      return new Empty();
    }) satisfies Handler<{ getAddress(): string }, Empty>,
    getPluginInfo: () => new PluginInfo().setVersion(version),
    getSchema: () => new pb.GetSchemaResponse().setSchema(schemaText()),
    getMapping: () => new pb.GetMappingResponse(),
    getMappings: () => new pb.GetMappingsResponse(),
    cancel: () => {
      if (!connection.ignoresCancel) provider.stop("cancelled");
      return new Empty();
    },
    ...configurationHandlers(provider, text),
    ...resourceHandlers(provider, text),
  };
  const all = Object.entries(ResourceProviderService).map(([name, { path, responseStream }]) => {
    const handler = Reflect.get(answered, name) as Handler<unknown, unknown> | undefined;
    const unimplemented = { code: grpc.status.UNIMPLEMENTED, details: `${path} is not implemented` };
    if (handler !== undefined) return [name, unary(handler, text)];
    if (responseStream)
      return [name, (call: grpc.ServerWritableStream<unknown, unknown>) => call.emit("error", unimplemented)];
    return [name, (_call: unknown, reply: grpc.sendUnaryData<unknown>) => reply(unimplemented)];
  });
  return Object.fromEntries(all) as IResourceProviderServer;
}

function configurationHandlers(provider: NativeProvider, text: Text) {
  return {
    checkConfig: (({ request }) => {
      const news = receive(request.getNews());
      return failuresOf(new pb.CheckResponse().setInputs(request.getNews()), provider.checkConfig(news), text);
    }) satisfies Handler<pb.CheckRequest, pb.CheckResponse>,
    /** Another connection or password is no reason to replace a copy. The diff of a resource warns if it is another backend. */
    diffConfig: (({ request }) => {
      const [olds, news] = [receive(request.getOldInputs()).values, receive(request.getNews()).values];
      const names = [...new Set([...Object.keys(olds), ...Object.keys(news)])];
      const diffs = names.filter((name) => canonical(olds[name]) !== canonical(news[name]));
      return new pb.DiffResponse().setDiffsList(diffs).setChanges(changes(diffs.length > 0));
    }) satisfies Handler<pb.DiffRequest, pb.DiffResponse>,
    configure: (async ({ request }) => {
      // What is secret of a connection, the connection itself keeps out of messages: most of it is addresses and names.
      // Pulumi names the provider that the stack config is for `default`, or `default_1_2_0`.
      const name = request.getName() ?? "";
      const isExplicit = name !== "" && !/^default(_|$)/.test(name);
      await provider.configure(receive(request.getArgs()), isExplicit ? name : undefined);
      return new pb.ConfigureResponse().setAcceptsecrets(true).setSupportspreview(true);
    }) satisfies Handler<pb.ConfigureRequest, pb.ConfigureResponse>,
    invoke: (async ({ request }) => {
      const answer = await provider.invoke(request.getTok(), receive(request.getArgs()));
      if ("failures" in answer) return failuresOf(new pb.InvokeResponse(), answer.failures, text);
      return new pb.InvokeResponse().setReturn(send(answer.result));
    }) satisfies Handler<pb.InvokeRequest, pb.InvokeResponse>,
  };
}

function resourceHandlers(provider: NativeProvider, text: Text) {
  return {
    check: (async ({ request }) => {
      const [olds, news] = [receive(request.getOlds()), receive(request.getNews())];
      const seed = Buffer.from(request.getRandomseed_asB64(), "base64");
      const { failures, ...inputs } = await provider.check(request.getUrn(), olds, news, seed);
      return failuresOf(new pb.CheckResponse().setInputs(struct(inputs)), failures, text);
    }) satisfies Handler<pb.CheckRequest, pb.CheckResponse>,
    diff: (({ request }) => {
      const [olds, news] = [receive(request.getOlds()), receive(request.getNews())];
      const difference = provider.diff(request.getUrn(), request.getId(), olds, news, request.getIgnorechangesList());
      const response = new pb.DiffResponse()
        .setChanges(changes(difference.hasChanges))
        .setReplacesList(difference.replaces)
        .setStablesList(difference.stables)
        .setDeletebeforereplace(difference.deleteBeforeReplace)
        .setDiffsList(namesAndPaths(difference.details.map(({ path }) => path)))
        .setHasdetaileddiff(true);
      for (const { path, kind, replaces } of difference.details) {
        response.getDetaileddiffMap().set(path, new pb.PropertyDiff().setKind(KINDS[kind][replaces ? 1 : 0]));
      }
      return response;
    }) satisfies Handler<pb.DiffRequest, pb.DiffResponse>,
    create: (async ({ request }) => {
      const options = { preview: request.getPreview(), timeoutMs: timeoutMs(request) };
      const inputs = receive(request.getProperties());
      // gRPC keeps the request until the answer, and a thousand creates may wait for an hour.
      request.clearProperties();
      const { id, outputs } = await provider.create(request.getUrn(), inputs, options);
      return new pb.CreateResponse().setId(id).setProperties(struct(outputs));
    }) satisfies Handler<pb.CreateRequest, pb.CreateResponse>,
    read: (async ({ request }) => {
      const properties = receive(request.getProperties());
      const inputs = request.hasInputs() ? receive(request.getInputs()) : undefined;
      const found = await provider.read(request.getUrn(), request.getId(), properties, inputs, timeoutMs(request));
      if (found === undefined) return new pb.ReadResponse();
      return new pb.ReadResponse().setId(found.id).setProperties(struct(found.outputs)).setInputs(struct(found.inputs));
    }) satisfies Handler<pb.ReadRequest, pb.ReadResponse>,
    update: (async ({ request }) => {
      const ignoreChanges = request.getIgnorechangesList();
      const options = { preview: request.getPreview(), timeoutMs: timeoutMs(request), ignoreChanges };
      const [olds, news] = [receive(request.getOlds()), receive(request.getNews())];
      const { outputs } = await provider.update(request.getUrn(), request.getId(), olds, news, options);
      return new pb.UpdateResponse().setProperties(struct(outputs));
    }) satisfies Handler<pb.UpdateRequest, pb.UpdateResponse>,
    delete: (async ({ request }) => {
      const properties = receive(request.getProperties());
      await provider.delete(request.getUrn(), request.getId(), properties, timeoutMs(request));
      return new Empty();
    }) satisfies Handler<pb.DeleteRequest, Empty>,
  };
}

const { Kind } = pb.PropertyDiff;
const KINDS: Record<DiffKind, readonly [pb.PropertyDiff.Kind, pb.PropertyDiff.Kind]> = {
  add: [Kind.ADD, Kind.ADD_REPLACE],
  delete: [Kind.DELETE, Kind.DELETE_REPLACE],
  update: [Kind.UPDATE, Kind.UPDATE_REPLACE],
};

/** Pulumi's rows (`[diff: ~metadata]`) show the inputs that are named here, and `replaceOnChanges` looks for the paths. */
function namesAndPaths(paths: readonly string[]): string[] {
  return [...new Set(paths.flatMap((path) => [path.replace(/[.[].*/, ""), path]))];
}

function changes(some: boolean): pb.DiffResponse.DiffChanges {
  return some ? pb.DiffResponse.DiffChanges.DIFF_SOME : pb.DiffResponse.DiffChanges.DIFF_NONE;
}

/** Protobuf's 0 is "not set": the definition's own timeout counts. */
function timeoutMs(request: { getTimeout(): number }): number | undefined {
  return request.getTimeout() > 0 ? request.getTimeout() * 1000 : undefined;
}

function struct({ values, secrets }: Sent) {
  return send(values, secrets);
}

function failuresOf<Response extends { addFailures(failure: pb.CheckFailure): unknown }>(
  response: Response,
  failures: readonly Failure[],
  text: Text,
): Response {
  for (const { property, reason } of failures) {
    response.addFailures(new pb.CheckFailure().setProperty(property).setReason(text(reason)));
  }
  return response;
}

function unary(handler: Handler<unknown, unknown>, text: Text): grpc.handleUnaryCall<unknown, unknown> {
  return (call, reply) => {
    Promise.resolve()
      .then(() => handler(call))
      .then(
        (response) => reply(null, response),
        (error: unknown) => reply(statusOf(error, text)),
      );
  };
}

function statusOf(error: unknown, text: Text): Partial<grpc.StatusObject> {
  const details = text(redact(messageOf(error)));
  if (!(error instanceof InitFailure)) return { code: grpc.status.UNKNOWN, details };
  const detail = new pb.ErrorResourceInitFailed()
    .setId(error.id)
    .setProperties(struct(error.properties))
    .setReasonsList(error.reasons.map(text));
  if (error.inputs) detail.setInputs(struct(error.inputs));
  const packed = new Any();
  packed.pack(detail.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
  const status = new Status().setCode(grpc.status.UNKNOWN).setMessage(details);
  status.addDetails(packed);
  const metadata = new grpc.Metadata();
  // Where gRPC libraries look for the details of a status.
  metadata.add("grpc-status-details-bin", Buffer.from(status.serializeBinary()));
  return { code: grpc.status.UNKNOWN, details, metadata };
}
