// ZStack's inventories: for each Java class its fields with their types, and the other inventories that a condition reaches
// through it. Queries know these fields and no others (docs/wire/zstack.md#query-fields).

import type { ZStackModel } from "./model";
import * as places from "./places";
import { nicView, tagView, vmRow, vmView, volumeView } from "./views";

/** "texts" is a list of texts, "objects" a list of other inventories, which has no value to compare. */
export type FieldType = "text" | "number" | "boolean" | "time" | "texts" | "objects";

export type InventoryName =
  | "vm"
  | "nic"
  | "volume"
  | "userTag"
  | "zone"
  | "cluster"
  | "host"
  | "primaryStorage"
  | "l3Network"
  | "globalConfig";

/** Java's @ExpandedQuery: rows of `inventory` whose `key` is this row's `foreignKey`. */
export interface Expansion {
  readonly inventory: InventoryName;
  readonly foreignKey: string;
  readonly key: string;
}

export type Row = Readonly<Record<string, unknown>>;

export interface Inventory {
  readonly className: string;
  readonly fields: Readonly<Record<string, FieldType>>;
  readonly expansions: Readonly<Record<string, Expansion>>;
  rows(model: ZStackModel): readonly Row[];
  /** The row with its lists, for an answer. Default: the row itself. */
  whole?(model: ZStackModel, row: Row): Row;
}

const DATES = { time: "createDate lastOpDate" } as const;

const TO_ZONE = { zone: expand("zone", "zoneUuid") };
const TO_CLUSTER = { cluster: expand("cluster", "clusterUuid") };
const TO_VM = { vmInstance: expand("vm", "vmInstanceUuid") };

export const INVENTORIES: Readonly<Record<InventoryName, Inventory>> = {
  vm: {
    className: "org.zstack.header.vm.VmInstanceInventory",
    fields: fields({
      text:
        "uuid name description zoneUuid clusterUuid imageUuid hostUuid lastHostUuid instanceOfferingUuid rootVolumeUuid " +
        "platform architecture defaultL3NetworkUuid type hypervisorType allocatorStrategy state guestOsType",
      number: "memorySize reservedMemorySize cpuNum cpuSpeed",
      objects: "vmNics allVolumes vmCdRoms",
      ...DATES,
    }),
    expansions: {
      ...TO_ZONE,
      ...TO_CLUSTER,
      host: expand("host", "hostUuid"),
      rootVolume: expand("volume", "rootVolumeUuid"),
      vmNics: expand("nic", "uuid", "vmInstanceUuid"),
      allVolumes: expand("volume", "uuid", "vmInstanceUuid"),
    },
    rows: ({ vms }) => [...vms.values()].map(vmRow),
    whole: (model, row) => {
      const vm = model.vms.get(String(row.uuid));
      return vm ? vmView(model, vm) : row;
    },
  },
  nic: {
    className: "org.zstack.header.vm.VmNicInventory",
    fields: fields({
      text: "uuid vmInstanceUuid l3NetworkUuid ip mac hypervisorType netmask gateway metaData driverType internalName type state",
      number: "ipVersion deviceId",
      objects: "usedIps",
      ...DATES,
    }),
    expansions: { ...TO_VM, l3Network: expand("l3Network", "l3NetworkUuid") },
    rows: ({ vms }) => [...vms.values()].flatMap((vm) => vm.nics.map((_, deviceId) => nicView(vm, deviceId))),
  },
  volume: {
    className: "org.zstack.header.volume.VolumeInventory",
    fields: fields({
      text:
        "uuid name description primaryStorageUuid vmInstanceUuid diskOfferingUuid rootImageUuid installPath type format " +
        "state status volumeQos lastVmInstanceUuid protocol",
      number: "size actualSize deviceId",
      boolean: "isShareable",
      time: "createDate lastOpDate lastDetachDate lastAttachDate",
    }),
    expansions: { ...TO_VM, primaryStorage: expand("primaryStorage", "primaryStorageUuid") },
    rows: ({ volumes }) => [...volumes.values()].map(volumeView),
  },
  userTag: {
    className: "org.zstack.header.tag.UserTagInventory",
    fields: fields({ text: "uuid resourceUuid resourceType tag type tagPatternUuid", objects: "tagPattern", ...DATES }),
    expansions: {},
    rows: ({ tags }) => [...tags.values()].map(tagView),
  },
  zone: {
    className: "org.zstack.header.zone.ZoneInventory",
    fields: fields({ text: "uuid name description state type", boolean: "isDefault", ...DATES }),
    expansions: {
      vmInstance: expand("vm", "uuid", "zoneUuid"),
      cluster: expand("cluster", "uuid", "zoneUuid"),
      host: expand("host", "uuid", "zoneUuid"),
      primaryStorage: expand("primaryStorage", "uuid", "zoneUuid"),
      l3Network: expand("l3Network", "uuid", "zoneUuid"),
    },
    rows: (model) => [places.zone(model)],
  },
  cluster: {
    className: "org.zstack.header.cluster.ClusterInventory",
    fields: fields({ text: "name uuid description state hypervisorType zoneUuid type architecture", ...DATES }),
    expansions: {
      ...TO_ZONE,
      host: expand("host", "uuid", "clusterUuid"),
      vmInstance: expand("vm", "uuid", "clusterUuid"),
    },
    rows: (model) => [places.cluster(model)],
  },
  // A query's target is the parent class, so it does not know what KVMHostInventory adds.
  host: {
    className: "org.zstack.header.host.HostInventory",
    fields: fields({
      text:
        "zoneUuid name uuid clusterUuid description managementIp hypervisorType state status ipmiAddress ipmiUsername " +
        "ipmiPowerStatus cpuStatus memoryStatus diskStatus nicStatus gpuStatus powerSupplyStatus fanStatus raidStatus " +
        "temperatureStatus architecture",
      number:
        "totalCpuCapacity availableCpuCapacity cpuSockets totalMemoryCapacity availableMemoryCapacity cpuNum ipmiPort",
      ...DATES,
    }),
    expansions: { ...TO_ZONE, ...TO_CLUSTER, vmInstance: expand("vm", "uuid", "hostUuid") },
    rows: (model) => [places.host(model)],
  },
  primaryStorage: {
    className: "org.zstack.header.storage.primary.PrimaryStorageInventory",
    fields: fields({
      text: "uuid zoneUuid name url description type state status mountPath",
      number: "totalCapacity availableCapacity totalPhysicalCapacity availablePhysicalCapacity systemUsedCapacity",
      texts: "attachedClusterUuids",
      ...DATES,
    }),
    expansions: { ...TO_ZONE, volume: expand("volume", "uuid", "primaryStorageUuid") },
    rows: (model) => [places.primaryStorage(model)],
  },
  l3Network: {
    className: "org.zstack.header.network.l3.L3NetworkInventory",
    fields: fields({
      text: "uuid name description type zoneUuid l2NetworkUuid state dnsDomain category",
      number: "ipVersion",
      boolean: "system enableIPAM isolated",
      texts: "dns",
      objects: "ipRanges networkServices hostRoute reservedIpRanges",
      ...DATES,
    }),
    expansions: { ...TO_ZONE, vmNic: expand("nic", "uuid", "l3NetworkUuid") },
    rows: (model) => [places.l3Network(model)],
  },
  globalConfig: {
    className: "org.zstack.core.config.GlobalConfigInventory",
    fields: fields({ text: "name category description defaultValue value", number: "id" }),
    expansions: {},
    rows: places.globalConfigs,
  },
};

function fields(names: Partial<Record<FieldType, string>>): Record<string, FieldType> {
  const typed = Object.entries(names) as [FieldType, string][];
  return Object.fromEntries(typed.flatMap(([type, list]) => list.split(" ").map((name) => [name, type])));
}

function expand(inventory: InventoryName, foreignKey: string, key = "uuid"): Expansion {
  return { inventory, foreignKey, key };
}
