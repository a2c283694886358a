// What the registry (services.ts) knows about a service. Each service folder exports one definition from its index.ts.

import type { Clock } from "./clock";
import type { ControlRoute } from "./control";
import type { DataDefinition } from "./data";
import type { Service } from "./http";
import type { Ids } from "./ids";

export interface ServiceDefinition<
  Model extends object = object,
  Timings extends object = object,
  Options extends object = object,
  Login extends object = object,
  Wire extends Service = Service,
  Data = unknown,
> {
  /** In the command's texts. Services of one platform have the same. */
  readonly displayName: string;
  /** Milliseconds of the emulator's time, with their defaults. */
  readonly timings: Timings;
  /** The state, which tests read and change. It is the handle `emulator.<key>`. */
  model(context: ServiceContext<Timings, Options>): Model;
  /** The API in front of the model. A group of services such as OpenStack has none of its own. */
  service?(model: Model, context: ServiceContext<Timings, Options>): Wire;
  /** Routes of the control API. */
  controls?(model: Model, context: ServiceContext<Timings, Options>): readonly ControlRoute[];
  readonly tokens?: Tokens<Model>;
  /** What the data of a user may add to the model. */
  data?(context: ServiceContext<Timings, Options>): DataDefinition<Model, Data>;
  /** Adds `connection` and `env` to the handle. Absent for a service that clients reach through another login. */
  credentials?(url: string, model: Model, context: ServiceContext<Timings, Options>): Login;
  /** The connections that the command writes, by name, with their users. Default: one with the service's key. */
  readonly connections?: Readonly<Record<string, string>>;
  /** What the command prints about the seed data. */
  readonly seed?: readonly string[];
}

export interface ServiceContext<Timings extends object = object, Options extends object = object> {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly timings: Timings;
  /** The options of `startEmulator`. */
  readonly options: Options;
  /** The model and the service of another definition. */
  use<Model extends object, Wire extends Service>(
    definition: ServiceDefinition<Model, object, object, object, Wire>,
  ): { readonly model: Model; readonly service: Wire };
}

/** How the emulator revokes a service's tokens. */
export interface Tokens<Model extends object> {
  /** The request header with the token. */
  readonly header: string;
  revoke(model: Model, token: string): void;
  revokeAll(model: Model): void;
}

/** How a program logs in: as a connection of this package, and as the environment variables of the platform's clients. */
export interface Credentials<Connection = object> {
  /** The connection of a user. @default the first user of the seed data */
  connection(user?: string): Connection;
  /** The same login as environment variables. */
  env(user?: string): Record<string, string>;
}

/** Infers the types of a definition. */
export function defineService<
  Model extends object,
  Timings extends object = object,
  Options extends object = object,
  Login extends object = object,
  Wire extends Service = Service,
  Data = never,
>(
  definition: ServiceDefinition<Model, Timings, Options, Login, Wire, Data>,
): ServiceDefinition<Model, Timings, Options, Login, Wire, Data> {
  return definition;
}
