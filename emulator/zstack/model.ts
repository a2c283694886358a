// The state of a ZStack: VMs, volumes, tags, sessions, jobs, and how its clones go (docs/wire/zstack.md). Tests use it
// directly; routes.ts is the API in front of it.

import type { Clock } from "../core/clock";
import type { Ids } from "../core/ids";
import type { ZStackJob, ZStackSession, ZStackSnapshot, ZStackTag, ZStackVm, ZStackVolume } from "./rows";

/**
 * How a clone goes.
 *
 * For a single VM (docs/wire/zstack.md#s3-4): "no-host" gives an entry with an error alone, "start-failed" an entry with
 * an error and the inventory of a VM that stays, "start-failed-gone" of a VM that does not stay.
 *
 * For the whole call: "refused" ends in 503 and creates nothing (docs/wire/zstack.md#s9-4). "orphans" ends in 503 after
 * it created the VMs (docs/wire/zstack.md#s3-5), "unattached" likewise, without their data volumes. "timeout" is the
 * server's own deadline and leaves the VMs (SYS.1001). "stuck" creates the VMs and never ends. "purged" ends, and its
 * job is unknown at once (docs/wire/zstack.md#s2-4). "given-up" is the server's deadline while the work continues to its
 * end, and "forgotten" a job that is unknown while the work continues.
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
  /** How many VMs or calls it applies to. @default all */
  readonly times?: number;
}

export interface ZStackTimings {
  /** A clone's time until the VMs' rows appear (snapshot and temporary image), and from then until the VMs run. */
  zstackImage: number;
  zstackClone: number;
  /** Start, stop, destroy, expunge, update. */
  zstackAction: number;
  /** Tags and volumes. @default 0 */
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
   * Minutes that the server's wall clock is ahead of UTC. The times in its answers are this clock's, without a zone
   * (docs/wire/zstack.md#s2-7), and it compares the clock with the Date of an access key's request
   * (docs/wire/zstack.md#s1-4).
   */
  offsetMinutes: number;
  /** A login ends the account's other sessions (`enable.unique.session`). */
  uniqueSession: boolean;
  /** `vm/dataVolume.deleteOnVmDestroy`. */
  deleteDataVolumes: boolean;
  /** Whether running guests release volumes. */
  hotUnplug: boolean;
  /** The accounts have lost their rights: queries find nothing and answer 200. */
  revoked: boolean;
  /** `rest/completedApi.expiredPeriod`. */
  jobExpiryMs: number;
  /** `vm/uniqueVmName`. */
  uniqueVmName: boolean;
  /** How many VMs the hosts can run. */
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
  l2Network: "7a1d0c9be2f14c4f8d35a6e0b1c42f97",
  ipRange: "3f5b8e61a0c74d2e9b7c14d5e8f60a2b",
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
  /** Progress in per cent by job. The server has a separate table for it, too. */
  readonly progress = new Map<string, { readonly content: string; readonly time: number }>();
  readonly sessions = new Map<string, ZStackSession>();
  /** Snapshots accumulate on the source: nothing removes them (docs/wire/zstack.md#s3-6). */
  readonly sourceSnapshots: ZStackSnapshot[] = [];
  readonly accounts = new Map<string, string>();
  readonly settings: ZStackSettings;
  private readonly defaults: ZStackSettings;
  private behaviours: { rule: CloneBehaviour; left: number }[] = [];
  private due: Due[] = [];
  private order = 0;
  private happening: number | undefined;
  private addresses = 0;
  /** When zone, cluster, host, storage and network were added. */
  installedMs = 0;

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

  /** Clones that match go like this from now on. The first rule that matches counts. */
  cloneBehaviour(rule: CloneBehaviour): { remove(): void } {
    const entry = { rule, left: rule.times ?? Number.POSITIVE_INFINITY };
    this.behaviours.push(entry);
    return {
      remove: () => {
        this.behaviours = this.behaviours.filter((other) => other !== entry);
      },
    };
  }

  /** Removes all behaviours. */
  forgetBehaviours(): void {
    this.behaviours = [];
  }

  /** The next clone only. */
  failNextClone(outcome: CloneBehaviour["outcome"]): void {
    this.cloneBehaviour({ outcome, times: 1 });
  }

  matchBehaviour(name: string, outcomes: readonly CloneBehaviour["outcome"][]): CloneBehaviour["outcome"] | undefined {
    const found = this.behaviours.find(
      ({ rule, left }) => left > 0 && outcomes.includes(rule.outcome) && fits(rule.match?.name, name),
    );
    if (found) found.left -= 1;
    return found?.rule.outcome;
  }

  reportProgress({ uuid }: ZStackJob, content: string): void {
    this.progress.set(uuid, { content, time: Math.floor(this.clock.nowMs()) });
  }

  endSession(uuid: string): void {
    this.sessions.delete(uuid);
  }

  endAllSessions(): void {
    this.sessions.clear();
  }

  /** VMs that are not in the recycle bin. */
  living(): ZStackVm[] {
    this.advance();
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

  /** Removes a VM at once, without the API. */
  removeVm(uuid: string): boolean {
    for (const tag of this.tags.values()) if (tag.resourceUuid === uuid) this.tags.delete(tag.uuid);
    for (const volume of this.volumes.values()) {
      if (volume.vmInstanceUuid !== uuid) continue;
      if (volume.type === "Root") this.volumes.delete(volume.uuid);
      else this.detach(volume);
    }
    return this.vms.delete(uuid);
  }

  /** The state between the request and the end of the work. */
  beginDestroy(vm: ZStackVm): void {
    vm.state = "Destroying";
  }

  detach(volume: ZStackVolume): void {
    const now = this.clock.nowMs();
    volume.lastVmInstanceUuid = volume.vmInstanceUuid;
    volume.vmInstanceUuid = null;
    volume.detachedMs = now;
    volume.changedMs = now;
  }

  attach(volume: ZStackVolume, vm: ZStackVm): void {
    volume.deviceId ??= this.nextDeviceId(vm.uuid);
    volume.vmInstanceUuid = vm.uuid;
    volume.changedMs = this.clock.nowMs();
  }

  private deviceIdOf({ type, vmInstanceUuid }: Partial<ZStackVolume>): number | null {
    if (type === "Root") return 0;
    return vmInstanceUuid ? this.nextDeviceId(vmInstanceUuid) : null;
  }

  /** The lowest that is free (compute/…/NextVolumeDeviceIdGetter.java:43–45). */
  private nextDeviceId(vm: string): number {
    const taken = new Set(this.volumesOf(vm).map(({ deviceId }) => deviceId));
    let free = 0;
    while (taken.has(free)) free += 1;
    return free;
  }

  /** Schedules `run`; `advance` runs it when it is due. */
  after(ms: number, run: () => void): void {
    if (!Number.isFinite(ms)) return;
    this.order += 1;
    // Work that follows from an event starts when that event was due, not when advance() ran it.
    const from = this.happening ?? this.clock.nowMs();
    this.due.push({ at: from + this.clock.duration(ms), order: this.order, run });
  }

  /** Runs the work that is due and removes expired jobs. */
  advance(): void {
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
    // Jobs expire by the time of submission, not of their end (docs/wire/zstack.md#retention).
    for (const job of this.jobs.values()) {
      if (job.outcome && now - job.createdMs > this.settings.jobExpiryMs) this.jobs.delete(job.uuid);
    }
  }

  /** @deprecated Use `advance`. */
  settle(): void {
    this.advance();
  }

  /** The community edition has no clone module (docs/wire/zstack.md#s3-3). */
  get canClone(): boolean {
    return this.settings.edition === "enterprise";
  }

  /** Whether the server has a feature that came with `version`. */
  isAtLeast(version: string): boolean {
    const numbers = (text: string) => text.split(".").map(Number);
    const [own, wanted] = [numbers(this.settings.version), numbers(version)];
    for (let index = 0; index < wanted.length; index += 1) {
      const difference = (own[index] ?? 0) - (wanted[index] ?? 0);
      if (difference !== 0) return difference > 0;
    }
    return true;
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
      reservedMemorySize: 0,
      platform: "Linux",
      guestOsType: "Linux",
      nics: [],
      createdMs: now,
      changedMs: now,
      ...fields,
    };
    this.vms.set(vm.uuid, vm);
    return vm;
  }

  /** Adds what a VM gets at its first start, which JustCreate leaves out (docs/wire/zstack.md#s3-1). */
  furnish(vm: ZStackVm, storage: string = ZSTACK_SEED.primaryStorage, systemTags: string[] = []): void {
    const root = this.addVolume({
      name: `ROOT-for-${vm.name}`,
      type: "Root",
      size: 107_374_182_400,
      vmInstanceUuid: vm.uuid,
      rootImageUuid: vm.imageUuid,
      primaryStorageUuid: storage,
      systemTags,
    });
    vm.rootVolumeUuid = root.uuid;
    this.addresses += 1;
    vm.nics.push({
      uuid: this.uuid("nic"),
      usedIpUuid: this.uuid("used ip"),
      internalName: `vnic${this.addresses}.0`,
      createdMs: this.clock.nowMs(),
      ip: `192.168.10.${10 + (this.addresses % 240)}`,
      mac: `fa:9b:1c:10:7e:${(this.addresses % 256).toString(16).padStart(2, "0")}`,
      l3NetworkUuid: ZSTACK_SEED.l3Network,
    });
    vm.hostUuid ??= ZSTACK_SEED.host;
    vm.lastHostUuid = vm.hostUuid;
  }

  addVolume(fields: Partial<ZStackVolume> & Pick<ZStackVolume, "name" | "type">): ZStackVolume {
    const now = this.clock.nowMs();
    const volume: ZStackVolume = {
      uuid: this.uuid("volume"),
      description: null,
      size: 21_474_836_480,
      primaryStorageUuid: ZSTACK_SEED.primaryStorage,
      vmInstanceUuid: null,
      lastVmInstanceUuid: null,
      rootImageUuid: null,
      deviceId: this.deviceIdOf(fields),
      status: "Ready",
      systemTags: [],
      createdMs: now,
      changedMs: now,
      detachedMs: null,
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
    this.installedMs = this.clock.nowMs();
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
