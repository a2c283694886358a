// What all of ViPR's objects have: searches, ids in bulk, tags, tasks (TaggedResource.java, TaskResourceService.java).

import type { Route } from "../core/http";
import { asArray, readBody, text } from "./body";
import type { Context, Handler } from "./context";
import { insufficientPermissions, ViprError } from "./errors";
import { find } from "./find";
import type { ViprModel } from "./model";
import type { Tagged } from "./rows";
import { type Search, search } from "./searches";
import { type Answer, taskView } from "./views";

const BULK_MOST = 4000;

/** One kind of object. */
export interface Kind<Row extends Tagged & { id: string }> extends Search {
  /** The beginning of the operations' names. */
  readonly name: string;
  /** The XML root of one object, and the name of a list of them. */
  readonly root: string;
  rows(model: ViprModel): ReadonlyMap<string, Row>;
  view(model: ViprModel, row: Row): Record<string, unknown>;
  /** False for tasks: whoever sees one may tag it (TaskService.java, assignTags). */
  readonly tagNeedsRights?: boolean;
}

/** Routes whose last segment could also be an id come first. */
export function sharedRoutes<Row extends Tagged & { id: string }>(kind: Kind<Row>): Route<Handler>[] {
  const { name, path } = kind;
  const at = (operation: string, method: string, rest: string, handler: Handler): Route<Handler> => ({
    operation: `${name}.${operation}`,
    method,
    path: `${path}${rest}`,
    handler,
  });
  const rowOf = (context: Context) => find(context, kind.rows(context.model));
  return [
    at("search", "GET", "/search", (context) => search(context, kind)),
    at("listIds", "GET", "/bulk", (context) => listIds(context, kind)),
    at("bulk", "POST", "/bulk", (context) => bulk(context, kind)),
    at("tags", "GET", "/{id}/tags", (context) => tagsOf(rowOf(context))),
    at("tag", "PUT", "/{id}/tags", (context) => {
      const row = rowOf(context);
      const { role, name: user } = context.user;
      if (role !== "admin" && kind.tagNeedsRights !== false) throw insufficientPermissions(user);
      return assignTags(context, row);
    }),
  ];
}

/** Tasks have none of their own. The path takes either id of a task, unlike /vdc/tasks (docs/wire/vipr.md#s3). */
export function taskRoutesOf<Row extends Tagged & { id: string }>({ name, path, rows }: Kind<Row>): Route<Handler>[] {
  return [
    {
      operation: `${name}.tasks`,
      method: "GET",
      path: `${path}/{id}/tasks`,
      handler: (context) => {
        const { id } = find(context, rows(context.model));
        const tasks = [...context.model.tasks.values()].filter(({ resource }) => resource.id === id);
        return { status: 200, root: "tasks", body: { task: tasks.map(taskView) } };
      },
    },
    {
      operation: `${name}.task`,
      method: "GET",
      path: `${path}/{id}/tasks/{task}`,
      handler: (context) => taskOf(context, find(context, rows(context.model)).id),
    },
  ];
}

function taskOf({ model, params }: Context, id: string): Answer {
  const wanted = params.task ?? "";
  // By its URN, a task of any object is found (TaskResourceService.java:81-96).
  const found =
    model.tasks.get(wanted) ??
    [...model.tasks.values()].find(({ resource, opId }) => resource.id === id && opId === wanted);
  if (found === undefined) throw new ViprError(400, 1008, `No operation found for task with id: ${wanted}`);
  return { status: 200, root: "task", body: taskView(found) };
}

/** The ids of what is active, for a user with a role in the zone (TaggedResource.java:478-487). */
function listIds({ model, user }: Context, kind: Search): Answer {
  if (user.role === "none") throw insufficientPermissions(user.name);
  return { status: 200, root: "ids", body: { id: kind.active(model).map(({ id }) => id) } };
}

/** Leaves out rows that do not exist or that the user may not see. */
function bulk<Row extends Tagged & { id: string }>({ request, user, model }: Context, kind: Kind<Row>): Answer {
  const { id } = readBody(request, "BulkIdParam", ["id"]);
  const ids = [...new Set(asArray(id ?? []).map(text))];
  if (ids.length > BULK_MOST) {
    throw new ViprError(400, 1031, `Exceeding limit of bulk size. Max allowed ${BULK_MOST.toLocaleString("en-US")}`);
  }
  const found = user.role === "none" ? [] : ids.flatMap((one) => kind.rows(model).get(one) ?? []);
  return {
    status: 200,
    root: `bulk_${kind.root}s`,
    body: { [kind.root]: found.map((row) => kind.view(model, row)) },
  };
}

function tagsOf({ tags }: Tagged): Answer {
  return { status: 200, root: "tags", body: { tag: [...tags] } };
}

/** Inactive objects, too. The tags before a bad one are not stored: ViPR writes the object last (TaggedResource.java:90-127). */
function assignTags({ request }: Context, row: Tagged): Answer {
  const { add, remove } = readBody(request, "TagAssignment", ["add", "remove"]);
  const added = asArray(add ?? []).map((tag) => (tag === null ? "" : text(tag)));
  if (added.some((tag) => tag.length < 2)) {
    throw new ViprError(400, 1008, "Tag is empty or contains less than 2 characters");
  }
  for (const tag of added) row.tags.add(tag);
  for (const tag of asArray(remove ?? [])) if (tag !== null) row.tags.delete(text(tag));
  return tagsOf(row);
}
