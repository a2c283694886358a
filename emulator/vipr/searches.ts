// The searches of ViPR: what may be asked together, who finds what, and the words of a refusal (docs/wire/vipr.md#searches).
// An inactive object is in no index, so no search finds it.

import type { Context } from "./context";
import { insufficientPermissions, ViprError } from "./errors";
import type { ViprModel } from "./model";
import type { Tagged } from "./rows";
import { type Answer, linkTo, PROJECT, TENANT } from "./views";

export interface Searched {
  readonly id: string;
  readonly name: string;
  readonly tags: ReadonlySet<string>;
}

/** How one kind of object is searched. */
export interface Search {
  /** The class's short name: messages have it. */
  readonly type: string;
  readonly path: string;
  /** What is not inactive. */
  active(model: ViprModel): Searched[];
  /** The project's index: another name than that of the object. Undefined: the objects belong to no project. */
  readonly inProject?: { name(model: ViprModel, id: string): string; named?(model: ViprModel): Searched[] };
  /** For parameters other than `name`, `tag` and `project`. */
  other?(context: Context, parameters: Parameters, className: string): Hit[];
}

export type Parameters = ReadonlyMap<string, readonly string[]>;

interface Hit {
  readonly id: string;
  readonly match?: string;
}

const SHORTEST = 2;

/** TaggedResource.java:346-445. */
export function search(context: Context, what: Search): Answer {
  const className = `com.emc.storageos.db.client.model.${what.type}`;
  const parameters = parametersOf(context.request.query);
  const [name, tag, project] = ["name", "tag", "project"].map((key) => parameters.get(key)?.[0]);
  checkText("name", name, "project", parameters, className);
  checkText("tag", tag, "tenant", parameters, className);
  if (project !== undefined) checkProject(context, project, what, parameters, className);
  const isSeen = context.user.role !== "none";
  const found = () => {
    if (name !== undefined && project === undefined) return byName(what.active(context.model), name);
    if (tag !== undefined) return byTag(context, what, tag, parameters.get("tenant")?.[0]);
    if (project !== undefined) return byProject(context, what, project, name);
    if (what.other !== undefined) return what.other(context, parameters, className);
    throw new ViprError(400, 1008, `Unknown parameter for search: ${javaText(parameters)}`);
  };
  const hits = found();
  const resource = isSeen ? hits.map(({ id, ...match }) => ({ id, ...match, link: linkTo(id, what.path).link })) : [];
  return { status: 200, root: "results", body: { resource } };
}

/** By WWN (BlockService.java:4732-4790). `match` is left out there: that index has no name. */
export function volumesByWwn({ model }: Context, parameters: Parameters, className: string): Hit[] {
  // ViPR writes a Java array as text, which shows its address.
  const list = "[Ljava.lang.String;@5d3411d";
  const wanted = parameters.get("wwn");
  if (wanted === undefined) {
    const message = `Parameter for ${className} search is incorrect, at least one of tag, name, project or ${list} is required`;
    throw new ViprError(400, 1005, message);
  }
  const odd = [...parameters.keys()].findLast((key) => key !== "wwn");
  if (odd !== undefined) {
    const message = `${list} parameter for ${className} search could not be combined with any other parameter but found ${odd}`;
    throw new ViprError(400, 1008, message);
  }
  return [...model.volumes.values()]
    .filter(({ inactive, wwn }) => !inactive && wanted.every((one) => wwn === one.toUpperCase()))
    .map(({ id }) => ({ id }));
}

/** By resource or by state; whatever else is asked finds nothing (TaskService.java:496-530). */
export function tasksBy({ model }: Context, parameters: Parameters): Hit[] {
  const [resource, state, tenant] = ["resource", "state", "tenant"].map((key) => parameters.get(key)?.[0]);
  const tasks = [...model.tasks.values()];
  if (resource !== undefined) return tasks.filter((task) => task.resource.id === resource).map(({ id }) => ({ id }));
  if (state === undefined || (tenant !== undefined && tenant !== TENANT)) return [];
  return tasks.filter((task) => task.state === state).map(({ id }) => ({ id }));
}

export function searched({ id, tags }: Tagged & { id: string }, name: string): Searched {
  return { id, name, tags };
}

function byName(rows: readonly Searched[], name: string): Hit[] {
  return rows.filter((row) => begins(row.name, name)).map((row) => ({ id: row.id, match: row.name }));
}

/** `match` is the tag. All tags are the tenant's own (ScopedLabelDbIndex). */
function byTag({ model }: Context, what: Search, tag: string, tenant: string | undefined): Hit[] {
  if (what.inProject !== undefined && tenant !== undefined && tenant !== TENANT) return [];
  return what
    .active(model)
    .flatMap(({ id, tags }) => [...tags].filter((one) => begins(one, tag)).map((match) => ({ id, match })));
}

/** The project's index has a name of its own for each object, and `name` is the beginning of that name. */
function byProject({ model }: Context, what: Search, project: string, name: string | undefined): Hit[] {
  const { inProject } = what;
  if (inProject === undefined || project !== PROJECT) return [];
  const rows = name === undefined ? what.active(model) : (inProject.named?.(model) ?? what.active(model));
  return byName(
    rows.map((row) => ({ ...row, name: inProject.name(model, row.id) })),
    name ?? "",
  );
}

function checkText(
  key: string,
  value: string | undefined,
  partner: string,
  parameters: Parameters,
  className: string,
): void {
  if (value === undefined) return;
  if (value.length < SHORTEST) {
    const message = `${key} parameter ${value} for ${className} search must be at least ${SHORTEST} characters`;
    throw new ViprError(400, 1008, message);
  }
  checkCombination(key, partner, parameters, className);
}

function checkProject(
  { user }: Context,
  project: string,
  { inProject }: Search,
  parameters: Parameters,
  className: string,
): void {
  checkCombination("project", "name", parameters, className);
  const at = project.search(/[\s<>"{}|\\^`]/);
  if (at >= 0) throw new ViprError(400, 1008, `Illegal character in opaque part at index ${at}: ${project}`);
  if (inProject === undefined) {
    throw new ViprError(400, 1008, `Project parameter is not supported for ${className} search`);
  }
  if (user.role === "none") {
    const { name, tenant = TENANT } = user;
    // ViPR's words contain the user as an object.
    throw insufficientPermissions(` user: ${name}; tenantId: ${tenant}; roles: []; groups: []; attributes: []`);
  }
}

function checkCombination(key: string, partner: string, parameters: Parameters, className: string): void {
  if ([...parameters.keys()].every((other) => other === key || other === partner)) return;
  const message = `${key} parameter for ${className} search could only be combined with ${partner} parameter`;
  throw new ViprError(400, 1013, message);
}

function begins(text: string, beginning: string): boolean {
  return text.toLowerCase().startsWith(beginning.toLowerCase());
}

function parametersOf(query: URLSearchParams): Parameters {
  const keys = new Set([...query.keys()].filter((key) => key !== "using-cookies"));
  return new Map([...keys].map((key) => [key, query.getAll(key)]));
}

/** As Java writes a map of lists. */
function javaText(parameters: Parameters): string {
  return `{${[...parameters].map(([key, values]) => `${key}=[${values.join(", ")}]`).join(", ")}}`;
}
