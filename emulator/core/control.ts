// The control API under /_emulator/: what the library offers, for programs in another process. JSON in and out, no
// authentication, never befallen by a fault.

import type { Behaviour, CinderModel, SnapshotRow, VolumeRow } from "../cinder/model";
import type { NovaModel, ServerRow } from "../nova/model";
import type { FlowBehaviour, PowerVcModel } from "../powervc/model";
import { viprControls } from "../vipr/control";
import type { ViprModel } from "../vipr/model";
import { CLONE_OUTCOMES, type CloneBehaviour, type ZStackModel, type ZStackSettings } from "../zstack/model";
import type { Clock } from "./clock";
import { type Faults, ruleFromJson } from "./faults";
import { type EmulatorRequest, isObject, json, matchRoute, type Reply, type Route, type Service } from "./http";
import type { WritableLog } from "./requestLog";
import { CONTROL_PREFIX } from "./server";

export interface ControlParts {
  readonly services: readonly Service[];
  readonly faults: Faults;
  readonly log: WritableLog;
  readonly clock: Clock;
  readonly cinder: CinderModel;
  readonly nova: NovaModel;
  readonly vipr: ViprModel;
  readonly zstack: ZStackModel;
  readonly powervc: PowerVcModel;
  readonly seed: number;
  revokeTokens(): void;
  reset(): void;
}

type Answer = (body: unknown, params: Readonly<Record<string, string>>) => Reply;

export function createControl(parts: ControlParts): (request: EmulatorRequest) => Reply {
  const routes = controlRoutes(parts);
  return (request) => {
    const match = matchRoute(routes, request.method, request.path.slice(CONTROL_PREFIX.length));
    if (match === undefined)
      return json(404, {
        error: `no such control: ${request.method} ${request.path}`,
        controls: routes.map((r) => `${r.method} ${CONTROL_PREFIX}${r.path}`),
      });
    try {
      return match.route.handler(request.text === "" ? undefined : JSON.parse(request.text), match.params);
    } catch (error) {
      return json(400, { error: error instanceof Error ? error.message : String(error) });
    }
  };
}

function controlRoutes(parts: ControlParts): Route<Answer>[] {
  const { services, faults, log, clock, cinder, zstack, powervc, nova } = parts;
  const route = (method: string, path: string, handler: Answer): Route<Answer> => ({
    operation: `control ${method} ${path}`,
    method,
    path,
    handler,
  });
  const done = () => json(200, { ok: true });
  return [
    route("GET", "/state", () =>
      json(200, {
        clock: { mode: clock.mode, now: clock.now().toISOString() },
        seed: parts.seed,
        services: Object.fromEntries(services.map((service) => [service.name, service.state()])),
        faults: faults.list(),
        requests: log.entries.length,
      }),
    ),
    route("GET", "/requests", () => json(200, { requests: log.entries })),
    route("DELETE", "/requests", () => {
      log.clear();
      return done();
    }),
    route("GET", "/coverage", () =>
      json(200, {
        operations: services.flatMap((service) =>
          service.operations().map((operation) => ({ service: service.name, ...operation })),
        ),
      }),
    ),
    route("POST", "/faults", (body) => json(201, { id: faults.add(ruleFromJson(body)).id })),
    route("DELETE", "/faults", () => {
      faults.clear();
      return done();
    }),
    route("POST", "/tick", (body) => {
      const ms = isObject(body) ? body.ms : undefined;
      if (typeof ms !== "number") throw new Error('tick needs {"ms": number}');
      clock.tick(ms);
      return json(200, { now: clock.now().toISOString() });
    }),
    route("POST", "/reset", () => {
      parts.reset();
      return done();
    }),
    route("DELETE", "/tokens", () => {
      parts.revokeTokens();
      return done();
    }),
    route("POST", "/volumes", (body) =>
      json(201, { volume: cinder.createVolume(rowFields<VolumeRow>(body, VOLUME_FIELDS)) }),
    ),
    route("DELETE", "/volumes/{id}", (_, { id }) => removed("volume", id, cinder.removeVolume(id ?? ""))),
    route("PATCH", "/snapshots/{id}", (body, { id }) => {
      const row = cinder.snapshots.get(id ?? "");
      if (row === undefined) return removed("snapshot", id, false);
      return json(200, { snapshot: Object.assign(row, rowFields<SnapshotRow>(body, SNAPSHOT_FIELDS)) });
    }),
    route("DELETE", "/snapshots/{id}", (_, { id }) => removed("snapshot", id, cinder.removeSnapshot(id ?? ""))),
    // A qcow2 file in the volume's folder, as `qemu-img create` makes it: AssistedSnapshot needs one.
    route("POST", "/volumes/{id}/files", (body, { id }) => {
      if (!cinder.volumes.has(id ?? "")) return removed("volume", id, false);
      const { name, ...given } = rowFields<{ name: string; backing: string; absolute: boolean }>(body, FILE_FIELDS);
      if (typeof name !== "string" || name === "") throw new Error('a file needs {"name": …}');
      return json(201, { file: nova.createFile(id ?? "", name, given) });
    }),
    route("GET", "/volumes/{id}/disk", (_, { id }) => {
      nova.settle();
      if (!cinder.volumes.has(id ?? "")) return removed("volume", id, false);
      return json(200, { chain: nova.chain(id ?? "").map((name) => nova.file(id ?? "", name)) });
    }),
    route("PATCH", "/servers/{id}", (body, { id }) => {
      const row = nova.servers.get(id ?? "");
      if (row === undefined) return removed("server", id, false);
      return json(200, { server: Object.assign(row, rowFields<ServerRow>(body, SERVER_FIELDS)) });
    }),
    route("POST", "/behaviours", (body) => {
      cinder.behaviour(behaviourFromJson(body));
      return json(201, { ok: true });
    }),
    ...viprControls(parts.vipr, route),
    route("POST", "/zstack/clone-behaviours", (body) => {
      zstack.cloneBehaviour(cloneBehaviourFromJson(body));
      return json(201, { ok: true });
    }),
    route("PATCH", "/zstack/settings", (body) => {
      const given = rowFields<ZStackSettings>(body, Object.keys(zstack.settings));
      return json(200, Object.assign(zstack.settings, given));
    }),
    route("DELETE", "/zstack/vms/{uuid}", (_, { uuid }) => removed("VM", uuid, zstack.removeVm(uuid ?? ""))),
    route("POST", "/powervc/behaviours", (body) => {
      const given = rowFields<FlowBehaviour>(body, ["step", "fails", "leaves", "takes", "times"]);
      powervc.behaviour(given as FlowBehaviour);
      return json(201, { ok: true });
    }),
    route("DELETE", "/powervc/tasks", () => {
      powervc.forgetTasks();
      return done();
    }),
  ];
}

const VOLUME_FIELDS = [
  "id",
  "name",
  "description",
  "size",
  "status",
  "project_id",
  "availability_zone",
  "metadata",
  "bootable",
  "group_id",
] as const;
const FILE_FIELDS = ["name", "backing", "absolute"] as const;
const SERVER_FIELDS = ["host", "vm_state", "task_state", "launched_at"] as const;
const SNAPSHOT_FIELDS = [
  "name",
  "description",
  "status",
  "progress",
  "metadata",
  "group_snapshot_id",
  "consumes_quota",
] as const;

function rowFields<Row>(body: unknown, known: readonly string[]): Partial<Row> {
  const given = body ?? {};
  if (!isObject(given)) throw new Error("the body is an object");
  const unknown = Object.keys(given).filter((key) => !known.includes(key));
  if (unknown.length > 0) throw new Error(`unknown field: ${unknown.join(", ")} (known: ${known.join(", ")})`);
  return given as Partial<Row>;
}

function cloneBehaviourFromJson(body: unknown): CloneBehaviour {
  const given = rowFields<CloneBehaviour>(body, ["match", "outcome", "times"]);
  const outcome = CLONE_OUTCOMES.find((one) => one === given.outcome);
  if (outcome === undefined) throw new Error(`outcome is one of ${CLONE_OUTCOMES.join(", ")}`);
  const name = given.match?.name;
  const match = typeof name === "string" && name.startsWith("re:") ? { name: new RegExp(name.slice(3)) } : given.match;
  return { ...given, outcome, ...(match ? { match } : {}) };
}

function behaviourFromJson(body: unknown): Behaviour {
  const given = rowFields<Behaviour>(body, ["match", "create", "delete", "createMs", "deleteMs", "times"]);
  const name = given.match?.name;
  if (given.match === undefined || typeof name !== "string" || !name.startsWith("re:")) return given;
  return { ...given, match: { ...given.match, name: new RegExp(name.slice(3)) } };
}

function removed(what: string, id: string | undefined, found: boolean): Reply {
  return found ? json(200, { ok: true }) : json(404, { error: `no such ${what}: ${id}` });
}
