// Convergence of ClonedVm: whichever request of an operation fails or is where the process is killed, the same command
// without faults ends, within two runs, in what a first `up` gives, and leaves nothing behind. After a refresh, the next `up`
// has nothing to do.

import { ZSTACK_SEED } from "../../emulator";
import { type Fault, ZStackFixture } from "../contract/zstackFixture";

jest.setTimeout(400_000);
beforeAll(() => jest.spyOn(Math, "random").mockReturnValue(0.5));
afterAll(() => jest.restoreAllMocks());

const FAULTS: readonly Fault[] = ["503", "lost reply", "killed", "killed after", "job fails", "session ends"];
const TIMINGS = { zstackImage: 500, zstackClone: 500, zstackAction: 150, zstackQuick: 50 };

type Args = Record<string, unknown>;
const web = { vmInstanceUuid: ZSTACK_SEED.web, names: ["a", "b"], description: "one", userTags: ["x"] };
const db = { ...web, vmInstanceUuid: ZSTACK_SEED.db, full: true };

/** The program before the operation and after it. Undefined: no resource. */
const OPERATIONS: Record<string, { before?: Args; after?: Args }> = {
  create: { after: web },
  "create in full": { after: { ...db, deletion: "expunge" } },
  "a name added": { before: web, after: { ...web, names: ["a", "b", "c"] } },
  "a name added in full": { before: db, after: { ...db, names: ["a", "b", "c"] } },
  "a name removed": { before: web, after: { ...web, names: ["a"] } },
  "a name removed in full": { before: db, after: { ...db, names: ["a"] } },
  "a name removed in full, for good": {
    before: { ...db, deletion: "expunge" },
    after: { ...db, deletion: "expunge", names: ["a"] },
  },
  "names swapped": { before: web, after: { ...web, names: ["b", "c"] } },
  "names swapped in full, for good": {
    before: { ...db, deletion: "expunge" },
    after: { ...db, deletion: "expunge", names: ["b", "c"] },
  },
  description: { before: web, after: { ...web, description: "two" } },
  "power off": { before: web, after: { ...web, powerState: "Stopped" } },
  "user tags removed": { before: web, after: { ...web, description: "", userTags: undefined } },
  "user tags": { before: web, after: { ...web, userTags: ["y"] } },
  delete: { before: web },
  "delete in full": { before: db },
  "delete in full, for good": { before: { ...db, deletion: "expunge" } },
};

const program = (args: Args | undefined) => (args === undefined ? {} : { set: args });

/** Everything of ours on the server and in the state. */
function seen(fixture: ZStackFixture, expunged: boolean) {
  const { zstack } = fixture;
  const uuids = fixture.clones.map(({ uuid }) => uuid);
  const isSeed = (uuid: string | null) => uuid === ZSTACK_SEED.web || uuid === ZSTACK_SEED.db;
  return {
    clones: fixture.clones
      .map(({ uuid, name, state, description }) => ({
        name,
        state,
        description,
        tags: zstack
          .tagsOf(uuid)
          // The note of a tag that an update has added stays until the next one.
          .filter((tag) => !tag.startsWith("snapclone::adding::"))
          .map((tag) => tag.replace(/^snapclone::set::.*::/, "ours "))
          .sort(),
        disks: zstack.volumesOf(uuid, "Data").length,
      }))
      .sort((one, other) => (one.name < other.name ? -1 : 1)),
    // Data volumes that no clone has. Volumes in the bin count only if the program wanted them expunged.
    loose: [...zstack.volumes.values()].filter(
      ({ type, status, vmInstanceUuid: at }) =>
        type === "Data" && !isSeed(at) && !uuids.includes(at ?? "") && (expunged || status !== "Deleted"),
    ).length,
    inBin: expunged ? zstack.vms.size - 2 - uuids.length : 0,
    onSources: [ZSTACK_SEED.web, ZSTACK_SEED.db].flatMap((uuid) => zstack.tagsOf(uuid)),
    entries: fixture.engine.state.entries.map(({ outputs: { names, vms, pending, leftovers, unfinished } }) => {
      return { names, vms: (vms as { name: string }[]).map(({ name }) => name), pending, leftovers, unfinished };
    }),
  };
}

const fixture = new ZStackFixture({}, TIMINGS);

async function prepare(before: Args | undefined): Promise<void> {
  fixture.cloud.emulator.reset();
  fixture.engine.state = { entries: [], pending: [] };
  if (before) expect((await fixture.up(program(before))).messages).toBe("");
  fixture.wait(60_000);
}

test.each(Object.entries(OPERATIONS))("%s", async (_name, { before, after }) => {
  const expunged = (after ?? before)?.deletion === "expunge";
  const command = (faults: Record<number, Fault> = {}) =>
    after ? fixture.up(program(after), faults) : fixture.destroy(faults);
  // The result of a first `up`.
  await prepare(undefined);
  if (after) expect((await fixture.up(program(after))).errors).toEqual([]);
  const wanted = seen(fixture, expunged);

  await prepare(before);
  expect((await command()).errors).toEqual([]);
  const { requests } = fixture;
  expect(seen(fixture, expunged)).toEqual(wanted);
  const problems: string[] = [];
  for (let at = 0; at < requests; at += 1) {
    for (const fault of FAULTS) {
      await prepare(before);
      const first = await command({ [at]: fault });
      const what = `${fault} at request ${at} (${fixture.sent[at]})`;
      const messages = [first.messages];
      // Starting another command takes a second. A running job ends in the meantime.
      fixture.wait(1_000);
      for (let run = 1; run <= 2; run += 1) {
        const next = await command();
        messages.push(next.messages);
        if (next.errors.length === 0) break;
        if (run === 2) problems.push(`${what}: the second run without faults fails`);
      }
      const report = (problem: unknown) =>
        problems.push(`${what}: ${JSON.stringify(problem)}\n${messages.join("\n---\n")}`);
      const end = seen(fixture, expunged);
      if (JSON.stringify(end) !== JSON.stringify(wanted)) report(end);
      if (after) {
        await fixture.refresh();
        const again = await fixture.up(program(after));
        if (fixture.requests > 0) report({ notUnchanged: fixture.sent, said: again.messages });
      }
    }
  }
  if (problems.length > 0)
    throw new Error(`${problems.length} of ${requests * FAULTS.length}:\n${problems.slice(0, 6).join("\n\n")}`);
});
