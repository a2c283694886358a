// The pure rules: check, diff, durations, the way out, redaction, markers.

import fc from "fast-check";
import {
  attemptInId,
  attemptKey,
  namedAttempt,
  pendingCreatesOf,
  provisionalId,
  unnamedAttempt,
  withPendingCreates,
} from "../../../provider/core/attempt";
import { check, propertyPath, UNKNOWN } from "../../../provider/core/check";
import type { AnyDefinition, State } from "../../../provider/core/definition";
import { canonical, diff } from "../../../provider/core/diff";
import { redact, registerSecret, SnapcloneError, truncate } from "../../../provider/core/errors";
import { ownershipRecord, shortOwner } from "../../../provider/core/ownership";
import { systemClock } from "../../../provider/core/util/clock";
import { formatDuration, parseDuration } from "../../../provider/core/util/duration";
import { nearest } from "../../../provider/core/util/nearest";
import { toState } from "../../../provider/core/util/toState";
import { FakeBackend, fakeDefinition } from "../../support/fakeBackend";

const fake = fakeDefinition(new FakeBackend(systemClock)) as AnyDefinition;
const OWNER = "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:Fake::nightly";

describe("check", () => {
  test("says everything that is wrong, and where", () => {
    const news = { sorce: "x", name: "n".repeat(21), tags: { a: 1, "b.c": true }, __timeouts: { create: "soon" } };
    expect(check(fake, {}, news).failures).toEqual([
      { property: "sorce", reason: "unknown property; did you mean source?" },
      { property: "source", reason: expect.any(String) },
      { property: "name", reason: expect.stringContaining("20") },
      { property: "tags.a", reason: expect.any(String) },
      { property: 'tags["b.c"]', reason: expect.any(String) },
      { property: "customTimeouts.create", reason: '"soon" is not a duration; write it like "90s", "15m" or "1h30m"' },
    ]);
  });

  test('a time-out of "0" is none, and months are a time-out', () => {
    const failures = (create: string) => check(fake, {}, { source: "v", name: "a", __timeouts: { create } }).failures;
    for (const text of ["0", "0s", "0.0h", "9999h"]) expect(failures(text)).toEqual([]);
    for (const text of ["00x", "-1h", "10", ""]) expect(failures(text)).toHaveLength(1);
  });

  test("brings values into normal form and keeps hidden inputs", () => {
    const news = { source: "v", name: " a ", __owner: OWNER, __provider: "p" };
    expect(check(fake, {}, news)).toEqual({ failures: [], inputs: { ...news, name: "a" } });
  });

  test("fills in a name of the resource's own and keeps it from then on", () => {
    const first = check(fake, {}, { source: "v", __owner: OWNER }).inputs.name;
    expect(first).toMatch(/^nightly-[0-9a-f]{7}$/);
    expect(check(fake, { name: first }, { source: "v", __owner: OWNER }).inputs.name).toBe(first);
    expect(check(fake, {}, { source: "v", __owner: OWNER }).inputs.name).not.toBe(first);
    expect(check(fake, {}, { source: "v", __owner: `${OWNER}::b` }).inputs.name).toMatch(/^nightly::b-[0-9a-f]{7}$/);
  });

  test("property: any input, or any part of one, may be unknown in a preview", () => {
    const good = { source: "v", name: "n", tags: { a: "1", b: "2" }, hint: "h", connection: "c" };
    fc.assert(
      fc.property(fc.subarray(["source", "name", "tags", "hint", "connection", "tags.a"]), (unknown) => {
        const news: Record<string, unknown> = structuredClone(good);
        for (const key of unknown) {
          if (key === "tags.a" && typeof news.tags === "object") Object.assign(news.tags as object, { a: UNKNOWN });
          else if (key !== "tags.a") news[key] = UNKNOWN;
        }
        expect(check(fake, {}, news)).toEqual({ failures: [], inputs: news });
      }),
    );
  });

  test("an unknown hides nothing that is wrong elsewhere", () => {
    const news = { source: UNKNOWN, tags: { a: UNKNOWN, b: 1 }, nmae: "x" };
    expect(check(fake, {}, news).failures.map(({ property }) => property)).toEqual(["nmae", "tags.b"]);
  });

  test("property: junk never throws, and what passes has no unknown keys", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (news) => {
        const { failures, inputs } = check(fake, {}, news);
        for (const key of Object.keys(inputs)) expect(key.startsWith("__") || key in fake.inputs).toBe(true);
        for (const { property, reason } of failures) expect(property && reason).toBeTruthy();
      }),
    );
  });

  test("names near a typo", () => {
    expect(nearest("volumeID", ["volumeId", "name"])).toBe("volumeId");
    expect(nearest("completelyElse", ["volumeId", "name"])).toBeUndefined();
  });

  test("property paths as Pulumi writes them", () => {
    expect(propertyPath(["volumes", 0])).toBe("volumes[0]");
    expect(propertyPath(["metadata", "0"])).toBe('metadata["0"]');
    expect(propertyPath(["metadata", "a b"])).toBe('metadata["a b"]');
  });
});

describe("diff", () => {
  const olds = { source: "v", name: "a", tags: { x: "1" }, hint: "h", status: "ready" };
  const news = { source: "v", name: "a", tags: { x: "1" }, hint: "h" };

  test("nothing visible changed is no difference, whatever hides", () => {
    const answer = diff(
      fake,
      { ...olds, __provider: "old", __owner: "old" },
      { ...news, __provider: "new", __timeouts: {} },
    );
    expect(answer).toEqual({ changes: false });
  });

  test.each([
    [{ name: "b" }, {}],
    [{ tags: { x: "2" } }, {}],
    [{ tags: undefined }, {}],
    [{ hint: "i" }, { changes: false }],
    [{ source: "w" }, { replaces: ["source"], deleteBeforeReplace: false }],
    [{ source: UNKNOWN }, { replaces: ["source"], deleteBeforeReplace: false }],
    [
      { source: "w", name: "b" },
      { replaces: ["source"], deleteBeforeReplace: false },
    ],
  ])("%j", (change, expected) => {
    expect(diff(fake, olds, { ...news, ...change })).toEqual(expected);
  });

  test("unfinished work is a difference, failed creation a replacement", () => {
    const pending = { operation: "create", task: {}, since: "" };
    expect(diff(fake, { ...olds, pending }, news)).toEqual({ changes: true });
    expect(diff(fake, { ...olds, pending: { ...pending, failed: true } }, news)).toEqual({
      changes: true,
      replaces: ["pending"],
      deleteBeforeReplace: false,
    });
  });

  test("property: the order of keys, and absent against empty, make no difference", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.string()), (tags) => {
        const reversed = Object.fromEntries(Object.entries(tags).reverse());
        expect(canonical(reversed)).toBe(canonical(tags));
      }),
    );
    expect(diff(fake, { ...olds, tags: {} }, { ...news, tags: undefined })).toEqual({ changes: false });
  });
});

describe("durations", () => {
  test.each([
    ["90s", 90_000],
    ["1h30m", 5_400_000],
    ["1.5h", 5_400_000],
    ["250ms", 250],
    ["", undefined],
    ["10", undefined],
    ["0s", undefined],
    ["-5m", undefined],
    ["5 m", undefined],
    ["1e3s", undefined],
  ])("%s", (text, ms) => expect(parseDuration(text)).toBe(ms));

  test.each([
    [850, "850 ms"],
    [12_000, "12 s"],
    [200_000, "3 min 20 s"],
    [3_600_000, "1 h"],
    [3_900_000, "1 h 5 min"],
  ])("%d ms", (ms, text) => expect(formatDuration(ms)).toBe(text));
});

describe("the way out", () => {
  test("property: no undefined anywhere, and JSON keeps it as it is", () => {
    const anything = fc.anything({
      withBigInt: false,
      withDate: false,
      withMap: false,
      withSet: false,
      withTypedArray: false,
    });
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.string().filter((key) => key !== "__proto__"),
          anything,
        ),
        (value) => {
          let out: unknown;
          try {
            out = toState(value);
          } catch (error) {
            expect(error).toBeInstanceOf(SnapcloneError);
            return;
          }
          expect(JSON.parse(JSON.stringify(out))).toEqual(JSON.parse(JSON.stringify(value)));
          expect(findUndefined(out)).toBe(false);
        },
      ),
    );
  });

  test("-0 is what JSON makes of it", () => expect(Object.is(toState({ a: -0 }).a, 0)).toBe(true));

  test.each([
    ["a Date", new Date()],
    ["a Map", new Map()],
    ["a bigint", 1n],
    ["a function", () => 1],
    ["NaN", Number.NaN],
  ])("refuses %s and names the place", (what, value) => {
    expect(() => toState({ a: [{ b: value }] })).toThrow(`${what} at a.0.b`);
  });
});

function findUndefined(value: unknown): boolean {
  if (value === undefined) return true;
  return typeof value === "object" && value !== null && Object.values(value).some(findUndefined);
}

describe("secrets", () => {
  test("go from every form of text", () => {
    registerSecret('p&ss"word');
    const error = new SnapcloneError({
      kind: "refused",
      message: 'refused p&ss"word, p%26ss%22word and {"password":"p&ss\\"word"}',
      request: "GET http://user:p&ss@host/gAAAAABrAPjKxxxxxxxxxxxxxxxxxxxxxxx",
    });
    expect(error.message).not.toMatch(/p&ss|p%26ss|gAAAA/);
    expect(error.stack).toBe(error.message);
  });

  test("a longer secret that contains a shorter one goes as a whole", () => {
    registerSecret("sesame");
    registerSecret("sesame-open");
    expect(redact("say sesame-open")).toBe("say [redacted]");
  });
});

describe("truncated texts", () => {
  test("are redacted before they are cut: half a secret would stay", () => {
    registerSecret("correct-horse-battery");
    expect(truncate(`${"x".repeat(10)}correct-horse-battery`, 20)).toBe("xxxxxxxxxx[redacted]");
  });
});

describe("attempts", () => {
  const seed = new Uint8Array(32).fill(7);
  const attempt = (olds: object, randomSeed?: Uint8Array) =>
    check(fake, olds as State, { source: "v", __owner: OWNER }, randomSeed).inputs.__attempt;

  test("come from the seed for what is to be made, and stay", () => {
    const made = attempt({}, seed);
    expect(made).toMatch(/^[1-9a-f][0-9a-f]{15}$/);
    // `up --plan` repeats its preview's seed.
    expect(attempt({}, seed)).toBe(made);
    expect(attempt({}, new Uint8Array(32).fill(8))).not.toBe(made);
    expect(attempt({ source: "v", __attempt: "a" }, seed)).toBe("a");
    expect(attempt({ source: "v" }, seed)).toBeUndefined();
    expect(attempt({}, undefined)).toBeUndefined();
  });

  test("that are unnamed say how many creates were pending", () => {
    const attempt = unnamedAttempt();
    expect(withPendingCreates(attempt, 3)).toMatch(/^003[0-9a-f]{13}$/);
    expect(pendingCreatesOf(withPendingCreates(attempt, 3).slice(0, 6))).toBe(3);
    expect(attemptKey(withPendingCreates(attempt, 3))).toBe(attemptKey(attempt));
    expect(pendingCreatesOf(namedAttempt("x"))).toBeUndefined();
    expect(attemptInId(provisionalId("1234567890abcdef"))).toBe("1234567890abcdef");
    expect(attemptInId("11111111-1111-4111-8111-111111111111")).toBeUndefined();
  });
});

describe("what is absent", () => {
  const olds = { name: "a", status: "ready", __owner: OWNER };

  test("is not different from a default that is written out", () => {
    const known = { ...olds, source: "v" };
    expect(diff(fake, known, { source: "v", name: "a", full: false, __owner: OWNER })).toEqual({ changes: false });
    expect(diff(fake, { ...known, full: false }, { source: "v", name: "a", __owner: OWNER })).toEqual({
      changes: false,
    });
    expect(diff(fake, known, { source: "v", name: "a", full: true, __owner: OWNER }).replaces).toEqual(["full"]);
  });

  test("never replaces: neither a required input, nor any of an entry that this provider has not written", () => {
    expect(diff(fake, olds, { source: "v", name: "a", __owner: OWNER })).toEqual({});
    const imported = { source: "v", name: "a", status: "ready" };
    expect(diff(fake, imported, { source: "v", name: "a", full: true, connection: "c", __owner: OWNER })).toEqual({});
    expect(diff(fake, {}, { source: "v", name: "a", full: true, __owner: OWNER })).not.toHaveProperty("replaces");
  });
});

describe("another owner", () => {
  const olds = { source: "v", __owner: OWNER, __stack: "s" };

  test("or another stack is a change in place, so that the record is rewritten", () => {
    expect(diff(fake, olds, { source: "v", __owner: OWNER }, "s")).toEqual({ changes: false });
    expect(diff(fake, olds, { source: "v", __owner: `${OWNER}2` }, "s")).toEqual({ changes: true });
    expect(diff(fake, olds, { source: "v", __owner: OWNER }, "t")).toEqual({ changes: true });
    // States of early builds have no stack.
    expect(diff(fake, { source: "v", __owner: OWNER }, { source: "v", __owner: OWNER }, "t")).toEqual({
      changes: false,
    });
  });
});

describe("ownership records", () => {
  const record = (definition: AnyDefinition, inputs: object, urn = OWNER, stack = "s") =>
    ownershipRecord(definition, stack, urn, "1234567890abcdef", inputs as State);

  test("depend on what can't be changed in place, and on nothing else", () => {
    const base = record(fake, { source: "v", name: "a" });
    expect(record(fake, { source: "v", name: "b", tags: { a: "1" }, hint: "x", full: false })).toEqual(base);
    expect(record(fake, { source: "w", name: "a" }).inputs).not.toBe(base.inputs);
  });

  test("of an input that can change in part have the other part", () => {
    const source = {
      schema: fake.inputs.source?.schema,
      onChange: () => "update",
      immutableKey: (text = "") => text.toLowerCase(),
    };
    const part = { ...fake, inputs: { ...fake.inputs, source } } as AnyDefinition;
    const base = record(part, { source: "vol" });
    expect(record(part, { source: "VOL" })).toEqual(base);
    expect(record(part, { source: "other" }).inputs).not.toBe(base.inputs);
  });

  test("property: owners fit into 255 characters and stay distinct", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 200, maxLength: 600 }), (tail) => {
        const [a, b] = [shortOwner(fake, "s", OWNER + tail), shortOwner(fake, "s", `${OWNER + tail}x`)];
        expect(a.length).toBeLessThanOrEqual(255);
        expect(a).not.toBe(b);
      }),
    );
  });

  test("are as short as the backend's place for them, and still tell two stacks apart", () => {
    const short = { ...fake, recordLengths: { owner: 8, inputs: 4, attempt: 6 } };
    const base = record(short, { source: "v" });
    expect(base).toEqual({
      stack: "s",
      owner: expect.stringMatching(/^[0-9a-f]{8}$/),
      inputs: expect.stringMatching(/^[0-9a-f]{4}$/),
      attempt: "123456",
    });
    expect(record(short, { source: "v" }, `${OWNER}x`).owner).not.toBe(base.owner);
    expect(record(short, { source: "v" }, OWNER, "t").owner).not.toBe(base.owner);
    expect(record(short, { source: "w" }).inputs).not.toBe(base.inputs);
    // No owner stays none: such an object is never adopted.
    expect(record(short, { source: "v" }, "").owner).toBe("");
  });
});
