// How an answer of the emulator fits the classes of ZStack's Java SDK: which fields the server always sends.

export interface Answer {
  readonly crash?: string;
  readonly error?: { code: string; description?: string; details?: string };
  // biome-ignore lint/suspicious/noExplicitAny: the SDK's results, of which each test asserts what it needs
  readonly value?: any;
  /** The SDK's class of each object in the result. */
  readonly classes?: Record<string, string>;
  /** What the server's answer has and the SDK's class has not. */
  readonly unknown?: string[];
  /** What the SDK's classes have and the server's answer has not, as class and field. */
  readonly missing?: string[];
}

/** The server sends it (@APINoSee in SessionInventory.java), and the generator of the SDK leaves it out. */
const NOT_IN_THE_SDK = new Set(["inventory.noSessionEvaluation"]);

/** Maps in the server's own classes: ErrorCode.java, APIGetCurrentTimeReply.java. */
const MAPS = /(^|\.)(opaque|currentTime)$/;

/**
 * The fields without a value on some objects, which Gson leaves out: their columns may be NULL (conf/db), or nothing sets
 * them. The server always sends every other field (docs/wire/zstack.md#always).
 */
const MAY_BE_ABSENT: Readonly<Record<string, string>> = {
  VmInstanceInventory: "description hostUuid lastHostUuid instanceOfferingUuid rootVolumeUuid reservedMemorySize",
  VmNicInventory: "metaData ipVersion",
  UsedIpInventory: "usedFor",
  VolumeInventory:
    "description vmInstanceUuid diskOfferingUuid rootImageUuid deviceId volumeQos lastVmInstanceUuid lastDetachDate " +
    "lastAttachDate protocol",
  UserTagInventory: "tagPatternUuid tagPattern",
  SessionInventory: "userType",
  ZoneInventory: "description",
  ClusterInventory: "description",
  KVMHostInventory:
    "description ipmiAddress ipmiUsername ipmiPort ipmiPowerStatus cpuStatus memoryStatus diskStatus nicStatus gpuStatus " +
    "powerSupplyStatus fanStatus raidStatus temperatureStatus",
  PrimaryStorageInventory: "description",
  L3NetworkInventory: "description dnsDomain",
  IpRangeInventory: "description addressMode ipRangeType",
  TaskProgressInventory: "parentUuid opaque subTasks arguments",
  CloneVmInstanceInventory: "error inventory",
  ErrorCode: "elaboration messages location cost cause opaque",
  ErrorCodeList: "elaboration messages location cost cause opaque",
};

/** @param chosen Whether the query itself leaves fields out. */
export function misfits({ classes = {}, unknown = [], missing = [] }: Answer, chosen: boolean) {
  const isAllowed = (one: string) => {
    const [name = "", field = ""] = one.split(".");
    return MAY_BE_ABSENT[name]?.split(" ").includes(field) ?? false;
  };
  return {
    untyped: Object.entries(classes).filter(([path, name]) => /Map|Object/.test(name) && !MAPS.test(path)),
    unknown: unknown.filter((path) => !NOT_IN_THE_SDK.has(path)),
    missing: chosen ? [] : missing.filter((one) => !isAllowed(one)),
  };
}
