// The file of `pulumi import --file` (pkg/cmd/pulumi/operations/import.go of pulumi/pulumi, `importFile`). It names the types
// of the native provider: Pulumi reads what it imports, and to a dynamic resource it gives nothing to read with
// (docs/wire/pulumi-engine.md#read).

import { readFile, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { messageOf } from "../provider/core/errors";
import { isRecord } from "../provider/core/util/values";
import { nativeType } from "../provider/pulumi/urns";
import { version } from "../provider/version";
import { UsageError } from "./command";
import { type Declared, programLines } from "./importable";
import type { Io } from "./io";
import type { Output } from "./output";

/** For a command's options: `--file OUT`. */
export const IMPORT_FILE_OPTION = {
  type: "string",
  value: "OUT",
  help: "write a file for `pulumi import --file`, or add to one; for the native provider (docs/native.md)",
} as const;

/** Prints the program that declares the objects, and returns it. With `file`, writes the import file first. */
export async function showProgram(
  io: Pick<Io, "cwd">,
  output: Output,
  objects: Parameters<typeof programLines>[0],
  file: string | undefined,
): Promise<string> {
  const program = programLines(objects, file === undefined ? "dynamic" : "native");
  if (file !== undefined) {
    await addToImportFile(io, file, objects);
    output.note(noteOfImportFile(file));
  }
  for (const line of program.split("\n")) output.line(line);
  return program;
}

/** What to do with the file, and why it is not for the dynamic classes. */
function noteOfImportFile(file: string): string {
  return `wrote ${file}: run \`pulumi import --file ${file} --generate-code=false\`
The file is for the native provider (docs/native.md). A dynamic class has the option \`import\` instead: leave --file out.`;
}

interface ImportFile extends Record<string, unknown> {
  resources: Record<string, unknown>[];
}

/**
 * Adds the objects to the file, or makes the file. An entry of the same type and name is replaced, so the same command may
 * be given again. Throws a UsageError, and writes nothing, if the file is no import file.
 */
async function addToImportFile({ cwd }: Pick<Io, "cwd">, name: string, objects: readonly Declared[]) {
  const path = resolve(cwd, name);
  const { resources, ...rest } = await readImportFile(path, name);
  const entries = objects.map(entryOf);
  const isReplaced = (one: Record<string, unknown>) =>
    entries.some((entry) => entry.type === one.type && entry.name === one.name);
  const file: ImportFile = { ...rest, resources: [...resources.filter((one) => !isReplaced(one)), ...entries] };
  try {
    await writeFile(path, `${JSON.stringify(file, undefined, 2)}\n`);
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}

/** The provider reads the connection's name from the beginning of the id: an import has no other input. */
function entryOf({ type, name, id, inputs }: Declared) {
  const { connection } = inputs;
  return {
    type: nativeType(type),
    name,
    id: typeof connection === "string" ? `${connection}/${id}` : id,
    version,
  };
}

async function readImportFile(path: string, name: string): Promise<ImportFile> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { resources: [] };
    throw new UsageError(messageOf(error));
  }
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch {
    // Handled below.
  }
  const resources = isRecord(file) ? (file.resources ?? []) : undefined;
  if (isRecord(file) && Array.isArray(resources) && resources.every(isRecord)) return { ...file, resources };
  throw new UsageError(`${name} exists and is not a file of \`pulumi import --file\`. It was not changed`);
}
