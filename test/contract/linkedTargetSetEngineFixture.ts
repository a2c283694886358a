// LinkedTargetSet on a model of the engine, with a fresh ViPR for each test.

import { SEED_SESSIONS } from "../../emulator";
import type { Properties } from "../../provider/core/operation";
import type { TargetOutput } from "../../provider/vipr/linkedTargetSet/state";
import type { RunResult } from "../support/fakeEngine";
import { ViprFixture } from "../support/viprFixture";

export const { monday, tuesday, shopMonday, shopTuesday } = SEED_SESSIONS;

export const fixture = new ViprFixture();

beforeEach(() => fixture.reset());

export const up = (args: Properties, options = {}, aliases = {}) =>
  fixture.run((engine) => engine.up({ dev: args }, options, aliases));

export const good = async (run: Promise<RunResult>): Promise<RunResult> => {
  const result = await run;
  expect(result.errors).toEqual([]);
  expect(result.killed).toBe(false);
  return result;
};

export const outputOf = ({ errors, log }: RunResult) => [...errors.map(String), ...log].join("\n");

export const outs = () => fixture.entry()?.outputs ?? {};

export const idsOf = (outputs: Properties = outs()) => (outputs.targets as TargetOutput[]).map(({ id }) => id);

export const active = () => fixture.vipr.active().map(({ id }) => id);

export const posts = (operation: string) => fixture.emulator.requests.count({ operation: `sessions.${operation}` });
