// `snapclone orphans`: every object that has a record of this package, beside what the state holds. `--remove` deletes
// objects that are in no state, by the resource's own delete, and nothing else. `--import` prints what a program must say to
// keep them.

import type { AnyDefinition } from "../../provider/core/definition";
import { asSnapcloneError } from "../../provider/core/errors";
import { read, remove } from "../../provider/core/lifecycle";
import { objectsOf } from "../../provider/core/ownership";
import { formatDuration } from "../../provider/core/util/duration";
import { resources, typeOf } from "../../provider/resources";
import { ask } from "../ask";
import { defineCommand, EXIT, type ExitCode, type Values as OptionValues, UsageError } from "../command";
import { CliConnections, CONNECTION_OPTIONS, checkKind, connectionOf } from "../connections";
import { IMPORT_FILE_OPTION, showProgram } from "../importFile";
import type { Io } from "../io";
import { declareOrphans } from "../keep";
import type { Output, Style } from "../output";
import { printable } from "../printable";
import { type RecordedObject, type Survey, type SurveyOptions, survey } from "../records";
import { type CliState, readState, STATE_OPTION } from "../state";
import type { Status } from "../status";

const OPTIONS = {
  state: STATE_OPTION,
  ...CONNECTION_OPTIONS,
  connection: {
    type: "string",
    multiple: true,
    value: "NAME",
    help: "use only this connection. Default: default, and the connections that the state and the stack config name",
  },
  stack: { type: "string", value: "ORG/PROJECT/STACK", help: "the stack, if its state has no resources" },
  urn: {
    type: "string",
    multiple: true,
    value: "URN",
    help: "a resource that has left the state: a record on ViPR has room for the digest of a URN only",
  },
  "target-name": {
    type: "string",
    multiple: true,
    value: "NAME",
    help: "the `targetName` of such a LinkedTargetSet: ViPR lists targets by name only",
  },
  remove: {
    type: "string",
    multiple: true,
    value: "ID",
    help: "delete this object, which no state holds",
  },
  import: {
    type: "string",
    multiple: true,
    value: "ID",
    help: "print the code that imports this object, which no state holds",
  },
  file: IMPORT_FILE_OPTION,
  yes: { type: "boolean", short: "y", help: "delete without asking" },
} as const;

export const orphans = defineCommand({
  name: "orphans",
  summary: "compare the objects that this package made with a state, and delete those that no state holds",
  options: OPTIONS,
  notes: `Without --remove, the command changes nothing. --remove and --import accept only objects that it lists as "in no state".

  pulumi stack export | snapclone orphans --state -

Guide: docs/command.md`,
  async run(io, { values, output }) {
    checkKind(values.kind);
    checkOptions(values);
    if (values.state === "-" && values["stack-config"] === "-") {
      throw new UsageError("only one of --state and --stack-config can be read from stdin");
    }
    const state = values.state === undefined ? undefined : await readState(io, values.state);
    const connections = await CliConnections.read(io, values, (text) => output.note(text));
    try {
      const options = surveyOptions(values, state, connections);
      const found = await survey(connections, options);
      const { remove: unwanted = [], import: kept = [] } = values;
      if (unwanted.length > 0)
        return await removeAll(io, output, connections, options, found, unwanted, values.yes === true);
      if (state !== undefined && kept.length > 0)
        return await keepAll(io, output, connections, state, found, kept, values);
      show(output, found, state !== undefined);
      return exitCode(found);
    } finally {
      await connections.close();
    }
  },
});

function checkOptions({ remove: unwanted, import: kept, file, state }: Values): void {
  const [option] = unwanted ? ["--remove"] : kept ? ["--import"] : [];
  if (option !== undefined && state === undefined) {
    throw new UsageError(`${option} needs --state: only the state says what it does not hold`);
  }
  if (unwanted && kept) throw new UsageError("--remove and --import are two commands");
  if (file !== undefined && !kept) throw new UsageError("--file needs --import");
}

type Values = OptionValues<typeof OPTIONS>;

function surveyOptions(values: Values, state: CliState | undefined, connections: CliConnections): SurveyOptions {
  const used = (state?.resources ?? []).map(({ inputs }) => connectionOf(inputs));
  return {
    state,
    names: values.connection ?? [...new Set(["default", ...connections.configured, ...used])],
    kind: values.kind,
    stack: stackName(values.stack),
    urns: values.urn ?? [],
    targetNames: values["target-name"] ?? [],
  };
}

function stackName(text: string | undefined): SurveyOptions["stack"] {
  if (text === undefined) return undefined;
  const [organization, project, stack, ...rest] = text.split("/");
  if (!organization || !project || !stack || rest.length > 0) {
    throw new UsageError(
      `--stack is like organization/project/stack, not "${text}" (\`pulumi stack ls --fully-qualify-stack-names\`)`,
    );
  }
  return { organization, project, stack };
}

function exitCode({ objects, failures }: Survey): ExitCode {
  if (failures.length > 0) return EXIT.failed;
  return objects.some(({ status }) => status === "in no state" || status === "gone") ? EXIT.found : EXIT.ok;
}

// --- the list

const STYLES: Partial<Record<Status, Style>> = {
  recorded: "green",
  "to be deleted": "dim",
  pending: "yellow",
  "in no state": "red",
  gone: "red",
  "another stack's": "dim",
  "copied record": "dim",
};

const ORDER: readonly Status[] = [
  "in no state",
  "gone",
  "pending",
  "newer than the state",
  "unknown stack",
  "not compared",
  "recorded",
  "to be deleted",
  "another stack's",
  "copied record",
];

function show(output: Output, { objects, failures, asked, doubt }: Survey, isCompared: boolean): void {
  const sorted = [...objects].sort(
    (a, b) => ORDER.indexOf(a.status) - ORDER.indexOf(b.status) || (a.createdAt ?? "").localeCompare(b.createdAt ?? ""),
  );
  output.result({ asked, objects: sorted.map(jsonOf), failures, ...(doubt === undefined ? {} : { doubt }) });
  output.line(asked.length === 0 ? "No connection is set up." : `Looked at ${asked.join(", ")}.`);
  if (doubt !== undefined) output.note(`warning: what is this stack's is not sure: ${doubt}`);
  if (sorted.length > 0) output.line();
  output.table(
    sorted.map(({ status, resource, id, label, ageMs, owner }) => [
      STYLES[status] ? output.style(STYLES[status], status) : status,
      typeOf(resource),
      id,
      label ? `"${label}"` : "-",
      ageMs === undefined ? "-" : `${formatDuration(ageMs)} ago`,
      owner,
    ]),
  );
  output.line();
  output.line(summaryOf(sorted, isCompared));
  for (const { kind, connection, resource, message } of failures) {
    const what = resource === undefined ? "" : ` ${typeOf(resource)}`;
    output.note(`error: ${kind} "${connection}"${what} was not looked at: ${message}`);
  }
}

function jsonOf({ object: _, ageMs: __, resource, ...rest }: RecordedObject) {
  return { type: typeOf(resource), ...rest };
}

function summaryOf(objects: readonly RecordedObject[], isCompared: boolean): string {
  const counts = ORDER.flatMap((status) => {
    const count = objects.filter((one) => one.status === status).length;
    return count === 0 ? [] : [`${count} ${status}`];
  });
  const text = counts.length === 0 ? "No object has a record." : `${counts.join(", ")}.`;
  return isCompared ? text : `${text} Compare with a state: pulumi stack export | snapclone orphans --state -`;
}

// --- keeping

async function keepAll(
  io: Io,
  output: Output,
  connections: CliConnections,
  state: CliState,
  found: Survey,
  wanted: readonly string[],
  { file, urn: urns = [] }: Values,
): Promise<ExitCode> {
  const shell = file === undefined ? "dynamic" : "native";
  const warn = (text: string) => output.note(printable(`warning: ${text}`));
  const kept = await declareOrphans(connections, choose(found, wanted, "import"), { state, urns, shell, warn });
  output.result({ imports: kept, program: await showProgram(io, output, kept, file) });
  return EXIT.ok;
}

// --- removing

async function removeAll(
  io: Io,
  output: Output,
  connections: CliConnections,
  options: SurveyOptions,
  found: Survey,
  wanted: readonly string[],
  isAgreed: boolean,
): Promise<ExitCode> {
  const chosen = choose(found, wanted, "remove");
  for (const { resource, id, label, createdAt, owner } of chosen) {
    const what = `${typeOf(resource)} ${id}${label ? ` "${label}"` : ""}`;
    output.note(printable(`will delete ${what}, made ${createdAt ?? "?"}, for ${owner}`));
  }
  if (!isAgreed && !(await ask(io, `Delete ${chosen.length === 1 ? "it" : `these ${chosen.length}`}?`, "delete"))) {
    output.note("Nothing was changed.");
    return EXIT.found;
  }
  // Somebody may have changed a record while the question stood.
  const fresh = choose(await survey(connections, options), wanted, "remove");
  const results: { id: string; removed: boolean; message?: string }[] = [];
  for (const one of fresh) {
    try {
      await removeOne(connections, one);
      results.push({ id: one.id, removed: true });
      output.line(`deleted ${typeOf(one.resource)} ${one.id}`);
    } catch (error) {
      const { message } = asSnapcloneError(error, `remove ${one.id}`);
      results.push({ id: one.id, removed: false, message });
      output.note(`error: ${message}`);
    }
  }
  output.result({ removed: results });
  return results.every(({ removed }) => removed) ? EXIT.ok : EXIT.failed;
}

/** The objects of these ids. Throws, before anything is done, if one may not be removed or imported. */
function choose(
  { objects, doubt, failures }: Survey,
  wanted: readonly string[],
  purpose: "remove" | "import",
): RecordedObject[] {
  const [done, Done] = purpose === "remove" ? ["removed", "Nothing was removed"] : ["imported", "Nothing was written"];
  if (doubt !== undefined)
    throw new UsageError(`nothing is ${done}, because what is this stack's is not sure: ${doubt}`);
  const survey = { objects, failures };
  return [...new Set(wanted)].map((id) => {
    const refuse = (why: string) => new UsageError(`${id} is not ${done}: ${why}. ${Done}`);
    const all = objects.filter((object) => object.id === id);
    const [one] = all;
    if (one === undefined || all.length > 1) {
      const reason = failures[0] ? ` (${failures[0].message})` : "";
      throw new UsageError(`${id} is not in the list${reason}. ${Done}`);
    }
    if (one.status !== "in no state") throw refuse(`it is ${one.status}${ADVICE[one.status] ?? ""}`);
    if (purpose === "remove") refuseRemoval(one, survey, refuse);
    return one;
  });
}

/** What to do with an object that is neither removed nor imported here. */
const ADVICE: Partial<Record<Status, string>> = {
  pending: ", and the next `pulumi up` adopts it",
  "newer than the state": ": export the state again, after a `pulumi refresh` if no run has saved it since",
  "unknown stack": ": give --urn, and see docs/ownership.md",
};

function refuseRemoval(
  one: RecordedObject,
  { objects, failures }: Pick<Survey, "objects" | "failures">,
  refuse: (why: string) => UsageError,
): void {
  const definition: AnyDefinition = resources[one.resource]();
  if (definition.deleteNeedsState !== undefined) throw refuse(definition.deleteNeedsState);
  const ids = idsOf(one);
  const others = objects.filter((other) => other !== one);
  const overlay = others.find((other) => ids.some((id) => other.id.endsWith(`/${id}`)));
  if (overlay) throw refuse(`the ${typeOf(overlay.resource)} ${overlay.id} (${overlay.status}) is on it`);
  // An object may have the records of two resources.
  const holder = others.find((other) => other.status !== "in no state" && idsOf(other).some((id) => ids.includes(id)));
  if (holder) throw refuse(`the ${typeOf(holder.resource)} ${holder.id} (${holder.status}) has an object of it`);
  const { kind } = definition.connection;
  const unseen = failures.find((failure) => failure.kind === kind && failure.connection === one.connection);
  if (unseen) throw refuse(`what else is on it is not known: ${unseen.message}`);
}

/** A set's objects are what its `delete` removes. */
function idsOf({ id, object }: RecordedObject): string[] {
  return object === undefined ? [id] : objectsOf(object);
}

/** By the resource's own delete, which waits until the object is gone, and believes no absence that proves nothing. */
async function removeOne({ run }: CliConnections, { resource, id, connection, object }: RecordedObject): Promise<void> {
  const definition: AnyDefinition = resources[resource]();
  const { state = {}, task = {}, createdAt } = object ?? {};
  const isBegun = Object.keys(task).length > 0;
  // As for a create whose answer was lost: a delete first waits for work that is still making the object.
  const pending = isBegun ? { pending: { operation: "create", task, since: createdAt ?? "" } } : {};
  const known = { ...state, connection };
  const seen = isBegun ? {} : ((await read(definition, run, id, known)).props ?? {});
  await remove(definition, run, id, { ...known, ...seen, ...pending });
}
