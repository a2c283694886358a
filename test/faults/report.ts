// docs/faults.md, made from the table.

import { expectationAt, FAULTS, type FaultName } from "./faults";
import { CHAPTERS } from "./resources/index";
import type { Expectation, Operation, ResourceUnderTest } from "./resourceUnderTest";

const HEAD = `<!-- Made from test/faults. Don't edit; run: UPDATE=1 npx jest test/faults/report -->

# What happens when things go wrong

Each cell below is a test (\`test/faults/table/\`): the operation runs over real sockets against the [emulator](emulator.md) while one kind of its requests meets the fault, and all of the following must hold.

Besides what the cell says, the following holds in every cell:

- it ends within its time limits;
- the error is one of the provider's own, names what was being done, and contains no password and no token; nothing undefined gets into the state;
- no request and no token reaches another origin;
- **the same command again, when the fault is gone, ends with exactly what the program asks for (after a delete: nothing).**

For each resource, all faults of one kind of request of each operation run through the [native provider](native.md), too: the
outcome, the message and the counts are the same. The kind of an error stays inside the provider.

A cell reads: outcome (kind of error) · objects on the backend afterwards · creating requests that reached the service.

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
| ambiguous | a creating request without a usable answer: never sent again; the provider looks for its outcome by the record that the request carried |
| malformed | an answer that is not what the API promises |
| config | the connection is wrong |
| deadline, failed | the wait ended without success: by our limit, by the backend's word |

A fault lasts as long as the operation, where it doesn't say "once".
`;

const TITLES: Record<Operation, string> = {
  create: "Create (and login)",
  adopt: "Create, after an interrupted run",
  import: "Import (the option `import`)",
  read: "Read (refresh, import)",
  update: "Update",
  delete: "Delete",
  "look up": "Lookup",
};

const NAMES = Object.keys(FAULTS) as FaultName[];

export function report(): string {
  return [HEAD, ...CHAPTERS.map(chapter)].join("\n");
}

function chapter(resource: ResourceUnderTest): string {
  const operations = (Object.keys(TITLES) as Operation[]).filter((operation) =>
    Object.values(resource.sites).some(({ of }) => of === operation),
  );
  const head = `## ${resource.title}\n\nCounted are ${resource.objects} · ${resource.creates}.\n`;
  return [head, ...operations.map((operation) => section(resource, operation)), messages(resource)].join("\n");
}

function section(resource: ResourceUnderTest, operation: Operation): string {
  const sites = Object.entries(resource.sites).filter(([, { of }]) => of === operation);
  const head = ["fault at", ...sites.map(([, { label }]) => label)];
  const rows = NAMES.map((fault) => [fault, ...sites.map(([site]) => shown(expectationAt(resource, fault, site)))]);
  return `### ${TITLES[operation]}\n\n${markdownTable([head, ...rows])}`;
}

function shown({ outcome, kind, objects, creates, pending }: Expectation): string {
  const what = `${outcome}${kind === undefined ? "" : ` (${kind})`}${pending ? " ⏳" : ""}`;
  return `${outcome === "ok" ? what : `**${what}**`} · ${objects} · ${creates}`;
}

function messages(resource: ResourceUnderTest): string {
  const rows = NAMES.flatMap((fault) =>
    patterns(resource, fault).map(([source, sites], index) => [index ? "" : fault, sites, source]),
  );
  return `### What the message must match

Regular expressions; \`\\n\` is where the advice begins.

${markdownTable([["fault", "at", "the message"], ...rows])}`;
}

/** Each pattern once, with the sites where it holds. */
function patterns(resource: ResourceUnderTest, fault: FaultName): [string, string][] {
  const byPattern = new Map<string, string[]>();
  for (const site of Object.keys(resource.sites)) {
    const source = expectationAt(resource, fault, site).message?.source;
    if (source !== undefined) byPattern.set(source, [...(byPattern.get(source) ?? []), site]);
  }
  return [...byPattern].map(([source, sites]) => [`\`${source}\``, sites.join(", ")]);
}

function markdownTable([head = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (expectations: readonly string[]) =>
    `| ${expectations.map((expectation) => expectation.replaceAll("|", "\\|")).join(" | ")} |`;
  return `${[line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n")}\n`;
}
