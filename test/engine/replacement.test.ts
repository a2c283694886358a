// States of early builds may have two entries with one id: those builds could adopt, in a `--replace`, the very object
// that was to be replaced, and were killed before the old entry was gone. Neither entry's deletion may take the object from
// the other.

import * as fs from "node:fs";
import * as path from "node:path";
import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { describeEngine, newStack, type Result, type Stack, type State, type StateResource } from "./harness";

const DECLARED = `new (require("pulumi-snapclone").Snapshot)("copy", { volumeId: "${SEED_VOLUMES.data}" });`;

describeEngine("a state of an early build with two entries of one id", () => {
  let cloud: Emulator;
  let stack: Stack;

  beforeAll(async () => {
    cloud = await startEmulator({ timings: { snapshotCreate: 200, snapshotDelete: 100 } });
  });

  beforeEach(async () => {
    stack = await newStack({ program: { js: DECLARED }, config: { default: { ...cloud.openstack.connection() } } });
  });

  afterEach(async () => {
    await stack.close();
    cloud.reset();
  });

  afterAll(() => cloud.close());

  const ids = () => {
    cloud.cinder.advance();
    return [...cloud.cinder.snapshots.keys()];
  };

  test("a plain up keeps the only copy and says so, another one too; --replace then makes a new one", async () => {
    const id = await earlierState((entry) => [
      { ...entry, outputs: { ...entry.outputs, __adopted: "run 7" } },
      replaced(entry),
    ]);

    // The first `up` drops the entry that waits to be deleted, and says that it leaves the object alone.
    const first = await ok(stack.up());
    expect(first.stdout).toContain("was not deleted: another entry of the state");
    for (const result of [first, await ok(stack.up()), await ok(stack.refresh())]) {
      expect(ids()).toEqual([id]);
      expect(await entries()).toEqual([{ id, leaving: false }]);
      // The early build's record is open, and the state holds the snapshot that has it.
      expect(result.stdout).not.toMatch(/adopted the|in no state/);
    }

    expect((await ok(stack.up({ args: ["--replace", "**"] }))).stdout).not.toContain("adopted the");
    expect(ids()).toHaveLength(1);
    expect(ids()).not.toContain(id);
    await ok(stack.destroy());
    expect(ids()).toEqual([]);
  });

  test("destroy deletes the object once, with the entry that goes last", async () => {
    await earlierState((entry) => [{ ...entry, outputs: { ...entry.outputs, __adopted: "run 7" } }, replaced(entry)]);
    await ok(stack.destroy());
    expect(await entries()).toEqual([]);
    expect(ids()).toEqual([]);
  });

  test("an entry that only reads the object (get) does not keep it", async () => {
    const id = await earlierState((entry) => [entry]);
    const reading = `require("pulumi-snapclone").Snapshot.get("read", "${id}");`;
    stack.setProgram({ js: `${DECLARED}\n${reading}` });
    await ok(stack.up());
    stack.setProgram({ js: "" });
    const { deployment } = await stack.export();
    expect((deployment.resources ?? []).filter((entry) => entry.id === id)).toHaveLength(2);
    const result = await ok(stack.up());
    expect(result.stdout).not.toContain("was not deleted");
    expect(ids()).toEqual([]);
  });

  /** Makes a snapshot, and changes state and cloud into what an early build would have left. */
  async function earlierState(change: (entry: StateResource) => StateResource[]): Promise<string> {
    await ok(stack.up());
    const [id = ""] = ids();
    const row = cloud.cinder.snapshots.get(id);
    if (!row) throw new Error("no snapshot");
    for (const key of ["snapclone:stack", "snapclone:attempt"]) delete row.metadata[key];
    row.metadata["snapclone:phase"] = "open";
    const state: State = await stack.export();
    state.deployment.resources = (state.deployment.resources ?? []).flatMap((entry) =>
      entry.id === id ? change(withoutNewFields(entry)) : [entry],
    );
    const file = path.join(stack.dir, "..", "earlier.json");
    fs.writeFileSync(file, JSON.stringify(state));
    await ok(stack.command(["stack", "import", "--stack", stack.name, "--file", file]));
    return id;
  }

  async function entries(): Promise<{ id: string | undefined; leaving: boolean }[]> {
    return (await stack.resources()).map(({ id, delete: leaving = false }) => ({ id, leaving }));
  }
});

function withoutNewFields(entry: StateResource): StateResource {
  const { __attempt: _attempt, __organization: _organization, ...inputs } = entry.inputs ?? {};
  const { __attempt, __organization, __stack, __backend, ...outputs } = entry.outputs ?? {};
  return { ...entry, inputs, outputs };
}

/** The same object, in the entry that waits to be deleted. */
function replaced(entry: StateResource): StateResource {
  return { ...entry, delete: true };
}

async function ok(running: Promise<Result>): Promise<Result> {
  const result = await running;
  if (result.code !== 0) throw new Error(`exit code ${result.code}\n${result.stdout}\n${result.stderr}`);
  return result;
}
