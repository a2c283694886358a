// The emulator answers as the real services did: every recorded exchange is replayed, in the order of the recording.

import { type Emulator, startEmulator } from "../../emulator";
import { Translation } from "./recording";
import {
  type Callers,
  CINDER_CALLERS,
  CINDER_PROJECT,
  CINDER_VOLUME,
  type CinderStage,
  KEYSTONE_ADMIN,
  KEYSTONE_PASSWORD,
  NOVA_CALLERS,
  NOVA_SERVER,
  NOVA_VOLUME,
  type NovaStage,
  replayCinder,
  replayKeystone,
  replayNova,
  type Stage,
  type Tokens,
} from "./replay";

const WHERE = "the emulator";

describe("cinder", () => {
  replayCinder(WHERE, cinderStage);
});

describe("keystone", () => {
  replayKeystone(WHERE, keystoneStage);
});

describe("nova", () => {
  replayNova(WHERE, novaStage);
});

async function cinderStage(): Promise<CinderStage> {
  const emulator = await startEmulator({ clock: "manual", quotas: { volumes: 10, snapshots: 10, gigabytes: 1000 } });
  const { cinder, clock } = emulator;
  const tokens = tokensOf(emulator, CINDER_CALLERS);
  cinder.volumes.clear();
  for (const { id, name } of cinder.volumeTypes.values()) if (name !== "__DEFAULT__") cinder.volumeTypes.delete(id);
  cinder.createVolume({ id: CINDER_VOLUME, project_id: CINDER_PROJECT, name: "v", size: 1 });
  // The driver of the recording looked at the name; the lab's does (test/openstack/faulty_driver.py).
  cinder.behaviour({ match: { name: /fail-create/ }, create: "error" });
  cinder.behaviour({ match: { name: /busy/ }, delete: "busy" });
  cinder.behaviour({ match: { name: /fail-delete/ }, delete: "error" });
  return {
    url: `${emulator.url}/volume`,
    translation: new Translation(),
    tokens,
    waitForWork: () => clock.tick(10_000),
    setVolume: (id, fields) => set(cinder.volumes.get(id), fields),
    setSnapshot: (id, fields) => set(cinder.snapshots.get(id), fields),
    removeSnapshot: (id) => void cinder.removeSnapshot(id),
    close: () => emulator.close(),
  };
}

async function keystoneStage(): Promise<Stage> {
  const emulator = await startEmulator({ clock: "manual" });
  const { keystone } = emulator;
  keystone.users.clear();
  keystone.projects.clear();
  const user = keystone.createUser({ id: KEYSTONE_ADMIN, name: "admin", password: KEYSTONE_PASSWORD });
  const project = keystone.createProject({ name: "admin" });
  for (const scope of [project.id, null]) keystone.assign(user.id, scope, ["admin", "member", "reader"]);
  return { url: `${emulator.url}/identity`, translation: new Translation(), close: () => emulator.close() };
}

async function novaStage(): Promise<NovaStage> {
  const emulator = await startEmulator({ clock: "manual" });
  const { cinder, nova } = emulator;
  cinder.createVolume({ id: NOVA_VOLUME });
  nova.createServer({ id: NOVA_SERVER, name: "guest" });
  const since = "2026-11-21T01:00:00.000000";
  const attachment = {
    id: NOVA_VOLUME,
    attachment_id: "11111111-2222-4333-8444-555555555555",
    volume_id: NOVA_VOLUME,
    server_id: NOVA_SERVER,
    host_name: null,
    device: "/dev/vda",
    attached_at: since,
  };
  return {
    url: `${emulator.url}/compute`,
    translation: new Translation(),
    tokens: tokensOf(emulator, NOVA_CALLERS),
    set: ({ attached = true, multiattach = false, server = {} }) => {
      const idle = { host: "compute-1", vm_state: "active", task_state: null, launched_at: since };
      set(nova.servers.get(NOVA_SERVER), { ...idle, ...server });
      set(cinder.volumes.get(NOVA_VOLUME), { multiattach, attachments: attached ? [attachment] : [] });
    },
    close: () => emulator.close(),
  };
}

function tokensOf({ keystone }: Emulator, callers: Callers): Tokens {
  const tokens = Object.entries(callers).map(([name, { projectId, roles }]) => {
    if (!keystone.projects.has(projectId)) keystone.createProject({ id: projectId, name: projectId });
    const user = keystone.createUser({ name, password: "x" });
    const token = keystone.issue({
      userId: user.id,
      methods: ["password"],
      projectId,
      system: false,
      roles: [...roles],
      applicationCredentialId: null,
    });
    return [name, token.id];
  });
  return Object.fromEntries(tokens);
}

function set(row: object | undefined, fields: object): void {
  if (row === undefined) throw new Error("the emulator has no such row");
  Object.assign(row, fields);
}
