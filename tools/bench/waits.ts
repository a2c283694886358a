// Measures the memory and the event loop's delay of many waits in one process. This file has both sides: the code that
// starts the measured process, and the code that runs in it and calls the lifecycle as the provider does.

import { fork } from "node:child_process";
import { once } from "node:events";
import type { OpenStackConnection } from "../../emulator";
import { type EmulatorProcess, startEmulatorProcess } from "./emulatorProcess";
import { type Meter, startMeter } from "./meter";

export interface Waits {
  waits: number;
  /** How long the backend took for each. */
  backendSeconds: number;
  seconds: number;
  failed: number;
  /** Resident memory of the bare process, of the same with the provider loaded and one snapshot made, and at its peak. */
  bareMiB: number;
  loadedMiB: number;
  peakMiB: number;
  /** The memory that a wait keeps: the heap after a collection, in a process of its own. The peak is mostly garbage. */
  liveKiBPerWait: number;
  /** The event loop while the creations are sent, and while nothing is left but waiting. */
  sending: Meter;
  waiting: Meter;
  /** Polls of all waits together: lists and single requests. */
  lists: number;
  shows: number;
}

interface Order {
  connection: OpenStackConnection;
  waits: number;
  /** Measure only the heap, once all are waiting. */
  heapOnly?: true;
}

type Measured = Omit<Waits, "backendSeconds" | "lists" | "shows" | "liveKiBPerWait">;

const LIMIT_MS = 600_000;

/** The backend takes its time, so that all are in flight at once before the first is done. */
export async function measureWaits(waits: number, backendSeconds: number): Promise<Waits> {
  const emulator = await startEmulatorProcess(backendSeconds * 1000);
  try {
    const measured = await inProcess<Measured>({ connection: emulator.connection, waits }, []);
    const asked = await looks(emulator);
    await emulator.reset();
    const order: Order = { connection: emulator.connection, waits, heapOnly: true };
    const { liveKiBPerWait } = await inProcess<Pick<Waits, "liveKiBPerWait">>(order, ["--expose-gc"]);
    return { ...measured, liveKiBPerWait, backendSeconds, ...asked };
  } finally {
    await emulator.close();
  }
}

async function inProcess<Answer>(order: Order, execArgv: string[]): Promise<Answer> {
  const child = fork(__filename, [], { stdio: ["ignore", "inherit", "inherit", "ipc"], execArgv });
  const timer = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
  try {
    child.send(order);
    const answered = once(child, "message") as Promise<[Answer]>;
    const ended = once(child, "exit").then(([code]) => {
      throw new Error(`the process with ${order.waits} waits ended with exit code ${code}`);
    });
    ended.catch(() => {});
    const [answer] = await Promise.race([answered, ended]);
    return answer;
  } finally {
    clearTimeout(timer);
    child.kill("SIGKILL");
  }
}

async function looks(emulator: EmulatorProcess): Promise<Pick<Waits, "lists" | "shows">> {
  const log = await emulator.requests();
  const many = (wanted: string) => log.filter(({ operation }) => operation === wanted).length;
  return { lists: many("snapshots.detail"), shows: many("snapshots.show") };
}

async function measure({ connection, waits, heapOnly }: Order): Promise<Measured | Pick<Waits, "liveKiBPerWait">> {
  const bareMiB = residentMiB();
  // Here and not above: what loading costs is part of what is measured.
  const { create } = require("../../provider/core/lifecycle") as typeof import("../../provider/core/lifecycle");
  const { Run } = require("../../provider/core/run") as typeof import("../../provider/core/run");
  const { snapshot } =
    require("../../provider/openstack/snapshot/resource") as typeof import("../../provider/openstack/snapshot/resource");
  const run = new Run({ log: () => {} });
  run.configure({ connections: JSON.stringify({ default: connection }) });
  const make = (name: string) =>
    create(snapshot, run, {
      volumeId: "11111111-1111-4111-8111-111111111111",
      name,
      __owner: `urn:pulumi:bench::bench::pulumi-nodejs:dynamic/snapclone:Snapshot::${name}`,
    });
  await make("first");
  const loadedMiB = residentMiB();
  const heapBefore = heapOnly ? heapKiB() : 0;

  const begun = performance.now();
  const sending = startMeter();
  const all = Promise.allSettled(Array.from({ length: waits }, (_, i) => make(`s${i}`)));
  await sentAll(snapshot, waits, all);
  if (heapOnly) return { liveKiBPerWait: Number(((heapKiB() - heapBefore) / waits).toFixed(1)) };
  const sent = sending();
  const waiting = startMeter();
  const failed = (await all).filter(({ status }) => status === "rejected").length;
  const waited = waiting();
  const seconds = Number(((performance.now() - begun) / 1000).toFixed(1));
  return { waits, seconds, failed, bareMiB, loadedMiB, peakMiB: waited.peakMiB, sending: sent, waiting: waited };
}

/** When the last creation was accepted: from then on there is nothing but waiting. */
function sentAll(
  snapshot: typeof import("../../provider/openstack/snapshot/resource").snapshot,
  waits: number,
  all: Promise<unknown>,
): Promise<unknown> {
  const { waitForCreate } = snapshot;
  let accepted = 0;
  const every = new Promise<void>((resolve) => {
    snapshot.waitForCreate = (...args) => {
      accepted += 1;
      if (accepted === waits) resolve();
      return waitForCreate(...args);
    };
  });
  return Promise.race([every, all]);
}

function residentMiB(): number {
  return Number((process.memoryUsage().rss / 2 ** 20).toFixed(1));
}

function heapKiB(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 1024;
}

if (require.main === module) {
  process.once("message", (order) => {
    measure(order as Order).then(
      (measured) => process.send?.(measured),
      (error: Error) => {
        process.stderr.write(`${error.stack}\n`);
        process.exit(1);
      },
    );
  });
}
