// A ViPR written from its documents alone, by plain node:http, for what the project's emulator does not do. Each test changes
// what its server may do otherwise.

import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import type { Properties } from "../../provider/core/operation";
import { Run } from "../../provider/core/run";
import { ViprClient } from "../../provider/vipr/client";
import { resolveVipr } from "../../provider/vipr/connection";
import { ViprContext } from "../../provider/vipr/context";
import { linkedTargetSet } from "../../provider/vipr/linkedTargetSet/resource";
import { type Body, JsonServer, type Reply, type Sent } from "../support/jsonServer";
import { ScaledClock } from "../support/scaledClock";
import { NEWS } from "./linkedTargetSetFixture";

export interface Target {
  id: string;
  name: string;
  session: string | undefined;
  inactive: boolean;
  tags: string[];
  wwn: string;
}

export interface Task {
  id: string;
  name: string;
  session: string;
  state: string;
  isVisible: boolean;
  /** Does the work. */
  end(): void;
}

const urn = (type: string, vdc = "vdc1") => `urn:storageos:${type}:${randomUUID()}:${vdc}`;
const link = (href: string) => ({ rel: "self", href });
const related = (path: string, id: string) => ({ id, link: link(`${path}/${id}`) });
/** How much faster than real time the provider's clock runs. */
const SCALE = 200;

export class OtherVipr {
  readonly volume = urn("Volume");
  readonly sessions = [urn("BlockSnapshotSession"), urn("BlockSnapshotSession")] as const;
  readonly targets = new Map<string, Target>();
  readonly tasks: Task[] = [];
  /** What a test changes about the server's work: called for each new task, before it is answered. */
  begun: (task: Task) => void = (task) => task.end();
  /** What a test changes about an answer. */
  answered: (sent: Sent, reply: Reply) => Reply = (_sent, reply) => reply;
  /** True for a request that gets no reply and is not carried out. */
  lose: (sent: Sent) => boolean = () => false;
  /** `<method> <path>` of each request. */
  readonly requests: string[] = [];
  readonly log: string[] = [];
  readonly clock = new ScaledClock(SCALE);
  controller!: ViprContext;
  readonly definition = {
    ...linkedTargetSet,
    connection: { ...linkedTargetSet.connection, open: () => this.controller },
  };
  private readonly controllers: ViprContext[] = [];
  private server!: JsonServer;

  async start(): Promise<void> {
    this.server = await JsonServer.start((request) => this.handle(request));
    this.newProcess();
  }

  newProcess(): void {
    const config = { url: this.server.url, username: "root", password: "secret" };
    const settings = resolveVipr({ name: "default", config, env: {}, cwd: "/", home: "/" });
    this.controller = new ViprContext(new ViprClient(settings, { clock: this.clock }), this.clock);
    this.controllers.push(this.controller);
  }

  async close(): Promise<void> {
    for (const one of this.controllers) await one.client.logout().catch(() => {});
    await this.server.close();
  }

  newRun(): Run {
    return new Run({ clock: this.clock, log: (severity, line) => this.log.push(`${severity}: ${line}`) });
  }

  news(more: Properties = {}): Properties {
    return { ...NEWS, snapshotSessionId: this.sessions[0], ...more };
  }

  posts(operation: string): number {
    return this.requests.filter((one) => one.startsWith("POST") && one.endsWith(`/${operation}`)).length;
  }

  linked(session: string = this.sessions[0]): Target[] {
    return [...this.targets.values()].filter((one) => one.session === session && !one.inactive);
  }

  active(): Target[] {
    return [...this.targets.values()].filter(({ inactive }) => !inactive);
  }

  /** Lets this much of the provider's time pass. */
  async pass(ms: number): Promise<void> {
    await this.clock.sleep(ms);
  }

  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) await this.pass(100);
  }

  addTarget(name: string, session?: string): Target {
    const id = urn("BlockSnapshot");
    const wwn = randomUUID().replaceAll("-", "").toUpperCase();
    const target = { id, name, session, inactive: false, tags: [], wwn };
    this.targets.set(id, target);
    return target;
  }

  addTask(name: string, session: string, end: () => void): Task {
    const task: Task = {
      id: urn("Task"),
      name,
      session,
      state: "pending",
      isVisible: true,
      end: () => {
        end();
        task.state = "ready";
      },
    };
    this.tasks.push(task);
    return task;
  }

  private async handle(request: IncomingMessage): Promise<Reply | undefined> {
    const { method = "", url = "", headers } = request;
    const { pathname, searchParams: query } = new URL(url, "http://vipr");
    if (pathname === "/login") {
      return { status: 200, body: { user: "root" }, headers: { "x-sds-auth-token": `token-${randomUUID()}` } };
    }
    if (pathname === "/logout") return { status: 200, body: { user: "root" } };
    if (headers["x-sds-auth-token"] === undefined) return { status: 401, body: undefined };
    const sentText = await text(request);
    const sent = {
      method,
      path: decodeURIComponent(pathname),
      query,
      body: sentText ? JSON.parse(sentText) : undefined,
    };
    this.requests.push(`${method} ${sent.path}`);
    if (this.lose(sent)) return undefined;
    return this.answered(sent, this.route(sent));
  }

  private route({ method, path, query, body }: Sent): Reply {
    const ok = (answer: Body): Reply => ({ status: 200, body: answer });
    if (path === "/tenant") return ok({ id: "urn:storageos:TenantOrg:4f245ed0-dc0c-4ec1-9239-0154f05ef939:global" });
    if (path === "/block/snapshots/search") return ok({ resource: this.search(query) });
    if (path === "/block/snapshots/bulk") return ok({ block_snapshot: this.bulk(body.id, this.showTarget) });
    if (path === "/block/snapshot-sessions/bulk")
      return ok({ block_snapshot_session: this.bulk(body.id, this.showSession) });
    if (path === "/vdc/tasks/bulk") return ok({ task: this.bulk(body.id, this.showTask) });
    if (path === "/block/volumes/search") return ok({ resource: [] });
    const [, kind = "", id = "", more = ""] = /^\/(.+?)\/(urn:[^/]+)\/?(.*)$/.exec(path) ?? [];
    if (method === "GET" && more === "") {
      const shown =
        kind === "block/snapshots"
          ? this.showTarget(id)
          : kind === "block/snapshot-sessions"
            ? this.showSession(id)
            : kind === "vdc/tasks"
              ? this.showTask(id)
              : id === this.volume && { id, name: "vol1", inactive: false };
      return shown ? ok(shown) : this.missing(id);
    }
    if (more === "protection/snapshot-sessions") {
      return ok({ snapshot_session: this.sessions.map((one) => related("/block/snapshot-sessions", one)) });
    }
    if (more === "tasks") {
      return ok({
        task: this.tasks
          .filter(({ session, isVisible }) => session === id && isVisible)
          .map(({ id: one }) => this.showTask(one)),
      });
    }
    if (more === "tags") {
      const target = this.targets.get(id);
      if (!target) return this.missing(id);
      target.tags = [...target.tags.filter((tag) => !body.remove?.includes(tag)), ...(body.add ?? [])];
      return ok(undefined);
    }
    return this.write(id, more, body);
  }

  private write(id: string, operation: string, body: Body): Reply {
    const accepted = (task: Task, isList: boolean): Reply => {
      const shown = { ...this.showTask(task.id), state: "pending", progress: 0 };
      this.begun(task);
      return { status: 202, body: isList ? { task: [shown] } : shown };
    };
    if (operation === "link-targets") {
      const { count, target_name } = body.new_linked_targets;
      const made = Array.from({ length: count }, (_, index) => this.addTarget(`${target_name}-${index + 1}`));
      const end = () => {
        for (const one of made) one.session = id;
      };
      return accepted(this.addTask("LINK SNAPSHOT SESSION TARGETS", id, end), true);
    }
    if (operation === "unlink-targets") {
      const ids: string[] = body.linked_targets.map((one: Body) => one.id);
      const foreign = ids.find((one) => this.targets.get(one)?.session !== id);
      if (foreign)
        return {
          status: 400,
          body: {
            code: 1013,
            retryable: false,
            description: "Bad request",
            details: `Target ${foreign} is not linked`,
          },
        };
      const end = () => {
        for (const one of ids) Object.assign(this.targets.get(one) ?? {}, { inactive: true, session: undefined });
      };
      return accepted(this.addTask("UNLINK SNAPSHOT SESSION TARGETS", id, end), false);
    }
    if (operation === "relink-targets") {
      const end = () => {
        for (const one of body.ids) Object.assign(this.targets.get(one) ?? {}, { session: id });
      };
      return accepted(this.addTask("RELINK SNAPSHOT SESSION TARGETS", id, end), true);
    }
    if (operation === "deactivate") {
      const target = this.targets.get(id);
      if (target) target.inactive = true;
      return accepted(
        this.addTask("DEACTIVATE VOLUME SNAPSHOT", id, () => {}),
        true,
      );
    }
    return { status: 404, body: { code: 2000, retryable: false, description: "Unable to find entity in request URL" } };
  }

  private search(query: URLSearchParams): Body[] {
    const name = query.get("name")?.toLowerCase();
    const found = this.active().filter((one) => name !== undefined && one.name.toLowerCase().startsWith(name));
    return found.map((one) => ({ ...related("/block/snapshots", one.id), match: one.name }));
  }

  private bulk<Row>(ids: string[], show: (id: string) => Row | undefined): Row[] {
    return ids.flatMap((id) => show(id) ?? []);
  }

  private readonly showTarget = (id: string) => {
    const one = this.targets.get(id);
    if (!one) return undefined;
    const { name, inactive, tags, session, wwn } = one;
    return {
      name,
      id,
      link: link(`/block/snapshots/${id}`),
      inactive,
      tags,
      ...(session === undefined ? { native_id: "" } : { wwn, native_id: wwn.slice(-5) }),
      parent: related("/block/volumes", this.volume),
      creation_time: Date.now(),
      snapset_label: name,
      provisioned_capacity_gb: "10.00",
    };
  };

  private readonly showSession = (id: string) => {
    if (!(this.sessions as readonly string[]).includes(id)) return undefined;
    return {
      name: "nightly",
      id,
      link: link(`/block/snapshot-sessions/${id}`),
      inactive: false,
      tags: [],
      parent: related("/block/volumes", this.volume),
      linked_targets: this.linked(id).map((one) => related("/block/snapshots", one.id)),
    };
  };

  private readonly showTask = (id: string) => {
    const task = this.tasks.find((one) => one.id === id && one.isVisible);
    if (!task) return undefined;
    return {
      name: task.name,
      id,
      link: link(`/vdc/tasks/${id}`),
      inactive: false,
      resource: related("/block/snapshot-sessions", task.session),
      state: task.state,
      description: task.name.toLowerCase(),
      progress: task.state === "ready" ? 100 : 0,
      ...(task.state === "error"
        ? { service_error: { code: 12000, retryable: false, description: "A job failed" } }
        : {}),
    };
  };

  private missing(id: string): Reply {
    const details = `Unable to find entity specified in URL with the given id ${id}`;
    return {
      status: 404,
      body: { code: 2000, retryable: false, description: "Unable to find entity in request URL", details },
    };
  }
}
