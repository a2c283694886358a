// A guest in QEMU that boots from a Cinder volume, and libvirt's own view of its disk. No image and no network: it finds
// nothing to boot and runs nevertheless, which is all that a disk needs to be switched.

import { execFileSync } from "node:child_process";
import { chmodSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Hypervisor } from "../scenarios/assistedSnapshot";
import type { LabAnswer, OpenStackLab } from "./lab";

const FLAVOR = "snapclone-tiny";

export interface Guest extends Hypervisor {
  readonly serverId: string;
  /** Its memory is free again. The server stays in Nova's books: it can't be deleted without a network service. */
  end(): Promise<void>;
}

export async function bootGuest(lab: OpenStackLab): Promise<Guest> {
  const nova = (method: string, path: string, body?: unknown, as = lab.connection) =>
    // 2.37 knows servers without a network.
    lab.request(method, `${lab.novaUrl}${path}`, body, { as, headers: { "OpenStack-API-Version": "compute 2.37" } });

  const volumeId = idOf(await lab.request("POST", "/volumes", { volume: { size: 1, name: "guest" } }), "volume");
  const status = async () => {
    const { body } = await lab.request("GET", `/volumes/${volumeId}`);
    return (body as { volume: { status: string } }).volume.status;
  };
  await until(status, "available", 120_000);
  await lab.request("POST", `/volumes/${volumeId}/action`, { "os-set_bootable": { bootable: true } });
  // There already: 409.
  await nova(
    "POST",
    "/flavors",
    { flavor: { name: FLAVOR, id: FLAVOR, ram: 64, vcpus: 1, disk: 0 } },
    lab.adminConnection,
  );
  const disk = { boot_index: 0, uuid: volumeId, source_type: "volume", destination_type: "volume" };
  const server = { name: "guest", flavorRef: FLAVOR, networks: "none", block_device_mapping_v2: [disk] };
  const serverId = idOf(await nova("POST", "/servers", { server }), "server");
  // GET of a server fails without a network service, but the short list doesn't. When it runs Nova isn't done with it yet.
  const listed = async (status: string) => {
    const { body } = await nova("GET", `/servers?status=${status}`);
    return (body as { servers: { id: string }[] }).servers.some(({ id }) => id === serverId);
  };
  const state = async () => ((await listed("ACTIVE")) ? "active" : (await listed("ERROR")) ? "error" : "building");
  await until(state, "active", 180_000);

  const files = () => [...virsh("dumpxml", serverId).matchAll(/<source file='([^']+)'/g)].map(([, file = ""]) => file);
  return {
    connections: { default: { ...lab.adminConnection }, member: { ...lab.connection } },
    serverId,
    volumeId,
    idleVolumeId: lab.volumes[0] ?? "",
    chain: async () => files().map((file) => basename(file)),
    async makeFile(name, backing) {
      const folder = dirname(files()[0] ?? "");
      // By name alone: with a path in the chain no later merge works (docs/wire/openstack.md#seen-assisted-create).
      execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", backing, name], { cwd: folder });
      // QEMU has an account of its own.
      chmodSync(join(folder, name), 0o666);
    },
    async row(id) {
      const { body } = await lab.request("GET", `/snapshots/${id}`);
      return (body as { snapshot: Awaited<ReturnType<Hypervisor["row"]>> }).snapshot;
    },
    async end() {
      virsh("destroy", serverId);
    },
  };
}

function virsh(...args: string[]): string {
  try {
    return execFileSync("virsh", ["-q", "-c", "qemu:///system", ...args], {
      encoding: "utf8",
      timeout: 20_000,
      stdio: ["ignore", "pipe", "ignore"],
    });
  } catch {
    return "";
  }
}

function idOf({ status, body }: LabAnswer, kind: string): string {
  const id = (body as Record<string, { id?: string } | undefined>)[kind]?.id;
  if (id === undefined) throw new Error(`no ${kind}: ${status} ${JSON.stringify(body)}`);
  return id;
}

async function until(fetch: () => Promise<string>, wanted: string, limitMs: number): Promise<void> {
  const deadline = Date.now() + limitMs;
  for (let seen = await fetch(); seen !== wanted; seen = await fetch()) {
    if (seen === "error" || Date.now() > deadline) throw new Error(`"${seen}" instead of "${wanted}"`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
