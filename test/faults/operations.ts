// The provider's operations on a resource as a run of Pulumi calls them: the run before, the operation itself, and the same
// command again.

import type { Emulator } from "../../emulator";
import type { Pending } from "../../provider/core/definition";
import type { Properties } from "../../provider/core/operation";
import type { StackState } from "../../provider/core/ownership";
import { Run } from "../../provider/core/run";
import type { Clock } from "../../provider/core/util/clock";
import type { Operation, ResourceUnderTest } from "./resourceUnderTest";
import { coreShell, type Entry, entryIn, nativeShell, type Shell } from "./shells";

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
  stored: Entry | undefined;
  /** Set if a refresh found that the object is gone. */
  gone?: true;
  error?: unknown;
}

/** One run of Pulumi, with its own provider process. */
export class UserRun {
  readonly log: string[] = [];
  readonly shell: Shell;
  readonly run: Run;

  constructor(
    readonly resource: ResourceUnderTest,
    clock: Clock,
    private readonly client: unknown,
  ) {
    const { definition, hidden, shell } = resource;
    const options = {
      clock,
      log: (_severity: unknown, text: string) => void this.log.push(text),
      askState: async (urn: string) => state.ask(urn),
    };
    this.run = new Run(options);
    this.shell = shell === "native" ? nativeShell(options, String(hidden.__owner)) : coreShell(definition, this.run);
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
    return this.shell.end();
  }
}

/** Prepares what the operation finds: the state of an earlier run, or what a killed run has left. */
export async function prepare(
  operation: Operation,
  earlier: UserRun,
  timeouts: object,
  emulator: Emulator,
): Promise<Entry | undefined> {
  state.reset();
  if (operation === "create") return undefined;
  if (operation === "import") {
    state.imported = earlier.resource.imported?.make(emulator);
    return undefined;
  }
  const { before } = earlier.resource;
  const made = await earlier.perform(() => created(earlier, { ...before, __timeouts: timeouts }, operation));
  // A killed run has no end.
  if (operation === "adopt") return undefined;
  await earlier.end();
  return made;
}

/** A create as the engine runs it: pending in the state until its end is saved. A killed run never saves it. */
async function created({ shell, resource }: UserRun, news: Properties, operation: Operation): Promise<Entry> {
  const attempt = state.begin();
  try {
    const made = await shell.create({ ...news, ...resource.hidden, __attempt: attempt });
    if (operation !== "adopt" || state.attempts.length > 1) {
      state.ended(attempt);
      state.ids.set(made.id, attempt);
    }
    return made;
  } catch (error) {
    const entry = entryIn(error);
    if (entry) state.ids.set(entry.id, attempt);
    // A failed create of a good run is not pending any more.
    state.ended(attempt);
    throw error;
  }
}

export async function perform(
  operation: Operation,
  user: UserRun,
  stored: Entry | undefined,
  timeouts: object,
): Promise<Result> {
  const { shell, resource } = user;
  const news = { ...inputsOf(operation, resource), __timeouts: timeouts };
  try {
    return await user.perform(async (): Promise<Result> => {
      if (isCreation(operation)) return { stored: await created(user, news, "create") };
      if (!stored) throw new Error(`nothing was prepared for ${operation}`);
      const { id, properties } = stored;
      switch (operation) {
        case "read": {
          const found = await shell.read(id, properties, inputsOf("create", resource));
          return found === undefined ? { stored: undefined, gone: true } : { stored: found };
        }
        case "update":
          return { stored: await shell.update(id, properties, news) };
        case "delete":
          await shell.remove(id, { ...properties, __timeouts: timeouts });
          return { stored: undefined };
        case "look up": {
          if (!resource.lookUp) throw new Error(`${resource.title} has no lookup`);
          const { id: found, ...info } = await shell.getSnapshot(resource.lookUp);
          return { stored: { id: String(found), properties: info } };
        }
      }
    });
  } catch (error) {
    return { stored: entryIn(error) ?? stored, error };
  }
}

/** What the user does next: the same command again, in a new process. Throws if that does not end well. */
export async function again(
  operation: Operation,
  user: UserRun,
  before: Entry | undefined,
  { stored, error, gone }: Result,
): Promise<void> {
  const timeouts = { create: "30m", update: "30m", delete: "30m" };
  const { shell, resource } = user;
  const finished = await user.perform(async (): Promise<Result> => {
    if (!isCreation(operation) || stored === undefined) return perform(operation, user, stored ?? before, timeouts);
    const { id, properties } = stored;
    const news = { ...inputsOf(operation, resource), __attempt: properties.__attempt as string };
    const { replaces, changes } = await shell.diff(id, properties, news);
    if (replaces) {
      const made = await created(user, news, "create");
      await shell.remove(id, properties);
      state.ids.delete(id);
      return { stored: made };
    }
    // What ended in an init failure is updated whether it differs or not.
    if (error === undefined && !changes) return { stored };
    return { stored: await shell.update(id, properties, news) };
  });
  if (finished.error !== undefined && !gone) throw finished.error;
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
