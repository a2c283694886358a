// Folders with clouds.yaml files, apart from this machine's own configuration.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type OpenStackSettings, resolveOpenStack } from "../../../provider/openstack/connection";

export interface Case {
  name?: string;
  config?: unknown;
  env?: Record<string, string>;
  /** Below the case's own folder; `cwd`, `home`, `site` are what their names say. */
  files?: Record<string, string>;
}

const made: string[] = [];

export interface Place {
  root: string;
  cwd: string;
  home: string;
  env: Record<string, string>;
}

/** `<root>` in values and files stands for the case's folder. */
export function place({ env = {}, files = {} }: Case): Place {
  const root = mkdtempSync(join(tmpdir(), "snapclone-clouds-"));
  made.push(root);
  for (const folder of ["cwd", "home", "site"]) mkdirSync(join(root, folder));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text.replaceAll("<root>", root));
  }
  const own = Object.fromEntries(Object.entries(env).map(([key, value]) => [key, value.replaceAll("<root>", root)]));
  return {
    root,
    cwd: join(root, "cwd"),
    home: join(root, "home"),
    env: { HOME: join(root, "home"), XDG_CONFIG_DIRS: join(root, "site"), ...own },
  };
}

export function resolveCase(given: Case, at: Place = place(given)): OpenStackSettings {
  return resolveOpenStack({
    name: given.name ?? "default",
    config: given.config,
    env: at.env,
    cwd: at.cwd,
    home: at.home,
  });
}

export function removePlaces(): void {
  for (const root of made.splice(0)) rmSync(root, { recursive: true, force: true });
}
