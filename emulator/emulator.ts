// Builds the services of the registry and what a server needs to answer for them.

import { Clock, type ClockMode } from "./core/clock";
import { createControl } from "./core/control";
import { checkData, type DataPart } from "./core/data";
import type { Credentials, ServiceContext } from "./core/definition";
import { type FaultHandle, type FaultRule, Faults } from "./core/faults";
import { header, type Service } from "./core/http";
import { Ids } from "./core/ids";
import { createLog, type RequestLog } from "./core/requestLog";
import type { ServerParts } from "./core/server";
import { type DeprecatedNames, deprecatedNames } from "./deprecated";
import {
  type AnyDefinition,
  type EmulatorData,
  type Handles,
  SERVICES,
  type ServiceOptions,
  type Timings,
} from "./services";

export interface CreateOptions extends ServiceOptions {
  /** Ids and tokens depend on it. @default 1 */
  seed?: number;
  /** How asynchronous work advances. @default "real" */
  clock?: ClockMode;
  timings?: Partial<Timings>;
  /** Rows beside the seed data: docs/emulator.md, "Your own data". Wrong data are an error that names every wrong place. */
  data?: EmulatorData;
}

/** An emulator without its server. */
export interface EmulatorState extends Handles, DeprecatedNames {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly clock: { now(): Date; tick(ms: number): void };
  readonly faults: { add(rule: FaultRule): FaultHandle; clear(): void };
  readonly requests: RequestLog;
  /** A connection to each platform, by name, as `--write-config` writes them. */
  connections(): Record<string, object>;
  /** Restores the start: seed data, ids and clock; no fault rules and no log. */
  reset(): void;
}

interface CreatedEmulator {
  readonly parts: ServerParts;
  /** The emulator as its clients see it at this URL. */
  at(url: string): EmulatorState;
}

interface BuiltService {
  readonly definition: AnyDefinition;
  readonly model: object;
  readonly service: Service | undefined;
  readonly context: ServiceContext;
}

const DEFINITIONS: Readonly<Record<string, AnyDefinition>> = SERVICES;

export function createEmulator(options: CreateOptions = {}): CreatedEmulator {
  const seed = options.seed ?? 1;
  const clock = new Clock(options.clock);
  const ids = new Ids(seed);
  const faults = new Faults();
  const log = createLog();
  const built = buildAll(clock, ids, options);
  const services = built.flatMap(({ service }) => service ?? []);

  const reset = () => {
    ids.reset();
    clock.reset();
    faults.reset();
    log.clear();
    for (const service of services) service.reset();
    load();
  };
  const dataOfServices = dataParts(built);
  const given: Readonly<Record<string, unknown>> = options.data ?? {};
  let load = () => {};
  // The emulator starts with a reset, so that the first run and every later one have the same ids.
  reset();
  // What is known is known only now.
  checkData(given, dataOfServices);
  load = () => {
    for (const { key, data, model } of dataOfServices) if (given[key] !== undefined) data.load(model, given[key]);
  };
  load();

  const control = createControl({
    services,
    faults,
    log,
    clock,
    seed,
    routes: built.flatMap(({ definition, model, context }) => definition.controls?.(model, context) ?? []),
    reset,
    revokeTokens: () => {
      for (const { definition, model } of built) definition.tokens?.revokeAll(model);
    },
  });
  const revokeTokensOf: ServerParts["revokeTokensOf"] = (request) => {
    for (const { definition, model } of built) {
      const token = definition.tokens && header(request, definition.tokens.header);
      if (token !== undefined) definition.tokens?.revoke(model, token);
    }
  };
  return {
    parts: { services, faults, log, clock, control, revokeTokensOf },
    at: (url) => {
      const handles = handlesAt(url, built);
      return {
        ...handles,
        ...deprecatedNames(handles),
        url,
        clock,
        faults,
        requests: log.entries,
        connections: () => connectionsOf(handles),
        reset,
      };
    },
  };
}

/** Builds each service after the services that it uses, and in this order: Cinder's seed needs Keystone's project. */
function buildAll(clock: Clock, ids: Ids, options: CreateOptions): BuiltService[] {
  const definitions = Object.values(DEFINITIONS);
  const timings = Object.assign({}, ...definitions.map((definition) => definition.timings), options.timings);
  const built = new Map<AnyDefinition, BuiltService>();
  const build = (definition: AnyDefinition): BuiltService => {
    const known = built.get(definition);
    if (known !== undefined) return known;
    const model = definition.model(context);
    const created = { definition, model, service: definition.service?.(model, context), context };
    built.set(definition, created);
    return created;
  };
  const context: ServiceContext = { clock, ids, timings, options, use: build as ServiceContext["use"] };
  for (const definition of definitions) build(definition);
  return [...built.values()];
}

/** In the order in which the services are built: Nova's servers name Cinder's volumes. */
function dataParts(built: readonly BuiltService[]): DataPart[] {
  return built.flatMap(({ definition, model, context }) => {
    const data = definition.data?.(context);
    return data === undefined ? [] : [{ key: keyOf(definition), data, model }];
  });
}

function keyOf(definition: AnyDefinition): string {
  return Object.keys(DEFINITIONS).find((key) => DEFINITIONS[key] === definition) ?? "";
}

function handlesAt(url: string, built: readonly BuiltService[]): Handles {
  const handles = built.map(({ definition, model, context }) => [
    keyOf(definition),
    Object.assign(model, definition.credentials?.(url, model, context)),
  ]);
  return Object.fromEntries(handles) as Handles;
}

function connectionsOf(handles: Handles): Record<string, object> {
  const connections = Object.entries(DEFINITIONS).flatMap(([key, definition]) => {
    if (definition.credentials === undefined) return [];
    const handle = (handles as unknown as Record<string, Credentials>)[key];
    const names: Readonly<Record<string, string | undefined>> = definition.connections ?? { [key]: undefined };
    return Object.entries(names).map(([name, user]) => [name, handle?.connection(user)]);
  });
  return Object.fromEntries(connections) as Record<string, object>;
}
