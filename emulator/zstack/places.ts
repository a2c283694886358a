// What VMs are placed in: one zone, one cluster, one host, one primary storage, one network. This file also has the global
// configuration of VMs.

import { ZSTACK_SEED, type ZStackModel } from "./model";
import { ofClass } from "./schema";

const GIB = 2 ** 30;

/** The texts of conf/globalConfig/vm.xml. */
const DELETE_DATA_VOLUMES =
  "A boolean value indicating whether deleting attached data volumes when destroying a vm. If false, the data volume will be detached and be retained in primary storage";

export const NETMASK = "255.255.255.0";
export const GATEWAY = "192.168.10.1";

export function zone(model: ZStackModel): Record<string, unknown> {
  return ofClass("header.zone.ZoneInventory", {
    uuid: ZSTACK_SEED.zone,
    name: "zone",
    description: null,
    state: "Enabled",
    type: "zstack",
    isDefault: true,
    ...dates(model),
  });
}

export function cluster(model: ZStackModel): Record<string, unknown> {
  return ofClass("header.cluster.ClusterInventory", {
    name: "cluster",
    uuid: ZSTACK_SEED.cluster,
    description: null,
    state: "Enabled",
    hypervisorType: "KVM",
    zoneUuid: ZSTACK_SEED.zone,
    type: "zstack",
    architecture: "x86_64",
    ...dates(model),
  });
}

export function host(model: ZStackModel): Record<string, unknown> {
  const used = model.living().filter(({ hostUuid }) => hostUuid === ZSTACK_SEED.host);
  const sum = (values: number[]) => values.reduce((all, one) => all + one, 0);
  const cpus = 10 * 32;
  const memory = 1024 * GIB;
  return ofClass("kvm.KVMHostInventory", {
    zoneUuid: ZSTACK_SEED.zone,
    name: "host",
    uuid: ZSTACK_SEED.host,
    clusterUuid: ZSTACK_SEED.cluster,
    description: null,
    managementIp: "172.20.14.228",
    hypervisorType: "KVM",
    state: "Enabled",
    status: "Connected",
    totalCpuCapacity: cpus,
    availableCpuCapacity: Math.max(0, cpus - sum(used.map(({ cpuNum }) => cpuNum))),
    cpuSockets: 2,
    totalMemoryCapacity: memory,
    availableMemoryCapacity: Math.max(0, memory - sum(used.map(({ memorySize }) => memorySize))),
    cpuNum: 32,
    architecture: "x86_64",
    username: "root",
    sshPort: 22,
    osDistribution: "centos",
    osRelease: "Core",
    osVersion: "7.6.1810",
    ...dates(model),
  });
}

export function primaryStorage(model: ZStackModel): Record<string, unknown> {
  const total = 100 * 1024 * GIB;
  const used = [...model.volumes.values()].reduce((sum, { size }) => sum + size, 0);
  return ofClass("header.storage.primary.PrimaryStorageInventory", {
    uuid: ZSTACK_SEED.primaryStorage,
    zoneUuid: ZSTACK_SEED.zone,
    name: "primary storage",
    url: "/zstack_ps",
    description: null,
    totalCapacity: total,
    availableCapacity: Math.max(0, total - used),
    totalPhysicalCapacity: total,
    availablePhysicalCapacity: Math.max(0, total - used),
    systemUsedCapacity: 0,
    type: "LocalStorage",
    state: "Enabled",
    status: "Connected",
    mountPath: "/zstack_ps",
    attachedClusterUuids: [ZSTACK_SEED.cluster],
    ...dates(model),
  });
}

export function l3Network(model: ZStackModel): Record<string, unknown> {
  const range = ofClass("header.network.l3.IpRangeInventory", {
    uuid: ZSTACK_SEED.ipRange,
    l3NetworkUuid: ZSTACK_SEED.l3Network,
    name: "range",
    description: null,
    startIp: "192.168.10.2",
    endIp: "192.168.10.254",
    netmask: NETMASK,
    gateway: GATEWAY,
    networkCidr: "192.168.10.0/24",
    ipVersion: 4,
    addressMode: null,
    prefixLen: 24,
    ipRangeType: null,
    ...dates(model),
  });
  return ofClass("header.network.l3.L3NetworkInventory", {
    uuid: ZSTACK_SEED.l3Network,
    name: "network",
    description: null,
    type: "L3BasicNetwork",
    zoneUuid: ZSTACK_SEED.zone,
    l2NetworkUuid: ZSTACK_SEED.l2Network,
    state: "Enabled",
    dnsDomain: null,
    system: false,
    category: "Private",
    ipVersion: 4,
    enableIPAM: true,
    isolated: false,
    dns: [],
    ipRanges: [range],
    networkServices: [],
    hostRoute: [],
    reservedIpRanges: [],
    ...dates(model),
  });
}

export function globalConfigs({ settings }: ZStackModel): Record<string, unknown>[] {
  const row = (id: number, name: string, description: string, value: boolean) =>
    ofClass("core.config.GlobalConfigInventory", {
      id,
      category: "vm",
      name,
      description,
      defaultValue: "false",
      value: String(value),
    });
  return [
    row(1, "dataVolume.deleteOnVmDestroy", DELETE_DATA_VOLUMES, settings.deleteDataVolumes),
    row(2, "uniqueVmName", "enable vm name unique", settings.uniqueVmName),
  ];
}

function dates({ installedMs }: ZStackModel): Record<string, unknown> {
  return { createDate: new Date(installedMs), lastOpDate: new Date(installedMs) };
}
