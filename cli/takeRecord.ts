// `snapclone import --take`: removes the ownership records that another resource has on an object, after showing whose they
// are and asking. Nothing else changes: the owner's state holds the object until somebody removes it there.

import type { AnyDefinition, Importable, RecordedPart } from "../provider/core/definition";
import { SnapcloneError } from "../provider/core/errors";
import { importerOf, recordedParts } from "../provider/core/import";
import { ask } from "./ask";
import type { Io } from "./io";
import type { Output } from "./output";
import { printable } from "./printable";

interface Taking {
  io: Io;
  output: Output;
  definition: AnyDefinition;
  client: unknown;
  /** Reads the object anew. */
  find(): Promise<Importable>;
  /** `--yes`. */
  isAgreed: boolean;
}

/** Returns the object without its records; undefined if the user has said no. */
export async function takeRecord(taking: Taking, found: Importable): Promise<Importable | undefined> {
  const { io, output, definition, client, find, isAgreed } = taking;
  const recorded = recordedParts(found);
  if (recorded.length === 0) {
    output.note("Nothing has a record: --take has nothing to do.");
    return found;
  }
  refuseUnderWay(recorded);
  for (const part of recorded) output.note(printable(`will remove the record of ${part.object}: ${ownerText(part)}`));
  output.note(
    "Whoever has it in a state goes on managing it, and may delete it: first remove it there (`pulumi state delete`).",
  );
  if (!isAgreed && !(await ask(io, `Remove ${recorded.length === 1 ? "the record" : "the records"}?`, "remove it"))) {
    output.note("Nothing was changed.");
    return undefined;
  }
  // Somebody may have changed a record, or begun something, while the question stood.
  const present = recordedParts(await find());
  refuseUnderWay(present);
  if (fingerprint(present) !== fingerprint(recorded)) {
    throw refused(
      "the records have changed since they were shown",
      "Run the command again, and read whose they are now.",
    );
  }
  await importerOf(definition).removeRecords(client, present);
  const after = await find();
  const left = recordedParts(after);
  if (left.length > 0) {
    throw new SnapcloneError({
      kind: "failed",
      message: `the backend still shows the record of ${left.map(({ object }) => object).join(", ")}`,
      hint: "Run the command again.",
    });
  }
  for (const { object } of recorded) output.note(printable(`removed the record of ${object}`));
  return after;
}

function refuseUnderWay(parts: readonly RecordedPart[]): void {
  const busy = parts.flatMap(({ object, underWay }) => (underWay === undefined ? [] : [{ object, ...underWay }]));
  if (busy.length === 0) return;
  const textOf = (key: "work" | "object" | "forget") => [...new Set(busy.map((one) => one[key]))].join(", ");
  throw refused(
    `${textOf("work")} is under way for the owner of ${textOf("object")}`,
    `Wait until the owner's \`pulumi up\` has ended. If its run was killed, run it again: that ends the work. If that program does not ask for the work any more, and nothing works on the object, remove the note: ${textOf("forget")}`,
  );
}

function ownerText({ owner, stack, holder, id, attempt }: RecordedPart): string {
  const stackText = stack ? `of the stack with the digest ${stack}` : "of a stack that the record does not tell";
  const as = holder === id ? "" : `, recorded as ${holder}`;
  return `owner ${owner || "unknown"} ${stackText}${as}${attempt ? `, made by the attempt ${attempt}` : ""}; no operation is under way`;
}

function fingerprint(parts: readonly RecordedPart[]): string {
  return JSON.stringify(
    parts.map(({ id, holder, stack, owner, attempt, written }) => [
      id,
      holder,
      stack,
      owner,
      attempt,
      [...written].sort(),
    ]),
  );
}

function refused(message: string, hint: string): SnapcloneError {
  return new SnapcloneError({ kind: "refused", message: `${message}; nothing was changed`, hint });
}
