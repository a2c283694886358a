// One stack on a backend, and what the scenarios of each resource do with it.

import { newStack, type Result, type Stack } from "../engine/harness";
import type { Backend, BackendSnapshot } from "./backend";

export interface Declared {
  args: Record<string, unknown>;
  opts?: Record<string, unknown>;
}

/** The program that declares these resources, by name. */
export type ProgramOf = (declared: Record<string, Declared>) => { js: string };

/** By the titles of their tests. */
export type Scenarios<B extends Backend> = Record<string, (life: Life<B>) => Promise<void>>;

/** A test for each scenario, each on a stack of its own. Call it inside `describe`. */
export function scenarioTests<B extends Backend>(
  theBackend: () => B,
  program: ProgramOf,
  scenarios: Scenarios<B>,
): void {
  let life: Life<B>;
  const output: string[] = [];

  beforeEach(async () => {
    life = await Life.open(theBackend(), output, program);
  });
  afterEach(() => life.close());

  for (const [title, scenario] of Object.entries(scenarios)) test(title, () => scenario(life));

  afterAll(() => {
    const { secret } = theBackend();
    // No output of any of these runs may contain the password or a token.
    for (const text of output) {
      expect(text).not.toContain(secret);
      expect(text).not.toContain(encodeURIComponent(secret));
      expect(text).not.toMatch(/gAAAA[\w-]{20}/);
    }
    expect(output.length).toBeGreaterThan(0);
  });
}

/** One stack on the backend, and what scenarios do with it. */
export class Life<B extends Backend = Backend> {
  private constructor(
    readonly backend: B,
    readonly stack: Stack,
    /** Everything that the commands of all scenarios have printed. */
    private readonly output: string[],
    private readonly program: ProgramOf,
  ) {}

  static async open<B extends Backend>(backend: B, output: string[], program: ProgramOf): Promise<Life<B>> {
    const stack = await newStack({ program: program({}) });
    // As a user does: the password as a secret, everything else in clear. One command, since each takes a second.
    const settings = Object.entries(backend.connections).flatMap(([name, connection]) =>
      Object.entries(connection).flatMap(([key, value]) => [
        /password|secret/i.test(key) ? "--secret" : "--plaintext",
        `snapclone:connections.${name}.${key}=${value}`,
      ]),
    );
    const life = new Life(backend, stack, output, program);
    await life.ok(stack.command(["config", "set-all", "--stack", stack.name, "--path", ...settings]));
    return life;
  }

  async close(): Promise<void> {
    await this.stack.close();
    await this.backend.clear?.();
    for (const { id } of await this.ours()) await this.backend.remove(id);
  }

  /** Only this stack's: a real project has other snapshots as well. */
  async ours(): Promise<BackendSnapshot[]> {
    return (await this.backend.snapshots()).filter(isOurs);
  }

  declare(declared: Record<string, Declared>): void {
    this.stack.setProgram(this.program(declared));
  }

  async ok(running: Promise<Result>): Promise<Result> {
    const result = await this.finished(running);
    if (result.code !== 0) throw new Error(`exit code ${result.code}\n${result.stdout}\n${result.stderr}`);
    return result;
  }

  async fails(running: Promise<Result>): Promise<Result> {
    const result = await this.finished(running);
    expect(result.code).not.toBe(0);
    return result;
  }

  async resource(name: string) {
    const found = (await this.stack.resources()).find(({ urn }) => urn.endsWith(`::${name}`));
    if (!found?.id) throw new Error(`no ${name} in the state`);
    return { id: found.id, outputs: found.outputs ?? {}, initErrors: found.initErrors ?? [] };
  }

  /** Starts an `up` and waits until the backend has what it creates. */
  async upUntilBegun() {
    const run = this.stack.start("up");
    const [begun] = await until(async () => {
      const rows = await this.ours();
      return rows.length > 0 ? rows : undefined;
    });
    return { run, begun };
  }

  private async finished(running: Promise<Result>): Promise<Result> {
    const result = await running;
    this.output.push(result.stdout, result.stderr);
    return result;
  }
}

/** True for what the stack of a scenario has made, by the record in the object's metadata. */
export function isOurs({ metadata }: { metadata: Record<string, string> }): boolean {
  const owner = metadata["snapclone:owner"] ?? metadata["snapclone:series-owner"];
  return owner?.startsWith("urn:pulumi:dev::snapclone-test::") === true;
}

export function changes({ events }: Result): Record<string, number> {
  return events.find(({ summaryEvent }) => summaryEvent)?.summaryEvent?.resourceChanges ?? {};
}

export async function until<T>(fetch: () => Promise<T | undefined>, limitMs = 60_000): Promise<T> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const seen = await fetch();
    if (seen !== undefined) return seen;
    if (Date.now() > deadline) throw new Error(`nothing appeared within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
