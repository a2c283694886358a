// The paths of ZStack's API, after /zstack, and how the server handles each kind.

import type { Reply, Route } from "../core/http";
import { isSession, login } from "./auth";
import { clone } from "./clones";
import type { Context, Work } from "./context";
import { Failure, operationFailed } from "./errors";
import {
  changePower,
  createTag,
  destroy,
  detachVolume,
  expunge,
  findVm,
  globalConfigs,
  managementNode,
  quickMs,
  updateVm,
  volumeWork,
} from "./handlers";
import { ZSTACK_SEED, type ZStackVm } from "./model";
import { query } from "./query";
import { ofClass } from "./schema";
import { result, tagView, vmView, volumeView } from "./views";

/** An asynchronous call: what it refuses at once or in its job, and what it does. */
export type StartWork = (context: Context) => Work;

export type Handler =
  | { readonly kind: "open"; readonly answer: (context: Context) => Reply }
  | { readonly kind: "sync"; readonly answer: (context: Context) => Reply }
  | { readonly kind: "async"; readonly work: StartWork }
  | { readonly kind: "actions"; readonly actions: Readonly<Record<string, StartWork>> };

const PLACES: Readonly<Record<"zones" | "primary-storage" | "l3-networks", readonly object[]>> = {
  zones: [ofClass("header.zone.ZoneInventory", { uuid: ZSTACK_SEED.zone, name: "zone" })],
  "primary-storage": [
    ofClass("header.storage.primary.PrimaryStorageInventory", {
      uuid: ZSTACK_SEED.primaryStorage,
      name: "primary storage",
    }),
  ],
  "l3-networks": [
    ofClass("header.network.l3.L3NetworkInventory", {
      uuid: ZSTACK_SEED.l3Network,
      name: "network",
      zoneUuid: ZSTACK_SEED.zone,
    }),
  ],
};

export const ROUTES: readonly Route<Handler>[] = [
  ...openRoutes(),
  ...vmRoutes(),
  ...volumeRoutes(),
  // What VMs are placed in: their uuids alone.
  ...(["zones", "primary-storage", "l3-networks"] as const).map((path) =>
    sync(`${path}.query`, `/${path}`, (context) => query(context, PLACES[path], (row) => row)),
  ),
  sync("configs.query", "/global-configurations", (context) =>
    query(context, globalConfigs(context.model), (row) => row),
  ),
  ...tagRoutes(),
  sync("progress", "/task-progresses/{job}", (context) => {
    const { model, params } = context;
    const content = model.progress.get(params.job ?? "");
    const fields = { taskUuid: params.job, taskName: "clone", type: "Progress", content };
    const row = ofClass("header.core.progress.TaskProgressInventory", fields);
    return result(context, { inventories: content === undefined ? [] : [row] });
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
    sync("vms.query", "/vm-instances", (context) =>
      query(context, [...context.model.vms.values()], (row) => vmView(context.model, row)),
    ),
    // An unknown uuid is 200 with an empty list, never 404 (docs/wire/zstack.md#s9-5).
    sync("vms.get", "/vm-instances/{uuid}", (context) => {
      const row = context.model.vms.get(context.params.uuid ?? "");
      return result(context, { inventories: row ? [vmView(context.model, row)] : [] }, "query");
    }),
    route("vms.destroy", "DELETE", "/vm-instances/{uuid}", { kind: "async", work: destroy }),
    route("vms", "PUT", "/vm-instances/{uuid}/actions", {
      kind: "actions",
      actions: {
        cloneVmInstance: clone,
        updateVmInstance: onVm((row, { model, fields }) => updateVm(model, row, fields)),
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
    sync("volumes.query", "/volumes", (context) => query(context, [...context.model.volumes.values()], volumeView)),
    route("volumes.detach", "DELETE", "/volumes/{uuid}/vm-instances", { kind: "async", work: detachVolume }),
    route("volumes.delete", "DELETE", "/volumes/{uuid}", {
      kind: "async",
      work: (context) =>
        volumeWork(context, (row) => {
          if (row.vmInstanceUuid !== null) context.model.detach(row);
          row.status = "Deleted";
        }),
    }),
    route("volumes", "PUT", "/volumes/{uuid}/actions", {
      kind: "actions",
      actions: {
        expungeDataVolume: (context) =>
          volumeWork(context, (row) => {
            if (row.status !== "Deleted") throw new Failure(operationFailed("the volume is not deleted"));
            context.model.volumes.delete(row.uuid);
          }),
      },
    }),
  ];
}

function tagRoutes(): Route<Handler>[] {
  return [
    sync("tags.query", "/user-tags", (context) => query(context, [...context.model.tags.values()], tagView)),
    route("tags.create", "POST", "/user-tags", { kind: "async", work: createTag }),
    route("tags.delete", "DELETE", "/tags/{uuid}", {
      kind: "async",
      work: ({ model, params }) => ({ ms: quickMs(model), run: () => void model.tags.delete(params.uuid ?? "") }),
    }),
  ];
}

function sync(operation: string, path: string, answer: (context: Context) => Reply): Route<Handler> {
  return route(operation, "GET", path, { kind: "sync", answer });
}

function route(operation: string, method: string, path: string, handler: Handler): Route<Handler> {
  return { operation, method, path: `/v1${path}`, handler };
}
