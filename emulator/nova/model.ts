// What Nova's compute node does, in memory: servers, the files in a volume's folder, and the chain of files that make
// up a guest's disk. The work begins after the answer, and only a status update at Cinder tells its result
// (docs/wire/openstack.md#seen, #b4; nova/virt/libvirt/driver.py, volume_snapshot_create ff.).

import type { CinderModel } from "../cinder/model";
import type { Clock } from "../core/clock";
import type { Ids } from "../core/ids";
import { TaskRunner } from "../core/tasks";

export interface ServerRow {
  id: string;
  name: string;
  /** null until the server is scheduled. */
  host: string | null;
  vm_state: "active" | "stopped";
  task_state: string | null;
  launched_at: string | null;
  created_at: string;
  updated_at: string;
}

/** All servers have the same one. */
export const FLAVOR = { id: "1", name: "m1.tiny", ram: 512, vcpus: 1, disk: 1 } as const;

/** A qcow2 file in the volume's folder. */
export interface FileRow {
  name: string;
  /** The name of the file below it; null at the end of a chain. */
  backing: string | null;
  /** True if the name has its whole path: then no partial merge works (docs/wire/openstack.md#seen-assisted-create). */
  absolute: boolean;
  /** The files whose data this file contains, its own first: so a test sees what was merged. */
  holds: string[];
}

export interface NovaTimings {
  /** From the answer to the switch of the disk to the new file. */
  assistedCreate: number;
  /** From the answer to the end of the merge. */
  assistedDelete: number;
}

export interface CreateInfo {
  readonly snapshot_id: string;
  readonly new_file: string;
}

type Work =
  | { readonly kind: "create"; readonly volumeId: string; readonly info: CreateInfo }
  | {
      readonly kind: "delete";
      readonly volumeId: string;
      readonly snapshotId: string;
      readonly info: Readonly<Record<string, unknown>>;
    };

/** The row that the task runner needs for each piece of work. */
interface WorkRow {
  readonly work: Work;
}

/** How work on the compute node fails: libvirt refuses, or the work is lost and reports nothing. */
export type NovaFailure = "error" | "lost";

/** An exception in nova-compute. `reported`: Nova tells Cinder about the failure. */
class ComputeError extends Error {
  constructor(
    message: string,
    readonly reported = true,
  ) {
    super(message);
  }
}

export class NovaModel {
  readonly servers = new Map<string, ServerRow>();
  /** nova-compute's log. Only here are the failures that no answer reports. */
  readonly log: string[] = [];
  private readonly folders = new Map<string, Map<string, FileRow>>();
  private readonly active = new Map<string, string>();
  private readonly tasks: TaskRunner<WorkRow, Work>;
  private failures: { kind: Work["kind"]; failure: NovaFailure }[] = [];

  constructor(
    clock: Clock,
    private readonly ids: Ids,
    private readonly timings: NovaTimings,
    private readonly cinder: CinderModel,
  ) {
    this.tasks = new TaskRunner(clock, (_row, work, atMs) => {
      if (work !== undefined) this.execute(work, atMs);
    });
    cinder.addDependent(() => this.tasks.advance());
  }

  reset(): void {
    this.servers.clear();
    this.folders.clear();
    this.active.clear();
    this.tasks.reset();
    this.log.length = 0;
    this.failures = [];
  }

  /** Finishes the work that is due, here and at Cinder. */
  advance(): void {
    this.cinder.advance();
  }

  /** @deprecated Use `advance`. */
  settle(): void {
    this.advance();
  }

  /** A server that the volume is attached to: the first one, or this one. A server that no test has created is running. */
  serverOf(volumeId: string, serverId?: string): ServerRow | undefined {
    const attachments = this.cinder.volumes.get(volumeId)?.attachments ?? [];
    const id = attachments.find(({ server_id }) => serverId === undefined || server_id === serverId)?.server_id;
    return id === undefined ? undefined : (this.servers.get(id) ?? this.createServer({ id }));
  }

  createServer(given: Partial<ServerRow> = {}): ServerRow {
    const id = given.id ?? this.ids.uuid("server");
    const row: ServerRow = {
      name: id,
      host: "compute-1",
      vm_state: "active",
      task_state: null,
      launched_at: "2026-11-21T01:00:00.000000",
      created_at: "2026-11-21T00:59:50.000000",
      updated_at: "2026-11-21T01:00:00.000000",
      ...given,
      id,
    };
    this.servers.set(row.id, row);
    return row;
  }

  /**
   * `qemu-img create -f qcow2 -F qcow2 -b <backing> <name>` in the volume's folder. The default for `backing` is the
   * active file.
   */
  createFile(volumeId: string, name: string, given: { backing?: string; absolute?: boolean } = {}): FileRow {
    const row: FileRow = {
      name,
      backing: given.backing ?? this.chain(volumeId)[0] ?? null,
      absolute: given.absolute ?? false,
      holds: [name],
    };
    this.folder(volumeId).set(name, row);
    return row;
  }

  file(volumeId: string, name: string): FileRow | undefined {
    return this.folder(volumeId).get(name);
  }

  /** The files of the guest's disk as libvirt knows them, the active one first. */
  chain(volumeId: string): string[] {
    this.advance();
    return this.files(volumeId);
  }

  private files(volumeId: string): string[] {
    const names: string[] = [];
    let name: string | null = this.activeFile(volumeId);
    while (name !== null && !names.includes(name)) {
      names.push(name);
      name = this.folder(volumeId).get(name)?.backing ?? null;
    }
    return names;
  }

  /** Makes the next create or delete fail like this. */
  failNext(kind: Work["kind"], failure: NovaFailure): void {
    this.failures.push({ kind, failure });
  }

  startCreate(volumeId: string, info: CreateInfo): void {
    this.start({ kind: "create", volumeId, info }, this.timings.assistedCreate);
  }

  startDelete(volumeId: string, snapshotId: string, info: Readonly<Record<string, unknown>>): void {
    this.start({ kind: "delete", volumeId, snapshotId, info }, this.timings.assistedDelete);
  }

  private start(work: Work, afterMs: number): void {
    this.tasks.start({ work }, { while: {}, steps: [{ afterMs, emit: work }] });
  }

  /** nova/virt/libvirt/driver.py (Nova 33) :3699 create, :4153 delete. */
  private execute(work: Work, atMs: number): void {
    const snapshotId = work.kind === "create" ? work.info.snapshot_id : work.snapshotId;
    const good = work.kind === "create" ? "creating" : "deleting";
    const bad = work.kind === "create" ? "error" : "error_deleting";
    try {
      const failure = this.takeFailure(work.kind);
      if (failure === "lost") return;
      if (failure === "error") throw new ComputeError("libvirtError: told so by the emulator");
      if (work.kind === "create") this.switchDisk(work.volumeId, work.info.new_file);
      else this.merge(work.volumeId, work.info);
    } catch (error) {
      if (!(error instanceof ComputeError)) throw error;
      this.log.push(`Error occurred during volume_snapshot_${work.kind}: ${error.message}`);
      if (error.reported) this.report(snapshotId, bad, atMs);
      return;
    }
    this.report(snapshotId, good, atMs);
  }

  /**
   * Cinder accepts a report only in the right status. Nova logs a refusal and does nothing else
   * (docs/wire/openstack.md#seen-assisted-create).
   */
  private report(snapshotId: string, status: string, atMs: number): void {
    const row = this.cinder.snapshots.get(snapshotId);
    const refusal = this.cinder.statusUpdateRefusal(snapshotId, status);
    if (row === undefined || refusal !== undefined)
      this.log.push(`Failed to update status of snapshot ${snapshotId}: ${String(refusal)}`);
    else this.cinder.updateStatus(row, status, "90%", atMs);
  }

  private switchDisk(volumeId: string, newFile: string): void {
    // driver.py checks this before the `try` of volume_snapshot_create, so Cinder gets no report
    // (docs/wire/openstack.md#silent-failures).
    if (this.serverOf(volumeId)?.vm_state !== "active") throw new ComputeError("InstanceNotRunning", false);
    const file = this.folder(volumeId).get(newFile);
    // With VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT libvirt does not create the file.
    if (file === undefined) throw new ComputeError(`libvirtError: missing existing file for disk: ${newFile}`);
    if (this.files(volumeId).includes(newFile))
      throw new ComputeError(`libvirtError: ${newFile} is in use by the disk already`);
    this.active.set(volumeId, newFile);
  }

  private merge(volumeId: string, info: Readonly<Record<string, unknown>>): void {
    const type = required(info, "type");
    if (type !== "qcow2") throw new ComputeError(`Unknown delete_info type ${String(type)}`);
    if (this.serverOf(volumeId) === undefined) throw new ComputeError(`Disk with id '${volumeId}' not found`);
    const target = required(info, "merge_target_file");
    const from = required(info, "file_to_merge");
    if (target === null) this.pull(volumeId, from === null ? null : String(from));
    else this.commit(volumeId, from === null ? null : String(from), String(target));
  }

  /** blockRebase: the active file absorbs all files down to `base`, or all there are. */
  private pull(volumeId: string, base: string | null): void {
    const chain = this.files(volumeId);
    const end = base === null ? chain.length : chain.indexOf(base);
    if (end < 1) throw new ComputeError(`libvirtError: could not find base '${String(base)}' in the chain of the disk`);
    const between = chain.slice(1, end);
    if (base !== null) this.mustBeRelative(volumeId, chain.slice(0, end));
    const active = this.existing(volumeId, chain[0]);
    active.holds.push(...between.flatMap((name) => this.existing(volumeId, name).holds));
    active.backing = base;
  }

  /** blockCommit without the flag for the active file, so it refuses the active file. */
  private commit(volumeId: string, top: string | null, target: string): void {
    const chain = this.files(volumeId);
    const at = top === null ? 0 : chain.indexOf(top);
    if (at === 0) throw new ComputeError("libvirtError: commit of the active layer requires active flag");
    if (at < 0 || chain[at + 1] !== target)
      throw new ComputeError(`libvirtError: '${target}' is not the backing file of '${String(top)}' in this disk`);
    this.mustBeRelative(volumeId, chain.slice(0, at + 1));
    this.existing(volumeId, target).holds.push(...this.existing(volumeId, chain[at]).holds);
    this.existing(volumeId, chain[at - 1]).backing = target;
  }

  /** docs/wire/openstack.md#seen-assisted-create: "The backing name must be relative". */
  private mustBeRelative(volumeId: string, names: readonly string[]): void {
    if (names.some((name) => this.existing(volumeId, name).absolute))
      throw new ComputeError("libvirtError: can't keep relative backing relationship");
  }

  private existing(volumeId: string, name: string | undefined): FileRow {
    const row = this.folder(volumeId).get(name ?? "");
    if (row === undefined) throw new ComputeError(`libvirtError: no file ${String(name)}`);
    return row;
  }

  private takeFailure(kind: Work["kind"]): NovaFailure | undefined {
    const index = this.failures.findIndex((entry) => entry.kind === kind);
    return index < 0 ? undefined : this.failures.splice(index, 1)[0]?.failure;
  }

  private activeFile(volumeId: string): string {
    return this.active.get(volumeId) ?? `volume-${volumeId}`;
  }

  private folder(volumeId: string): Map<string, FileRow> {
    const known = this.folders.get(volumeId);
    if (known !== undefined) return known;
    // The name that Cinder's NFS driver gives to a volume's own file.
    const name = `volume-${volumeId}`;
    const folder = new Map<string, FileRow>([[name, { name, backing: null, absolute: false, holds: [name] }]]);
    this.folders.set(volumeId, folder);
    return folder;
  }
}

/** Nova reads the dictionary by index: a missing key is a KeyError on the compute node, long after the 204. */
function required(info: Readonly<Record<string, unknown>>, key: string): unknown {
  if (!Object.hasOwn(info, key)) throw new ComputeError(`KeyError: '${key}'`);
  return info[key];
}
