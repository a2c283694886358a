// A lock file for work that two runs on one machine should not do twice. It only saves time: everything done under it
// is published by an atomic rename, so that even two holders at once would do no harm.

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

/** Runs `work` while holding the lock; `onWait` is called once if another process has it, with its pid. */
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
    // EPERM: it is there and belongs to someone else.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  return !isZombie(pid);
}

/** A container without an init process keeps the dead that lost their parent (proc(5): the state after the name). */
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

/** Undefined when the file is gone, or created a moment ago and not yet written. */
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

/** By a rename, so that of two waiters only one removes it; and what was removed must be what was judged stale. */
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
    // Someone took the lock away while this machine was asleep; the work itself is safe without it.
  }
}
