// `snapclone import`: the lines of a program for an object that exists. `pulumi up` with these lines takes the object over
// (docs/import.md). With `--file`, `pulumi import --file` does. Nothing is changed here but the record that `--take` removes.

import type { AnyDefinition } from "../../provider/core/definition";
import { asSnapcloneError } from "../../provider/core/errors";
import { recordedParts } from "../../provider/core/import";
import { resourceNames, resources, typeOf } from "../../provider/resources";
import { defineCommand, EXIT, UsageError } from "../command";
import { CliConnections, CONNECTION_OPTIONS } from "../connections";
import { findImportable, shownInputs } from "../importable";
import { IMPORT_FILE_OPTION, showProgram } from "../importFile";
import { printable } from "../printable";
import { takeRecord } from "../takeRecord";

export const importCommand = defineCommand({
  name: "import",
  summary: "print the code that imports an existing object",
  positionals: "TYPE NAME ID",
  maxPositionals: 3,
  options: {
    "stack-config": CONNECTION_OPTIONS["stack-config"],
    connection: { type: "string", value: "NAME", help: "the connection to use. Default: default" },
    inputs: {
      type: "string",
      value: "JSON",
      help: 'inputs that the backend does not store, such as {"volumes": […]} of a VolumeClone',
    },
    file: IMPORT_FILE_OPTION,
    take: { type: "boolean", help: "remove the record of another resource from the object, after asking" },
    yes: { type: "boolean", short: "y", help: "with --take: remove the record without asking" },
  },
  notes: `TYPE is the class (Snapshot), NAME the resource's name in the program. docs/import.md describes the ID of each class.
Without --take, the command changes nothing: \`pulumi up\` with the printed code imports the object. With --file,
\`pulumi import --file OUT\` imports it, and the code is for the native provider.

  snapclone import Snapshot nightly 7c0e1d52-…

Guide: docs/command.md`,
  async run(io, { values, positionals, output }) {
    const [type = "", name, id] = positionals;
    if (name === undefined || id === undefined) throw new UsageError("TYPE, NAME and ID are needed");
    if (values.yes && !values.take) throw new UsageError("--yes goes with --take");
    const definition = definitionOf(type);
    const given = parseInputs(definition, values.inputs);
    const connections = await CliConnections.read(io, values, (text) => output.note(text));
    try {
      const wanted = { definition, connection: values.connection, id, given };
      const warned = new Set<string>();
      const warn = (text: string) => {
        if (!warned.has(text)) output.note(`warning: ${text}`);
        warned.add(text);
      };
      const find = () => findImportable(connections, wanted, warn);
      let found = await find();
      if (values.take) {
        const client = connections.run.connections.open(definition.connection, values.connection);
        const taken = await takeRecord({ io, output, definition, client, find, isAgreed: values.yes === true }, found);
        if (taken === undefined) return EXIT.found;
        found = taken;
      }
      const inputs = shownInputs(wanted, found);
      const [record] = recordedParts(found);
      if (record) {
        const command = values.file === undefined ? "pulumi up" : "pulumi import";
        const stack = record.stack ? ` (stack digest ${record.stack})` : "";
        const refusal = `\`${command}\` refuses to take it over as long as it does (docs/import.md#what-is-refused). --take removes the record`;
        output.note(printable(`warning: ${record.object} has the record of ${record.owner}${stack}: ${refusal}`));
      }
      const declared = { type, name, id, inputs };
      const program = await showProgram(io, output, [declared], values.file);
      output.result({ ...declared, program, ...(record ? { recordedFor: record.owner } : {}) });
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
    throw new UsageError("--inputs is not a JSON object");
  }
  return Object.fromEntries(
    Object.entries(given).map(([key, value]) => {
      const rule = Object.hasOwn(definition.inputs, key) ? definition.inputs[key] : undefined;
      const parsed = rule?.schema.safeParse(value);
      if (parsed?.success) return [key, parsed.data];
      throw new UsageError(`--inputs: ${key} ${parsed?.error.issues[0]?.message ?? "is not an input of this type"}`);
    }),
  );
}
