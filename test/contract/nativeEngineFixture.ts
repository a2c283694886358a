// Pulumi's engine on the other side of the native provider's gRPC service: what it sends, and what it makes of the answers.

import * as grpc from "@grpc/grpc-js";
import { EngineService } from "@pulumi/pulumi/proto/engine_grpc_pb";
import type { LogRequest } from "@pulumi/pulumi/proto/engine_pb";
import { ResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as pb from "@pulumi/pulumi/proto/provider_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import type { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { receive, type SecretPath, send } from "../../provider/native/properties";
import { type Served, serve } from "../../provider/native/server";
import { initFailureIn } from "../support/initFailure";

export type Values = Record<string, unknown>;

export const urnOf = (type: string, name = "one") => `urn:pulumi:dev::shop::snapclone:index:${type}::${name}`;
const SEED = new Uint8Array(32).fill(7);

/** The engine's side of the wire. */
export class Engine {
  readonly messages: { text: string; urn: string; ephemeral: boolean }[] = [];
  private readonly own = new grpc.Server();

  private constructor(
    readonly served: Served,
    readonly client: ResourceProviderClient,
  ) {
    const log: grpc.handleUnaryCall<LogRequest, Empty> = ({ request }, reply) => {
      this.messages.push({ text: request.getMessage(), urn: request.getUrn(), ephemeral: request.getEphemeral() });
      reply(null, new Empty());
    };
    this.own.addService(EngineService, { log });
  }

  static async start(config: Values, providerName = "default_0_1_0"): Promise<Engine> {
    const served = await serve(undefined);
    const address = `127.0.0.1:${served.port}`;
    const engine = new Engine(served, new ResourceProviderClient(address, grpc.credentials.createInsecure()));
    const port = await new Promise((resolve) => {
      engine.own.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (_error, bound) => resolve(bound));
    });
    await engine.call("handshake", new pb.ProviderHandshakeRequest().setEngineAddress(`127.0.0.1:${port}`));
    await engine.call(
      "configure",
      new pb.ConfigureRequest().setArgs(send(config, [["connections"]])).setName(providerName),
    );
    return engine;
  }

  call<Request, Response = unknown>(method: string, request: Request): Promise<Response> {
    return new Promise((resolve, reject) => {
      const call = Reflect.get(this.client, method) as (request: Request, done: grpc.requestCallback<Response>) => void;
      call.call(this.client, request, (error, response) => (error ? reject(error) : resolve(response as Response)));
    });
  }

  async check(type: string, news: Values, olds: Values = {}, secrets: SecretPath[] = []) {
    const request = new pb.CheckRequest().setUrn(urnOf(type)).setRandomseed(SEED);
    const answer: pb.CheckResponse = await this.call("check", request.setOlds(send(olds)).setNews(send(news, secrets)));
    const failures = answer.getFailuresList().map((failure) => [failure.getProperty(), failure.getReason()]);
    return { inputs: answer.getInputs(), failures };
  }

  async create(type: string, inputs: Struct | undefined, { preview = false, timeout = 0, name = "one" } = {}) {
    const request = new pb.CreateRequest().setUrn(urnOf(type, name)).setProperties(inputs);
    const answer: pb.CreateResponse = await this.call("create", request.setPreview(preview).setTimeout(timeout));
    return { id: answer.getId(), outputs: answer.getProperties() };
  }

  async diff(type: string, id: string, olds: Struct | undefined, news: Struct | undefined, ignore: string[] = []) {
    const request = new pb.DiffRequest().setUrn(urnOf(type)).setId(id).setIgnorechangesList(ignore);
    const answer: pb.DiffResponse = await this.call("diff", request.setOlds(olds).setNews(news));
    return {
      some: answer.getChanges() === pb.DiffResponse.DiffChanges.DIFF_SOME,
      replaces: answer.getReplacesList(),
      changed: answer.getDiffsList(),
      details: Object.fromEntries(
        answer
          .getDetaileddiffMap()
          .toArray()
          .map(([path, one]) => [path, kindOf(one)]),
      ),
      deleteFirst: answer.getDeletebeforereplace(),
    };
  }

  async update(
    type: string,
    id: string,
    olds: Struct | undefined,
    news: Struct | undefined,
    { preview = false, timeout = 0, ignore = [] as string[] } = {},
  ) {
    const request = new pb.UpdateRequest().setUrn(urnOf(type)).setId(id).setPreview(preview).setTimeout(timeout);
    request.setIgnorechangesList(ignore);
    const answer: pb.UpdateResponse = await this.call("update", request.setOlds(olds).setNews(news));
    return answer.getProperties();
  }

  async read(type: string, id: string, properties?: Struct, inputs?: Struct) {
    const request = new pb.ReadRequest()
      .setUrn(urnOf(type))
      .setId(id)
      .setProperties(properties ?? send({}));
    const answer: pb.ReadResponse = await this.call("read", inputs ? request.setInputs(inputs) : request);
    return { id: answer.getId(), outputs: answer.getProperties(), inputs: answer.getInputs() };
  }

  async invoke(name: string, args: Values, secrets: SecretPath[] = []) {
    const request = new pb.InvokeRequest().setTok(`snapclone:index:${name}`).setArgs(send(args, secrets));
    const answer: pb.InvokeResponse = await this.call("invoke", request);
    return { result: answer.getReturn(), failed: answer.getFailuresList().map((one) => one.getProperty()) };
  }

  delete(type: string, id: string, properties: Struct | undefined): Promise<unknown> {
    return this.call("delete", new pb.DeleteRequest().setUrn(urnOf(type)).setId(id).setProperties(properties));
  }

  async close(): Promise<void> {
    this.client.close();
    await this.served.provider.end();
    this.served.server.forceShutdown();
    this.own.forceShutdown();
  }
}

function kindOf(one: unknown): string {
  const kind = Array.isArray(one) ? one[0] : (one as pb.PropertyDiff).getKind();
  return Object.entries(pb.PropertyDiff.Kind).find(([, value]) => value === (kind ?? 0))?.[0] ?? "";
}

/** An init failure as the engine reads it. */
export async function initFailure(call: Promise<unknown>) {
  const error = (await call.then(
    () => {
      throw new Error("the call has succeeded");
    },
    (thrown: unknown) => thrown,
  )) as grpc.ServiceError;
  const failed = initFailureIn(error.metadata);
  if (failed === undefined) throw error;
  return { ...failed, error };
}

export const values = (struct: Struct | undefined) => receive(struct).values;

/** Where the secrets are. */
export const secretsIn = (struct: Struct | undefined) => receive(struct).secrets.map((path) => path.join("."));
