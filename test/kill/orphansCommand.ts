// After an interruption, and at the end of a case, `snapclone orphans` must list exactly what the backend's own model has,
// each object with the status that the state gives it. The command runs in this process: no engine, and a fifth of a second.

import { snapclone, stackConfig } from "../cli/fixture";
import type { RecordOnBackend } from "./resourceCase";
import { type ExportedState, type StackFixture, withDynamicTypes } from "./stackFixture";

/** What is under way on the backend when the processes are dead ends within seconds. */
const LIMIT_MS = 10_000;
/** The command knows the backend's time from the header `Date`, which counts whole seconds. */
const DATE_HEADER_MS = 1_000;

export async function assertOrphansCommand(fixture: StackFixture): Promise<void> {
  const { records } = fixture.backend;
  if (records === undefined) return;
  const { state, ...place } = fixture.exported();
  const deadline = Date.now() + LIMIT_MS;
  for (;;) {
    await fixture.backend.copies();
    const expected = expectedRows(state, records());
    const listed = await listedBy(fixture, { ...place, stack: isNamed(state) ? [] : ["--stack", place.stack] });
    if (areAllowed(listed, expected)) return;
    if (Date.now() > deadline) {
      const text = (rows: readonly Row[]) => rows.map((row) => row.flat().join(" ")).join("\n  ") || "nothing";
      throw new Error(`snapclone orphans lists\n  ${text(listed)}\nand there is\n  ${text(expected)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** The command asks a user for the name of a stack whose state is empty, as after the last moment of a destroy. */
function isNamed({ resources = [], pending_operations: pending = [] }: ExportedState): boolean {
  return resources.length + pending.length > 0;
}

/** Where the time decides and is not known well enough, there are two statuses. */
type Row = readonly [statuses: readonly string[], id: string, owner: string];

function areAllowed(listed: readonly Row[], expected: readonly Row[]): boolean {
  const isAllowed = ([[status = ""], ...object]: Row, at: number) => {
    const [statuses = [], ...other] = expected[at] ?? [];
    return statuses.includes(status) && JSON.stringify(object) === JSON.stringify(other);
  };
  return listed.length === expected.length && listed.every(isAllowed);
}

async function listedBy(
  { resource, backend }: StackFixture,
  { file, backendUrl, stack }: { file: string; backendUrl: string; stack: readonly string[] },
): Promise<Row[]> {
  const argv = ["orphans", "--state", file, "--stack-config", "-", "--json", ...stack];
  const result = await snapclone(argv, {
    stdin: stackConfig(backend.connections),
    env: { PULUMI_BACKEND_URL: backendUrl },
  });
  const { objects = [], failures, doubt } = result.stdout === "" ? {} : result.json();
  if (failures?.length !== 0 || doubt !== undefined) {
    throw new Error(`snapclone orphans: exit code ${result.code}\n${result.stderr}${result.stdout}`);
  }
  return sorted(
    objects
      .filter(({ type }: { type: string }) => type === resource.type)
      .map(({ status, id, owner }: Record<string, string>): Row => [[status ?? ""], id ?? "", owner ?? ""]),
  );
}

/** Each record once, and each entry of the state whose object has none any more. */
function expectedRows(state: ExportedState, records: readonly RecordOnBackend[]): Row[] {
  const entries = (state.resources ?? []).filter(({ type }) => !type.startsWith("pulumi:"));
  const gone = entries.flatMap(({ id = "", urn, outputs }): Row[] => {
    if (id === "" || id.startsWith("unknown-") || records.some((record) => record.id === id)) return [];
    return [[[outputs?.pending === undefined ? "gone" : "recorded"], id, withDynamicTypes(urn)]];
  });
  return sorted([...records.map((one): Row => [statusesOf(one, state), one.id, one.owner]), ...gone]);
}

function statusesOf({ id, owner, attempt, madeAt }: RecordOnBackend, state: ExportedState): string[] {
  const isAttempt = (text: unknown) => typeof text === "string" && text.startsWith(attempt);
  const holder = (state.resources ?? []).find((one) => one.id === id || isAttempt(one.id?.replace("unknown-", "")));
  if (holder !== undefined) return [holder.delete ? "to be deleted" : "recorded"];
  const begun = (state.pending_operations ?? []).filter(({ type, resource }) => {
    return type === "creating" && withDynamicTypes(resource.urn) === owner;
  });
  // The first request of a process may come without an attempt.
  const isPending = begun.some(
    ({ resource: { inputs } }) => inputs?.__attempt === undefined || isAttempt(inputs.__attempt),
  );
  if (isPending) return ["pending"];
  const savedAt = Date.parse(state.manifest?.time ?? "");
  if (madeAt > savedAt) return ["newer than the state"];
  return madeAt > savedAt - DATE_HEADER_MS ? ["newer than the state", "in no state"] : ["in no state"];
}

function sorted(rows: readonly Row[]): Row[] {
  return [...rows].sort((one, other) => (one[1] < other[1] ? -1 : 1));
}
