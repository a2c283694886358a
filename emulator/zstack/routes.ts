// The paths of ZStack's API, after /zstack, and how the server handles each kind.

import type { Reply, Route } from "../core/http";
import { isSession, login, renewSession } from "./auth";
import { clone } from "./clones";
import type { Context, Work } from "./context";
import {
  changePower,
  createTag,
  destroy,
  expunge,
  findVm,
  managementNode,
  platformTimeZone,
  quickMs,
} from "./handlers";
import type { InventoryName } from "./inventories";
import type { ZStackVm } from "./rows";
import { ofClass } from "./schema";
import { updateVm } from "./update";
import { result } from "./views";
import { attachVolume, deleteVolume, detachVolume, expungeVolume } from "./volumes";

/** An asynchronous call: what it refuses at once or in its job, and what it does. */
export type StartWork = (context: Context) => Work;

export type Handler =
  | { readonly kind: "open"; readonly answer: (context: Context) => Reply }
  | { readonly kind: "sync"; readonly answer: (context: Context) => Reply }
  | { readonly kind: "query"; readonly inventory: InventoryName }
  /** The parameters are in the body's `parameter`. @default "params" */
  | { readonly kind: "async"; readonly work: StartWork; readonly parameter?: string }
  | { readonly kind: "actions"; readonly actions: Readonly<Record<string, StartWork>> };

export const ROUTES: readonly Route<Handler>[] = [
  ...openRoutes(),
  route("sessions.renew", "PUT", "/accounts/sessions/{uuid}/renew", {
    kind: "async",
    work: renewSession,
    parameter: "renewSession",
  }),
  sync("node.timezone", "/management-nodes/platform-timezone", platformTimeZone),
  ...queryRoutes("vms", "/vm-instances", "vm"),
  ...vmRoutes(),
  ...queryRoutes("volumes", "/volumes", "volume"),
  ...volumeRoutes(),
  ...queryRoutes("zones", "/zones", "zone"),
  ...queryRoutes("clusters", "/clusters", "cluster"),
  ...queryRoutes("hosts", "/hosts", "host"),
  ...queryRoutes("l3-networks", "/l3-networks", "l3Network"),
  // These two have no address of one row (APIQueryPrimaryStorageMsg.java, APIQueryGlobalConfigMsg.java).
  queryRoute("primary-storage.query", "/primary-storage", "primaryStorage"),
  queryRoute("configs.query", "/global-configurations", "globalConfig"),
  ...queryRoutes("tags", "/user-tags", "userTag"),
  ...tagRoutes(),
  sync("progress", "/task-progresses/{job}", (context) => {
    const { model, params } = context;
    const progress = model.progress.get(params.job ?? "");
    const fields = { taskUuid: params.job, taskName: "clone", type: "Progress", ...progress };
    const row = ofClass("header.core.progress.TaskProgressInventory", fields);
    return result(context, { inventories: progress === undefined ? [] : [row] });
  }),
];

/** The routes that need no session. */
function openRoutes(): Route<Handler>[] {
  const open = (operation: string, method: string, path: string, answer: (context: Context) => Reply) =>
    route(operation, method, path, { kind: "open", answer });
  return [
    open("accounts.login", "PUT", "/accounts/login", login),
    open("sessions.valid", "GET", "/accounts/sessions/{uuid}/valid", (context) =>
      result(context, { valid: isSession(context.model, context.params.uuid) }),
    ),
    open("sessions.logout", "DELETE", "/accounts/sessions/{uuid}", (context) => {
      context.model.sessions.delete(context.params.uuid ?? "");
      return result(context, {});
    }),
    open("node", "PUT", "/management-nodes/actions", managementNode),
  ];
}

function vmRoutes(): Route<Handler>[] {
  return [
    route("vms.destroy", "DELETE", "/vm-instances/{uuid}", { kind: "async", work: destroy }),
    route("vms", "PUT", "/vm-instances/{uuid}/actions", {
      kind: "actions",
      actions: {
        cloneVmInstance: clone,
        updateVmInstance: updateVm,
        startVmInstance: power(["Stopped", "Running", "Created"], "Running"),
        stopVmInstance: power(["Running", "Stopped", "Paused", "Unknown"], "Stopped"),
        rebootVmInstance: power(["Running"], "Running"),
        pauseVmInstance: power(["Running"], "Paused"),
        resumeVmInstance: power(["Paused"], "Running"),
        recoverVmInstance: power(["Destroyed"], "Stopped"),
        expungeVmInstance: onVm((row, { model }) => expunge(model, row)),
      },
    }),
  ];
}

function power(from: readonly string[], to: string): StartWork {
  return onVm((row, { model }) => changePower(model, row, from, to));
}

function onVm(run: (vm: ZStackVm, context: Context) => object): StartWork {
  return (context) => {
    // The existence check is a parameter check: the server makes it before it checks the session
    // (docs/wire/zstack.md#s1-3).
    const row = findVm(context.model, context.params.uuid);
    return { ms: context.model.timings.zstackAction, run: () => run(row, context) };
  };
}

function volumeRoutes(): Route<Handler>[] {
  return [
    route("volumes.detach", "DELETE", "/volumes/{uuid}/vm-instances", { kind: "async", work: detachVolume }),
    route("volumes.attach", "POST", "/volumes/{volumeUuid}/vm-instances/{vmInstanceUuid}", {
      kind: "async",
      work: attachVolume,
    }),
    route("volumes.delete", "DELETE", "/volumes/{uuid}", { kind: "async", work: deleteVolume }),
    route("volumes", "PUT", "/volumes/{uuid}/actions", {
      kind: "actions",
      actions: { expungeDataVolume: expungeVolume },
    }),
  ];
}

function tagRoutes(): Route<Handler>[] {
  return [
    route("tags.create", "POST", "/user-tags", { kind: "async", work: createTag }),
    route("tags.delete", "DELETE", "/tags/{uuid}", {
      kind: "async",
      work: ({ model, params }) => ({ ms: quickMs(model), run: () => void model.tags.delete(params.uuid ?? "") }),
    }),
  ];
}

/** The query, and the query of one row by its uuid, which is its `optionalPaths` in the server's source. */
function queryRoutes(name: string, path: string, inventory: InventoryName): Route<Handler>[] {
  return [
    queryRoute(`${name}.query`, path, inventory),
    // An unknown uuid is 200 with an empty list, never 404 (docs/wire/zstack.md#s9-5).
    queryRoute(`${name}.get`, `${path}/{uuid}`, inventory),
  ];
}

function queryRoute(operation: string, path: string, inventory: InventoryName): Route<Handler> {
  return route(operation, "GET", path, { kind: "query", inventory });
}

function sync(operation: string, path: string, answer: (context: Context) => Reply): Route<Handler> {
  return route(operation, "GET", path, { kind: "sync", answer });
}

function route(operation: string, method: string, path: string, handler: Handler): Route<Handler> {
  return { operation, method, path: `/v1${path}`, handler };
}
