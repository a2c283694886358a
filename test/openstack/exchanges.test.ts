// The exchanges that the emulator is held against, on the real services of the lab. A difference is one between the
// emulator and a real OpenStack.

import { randomUUID } from "node:crypto";
import { Translation } from "../contract/recording";
import {
  CINDER_CALLERS,
  CINDER_PROJECT,
  CINDER_VOLUME,
  type CinderStage,
  type Fields,
  KEYSTONE_ADMIN,
  KEYSTONE_PASSWORD,
  type LeftOut,
  NOVA_CALLERS,
  NOVA_SERVER,
  NOVA_VOLUME,
  type NovaStage,
  replayCinder,
  replayKeystone,
  replayNova,
  type Stage,
} from "../contract/replay";
import { keystoneAdmin, makeAccounts } from "./accounts";
import { sql, update } from "./database";
import { bootGuest } from "./guest";
import { describeNova, describeOpenStack, type OpenStackLab } from "./lab";

const WHERE = "the lab";

const CINDER_LEFT_OUT: LeftOut = {
  "volume_id uppercase": "recorded on SQLite; MySQL finds an id in any case, so that this makes a snapshot",
};

describeOpenStack("a real OpenStack answers as the emulator does", (lab) => {
  describe("cinder", () => {
    replayCinder(WHERE, () => cinderStage(lab()), CINDER_LEFT_OUT);
  });

  describe("keystone", () => {
    replayKeystone(WHERE, () => keystoneStage(lab()));
  });
});

describeNova("a real Nova answers as the emulator does", (lab) => {
  replayNova(WHERE, () => novaStage(lab()));
});

/** A project of its own on the backend that does what a snapshot's name says. */
async function cinderStage(lab: OpenStackLab): Promise<CinderStage> {
  const accounts = await makeAccounts(lab, CINDER_CALLERS);
  const translation = new Translation();
  for (const [recorded, actual] of accounts.projects) translation.learn(recorded, actual);
  const project = translation.apply(CINDER_PROJECT);
  const url = new URL(lab.cinderUrl).origin;
  const admin = async (method: string, path: string, body?: unknown) =>
    await lab.request(method, `${url}${path}`, body, { as: accounts.connection("admin") });

  const quotas = `/v3/${project}/os-quota-sets/${project}`;
  await admin("PUT", quotas, { quota_set: { volumes: 10, snapshots: 10, gigabytes: 1000 } });
  const volumes = `/v3/${project}/volumes`;
  const { body } = await admin("POST", volumes, { volume: { size: 1, name: "v", availability_zone: "faulty" } });
  const volume = (body as { volume: { id: string } }).volume.id;
  translation.learn(CINDER_VOLUME, volume);

  const waitForWork = async (paths: readonly string[]) => {
    // MySQL keeps created_at in whole seconds, and lists are sorted by it.
    if (paths.length > 0) await sleep(1100);
    const deadline = Date.now() + 120_000;
    for (const path of paths)
      while (["creating", "deleting"].includes(await statusAt(path))) {
        if (Date.now() > deadline) throw new Error(`no end of the work on ${path}`);
        await sleep(200);
      }
  };
  const statusAt = async (path: string) => {
    const { body } = await admin("GET", path);
    const [row] = Object.values(body as Record<string, { status?: string }>);
    return row?.status ?? "gone";
  };
  await waitForWork([`${volumes}/${volume}`]);

  return {
    url,
    translation,
    tokens: accounts.tokens,
    waitForWork,
    setVolume: (id, fields) => update(lab, "cinder.volumes", { id }, fields),
    setSnapshot: (id, fields) => update(lab, "cinder.snapshots", { id }, fields),
    removeSnapshot: (id) => update(lab, "cinder.snapshots", { id }, DELETED),
    ownPart: ({ title }, text) => (title === "all_tenants admin" ? snapshotsOf(volume, text) : text),
    async close() {
      // By rows alone: there is no storage behind them, and some are in states that the API doesn't delete from.
      for (const table of ["cinder.snapshots", "cinder.volumes"]) update(lab, table, { project_id: project }, DELETED);
      await admin("DELETE", quotas);
      await accounts.remove();
    },
  };
}

/** As Cinder leaves a row that is gone. */
const DELETED: Fields = { deleted: "1", status: "deleted" };

/** Without those of other tests. */
function snapshotsOf(volume: string, text: string): string {
  const { snapshots, ...rest } = JSON.parse(text) as { snapshots: { volume_id: string }[] };
  return JSON.stringify({ snapshots: snapshots.filter(({ volume_id }) => volume_id === volume), ...rest });
}

async function keystoneStage(lab: OpenStackLab): Promise<Stage> {
  const keystone = keystoneAdmin(lab);
  const translation = new Translation();
  translation.learn(KEYSTONE_PASSWORD, lab.adminConnection.password);
  // The recorded endpoints are in the catalogue for a few seconds. A client that takes one of them reaches the right service.
  translation.learn("http://127.0.0.1:8776", new URL(lab.cinderUrl).origin);
  translation.learn("http://127.0.0.1:8774", new URL(lab.novaUrl).origin);
  const services = async () => {
    const { services } = (await keystone("GET", "/services")) as { services: { id: string }[] };
    return services.map(({ id }) => id);
  };
  const before = await services();
  return {
    url: new URL(lab.connection.authUrl).origin,
    translation,
    async close() {
      // Their endpoints go with them.
      for (const id of await services()) if (!before.includes(id)) await keystone("DELETE", `/services/${id}`);
      const credentials = `/users/${translation.apply(KEYSTONE_ADMIN)}/application_credentials`;
      const { application_credentials } = (await keystone("GET", credentials)) as {
        application_credentials: { id: string }[];
      };
      for (const { id } of application_credentials) await keystone("DELETE", `${credentials}/${id}`);
    },
  };
}

/**
 * One guest. The file names in the exchanges lead nowhere: what Nova accepts fails in libvirt without a trace, or pulls
 * an image without a backing file into itself.
 */
async function novaStage(lab: OpenStackLab): Promise<NovaStage> {
  const accounts = await makeAccounts(lab, NOVA_CALLERS);
  const guest = await bootGuest(lab);
  const second = randomUUID();
  const translation = new Translation();
  translation.learn(NOVA_SERVER, guest.serverId);
  for (const [recorded, actual] of accounts.projects) translation.learn(recorded, actual);
  const set: NovaStage["set"] = ({ attached = true, multiattach = false, server = {} }) => {
    translation.learn(NOVA_VOLUME, attached ? guest.volumeId : guest.idleVolumeId);
    const idle = { host: "snapclone", vm_state: "active", task_state: null, launched_at: "2026-11-21 01:00:00" };
    update(lab, "nova.instances", { uuid: guest.serverId }, { ...idle, ...server });
    setSecondAttachment(lab, guest.volumeId, second, multiattach);
  };
  return {
    url: new URL(lab.novaUrl).origin,
    translation,
    tokens: accounts.tokens,
    set,
    async close() {
      set({});
      await guest.end();
      await accounts.remove();
    },
  };
}

/** Nova knows a volume that is attached more than once by its rows: there are several. */
function setSecondAttachment(lab: OpenStackLab, volumeId: string, uuid: string, wanted: boolean): void {
  const copy = `
    create temporary table nova.second select * from nova.block_device_mapping where volume_id = '${volumeId}';
    update nova.second set id = 0, uuid = '${uuid}';
    insert into nova.block_device_mapping select * from nova.second;`;
  sql(lab, `delete from nova.block_device_mapping where uuid = '${uuid}'; ${wanted ? copy : ""}`);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
