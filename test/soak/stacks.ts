// The stacks of the soak: for each resource a program that changes at random, what its state holds, and what its backend has.

import { SEED_SESSIONS, SEED_VOLUMES, ZSTACK_SEED } from "../../emulator";
import type { AnyDefinition } from "../../provider/core/definition";
import type { Properties } from "../../provider/core/operation";
import { assistedSnapshot } from "../../provider/openstack/assistedSnapshot/resource";
import { snapshot } from "../../provider/openstack/snapshot/resource";
import { snapshotSeries } from "../../provider/openstack/snapshotSeries/resource";
import { volumeFromSnapshot } from "../../provider/openstack/volumeFromSnapshot/resource";
import { volumeClone } from "../../provider/powervc/volumeClone/resource";
import { ViprClient } from "../../provider/vipr/client";
import { resolveVipr } from "../../provider/vipr/connection";
import { ViprContext } from "../../provider/vipr/context";
import { linkedTargetSet } from "../../provider/vipr/linkedTargetSet/resource";
import { clonedVm } from "../../provider/zstack/clonedVm/resource";
import { resolveZStack } from "../../provider/zstack/connection";
import { ZStackContext } from "../../provider/zstack/context";
import { openCloud, openPowerVc, PASSWORD } from "../faults/openstackSites";
import { followAssistedSnapshotAdvice } from "../support/assistedSnapshotAdvice";
import { FakeEngine, type FakeEntry, type RunResult } from "../support/fakeEngine";
import { SoakHttp, type SoakWorld } from "./world";

/** Each stack has volumes of its own, so that what is on the backend tells whose it is. */
const OF_SNAPSHOTS = "44444444-4444-4444-8444-000000000001";
const OF_SERIES = "44444444-4444-4444-8444-000000000002";
const RESTORED = "9b9e0504-bec0-4e6d-a5ba-83cce6a19555";
const OVERLAID = "overlaid";
const OVERLAY = "overlay-1";

const NAMES = ["a", "b", "c"];
/** How often a command is repeated without faults before its errors count. */
const REPEATS = 3;
const A_WHILE_MS = 600_000;

interface Resource {
  readonly title: string;
  readonly definition: AnyDefinition;
  open(world: SoakWorld, http: SoakHttp): object;
  /** A program's arguments of the resource `name`. */
  args(world: SoakWorld, name: string): Properties;
  /** The most resources of a program. */
  readonly most?: number;
  /** The ids that an entry holds. */
  holds(entry: FakeEntry): string[];
  /** The ids of this resource's objects on the backend. */
  there(world: SoakWorld): string[];
  /** Does what an error asks a person to do. */
  followAdvice?(world: SoakWorld, output: string): void;
}

export class Stack {
  readonly title: string;
  private readonly engine: FakeEngine;
  private http: SoakHttp;
  private context: object | undefined;
  private program: Record<string, Properties> = {};
  private killed = false;

  constructor(
    private readonly world: SoakWorld,
    private readonly resource: Resource,
  ) {
    this.title = resource.title;
    this.http = new SoakHttp(world, false);
    const { definition } = resource;
    // One session a process, as with a real one.
    const open = () => (this.context ??= resource.open(world, this.http));
    const connection = { ...definition.connection, open, close: async () => {} };
    const options = { clock: world.clock, isDead: () => this.http.dead, type: this.title, stack: "soak" };
    this.engine = new FakeEngine({ ...definition, connection }, options);
  }

  /**
   * One command with faults: mostly `up` of a changed program. A killed command is given again before the program changes: what
   * it began and the program no longer has would be told, not removed (docs/ownership.md).
   */
  async command(): Promise<void> {
    const { world } = this;
    if (this.killed) {
      await this.run(true, () => this.engine.up(this.program));
      return;
    }
    const chance = world.number();
    if (chance < 0.15) {
      await this.run(true, () => this.engine.refresh());
    } else if (chance < 0.25) {
      this.program = {};
      await this.run(true, () => this.engine.destroy());
    } else {
      this.change();
      await this.run(true, () => this.engine.up(this.program));
    }
  }

  /** The same program without faults, until a run has no error. */
  async converge(): Promise<void> {
    let errors: unknown[] = [];
    for (let repeat = 0; repeat < REPEATS; repeat += 1) {
      ({ errors } = await this.run(false, () => this.engine.up(this.program)));
      if (errors.length === 0) return;
    }
    throw new Error(`${this.title} does not converge:\n${errors.map(String).join("\n")}`);
  }

  async destroy(): Promise<unknown[]> {
    return (await this.run(false, () => this.engine.destroy())).errors;
  }

  there(): string[] {
    return this.resource.there(this.world).sort();
  }

  /** What the state holds and the backend has not, and the reverse. */
  compare(): object {
    const held = this.engine.state.entries.flatMap((entry) => this.resource.holds(entry)).sort();
    const there = this.there();
    return {
      stack: this.title,
      lost: held.filter((id) => !there.includes(id)),
      twice: there.filter((id) => !held.includes(id)),
      pending: this.engine.state.entries.filter(({ initError, leaving }) => initError || leaving).map(({ urn }) => urn),
    };
  }

  private change(): void {
    const { world, resource } = this;
    for (const name of NAMES.slice(0, resource.most ?? NAMES.length)) {
      const chance = world.number();
      if (chance < 0.2) delete this.program[name];
      else if (chance < 0.7) this.program[name] = resource.args(world, name);
    }
  }

  private async run(hasFaults: boolean, command: () => Promise<RunResult>): Promise<RunResult> {
    const { world } = this;
    this.http.dead = true;
    this.http = new SoakHttp(world, hasFaults);
    this.context = undefined;
    const before = this.engine.state.entries.length;
    const result = await command();
    this.killed = result.killed;
    world.operations += Math.max(1, before, this.engine.state.entries.length);
    const output = [...result.errors.map(String), ...result.log].join("\n");
    // The process is gone: no request of it goes on in the background.
    this.http.dead = true;
    world.pass(A_WHILE_MS / 20);
    if (!result.killed) this.resource.followAdvice?.(world, output);
    this.engine.edit(({ entries }) => {
      // If a replacement ended in an init failure, the old entry waits to be deleted (docs/wire/pulumi-engine.md#calls).
      for (const [at, entry] of entries.entries()) {
        if (entries.slice(at + 1).some(({ urn, leaving }) => urn === entry.urn && !leaving)) entry.leaving = true;
      }
    });
    return result;
  }
}

export function stacksOf(world: SoakWorld): Stack[] {
  const { cinder, keystone } = world.emulator;
  for (const user of ["demo", "admin"]) keystone.userNamed(user).password = PASSWORD;
  for (const id of [OF_SNAPSHOTS, OF_SERIES]) cinder.createVolume({ id, name: id, size: 1 });
  cinder.createSnapshot({ id: RESTORED, volume_id: SEED_VOLUMES.data });
  return RESOURCES.map((resource) => new Stack(world, resource));
}

const openStack =
  (user: string) =>
  (world: SoakWorld, http: SoakHttp): object =>
    openCloud(world.emulator.openstack.authUrl, world.clock, http, user);

const ids = (entry: FakeEntry) => (entry.id.startsWith("unknown-") ? [] : [entry.id]);
const list = (value: unknown) => (Array.isArray(value) ? value : []) as Record<string, string>[];

const RESOURCES: readonly Resource[] = [
  {
    title: "Snapshot",
    definition: snapshot,
    open: openStack("demo"),
    args: (world, name) => ({
      volumeId: OF_SNAPSHOTS,
      name: world.pick([name, `${name}-renamed`]),
      triggers: [world.pick(["monday", "tuesday"])],
      metadata: world.pick([undefined, { tier: "gold" }]),
    }),
    holds: ids,
    there: ({ emulator }) => snapshotsOf(emulator.cinder, OF_SNAPSHOTS),
  },
  {
    title: "SnapshotSeries",
    definition: snapshotSeries,
    open: openStack("demo"),
    args: (world) => ({ volumeId: OF_SERIES, keep: world.pick([1, 2, 3]), triggers: [Math.floor(world.number() * 9)] }),
    holds: ({ outputs }) => list(outputs.snapshots).flatMap(({ id }) => id ?? []),
    there: ({ emulator }) => snapshotsOf(emulator.cinder, OF_SERIES),
  },
  {
    title: "VolumeFromSnapshot",
    definition: volumeFromSnapshot,
    open: openStack("demo"),
    args: (world, name) => ({
      snapshotId: RESTORED,
      name: world.pick([name, `${name}-kept`]),
      description: world.pick([undefined, "restored"]),
    }),
    holds: ids,
    there: ({ emulator }) =>
      [...emulator.cinder.volumes.values()].filter(({ snapshot_id }) => snapshot_id !== null).map(({ id }) => id),
  },
  {
    title: "AssistedSnapshot",
    definition: assistedSnapshot,
    open: openStack("admin"),
    most: 1,
    // Somebody has prepared a record and a file for each overlay: a merged file is no longer one.
    args: ({ emulator: { cinder, nova } }) => {
      const volume = cinder.createVolume({ status: "in-use", name: OVERLAID });
      nova.createFile(volume.id, OVERLAY);
      const { id } = cinder.createSnapshot({ volume_id: volume.id });
      return { volumeId: volume.id, snapshotId: id, newFile: OVERLAY, manageStatus: true };
    },
    holds: ({ outputs }) => [String(outputs.volumeId)],
    there: ({ emulator: { cinder, nova } }) => {
      const prepared = [...cinder.volumes.values()].filter(({ name }) => name === OVERLAID);
      return prepared.map(({ id }) => id).filter((id) => hasOverlay(nova, id));
    },
    followAdvice: ({ emulator: { cinder, nova } }, output) =>
      void followAssistedSnapshotAdvice(output, cinder.snapshots, ({ volume_id }) => hasOverlay(nova, volume_id)),
  },
  {
    title: "VolumeClone",
    definition: volumeClone,
    open: (world, http) => openPowerVc(world.emulator.openstack.authUrl, world.clock, http),
    args: (world, name) => ({
      volumes: [SEED_VOLUMES.data, SEED_VOLUMES.logs],
      displayName: world.pick([name, `${name}-renamed`]),
      triggers: [world.pick([1, 2])],
    }),
    holds: ({ outputs }) => Object.values((outputs.clones ?? {}) as Record<string, string>),
    there: ({ emulator }) =>
      [...emulator.cinder.volumes.values()].filter(({ source_volid }) => source_volid !== null).map(({ id }) => id),
  },
  {
    title: "LinkedTargetSet",
    definition: linkedTargetSet,
    open: (world, http) => {
      const config = { ...world.emulator.vipr.connection() };
      const settings = resolveVipr({ name: "default", config, env: {}, cwd: "/", home: "/" });
      return new ViprContext(new ViprClient(settings, { clock: world.clock, http }), world.clock);
    },
    args: (world, name) => ({
      snapshotSessionId: world.pick([SEED_SESSIONS.monday, SEED_SESSIONS.tuesday]),
      targetName: name,
      count: world.pick([1, 2, 3]),
    }),
    holds: ({ outputs }) => list(outputs.targets).flatMap(({ id }) => id ?? []),
    there: ({ emulator }) => emulator.vipr.active().map(({ id }) => id),
  },
  {
    title: "ClonedVm",
    definition: clonedVm,
    open: (world, http) => {
      const config = { ...world.emulator.zstack.connection() };
      const settings = resolveZStack({ name: "default", config, env: {}, cwd: "/", home: "/" });
      return new ZStackContext(settings, world.clock, http);
    },
    args: (world, name) => ({
      vmInstanceUuid: ZSTACK_SEED.web,
      names: [name, `${name}-2`].slice(0, world.pick([1, 2])),
      description: world.pick(["one", "two"]),
      deletion: "expunge",
    }),
    holds: ({ outputs }) => list(outputs.vms).flatMap(({ uuid }) => uuid ?? []),
    there: ({ emulator }) =>
      [...emulator.zstack.vms.keys()].filter((uuid) => uuid !== ZSTACK_SEED.web && uuid !== ZSTACK_SEED.db),
  },
];

function snapshotsOf({ snapshots }: SoakWorld["emulator"]["cinder"], volumeId: string): string[] {
  return [...snapshots.values()].filter(({ volume_id }) => volume_id === volumeId).map(({ id }) => id);
}

function hasOverlay(nova: SoakWorld["emulator"]["nova"], volumeId: string): boolean {
  const [active, below] = nova.chain(volumeId);
  return below !== undefined && active === OVERLAY;
}
