// The folder outside the repository that keeps engines, and how a new folder gets there in one step.

import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { isAlive } from "./lock";

export function cacheFolder(env: NodeJS.ProcessEnv): string {
  if (env.SNAPCLONE_CACHE) return path.resolve(env.SNAPCLONE_CACHE);
  const base = env.XDG_CACHE_HOME || path.join(env.HOME || os.homedir(), ".cache");
  return path.join(base, "pulumi-snapclone");
}

/** A folder beside `target`, in which its content is prepared. `publish` makes this folder `target` in one step. */
export function temporaryBeside(target: string): string {
  fs.mkdirSync(path.dirname(target), { recursive: true });
  return fs.mkdtempSync(`${target}.tmp-${process.pid}-`);
}

/** A folder is there as a whole or not at all. If another process was first, its folder stays. */
export function publish(temporary: string, target: string): void {
  try {
    fs.renameSync(temporary, target);
  } catch (error) {
    if (!fs.existsSync(target)) throw error;
    fs.rmSync(temporary, { recursive: true, force: true });
  }
}

/** Removes the folders that killed processes have left, and keeps those of processes that still run. */
export function removeLeftovers(target: string): void {
  const prefix = `${path.basename(target)}.tmp-`;
  for (const name of fs.readdirSync(path.dirname(target))) {
    if (!name.startsWith(prefix)) continue;
    const pid = Number.parseInt(name.slice(prefix.length), 10);
    if (!isAlive(pid)) fs.rmSync(path.join(path.dirname(target), name), { recursive: true, force: true });
  }
}
