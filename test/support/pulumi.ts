// For everything that runs the real `pulumi`: a clean environment, and the engine's event log.

import * as fs from "node:fs";
import * as path from "node:path";

/**
 * Nothing of the developer's own: no stacks, no clouds, no credentials. Home and state are in `folder`; what is `before`
 * goes first in PATH.
 */
export function cleanEnvironment(folder: string, before: readonly string[]): Record<string, string> {
  const foreign = /^(PULUMI_|OS_|VIPR_|ZSTACK_|POWERVC_|GITHUB_|GH_|NODE_OPTIONS$|TS_NODE_|JEST_|npm_)/;
  const kept = Object.entries(process.env).flatMap(([key, value]) =>
    value === undefined || foreign.test(key) ? [] : [[key, value]],
  );
  return {
    ...Object.fromEntries(kept),
    PATH: [...before, process.env.PATH].join(path.delimiter),
    HOME: path.join(folder, "home"),
    XDG_CONFIG_HOME: path.join(folder, "home", ".config"),
    PULUMI_HOME: path.join(folder, "home", ".pulumi"),
    PULUMI_BACKEND_URL: `file://${path.join(folder, "state")}`,
    PULUMI_CONFIG_PASSPHRASE: "test",
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    // Makes `--event-log` known (pkg/cmd/pulumi/operations/up.go).
    PULUMI_DEBUG_COMMANDS: "true",
  };
}

/** Reads the engine's event log (apitype.EngineEvent of pulumi/pulumi). */
export function readEvents<EngineEvent>(file: string | undefined): EngineEvent[] {
  if (file === undefined || !fs.existsSync(file)) return [];
  // A killed run may leave half a line.
  const lines = fs.readFileSync(file, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line) as EngineEvent);
}
