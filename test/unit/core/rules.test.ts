// The pure rules: check, diff, durations, the way out, redaction, markers.

import fc from "fast-check";
import { check, propertyPath, UNKNOWN } from "../../../provider/core/check";
import type { AnyDefinition } from "../../../provider/core/definition";
import { canonical, diff } from "../../../provider/core/diff";
import { formatDuration, parseDuration } from "../../../provider/core/duration";
import { protect, redact, SnapcloneError } from "../../../provider/core/errors";
import { markerOf, shortOwner } from "../../../provider/core/ledger";
import { nearest } from "../../../provider/core/nearest";
import { plain } from "../../../provider/core/sanitise";
import { ToyCloud, toyDefinition } from "../../support/toyCloud";

const toy = toyDefinition(new ToyCloud()) as AnyDefinition;
const OWNER = "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:Toy::nightly";

describe("check", () => {
  test("says everything that is wrong, and where", () => {
    const news = { sorce: "x", name: "n".repeat(21), tags: { a: 1, "b.c": true }, __timeouts: { create: "soon" } };
    expect(check(toy, {}, news).failures).toEqual([
      { property: "sorce", reason: "unknown property; did you mean source?" },
      { property: "source", reason: expect.any(String) },
      { property: "name", reason: expect.stringContaining("20") },
      { property: "tags.a", reason: expect.any(String) },
      { property: 'tags["b.c"]', reason: expect.any(String) },
      { property: "customTimeouts.create", reason: '"soon" is not a duration; write it like "90s", "15m" or "1h30m"' },
    ]);
  });

  test("brings values into normal form and keeps hidden inputs", () => {
    const news = { source: "v", name: " a ", __owner: OWNER, __provider: "p" };
    expect(check(toy, {}, news)).toEqual({ failures: [], inputs: { ...news, name: "a" } });
  });

  test("fills in a name of the resource's own and keeps it from then on", () => {
    const first = check(toy, {}, { source: "v", __owner: OWNER }).inputs.name;
    expect(first).toMatch(/^nightly-[0-9a-f]{7}$/);
    expect(check(toy, { name: first }, { source: "v", __owner: OWNER }).inputs.name).toBe(first);
    expect(check(toy, {}, { source: "v", __owner: OWNER }).inputs.name).not.toBe(first);
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
        expect(check(toy, {}, news)).toEqual({ failures: [], inputs: news });
      }),
    );
  });

  test("an unknown hides nothing that is wrong elsewhere", () => {
    const news = { source: UNKNOWN, tags: { a: UNKNOWN, b: 1 }, nmae: "x" };
    expect(check(toy, {}, news).failures.map(({ property }) => property)).toEqual(["nmae", "tags.b"]);
  });

  test("property: junk never throws, and what passes has no unknown keys", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (news) => {
        const { failures, inputs } = check(toy, {}, news);
        for (const key of Object.keys(inputs)) expect(key.startsWith("__") || key in toy.inputs).toBe(true);
        for (const { property, reason } of failures) expect(property && reason).toBeTruthy();
      }),
    );
  });

  test("names near a typo", () => {
    expect(nearest("volumeID", ["volumeId", "name"])).toBe("volumeId");
    expect(nearest("completelyElse", ["volumeId", "name"])).toBeUndefined();
  });

  test("property paths as Pulumi writes them", () => {
    expect(propertyPath(["volumes", "0"])).toBe("volumes[0]");
    expect(propertyPath(["metadata", "a b"])).toBe('metadata["a b"]');
  });
});

describe("diff", () => {
  const olds = { source: "v", name: "a", tags: { x: "1" }, hint: "h", status: "ready" };
  const news = { source: "v", name: "a", tags: { x: "1" }, hint: "h" };

  test("nothing visible changed is no difference, whatever hides", () => {
    const answer = diff(
      toy,
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
    expect(diff(toy, olds, { ...news, ...change })).toEqual(expected);
  });

  test("unfinished work is a difference, failed creation a replacement", () => {
    const pending = { operation: "create", task: {}, since: "" };
    expect(diff(toy, { ...olds, pending }, news)).toEqual({ changes: true });
    expect(diff(toy, { ...olds, pending: { ...pending, failed: true } }, news)).toEqual({
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
    expect(diff(toy, { ...olds, tags: {} }, { ...news, tags: undefined })).toEqual({ changes: false });
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
            out = plain(value);
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

  test("-0 is what JSON makes of it", () => expect(Object.is(plain({ a: -0 }).a, 0)).toBe(true));

  test.each([
    ["a Date", new Date()],
    ["a Map", new Map()],
    ["a bigint", 1n],
    ["a function", () => 1],
    ["NaN", Number.NaN],
  ])("refuses %s and names the place", (what, value) => {
    expect(() => plain({ a: [{ b: value }] })).toThrow(`${what} at a.0.b`);
  });
});

function findUndefined(value: unknown): boolean {
  if (value === undefined) return true;
  return typeof value === "object" && value !== null && Object.values(value).some(findUndefined);
}

describe("secrets", () => {
  test("go from every form of text", () => {
    protect('p&ss"word');
    const error = new SnapcloneError({
      kind: "refused",
      said: 'refused p&ss"word, p%26ss%22word and {"password":"p&ss\\"word"}',
      request: "GET http://user:p&ss@host/gAAAAABrAPjKxxxxxxxxxxxxxxxxxxxxxxx",
    });
    expect(error.message).not.toMatch(/p&ss|p%26ss|gAAAA/);
    expect(error.stack).toBe(error.message);
  });

  test("a longer secret that contains a shorter one goes as a whole", () => {
    protect("sesame");
    protect("sesame-open");
    expect(redact("say sesame-open")).toBe("say [redacted]");
  });
});

describe("markers", () => {
  test("depend on what can't be changed in place, and on nothing else", () => {
    const base = markerOf(toy, OWNER, { source: "v", name: "a" });
    expect(markerOf(toy, OWNER, { source: "v", name: "b", tags: { a: "1" }, hint: "x" })).toEqual(base);
    expect(markerOf(toy, OWNER, { source: "w", name: "a" }).inputs).not.toBe(base.inputs);
  });

  test("of an input that can change in part, its marker has the other part", () => {
    const source = {
      schema: toy.inputs.source?.schema,
      onChange: () => "update",
      fixed: (text = "") => text.toLowerCase(),
    };
    const part = { ...toy, inputs: { ...toy.inputs, source } } as AnyDefinition;
    const base = markerOf(part, OWNER, { source: "vol" });
    expect(markerOf(part, OWNER, { source: "VOL" })).toEqual(base);
    expect(markerOf(part, OWNER, { source: "other" }).inputs).not.toBe(base.inputs);
  });

  test("property: owners fit into 255 characters and stay distinct", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 200, maxLength: 600 }), (tail) => {
        const [a, b] = [shortOwner(toy, OWNER + tail), shortOwner(toy, `${OWNER + tail}x`)];
        expect(a.length).toBeLessThanOrEqual(255);
        expect(a).not.toBe(b);
      }),
    );
  });

  test("are as short as the backend's place for them", () => {
    const short = { ...toy, markLengths: { owner: 8, inputs: 4 } };
    const marker = markerOf(short, OWNER, { source: "v" });
    expect(marker).toEqual({
      owner: expect.stringMatching(/^[0-9a-f]{8}$/),
      inputs: expect.stringMatching(/^[0-9a-f]{4}$/),
    });
    expect(markerOf(short, `${OWNER}x`, { source: "v" }).owner).not.toBe(marker.owner);
    expect(markerOf(short, OWNER, { source: "w" }).inputs).not.toBe(marker.inputs);
    // No owner stays none: such an object is never adopted.
    expect(markerOf(short, "", { source: "v" }).owner).toBe("");
  });
});
