// The provider's operations on a snapshot as a user's run has them: what goes before, the operation itself, and what the
// next run does about its outcome.

import { randomUUID } from "node:crypto";
import { SEED_VOLUMES } from "../../emulator";
import type { Clock } from "../../provider/core/clock";
import type { Pending } from "../../provider/core/definition";
import { diff } from "../../provider/core/diff";
import type { Http } from "../../provider/core/http";
import { create, PartialFailure, type Properties, read, remove, update } from "../../provider/core/lifecycle";
import { Run } from "../../provider/core/run";
import { lookups } from "../../provider/lookups";
import { Cloud, openstack } from "../../provider/openstack/cloud";
import type { OpenStackSettings } from "../../provider/openstack/connection";
import { OpenStackSession } from "../../provider/openstack/keystone";
import { snapshot } from "../../provider/openstack/snapshot";
import type { Operation } from "./places";

export const PASSWORD = "planted-pass%word \"7'";

const HIDDEN = {
  __owner: "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:Snapshot::nightly",
  __provider: "exports.handler=()=>require('pulumi-snapclone/dynamic/v1')",
};
const BEFORE = { volumeId: SEED_VOLUMES.data, name: "nightly", metadata: { tier: "gold", old: "x" } };
const AFTER = { volumeId: SEED_VOLUMES.data, name: "weekly", metadata: { tier: "silver" } };

/** What an operation left the engine with. */
export interface Result {
  /** What Pulumi would store, of whatever operation. */
  stored: { id: string; properties: Properties; inputs?: Properties } | undefined;
  /** A refresh found it gone. */
  gone?: true;
  error?: unknown;
}

export function newCloud(clock: Clock, http: Http, settings: OpenStackSettings): Cloud {
  return new Cloud(new OpenStackSession(settings, { clock, http }), clock);
}

/** One run of Pulumi: a process of its own. */
export class UserRun {
  readonly log: string[] = [];
  private readonly run: Run;

  constructor(
    clock: Clock,
    private readonly cloud: Cloud,
  ) {
    this.run = new Run({ clock, log: (_severity, text) => this.log.push(text) });
  }

  /** Everything the provider opens from now on is this run's. */
  async perform<T>(work: (run: Run) => Promise<T>): Promise<T> {
    const { open } = openstack;
    openstack.open = () => this.cloud;
    try {
      return await work(this.run);
    } finally {
      openstack.open = open;
    }
  }

  /** The orderly end: what was made is settled. */
  end(): Promise<void> {
    return this.run.end();
  }
}

/** What is there when the operation begins: the state of an earlier run, or the debris of a killed one. */
export async function prepare(operation: Operation, earlier: UserRun, timeouts: object): Promise<Stored | undefined> {
  if (operation === "create") return undefined;
  const made = await earlier.perform((run) => create(snapshot, run, { ...BEFORE, ...HIDDEN, __timeouts: timeouts }));
  // A run that was killed never comes to its end.
  if (operation === "adopt") return undefined;
  await earlier.end();
  return { id: made.id, properties: made.outs };
}

export type Stored = NonNullable<Result["stored"]>;

export async function perform(
  operation: Operation,
  user: UserRun,
  stored: Stored | undefined,
  timeouts: object,
): Promise<Result> {
  const news = { ...(operation === "create" ? BEFORE : AFTER), ...HIDDEN, __timeouts: timeouts };
  try {
    return await user.perform(async (run): Promise<Result> => {
      if (operation === "create" || operation === "adopt") {
        const { id, outs } = await create(snapshot, run, news);
        return { stored: { id, properties: outs } };
      }
      if (!stored) throw new Error(`nothing was prepared for ${operation}`);
      const { id, properties } = stored;
      switch (operation) {
        case "read": {
          const answer = await read(snapshot, run, id, properties);
          if (answer.id === undefined) return { stored: undefined, gone: true };
          return { stored: { id: answer.id, properties: answer.props, inputs: answer.inputs } };
        }
        case "update":
          return { stored: { id, properties: (await update(snapshot, run, id, properties, news)).outs } };
        case "delete":
          await remove(snapshot, run, id, { ...properties, __timeouts: timeouts });
          return { stored: undefined };
        case "look up": {
          // A configuration that no other cell has: lookups keep their clients by it.
          const { getSnapshot } = lookups(JSON.stringify({ [randomUUID()]: {} }));
          const { id: found, ...info } = await getSnapshot({ volumeId: SEED_VOLUMES.data });
          return { stored: { id: found, properties: info } };
        }
      }
    });
  } catch (error) {
    return { stored: error instanceof PartialFailure ? { id: error.id, properties: error.properties } : stored, error };
  }
}

/** What the user does next: the same command again, in a new process. Throws if that does not end well. */
export async function again(
  operation: Operation,
  user: UserRun,
  before: Stored | undefined,
  { stored, error, gone }: Result,
): Promise<void> {
  const timeouts = { create: "30m", update: "30m", delete: "30m" };
  const finished = await user.perform(async (run) => {
    const isCreation = operation === "create" || operation === "adopt";
    if (!isCreation || stored === undefined) return perform(operation, user, stored ?? before, timeouts);
    // The engine shows an id that it has recorded before it does anything with it.
    const news = { ...(operation === "create" ? BEFORE : AFTER), ...HIDDEN };
    run.sawId(snapshot, stored.id);
    const difference = diff(snapshot, stored.properties, news);
    if (difference.replaces?.length) {
      const made = await create(snapshot, run, news);
      await remove(snapshot, run, stored.id, stored.properties);
      return { stored: { id: made.id, properties: made.outs } };
    }
    // What ended in an init failure is updated whether it differs or not.
    if (error === undefined && difference.changes === false) return { stored };
    return {
      stored: { id: stored.id, properties: (await update(snapshot, run, stored.id, stored.properties, news)).outs },
    };
  });
  if ("error" in finished && finished.error !== undefined && !gone) throw finished.error;
}

/** How many snapshots there are once a run has gone well after whatever came before. */
export function wanted(operation: Operation): number {
  return operation === "delete" ? 0 : 1;
}

export function pendingOf(properties: Properties): Pending | undefined {
  return properties.pending as Pending | undefined;
}

export function settingsOf(authUrl: string): OpenStackSettings {
  const domain = { name: "Default" };
  return {
    authUrl,
    auth: {
      method: "password",
      user: { name: "demo", domain },
      password: PASSWORD,
      scope: { project: { name: "demo", domain } },
    },
    region: "RegionOne",
    interface: "public",
    endpointOverride: {},
    serviceType: {},
    serviceRegion: {},
    serviceInterface: {},
    tls: { insecure: false },
    source: 'cloud "lab" of /etc/openstack/clouds.yaml',
    sourceKind: "cloudsYaml",
    warnings: [],
  };
}
