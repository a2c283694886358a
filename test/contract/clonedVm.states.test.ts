// Every state of a ZStack VM (header/…/vm/VmInstanceState.java), and what ZStack allows in it (compute/…/vm/AbstractVmInstance.java):
// whatever the state is, and even if the VM stays in it for ever, an operation ends, and its failure says how to get out of it.

import { type Answer, OtherZStack, SOURCE } from "../support/otherZStack";

const START = ["Created", "Running", "Stopped", "Crashed"];
const STOP = ["NoState", "Running", "Stopped", "Unknown", "Crashed", "Paused"];
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  startVmInstance: START,
  stopVmInstance: STOP,
  resumeVmInstance: ["Paused"],
  expungeVmInstance: ["Destroyed"],
};
const BETWEEN = ["Starting", "Stopping", "Rebooting", "Migrating", "Pausing", "Resuming"];
const STORAGE = ["VolumeMigrating", "VolumeRecovering"];
const AT_REST = ["Created", "Running", "Stopped", "Paused", "Unknown", "NoState", "Error", "Crashed"];
const STATES = [...AT_REST, ...BETWEEN, ...STORAGE];

const WEB = { vmInstanceUuid: SOURCE, names: ["web-1", "web-2"] };

beforeAll(() => jest.spyOn(Math, "random").mockReturnValue(0.5));
afterAll(() => jest.restoreAllMocks());

/** Refuses what ZStack does not allow in the VM's state. A destroy is queued behind other work on the VM, in any state. */
function zstack(): OtherZStack {
  const cloud: OtherZStack = new OtherZStack({
    before(method, path, body): Answer | undefined {
      const [, collection, uuid = ""] = path.split("/");
      const [action = ""] = Object.keys((body ?? {}) as object);
      const state = cloud.vms.get(uuid)?.state;
      const allowed = ALLOWED[action];
      if (method !== "PUT" || collection !== "vm-instances" || state === undefined || allowed === undefined) return;
      if (allowed.includes(state)) return;
      const cause = { code: "VM.1010", details: `current vm instance state[${state}] doesn't allow to proceed` };
      return { status: 503, body: { error: { code: "SYS.1006", description: "An operation failed", cause } } };
    },
  });
  return cloud;
}

async function withState(state: string, more: object = {}) {
  const cloud = zstack();
  await cloud.up({ web: { ...WEB, ...more } });
  const vm = cloud.living.find(({ name }) => name === "web-1");
  if (vm === undefined) throw new Error("no VM");
  vm.state = state;
  return { cloud, vm };
}

test.each(STATES)("%s: a destroy deletes the VM", async (state) => {
  const { cloud } = await withState(state);
  expect((await cloud.destroy()).messages).toBe("");
  expect([cloud.living, cloud.engine.state.entries]).toEqual([[], []]);
});

test.each(STATES)("%s: a name that leaves the program takes its VM along", async (state) => {
  const { cloud } = await withState(state);
  expect((await cloud.up({ web: { ...WEB, names: ["web-2"] } })).messages).toBe("");
  expect(cloud.names).toEqual(["web-2"]);
});

test.each(STATES)("%s: a refresh shows it, and the VM stays in the set", async (state) => {
  const { cloud } = await withState(state);
  await cloud.refresh();
  expect(cloud.outputs.vms).toMatchObject([{ name: "web-1", state }, { name: "web-2" }]);
});

describe.each(["Running", "Stopped"])("powerState %s", (powerState) => {
  test.each(STATES)("of a VM in %s: it gets there, or the failure names the state and the way out", async (state) => {
    const { cloud, vm } = await withState(state);
    const program = { web: { ...WEB, powerState, __timeouts: { update: "10m" } } };
    const { messages } = await cloud.up(program);
    if (messages === "") {
      expect(vm.state).toBe(powerState);
      return;
    }
    expect(BETWEEN.concat(STORAGE, "NoState", "Unknown", "Error", "Created")).toContain(state);
    expect(messages).toContain(state);
    expect(messages).toMatch(/Run (again|the same command again)/);
    vm.state = "Paused";
    expect((await cloud.up(program)).messages).toBe("");
    expect(vm.state).toBe(powerState);
  });
});

test.each([...BETWEEN, ...STORAGE])(
  "a clone that stays in %s: the create says so, and a destroy deletes it",
  async (state) => {
    const cloud = zstack();
    cloud.ways.result = (rows) => {
      for (const row of rows) row.state = state;
      return { status: 200, body: { result: { inventories: rows.map((inventory) => ({ inventory })) } } };
    };
    const { messages } = await cloud.up({ web: { ...WEB, __timeouts: { create: "30m" } } });
    expect(messages).toContain(state);
    expect(messages).toMatch(/destroy the VM in ZStack/);
    expect((await cloud.destroy()).messages).toBe("");
    expect([cloud.living, cloud.engine.state.entries]).toEqual([[], []]);
  },
);

test("a job that runs for ever: the create says what to do", async () => {
  const cloud = zstack();
  cloud.ways.cloneMs = Number.POSITIVE_INFINITY;
  const { messages } = await cloud.up({ web: { ...WEB, __timeouts: { create: "30m" } } });
  expect(messages).toMatch(/waited .* for cloning 2 VMs.*Run the same command again later.*pulumi state delete/s);
});
