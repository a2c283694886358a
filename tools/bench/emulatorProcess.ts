// The emulator in a process of its own, so that the measurement leaves its work out. This file has both sides: the code
// that starts the process, and the code that runs in it.

import { fork } from "node:child_process";
import { type OpenStackConnection, type RequestLogEntry, startEmulator } from "../../emulator";
import { otherPrograms } from "./programs";

export type LoggedRequest = Pick<RequestLogEntry, "at" | "service" | "operation" | "status">;

export interface EmulatorProcess {
  connection: OpenStackConnection;
  /** A connection of each kind, as an entry of the stack configuration. */
  connections: Record<string, object>;
  /** The OpenStack one as environment variables. */
  env: Record<string, string>;
  /** The requests since the last reset. The log holds the last 10 000. */
  requests(): Promise<LoggedRequest[]>;
  reset(): Promise<void>;
  close(): Promise<void>;
}

/** The emulator's own defaults (docs/emulator.md): what a snapshot costs with a provider that costs nothing. */
export const BACKEND_MS = { create: 2_000, delete: 1_000 };

const START_MS = 20_000;

interface Started {
  url: string;
  connection: OpenStackConnection;
  connections: EmulatorProcess["connections"];
  env: Record<string, string>;
}

export async function startEmulatorProcess(createMs = BACKEND_MS.create): Promise<EmulatorProcess> {
  const child = fork(__filename, [String(createMs)], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  const { url, connection, connections, env } = await new Promise<Started>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the emulator did not start")), START_MS);
    child.once("message", (message) => {
      clearTimeout(timer);
      resolve(message as Started);
    });
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the emulator ended with ${code}`)));
  });
  const control = async (method: string, path: string): Promise<unknown> => {
    const answer = await fetch(`${url}/_emulator/${path}`, { method });
    if (!answer.ok) throw new Error(`the emulator answered ${answer.status}: ${await answer.text()}`);
    return answer.json();
  };
  return {
    connection,
    connections,
    env,
    requests: async () => ((await control("GET", "requests")) as { requests: LoggedRequest[] }).requests,
    reset: async () => {
      await control("POST", "reset");
    },
    close: () =>
      new Promise((resolve) => {
        child.once("exit", () => resolve());
        child.kill("SIGTERM");
      }),
  };
}

async function serve(createMs: number): Promise<void> {
  const emulator = await startEmulator({
    timings: { snapshotCreate: createMs, snapshotDelete: BACKEND_MS.delete },
    quotas: { snapshots: -1, gigabytes: -1 },
    // Each program's data are of another service.
    data: Object.assign({}, ...otherPrograms().map(({ data }) => data)),
  });
  const connection = emulator.openstack.connection();
  const connections = { ...emulator.connections(), openstack: connection };
  const started: Started = { url: emulator.url, connection, connections, env: emulator.openstack.env() };
  process.send?.(started);
  // The process that started this one has ended, so nobody will ask this one to end.
  process.once("disconnect", () => process.exit(0));
}

if (require.main === module) void serve(Number(process.argv[2]));
