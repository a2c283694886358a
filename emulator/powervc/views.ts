// What PowerVC shows of a clone task, in the two forms of IBM's document (docs/wire/powervc.md#f1-progress).

import type { CloneTask } from "./model";

type View = Record<string, unknown>;

/** The document's first sample, with the braces where they can only be meant. */
export function besideDetails(task: CloneTask): View {
  const steps = (...states: string[]) =>
    Object.fromEntries(
      task.steps.filter(({ state }) => states.includes(state)).map(({ name, state }) => [name, state]),
    );
  const completed = { ...steps("SUCCESS", "FAILURE", "REVERTED"), _TaskFlow_INJECTOR: "SUCCESS" };
  return {
    details: { results: resultsOf(task), completed_tasks: completed },
    pending_tasks: task.state === "RUNNING" ? steps("RUNNING", "PENDING") : {},
    progress: percentOf(task),
    flow_details: { cloneFlow: task.state },
  };
}

/** The document's use cases. */
export function insideDetails(task: CloneTask): View {
  return { details: { results: resultsOf(task), progress: percentOf(task), flow_details: { cloneFlow: task.state } } };
}

function resultsOf({ state, failure, clones }: CloneTask): View {
  if (state === "REVERTED") return { failure: failure ?? "" };
  return state === "SUCCESS" ? Object.fromEntries(clones) : {};
}

/** A flow that was reverted has 100, too: the document's second use case. */
function percentOf({ state, steps }: CloneTask): number {
  if (state === "SUCCESS" || state === "REVERTED") return 100;
  return Math.floor((100 * steps.filter((step) => step.state === "SUCCESS").length) / steps.length);
}
