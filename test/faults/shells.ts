// The two ways in which Pulumi calls the provider in one run: the functions of the core, as the dynamic classes' code calls
// them, and the handlers of the native provider's service. The native calls pass through the bytes of their messages, and
// what an error has told is what the engine reads of its status.

import { randomUUID } from "node:crypto";
import type * as grpc from "@grpc/grpc-js";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as pb from "@pulumi/pulumi/proto/provider_pb";
import type { AnyDefinition } from "../../provider/core/definition";
import { diff } from "../../provider/core/diff";
import { create, read, remove, update } from "../../provider/core/lifecycle";
import type { Properties } from "../../provider/core/operation";
import { PartialFailure } from "../../provider/core/outputs";
import type { Run, RunOptions } from "../../provider/core/run";
import { parseDuration } from "../../provider/core/util/duration";
import { lookups } from "../../provider/lookups";
import { receive, send } from "../../provider/native/properties";
import { NativeProvider } from "../../provider/native/provider";
import { handlers } from "../../provider/native/service";
import { withNativeTypes } from "../../provider/pulumi/urns";
import { initFailureIn } from "../support/initFailure";

/** What the engine keeps of a resource: its id and outputs. */
export interface Entry {
  id: string;
  properties: Properties;
  inputs?: Properties;
}

/** `news` has the hidden inputs that a program of the dynamic classes gives, `__timeouts` among them. */
export interface Shell {
  create(news: Properties): Promise<Entry>;
  /** Undefined if the object is gone. `inputs` are those of the state. */
  read(id: string, properties: Properties, inputs: Properties): Promise<Entry | undefined>;
  update(id: string, olds: Properties, news: Properties): Promise<Entry>;
  remove(id: string, properties: Properties): Promise<void>;
  diff(id: string, olds: Properties, news: Properties): Promise<{ replaces: boolean; changes: boolean }>;
  getSnapshot(args: Properties): Promise<Properties>;
  end(): Promise<void>;
}

/** The entry that an error has given to the engine. */
export function entryIn(error: unknown): Entry | undefined {
  if (error instanceof PartialFailure) return { id: error.id, properties: error.properties };
  return error instanceof NativeFailure ? error.entry : undefined;
}

export function coreShell(definition: AnyDefinition, run: Run): Shell {
  return {
    async create(news) {
      const { id, outs } = await create(definition, run, news);
      return { id, properties: outs };
    },
    async read(id, properties) {
      const found = await read(definition, run, id, properties);
      return found.id === undefined ? undefined : { id: found.id, properties: found.props, inputs: found.inputs };
    },
    update: async (id, olds, news) => ({ id, properties: (await update(definition, run, id, olds, news)).outs }),
    remove: (id, properties) => remove(definition, run, id, properties),
    async diff(id, olds, news) {
      // The engine shows an id that it has recorded before it does anything with it.
      run.registerRecorded(definition, id);
      const { replaces = [], changes } = diff(definition, olds, news, run.stackOf(news));
      return { replaces: replaces.length > 0, changes: changes !== false };
    },
    getSnapshot: async (args) => ({ ...(await lookups(configuration()).getSnapshot(args)) }),
    end: () => run.end(),
  };
}

export type NativeOptions = Required<Pick<RunOptions, "clock" | "log" | "askState">>;

/** What an answered status has told the engine. The wire has no kinds of errors. */
export class NativeFailure extends Error {
  constructor(
    message: string,
    readonly entry: Entry | undefined,
  ) {
    super(message);
    this.stack = message;
  }
}

/** No run here loses its provider alone, so none of them needs the journal's files. */
const NO_JOURNAL = { begin: () => {}, end: () => {}, endAll: () => {}, diedAlone: async () => false };

export function nativeShell({ log, ...options }: NativeOptions, owner: string): Shell {
  const provider = new NativeProvider(log, { ...options, attempts: NO_JOURNAL, origin: () => "" });
  const service = handlers(provider, { connect: () => {}, ignoresCancel: false });
  const urn = withNativeTypes(owner);
  const call = <Request, Response>(method: Method, request: Request) =>
    overWire<Request, Response>(service, method, request);
  const entryOf = (id: string, outputs: Parameters<typeof receive>[0]): Entry => ({
    id,
    properties: receive(outputs).values,
  });
  // It configures at once, and a new provider has no earlier run to end.
  void provider.configure({ values: { connections: configuration() }, secrets: [] });
  return {
    async create(news) {
      const request = new pb.CreateRequest().setUrn(urn).setProperties(inputsOf(news));
      const answer: pb.CreateResponse = await call("create", request.setTimeout(secondsOf(news, "create")));
      return entryOf(answer.getId(), answer.getProperties());
    },
    async read(id, properties, inputs) {
      const request = new pb.ReadRequest().setUrn(urn).setId(id).setInputs(inputsOf(inputs));
      const answer: pb.ReadResponse = await call("read", request.setProperties(send(properties)));
      if (answer.getId() === "") return undefined;
      return { ...entryOf(answer.getId(), answer.getProperties()), inputs: receive(answer.getInputs()).values };
    },
    async update(id, olds, news) {
      const request = new pb.UpdateRequest().setUrn(urn).setId(id).setOlds(send(olds)).setNews(inputsOf(news));
      const answer: pb.UpdateResponse = await call("update", request.setTimeout(secondsOf(news, "update")));
      return entryOf(id, answer.getProperties());
    },
    async remove(id, { __timeouts, ...outputs }) {
      const request = new pb.DeleteRequest().setUrn(urn).setId(id).setProperties(send(outputs));
      await call("delete", request.setTimeout(secondsOf({ __timeouts }, "delete")));
    },
    async diff(id, olds, news) {
      const request = new pb.DiffRequest().setUrn(urn).setId(id).setOlds(send(olds)).setNews(inputsOf(news));
      const answer: pb.DiffResponse = await call("diff", request);
      const changes = answer.getChanges() !== pb.DiffResponse.DiffChanges.DIFF_NONE;
      return { replaces: answer.getReplacesList().length > 0, changes };
    },
    async getSnapshot(args) {
      const request = new pb.InvokeRequest().setTok("snapclone:index:getSnapshot").setArgs(send(args));
      const answer: pb.InvokeResponse = await call("invoke", request);
      return receive(answer.getReturn()).values;
    },
    end: () => provider.end(),
  };
}

/** Lookups keep one client for each configuration, so each run has another one. */
function configuration(): string {
  return JSON.stringify({ [randomUUID()]: {} });
}

/** As a check has answered them: of the hidden inputs, a program gives none, and the state has the attempt. */
function inputsOf({ __owner, __provider, __timeouts, ...inputs }: Properties) {
  return send(inputs);
}

function secondsOf({ __timeouts }: Properties, operation: "create" | "update" | "delete"): number {
  const text = (__timeouts as Record<string, string> | undefined)?.[operation];
  return text === undefined ? 0 : (parseDuration(text) ?? 0) / 1000;
}

type Method = "create" | "read" | "update" | "delete" | "diff" | "invoke";

function overWire<Request, Response>(service: object, method: Method, request: Request): Promise<Response> {
  const handler = Reflect.get(service, method) as (
    call: { request: Request },
    reply: (status: grpc.StatusObject | null, response?: Response) => void,
  ) => void;
  const wire = ResourceProviderService[method] as unknown as grpc.MethodDefinition<Request, Response>;
  const received = wire.requestDeserialize(wire.requestSerialize(request));
  return new Promise((resolve, reject) => {
    handler({ request: received }, (status, response) => {
      if (status === null) resolve(wire.responseDeserialize(wire.responseSerialize(response as Response)));
      else reject(failureOf(status));
    });
  });
}

function failureOf({ details, metadata }: grpc.StatusObject): NativeFailure {
  const failed = initFailureIn(metadata);
  if (failed === undefined) return new NativeFailure(details, undefined);
  const properties = receive(failed.outputs).values;
  return new NativeFailure(failed.reasons.join("\n"), { id: failed.id, properties });
}
