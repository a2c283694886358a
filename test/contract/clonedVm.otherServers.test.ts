// ClonedVm on servers that use the freedom that the vendor's documents leave them (test/support/otherZStack.ts).

import { type Answer, OtherZStack, SOURCE, type Ways } from "../support/otherZStack";

const WEB = { vmInstanceUuid: SOURCE, names: ["web-1", "web-2"], deletion: "expunge", userTags: ["team::shop"] };
const NEXT = { ...WEB, names: ["web-2", "web-3"], description: "of the day", userTags: ["tier::gold"] };

beforeAll(() => jest.spyOn(Math, "random").mockReturnValue(0.5));

afterAll(() => jest.restoreAllMocks());

const located = (location: string): Answer => ({ status: 202, body: { location } });
const inHeader = (location: string): Answer => ({ status: 202, body: {}, headers: { location } });
const notFound = (status: number, details: string): Answer => ({
  status,
  body: { error: { code: "SYS.1003", details } },
});
const refused: Answer = { status: 503, body: { error: { code: "SYS.1006", details: "expunging is off" } } };
const ended = (body: object): Answer => ({ status: 200, body });
/** A clone that lasts longer than a session. */
const short = { jobsNeedSession: true, sessionMs: 3_000, cloneMs: 60_000 };

const SYNCHRONOUS: Partial<Ways> = { isSynchronous: true };
const OWN_IDS: Partial<Ways> = { heedsJobId: false };

const WAYS: [string, Partial<Ways>][] = [
  ["answers as the vendor's", {}],
  ["carries out each call at once", SYNCHRONOUS],
  ["chooses the ids of jobs itself", OWN_IDS],
  ["chooses the ids, and shows VMs late", { ...OWN_IDS, rowsMs: 400_000, cloneMs: 900_000 }],
  ["has ids with dashes", { ...OWN_IDS, hasDashes: true }],
  ["gives a relative address of the job", { ...OWN_IDS, location: (job) => located(`/zstack/v1/api-jobs/${job}`) }],
  ["gives the job's address in a header", { ...OWN_IDS, location: (job) => inHeader(`/zstack/v1/api-jobs/${job}`) }],
  ["wants a session for job queries", { jobsNeedSession: true }],
  ["wants a session for job queries, and ends it", short],
  ["refuses lost sessions with 401", { ...short, lostSession: { status: 401, text: "Unauthorized" } }],
  ["tells the end of a job once", { tellsEnd: 1 }],
  ["forgets a job at its end", { tellsEnd: 0 }],
  ["forgets a job, with JSON", { tellsEnd: 0, unknownJob: (job) => notFound(404, `job ${job} not found`) }],
  ["forgets a job, in other words", { tellsEnd: 0, unknownJob: () => ({ status: 404, text: "job not found" }) }],
  ["forgets a job, with a 503", { tellsEnd: 0, unknownJob: (job) => notFound(503, `job[uuid:${job}] not found`) }],
  ["gives one row at once", { page: 1 }],
  ["ignores conditions", { ignoresConditions: true }],
  ["adds to the end of names", { nameOf: (name) => `${name}-1` }],
  ["adds to the beginning of names", { nameOf: (name) => `Copy of ${name}` }],
  ["writes names in capitals", { nameOf: (name) => name.toUpperCase() }],
  ["copies user tags to clones", { copiesUserTags: true }],
  ["lets a tag be there twice", { repeatsTags: true }],
  ["leaves the list out of a result", { result: () => ended({ result: { numberOfClonedVm: 0 } }) }],
  ["has no result", { result: () => ended({}) }],
  ["does not wrap the result", { result: (rows) => ended({ inventories: rows.map((inventory) => ({ inventory })) }) }],
  ["does not wrap the VMs", { result: (inventories) => ended({ result: { inventories } }) }],
];

test.each(WAYS)("other servers: a life of a set where the server %s", async (_name, ways) => {
  const cloud = new OtherZStack(ways);
  const made = await cloud.up({ web: WEB });
  expect([made.messages, cloud.names, cloud.clones]).toEqual(["", ["web-1", "web-2"], 1]);
  const kept = cloud.living.find(({ name }) => name === "web-2")?.uuid;
  expect((await cloud.refresh()).messages).toBe("");
  const changed = await cloud.up({ web: NEXT });
  expect([changed.messages, cloud.names, cloud.clones]).toEqual(["", ["web-2", "web-3"], 2]);
  expect(cloud.living.map(({ description }) => description)).toEqual(["of the day", "of the day"]);
  expect(cloud.living.find(({ name }) => name === "web-2")?.uuid).toBe(kept);
  expect((await cloud.destroy()).messages).toBe("");
  expect([[...cloud.vms.keys()], cloud.tags, cloud.engine.state.entries]).toEqual([[SOURCE], [], []]);
});

describe.each<[string, Partial<Ways>]>([
  ["carries out each call at once", SYNCHRONOUS],
  ["chooses the ids of jobs itself", OWN_IDS],
])("other servers: where the server %s,", (_name, ways) => {
  // A test for every fourth request: all of them together take longer than a test may on a loaded machine.
  const parts = (["killed", "killed after", "lost reply"] as const).flatMap((fault) =>
    [0, 1, 2, 3].map((first) => [fault, first] as const),
  );
  test.each(parts)(
    "the next run clones nothing twice, whichever request of a create is %s (%i, and every fourth after it)",
    async (fault, first) => {
      const probe = new OtherZStack(ways);
      await probe.up({ web: WEB });
      const requests = probe.sent.length;
      for (let at = first; at < requests; at += 4) {
        const cloud = new OtherZStack(ways);
        await cloud.up({ web: WEB }, { [at]: fault });
        const { errors } = await cloud.up({ web: WEB });
        expect([at, errors, cloud.names, cloud.clones]).toEqual([at, [], ["web-1", "web-2"], 1]);
        expect((await cloud.destroy()).messages).toBe("");
        expect([at, [...cloud.vms.keys()], cloud.tags]).toEqual([at, [SOURCE], []]);
      }
    },
  );
});

test("other servers: a result that names the source does not make the source a clone", async () => {
  const source = { inventory: { uuid: SOURCE, name: "web" } };
  const result: Ways["result"] = (rows) =>
    ended({ result: { inventories: [...rows.map((inventory) => ({ inventory })), source] } });
  const cloud = new OtherZStack({ result });
  expect((await cloud.up({ web: WEB })).messages).toBe("");
  expect(cloud.tags.filter(({ resourceUuid }) => resourceUuid === SOURCE)).toEqual([]);
  await cloud.destroy();
  expect([...cloud.vms.keys()]).toEqual([SOURCE]);
});

test("other servers: a clone of a clone is no member of the first set, though the server copies user tags", async () => {
  const cloud = new OtherZStack({ copiesUserTags: true });
  const first = { ...WEB, names: ["first"] };
  await cloud.up({ first });
  const second = { ...WEB, vmInstanceUuid: cloud.living[0]?.uuid, names: ["second"] };
  await cloud.up({ first, second });
  expect((await cloud.refresh()).messages).toBe("");
  await cloud.up({ second });
  expect(cloud.names).toEqual(["second"]);
});

test("other servers: where nothing may be expunged, the error names a way out, and this way leads out", async () => {
  const cloud = new OtherZStack({
    before: (_method, _path, body) => (JSON.stringify(body ?? {}).includes("expungeVmInstance") ? refused : undefined),
  });
  await cloud.up({ web: WEB });
  const one = { ...WEB, names: ["web-2"] };
  expect((await cloud.up({ web: one })).messages).toMatch(
    /expunging is off.*Expunge it by hand, or set `deletion: "destroy"`/s,
  );
  expect((await cloud.up({ web: { ...one, deletion: "destroy" } })).messages).toBe("");
  expect((await cloud.destroy()).messages).toBe("");
  expect([cloud.living, cloud.tags.filter(({ tag }) => tag.startsWith("snapclone::"))]).toEqual([[], []]);
});
