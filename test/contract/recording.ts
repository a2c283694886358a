// Reads the exchanges recorded from real services, and compares an answer with a recorded one: status, headers that
// mean something, the shape of the body, and error messages word for word.

import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface Exchange {
  readonly title: string;
  readonly method: string;
  readonly path: string;
  /** What stands behind the path: microversion and caller for Cinder, headers for Keystone. */
  readonly note: string;
  readonly requestBody: string | undefined;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export function readExchanges(name: string): Exchange[] {
  const text = readFileSync(join(__dirname, "exchanges", `${name}.txt`), "utf8");
  return text.split(/^## ?/m).slice(1).map(parseExchange);
}

/** Ids of the recording and what they are here. */
export class Translation {
  private readonly pairs = new Map<string, string>();

  learn(recorded: string, actual: string): void {
    if (recorded !== actual) this.pairs.set(recorded, actual);
  }

  /** Takes over the ids of a created object, wherever they are in the two answers. */
  learnFrom(recorded: unknown, actual: unknown): void {
    if (typeof recorded === "string" && typeof actual === "string") {
      if (ID.test(recorded) && ID.test(actual)) this.learn(recorded, actual);
    } else if (isObject(recorded) && isObject(actual)) {
      for (const [key, value] of Object.entries(recorded)) this.learnFrom(value, actual[key]);
    }
  }

  apply(text: string): string {
    let result = text;
    for (const [recorded, actual] of this.pairs) result = result.replaceAll(recorded, actual);
    return result;
  }
}

/** Everything in which the answer differs from the recording; empty when it is the same. */
export function differences(exchange: Exchange, answer: Answer, translation: Translation): string[] {
  const found: string[] = [];
  if (answer.status !== exchange.status)
    found.push(`status ${answer.status}, recorded ${exchange.status}: ${answer.text}`);
  for (const [name, recorded] of Object.entries(exchange.headers))
    found.push(...headerDifferences(name, recorded, answer));
  found.push(...bodyDifferences(translation.apply(exchange.body), answer.text));
  return found;
}

const ID = /^([0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/;

function parseExchange(text: string): Exchange {
  const [title = "", request = "", ...rest] = text.split("\n");
  const requestBody = rest[0]?.startsWith("> ") ? rest.shift()?.slice(2) : undefined;
  const [, method = "", path = "", note = ""] = /^(\S+) (\S+) *(.*)$/.exec(request) ?? [];
  const [, status = "", headers = ""] = /^< (\d+) [^{]*(\{.*\})?$/.exec(rest.shift() ?? "") ?? [];
  const body = rest.join("\n").trim().replace(/^< ?/, "");
  return {
    title,
    method,
    path,
    note,
    requestBody,
    status: Number(status),
    headers: Object.fromEntries([...headers.matchAll(/'([^']+)': '([^']*)'/g)].map(([, name, value]) => [name, value])),
    body: body === "(empty body)" ? "" : body,
  };
}

function headerDifferences(name: string, recorded: string, answer: Answer): string[] {
  const actual = answer.headers.get(name);
  if (actual === null) return [`no header ${name} (recorded ${recorded})`];
  // Nova sends two of these, of which the recorder has kept the last.
  if (name.toLowerCase() === "vary" && actual.toLowerCase().split(", ").includes(recorded.toLowerCase())) return [];
  // Tokens and hosts differ by their nature.
  if (["x-subject-token", "location", "www-authenticate"].includes(name.toLowerCase())) return [];
  return actual.toLowerCase() === recorded.toLowerCase() ? [] : [`header ${name}: ${actual}, recorded ${recorded}`];
}

function bodyDifferences(recorded: string, actual: string): string[] {
  const [one, other] = [parsed(recorded), parsed(actual)];
  if (one === undefined || other === undefined)
    return recorded.trim() === actual.trim() ? [] : [`body ${actual}, recorded ${recorded}`];
  return shapeDifferences(one, other, "");
}

function shapeDifferences(recorded: unknown, actual: unknown, at: string): string[] {
  if (Array.isArray(recorded) && Array.isArray(actual)) return listDifferences(recorded, actual, at);
  if (isObject(recorded) && isObject(actual)) {
    const missing = Object.keys(recorded).filter((key) => !(key in actual));
    const extra = Object.keys(actual).filter((key) => !(key in recorded));
    return [
      ...missing.map((key) => `${at}.${key} is missing`),
      ...extra.map((key) => `${at}.${key} is not in the recording`),
      ...Object.keys(recorded)
        .filter((key) => key in actual)
        .flatMap((key) => shapeDifferences(recorded[key], actual[key], `${at}.${key}`)),
    ];
  }
  if (EXACT.test(at))
    return sameText(recorded, actual) ? [] : [`${at}: ${JSON.stringify(actual)}, recorded ${JSON.stringify(recorded)}`];
  return typeName(recorded) === typeName(actual)
    ? []
    : [`${at} is ${typeName(actual)}, recorded ${typeName(recorded)}`];
}

/** Lists of rows have the same rows in the same order; the shape is compared where the recording has whole rows. */
function listDifferences(recorded: unknown[], actual: unknown[], at: string): string[] {
  if (at === ".snapshots" && JSON.stringify(idsOf(recorded)) !== JSON.stringify(idsOf(actual)))
    return [`${at} are ${JSON.stringify(idsOf(actual))}, recorded ${JSON.stringify(idsOf(recorded))}`];
  if (recorded.length > 0 && actual.length === 0) return [`${at} is empty`];
  const key = UNORDERED[at.slice(at.lastIndexOf(".") + 1)];
  const partner = (item: unknown, index: number) =>
    key === undefined
      ? actual[index]
      : actual.find((other) => isObject(other) && isObject(item) && other[key] === item[key]);
  return recorded
    .slice(0, at === ".snapshots" ? 3 : 1)
    .flatMap((item, index) => shapeDifferences(item, partner(item, index), `${at}[${index}]`));
}

/** Lists that Keystone gives out as its database does, MySQL in another order than SQLite, and what tells their rows apart. */
const UNORDERED: Readonly<Record<string, string>> = { catalog: "type", endpoints: "interface", roles: "name" };

/** Fields whose value, not only its type, has to be that of the recording. */
const EXACT =
  /\.(message|user_message|event_id|code|title|status|name|description|retryAfter|methods|progress|metadata(\..*)?|count|size|bootable|volume_type|message_level|resource_type|os-extended-snapshot-attributes:progress|interface|region|absolute\..*|quota_set\..*)$/;

function sameText(recorded: unknown, actual: unknown): boolean {
  if (typeof recorded === "string" && recorded.endsWith("…"))
    return typeof actual === "string" && actual.startsWith(recorded.slice(0, -1));
  return JSON.stringify(recorded) === JSON.stringify(actual);
}

function idsOf(rows: readonly unknown[]): unknown[] {
  return rows.map((row) => (isObject(row) ? row.id : row));
}

function typeName(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
