// The state of a ZStack: VMs, volumes, tags, sessions, jobs, and how its clones go. Tests reach it directly; the API in
// zstack.ts stands in front of it. The facts are in docs/wire/zstack.md.

import type { Clock } from "../core/clock";
import type { Ids } from "../core/ids";

export interface ZStackVm {
  uuid: string;
  name: string;
  description: string | null;
  /** One of docs/wire/zstack.md#states. */
  state: string;
  type: string;
  zoneUuid: string;
  clusterUuid: string | null;
  hostUuid: string | null;
  lastHostUuid: string | null;
  imageUuid: string;
  rootVolumeUuid: string | null;
  defaultL3NetworkUuid: string;
  cpuNum: number;
  memorySize: number;
  nics: { uuid: string; ip: string; mac: string; l3NetworkUuid: string }[];
  createdMs: number;
  changedMs: number;
}

export interface ZStackVolume {
  uuid: string;
  name: string;
  description: string | null;
  type: "Root" | "Data";
  size: number;
  primaryStorageUuid: string;
  vmInstanceUuid: string | null;
  lastVmInstanceUuid: string | null;
  status: "Ready" | "Deleted";
  /** Not on the wire: what the clone was asked to give it. */
  systemTags: string[];
  createdMs: number;
}

export interface ZStackTag {
  uuid: string;
  resourceType: string;
  resourceUuid: string;
  tag: string;
}

export interface ZStackSnapshot {
  name: string;
  volumeUuid: string;
}

/** What an API job has come to: undefined while it runs. */
export interface JobOutcome {
  status: 200 | 503;
  body: unknown;
}

export interface ZStackJob {
  uuid: string;
  createdMs: number;
  doneMs?: number;
  outcome?: JobOutcome;
  /** Never ends: its management node has crashed (docs/wire/zstack.md#s2-4). */
  stuck?: boolean;
}

export interface ZStackError {
  code: string;
  description: string;
  details: string;
  cause?: ZStackError;
  causes?: ZStackError[];
  opaque?: unknown;
}

/**
 * How a clone goes. For single VMs: "no-host" leaves an entry with an error alone, "start-failed" one with an error and
 * an inventory of a VM that stays, "start-failed-gone" of one that does not (docs/wire/zstack.md#s3-4). For the whole
 * call: "refused" ends in 503 and makes nothing (docs/wire/zstack.md#s9-4), "orphans" in 503 after the VMs are there
 * (docs/wire/zstack.md#s3-5), "unattached" likewise and without their data volumes, "timeout" is the server's own
 * deadline with VMs left over (SYS.1001), "stuck" never ends though the VMs are there, "purged" ends and its job is
 * unknown at once (docs/wire/zstack.md#s2-4). "given-up" is the server's deadline while the work goes on to its end,
 * and "forgotten" a job that is unknown meanwhile.
 */
export const CLONE_OUTCOMES = [
  "no-host",
  "start-failed",
  "start-failed-gone",
  "refused",
  "orphans",
  "unattached",
  "timeout",
  "stuck",
  "purged",
  "given-up",
  "forgotten",
] as const;

export interface CloneBehaviour {
  readonly match?: { readonly name?: string | RegExp };
  readonly outcome: (typeof CLONE_OUTCOMES)[number];
  /** How many VMs, or calls, it applies to; all if not said. */
  readonly times?: number;
}

export interface ZStackTimings {
  /** Of a clone: until the VMs' rows appear (snapshot and temporary image), and from then until they are there. */
  zstackImage: number;
  zstackClone: number;
  /** Start, stop, destroy, expunge, a change of a name. */
  zstackAction: number;
  /** Tags, and what is done to volumes; 0 if not said. */
  zstackQuick?: number;
  zstackSession: number;
}

export interface ZStackSettings {
  version: string;
  /** The community edition has no clone module (docs/wire/zstack.md#s3-3). */
  edition: "enterprise" | "community";
  /** The server's default is zh_CN (docs/wire/zstack.md#s2-8). */
  locale: "zh_CN" | "en_US";
  /** Numbers as the vendor's document prints them: 1.0, 8.589934592E9 (docs/wire/zstack.md#s2-7). */
  floats: boolean;
  /**
   * Minutes that the server's wall clock is ahead of UTC; compared with an access key's Date, without its zone
   * (docs/wire/zstack.md#s1-4).
   */
  offsetMinutes: number;
  /** A login ends the account's other sessions (`enable.unique.session`). */
  uniqueSession: boolean;
  /** `vm/dataVolume.deleteOnVmDestroy`. */
  deleteDataVolumes: boolean;
  /** Whether guests give volumes back while they run. */
  hotUnplug: boolean;
  /** The accounts have lost their rights: queries find nothing, and say so with 200. */
  revoked: boolean;
  /** `rest/completedApi.expiredPeriod`. */
  jobExpiryMs: number;
  /** `vm/uniqueVmName`. */
  uniqueVmName: boolean;
  /** Hosts' capacity, in running VMs. */
  capacity: number;
  /** Accounts' quota vm.num. */
  vmQuota: number;
}

export const ZSTACK_SEED = {
  /** Running, one root volume. */
  web: "c4d628c203433f64b062ad07c8edf10d",
  /** Running, a root and two data volumes. */
  db: "d5e739d314544a75a173be18d9fae21e",
  cluster: "f6f07dff7ede4b8cac7c8595a1698832",
  host: "70c0f5223d084dfea2f1a02f69906306",
  primaryStorage: "c2a27c5268494a5cba84b94e37b86b4d",
  l3Network: "2ac50b85591b4e87b2686c529cf062f9",
  zone: "d886a09330e14282b7a320a98d0a53ec",
  account: "36c27e8ff05c4780bf6d2fa65700f22e",
  accessKeyId: "hLTIJgNHdbMrR9fbQF2k",
  accessKeySecret: "2CF64C9Tx3sUKV6kCmL8BUeq6kJjBDNFxC2TwYdA",
} as const;

interface Due {
  at: number;
  order: number;
  run: () => void;
}

export class ZStackModel {
  readonly vms = new Map<string, ZStackVm>();
  readonly volumes = new Map<string, ZStackVolume>();
  readonly tags = new Map<string, ZStackTag>();
  readonly jobs = new Map<string, ZStackJob>();
  /** Per cent of the work that goes on, by its job: a table of its own on the server, too. */
  readonly progress = new Map<string, string>();
  /** By uuid, until when it is good. */
  readonly sessions = new Map<string, number>();
  /** They accumulate on the source: nothing removes them (docs/wire/zstack.md#s3-6). */
  readonly sourceSnapshots: ZStackSnapshot[] = [];
  readonly accounts = new Map<string, string>();
  readonly settings: ZStackSettings;
  private readonly defaults: ZStackSettings;
  private behaviours: { rule: CloneBehaviour; left: number }[] = [];
  private due: Due[] = [];
  private order = 0;
  private happening: number | undefined;
  private addresses = 0;

  constructor(
    readonly clock: Clock,
    private readonly ids: Ids,
    readonly timings: ZStackTimings,
    settings: Partial<ZStackSettings>,
  ) {
    this.defaults = {
      version: "5.2.1",
      edition: "enterprise",
      locale: "zh_CN",
      floats: false,
      offsetMinutes: 480,
      uniqueSession: false,
      deleteDataVolumes: false,
      hotUnplug: true,
      revoked: false,
      jobExpiryMs: 10_800_000,
      uniqueVmName: false,
      capacity: 1000,
      vmQuota: 1000,
      ...settings,
    };
    this.settings = { ...this.defaults };
  }

  /** From now on clones that match go like this; the first rule that matches counts. */
  cloneBehaviour(rule: CloneBehaviour): { remove(): void } {
    const entry = { rule, left: rule.times ?? Number.POSITIVE_INFINITY };
    this.behaviours.push(entry);
    return {
      remove: () => {
        this.behaviours = this.behaviours.filter((other) => other !== entry);
      },
    };
  }

  /** From now on clones go well. */
  forgetBehaviours(): void {
    this.behaviours = [];
  }

  /** The next clone only. */
  failNextClone(outcome: CloneBehaviour["outcome"]): void {
    this.cloneBehaviour({ outcome, times: 1 });
  }

  takeBehaviour(name: string, outcomes: readonly CloneBehaviour["outcome"][]): CloneBehaviour["outcome"] | undefined {
    const found = this.behaviours.find(
      ({ rule, left }) => left > 0 && outcomes.includes(rule.outcome) && fits(rule.match?.name, name),
    );
    if (found) found.left -= 1;
    return found?.rule.outcome;
  }

  endSession(uuid: string): void {
    this.sessions.delete(uuid);
  }

  endAllSessions(): void {
    this.sessions.clear();
  }

  /** VMs that are not in the recycle bin. */
  living(): ZStackVm[] {
    this.settle();
    return [...this.vms.values()].filter(({ state }) => state !== "Destroyed");
  }

  named(name: string): ZStackVm | undefined {
    return this.living().find((vm) => vm.name === name);
  }

  tagsOf(resourceUuid: string): string[] {
    return [...this.tags.values()].filter((tag) => tag.resourceUuid === resourceUuid).map(({ tag }) => tag);
  }

  volumesOf(vm: string, type?: ZStackVolume["type"]): ZStackVolume[] {
    return [...this.volumes.values()].filter(
      (volume) => volume.vmInstanceUuid === vm && (type === undefined || volume.type === type),
    );
  }

  /** Behind everybody's back, and at once. */
  removeVm(uuid: string): boolean {
    for (const tag of this.tags.values()) if (tag.resourceUuid === uuid) this.tags.delete(tag.uuid);
    for (const volume of this.volumes.values()) {
      if (volume.vmInstanceUuid !== uuid) continue;
      if (volume.type === "Root") this.volumes.delete(volume.uuid);
      else this.detach(volume);
    }
    return this.vms.delete(uuid);
  }

  /** From the request to the end of the work. */
  beginDestroy(vm: ZStackVm): void {
    vm.state = "Destroying";
  }

  detach(volume: ZStackVolume): void {
    volume.lastVmInstanceUuid = volume.vmInstanceUuid;
    volume.vmInstanceUuid = null;
  }

  /** `run` is carried out once the time has come and somebody looks. */
  after(ms: number, run: () => void): void {
    if (!Number.isFinite(ms)) return;
    this.order += 1;
    // What follows from an event is reckoned from when that was due, not from when somebody looked.
    const from = this.happening ?? this.clock.nowMs();
    this.due.push({ at: from + this.clock.duration(ms), order: this.order, run });
  }

  settle(): void {
    const now = this.clock.nowMs();
    for (;;) {
      const [next] = this.due.filter(({ at }) => at <= now).sort((a, b) => a.at - b.at || a.order - b.order);
      if (next === undefined) break;
      this.due = this.due.filter((other) => other !== next);
      this.happening = next.at;
      try {
        next.run();
      } finally {
        this.happening = undefined;
      }
    }
    // By the time of submission, not of its end (docs/wire/zstack.md#retention).
    for (const job of this.jobs.values()) {
      if (job.outcome && now - job.createdMs > this.settings.jobExpiryMs) this.jobs.delete(job.uuid);
    }
  }

  uuid(kind: string): string {
    return this.ids.uuid(`zstack ${kind}`).replaceAll("-", "");
  }

  addVm(fields: Partial<ZStackVm> & Pick<ZStackVm, "name">): ZStackVm {
    const now = this.clock.nowMs();
    const vm: ZStackVm = {
      uuid: this.uuid("vm"),
      description: null,
      state: "Created",
      type: "UserVm",
      zoneUuid: ZSTACK_SEED.zone,
      clusterUuid: ZSTACK_SEED.cluster,
      hostUuid: null,
      lastHostUuid: null,
      imageUuid: this.uuid("image"),
      rootVolumeUuid: null,
      defaultL3NetworkUuid: ZSTACK_SEED.l3Network,
      cpuNum: 1,
      memorySize: 8_589_934_592,
      nics: [],
      createdMs: now,
      changedMs: now,
      ...fields,
    };
    this.vms.set(vm.uuid, vm);
    return vm;
  }

  /** What the first start gives a VM (docs/wire/zstack.md#s3-1, JustCreate has none of it). */
  furnish(vm: ZStackVm, storage: string = ZSTACK_SEED.primaryStorage, systemTags: string[] = []): void {
    const root = this.addVolume({
      name: `ROOT-for-${vm.name}`,
      type: "Root",
      size: 107_374_182_400,
      vmInstanceUuid: vm.uuid,
      primaryStorageUuid: storage,
      systemTags,
    });
    vm.rootVolumeUuid = root.uuid;
    this.addresses += 1;
    vm.nics.push({
      uuid: this.uuid("nic"),
      ip: `192.168.10.${10 + (this.addresses % 240)}`,
      mac: `fa:9b:1c:10:7e:${(this.addresses % 256).toString(16).padStart(2, "0")}`,
      l3NetworkUuid: ZSTACK_SEED.l3Network,
    });
    vm.hostUuid ??= ZSTACK_SEED.host;
    vm.lastHostUuid = vm.hostUuid;
  }

  addVolume(fields: Partial<ZStackVolume> & Pick<ZStackVolume, "name" | "type">): ZStackVolume {
    const volume: ZStackVolume = {
      uuid: this.uuid("volume"),
      description: null,
      size: 21_474_836_480,
      primaryStorageUuid: ZSTACK_SEED.primaryStorage,
      vmInstanceUuid: null,
      lastVmInstanceUuid: null,
      status: "Ready",
      systemTags: [],
      createdMs: this.clock.nowMs(),
      ...fields,
    };
    this.volumes.set(volume.uuid, volume);
    return volume;
  }

  reset(): void {
    for (const rows of [this.vms, this.volumes, this.tags, this.jobs, this.progress, this.sessions, this.accounts]) {
      rows.clear();
    }
    this.sourceSnapshots.length = 0;
    this.behaviours = [];
    this.due = [];
    this.addresses = 0;
    Object.assign(this.settings, this.defaults);
    this.accounts.set("admin", "password");
    for (const name of ["web", "db"] as const) {
      const vm = this.addVm({ uuid: ZSTACK_SEED[name], name, state: "Running" });
      this.furnish(vm);
      if (name === "db") {
        for (const disk of ["data", "logs"]) {
          this.addVolume({ name: disk, type: "Data", vmInstanceUuid: vm.uuid });
        }
      }
    }
  }
}

function fits(pattern: string | RegExp | undefined, name: string): boolean {
  if (pattern === undefined) return true;
  return typeof pattern === "string" ? name === pattern || name.startsWith(`${pattern}.`) : name.search(pattern) >= 0;
}
