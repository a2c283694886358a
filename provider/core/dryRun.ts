// What only a backend can say about a resource that is to be made.

import { unknownPaths } from "./check";
import type { AnyDefinition, CheckFailure, HiddenInputs } from "./definition";
import { asSnapcloneError } from "./errors";
import { connect, type Properties, parseInputs } from "./operation";
import type { Run } from "./run";

/** A dry run of `create`, for `check`. A backend that cannot be reached is no failure: previews need none. */
export async function dryRun(definition: AnyDefinition, run: Run, news: Properties): Promise<CheckFailure[]> {
  if (!definition.dryRun || unknownPaths(news).length > 0) return [];
  const { __owner } = news as HiddenInputs;
  const warn = (text: string) => run.log("warning", text, __owner);
  const operation = `ask for a dry run of ${definition.describe(news)}`;
  let client: unknown;
  try {
    client = connect(definition, run, news, operation);
  } catch {
    return [];
  }
  return run.track(async () => {
    try {
      const inputs = parseInputs(definition, news, operation);
      const context = { clock: run.clock, signal: run.signal, warn, stack: run.stackOf(news), owner: __owner ?? "" };
      return (await definition.dryRun?.(client, inputs, context)) ?? [];
    } catch (error) {
      warn(asSnapcloneError(error, operation).message);
      return [];
    }
  });
}
