// A lock file for work that two runs on one machine should not do twice. The lock only saves time: an atomic rename publishes
// the work's result, so that two holders at once would do no harm.

import { randomUUID } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { withCleanup } from "./processes";

interface Holder {
  pid: number;
  host: string;
  token: string;
}

const HEARTBEAT_MS = 5_000;
const STALE_MS = 60_000;
const POLL_MS = 500;

/** Runs `work` while it holds the lock. If another process has the lock, calls `onWait` once with that process's pid. */
export async function withLock<T>(file: string, onWait: (pid: number) => void, work: () => Promise<T>): Promise<T> {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const me: Holder = { pid: process.pid, host: os.hostname(), token: randomUUID() };
  let waiting = false;
  while (!acquire(file, me)) {
    const holder = readHolder(file);
    if (isStale(file, holder)) {
      takeAway(file, holder, me);
      continue;
    }
    if (!waiting && holder !== undefined) onWait(holder.pid);
    waiting ||= holder !== undefined;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  const heartbeat = setInterval(() => touch(file), HEARTBEAT_MS);
  return withCleanup(() => {
    clearInterval(heartbeat);
    if (readHolder(file)?.token === me.token) fs.rmSync(file, { force: true });
  }, work);
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: the process exists and belongs to another user.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  return !isZombie(pid);
}

/** A container without an init process keeps dead processes whose parent has ended (proc(5): the state after the name). */
function isZombie(pid: number): boolean {
  try {
    return /\) Z /.test(fs.readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

function acquire(file: string, me: Holder): boolean {
  try {
    fs.writeFileSync(file, JSON.stringify(me), { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Undefined if the file is gone, or if its creator has not written it yet. */
function readHolder(file: string): Holder | undefined {
  try {
    return JSON.parse(fs.readFileSync(file, "utf8")) as Holder;
  } catch {
    return undefined;
  }
}

function isStale(file: string, holder: Holder | undefined): boolean {
  if (holder !== undefined && holder.host === os.hostname() && !isAlive(holder.pid)) return true;
  try {
    return Date.now() - fs.statSync(file).mtimeMs > STALE_MS;
  } catch {
    return false;
  }
}

/** Renames the file, so that only one of two waiters removes it. What was removed must be what was stale. */
function takeAway(file: string, judged: Holder | undefined, me: Holder): void {
  const aside = `${file}.${me.token}`;
  try {
    fs.renameSync(file, aside);
  } catch {
    return;
  }
  if (readHolder(aside)?.token === judged?.token) fs.rmSync(aside, { force: true });
  else fs.renameSync(aside, file);
}

function touch(file: string): void {
  const now = new Date();
  try {
    fs.utimesSync(file, now, now);
  } catch {
    // Another process took the lock while this machine was asleep. The work is safe without the lock.
  }
}
