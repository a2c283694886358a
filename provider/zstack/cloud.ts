// One opened ZStack connection: its wire client, and what our marks on its objects are. Lists by mark answer every
// question of the kind "what is there of this set?".

import { randomUUID } from "node:crypto";
import { type Clock, systemClock } from "../core/clock";
import type { ConnectionKind } from "../core/connections";
import type { Job } from "../core/definition";
import { isKind, SnapcloneError } from "../core/errors";
import type { Http } from "../core/http";
import { isRecord } from "../core/values";
import { type Verdict, waitFor } from "../core/wait";
import {
  hasCode,
  type JobAnswer,
  SESSION_LOST,
  type Submitted,
  type TagRow,
  type VmRow,
  ZStack,
  type ZStackError,
} from "./client";
import { resolveZStack, type ZStackSettings } from "./connection";

export const zstack: ConnectionKind<ZStackCloud> = {
  kind: "zstack",
  open(request) {
    const settings = resolveZStack(request);
    for (const warning of settings.warnings) request.warn(warning);
    return new ZStackCloud(settings);
  },
  close: (cloud) => cloud.wire.logOut(),
};

/** What a wait needs of a run. */
export type Waiting = Pick<Job, "clock" | "deadline" | "signal" | "progress">;

/** A clone under way, or what a killed run has left of one: told by a tag on the source, before it is asked for. */
export interface Intent {
  job: string;
  /** Seconds since 1970: the server has given up on it by then. */
  until: number;
  tag: string;
  source: string;
  /** Of a `create` whose id no state is known to have. */
  open?: { inputs: string; owner: string };
}

/** Everything that bears the mark of one set. */
export interface Marks {
  /** VM to the tag that marks it. */
  vms: ReadonlyMap<string, string>;
  /** Data volumes that were cloned along. */
  disks: readonly { volume: string; vm: string; tag: string }[];
  intents: readonly Intent[];
  adoptions: readonly { run: string; tag: string }[];
}

export type JobEnd =
  | { is: "done"; body: unknown }
  | { is: "failed"; error: ZStackError }
  /** Purged, or stuck beyond the server's own deadline (reference §2.4): what it has done only the VMs can tell. */
  | { is: "lost" };

/** A user tag takes any text, unlike a system tag, and `%` lists by its beginning (reference §3.6, RestServer: `~=` is LIKE). */
const PREFIX = "snapclone::";
/** Between the parts of a tag; an owner comes last, since a URN holds it, too. */
const PART = "::";
/** States in which a VM is no more: in the recycle bin, or being purged from it (reference §4, §11.7). */
const GONE = /^(Destroyed|Destroying|Expunging)$/;

/** Small work, such as a tag: a tenth of a second on an idle node. Clones: reference §11.4. */
const QUICK = { first: 200, most: 2_000 };
const SLOW = { first: 1_000, most: 5_000 };

export class ZStackCloud {
  readonly wire: ZStack;
  private versionAsked: Promise<string | undefined> | undefined;

  constructor(
    readonly settings: ZStackSettings,
    private readonly clock: Clock = systemClock,
    http?: Http,
  ) {
    this.wire = new ZStack(settings, { clock, ...(http ? { http } : {}) });
  }

  /** undefined where the server does not say; asked once a run. */
  async version(): Promise<string | undefined> {
    this.versionAsked ??= this.wire.getVersion().catch((error: unknown) => {
      this.versionAsked = undefined;
      if (isKind(error, "refused", "malformed")) return undefined;
      throw error;
    });
    return this.versionAsked;
  }

  // --- marks

  async marks(id: string, signal?: AbortSignal): Promise<Marks> {
    return readMarks(await this.wire.queryUserTags([`tag~=${PREFIX}%${id}%`], signal), id);
  }

  /** The open intents of all sets, whoever's. */
  async openIntents(): Promise<(Intent & { id: string })[]> {
    const rows = await this.wire.queryUserTags([`tag~=${PREFIX}open${PART}%`]);
    return rows.flatMap((row) => {
      const id = row.tag.split(PART)[2] ?? "";
      const intent = readIntent(row);
      return intent?.open && isUuid(id) ? [{ ...intent, id }] : [];
    });
  }

  /** VMs that are there: named after the set as clones are at first, tagged with it, or known from the state. */
  async members(
    id: string,
    marks: Marks,
    known: readonly string[],
    signal?: AbortSignal,
    gone: "without the gone" | "with the gone" = "without the gone",
  ): Promise<VmRow[]> {
    const uuids = [...new Set([...marks.vms.keys(), ...known])];
    const [named, listed] = await Promise.all([
      this.wire.queryVmInstances([`name~=%${provisionalName("", id)}`], signal),
      this.vms(uuids, signal),
    ]);
    const rows = new Map([...named, ...listed].map((row) => [row.uuid, row]));
    // The server's word is filtered once more: a condition that an old one does not understand must not widen the set.
    const ours = [...rows.values()].filter(({ uuid, name }) => uuids.includes(uuid) || plainName(name, id) !== name);
    return gone === "with the gone" ? ours : ours.filter(({ state }) => !GONE.test(state));
  }

  async vms(uuids: readonly string[], signal?: AbortSignal): Promise<VmRow[]> {
    const rows: VmRow[] = [];
    // An address takes so many uuids: 33 characters each.
    for (let at = 0; at < uuids.length; at += 100) {
      const some = uuids.slice(at, at + 100);
      const found = await this.wire.queryVmInstances([`uuid?=${some.join(",")}`], signal);
      rows.push(...found.filter(({ uuid }) => some.includes(uuid)));
    }
    return rows;
  }

  tagVm(vm: string, tag: string, waiting: Waiting): Promise<void> {
    return this.tag("VmInstanceVO", vm, tag, waiting);
  }

  markMember(id: string, vm: string, waiting: Waiting): Promise<void> {
    return this.tagVm(vm, [`${PREFIX}set`, id].join(PART), waiting);
  }

  markDisk(id: string, vm: string, volume: string, waiting: Waiting): Promise<void> {
    return this.tag("VolumeVO", volume, [`${PREFIX}disk`, id, vm].join(PART), waiting);
  }

  markAdoption(id: string, source: string, run: string, waiting: Waiting): Promise<void> {
    return this.tagVm(source, [`${PREFIX}adopted`, id, run].join(PART), waiting);
  }

  /** Written before the clone is asked for: a run that is killed at any later moment leaves it behind. */
  markIntent(id: string, intent: Omit<Intent, "tag">, waiting: Waiting): Promise<void> {
    const { job, until, source, open } = intent;
    const parts = open ? [`${PREFIX}open`, id, job, until, open.inputs, open.owner] : [`${PREFIX}job`, id, job, until];
    return this.tagVm(source, parts.join(PART), waiting);
  }

  async untag(tags: readonly string[], waiting: Waiting): Promise<void> {
    for (const tag of tags) {
      await this.run("a tag to be removed", (job) => this.wire.deleteTag(tag, job), waiting).catch((error: unknown) => {
        if (!isKind(error, "notFound")) throw error;
      });
    }
  }

  private async tag(type: string, uuid: string, tag: string, waiting: Waiting): Promise<void> {
    try {
      await this.run(`a tag on ${uuid}`, (job) => this.wire.createUserTag(type, uuid, tag, job), waiting);
    } catch (error) {
      // It is there already (reference §6).
      if (!hasCode(error, "TAG.1000")) throw error;
    }
  }

  // --- jobs

  /** Asks for work that may be asked for twice, and waits until it has ended well. A lost session costs a login and a fresh job id. */
  async run(
    what: string,
    submit: (job: string) => Promise<Submitted>,
    waiting: Waiting,
    pace: "quick" | "slow" = "quick",
  ): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const submitted = await submit(newUuid());
      const end = await this.jobEnd(what, submitted.job, waiting, { pace: pace === "quick" ? QUICK : SLOW });
      if (end.is !== "failed") return;
      if (attempt > 1 || !hasCode(end.error, SESSION_LOST)) throw end.error;
      this.wire.forget(submitted.session);
    }
  }

  async jobEnd(
    what: string,
    job: string,
    waiting: Waiting,
    { until, pace = SLOW, clones = false }: { until?: number | undefined; pace?: typeof SLOW; clones?: boolean } = {},
  ): Promise<JobEnd> {
    type Seen = JobAnswer & { progress?: string };
    const seen = await waitFor<Seen>({
      what,
      look: async (signal) => {
        const answer: Seen = await this.wire.queryJob(job, signal);
        if (clones && answer.is === "done" && !hasResult(answer.body)) throw withoutResult(job);
        if (answer.is !== "running" || !clones) return answer;
        // How far it is, and what keeps the session alive: polling a job does not (reference §1.2).
        const progress = await this.wire.progress(job, signal).catch(() => undefined);
        return progress === undefined ? answer : { ...answer, progress };
      },
      judge: (answer): Verdict => {
        const stuck = until !== undefined && waiting.clock.date().getTime() / 1000 >= until;
        if (answer.is !== "running" || stuck) return { is: "done", progress: `${what}: ended` };
        return { is: "pending", progress: `${what}${answer.progress ? ` ${answer.progress} %` : ""}` };
      },
      pace,
      job: waiting,
    });
    if (seen.is === "done") return seen;
    return seen.is === "failed" ? { is: "failed", error: this.wire.jobError(seen.fault, job) } : { is: "lost" };
  }

  /** For hooks that are given no Job: what they do is short. */
  shortly(): Waiting {
    return {
      clock: this.clock,
      deadline: this.clock.now() + 30_000,
      signal: new AbortController().signal,
      progress() {},
    };
  }
}

/** Of a clone there always is one, if of none that was made (reference §3.4). Other jobs may end with nothing to say. */
function hasResult(body: unknown): boolean {
  return isRecord(body) && isRecord(body.result);
}

function withoutResult(job: string): SnapcloneError {
  const said = "ZStack's answer says that the clones' job has ended, and has no result of it";
  return new SnapcloneError({ kind: "malformed", said, request: `job ${job}` });
}

/**
 * What a clone is called until it is marked and furnished: the one mark that is there from its first moment, since user
 * tags are dropped by the clone and other system tags refused (reference §3.6).
 */
export function provisionalName(name: string, id: string): string {
  return `${name}.sc-${id}`;
}

/** The name that the program gives it. */
export function plainName(name: string, id: string): string {
  const mark = provisionalName("", id);
  return name.endsWith(mark) ? name.slice(0, -mark.length) : name;
}

export function isMark(tag: string): boolean {
  return tag.startsWith(PREFIX);
}

/** 32 hex digits, of a version 4 UUID: destroy and job ids look at that (reference §2.5, §4). */
export function newUuid(): string {
  return randomUUID().replaceAll("-", "");
}

function isUuid(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}

function readMarks(rows: readonly TagRow[], id: string): Marks {
  const vms = new Map<string, string>();
  const disks: { volume: string; vm: string; tag: string }[] = [];
  const intents: Intent[] = [];
  const adoptions: { run: string; tag: string }[] = [];
  for (const row of rows) {
    const [, kind, of, third = ""] = row.tag.split(PART);
    if (!isMark(row.tag) || of !== id) continue;
    if (kind === "set") vms.set(row.resourceUuid, row.uuid);
    if (kind === "disk") disks.push({ volume: row.resourceUuid, vm: third, tag: row.uuid });
    if (kind === "adopted") adoptions.push({ run: third, tag: row.uuid });
    const intent = readIntent(row);
    if (intent) intents.push(intent);
  }
  return { vms, disks, intents, adoptions };
}

function readIntent({ tag, uuid, resourceUuid }: TagRow): Intent | undefined {
  const [, kind, , job = "", until = "", inputs = "", ...owner] = tag.split(PART);
  if ((kind !== "open" && kind !== "job") || !isUuid(job) || !/^\d+$/.test(until)) return undefined;
  const intent: Intent = { job, until: Number(until), tag: uuid, source: resourceUuid };
  return kind === "open" ? { ...intent, open: { inputs, owner: owner.join(PART) } } : intent;
}
