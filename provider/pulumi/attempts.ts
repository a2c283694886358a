// Records each create that this process has begun and not answered, as a file in Pulumi's home folder. When the provider dies
// alone (out of memory, kill -9), the engine reports a failed create and keeps no pending operation, so the state shows
// nothing of the object that the create made. The file that is left proves that the engine got no answer.
//
// When Pulumi itself is killed, the pending operation is the evidence, and the user can remove it
// (`refresh --clear-pending-creates`). So a file counts only if Pulumi's history has a failed update that spans its time:
// that update came to its end, so Pulumi lived on.

import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AttemptJournal } from "../core/run";
import { isRecord } from "../core/util/values";
import { accountHome } from "./origin";
import { stackHistory } from "./state";

/** Older files are removed. By default an object is adopted within a day only. */
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
        // The home folder is not writable: objects of a provider that dies alone are warned of and not adopted.
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
    // The provider of another stack may have removed the file since.
    const changedAt = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (Date.now() - changedAt > KEPT_MS) remove(file);
  }
}

function begunAt(file: string): number | undefined {
  try {
    const content: unknown = JSON.parse(readFileSync(file, "utf8"));
    const begun = isRecord(content) ? Date.parse(String(content.begun)) : Number.NaN;
    return Number.isNaN(begun) ? undefined : begun;
  } catch {
    return undefined;
  }
}

function remove(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {
    // A file that stays is removed when it is old.
  }
}
