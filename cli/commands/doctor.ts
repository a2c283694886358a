// `snapclone doctor`: where a connection comes from, and whether it works. Nothing is created or changed.

import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import path from "node:path";
import { DEFAULT_CONNECTION } from "../../provider/core/connection/connections";
import { Diagnosis, type Finding, type Level } from "../../provider/core/connection/diagnosis";
import { compareVersions } from "../../provider/core/util/version";
import { version } from "../../provider/version";
import { defineCommand, EXIT } from "../command";
import { CliConnections, CONNECTION_OPTIONS, type Connection, checkKind, isNotSetUp } from "../connections";
import type { Io } from "../io";
import type { Output, Style } from "../output";

interface Section {
  /** `openstack "default"`, or "this machine". */
  title: string;
  findings: readonly Finding[];
}

/** A backend that does not answer is a finding, and need not be waited for. */
const PATIENCE_MS = 2_000;
/** The oldest @pulumi/pulumi that the package works with (package.json, `peerDependencies`). */
const OLDEST_SDK = "3.216.0";

export const doctor = defineCommand({
  name: "doctor",
  summary: "check a connection: settings, proxy, TLS, login, clock, rights, versions",
  positionals: "[CONNECTION]",
  maxPositionals: 1,
  options: CONNECTION_OPTIONS,
  notes: `Without CONNECTION, the command checks \`default\` and every connection of the stack config. It creates and changes nothing.
The output contains no secret: attach it to a bug report.

  pulumi config --json --show-secrets | snapclone doctor --stack-config -

Guide: docs/command.md`,
  async run(io, { values, positionals, output }) {
    const kind = checkKind(values.kind);
    // The settings' warnings are findings of their own.
    const connections = await CliConnections.read(io, values, () => {}, PATIENCE_MS);
    try {
      const [name] = positionals;
      const names = name === undefined ? [...new Set([DEFAULT_CONNECTION, ...connections.configured])] : [name];
      const sections = [await thisMachine(io)];
      for (const one of names) sections.push(...(await examine(io, connections, one, kind, name !== undefined)));
      show(output, sections);
      const isWrong = sections.some(({ findings }) => findings.some(({ level }) => level === "wrong"));
      return isWrong ? EXIT.found : EXIT.ok;
    } finally {
      await connections.close();
    }
  },
});

// --- one connection

async function examine(
  io: Io,
  connections: CliConnections,
  name: string,
  kind: string | undefined,
  isNamed: boolean,
): Promise<Section[]> {
  const candidates = connections.ofName(name, kind);
  const sections: Section[] = [];
  const absent: Finding[] = [];
  for (const connection of candidates) {
    const diagnosis = new Diagnosis(io.env, () => new Date());
    let client: unknown;
    try {
      client = connection.open();
    } catch (error) {
      if (isNotSetUp(error)) {
        absent.push({ level: "wrong", what: connection.kind.kind, text: error.parts.message, hint: error.parts.hint });
        continue;
      }
      diagnosis.failed("settings", error);
    }
    if (client !== undefined) await diagnose(connection, client, diagnosis);
    sections.push({ title: titleOf(connection), findings: diagnosis.findings });
  }
  // With another connection in the stack config nobody needs a connection of the name "default".
  const isNeeded = isNamed || connections.configured.length === 0;
  if (sections.length === 0 && isNeeded) sections.push({ title: `"${name}" is not set up`, findings: absent });
  return sections;
}

async function diagnose({ kind }: Connection, client: unknown, diagnosis: Diagnosis): Promise<void> {
  try {
    await kind.diagnose?.(client, diagnosis);
  } catch (error) {
    diagnosis.failed("examination", error);
  }
}

function titleOf({ kind, name }: Connection): string {
  return `${kind.kind} "${name}"`;
}

// --- this machine

async function thisMachine(io: Io): Promise<Section> {
  const findings: Finding[] = [{ level: "ok", what: "pulumi-snapclone", text: version }, nodeVersion()];
  findings.push(await pulumiVersion(io), sdkVersion(io));
  if (/^(1|true)$/i.test(io.env.PULUMI_SKIP_CHECKPOINTS ?? "")) {
    findings.push({
      level: "warning",
      what: "PULUMI_SKIP_CHECKPOINTS",
      text: "is set, so the state does not show what a run does: nothing is adopted, and an import is refused",
      hint: "Unset it (docs/ownership.md).",
    });
  }
  return { title: "this machine", findings };
}

function nodeVersion(): Finding {
  const { node } = process.versions;
  const [major = 0] = node.split(".").map(Number);
  const fits = major >= 22 || (major === 20 && compareVersions(node, "20.19.0") >= 0);
  if (fits) return { level: "ok", what: "Node.js", text: node };
  return {
    level: "wrong",
    what: "Node.js",
    text: `${node} is not supported`,
    hint: "Install Node.js 20.19, or 22 and newer.",
  };
}

/** The provider asks `pulumi` for the state, so it must be found. */
function pulumiVersion({ env, cwd }: Io): Promise<Finding> {
  return new Promise((resolve) => {
    const finding = (level: Level, text: string, hint?: string) =>
      resolve({ level, what: "pulumi", text, ...(hint === undefined ? {} : { hint }) });
    const child = spawn("pulumi", ["version"], {
      cwd,
      env: { ...env, PULUMI_SKIP_UPDATE_CHECK: "true" },
      stdio: ["ignore", "pipe", "ignore"],
      // The option `timeout` keeps its timer when the program is not found, and the process open.
      signal: AbortSignal.timeout(10_000),
    });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (part: string) => {
      text += part;
    });
    child.once("error", ({ name }) => {
      if (name === "AbortError") return finding("warning", "`pulumi version` did not answer within 10 s");
      const text = "no `pulumi` is on PATH, so nothing is adopted outside of Linux";
      finding("warning", text, "Install it, or correct PATH.");
    });
    child.once("close", (code) => {
      if (code === 0) finding("ok", text.trim().replace(/^v/, ""));
      else finding("warning", `\`pulumi version\` failed (${code ?? "killed"})`);
    });
  });
}

/** The SDK that a program in this folder would load. */
function sdkVersion({ cwd }: Io): Finding {
  const what = "@pulumi/pulumi";
  let version: string;
  try {
    ({ version } = createRequire(path.join(cwd, "program.js"))("@pulumi/pulumi/package.json") as { version: string });
  } catch {
    return {
      level: "unknown",
      what,
      text: `is not installed in ${cwd}`,
      hint: "Run the command in the program's folder.",
    };
  }
  const fits = compareVersions(version, OLDEST_SDK) >= 0 && compareVersions(version, "4.0.0") < 0;
  if (fits) return { level: "ok", what, text: version };
  return {
    level: "wrong",
    what,
    text: `${version} is not supported`,
    hint: `Install ${OLDEST_SDK} or newer, below 4.`,
  };
}

// --- the report

const STYLES: Record<Level, Style> = { ok: "green", warning: "yellow", wrong: "red", unknown: "cyan" };

function show(output: Output, sections: readonly Section[]): void {
  output.result({ sections });
  for (const [at, { title, findings }] of sections.entries()) {
    if (at > 0) output.line();
    output.line(output.style("bold", title));
    for (const { level, what, text, hint } of findings) {
      output.paragraph(["  ", output.style(STYLES[level], level.padEnd(7)), "  "], `${what}: ${text}`);
      for (const line of hint?.split("\n") ?? []) output.paragraph(["           → "], line);
    }
  }
  const all = sections.flatMap(({ findings }) => findings);
  const counts = (["wrong", "warning", "unknown", "ok"] as const).flatMap((level) => {
    const count = all.filter((one) => one.level === level).length;
    return count === 0 ? [] : [`${count} ${level}`];
  });
  output.line();
  output.line(`${counts.join(", ")}.`);
}
