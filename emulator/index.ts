// pulumi-snapclone/emulator: the control planes in one process, in memory, for tests and for programs that have no
// cloud at hand. It shares no code with the provider: it is a second, independent reading of the wire.

import { type AssemblyOptions, assemble, type ControlPlanes } from "./assembly";
import { type Logins, loginsAt } from "./logins";
import { startServer } from "./server";

export type { Timings } from "./assembly";
export type {
  Behaviour,
  BehaviourHandle,
  MessageRow,
  Quotas,
  SnapshotRow,
  VolumeAttachment,
  VolumeRow,
} from "./cinderModel";
export { CinderModel, SEED_VOLUMES } from "./cinderModel";
export type { ClockMode } from "./clock";
export { FAULT_ACTIONS, type FaultAction, type FaultHandle, type FaultMatch, type FaultRule } from "./faults";
export type {
  ApplicationCredential,
  Assignment,
  CatalogueEndpoint,
  CatalogueEntry,
  Project,
  Token,
  User,
} from "./keystone";
export { KeystoneModel } from "./keystone";
export type { RequestLog, RequestLogEntry, RequestMatch } from "./log";
export type { Login, OpenStackConnection, PowerVcConnection, ViprConnection, ZStackConnection } from "./logins";
export type { FileRow, NovaTrouble, ServerRow } from "./novaModel";
export { NovaModel } from "./novaModel";
export {
  CLONE_STEPS,
  type CloneRequest,
  type CloneStep,
  type CloneTask,
  type FlowBehaviour,
  PowerVcModel,
} from "./powervcModel";
export { VIPR_UNAVAILABLE } from "./vipr";
export { ViprAuth, type ViprUser } from "./viprAuth";
export {
  SEED_SESSIONS,
  type ViprBehaviour,
  type ViprGroup,
  ViprModel,
  type ViprSession,
  type ViprTarget,
  type ViprTask,
  type ViprVolume,
} from "./viprModel";
export type { CloneBehaviour, ZStackSettings, ZStackVm, ZStackVolume } from "./zstackModel";
export { ZSTACK_SEED, ZStackModel } from "./zstackModel";

export interface EmulatorOptions extends AssemblyOptions {
  /** Default 0: a free one. */
  port?: number;
  /** Default "127.0.0.1". */
  host?: string;
  /** PEM; https is served then. */
  tls?: { cert: string; key: string };
  /** Added to every answer. */
  latencyMs?: number;
}

export interface Emulator extends Logins, ControlPlanes {
  /** Ends hanging connections, too. */
  close(): Promise<void>;
}

export async function startEmulator(options: EmulatorOptions = {}): Promise<Emulator> {
  const { planes, parts } = assemble(options);
  const server = await startServer(
    {
      port: options.port ?? 0,
      host: options.host ?? "127.0.0.1",
      latencyMs: options.latencyMs ?? 0,
      ...(options.tls === undefined ? {} : { tls: options.tls }),
    },
    parts,
  );
  return { ...loginsAt(server.url), ...planes, close: () => server.close() };
}
