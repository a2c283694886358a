// `snapclone graph`: which copy was made from what, whose it is, and what depends on it. Reads only.

import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { DEFAULT_CONNECTION } from "../../provider/core/connection/connections";
import { asSnapcloneError, messageOf, redact } from "../../provider/core/errors";
import { defineCommand, EXIT, UsageError } from "../command";
import {
  CliConnections,
  CONNECTION_OPTIONS,
  type Connection,
  checkKind,
  connectionOf,
  isNotSetUp,
} from "../connections";
import { htmlDocument } from "../graph/html";
import { inOrder, type Lineage } from "../graph/model";
import { type ReadOptions, readLineage } from "../graph/read";
import { svgDocument } from "../graph/svg";
import { charactersOf, writeText } from "../graph/text";
import type { Io } from "../io";
import { type CliState, readState, STATE_OPTION } from "../state";
import { identifyStack } from "../status";

export const graph = defineCommand({
  name: "graph",
  summary: "show which copy was made from what, and which stack owns it",
  positionals: "[CONNECTION]",
  maxPositionals: 1,
  options: {
    state: STATE_OPTION,
    ...CONNECTION_OPTIONS,
    svg: { type: "string", value: "OUT", help: "write a picture in SVG" },
    html: { type: "string", value: "OUT", help: "write an HTML page with the picture and a table" },
    source: {
      type: "string",
      value: "URN",
      multiple: true,
      help: "where to begin on ViPR: a volume, a consistency group or a session",
    },
    all: { type: "boolean", help: "show volumes and VMs without copies, too" },
    ascii: { type: "boolean", help: "draw in ASCII. Default if the locale is not UTF-8" },
  },
  notes: `
Without CONNECTION, the command reads every connection that is set up or that the state names. It changes nothing.
Without --state, only an object's record says which stack owns it. The picture and the page load nothing from elsewhere.
Guide: docs/graph.md`,
  async run(io, { values, positionals, output }) {
    checkKind(values.kind);
    if (values.state === "-" && values["stack-config"] === "-")
      throw new UsageError("only one of --state and --stack-config can be stdin");
    const state = values.state === undefined ? undefined : await readState(io, values.state);
    const connections = await CliConnections.read(io, values, (text) => output.note(text));
    try {
      const chosen = connectionsOf(connections, positionals[0], values.kind, state);
      const stack = identifyStack(connections.origin, state);
      const options = { state, stack, sources: values.source ?? [], all: values.all === true };
      const { lineages, failures } = await readAll(chosen, options);
      for (const failure of failures) output.note(failure);
      if (stack.doubt !== undefined) output.note(`warning: what is this stack's is not sure: ${stack.doubt}`);
      const characters = values.ascii ? "ascii" : charactersOf(io.env);
      for (const lineage of lineages) writeText(output, lineage, characters);
      output.result({ connections: lineages.map(asJson), failures });
      if (values.svg !== undefined) await writeOut(io, values.svg, svgDocument(lineages));
      if (values.html !== undefined) await writeOut(io, values.html, htmlDocument(lineages, new Date()));
      return failures.length > 0 ? EXIT.failed : EXIT.ok;
    } finally {
      await connections.close();
    }
  },
});

function connectionsOf(
  connections: CliConnections,
  name: string | undefined,
  kind: string | undefined,
  state: CliState | undefined,
): Connection[] {
  const stated = state?.resources.map(({ inputs }) => connectionOf(inputs)) ?? [];
  const known = [...new Set([...connections.configured, ...stated])];
  const names = name !== undefined ? [name] : known.length > 0 ? known : [DEFAULT_CONNECTION];
  return names.flatMap((one) => connections.ofName(one, kind, state));
}

/** A connection that is not set up is no mistake while another one is. One that fails does not hide the others. */
async function readAll(chosen: readonly Connection[], options: ReadOptions) {
  const results = await Promise.allSettled(chosen.map((connection) => readLineage(connection, options)));
  const lineages = results.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const errors = results.flatMap((one, at) =>
    one.status === "rejected" ? [{ error: one.reason as unknown, connection: chosen[at] }] : [],
  );
  const missing = errors.filter(({ error }) => isNotSetUp(error));
  if (lineages.length === 0 && missing.length === errors.length) {
    if (missing[0] !== undefined) throw missing[0].error;
    throw new UsageError("there is no such connection");
  }
  const failures = errors
    .filter(({ error }) => !isNotSetUp(error))
    .map(({ error, connection }) => {
      const what = `read the copies of ${connection?.kind.kind} ${connection?.name}`;
      return `${connection?.kind.kind} ${connection?.name}: ${asSnapcloneError(error, what).message}`;
    });
  return { lineages, failures };
}

function asJson({ connection, backend, now, forest, lone, notes }: Lineage) {
  const objects = [...inOrder(forest)].map(({ tree: { node }, depth }) => ({ ...node, depth }));
  return { ...connection, backend, now: now.toISOString(), objects, lone, notes };
}

async function writeOut({ cwd, stderr }: Pick<Io, "cwd" | "stderr">, file: string, text: string): Promise<void> {
  try {
    await writeFile(resolve(cwd, file), text);
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
  stderr.write(`wrote ${redact(file)}\n`);
}
