// Uses every export of `pulumi-snapclone/emulator`, as exports/*.ts do of the others.

import {
  type ApplicationCredential,
  type Assignment,
  type Behaviour,
  type BehaviourHandle,
  type CatalogueEndpoint,
  type CatalogueEntry,
  CinderModel,
  CLONE_STEPS,
  type ClockMode,
  type CloneBehaviour,
  type CloneRequest,
  type CloneStep,
  type CloneTask,
  type Credentials,
  type DeprecatedFaultAction,
  type Emulator,
  type EmulatorData,
  type EmulatorOptions,
  FAULT_ACTIONS,
  type FaultAction,
  type FaultHandle,
  type FaultMatch,
  type FaultRule,
  type FileRow,
  type FlowBehaviour,
  GlanceModel,
  type ImageRow,
  KeystoneModel,
  type Login,
  type MessageRow,
  type NovaFailure,
  NovaModel,
  type NovaTrouble,
  type OpenStackConnection,
  type PowerVcConnection,
  PowerVcModel,
  type Project,
  type Quotas,
  type RequestLog,
  type RequestLogEntry,
  type RequestMatch,
  SEED_IMAGE,
  SEED_SESSIONS,
  SEED_VOLUMES,
  type ServerRow,
  type SnapshotRow,
  startEmulator,
  type Timings,
  type Token,
  type User,
  VIPR_UNAVAILABLE,
  ViprAuth,
  type ViprBehaviour,
  type ViprConnection,
  type ViprGroup,
  ViprModel,
  type ViprSession,
  type ViprTarget,
  type ViprTask,
  type ViprUser,
  type ViprVolume,
  type VolumeAttachment,
  type VolumeRow,
  ZSTACK_SEED,
  type ZStackConnection,
  ZStackModel,
  type ZStackSettings,
  type ZStackVm,
  type ZStackVolume,
} from "pulumi-snapclone/emulator";

const clock: ClockMode = "instant";
const timings: Partial<Timings> = { snapshotCreate: 100 };
const quotas: Partial<Quotas> = { snapshots: 3 };
const data: EmulatorData = {
  cinder: { volumes: [{ name: "db", sizeGiB: 50 }], snapshots: [{ volume: "db" }] },
  vipr: { groups: [{ name: "erp" }] },
};
const options: EmulatorOptions = { clock, timings, quotas, seed: 7, data };

export async function tour(): Promise<string[]> {
  const emulator: Emulator = await startEmulator(options);
  const login: Credentials<OpenStackConnection> = emulator.openstack;
  const connection: OpenStackConnection = login.connection("admin");
  const action: FaultAction | undefined = FAULT_ACTIONS[0];
  const match: FaultMatch = { service: "cinder", nth: 2 };
  const earlier: DeprecatedFaultAction = "lose-reply";
  emulator.faults.add({ match, action: earlier });
  const rule: FaultRule = action === undefined ? { match, status: 503 } : { match, action };
  const fault: FaultHandle = emulator.faults.add(rule);
  const behaviour: Behaviour = { match: { name: /^nightly/ }, create: "error" };
  const handle: BehaviourHandle = emulator.cinder.behaviour(behaviour);
  const requests: RequestLog = emulator.requests;
  const asked: RequestMatch = { operation: "snapshots.create" };
  const entries: readonly RequestLogEntry[] = [...requests];
  const models = emulator.cinder instanceof CinderModel && emulator.keystone instanceof KeystoneModel;
  const volume: VolumeRow | undefined = emulator.cinder.volumes.get(SEED_VOLUMES.data);
  const flow: FlowBehaviour = { step: CLONE_STEPS[0] ?? "create_group_type", fails: "no space", times: 1 };
  const powervc = emulator.powervc instanceof PowerVcModel && emulator.powervc.behaviour(flow);
  const login2: PowerVcConnection = emulator.powervc.connection();
  const rows: SnapshotRow[] = [...emulator.cinder.snapshots.values()];
  await emulator.close();
  return [
    connection.authUrl,
    String([fault, handle, asked, models, volume, powervc, login2]),
    ...entries.map(String),
    ...rows.map(String),
  ];
}

export function glanceTour({ glance }: Emulator): string[] {
  const image: ImageRow | undefined = glance.images.get(SEED_IMAGE);
  return [String(glance instanceof GlanceModel), String(image?.size)];
}

export function novaTour({ nova }: Emulator): string[] {
  const failure: NovaFailure = "error";
  const sameFailure: NovaTrouble = failure;
  nova.failNext("create", sameFailure);
  const file: FileRow = nova.createFile(SEED_VOLUMES.logs, "overlay");
  const server: ServerRow | undefined = nova.serverOf(SEED_VOLUMES.logs);
  return [String(nova instanceof NovaModel), file.name, String(server?.vm_state), ...nova.chain(SEED_VOLUMES.logs)];
}

export function viprTour({ vipr, faults }: Emulator): string[] {
  const login: Login<ViprConnection> = vipr;
  const connection: ViprConnection = login.connection();
  const behaviour: ViprBehaviour = { operation: "link", succeed: 1 };
  vipr.failNext(behaviour);
  faults.add({ match: { operation: "tasks.show" }, ...VIPR_UNAVAILABLE.locator });
  const user: ViprUser = { name: "u", password: "p", role: "monitor" };
  vipr.auth.addUser(user);
  const models = vipr instanceof ViprModel && vipr.auth instanceof ViprAuth;
  const targets: ViprTarget[] = vipr.active();
  return [connection.url, String(models), ...targets.map(({ id }) => id), ...vipr.linkedNames(SEED_SESSIONS.monday)];
}

export interface Rows {
  vipr: [ViprVolume, ViprGroup, ViprSession, ViprTask];
  identity: [Project, User, Assignment, ApplicationCredential, Token, CatalogueEntry, CatalogueEndpoint];
  storage: [VolumeAttachment, MessageRow];
  clones: [CloneTask, CloneRequest, CloneStep];
}

export function zstackTour(emulator: Emulator, settings: Partial<ZStackSettings>): (string | undefined)[] {
  const connection: ZStackConnection = emulator.zstack.connection();
  const behaviour: CloneBehaviour = { match: { name: /^web/ }, outcome: "no-host", times: 1 };
  emulator.zstack.cloneBehaviour(behaviour).remove();
  Object.assign(emulator.zstack.settings, settings);
  const vm: ZStackVm | undefined = emulator.zstack.vms.get(ZSTACK_SEED.web);
  const volumes: ZStackVolume[] = [...emulator.zstack.volumes.values()];
  return [connection.url, vm?.name, String(emulator.zstack instanceof ZStackModel), ...volumes.map(({ name }) => name)];
}
