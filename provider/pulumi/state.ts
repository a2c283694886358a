// Exports the state by `pulumi stack export`, as a child of the provider process. That works while the run holds the stack's
// lock and needs no passphrase (docs/wire/pulumi-engine.md#stack-export).

import { type ChildProcess, spawn } from "node:child_process";
import { type StackState, type StateEntry, StateUnavailable } from "../core/ownership";
import { stackOfUrn } from "../core/urn";
import { SIGNATURE_KEY } from "../core/util/assets";
import { isRecord } from "../core/util/values";
import { resourceOfType, resources } from "../resources";
import { engineExecutable, engineFolder } from "./processes";
import { isOurType, ownerUrn } from "./urns";

/** A state of ten thousand resources has some tens of megabytes. A string of Node.js holds half a gigabyte. */
const MAX_BYTES = 1 << 28;

export async function askState(
  urn: string,
  organization: string | undefined,
  timeoutMs: number,
  maxBytes = MAX_BYTES,
): Promise<StackState> {
  if (isSet(process.env.PULUMI_SKIP_CHECKPOINTS)) {
    throw new StateUnavailable("PULUMI_SKIP_CHECKPOINTS is set, so the state does not show what this run does");
  }
  return parseState(await askOfStack(["export"], urn, organization, timeoutMs, maxBytes));
}

/** An update that succeeded or failed. An update whose `pulumi` was killed is in no history. */
export interface HistoryEntry {
  result: string;
  startTime: number;
  endTime: number;
}

/** The latest updates of the stack. */
export async function stackHistory(
  urn: string,
  organization: string | undefined,
  timeoutMs: number,
): Promise<HistoryEntry[]> {
  const command = ["history", "--json", "--page-size", "50", "--page", "1"];
  const history: unknown = JSON.parse(await askOfStack(command, urn, organization, timeoutMs, MAX_BYTES));
  return list(history).map(({ result, startTime, endTime }) => ({
    result: String(result),
    startTime: Date.parse(String(startTime)),
    endTime: Date.parse(String(endTime)),
  }));
}

async function askOfStack(
  command: readonly string[],
  urn: string,
  organization: string | undefined,
  timeoutMs: number,
  maxBytes: number,
): Promise<string> {
  const { stack, project } = stackOfUrn(urn);
  const name = `${organization ?? "organization"}/${project}/${stack}`;
  const deadline = Date.now() + timeoutMs;
  const askAgain = (askedName: string) =>
    runStackCommand(command, askedName, Math.max(1, deadline - Date.now()), maxBytes);
  try {
    return await runStackCommand(command, name, timeoutMs, maxBytes);
  } catch (error) {
    if (!(error instanceof ExportFailed)) throw error;
    // The file backend cuts off a file of attributes before it writes them, so a command that reads in between gets EOF
    // (docs/wire/pulumi-engine.md#stack-export).
    if (/failed to load checkpoint: EOF/.test(error.message)) return askAgain(name);
    // State stores from before Pulumi 3.61 have no projects, and their stacks have short names.
    if (!/project|stack name|no stack named/i.test(error.message)) throw error;
    // If the short name fails, too, the first error tells the cause.
    return askAgain(stack).catch(() => {
      throw error;
    });
  }
}

class ExportFailed extends Error {}

function runStackCommand(
  command: readonly string[],
  stack: string,
  timeoutMs: number,
  maxBytes: number,
): Promise<string> {
  const called = `\`pulumi stack ${command[0]}\``;
  // The executable that runs the engine; else the first on PATH.
  const executable = engineExecutable() ?? "pulumi";
  return new Promise((resolve, reject) => {
    const child = spawn(executable, ["stack", ...command, "--stack", stack, "--non-interactive"], {
      // A relative address of the state store starts at the engine's folder; this process runs in the program's.
      cwd: engineFolder() ?? process.cwd(),
      env: { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "true" },
      stdio: ["ignore", "pipe", "pipe"],
      // In its own process group Ctrl-C does not end it: the warnings at the end of the run need its answer.
      detached: process.platform !== "win32",
    });
    const fail = (error: Error) => {
      clearTimeout(timer);
      killGroup(child);
      reject(error);
    };
    const timer = setTimeout(() => {
      fail(new ExportFailed(`${called} did not answer within ${timeoutMs / 1000} s`));
    }, timeoutMs);
    timer.unref();
    const parts: Buffer[] = [];
    let size = 0;
    let message = "";
    child.stdout.on("data", (part: Buffer) => {
      size += part.length;
      if (size <= maxBytes) parts.push(part);
      else fail(new ExportFailed(`${called} answered with more than ${maxBytes} bytes`));
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      if (message.length < 2_000) message += text;
    });
    child.once("error", (error: NodeJS.ErrnoException) => {
      const why = error.code === "ENOENT" ? "no `pulumi` is on PATH" : `\`pulumi\` can't be run: ${error.message}`;
      fail(new StateUnavailable(why));
    });
    child.once("close", (code) => {
      clearTimeout(timer);
      if (code === 0) resolve(Buffer.concat(parts).toString("utf8"));
      else fail(new ExportFailed(`${called} failed: ${firstLine(message) || `exit code ${code}`}`));
    });
  });
}

/** npm's `pulumi` is a launcher that has a child, so the whole group is killed. */
function killGroup(child: ChildProcess): void {
  if (child.exitCode !== null || child.signalCode !== null) return;
  try {
    if (child.pid === undefined || process.platform === "win32") child.kill("SIGKILL");
    else process.kill(-child.pid, "SIGKILL");
  } catch {
    // The process has ended.
  }
}

/** Keeps only ids, URNs, hidden inputs and times of the state, and the ids in sets. No other value leaves this function. */
export function parseState(text: string): StackState {
  const { resources, pending, savedAt } = ownDeployment(text);
  const creates = pending.filter(({ type }) => type === "creating");
  const pendingImports = pending.flatMap(({ type, resource }) => {
    const importId = isRecord(resource) && type === "importing" ? optional(resource.importID) : undefined;
    return importId === undefined ? [] : [{ urn: ownerUrn(String((resource as Properties).urn)), importId }];
  });
  const deletedFirst = resources.filter(isDeletedFirst).map(({ urn, created }) => ({
    urn: ownerUrn(String(urn)),
    created: optional(created),
  }));
  return {
    entries: resources.flatMap((resource): StateEntry[] => {
      if (typeof resource.id !== "string" || resource.id === "" || isDeletedFirst(resource)) return [];
      const inputs = isRecord(resource.inputs) ? resource.inputs : {};
      const outputs = isRecord(resource.outputs) ? resource.outputs : {};
      return [
        {
          urn: ownerUrn(String(resource.urn)),
          id: resource.id,
          leaving: resource.delete === true,
          external: resource.external === true,
          created: optional(resource.created),
          attempt: optional(inputs.__attempt),
          adopted: optional(outputs.__adopted),
          imported: optional(inputs.__imported),
          members: membersOf(resource.type, outputs),
        },
      ];
    }),
    pendingCreates: creates.flatMap(({ resource }) => {
      if (!isRecord(resource)) return [];
      const inputs = isRecord(resource.inputs) ? resource.inputs : {};
      return [
        {
          urn: ownerUrn(String(resource.urn)),
          attempt: optional(inputs.__attempt),
          import: optional(inputs.__import),
        },
      ];
    }),
    pendingImports: pendingImports.length === 0 ? undefined : pendingImports,
    deletedFirst: deletedFirst.length === 0 ? undefined : deletedFirst,
    organization: organizationIn([...resources, ...creates.map(({ resource }) => resource as Properties)]),
    savedAt: dateOf(savedAt),
  };
}

/** Programs in TypeScript give it to each resource. A stack that has moved has entries of both organisations until its next `up`. */
function organizationIn(resources: readonly Properties[]): string | undefined {
  const named = resources.flatMap(({ inputs }) => (isRecord(inputs) ? (optional(inputs.__organization) ?? []) : []));
  const [first, ...others] = new Set(named);
  return others.length > 0 ? undefined : first;
}

/** An export has secret outputs encrypted: such an output shows no ids. */
function membersOf(type: unknown, outputs: Properties): readonly string[] | undefined {
  const name = resourceOfType(String(type));
  const shown = Object.entries(outputs).filter(([, value]) => !(isRecord(value) && SIGNATURE_KEY in value));
  const members = name === undefined ? undefined : resources[name]().members?.(Object.fromEntries(shown));
  return members === undefined || members.length === 0 ? undefined : members;
}

export interface OwnDeployment {
  /** The resources of this package. */
  resources: Properties[];
  /** The operations on such resources that were begun and not recorded as ended. */
  pending: Properties[];
  /** Any resource's, which names project and stack. Absent in an empty state. */
  urn: string | undefined;
  /** When Pulumi saved the state, ISO 8601. */
  savedAt: string | undefined;
}

/** The parts of an exported state that are about this package. */
export function ownDeployment(text: string): OwnDeployment {
  let deployment: unknown;
  try {
    const state: unknown = JSON.parse(text);
    deployment = isRecord(state) ? state.deployment : undefined;
  } catch {
    // Handled below.
  }
  if (!isRecord(deployment)) throw new ExportFailed("`pulumi stack export` did not answer with a state");
  const all = list(deployment.resources);
  const begun = list(deployment.pending_operations).filter(({ resource }) => isRecord(resource));
  const [first = begun[0]?.resource] = all;
  return {
    resources: all.filter(isOurs),
    pending: begun.filter(({ resource }) => isOurs(resource as Properties)),
    urn: isRecord(first) ? optional(first.urn) : undefined,
    savedAt: isRecord(deployment.manifest) ? optional(deployment.manifest.time) : undefined,
  };
}

type Properties = Record<string, unknown>;

/** Kept until the replacement is recorded (docs/wire/pulumi-engine.md#calls). */
function isDeletedFirst({ pendingReplacement }: Properties): boolean {
  return pendingReplacement === true;
}

function isOurs({ type }: Record<string, unknown>): boolean {
  return isOurType(type);
}

function list(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

function optional(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function dateOf(text: string | undefined): Date | undefined {
  const date = new Date(text ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

function isSet(value: string | undefined): boolean {
  return /^(1|true)$/i.test(value ?? "");
}

function firstLine(text: string): string {
  return (text.trim().split("\n")[0] ?? "").slice(0, 300);
}
