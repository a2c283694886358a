// `pulumi-resource-pulumi-nodejs`, which starts the dynamic provider process: a shell script that the npm package
// @pulumi/pulumi carries. The engine looks for it on PATH and beside itself, never in node_modules.

import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { publish, temporaryBeside } from "./cache";
import type { Context } from "./types";

export const LAUNCHER = "pulumi-resource-pulumi-nodejs";

export function launcherText(root: string): string {
  return fs.readFileSync(path.join(root, "node_modules", "@pulumi", "pulumi", LAUNCHER), "utf8");
}

/** A folder with nothing but the launcher, for an installed Pulumi that comes without it. */
export function launcherFolder(context: Context): string {
  const text = launcherText(context.root);
  const folder = path.join(context.cache, `launcher-${contentHash(text)}`);
  if (!fs.existsSync(folder)) {
    const temporary = temporaryBeside(folder);
    fs.writeFileSync(path.join(temporary, LAUNCHER), text, { mode: 0o755 });
    publish(temporary, folder);
  }
  return folder;
}

export function contentHash(...texts: string[]): string {
  return createHash("sha256").update(texts.join("\0")).digest("hex").slice(0, 12);
}
