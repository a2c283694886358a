// docs/faults.md, made from the table.

import { cellOf, FAULTS, type FaultName } from "./faults";
import { RESOURCES } from "./resources/index";
import type { Expectation, Operation, ResourceUnderTest } from "./resourceUnderTest";

const HEAD = `<!-- Made from test/faults. Don't edit; run: UPDATE=1 npx jest test/faults/report -->

# What happens when things go wrong

Each cell below is a test (\`test/faults/table.test.ts\`): the operation runs over real sockets against the [emulator](emulator.md) while one kind of its requests meets the fault, and all of the following must hold.

Besides what the cell says, in every cell:

- it ends within its time limits;
- the error is one of the provider's own, names what was being done, and contains no password and no token; nothing undefined gets into the state;
- no request and no token reaches another origin;
- **the same command again, when the fault is gone, ends with exactly what the program asks for (after a delete: nothing).**

A cell reads: outcome (kind of error) · objects on the backend afterwards · requests that make something and reached the service.

| outcome  |                                                                                                                            |
| -------- | -------------------------------------------------------------------------------------------------------------------------- |
| ok       | it did what it should                                                                                                      |
| gone     | a refresh takes the resource out of the state: the backend itself says that it does not exist                              |
| fails    | the state stays as it was                                                                                                  |
| recorded | something exists on the backend, and the state knows it; with ⏳, the next \`pulumi up\` goes on waiting for accepted work |

| kind of error | |
| --- | --- |
| unauthorized, forbidden, notFound, refused | the service's answer; a 404 that is not the service's own is *refused*, never *notFound* |
| transient | not carried out, or only a question: asked again up to three times, in a wait until its deadline |
| ambiguous | a creating request without a usable answer: never sent again; its outcome is looked for by the mark that it carried |
| malformed | an answer that is not what the API promises |
| config | the connection is wrong |
| deadline, failed | the wait ended without success: by our limit, by the backend's word |

A fault lasts as long as the operation, where it doesn't say "once".
`;

const TITLES: Record<Operation, string> = {
  create: "Create (and login)",
  adopt: "Create, after an interrupted run",
  read: "Read (refresh, import)",
  update: "Update",
  delete: "Delete",
  "look up": "Lookup",
};

const NAMES = Object.keys(FAULTS) as FaultName[];

export function report(): string {
  return [HEAD, ...RESOURCES.map(chapter)].join("\n");
}

function chapter(subject: ResourceUnderTest): string {
  const operations = (Object.keys(TITLES) as Operation[]).filter((operation) =>
    Object.values(subject.places).some(({ of }) => of === operation),
  );
  const head = `## ${subject.title}\n\nCounted are ${subject.objects} · ${subject.makings}.\n`;
  return [head, ...operations.map((operation) => section(subject, operation)), said(subject)].join("\n");
}

function section(subject: ResourceUnderTest, operation: Operation): string {
  const places = Object.entries(subject.places).filter(([, { of }]) => of === operation);
  const head = ["fault at", ...places.map(([, { shown }]) => shown)];
  const rows = NAMES.map((fault) => [fault, ...places.map(([place]) => shown(cellOf(subject, fault, place)))]);
  return `### ${TITLES[operation]}\n\n${markdownTable([head, ...rows])}`;
}

function shown({ outcome, kind, objects, makings, pending }: Expectation): string {
  const what = `${outcome}${kind === undefined ? "" : ` (${kind})`}${pending ? " ⏳" : ""}`;
  return `${outcome === "ok" ? what : `**${what}**`} · ${objects} · ${makings}`;
}

function said(subject: ResourceUnderTest): string {
  const rows = NAMES.flatMap((fault) =>
    patterns(subject, fault).map(([source, places], index) => [index ? "" : fault, places, source]),
  );
  return `### What the message must match

Regular expressions; \`\\n\` is where the remedy begins.

${markdownTable([["fault", "at", "the message"], ...rows])}`;
}

/** Each pattern once, with the places where it holds. */
function patterns(subject: ResourceUnderTest, fault: FaultName): [string, string][] {
  const byPattern = new Map<string, string[]>();
  for (const place of Object.keys(subject.places)) {
    const source = cellOf(subject, fault, place).says?.source;
    if (source !== undefined) byPattern.set(source, [...(byPattern.get(source) ?? []), place]);
  }
  return [...byPattern].map(([source, places]) => [`\`${source}\``, places.join(", ")]);
}

function markdownTable([head = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return `${[line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n")}\n`;
}
