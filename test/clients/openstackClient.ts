// Runs the OpenStack clients of Debian's packages against a cloud that the environment names.

import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

export const run = promisify(execFile);

const PYTHON = "/usr/bin/python3";
const COMMAND = "/usr/bin/openstack";

export const hasSdk = existsSync("/usr/lib/python3/dist-packages/openstack");
export const hasCommand = existsSync(COMMAND);
if (!hasSdk) console.warn("openstacksdk is not run: Debian's package python3-openstacksdk is not installed");
if (!hasCommand)
  console.warn("the command openstack is not run: Debian's package python3-openstackclient is not installed");

type Variables = Readonly<Record<string, string>>;

/** Only what the client needs: no other cloud of this machine, no proxy. */
export function clientHome(): { env(login: Variables): Record<string, string>; remove(): void } {
  const home = mkdtempSync(join(tmpdir(), "snapclone-client-"));
  return {
    env: (login) => ({
      PATH: process.env.PATH ?? "",
      HOME: home,
      OS_IDENTITY_API_VERSION: "3",
      PYTHONWARNINGS: "ignore",
      ...login,
    }),
    remove: () => rmSync(home, { recursive: true }),
  };
}

/** A script of python/, and the JSON that it prints. */
export async function runScript(name: string, args: readonly string[], env: Record<string, string>) {
  const { stdout } = await run(PYTHON, [join(__dirname, "python", name), ...args], { env, timeout: 120_000 });
  return JSON.parse(stdout);
}

export async function openstack(env: Record<string, string>, ...words: string[]) {
  const { stdout } = await run(COMMAND, [...words, "-f", "json"], { env, timeout: 90_000 });
  return JSON.parse(stdout);
}

/** What the command says when it is refused. */
export async function refusedCommand(env: Record<string, string>, ...words: string[]): Promise<string> {
  return run(COMMAND, words, { env, timeout: 90_000 }).then(
    ({ stdout }) => `not refused: ${stdout}`,
    ({ stderr }: { stderr: string }) => stderr,
  );
}
