// pulumi-snapclone/emulator: the control planes in one process, in memory, for tests and for programs that have no
// cloud at hand. It shares no code with the provider: it is a second, independent reading of the wire.

import { startServer } from "./core/server";
import { type AllCredentials, credentialsAt } from "./credentials";
import { type CreateOptions, createEmulator, type Services } from "./emulator";

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
export { FAULT_ACTIONS, type FaultAction, type FaultHandle, type FaultMatch, type FaultRule } from "./core/faults";
export type { RequestLog, RequestLogEntry, RequestMatch } from "./core/requestLog";
export type {
  Credentials as Login,
  OpenStackConnection,
  PowerVcConnection,
  ViprConnection,
  ZStackConnection,
} from "./credentials";
export type { Timings } from "./emulator";
export type {
  ApplicationCredential,
  Assignment,
  CatalogueEndpoint,
  CatalogueEntry,
  Project,
  Token,
  User,
} from "./keystone/service";
export { KeystoneModel } from "./keystone/service";
export type { FileRow, NovaFailure as NovaTrouble, ServerRow } from "./nova/model";
export { NovaModel } from "./nova/model";
export {
  CLONE_STEPS,
  type CloneRequest,
  type CloneStep,
  type CloneTask,
  type FlowBehaviour,
  PowerVcModel,
} from "./powervc/model";
export { ViprAuth, type ViprUser } from "./vipr/auth";
export {
  SEED_SESSIONS,
  type ViprBehaviour,
  type ViprGroup,
  ViprModel,
  type ViprSession,
  type ViprTarget,
  type ViprTask,
  type ViprVolume,
} from "./vipr/model";
export { VIPR_UNAVAILABLE } from "./vipr/service";
export type { CloneBehaviour, ZStackSettings, ZStackVm, ZStackVolume } from "./zstack/model";
export { ZSTACK_SEED, ZStackModel } from "./zstack/model";

export interface EmulatorOptions extends CreateOptions {
  /** Default 0: a free one. */
  port?: number;
  /** Default "127.0.0.1". */
  host?: string;
  /** PEM; https is served then. */
  tls?: { cert: string; key: string };
  /** Added to every answer. */
  latencyMs?: number;
}

export interface Emulator extends AllCredentials, Services {
  /** Ends hanging connections, too. */
  close(): Promise<void>;
}

export async function startEmulator(options: EmulatorOptions = {}): Promise<Emulator> {
  const { planes, parts } = createEmulator(options);
  const server = await startServer(
    {
      port: options.port ?? 0,
      host: options.host ?? "127.0.0.1",
      latencyMs: options.latencyMs ?? 0,
      ...(options.tls === undefined ? {} : { tls: options.tls }),
    },
    parts,
  );
  return { ...credentialsAt(server.url), ...planes, close: () => server.close() };
}
