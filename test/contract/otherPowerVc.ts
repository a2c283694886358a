// A PowerVC written from IBM's document alone, by plain node:http, for what the project's emulator does not do. Each test changes
// what its server may do otherwise.

import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import type { Properties } from "../../provider/core/operation";
import { Run } from "../../provider/core/run";
import { KeystoneSession } from "../../provider/openstack/keystone";
import { resolvePowerVc } from "../../provider/powervc/connection";
import { PowerVcContext } from "../../provider/powervc/context";
import { volumeClone } from "../../provider/powervc/volumeClone/resource";
import { type Body, JsonServer, type Reply, type Sent } from "../support/jsonServer";
import { ScaledClock } from "../support/scaledClock";

export interface Volume {
  id: string;
  name: string | null;
  description: string | null;
  status: string;
  size: number;
  volume_type: string | null;
  metadata: Record<string, string>;
  source_volid: string | null;
  group_id: string | null;
  attachments: Body[];
  created_at: string;
}

export interface Task {
  id: string;
  name: string;
  sources: readonly string[];
  /** The answer of get_progress; undefined: 404. */
  progress: Body;
  /** Makes the clones, and says so. */
  end(): void;
}

export const SOURCES = ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"] as const;
const PROJECT = "38d2000000000000000000000000abcd";
/** How much faster than real time the provider's clock runs. */
const SCALE = 200;

export class OtherPowerVc {
  readonly volumes = new Map<string, Volume>();
  readonly tasks: Task[] = [];
  /** Called for each new task, before it is answered. */
  begun: (task: Task) => void = (task) => task.end();
  answered: (sent: Sent, reply: Reply) => Reply = (_sent, reply) => reply;
  /** True for a request that gets no reply, after it was carried out. */
  lose: (sent: Sent) => boolean = () => false;
  nameOf: (task: Task, index: number) => string = ({ name, sources }, index) =>
    sources.length === 1 ? `clone-${name}` : `clone-${name}-${index + 1}`;
  readonly requests: string[] = [];
  readonly log: string[] = [];
  private readonly origin = Date.now();
  readonly clock = new ScaledClock(SCALE, this.origin);
  cloud!: PowerVcContext;
  readonly definition = { ...volumeClone, connection: { ...volumeClone.connection, open: () => this.cloud } };
  private server!: JsonServer;

  async start(): Promise<void> {
    for (const [index, id] of SOURCES.entries()) this.addVolume({ id, name: `src${index}`, size: 5 + index });
    this.server = await JsonServer.start(async (request) => {
      const reply = await this.handle(request);
      return reply && { ...reply, headers: { date: this.now().toUTCString(), ...reply.headers } };
    });
    this.newProcess();
  }

  newProcess(): void {
    const config = { authUrl: `${this.server.url}/v3`, username: "root", password: "secret" };
    const settings = resolvePowerVc({ name: "default", config, env: {}, cwd: "/", home: "/" });
    this.cloud = new PowerVcContext(new KeystoneSession(settings, { clock: this.clock }), this.clock);
  }

  async close(): Promise<void> {
    await this.server.close();
  }

  newRun(): Run {
    return new Run({ clock: this.clock, log: (severity, line) => this.log.push(`${severity}: ${line}`) });
  }

  news(more: Properties = {}): Properties {
    return {
      volumes: [...SOURCES],
      displayName: "before",
      __owner: "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:VolumeClone::before",
      __provider: "p",
      ...more,
    };
  }

  posts(): number {
    return this.requests.filter((one) => one === "POST /clone-volumes").length;
  }

  clones(): Volume[] {
    return [...this.volumes.values()].filter(({ id }) => !(SOURCES as readonly string[]).includes(id));
  }

  async pass(ms: number): Promise<void> {
    await this.clock.sleep(ms);
  }

  private now(): Date {
    return this.clock.date();
  }

  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) await this.pass(100);
  }

  addVolume(given: Partial<Volume>): Volume {
    const volume: Volume = {
      id: randomUUID(),
      name: null,
      description: null,
      status: "available",
      size: 5,
      volume_type: "v7000",
      metadata: {},
      source_volid: null,
      group_id: null,
      attachments: [],
      created_at: this.now().toISOString().replace("Z", "000"),
      ...given,
    };
    this.volumes.set(volume.id, volume);
    return volume;
  }

  private async handle(request: IncomingMessage): Promise<Reply | undefined> {
    const { method = "", url = "", headers } = request;
    const { pathname, searchParams: query } = new URL(url, "http://powervc");
    const sentText = await text(request);
    if (pathname === "/v3/auth/tokens") return this.login();
    if (pathname === "/volume/" || pathname === "/volume") {
      return {
        status: 300,
        body: { versions: [{ id: "v3.0", status: "CURRENT", version: "3.70", min_version: "3.0", links: [] }] },
      };
    }
    if (headers["x-auth-token"] === undefined)
      return { status: 401, body: { error: { code: 401, message: "no token", title: "Unauthorized" } } };
    // After the project.
    const path = decodeURIComponent(pathname).replace(`/volume/v3/${PROJECT}`, "");
    const sent = { method, path, query, body: sentText ? JSON.parse(sentText) : undefined };
    this.requests.push(`${method} ${path}`);
    const reply = this.answered(sent, this.route(sent));
    return this.lose(sent) ? undefined : reply;
  }

  private login() {
    const endpoint = {
      interface: "public",
      region: "RegionOne",
      region_id: "RegionOne",
      url: `${this.server.url}/volume/v3/${PROJECT}`,
    };
    const token = {
      expires_at: new Date(this.now().getTime() + 21_600_000).toISOString(),
      issued_at: this.now().toISOString(),
      user: { id: "0", name: "root" },
      project: { id: PROJECT, name: "ibm-default" },
      roles: [{ name: "admin" }],
      catalog: [{ type: "volume", endpoints: [endpoint] }],
    };
    return { status: 201, body: { token }, headers: { "x-subject-token": `token-${randomUUID()}` } };
  }

  private route({ method, path, query, body }: Sent): Reply {
    const ok = (answer: Body, status = 200): Reply => ({ status, body: answer });
    if (path === "/clone-volumes") return this.clone(body["clone-volumes"]);
    if (path === "/clone-volumes/get_progress") {
      const progress = this.tasks.find(({ id }) => id === query.get("task_id"))?.progress;
      return progress === undefined
        ? ok({ itemNotFound: { code: 404, message: "Task could not be found." } }, 404)
        : ok(progress);
    }
    if (path === "/volumes/detail") return ok({ volumes: this.list(query) });
    if (path === "/messages") return ok({ messages: [] });
    const [, id = "", more = "", key = ""] = /^\/volumes\/([^/]+)\/?([^/]*)\/?(.*)$/.exec(path) ?? [];
    const volume = this.volumes.get(id);
    if (!volume) return ok({ itemNotFound: { code: 404, message: `Volume ${id} could not be found.` } }, 404);
    if (more === "metadata" && method === "DELETE") {
      if (!(key in volume.metadata))
        return ok({ itemNotFound: { code: 404, message: `Volume ${id} has no metadata with key ${key}.` } }, 404);
      delete volume.metadata[key];
      return ok(undefined);
    }
    if (more === "metadata") {
      Object.assign(volume.metadata, body.metadata);
      return ok({ metadata: volume.metadata });
    }
    if (method === "PUT") Object.assign(volume, body.volume);
    if (method === "DELETE") {
      this.volumes.delete(id);
      return ok(undefined, 202);
    }
    return ok({ volume });
  }

  private clone(given: Body): Reply {
    const sources: string[] = given.volumes;
    const task: Task = {
      id: randomUUID(),
      name: given["display-name"],
      sources,
      progress: {
        details: {
          results: {},
          completed_tasks: {},
          pending_tasks: { create_group_clone: "RUNNING" },
          progress: 10,
          flow_details: { cloneFlow: "RUNNING" },
        },
      },
      end: () => {
        const results = sources.map((source, index) => {
          const { size, volume_type } = this.volumes.get(source) as Volume;
          const made = this.addVolume({ name: this.nameOf(task, index), size, volume_type, source_volid: source });
          return [source, made.id] as const;
        });
        task.progress = {
          details: {
            results: Object.fromEntries(results),
            completed_tasks: { "create_group_clone-clone-DEL-a8584df2": "SUCCESS", _TaskFlow_INJECTOR: "SUCCESS" },
            pending_tasks: {},
            progress: 100,
            flow_details: { cloneFlow: "SUCCESS" },
          },
        };
      },
    };
    this.tasks.push(task);
    this.begun(task);
    const task_uri = `https://powervc:9000/v3/${PROJECT}/clone-volumes/get_progress?action=clone-volumes&task_id=${task.id}`;
    return { status: 200, body: { "clone-volumes": { task_uri } } };
  }

  private list(query: URLSearchParams): Volume[] {
    const status = query.get("status");
    return [...this.volumes.values()].filter((one) => status === null || one.status === status);
  }
}
