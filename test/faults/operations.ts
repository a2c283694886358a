// The provider's operations on a resource as a run of Pulumi calls them: the run before, the operation itself, and the same
// command again.

import type { Emulator } from "../../emulator";
import type { Pending } from "../../provider/core/definition";
import { diff } from "../../provider/core/diff";
import { create, read, remove, update } from "../../provider/core/lifecycle";
import type { Properties } from "../../provider/core/operation";
import { PartialFailure } from "../../provider/core/outputs";
import type { StackState } from "../../provider/core/ownership";
import { Run } from "../../provider/core/run";
import type { Clock } from "../../provider/core/util/clock";
import type { Operation, ResourceUnderTest } from "./resourceUnderTest";

/** Pulumi's state during the present test. `prepare` clears it. */
const state = {
  ids: new Map<string, string>(),
  attempts: [] as string[],
  begun: 0,
  /** The id that the option `import` names. */
  imported: undefined as string | undefined,
  reset() {
    this.imported = undefined;
    this.ids.clear();
    this.attempts = [];
  },
  /** Begins a create: the engine saves that before it calls the provider. */
  begin(): string {
    this.begun += 1;
    const attempt = String(10 ** 15 + this.begun);
    this.attempts.push(attempt);
    return attempt;
  },
  ended(attempt: string): void {
    this.attempts = this.attempts.filter((one) => one !== attempt);
  },
  ask(urn: string): StackState {
    return {
      entries: [...this.ids].map(([id, attempt]) => ({ urn, id, attempt, leaving: false, external: false })),
      pendingCreates: this.attempts.map((attempt) => ({ urn, attempt })),
    };
  },
};

/** What an operation has given to the engine. */
export interface Result {
  /** What Pulumi stores after the operation. */
  stored: { id: string; properties: Properties; inputs?: Properties } | undefined;
  /** Set if a refresh found that the object is gone. */
  gone?: true;
  error?: unknown;
}

/** One run of Pulumi, with its own provider process. */
export class UserRun {
  readonly log: string[] = [];
  private readonly run: Run;

  constructor(
    readonly resource: ResourceUnderTest,
    clock: Clock,
    private readonly client: unknown,
  ) {
    this.run = new Run({
      clock,
      log: (_severity, text) => this.log.push(text),
      askState: async (urn) => state.ask(urn),
    });
  }

  /** Connections that the provider opens during `work` belong to this run. */
  async perform<T>(work: (run: Run) => Promise<T>): Promise<T> {
    const { connection } = this.resource.definition;
    const { open } = connection;
    connection.open = () => this.client;
    try {
      return await work(this.run);
    } finally {
      connection.open = open;
    }
  }

  end(): Promise<void> {
    return this.run.end();
  }
}

/** Prepares what the operation finds: the state of an earlier run, or what a killed run has left. */
export async function prepare(
  operation: Operation,
  earlier: UserRun,
  timeouts: object,
  emulator: Emulator,
): Promise<Stored | undefined> {
  state.reset();
  if (operation === "create") return undefined;
  if (operation === "import") {
    state.imported = earlier.resource.imported?.make(emulator);
    return undefined;
  }
  const { before } = earlier.resource;
  const made = await earlier.perform((run) =>
    created(earlier.resource, run, { ...before, __timeouts: timeouts }, operation),
  );
  // A killed run has no end.
  if (operation === "adopt") return undefined;
  await earlier.end();
  return { id: made.id, properties: made.outs };
}

/** A create as the engine runs it: pending in the state until its end is saved. A killed run never saves it. */
async function created({ definition, hidden }: ResourceUnderTest, run: Run, news: Properties, operation: Operation) {
  const attempt = state.begin();
  try {
    const made = await create(definition, run, { ...news, ...hidden, __attempt: attempt });
    if (operation !== "adopt" || state.attempts.length > 1) {
      state.ended(attempt);
      state.ids.set(made.id, attempt);
    }
    return made;
  } catch (error) {
    if (error instanceof PartialFailure) state.ids.set(error.id, attempt);
    // A failed create of a good run is not pending any more.
    state.ended(attempt);
    throw error;
  }
}

export type Stored = NonNullable<Result["stored"]>;

export async function perform(
  operation: Operation,
  user: UserRun,
  stored: Stored | undefined,
  timeouts: object,
): Promise<Result> {
  const { definition, lookUp } = user.resource;
  const news = { ...inputsOf(operation, user.resource), __timeouts: timeouts };
  try {
    return await user.perform(async (run): Promise<Result> => {
      if (isCreation(operation)) {
        const { id, outs } = await created(user.resource, run, news, "create");
        return { stored: { id, properties: outs } };
      }
      if (!stored) throw new Error(`nothing was prepared for ${operation}`);
      const { id, properties } = stored;
      switch (operation) {
        case "read": {
          const answer = await read(definition, run, id, properties);
          if (answer.id === undefined) return { stored: undefined, gone: true };
          return { stored: { id: answer.id, properties: answer.props, inputs: answer.inputs } };
        }
        case "update":
          return { stored: { id, properties: (await update(definition, run, id, properties, news)).outs } };
        case "delete":
          await remove(definition, run, id, { ...properties, __timeouts: timeouts });
          return { stored: undefined };
        case "look up": {
          if (!lookUp) throw new Error(`${user.resource.title} has no lookup`);
          const { id: found, ...info } = await lookUp();
          return { stored: { id: found, properties: info } };
        }
      }
    });
  } catch (error) {
    return { stored: error instanceof PartialFailure ? { id: error.id, properties: error.properties } : stored, error };
  }
}

/** What the user does next: the same command again, in a new process. Throws if that does not end well. */
export async function again(
  operation: Operation,
  user: UserRun,
  before: Stored | undefined,
  { stored, error, gone }: Result,
): Promise<void> {
  const timeouts = { create: "30m", update: "30m", delete: "30m" };
  const { definition } = user.resource;
  const finished = await user.perform(async (run) => {
    if (!isCreation(operation) || stored === undefined) return perform(operation, user, stored ?? before, timeouts);
    // The engine shows an id that it has recorded before it does anything with it.
    const news = { ...inputsOf(operation, user.resource), __attempt: stored.properties.__attempt as string };
    run.registerRecorded(definition, stored.id);
    const difference = diff(definition, stored.properties, news, run.stackOf(news));
    if (difference.replaces?.length) {
      const made = await created(user.resource, run, news, "create");
      await remove(definition, run, stored.id, stored.properties);
      state.ids.delete(stored.id);
      return { stored: { id: made.id, properties: made.outs } };
    }
    // What ended in an init failure is updated whether it differs or not.
    if (error === undefined && difference.changes === false) return { stored };
    return {
      stored: { id: stored.id, properties: (await update(definition, run, stored.id, stored.properties, news)).outs },
    };
  });
  if ("error" in finished && finished.error !== undefined && !gone) throw finished.error;
}

function isCreation(operation: Operation): operation is "create" | "adopt" | "import" {
  return operation === "create" || operation === "adopt" || operation === "import";
}

function inputsOf(operation: Operation, { before, after, hidden, imported }: ResourceUnderTest): Properties {
  // `check` adds `__imported`.
  const option = { __import: state.imported, __imported: state.imported };
  if (operation === "import") return { ...imported?.inputs, ...hidden, ...option };
  return { ...(operation === "create" ? before : after), ...hidden };
}

/** How many objects exist after a run that succeeds, whatever came before. */
export function expectedCount(operation: Operation, resource: ResourceUnderTest): number {
  return operation === "delete" ? 0 : resource.expectedCount;
}

export function pendingOf(properties: Properties): Pending | undefined {
  return properties.pending as Pending | undefined;
}
