// A revert on a real `pulumi`: what the preview says, what is refused, and kill -9 in the middle. The emulator's tests and those
// on a real Cinder run the same scenario.

import { setTimeout as delay } from "node:timers/promises";
import { newStack, type Result, type Stack } from "../engine/harness";
import { killAll } from "../support/processes";
import type { Backend } from "./backend";

export interface RevertBackend extends Backend {
  /** A volume for this scenario alone. */
  newVolume(): Promise<string>;
  /** Behind Pulumi's back. Returns the id, when the snapshot is available. */
  takeSnapshot(volumeId: string): Promise<string>;
  /** The application writes to the volume; `isUntouched` says whether what it wrote is gone. */
  write(volumeId: string, snapshotId: string): Promise<void>;
  isUntouched(volumeId: string, snapshotId: string): Promise<boolean>;
  /** How often the backend has reverted to the snapshot. */
  reverts(snapshotId: string): Promise<number>;
  /** The backend accepts a revert, and does nothing until the returned function is called: so a test can kill before its end. */
  holdReverts(): () => void;
}

export function revertScenario(theBackend: () => RevertBackend, types: readonly string[]): void {
  test.each(types)(
    "%s: preview, a newer snapshot, kill -9 in mid revert, up again: reverted exactly once",
    async (type) => {
      const backend = theBackend();
      const volumeId = await backend.newVolume();
      const stack = await newStack({ program: programOf(type, volumeId, "1"), config: backend.connections });
      try {
        await revertAndKill(stack, backend, type, volumeId);
      } finally {
        await stack.close();
      }
    },
  );
}

async function revertAndKill(stack: Stack, backend: RevertBackend, type: string, volumeId: string): Promise<void> {
  await ok(stack.up());
  const [snapshot] = (await backend.snapshots()).filter((row) => row.volume_id === volumeId);
  const id = snapshot?.id ?? "";
  await backend.write(volumeId, id);

  stack.setProgram(programOf(type, volumeId, "2"));
  const preview = await ok(stack.preview());
  expect(textOf(preview)).toMatch(
    new RegExp(
      `reverts volume ${volumeId} to (the latest )?snapshot ${id}: data written since then \\(\\S+\\) is lost`,
    ),
  );
  expect(await backend.isUntouched(volumeId, id)).toBe(false);

  const newer = await backend.takeSnapshot(volumeId);
  const refused = await stack.up();
  expect(refused.code).not.toBe(0);
  expect(textOf(refused)).toContain(`newer is ${newer}`);
  await backend.remove(newer);

  const release = backend.holdReverts();
  try {
    await killInMidRevert(stack, backend, id);
  } finally {
    release();
  }
  await stack.cancel();

  const again = await ok(stack.up());
  expect(textOf(again)).toMatch(
    /the revert of volume \S+ to snapshot \S+ that an earlier run asked for at \S+ has taken place/,
  );
  expect(await backend.isUntouched(volumeId, id)).toBe(true);
  await ok(stack.up());
  expect(await backend.reverts(id)).toBe(1);
  const row = (await backend.snapshots()).find((one) => one.id === id);
  expect(row).toMatchObject({ status: "available", metadata: { "snapclone:reverted": expect.any(String) } });
  await ok(stack.destroy());
  expect((await backend.snapshots()).filter((one) => one.volume_id === volumeId)).toEqual([]);
}

async function killInMidRevert(stack: Stack, backend: RevertBackend, id: string): Promise<void> {
  const run = stack.start("up");
  const ended = run.result.then(
    (result) => textOf(result),
    (error) => String(error),
  );
  for (;;) {
    if ((await backend.snapshots()).find((row) => row.id === id)?.status === "restoring") break;
    const early = await Promise.race([ended, delay(50)]);
    if (early !== undefined) throw new Error(`the run ended without a revert: ${early}`);
  }
  killAll(stack.providers());
  run.child.kill("SIGKILL");
  await ended;
}

async function ok(result: Promise<Result>): Promise<Result> {
  const ended = await result;
  expect([ended.code, ended.stdout]).toEqual([0, ended.stdout]);
  return ended;
}

const textOf = ({ stdout, stderr, events }: Result) => `${stdout}\n${stderr}\n${JSON.stringify(events)}`;

function programOf(type: string, volumeId: string, trigger: string) {
  return {
    js: `
const snapclone = require("pulumi-snapclone");
const args = ${JSON.stringify({ volumeId, revertTriggers: [trigger], ...(type === "Snapshot" ? {} : { keep: 2 }) })};
new snapclone.${type}("db", args);`,
  };
}
