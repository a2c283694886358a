// A stack whose runs are killed, and what tests ask about the snapshots that such runs leave.

import * as fs from "node:fs";
import * as path from "node:path";
import { type Emulator, SEED_VOLUMES, startEmulator } from "../../../emulator";
import { newStack, type Result, type Stack, type StateResource } from "../harness";

interface Declared {
  args?: Record<string, unknown>;
  opts?: Record<string, unknown> & { dependsOn?: string[]; replaceWith?: string[] };
}

export type Declaration = Record<string, Declared>;

export const TIMINGS = { snapshotCreate: 600, snapshotDelete: 100 };

/** One emulator for a file, and a stack for each test. Make it inside `describe`. */
export class OwnershipFixture {
  cloud!: Emulator;
  stack!: Stack;

  constructor() {
    beforeAll(async () => {
      this.cloud = await startEmulator({ timings: TIMINGS });
    });
    beforeEach(async () => {
      this.stack = await this.open();
    });
    afterEach(async () => {
      await this.stack.close();
      this.cloud.reset();
    });
    afterAll(() => this.cloud.close());
  }

  open(): Promise<Stack> {
    return newStack({ program: program({}), config: { default: { ...this.cloud.openstack.connection() } } });
  }

  declare(declared: Declaration): void {
    this.stack.setProgram(program(declared));
  }

  /** An `up` in which provider and CLI are killed as soon as `count` new snapshots exist. Returns their ids, oldest first. */
  async killed(args: string[] = [], count = 1): Promise<string[]> {
    const before = this.cloud.cinder.snapshots.size;
    const run = this.stack.start("up", { args });
    const made = await appeared(this.cloud, before, count);
    for (const provider of this.stack.providers()) process.kill(provider, "SIGKILL");
    run.child.kill("SIGKILL");
    await run.result;
    // As `pulumi cancel` does.
    fs.rmSync(path.join(stateFolder(this.stack), ".pulumi", "locks"), { recursive: true, force: true });
    return made;
  }

  /** Ids of the snapshots that exist. */
  snapshots(): string[] {
    return existingSnapshots(this.cloud);
  }

  /** The id that the state has for this resource. */
  entry(name: string): string {
    return idInState(this.stack, name);
  }
}

export function program(declared: Declaration): { js: string } {
  return {
    js: `
const { Snapshot } = require("pulumi-snapclone");
const made = {};
for (const [name, { args = {}, opts = {} }] of Object.entries(${JSON.stringify(declared)})) {
  const { dependsOn = [], replaceWith = [], ...more } = opts;
  const others = { dependsOn: dependsOn.map((one) => made[one]), replaceWith: replaceWith.map((one) => made[one]) };
  made[name] = new Snapshot(name, { volumeId: "${SEED_VOLUMES.data}", ...args }, { ...more, ...others });
}`,
  };
}

export function urn(name: string): string {
  return `urn:pulumi:dev::snapclone-test::pulumi-nodejs:dynamic/snapclone:Snapshot::${name}`;
}

export async function appeared(cloud: Emulator, before: number, count: number): Promise<string[]> {
  const deadline = Date.now() + 60_000;
  while (cloud.cinder.snapshots.size < before + count) {
    if (Date.now() > deadline) throw new Error("no snapshot was asked for within a minute");
    await pause(10);
  }
  return [...cloud.cinder.snapshots.keys()].slice(before);
}

export function existingSnapshots(cloud: Emulator): string[] {
  cloud.cinder.advance();
  return [...cloud.cinder.snapshots.keys()].sort();
}

export function recordOf(
  cloud: Emulator,
  id: string | undefined,
): { owner?: string | undefined; stack?: string | undefined } {
  const { metadata = {} } = cloud.cinder.snapshots.get(id ?? "") ?? {};
  return { owner: metadata["snapclone:owner"], stack: metadata["snapclone:stack"] };
}

export function stateFolder(stack: Stack): string {
  return path.join(path.dirname(stack.dir), "state");
}

/** Reads the state file. */
export function idInState(stack: Stack, name: string): string {
  const file = path.join(stateFolder(stack), ".pulumi", "stacks", "snapclone-test", `${stack.name}.json`);
  const { checkpoint } = JSON.parse(fs.readFileSync(file, "utf8")) as {
    checkpoint: { latest?: { resources?: StateResource[] } };
  };
  const found = (checkpoint.latest?.resources ?? []).filter((one) => one.urn.endsWith(`::${name}`) && !one.delete);
  if (found[0]?.id === undefined || found.length > 1)
    throw new Error(`${found.length} entries of ${name} in the state`);
  return found[0].id;
}

export async function ok(running: Promise<Result>): Promise<Result> {
  const result = await running;
  if (result.code !== 0) throw new Error(`exit code ${result.code}\n${result.stdout}\n${result.stderr}`);
  return result;
}

export async function fails(running: Promise<Result>): Promise<Result> {
  const result = await running;
  if (result.code === 0) throw new Error(`did not fail:\n${result.stdout}`);
  return result;
}

export function changes({ events }: Result): Record<string, number> {
  return events.find(({ summaryEvent }) => summaryEvent)?.summaryEvent?.resourceChanges ?? {};
}

/** Ids of the snapshots that the run reported as adopted. */
export function adopted(result: Result): string[] {
  return messagesOf(result).flatMap((text) => /^adopted the snapshot (\S+)/.exec(text)?.[1] ?? []);
}

/** Ids of the snapshots that the run named as held by no state. */
export function orphans(result: Result): string[] {
  const warnings = messagesOf(result).filter((text) => /^(perhaps )?in no state/.test(text));
  return warnings.flatMap((text) => [...text.matchAll(/^ {2}(\S{36})/gm)].map(([, id]) => id ?? "")).sort();
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function messagesOf({ events }: Result): string[] {
  return events.flatMap(({ diagnosticEvent }) => diagnosticEvent?.message ?? []);
}
