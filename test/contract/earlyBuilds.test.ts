// What the last early build without `stack` left behind (its marks, its state) goes on working. `early/*.json` hold what
// that build wrote for each resource: "settled" after an orderly end, "open" after a kill.

import fs from "node:fs";
import path from "node:path";
import { type Emulator, startEmulator } from "../../emulator";
import type { AnyDefinition } from "../../provider/core/definition";
import type { Properties } from "../../provider/core/operation";
import { RESOURCES } from "../faults/resources/index";
import type { ResourceUnderTest } from "../faults/resourceUnderTest";
import { FaultyHttp } from "../faults/wire";
import { AutoAdvancingClock } from "../support/autoAdvancingClock";
import { FakeEngine } from "../support/fakeEngine";

interface Left {
  id: string;
  outs: Properties & { __owner: string };
  /** Service, table, key. */
  rows: Record<string, Record<string, Record<string, Record<string, unknown>>>>;
}

const YEARS = "99999h";
const FOLDER = path.join(__dirname, "early");

describe.each(titles())("%s", (title) => {
  const file = path.join(FOLDER, `${title}.json`);
  const subject = RESOURCES.find((one) => one.title === title) as ResourceUnderTest;
  const left = JSON.parse(fs.readFileSync(file, "utf8")) as { settled: Left; open: Left };
  const name = left.settled.outs.__owner.split("::").at(-1) ?? "";
  let emulator: Emulator;
  let http: FaultyHttp;
  let engine: FakeEngine;

  async function begin({ rows }: Left): Promise<void> {
    emulator = await startEmulator({ clock: "instant" });
    subject.prepare(emulator);
    restore(emulator, rows);
    const clock = new AutoAdvancingClock(20);
    http = new FaultyHttp(clock, { attemptMs: 20_000, connectMs: 20_000 });
    const client = subject.open(emulator, clock, http);
    const { connection } = subject.definition;
    const definition = { ...subject.definition, connection: { ...connection, open: () => client } } as AnyDefinition;
    engine = new FakeEngine(definition, { clock, type: title, config: { adoptWithin: YEARS } });
  }

  afterEach(async () => {
    await http.close();
    await emulator.close();
  });

  test("recorded: no change, then a change in place, a refresh and a destroy", async () => {
    const { id, outs } = left.settled;
    await begin(left.settled);
    const { __owner, ...given } = { ...subject.before, ...subject.hidden } as Properties;
    engine.edit(({ entries }) => {
      const inputs = { ...given, __owner };
      const created = new Date().toISOString();
      entries.push({ urn: engine.urn(name), id, inputs, outputs: outs, leaving: false, initError: false, created });
    });
    const before = emulator.requests.length;
    expect(await engine.up({ [name]: subject.before })).toMatchObject({ errors: [] });
    expect(emulator.requests.length).toBe(before);
    expect(await engine.refresh()).toMatchObject({ errors: [] });
    expect(await engine.up({ [name]: subject.before })).toMatchObject({ errors: [] });
    expect(await engine.up({ [name]: subject.after })).toMatchObject({ errors: [] });
    expect(engine.idOf(name)).toBe(id);
    subject.advance(emulator);
    expect(subject.statuses(emulator)).toEqual(
      Array.from({ length: subject.expectedCount }, () => subject.healthyStatus),
    );
    expect(await engine.destroy()).toMatchObject({ errors: [] });
    subject.advance(emulator);
    expect(subject.statuses(emulator)).toEqual([]);
  });

  test("left by a kill: adopted where the state shows the create as pending, told and left where it does not", async () => {
    await begin(left.open);
    engine.edit(({ pending }) => pending.push({ urn: engine.urn(name), inputs: {} }));
    const { errors, log } = await engine.up({ [name]: subject.before });
    expect(errors).toEqual([]);
    expect(engine.idOf(name)).toBe(left.open.id);
    expect(log.join("\n")).toContain("info: adopted");
    subject.advance(emulator);
    expect(subject.statuses(emulator)).toEqual(
      Array.from({ length: subject.expectedCount }, () => subject.healthyStatus),
    );
  });
});

/** The resources that those builds had. */
function titles(): string[] {
  return fs.readdirSync(FOLDER).map((file) => path.basename(file, ".json"));
}

function restore(emulator: Emulator, rows: Left["rows"]): void {
  for (const [service, tables] of Object.entries(rows)) {
    const model = Reflect.get(emulator, service) as Record<string, Map<string, unknown>>;
    for (const [table, entries] of Object.entries(tables)) {
      for (const [key, row] of Object.entries(entries)) model[table]?.set(key, revived(row));
    }
  }
}

/** Maps were written as `{ $map: entries }`, sets as `{ $set: values }`. */
function revived(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revived);
  if (typeof value !== "object" || value === null) return value;
  const { $map: entries, $set: values } = value as { $map?: [unknown, unknown][]; $set?: unknown[] };
  if (values) return new Set(values);
  if (entries) return new Map(entries.map(([key, inner]) => [key, revived(inner)]));
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, revived(inner)]));
}
