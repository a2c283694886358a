// Answers that no service should give: what there is of them, and how a good answer becomes one.

import fc from "fast-check";
import type { Reply } from "../../../emulator/core/http";
import type { Operation, ResourceUnderTest } from "../resourceUnderTest";

/** One operation, and the answers that it gets. */
export interface Case {
  operation: Operation;
  /** The first of its requests to be answered badly (login, versions, list, …), and how the next ones are. */
  nth: number;
  /** Whether a request that is answered with an error was carried out all the same. */
  carriedOut: boolean;
  status: number | undefined;
  spoils: readonly Mutation[];
}

export type Mutation =
  | { with: "other JSON"; value: unknown }
  | { with: "another value"; at: number; value: unknown }
  | { with: "a field less"; at: number }
  | { with: "a strange number"; at: number; digits: string }
  | { with: "less of it"; share: number }
  | { with: "text"; text: string }
  | { with: "depth"; depth: number; opening: string }
  | { with: "a header"; name: string; value: string };

const STATUSES = [
  ...[200, 202, 204, 299, 300, 302, 304, 400, 401, 403, 404, 406, 409, 413, 418, 429, 500, 501, 503, 599],
];

/** Not "adopt": a list that is in good form and leaves out a mark cannot be told from the truth. */
export function operationsOf({ places }: ResourceUnderTest): Operation[] {
  return [...new Set(Object.values(places).map(({ of }) => of))].filter((operation) => operation !== "adopt");
}

export function casesOf(subject: ResourceUnderTest): fc.Arbitrary<Case> {
  return fc.record({
    operation: fc.constantFrom<Operation>("create", ...operationsOf(subject)),
    nth: fc.nat(104),
    carriedOut: fc.boolean(),
    status: fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, fc.constantFrom(...STATUSES)),
    spoils: fc.array(spoilsOf(subject), { minLength: 1, maxLength: 60 }),
  });
}

function spoilsOf({ words, places }: ResourceUnderTest): fc.Arbitrary<Mutation> {
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.constantFrom<unknown>(
      null,
      "",
      " ",
      ".",
      "..",
      "a/b",
      "a\nb",
      "\0",
      "💥",
      "undefined",
      "__proto__",
      0,
      -1,
      1e308,
      [],
      {},
    ),
    fc.constantFrom(...words, "quantum-folding"),
    fc.constantFrom("http://elsewhere.test/v3", "ftp://x", "http://", "3.99", "9.9.9", "v3.0", "2099-01-01T00:00:00Z"),
    fc.constantFrom<unknown>(
      JSON.parse('{"__proto__":"x"}'),
      { constructor: "x" },
      { toString: 7 },
      [[[[[]]]]],
      "x".repeat(5_000),
    ),
  );
  const roots = new Set(Object.values(places).flatMap(({ fields }) => fields.map((field) => field.split(".")[0])));
  const openings = ["error", ...roots].map((root) => `{${JSON.stringify(root)}:`);
  return fc.oneof(
    { weight: 2, arbitrary: fc.record({ with: fc.constant("other JSON" as const), value }) },
    { weight: 8, arbitrary: fc.record({ with: fc.constant("another value" as const), at: fc.nat(200), value }) },
    { weight: 3, arbitrary: fc.record({ with: fc.constant("a field less" as const), at: fc.nat(200) }) },
    fc.record({
      with: fc.constant("a strange number" as const),
      at: fc.nat(200),
      digits: fc.constantFrom("1e999", "-1e999", "-0", "1e-400", "123456789012345678901234567890", "0.1"),
    }),
    fc.record({ with: fc.constant("less of it" as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
    fc.record({
      with: fc.constant("text" as const),
      text: fc.oneof(fc.string(), fc.constantFrom("", "null", "<html>", "{")),
    }),
    fc.record({
      with: fc.constant("depth" as const),
      depth: fc.integer({ min: 10, max: 4_000 }),
      opening: fc.constantFrom("[", ...openings),
    }),
    fc.record({
      with: fc.constant("a header" as const),
      name: fc.constantFrom(
        "content-type",
        "retry-after",
        "x-subject-token",
        "x-sds-auth-token",
        "date",
        "location",
        "x-openstack-request-id",
      ),
      value: fc.constantFrom(
        "",
        "text/html",
        "-1",
        "0",
        "1e9",
        "Infinity",
        "NaN",
        "Thu, 01 Jan 2099 00:00:00 GMT",
        "never",
        "a b",
      ),
    }),
  );
}

/** The answer with what is wrong with it. */
export function mutate(reply: Reply, status: number | undefined, how: Mutation): Reply {
  const changed = { ...reply, status: status ?? reply.status };
  switch (how.with) {
    case "a header":
      return { ...changed, headers: { ...lowerCase(reply.headers), [how.name]: how.value } };
    case "other JSON":
      return { ...changed, body: JSON.stringify(how.value) };
    case "less of it":
      return { ...changed, body: reply.body.slice(0, Math.floor(reply.body.length * how.share)) };
    case "text":
      return { ...changed, body: how.text };
    case "depth":
      return {
        ...changed,
        body: `${how.opening.repeat(how.depth)}1${(how.opening === "[" ? "]" : "}").repeat(how.depth)}`,
      };
    default:
      return { ...changed, body: withField(reply.body, how) };
  }
}

/** The same text with one field of its JSON replaced or left out. */
function withField(text: string, how: Extract<Mutation, { at: number }>): string {
  const body = parsed(text);
  const paths = pathsOf(body);
  const path = paths[how.at % Math.max(1, paths.length)];
  if (path === undefined) return text;
  const mark = "the field that is replaced";
  const marked = JSON.stringify(replaced(body, path, how.with === "a field less" ? undefined : mark));
  if (how.with === "a field less") return marked;
  return marked.replace(JSON.stringify(mark), () =>
    how.with === "another value" ? JSON.stringify(how.value) : how.digits,
  );
}

function pathsOf(value: unknown, path: readonly string[] = []): string[][] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [[...path, key], ...pathsOf(inner, [...path, key])]);
}

function replaced(value: unknown, path: readonly string[], by: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return by;
  if (Array.isArray(value)) return value.map((one, index) => (String(index) === key ? replaced(one, rest, by) : one));
  return { ...(value as object), [key]: replaced(Reflect.get(value as object, key), rest, by) };
}

export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function lowerCase(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
