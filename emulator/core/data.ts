// The data that a user gives the emulator at its start (`startEmulator({ data })`, `--data FILE`): what a service takes, and
// the check of all of it at once. Each service has its part in its data.ts.

import * as z from "zod";

export interface DataDefinition<Model extends object = object, Data = unknown> {
  readonly schema: z.ZodType<Data>;
  /**
   * Fields that name a row, by their path in this service's data, such as `snapshots.*.volume`, with the list that has the
   * row: `volumes`, or `cinder.volumes` for another service's. A row is named by its id or its name.
   */
  readonly references?: Readonly<Record<string, string>>;
  /** The rows that the emulator has before the data, by list. */
  known?(model: Model): Readonly<Record<string, readonly Named[]>>;
  /** Adds the rows. All references name one row each. */
  load(model: Model, data: Data): void;
}

export interface Named {
  readonly id?: string | undefined;
  readonly name?: string | null | undefined;
}

export interface DataPart {
  readonly key: string;
  readonly data: DataDefinition;
  readonly model: object;
}

/** All that is wrong, a line each. */
export class DataError extends Error {}

/** Throws one error with all that is wrong, each with its path. */
export function checkData(given: unknown, parts: readonly DataPart[]): void {
  const schema = z.strictObject(Object.fromEntries(parts.map(({ key, data }) => [key, data.schema.optional()])));
  const issues = schema.safeParse(given).error?.issues ?? [];
  const known = new Known(given, parts);
  const failures = [
    ...issues.map(({ path, message }) => `${pathText(path)}: ${message}`),
    ...known.duplicates(),
    ...parts.flatMap(({ key, data }) => wrongReferences(given, key, data, known)),
  ];
  if (failures.length === 0) return;
  const count = failures.length === 1 ? "the data are wrong" : `the data are wrong in ${failures.length} places`;
  throw new DataError([count, ...failures.map((failure) => `  ${failure}`)].join("\n"));
}

/** Every row that a reference can name, by list: `cinder.volumes`. Reads the data as they are, since they may be wrong. */
class Known {
  private readonly own = new Map<string, readonly Named[]>();
  private readonly given = new Map<string, readonly Named[]>();

  constructor(data: unknown, parts: readonly DataPart[]) {
    for (const { key, data: definition, model } of parts) {
      for (const [list, rows] of Object.entries(definition.known?.(model) ?? {})) this.own.set(`${key}.${list}`, rows);
      for (const [list, rows] of Object.entries(fieldsOf(fieldsOf(data)[key]))) {
        if (Array.isArray(rows)) this.given.set(`${key}.${list}`, rows.map(fieldsOf));
      }
    }
  }

  named(list: string, idOrName: string): readonly Named[] {
    const rows = [...(this.own.get(list) ?? []), ...(this.given.get(list) ?? [])];
    const byId = rows.filter(({ id }) => id === idOrName);
    return byId.length > 0 ? byId : rows.filter(({ name }) => name === idOrName);
  }

  duplicates(): string[] {
    return [...this.given].flatMap(([list, rows]) =>
      rows.flatMap(({ id }, at) => {
        const earlier = [...(this.own.get(list) ?? []), ...rows.slice(0, at)];
        const isTaken = typeof id === "string" && earlier.some((row) => row.id === id);
        return isTaken ? [`${list}[${at}].id: another row has the id ${id}`] : [];
      }),
    );
  }
}

function wrongReferences(given: unknown, key: string, { references = {} }: DataDefinition, known: Known): string[] {
  return Object.entries(references).flatMap(([path, target]) => {
    const list = target.includes(".") ? target : `${key}.${target}`;
    return valuesAt(fieldsOf(given)[key], path.split("."), key).flatMap(([at, value]) => {
      if (typeof value !== "string") return [];
      const found = known.named(list, value).length;
      if (found === 1) return [];
      return [
        found === 0
          ? `${at}: ${list} has no "${value}"`
          : `${at}: ${list} has ${found} rows named "${value}"; give an id`,
      ];
    });
  });
}

/** The values at a path whose `*` stands for each item of a list, with their paths as a person writes them. */
function valuesAt(from: unknown, path: readonly string[], at: string): [string, unknown][] {
  const [step, ...rest] = path;
  if (step === undefined) return [[at, from]];
  if (step !== "*") return valuesAt(fieldsOf(from)[step], rest, `${at}.${step}`);
  return Array.isArray(from) ? from.flatMap((item, index) => valuesAt(item, rest, `${at}[${index}]`)) : [];
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function pathText(path: readonly PropertyKey[]): string {
  const text = path.map((step) => (typeof step === "number" ? `[${step}]` : `.${String(step)}`)).join("");
  return text === "" ? "the data" : text.replace(/^\./, "");
}

// The functions below are for the data.ts of the services.

/** The row that a checked reference names. */
export function rowNamed<Row extends Named>(rows: Iterable<Row>, idOrName: string): Row {
  const all = [...rows];
  const found = all.find(({ id }) => id === idOrName) ?? all.find(({ name }) => name === idOrName);
  if (found === undefined) throw new Error(`there is no "${idOrName}"`);
  return found;
}

export const uuid = () =>
  z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "must be a UUID in lower case");

export const texts = () => z.record(z.string(), z.string());

export const gibibytes = () => z.int("must be a whole number of GiB").min(1, "must be at least 1");

/** A time in UTC, as OpenStack's columns print it. */
export const instant = () => z.iso.datetime("must be a time in UTC, such as 2026-11-28T02:00:00Z");

export function column(time: string): string {
  return new Date(time).toISOString().replace("Z", "000");
}

/** Leaves out what the data do not give, so that the model's own defaults count. */
export function given<Fields extends object>(
  fields: Fields,
): { [Key in keyof Fields]: Exclude<Fields[Key], undefined> } {
  const present = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present) as { [Key in keyof Fields]: Exclude<Fields[Key], undefined> };
}
