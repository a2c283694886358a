// After an interruption, `snapclone orphans` must list exactly what the backend's own model has, each object with the standing
// that the state gives it. The command runs in this process: no engine, and a fifth of a second.

import { snapclone, stackConfig } from "../cli/fixture";
import type { RecordOnBackend } from "./resourceCase";
import { type ExportedState, type StackFixture, withDynamicTypes } from "./stackFixture";

/** What is under way on the backend when the processes are dead ends within seconds. */
const LIMIT_MS = 10_000;

export async function assertOrphansCommand(fixture: StackFixture): Promise<void> {
  const { records } = fixture.backend;
  if (records === undefined) return;
  const { file, backendUrl, state } = fixture.exported();
  const deadline = Date.now() + LIMIT_MS;
  for (;;) {
    await fixture.backend.copies();
    const expected = expectedRows(state, records());
    const listed = await listedBy(fixture, file, backendUrl);
    if (JSON.stringify(listed) === JSON.stringify(expected)) return;
    if (Date.now() > deadline) {
      const text = (rows: readonly Row[]) => rows.map((row) => row.join(" ")).join("\n  ") || "nothing";
      throw new Error(`snapclone orphans lists\n  ${text(listed)}\nand there is\n  ${text(expected)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

type Row = readonly [status: string, id: string, owner: string];

async function listedBy({ resource, backend }: StackFixture, file: string, backendUrl: string): Promise<Row[]> {
  const argv = ["orphans", "--state", file, "--stack-config", "-", "--json"];
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
      .map(({ status, id, owner }: Record<string, string>): Row => [status ?? "", id ?? "", owner ?? ""]),
  );
}

/** Each record once, and each entry of the state whose object has none any more. */
function expectedRows(state: ExportedState, records: readonly RecordOnBackend[]): Row[] {
  const entries = (state.resources ?? []).filter(({ type }) => !type.startsWith("pulumi:"));
  const gone = entries.flatMap(({ id = "", urn, outputs }): Row[] => {
    if (id === "" || id.startsWith("unknown-") || records.some((record) => record.id === id)) return [];
    return [[outputs?.pending === undefined ? "gone" : "recorded", id, withDynamicTypes(urn)]];
  });
  return sorted([...records.map((one): Row => [statusOf(one, state), one.id, one.owner]), ...gone]);
}

function statusOf({ id, owner, attempt, madeAt }: RecordOnBackend, state: ExportedState): string {
  const isAttempt = (text: unknown) => typeof text === "string" && text.startsWith(attempt);
  const holder = (state.resources ?? []).find((one) => one.id === id || isAttempt(one.id?.replace("unknown-", "")));
  if (holder !== undefined) return holder.delete ? "to be deleted" : "recorded";
  const begun = (state.pending_operations ?? []).filter(({ type, resource }) => {
    return type === "creating" && withDynamicTypes(resource.urn) === owner;
  });
  // The first request of a process may come without an attempt.
  const isPending = begun.some(
    ({ resource: { inputs } }) => inputs?.__attempt === undefined || isAttempt(inputs.__attempt),
  );
  if (isPending) return "pending";
  return madeAt > Date.parse(state.manifest?.time ?? "") ? "newer than the state" : "in no state";
}

function sorted(rows: readonly Row[]): Row[] {
  return [...rows].sort((one, other) => (one[1] < other[1] ? -1 : 1));
}
