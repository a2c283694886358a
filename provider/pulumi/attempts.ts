// Creates whose answer this process still owes the engine, as files in Pulumi's own home folder. When the provider dies
// alone (out of memory, kill -9), the engine records a failed create and forgets it: no pending operation is left, and the
// state shows nothing of the object that the create has made. The file is left then, and proves that the engine never had
// an answer.
//
// After a kill of Pulumi itself the pending operation is the evidence, and the user can take it away
// (`refresh --clear-pending-creates`). So a file counts only where Pulumi's history has an update that spans its time and
// failed: such an update came to its end, and Pulumi's process lived on.

import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AttemptJournal } from "../core/run";
import { isRecord } from "../core/util/values";
import { accountHome } from "./origin";
import { stackHistory } from "./state";

/** Older files prove nothing that is ever asked: an object is adopted within a day by default. */
const KEPT_MS = 8 * 24 * 3_600_000;
/** Pulumi's history has whole seconds. */
const SECOND_MS = 1_000;

export function attemptJournal(): AttemptJournal {
  const folder = join(process.env.PULUMI_HOME || join(accountHome(), ".pulumi"), "snapclone", "attempts");
  const open = new Set<string>();
  const fileOf = (stack: string, attempt: string) => join(folder, `${stack}-${attempt}`);
  let prepared = false;
  return {
    begin(stack, attempt) {
      const file = fileOf(stack, attempt);
      try {
        if (!prepared) prepare(folder);
        prepared = true;
        writeFileSync(file, JSON.stringify({ begun: new Date().toISOString() }), { mode: 0o600 });
        open.add(file);
      } catch {
        // A home that can't be written to: objects of a provider that died alone are told and not adopted.
      }
    },
    end(stack, attempt) {
      remove(fileOf(stack, attempt));
      open.delete(fileOf(stack, attempt));
    },
    endAll() {
      for (const file of open) remove(file);
      open.clear();
    },
    async diedAlone(stack, attempt, urn, organization, timeoutMs) {
      const begun = begunAt(fileOf(stack, attempt));
      if (begun === undefined) return false;
      const history = await stackHistory(urn, organization, timeoutMs).catch(() => []);
      return history.some(
        ({ result, startTime, endTime }) =>
          result === "failed" && startTime - SECOND_MS <= begun && begun <= endTime + SECOND_MS,
      );
    },
  };
}

function prepare(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(folder)) {
    const file = join(folder, name);
    if (Date.now() - statSync(file).mtimeMs > KEPT_MS) remove(file);
  }
}

function begunAt(file: string): number | undefined {
  try {
    const note: unknown = JSON.parse(readFileSync(file, "utf8"));
    const begun = isRecord(note) ? Date.parse(String(note.begun)) : Number.NaN;
    return Number.isNaN(begun) ? undefined : begun;
  } catch {
    return undefined;
  }
}

function remove(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {
    // It ages.
  }
}
