// The lab's database, for what the services' APIs can't bring about.

import { execFileSync } from "node:child_process";
import { join } from "node:path";
import type { Fields } from "../contract/replay";
import type { OpenStackLab } from "./lab";

export function sql(lab: OpenStackLab, statements: string): void {
  const socket = `--socket=${join(lab.folder, "run", "mysql.sock")}`;
  execFileSync("mariadb", ["--no-defaults", socket, "-u", "root"], {
    // Some of what was done for the recording points to rows that aren't there.
    input: `set foreign_key_checks = 0; ${statements}`,
    timeout: 60_000,
    stdio: ["pipe", "ignore", "pipe"],
  });
}

/** `table` with its database: cinder.volumes. */
export function update(lab: OpenStackLab, table: string, which: Fields, to: Fields): void {
  sql(lab, `update ${table} set ${assignments(to).join(", ")} where ${assignments(which).join(" and ")};`);
}

function assignments(fields: Fields): string[] {
  return Object.entries(fields).map(([column, value]) => `${column} = ${value === null ? "null" : quoted(value)}`);
}

function quoted(value: string): string {
  return `'${value.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}
