// Convergence of ClonedVm over random sequences: changes of the program, failures and kills at any request, clones with an
// unknown outcome, changes by hand. In the end an `up` without faults gives what the program says, a second `up` has nothing
// to do, and a destroy leaves nothing. FAULTS_SEED repeats a run.

import fc from "fast-check";
import { ZSTACK_SEED } from "../../emulator";
import type { CLONE_OUTCOMES } from "../../emulator/zstack/model";
import { type Fault, ZStackFixture } from "../contract/zstackFixture";

const SEED = Number(process.env.FAULTS_SEED ?? 20_261_128);
const SEQUENCES = Number(process.env.FAULTS_SEQUENCES ?? 150);

/** More than ZStack is given for a clone job, by the default time-out of a create. */
const JOB_TIME_MS = 4 * 3_600_000;

jest.setTimeout(400_000);
beforeAll(() => jest.spyOn(Math, "random").mockReturnValue(0.5));
afterAll(() => jest.restoreAllMocks());

type Outcome = (typeof CLONE_OUTCOMES)[number];
type Args = Record<string, unknown>;
type Step =
  | { do: "up"; args: Args; fault: [number, Fault] | undefined }
  | { do: "destroy" | "refresh"; fault: [number, Fault] | undefined }
  | { do: "outcome"; outcome: Outcome }
  | { do: "by hand"; how: "rename" | "bin" | "expunge" | "stop" | "untag"; at: number }
  | { do: "wait" };

const argsOf = fc.record<Args>({
  vmInstanceUuid: fc.constant(ZSTACK_SEED.db),
  full: fc.constant(true),
  names: fc.subarray(["a", "b", "c"], { minLength: 1 }),
  description: fc.constantFrom("one", "two"),
  userTags: fc.constantFrom(["x"], ["x", "y"], undefined),
  deletion: fc.constantFrom("destroy", "expunge"),
  powerState: fc.constant("Running"),
});
const fault = fc.option(
  fc.tuple(
    fc.nat(22),
    fc.constantFrom<Fault>("503", "lost reply", "killed", "killed after", "job fails", "session ends"),
  ),
  { nil: undefined },
);
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant("up" as const), args: argsOf, fault }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("destroy" as const, "refresh" as const), fault }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant("outcome" as const),
        outcome: fc.constantFrom<Outcome>(
          ...(["no-host", "start-failed", "start-failed-gone", "refused", "orphans", "unattached", "timeout"] as const),
          ...(["purged", "given-up", "forgotten"] as const),
        ),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant("by hand" as const),
        how: fc.constantFrom("rename" as const, "bin" as const, "expunge" as const, "stop" as const, "untag" as const),
        at: fc.nat(2),
      }),
    },
    fc.record({ do: fc.constant("wait" as const) }),
  ),
  { minLength: 1, maxLength: 6 },
);

const fixture = new ZStackFixture({}, { zstackImage: 2_000, zstackClone: 2_000, zstackAction: 150, zstackQuick: 50 });
/** The messages of all runs. */
const messages: string[] = [];

async function take(step: Step): Promise<void> {
  const faults = "fault" in step && step.fault ? { [step.fault[0]]: step.fault[1] } : {};
  if (step.do === "up") messages.push((await fixture.up({ set: step.args }, faults)).messages);
  if (step.do === "destroy" || step.do === "refresh") messages.push((await fixture[step.do](faults)).messages);
  if (step.do === "outcome") fixture.zstack.failNextClone(step.outcome);
  if (step.do === "wait") fixture.wait(600_000);
  if (step.do === "by hand") byHand(step.how, step.at);
  // What it takes to start another command.
  fixture.wait(1_000);
}

function byHand(how: string, at: number): void {
  const { zstack } = fixture;
  const finished = fixture.clones.filter(({ name }) => !name.includes(".sc-"));
  const vm = finished[at % Math.max(1, finished.length)];
  if (!vm) return;
  if (how === "rename") vm.name = "renamed";
  if (how === "stop") vm.state = "Stopped";
  // Without the tag, only the state shows the owner; and only the state shows which data volumes a removed VM has had.
  const known = fixture.engine.state.entries.flatMap(({ outputs }) => (outputs.vms ?? []) as { uuid: string }[]);
  const isKnown = known.some(({ uuid }) => uuid === vm.uuid);
  if (how === "untag" && isKnown) {
    for (const [uuid, { resourceUuid }] of zstack.tags) if (resourceUuid === vm.uuid) zstack.tags.delete(uuid);
  }
  if ((how === "bin" || how === "expunge") && isKnown) {
    for (const volume of zstack.volumesOf(vm.uuid, "Data")) zstack.detach(volume);
    vm.state = "Destroyed";
  }
  if (how === "expunge" && isKnown) zstack.removeVm(vm.uuid);
}

/** Clones as anybody can see them. */
const seen = () =>
  fixture.clones
    .map(({ uuid, name, state, description }) => {
      const tags = fixture.zstack.tagsOf(uuid).filter((tag) => !tag.startsWith("snapclone::"));
      return { name, state, description, tags: tags.sort(), disks: fixture.zstack.volumesOf(uuid, "Data").length };
    })
    .sort((one, other) => (one.name < other.name ? -1 : 1));

const inOrder = ({ name, state, description, tags, disks }: ReturnType<typeof seen>[number]) => {
  return [name, state, description, tags, disks];
};

test(`${SEQUENCES} sequences end in what a first up gives (seed ${SEED})`, async () => {
  await fc.assert(
    fc.asyncProperty(steps, argsOf, async (sequence, last) => {
      fixture.cloud.emulator.reset();
      fixture.engine.state = { entries: [], pending: [] };
      messages.length = 0;
      for (const step of sequence) await take(step);
      fixture.zstack.forgetBehaviours();

      const problems: string[] = [];
      const expect = (what: string, is: unknown, wanted: unknown) => {
        if (JSON.stringify(is) !== JSON.stringify(wanted)) problems.push(`${what}: ${JSON.stringify(is)}`);
      };
      // What somebody has done on the server a refresh shows, and nothing else.
      messages.push((await fixture.refresh()).messages);
      for (let run = 1; run <= 2; run += 1) {
        const { errors, messages: message } = await fixture.up({ set: last });
        messages.push(message);
        if (errors.length === 0) break;
        if (run === 2) problems.push("the second up without faults fails");
        // Before its time is over, nothing shows whether ZStack still works on a job that it has given up or forgotten.
        await fixture.clock.sleep(JOB_TIME_MS);
      }
      const {
        names,
        description,
        userTags = [],
      } = last as { names: string[]; description: string; userTags?: string[] };
      const wanted = names.map((name) => ({
        name,
        state: "Running",
        description,
        tags: [...userTags].sort(),
        disks: 2,
      }));
      // User tags of a killed run that the program has since dropped cannot be recognised.
      const wasKilled = sequence.some((step) => "fault" in step && step.fault?.[1].startsWith("killed"));
      const clones = seen().map(({ tags, ...clone }) => {
        return { ...clone, tags: wasKilled ? tags.filter((tag) => userTags.includes(tag)) : tags };
      });
      expect("clones", clones.map(inOrder), wanted.map(inOrder));
      expect("on the source", fixture.zstack.tagsOf(ZSTACK_SEED.db), []);
      await fixture.refresh();
      const again = await fixture.up({ set: last });
      expect("the next up has something to do", fixture.sent, []);
      messages.push(again.messages);
      const destroyed = await fixture.destroy();
      messages.push(destroyed.messages);
      expect(
        "after the destroy",
        [destroyed.errors.length, seen(), fixture.zstack.tagsOf(ZSTACK_SEED.db)],
        [0, [], []],
      );
      const loose = [...fixture.zstack.volumes.values()].filter(({ type, status, vmInstanceUuid: at }) => {
        return type === "Data" && at !== ZSTACK_SEED.db && status !== "Deleted";
      });
      expect("volumes after the destroy", loose.length, 0);
      if (problems.length > 0) throw new Error(`${problems.join("\n")}\n${messages.join("\n--\n")}`);
    }),
    { numRuns: SEQUENCES, seed: SEED, endOnFailure: false },
  );
});
