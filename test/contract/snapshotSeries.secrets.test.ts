// A series whose name and triggers are secret: no message shows them, and each output that repeats them is marked. How
// Pulumi hands over what is secret: provider/pulumi/secrets.ts.

import { redact } from "../../provider/core/errors";
import { snapshotSeries } from "../../provider/openstack/snapshotSeries/resource";
import { protectSecretInputs, wrapSecrets } from "../../provider/pulumi/secrets";
import type { RunResult } from "../support/fakeEngine";
import {
  begin,
  definition,
  destroy,
  emulator,
  outputs,
  passTime,
  refresh,
  rows,
  up,
  VOLUME,
} from "./snapshotSeriesFixture";

const NAME = "planted-name/ä&<7>";
const TRIGGER = "planted-trigger-2026";
const ARGS = { keep: 1, name: NAME, triggers: [TRIGGER], __secrets: ["name", "triggers[0]"] };
const withTrigger = (trigger: string) => ({ ...ARGS, triggers: [`${TRIGGER}-${trigger}`] });

/** As provider/dynamic.ts does it before each call. */
const protect = (args: typeof ARGS) => {
  protectSecretInputs(args);
  return args;
};

const textOf = ({ errors, log }: RunResult) =>
  // The log on the way to the terminal, as provider/pulumi/engine.ts sends it. Errors are redacted as they are made.
  [...log.map(redact), ...errors.map((error) => (error instanceof Error ? error.message : String(error)))].join("\n");
const expectProtected = (result: RunResult) => {
  const text = textOf(result);
  for (const value of [NAME, TRIGGER]) {
    for (const form of [value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1)])
      expect(text).not.toContain(form);
  }
  return text;
};

/** A run in which Cinder refuses, fails or says something, and what the user then reads. */
const RUNS: Record<string, { run: () => Promise<RunResult>; says: string }> = {
  "Cinder refuses the first snapshot": {
    says: "maintenance mode",
    run: async () => {
      Object.assign(emulator.cinder.volumes.get(VOLUME) ?? {}, { status: "maintenance" });
      return up(engine, protect(ARGS));
    },
  },
  "the snapshot ends in error": {
    says: "Snapshot failed to create",
    run: async () => {
      emulator.cinder.failNext({ create: "error" });
      return up(engine, protect(ARGS));
    },
  },
  "an old one stays": {
    says: "[redacted]",
    run: async () => {
      await up(engine, protect(ARGS));
      passTime(60_000);
      emulator.cinder.failNext({ delete: "busy" });
      return up(engine, protect(withTrigger("2")));
    },
  },
  "a refresh finds one in error": {
    says: "is in status",
    run: async () => {
      await up(engine, protect(ARGS));
      for (const row of rows()) row.status = "error";
      return refresh(engine);
    },
  },
  "destroy can't delete one": {
    says: "Snapshot is busy",
    run: async () => {
      await up(engine, protect(ARGS));
      emulator.cinder.failNext({ delete: "busy" });
      return destroy(engine);
    },
  },
};

let engine: ReturnType<typeof begin>;
beforeEach(() => {
  engine = begin();
});

test.each(Object.entries(RUNS))("%s: the values are in no message", async (_title, { run, says }) => {
  const text = expectProtected(await run());
  // Something is said at all, so the test can fail.
  expect(text).toContain(says);
});

test("each output that repeats the name or the triggers is marked as secret, whatever it is called", async () => {
  await up(engine, protect(ARGS));
  passTime(60_000);
  await up(engine, protect(withTrigger("2")));
  const outs: Record<string, unknown> = { ...outputs(engine), __secrets: ARGS.__secrets };
  expect(outs.pruned).toHaveLength(1);
  const marked = wrapSecrets(snapshotSeries, outs);
  const plain = Object.entries(marked).filter(([key, value]) => {
    // Pulumi itself marks an output that has the name of a secret input (docs/wire/pulumi-engine.md).
    if (key === "name" || key === "triggers" || key.startsWith("__")) return false;
    const isMarked = typeof value === "object" && value !== null && "4dabf18193072939515e22adb298388d" in value;
    return !isMarked && JSON.stringify(value ?? null).includes("planted");
  });
  expect(plain).toEqual([]);
  // A digest of few possible triggers tells them.
  for (const output of ["snapshots", "pruned", "takenFor"]) {
    expect(marked[output]).toEqual({ "4dabf18193072939515e22adb298388d": expect.any(String), value: outs[output] });
  }
});

test("a series that is not secret has its names in clear, so that the tests above mean something", async () => {
  await up(engine, { keep: 1, name: "in-clear", triggers: ["1"] });
  passTime(60_000);
  emulator.cinder.failNext({ delete: "busy" });
  expect(textOf(await up(engine, { keep: 1, name: "in-clear", triggers: ["2"] }))).toContain("in-clear");
  expect(wrapSecrets(definition, outputs(engine)).snapshots).toEqual(outputs(engine).snapshots);
});
