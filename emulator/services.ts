// The registry of the emulated services. The server, the control API, the options, the handles of `Emulator` and the
// command are derived from it, so a new service edits this file alone. It adds two lines, whose order does not matter
// (Biome sorts the imports):
//
//   import { toy } from "./toy";    the definition that emulator/toy/index.ts exports (its form: core/definition.ts)
//   toy,                            the last key of SERVICES; it becomes the handle `emulator.toy`

import { cinder } from "./cinder";
import type { DataDefinition } from "./core/data";
import type { ServiceDefinition } from "./core/definition";
import { glance } from "./glance";
import { keystone } from "./keystone";
import { nova } from "./nova";
import { openstack } from "./openstack";
import { powervc } from "./powervc";
import { vipr } from "./vipr";
import { zstack } from "./zstack";

export const SERVICES = {
  openstack,
  keystone,
  glance,
  cinder,
  nova,
  powervc,
  vipr,
  zstack,
};

/** For each key, the model of the service, with `connection` and `env` where the service has a login of its own. */
export type Handles = { readonly [Key in keyof typeof SERVICES]: HandleOf<(typeof SERVICES)[Key]> };

/** Milliseconds of the emulator's own time. */
export type Timings = Intersection<Definition["timings"]>;

/** The options of all services. */
export type ServiceOptions = Intersection<OptionsOf<Definition>>;

export type AnyDefinition = ServiceDefinition;

/** What a user's data may have: for each service its own lists, under the service's key. */
export type EmulatorData = {
  [Key in keyof typeof SERVICES as DataOf<(typeof SERVICES)[Key]> extends never ? never : Key]?:
    | DataOf<(typeof SERVICES)[Key]>
    | undefined;
};

type DataOf<D> = D extends { data?(context: never): DataDefinition<never, infer Data> } ? Data : never;

type Definition = (typeof SERVICES)[keyof typeof SERVICES];

type HandleOf<D extends Definition> = ReturnType<D["model"]> & ReturnType<NonNullable<D["credentials"]>>;

type OptionsOf<D extends Definition> = D extends Definition ? Parameters<D["model"]>[0]["options"] : never;

type Intersection<Union> = (Union extends unknown ? (member: Union) => void : never) extends (
  all: infer All extends object,
) => void
  ? All
  : never;
