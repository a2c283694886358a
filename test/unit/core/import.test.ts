// The `import` option over the fake engine: what a create takes over, what it refuses, and what becomes of a killed import.

import { check } from "../../../provider/core/check";
import type { AnyDefinition } from "../../../provider/core/definition";
import { SnapcloneError } from "../../../provider/core/errors";
import { announceImport } from "../../../provider/core/import";
import type { Properties } from "../../../provider/core/operation";
import { Run } from "../../../provider/core/run";
import { FakeBackend, type FakeRow, fakeDefinition } from "../../support/fakeBackend";
import { FakeClock } from "../../support/fakeClock";
import { FakeEngine } from "../../support/fakeEngine";

let clock: FakeClock;
let backend: FakeBackend;
let definition: AnyDefinition;
let engine: FakeEngine;

beforeEach(() => {
  clock = new FakeClock();
  backend = new FakeBackend(clock);
  definition = fakeDefinition(backend);
  engine = newEngine();
  put("fake-old");
});

function newEngine(options: { stack?: string; origin?: string } = {}): FakeEngine {
  const made = new FakeEngine(definition, { clock, isDead: () => backend.dead, ...options });
  // Time passes only while the clock runs.
  const { up, refresh, destroy } = made;
  return Object.assign(made, {
    up: (...args: Parameters<typeof up>) => clock.run(() => up.apply(made, args)),
    refresh: (...args: Parameters<typeof refresh>) => clock.run(() => refresh.apply(made, args)),
    destroy: (...args: Parameters<typeof destroy>) => clock.run(() => destroy.apply(made, args)),
  });
}

function put(id: string, more: Partial<FakeRow> = {}): void {
  backend.rows.set(id, {
    id,
    source: "v1",
    name: "by hand",
    status: "ready",
    createdAt: "2024-01-01T00:00:00Z",
    ...more,
  });
}

const imports = (more: Properties = {}) => ({ source: "v1", __import: "fake-old", ...more });
/** The requests since the last call that change something. */
const changes = () => backend.requests.splice(0).filter((one) => !/^(read|list)/.test(one));
const messageOf = (errors: unknown[]) => errors.map((error) => (error as Error).message).join("\n");
const asked = () => engine.state.entries.map(({ id }) => id);

test("takes the object over, changes nothing afterwards, and destroys it", async () => {
  const first = await engine.up({ a: imports({ name: "mine" }) });
  expect(first.errors).toEqual([]);
  expect(engine.idOf("a")).toBe("fake-old");
  expect(changes()).toEqual(["record fake-old", "rename fake-old"]);
  expect(first.log).toContainEqual("info: took over the fake fake-old, and brought into line with the program: name");
  expect(backend.rows.get("fake-old")).toMatchObject({ owner: engine.urn("a"), name: "mine" });

  expect((await engine.up({ a: imports({ name: "mine" }) })).errors).toEqual([]);
  expect(changes()).toEqual([]);
  await engine.refresh();
  expect((await engine.up({ a: imports({ name: "mine" }) })).errors).toEqual([]);
  expect(changes()).toEqual([]);

  await engine.up({ a: imports({ name: "other" }) });
  expect(changes()).toEqual(["rename fake-old"]);
  await engine.destroy();
  expect([backend.posts, backend.deletions]).toEqual([0, ["fake-old"]]);
});

test("without a name in the program, the name stays, also when the option leaves the program", async () => {
  await engine.up({ a: imports() });
  const { __import: _, ...without } = imports();
  for (const program of [imports(), without, without]) {
    expect((await engine.up({ a: program })).errors).toEqual([]);
    await engine.refresh();
  }
  expect(backend.rows.get("fake-old")?.name).toBe("by hand");
  expect(changes()).toEqual(["record fake-old"]);
});

test("the option names what the state holds: removed and added again, it changes nothing", async () => {
  const { __import: _, ...without } = imports({ name: "x" });
  await engine.up({ a: without });
  const made = engine.idOf("a");
  changes();
  for (const __import of [made, undefined, made]) {
    expect((await engine.up({ a: { ...without, ...(__import ? { __import } : {}) } })).errors).toEqual([]);
  }
  expect([changes(), engine.idOf("a")]).toEqual([[], made]);
});

describe("refused, and nothing is sent", () => {
  const refused = async (program: Record<string, Properties>, text: RegExp, options = {}) => {
    const before = structuredClone(engine.state.entries);
    changes();
    const { errors } = await engine.up(program, options);
    expect([messageOf(errors), errors.length]).toEqual([expect.stringMatching(text), 1]);
    expect([changes(), engine.state.entries, engine.state.pending]).toEqual([[], before, []]);
  };

  test("an id that is not there", () =>
    refused({ a: imports({ __import: "fake-none" }) }, /there is no fake fake-none.*remove the `import` option/s));

  test("inputs that can't change in place: all of them, in one error", async () => {
    const fake = definition.import as Extract<AnyDefinition["import"], { find: unknown }>;
    const find: typeof fake.find = async (...args) => {
      const found = await fake.find(...args);
      return found && { ...found, state: { ...found.state, full: true } };
    };
    definition.import = { ...fake, find };
    await refused(
      { a: imports({ source: "v2" }) },
      /source is "v2" in the program and "v1" on the backend; full is absent in the program and true on the backend/,
    );
  });

  test("an object of another stack: told whose", async () => {
    const other = newEngine({ stack: "prod" });
    await other.up({ theirs: { source: "v1", name: "x" } });
    const id = String(other.idOf("theirs"));
    await refused(
      { a: imports({ __import: id }) },
      /belongs to urn:pulumi:prod::.*::theirs of another stack \(digest [0-9a-f]{32}\).*forget fake-1/s,
    );
  });

  test("an object that an early build recorded for another stack", async () => {
    put("fake-old", { owner: "urn:pulumi:prod::shop::t::x", phase: "settled" });
    await refused({ a: imports() }, /belongs to urn:pulumi:prod::shop::t::x of another stack/);
  });

  test("an object that the state holds as another resource, also one that has no record", async () => {
    await engine.up({ a: { source: "v1", name: "x" } });
    const id = String(engine.idOf("a"));
    await refused({ a: { source: "v1", name: "x" }, b: imports({ __import: id }) }, /holds it already, as urn:.*::a;/);
    for (const key of ["stack", "owner", "attempt"] as const) delete backend.rows.get(id)?.[key];
    await refused({ a: { source: "v1", name: "x" }, b: imports({ __import: id }) }, /holds it already, as urn:.*::a;/);
  });

  test("an object with the record of another resource of this stack, which its state let go", async () => {
    await engine.up({ b: { source: "v1", name: "x" } });
    const id = String(engine.idOf("b"));
    await engine.up({}, { retain: ["b"] });
    await refused({ a: imports({ __import: id }) }, /has the record of another resource of this stack, urn:.*::b/);
  });

  test("its own object, which the state let go: remove the option, or the record", async () => {
    await engine.up({ a: imports() });
    await engine.up({}, { retain: ["a"] });
    await refused({ a: imports() }, /record of this same resource.*Remove the `import` option.*forget fake-old/s);
    for (const key of ["stack", "owner", "attempt"] as const) delete backend.rows.get("fake-old")?.[key];
    expect((await engine.up({ a: imports() })).errors).toEqual([]);
    expect(engine.idOf("a")).toBe("fake-old");
  });

  test("a replacement with the option still there never takes the same object over, and deletes nothing", async () => {
    await engine.up({ a: imports() });
    await refused({ a: imports() }, /would take the same fake over and then delete it.*Remove/s, { replace: ["a"] });
    await refused({ a: imports({ source: "v2" }) }, /source is "v2" in the program and "v1"/);
    put("fake-old", { ...backend.rows.get("fake-old"), source: "v2" });
    await refused({ a: imports({ source: "v2" }) }, /would take the same fake over/);
    expect(backend.deletions).toEqual([]);
    const { __import: _, ...without } = imports();
    expect((await engine.up({ a: without }, { replace: ["a"] })).errors).toEqual([]);
    expect([engine.idOf("a"), backend.deletions]).toEqual(["fake-1", ["fake-old"]]);
  });

  test("another id for a resource that is in the state", async () => {
    put("fake-two");
    await engine.up({ a: imports() });
    const two = { a: imports({ __import: "fake-two" }) };
    await refused(two, /in the state already, as the fake fake-old.*state delete urn:.*::a` leaves/s);
    await refused(two, /in the state already, as the fake fake-old, and an import does not replace/, {
      replace: ["a"],
    });
    await engine.up({ b: { source: "v1", name: "x" } }, { retain: ["a"] });
    await refused({ b: { ...two.a, name: "x" } }, /in the state already, as the fake fake-1/);
  });

  test("the state can't be asked", async () => {
    engine.isStateReadable = false;
    await refused(
      { a: imports() },
      /state holds it already is not known: no `pulumi` is on PATH.*run `pulumi up` again/s,
    );
  });
});

test("of two resources that import one object, the second is refused", async () => {
  const { errors } = await engine.up({ a: imports(), b: imports() });
  expect(messageOf(errors)).toMatch(/another resource of this program has it already/);
  expect(asked()).toEqual(["fake-old"]);
});

test("an import that an error hook has repeated is no other resource, and fails for the same reason again", async () => {
  engine.repeats = 1;
  engine.isStateReadable = false;
  const { errors } = await engine.up({ a: imports() });
  expect(messageOf(errors)).toMatch(/no `pulumi` is on PATH/);
  engine.isStateReadable = true;
  put("fake-old", {
    owner: "urn:pulumi:dev::mill::pulumi-nodejs:dynamic/snapclone:Fake::theirs",
    stack: "another stack",
  });
  expect(messageOf((await engine.up({ a: imports() })).errors)).toMatch(/another stack/);
  put("fake-old");
  expect((await engine.up({ a: imports() })).errors).toEqual([]);
  expect(asked()).toEqual(["fake-old"]);
});

test("a create of unknown outcome: its object can be imported", async () => {
  backend.nextPost = "lost";
  const listOwned = definition.listOwned;
  definition.listOwned = async () => [];
  await engine.up({ a: { source: "v1", name: "x" } });
  definition.listOwned = listOwned;
  expect(engine.idOf("a")).toMatch(/^unknown-/);
  const { errors } = await engine.up({ a: imports({ __import: "fake-1", name: "x" }) });
  expect([messageOf(errors), asked(), backend.deletions]).toEqual(["", ["fake-1"], []]);
});

describe("interrupted", () => {
  const program = { a: imports({ name: "mine" }) };

  test.each([true, false])(
    "killed at any request, the provider alone: %s: the same command finishes it",
    async (providerAlone) => {
      for (const firstCheckWithoutSeed of [true, false]) {
        for (const executed of [true, false]) {
          for (let at = 1; ; at += 1) {
            backend = new FakeBackend(clock);
            definition = fakeDefinition(backend);
            engine = newEngine();
            put("fake-old");
            backend.kill = { at, executed };
            const { killed } = await engine.up(program, { providerAlone, firstCheckWithoutSeed });
            backend.kill = undefined;
            if (!killed) {
              expect(at).toBeGreaterThan(3);
              break;
            }
            const again = await engine.up(program, { firstCheckWithoutSeed });
            expect([messageOf(again.errors), asked(), backend.posts]).toEqual(["", ["fake-old"], 0]);
            expect(backend.rows.get("fake-old")).toMatchObject({ owner: engine.urn("a"), name: "mine" });
            changes();
            await engine.up(program);
            await engine.refresh();
            expect([changes(), backend.deletions, again.log.filter((one) => /in no state/.test(one))]).toEqual([
              [],
              [],
              [],
            ]);
          }
        }
      }
    },
  );

  test.each([
    ["forbidden", 0],
    ["ambiguous", 1],
    ["transient", 1],
  ] as const)(
    "the record can't be written (%s): the state has the id, and the next up writes it",
    async (kind, failed) => {
      const recordOwnership = definition.recordOwnership;
      definition.recordOwnership = async () => {
        throw new SnapcloneError({ kind, message: "no" });
      };
      const first = await engine.up(program);
      expect([first.errors.length, asked()]).toEqual([failed, ["fake-old"]]);
      definition.recordOwnership = recordOwnership;
      await engine.refresh();
      expect(messageOf((await engine.up(program)).errors)).toBe("");
      const row = backend.rows.get("fake-old");
      expect([row?.name, row?.owner]).toEqual(["mine", failed === 1 ? engine.urn("a") : undefined]);
    },
  );

  test("a change that is refused: the state has the id, and the next up does the rest", async () => {
    const { errors } = await engine.up({ a: imports({ name: "refuse-me" }) });
    expect([messageOf(errors), asked()]).toEqual([expect.stringMatching(/not that name/), ["fake-old"]]);
    expect(messageOf((await engine.up(program)).errors)).toBe("");
    expect(backend.rows.get("fake-old")?.name).toBe("mine");
  });

  test("the object vanishes in between: nothing is recorded", async () => {
    definition.update = async () => {
      backend.rows.clear();
      throw new SnapcloneError({ kind: "notFound", message: "vanished" });
    };
    const { errors } = await engine.up(program);
    expect([messageOf(errors), asked()]).toEqual([expect.stringMatching(/vanished/), []]);
  });
});

describe("check", () => {
  const news = { source: "v1", __owner: "urn:pulumi:dev::shop::t::a" };

  test("an id of the wrong form, and a resource that can't be imported", () => {
    expect(check(definition, {}, { ...news, __import: "?" }).failures).toEqual([
      { property: "import", reason: "must be the id of a fake" },
    ]);
    definition.import = { refusal: "nobody can tell" };
    expect(check(definition, {}, { ...news, __import: "fake-old" }).failures).toEqual([
      { property: "import", reason: "nobody can tell" },
    ]);
    delete definition.import;
    expect(check(definition, {}, { ...news, __import: "fake-old" }).failures).toEqual([
      { property: "import", reason: "a fake can't be imported" },
    ]);
  });

  test("a preview says what will be taken over, and sends nothing", () => {
    const log: string[] = [];
    const run = new Run({ clock, log: (severity, text, urn) => log.push(`${severity} ${urn} ${text}`) });
    announceImport(definition, run, check(definition, {}, { ...news, __import: "fake-old" }).inputs);
    announceImport(definition, run, check(definition, {}, news).inputs);
    expect(log).toEqual([`info ${news.__owner} will take over the fake fake-old (option \`import\`)`]);
    expect(backend.requests).toEqual([]);
  });
});
