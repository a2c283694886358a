// `snapclone import`: the lines of a program for an object that exists. `pulumi up` with these lines takes the object over
// (docs/import.md). Nothing is changed here.

import type { AnyDefinition, Importable } from "../../provider/core/definition";
import { sameAsAbsent } from "../../provider/core/diff";
import { asSnapcloneError, SnapcloneError } from "../../provider/core/errors";
import { resourceNames, resources, typeOf } from "../../provider/resources";
import { defineCommand, EXIT, UsageError } from "../command";
import { CliConnections, CONNECTION_OPTIONS } from "../connections";

const NOBODY = { stack: "", owner: "", inputs: "" };
const TIMEOUT_MS = 60_000;

export const importCommand = defineCommand({
  name: "import",
  summary: "print the program's lines that take an existing object over",
  positionals: "TYPE NAME ID",
  maxPositionals: 3,
  options: {
    "stack-config": CONNECTION_OPTIONS["stack-config"],
    connection: { type: "string", value: "NAME", help: "the connection that reaches the object. Default: default" },
    inputs: {
      type: "string",
      value: "JSON",
      help: 'inputs that the backend does not show, such as {"volumes": […]} of a VolumeClone',
    },
  },
  notes: `TYPE is the class (Snapshot), NAME the resource's name in the program, ID as in docs/import.md. Nothing is changed:
\`pulumi up\` with the printed lines takes the object over.

  snapclone import Snapshot nightly 7c0e1d52-…

Guide: docs/command.md`,
  async run(io, { values, positionals, output }) {
    const [type = "", name, id] = positionals;
    if (name === undefined || id === undefined) throw new UsageError("TYPE, NAME and ID are needed");
    const definition = definitionOf(type);
    const given = parseInputs(definition, values.inputs);
    const connections = await CliConnections.read(io, values, (text) => output.note(text));
    try {
      const client = connections.run.connections.open(definition.connection, values.connection);
      const warn = (text: string) => output.note(`warning: ${text}`);
      const found = await find(connections, definition, client, id, given, warn);
      const inputs = {
        ...shownInputs(definition, { ...found.state, ...given }),
        ...connectionInput(values.connection),
      };
      const record = found.parts.find(({ owner }) => owner !== "");
      if (record) {
        output.note(
          `warning: ${record.object} bears the record of ${record.owner}${record.stack ? ` (stack digest ${record.stack})` : ""}: \`pulumi up\` refuses to take it over as long as it does (docs/import.md#what-is-refused)`,
        );
      }
      const program = programLines(type, name, inputs, id);
      output.result({ type, name, id, inputs, program, ...(record ? { recordedFor: record.owner } : {}) });
      output.line(program);
      return EXIT.ok;
    } catch (error) {
      throw error instanceof UsageError ? error : asSnapcloneError(error, `import ${definition.displayName} ${id}`);
    } finally {
      await connections.close();
    }
  },
});

function definitionOf(type: string): AnyDefinition {
  const name = resourceNames.find((one) => typeOf(one) === type);
  if (name === undefined) throw new UsageError(`TYPE is one of ${resourceNames.map(typeOf).join(", ")}, not "${type}"`);
  return resources[name]();
}

function parseInputs(definition: AnyDefinition, text: string | undefined): Record<string, unknown> {
  if (text === undefined) return {};
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    // Handled below.
  }
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new UsageError("--inputs is no JSON object");
  }
  return Object.fromEntries(
    Object.entries(given).map(([key, value]) => {
      const rule = Object.hasOwn(definition.inputs, key) ? definition.inputs[key] : undefined;
      const parsed = rule?.schema.safeParse(value);
      if (parsed?.success) return [key, parsed.data];
      throw new UsageError(`--inputs: ${key} ${parsed?.error.issues[0]?.message ?? "is no input of this type"}`);
    }),
  );
}

async function find(
  { run }: CliConnections,
  definition: AnyDefinition,
  client: unknown,
  id: string,
  given: Record<string, unknown>,
  warn: (text: string) => void,
): Promise<Importable> {
  const { import: importer } = definition;
  if (importer === undefined || "refusal" in importer) {
    const message = importer?.refusal ?? `a ${definition.displayName} can't be imported`;
    throw new SnapcloneError({ kind: "input", message });
  }
  const parsed = importer.id.safeParse(id);
  if (!parsed.success) throw new UsageError(`ID ${parsed.error.issues[0]?.message}`);
  for (const input of importer.needs ?? []) {
    if (given[input] === undefined)
      throw new UsageError(`--inputs must have ${input}: the backend does not show it reliably`);
  }
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const silent = { progress: () => {}, info: () => {}, accepted: () => {}, done: () => {}, stack: "" };
  const warnForbidden = (what: string, error: SnapcloneError) => warn(`${what}: ${error.message}`);
  const context = { ...silent, warn, warnForbidden, clock: run.clock, deadline: run.clock.now() + TIMEOUT_MS, signal };
  const found = await importer.find(client, parsed.data, NOBODY, given, context);
  if (found !== undefined) return found;
  throw new SnapcloneError({
    kind: "notFound",
    message: `there is no ${definition.displayName} ${id}, or this login may not see it`,
    hint: "Correct the id, or name the connection (--connection, --stack-config).",
  });
}

/** The inputs as they stand, without those that the program may leave out. */
function shownInputs(definition: AnyDefinition, state: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(definition.inputs).flatMap(([key, rule]) => {
      const value = state[key];
      const isEmpty = typeof value === "object" && value !== null && Object.keys(value).length === 0;
      return value === null || isEmpty || sameAsAbsent(rule, value) ? [] : [[key, value]];
    }),
  );
}

function connectionInput(connection: string | undefined): Record<string, string> {
  return connection === undefined || connection === "default" ? {} : { connection };
}

function programLines(type: string, name: string, inputs: Record<string, unknown>, id: string): string {
  const lines = Object.entries(inputs).map(([key, value]) => `  ${key}: ${JSON.stringify(value)},`);
  return [
    `import { ${type} } from "pulumi-snapclone";`,
    "",
    `new ${type}(${JSON.stringify(name)}, {`,
    ...lines,
    `}, { import: ${JSON.stringify(id)} });`,
  ].join("\n");
}
