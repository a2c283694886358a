// Malformed answers: which ones exist, and how a good answer becomes one of them.

import fc from "fast-check";
import type { Reply } from "../../emulator/core/http";
import type { Operation, ResourceUnderTest } from "../faults/resourceUnderTest";

/** One operation, and the answers that it gets. */
export interface Case {
  operation: Operation;
  /** The first of its requests to be answered badly (login, versions, list, …), and how the next ones are. */
  nth: number;
  /** Whether a request that is answered with an error was carried out all the same. */
  carriedOut: boolean;
  status: number | undefined;
  mutations: readonly Mutation[];
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

/**
 * Without "adopt": a well-formed list that omits a record looks like a true one. Without "import": a well-formed answer with
 * another input makes a difference that replaces, and the same command again refuses that as long as it has the option.
 */
export function operationsOf({ sites }: ResourceUnderTest): Operation[] {
  return [...new Set(Object.values(sites).map(({ of }) => of))].filter(
    (operation) => operation !== "adopt" && operation !== "import",
  );
}

export function casesOf(resource: ResourceUnderTest): fc.Arbitrary<Case> {
  return fc.record({
    operation: fc.constantFrom<Operation>("create", ...operationsOf(resource)),
    nth: fc.nat(104),
    carriedOut: fc.boolean(),
    status: fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, fc.constantFrom(...STATUSES)),
    mutations: fc.array(mutationsOf(resource), { minLength: 1, maxLength: 60 }),
  });
}

function mutationsOf({ statusWords, sites }: ResourceUnderTest): fc.Arbitrary<Mutation> {
  const value = fieldValues(statusWords);
  const roots = new Set(Object.values(sites).flatMap(({ fields }) => fields.map((field) => field.split(".")[0])));
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
    HEADER,
  );
}

/** Values for a field: of any type, odd, or plausible and wrong. */
function fieldValues(statusWords: readonly string[]): fc.Arbitrary<unknown> {
  return fc.oneof(
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
    fc.constantFrom(...statusWords, "quantum-folding"),
    fc.constantFrom("http://elsewhere.test/v3", "ftp://x", "http://", "3.99", "9.9.9", "v3.0", "2099-01-01T00:00:00Z"),
    fc.constantFrom<unknown>(
      JSON.parse('{"__proto__":"x"}'),
      { constructor: "x" },
      { toString: 7 },
      [[[[[]]]]],
      "x".repeat(5_000),
    ),
  );
}

const HEADER = fc.record({
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
});

/** The answer with the mutation. */
export function mutate(reply: Reply, status: number | undefined, mutation: Mutation): Reply {
  const changed = { ...reply, status: status ?? reply.status };
  switch (mutation.with) {
    case "a header":
      return { ...changed, headers: { ...lowerCase(reply.headers), [mutation.name]: mutation.value } };
    case "other JSON":
      return { ...changed, body: JSON.stringify(mutation.value) };
    case "less of it":
      return { ...changed, body: reply.body.slice(0, Math.floor(reply.body.length * mutation.share)) };
    case "text":
      return { ...changed, body: mutation.text };
    case "depth":
      return {
        ...changed,
        body: `${mutation.opening.repeat(mutation.depth)}1${(mutation.opening === "[" ? "]" : "}").repeat(mutation.depth)}`,
      };
    default:
      return { ...changed, body: withField(reply.body, mutation) };
  }
}

/** The same text with one field of its JSON replaced or left out. */
function withField(text: string, mutation: Extract<Mutation, { at: number }>): string {
  const body = parsed(text);
  const paths = pathsOf(body);
  const path = paths[mutation.at % Math.max(1, paths.length)];
  if (path === undefined) return text;
  const placeholder = "the field that is replaced";
  const withPlaceholder = JSON.stringify(
    replaced(body, path, mutation.with === "a field less" ? undefined : placeholder),
  );
  if (mutation.with === "a field less") return withPlaceholder;
  return withPlaceholder.replace(JSON.stringify(placeholder), () =>
    mutation.with === "another value" ? JSON.stringify(mutation.value) : mutation.digits,
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
