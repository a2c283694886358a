// LinkedTargetSet in the kill suite: sets of two targets, all of one session, told apart by their names.

import { SEED_SESSIONS, startEmulator, type ViprTarget } from "../../../emulator/index";
import { COMMON_SCENARIOS } from "../plan";
import {
  type Args,
  type BackendFixture,
  type Copy,
  LATENCY_MS,
  programOf,
  RequestSpy,
  type ResourceCase,
  urnOf,
} from "../resourceCase";

/** Owner, inputs and attempt: the end of every target's name that the provider gives. */
const RECORD = /-[0-9a-f]{18}g\d+-\d+$/;

export const linkedTargetSet: ResourceCase = {
  type: "LinkedTargetSet",
  scenarios: COMMON_SCENARIOS,
  size: 3,
  openBackend,
  program: ({ sources: [snapshotSessionId] }, size) =>
    programOf(size, (targetName) => ({ snapshotSessionId, targetName, count: 2 })),
  changed: (args) => ({ ...args, count: 3 }),
  expectedCopies: ({ snapshotSessionId, targetName, count }) =>
    Array.from({ length: Number(count) }, () => ({ source: String(snapshotSessionId), attributes: { targetName } })),
  copyIdsOf: ({ outputs }) => ((outputs.targets ?? []) as Args[]).map(({ id }) => String(id)),
  isComplete: ({ targets, count }) => Array.isArray(targets) && targets.length === count,
};

async function openBackend(stackName: string): Promise<BackendFixture> {
  const cloud = await startEmulator({ latencyMs: LATENCY_MS, timings: { viprLink: 500, viprUnlink: 200 } });
  const { vipr, requests } = cloud;
  const spy = new RequestSpy(requests, {
    create: /^sessions\.link$/,
    delete: /^sessions\.unlink$/,
    poll: /^sessions\.task$|^tasks\./,
  });
  spy.watch(vipr.targets);
  const copyOf = (target: ViprTarget): Copy => {
    const [targetName = ""] = target.label.split("-");
    return {
      id: target.id,
      // The record holds digests. In this program each resource has its own target name, which says the same.
      owner: urnOf(stackName, "LinkedTargetSet", targetName),
      // A target that is not linked yet, or never was, has no session.
      source: vipr.isLinkedTo(target)?.id ?? "",
      attributes: { targetName },
      hasRecord: RECORD.test(target.label),
      isDeleting: false,
    };
  };
  const unlink = vipr.unlink.bind(vipr);
  vipr.unlink = (session, wanted) => {
    const active = [...vipr.targets.values()].filter(({ inactive }) => !inactive);
    const leaving = active.filter(({ id }) => wanted.has(id)).map(copyOf);
    for (const copy of leaving) {
      const others = active.filter((other) => !wanted.has(other.id) && copyOf(other).owner === copy.owner);
      spy.recordDeletion(
        copy,
        others.some((other) => vipr.isLinkedTo(other) !== undefined),
      );
    }
    return unlink(session, wanted);
  };
  spy.clear();
  return {
    connections: { default: { ...cloud.vipr.connection() } },
    sources: [SEED_SESSIONS.monday, SEED_SESSIONS.tuesday],
    copies: async () => vipr.active().map(copyOf),
    async reset() {
      cloud.reset();
      spy.clear();
    },
    spy,
    close: () => cloud.close(),
  };
}
