// ClonedVm's lifecycle against the emulator over HTTP, with clocks that run faster than real time.

import { type Emulator, startEmulator, ZSTACK_SEED } from "../../emulator";
import type { Properties } from "../../provider/core/operation";
import { Run } from "../../provider/core/run";
import { clonedVm as released } from "../../provider/zstack/clonedVm/resource";
import { resolveZStack } from "../../provider/zstack/connection";
import { ZStackContext } from "../../provider/zstack/context";
import { ScaledClock } from "../support/scaledClock";

/** How many times faster than real time both the emulator's clock and the provider's clock run. */
const SCALE = 200;

export const origin = Date.now();

export const clock = new ScaledClock(SCALE, origin);

export const OWNER = "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:ClonedVm::web";

export const NEWS: Properties = {
  vmInstanceUuid: ZSTACK_SEED.web,
  names: ["web-1", "web-2"],
  __owner: OWNER,
  __provider: "p",
};

export const FULL: Properties = { ...NEWS, vmInstanceUuid: ZSTACK_SEED.db, names: ["db-1"], full: true };

export let emulator: Emulator;

export let cloud: ZStackContext;

const opened: ZStackContext[] = [];

export const log: string[] = [];

export const definition = { ...released, connection: { kind: "zstack", open: () => cloud } };

export const newRun = () => new Run({ clock, log: (severity, text) => log.push(`${severity}: ${text}`) });

export async function start(options: Parameters<typeof startEmulator>[0] = {}, more: object = {}): Promise<void> {
  emulator = await startEmulator({ clock: "manual", ...options });
  clock.drive(emulator);
  log.length = 0;
  connect(more);
}

/** Acts as another process, with another login and nothing remembered. */
export function connect(more: object = {}): void {
  const config = { ...emulator.zstack.connection(), ...more };
  cloud = new ZStackContext(resolveZStack({ name: "default", config, env: {}, cwd: "/", home: "/" }), clock);
  opened.push(cloud);
}

afterEach(async () => {
  for (const one of opened.splice(0)) await one.client.close();
  await emulator.close();
});

/** All living VMs without the seed's. */
export const clones = () => emulator.zstack.living().filter(({ name }) => name !== "web" && name !== "db");

export const names = () =>
  clones()
    .map(({ name }) => name)
    .sort();

export const counted = (operation: string) => emulator.requests.count({ operation });

export const sourceTags = (uuid: string = ZSTACK_SEED.web) => emulator.zstack.tagsOf(uuid);

export const vmsOf = (outs: Properties) => outs.vms as { uuid: string; name: string; state: string; ips: string[] }[];
