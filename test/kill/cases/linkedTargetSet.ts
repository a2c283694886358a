// LinkedTargetSet under the kill tests: sets of two targets, all of one session, told apart by their names.

import { SEED_SESSIONS, startEmulator, type ViprTarget } from "../../../emulator/index";
import { COMMON_STORIES } from "../plan";
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

/** Owner, inputs and attempt, as all targets that the provider makes bear them. */
const RECORD = /-[0-9a-f]{18}g\d+-\d+$/;

export const linkedTargetSet: ResourceCase = {
  type: "LinkedTargetSet",
  stories: COMMON_STORIES,
  size: 3,
  ground,
  program: ({ sources: [snapshotSessionId] }, size) =>
    programOf(size, (targetName) => ({ snapshotSessionId, targetName, count: 2 })),
  changed: (args) => ({ ...args, count: 3 }),
  wanted: ({ snapshotSessionId, targetName, count }) =>
    Array.from({ length: Number(count) }, () => ({ from: String(snapshotSessionId), shows: { targetName } })),
  idsOf: ({ outputs }) => ((outputs.targets ?? []) as Args[]).map(({ id }) => String(id)),
  isWhole: ({ targets, count }) => Array.isArray(targets) && targets.length === count,
};

async function ground(stackName: string): Promise<BackendFixture> {
  const cloud = await startEmulator({ latencyMs: LATENCY_MS, timings: { viprLink: 500, viprUnlink: 200 } });
  const { vipr, requests } = cloud;
  const witness = new RequestSpy(requests, {
    create: /^sessions\.link$/,
    delete: /^sessions\.unlink$/,
    look: /^sessions\.task$|^tasks\./,
  });
  witness.watch(vipr.targets);
  const copyOf = (target: ViprTarget): Copy => {
    const [targetName = ""] = target.label.split("-");
    return {
      id: target.id,
      // In this program each resource has a name of its own, and the record's digests stand for it.
      owner: urnOf(stackName, "LinkedTargetSet", targetName),
      // What was begun and is not linked yet, or never was, is of no session.
      from: vipr.isLinkedTo(target)?.id ?? "",
      shows: { targetName },
      open: RECORD.test(target.label),
      leaving: false,
    };
  };
  const unlink = vipr.unlink.bind(vipr);
  vipr.unlink = (session, wanted) => {
    const active = [...vipr.targets.values()].filter(({ inactive }) => !inactive);
    const leaving = active.filter(({ id }) => wanted.has(id)).map(copyOf);
    for (const copy of leaving) {
      const others = active.filter((other) => !wanted.has(other.id) && copyOf(other).owner === copy.owner);
      witness.deleted(
        copy,
        others.some((other) => vipr.isLinkedTo(other) !== undefined),
      );
    }
    return unlink(session, wanted);
  };
  witness.forget();
  return {
    connections: { default: { ...cloud.viprLogin.connection() } },
    sources: [SEED_SESSIONS.monday, SEED_SESSIONS.tuesday],
    copies: async () => vipr.active().map(copyOf),
    async reset() {
      cloud.reset();
      witness.forget();
    },
    witness,
    close: () => cloud.close(),
  };
}
