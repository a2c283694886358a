// pulumi-snapclone/emulator: the control planes in one process, in memory, for tests and for programs without a cloud. It
// shares no code with the provider: it is a second, independent reading of the wire.

import type { Credentials } from "./core/definition";
import { startServer } from "./core/server";
import { type CreateOptions, createEmulator, type EmulatorState } from "./emulator";
import type { NovaFailure } from "./nova/model";
import type { OpenStackConnection } from "./openstack/credentials";

export type {
  Behaviour,
  BehaviourHandle,
  MessageRow,
  Quotas,
  SnapshotRow,
  VolumeAttachment,
  VolumeRow,
} from "./cinder/model";
export { CinderModel, SEED_VOLUMES } from "./cinder/model";
export type { ClockMode } from "./core/clock";
export type { Credentials } from "./core/definition";
export {
  type DeprecatedFaultAction,
  FAULT_ACTIONS,
  type FaultAction,
  type FaultHandle,
  type FaultMatch,
  type FaultRule,
} from "./core/faults";
export type { RequestLog, RequestLogEntry, RequestMatch } from "./core/requestLog";
export { GlanceModel, type ImageRow, SEED_IMAGE } from "./glance/model";
export type {
  ApplicationCredential,
  Assignment,
  CatalogueEndpoint,
  CatalogueEntry,
  Project,
  Token,
  User,
} from "./keystone/model";
export { KeystoneModel } from "./keystone/model";
export type { FileRow, NovaFailure, ServerRow } from "./nova/model";
export { NovaModel } from "./nova/model";
export type { OpenStackConnection } from "./openstack/credentials";
export type { PowerVcConnection } from "./powervc";
export {
  CLONE_STEPS,
  type CloneRequest,
  type CloneStep,
  type CloneTask,
  type FlowBehaviour,
  PowerVcModel,
} from "./powervc/model";
export type { EmulatorData, Timings } from "./services";
export type { ViprConnection } from "./vipr";
export { ViprAuth, type ViprUser } from "./vipr/auth";
export { VIPR_UNAVAILABLE } from "./vipr/errors";
export { ViprModel } from "./vipr/model";
export {
  SEED_SESSIONS,
  type ViprGroup,
  type ViprSession,
  type ViprTarget,
  type ViprTask,
  type ViprVolume,
} from "./vipr/rows";
export type { ViprBehaviour } from "./vipr/tasks";
export type { ZStackConnection } from "./zstack";
export type { CloneBehaviour, ZStackSettings } from "./zstack/model";
export { ZSTACK_SEED, ZStackModel } from "./zstack/model";
export type { ZStackVm, ZStackVolume } from "./zstack/rows";

/** @deprecated Use `Credentials`. */
export type Login<Connection = OpenStackConnection> = Credentials<Connection>;

/** @deprecated Use `NovaFailure`. */
export type NovaTrouble = NovaFailure;

export interface EmulatorOptions extends CreateOptions {
  /** 0: any free port. @default 0 */
  port?: number;
  /** @default "127.0.0.1" */
  host?: string;
  /** A certificate and its key in PEM, to serve https. */
  tls?: { cert: string; key: string };
  /** Milliseconds to wait before each answer. @default 0 */
  latencyMs?: number;
}

/**
 * A running emulator. Each platform has a handle (`openstack`, `powervc`, `vipr`, `zstack`) with the connections of its
 * users and with its state, which a test can read and change.
 *
 * @example
 * ```ts
 * const connection = emulator.openstack.connection("admin"); // for `snapclone:connections` in a stack's configuration
 * Object.assign(process.env, emulator.openstack.env()); // the same for the user "demo", as OS_* variables
 * emulator.openstack.cinder.failNext({ create: "error" }); // the next snapshot ends in the status "error"
 * emulator.clock.tick(60_000); // with { clock: "manual" }
 * ```
 */
export interface Emulator extends EmulatorState {
  /** Stops the server and closes its connections, including those without an answer. */
  close(): Promise<void>;
}

/**
 * Starts the emulator in this process.
 *
 * @example
 * ```ts
 * import { startEmulator } from "pulumi-snapclone/emulator";
 *
 * const emulator = await startEmulator({ clock: "instant" });
 * try {
 *   const { authUrl } = emulator.openstack.connection();
 *   // … run the code under test against authUrl …
 *   console.log(emulator.requests.count({ operation: "snapshots.create" }));
 * } finally {
 *   await emulator.close();
 * }
 * ```
 */
export async function startEmulator(options: EmulatorOptions = {}): Promise<Emulator> {
  const { parts, at } = createEmulator(options);
  const server = await startServer(
    {
      port: options.port ?? 0,
      host: options.host ?? "127.0.0.1",
      latencyMs: options.latencyMs ?? 0,
      ...(options.tls === undefined ? {} : { tls: options.tls }),
    },
    parts,
  );
  return { ...at(server.url), close: () => server.close() };
}
