// VolumeClone against a PowerVC that behaves as IBM's document allows, and as the project's emulator does not.

import { create, read, remove, update } from "../../provider/core/lifecycle";
import type { Properties } from "../../provider/core/operation";
import { partial } from "../support/failures";
import { FakeEngine } from "../support/fakeEngine";
import type { Reply, Sent } from "../support/jsonServer";
import { OtherPowerVc, SOURCES, type Task } from "./otherPowerVc";

let powervc: OtherPowerVc;
beforeEach(async () => {
  powervc = new OtherPowerVc();
  await powervc.start();
});
afterEach(() => powervc.close());

const make = (more: Properties = {}) => create(powervc.definition, powervc.newRun(), powervc.news(more));
const change = (id: string, outs: Properties, more: Properties = {}) =>
  update(powervc.definition, powervc.newRun(), id, outs, powervc.news(more));
const destroy = (id: string, outs: Properties) => remove(powervc.definition, powervc.newRun(), id, outs);

type Answered = (sent: Sent, reply: Reply) => Reply;
// biome-ignore lint/suspicious/noExplicitAny: bodies of a foreign API
type Body = any;

/** Changes fields of all answers. */
const fields =
  (change: (key: string, value: unknown) => unknown): Answered =>
  (_sent, { status, body }) => ({ status, body: body && JSON.parse(JSON.stringify(body, change)) });
const progress =
  (form: (details: Body) => Body): Answered =>
  (sent, reply) =>
    sent.path.endsWith("get_progress") && reply.status === 200
      ? { status: 200, body: form(reply.body.details) }
      : reply;
const results = (form: (results: Record<string, string>) => unknown): Answered =>
  progress((details) => ({ details: { ...details, results: form(details.results) } }));
const unknownTask =
  (status: number, body: Body): Answered =>
  (sent, reply) =>
    sent.path.endsWith("get_progress") ? { status, body } : reply;
const mapped = (all: Record<string, string>, form: (source: string, clone: string) => [string, unknown]) =>
  Object.fromEntries(Object.entries(all).map(([source, clone]) => form(source, clone)));

test.each<[string, Answered]>([
  ["as in the document", (_sent, reply) => reply],
  ["results as a list", results((all) => Object.values(all))],
  ["no results", results(() => undefined)],
  ["null for results", results(() => null)],
  ["results from clone to source", results((all) => mapped(all, (source, clone) => [clone, source]))],
  [
    "results in upper case",
    results((all) => mapped(all, (source, clone) => [source.toUpperCase(), clone.toUpperCase()])),
  ],
  ["a part of the results", results((all) => Object.fromEntries(Object.entries(all).slice(0, 1)))],
  ["an empty failure", results((all) => ({ ...all, failure: "" }))],
  [
    "the flow's state alone",
    progress(({ flow_details, ...details }) => ({ details: { ...details, flow_details: flow_details.cloneFlow } })),
  ],
  [
    "steps as lists",
    progress((details) => ({
      details: { ...details, completed_tasks: Object.keys(details.completed_tasks), pending_tasks: [] },
    })),
  ],
  ["everything beside details", progress((details) => details)],
  ["400 for the task", unknownTask(400, { badRequest: { code: 400, message: "Invalid task id." } })],
  ["404 for the task", unknownTask(404, "<html/>")],
  ["500 for the task", unknownTask(500, { computeFault: { code: 500, message: "The server has failed." } })],
  ["nothing about the task", unknownTask(200, {})],
  [
    "null for metadata and attachments",
    fields((key, value) =>
      /^(metadata|attachments)$/.test(key) && Object.keys(Object(value)).length === 0 ? null : value,
    ),
  ],
  ["no source of clones", fields((key, value) => (key === "source_volid" ? null : value))],
  ["no times", fields((key, value) => (key === "created_at" ? null : value))],
])("a set's life with a PowerVC that answers %s", async (_how, answered) => {
  powervc.answered = answered;
  powervc.begun = (task) => void powervc.pass(6_000).then(() => task.end());
  const { id, outs } = await make();
  const { props } = await read(powervc.definition, powervc.newRun(), id, outs);
  expect(props).toMatchObject({ clones: outs.clones as object, displayName: "before" });
  const { outs: after } = await change(id, outs, { displayName: "after" });
  expect(powervc.clones().map(({ name }) => name)).toEqual(["clone-after-1", "clone-after-2"]);
  for (const [index, source] of SOURCES.entries())
    expect(powervc.volumes.get((outs.clones as Record<string, string>)[source] ?? "")?.size).toBe(5 + index);
  await destroy(id, after);
  expect(powervc.clones()).toEqual([]);
  expect(powervc.posts()).toBe(1);
});

describe("a task that names volumes of others", () => {
  /** The task's answer names this clone of the first source. */
  const naming = (clone: string): Answered => results((all) => ({ ...all, [SOURCES[0]]: clone }));

  test("a clone of another set stays that set's", async () => {
    const other = await make({ displayName: "other", __owner: "urn:pulumi:dev::shop::p:VolumeClone::other" });
    const theirs = (other.outs.clones as Record<string, string>)[SOURCES[0]] ?? "";
    const before = structuredClone(powervc.volumes.get(theirs));
    powervc.newProcess();
    powervc.answered = naming(theirs);
    const { id, message, properties } = await partial(make());
    expect(message).toContain("names volumes that are not clones of this set");
    expect(powervc.volumes.get(theirs)).toEqual(before);
    powervc.newProcess();
    await destroy(id, properties);
    expect(powervc.clones().map(({ name }) => name)).toEqual(["clone-other-1", "clone-other-2"]);
  });

  test("an older volume stays as it is", async () => {
    const created_at = "2026-01-01T00:00:00.000000";
    const old = powervc.addVolume({ name: "golden", source_volid: SOURCES[0], created_at });
    powervc.answered = naming(old.id);
    const { id, properties } = await partial(make());
    powervc.newProcess();
    await destroy(id, properties);
    expect(powervc.clones()).toMatchObject([{ id: old.id, name: "golden", metadata: {} }]);
  });
});

test.each([
  ["in upper case", (name: string) => name.toUpperCase()],
  ["cut off", (name: string) => name.slice(0, 31)],
  ["with a suffix", (name: string) => `${name}_copy`],
])("a killed run, and clones whose names are %s: nothing is asked for twice", async (_how, form) => {
  powervc.answered = fields((key, value) => (key === "source_volid" ? null : value));
  powervc.nameOf = ({ name }: Task, index: number) => form(`clone-${name}-${index + 1}`);
  const { properties, id } = await killed();
  powervc.newProcess();
  const { message } = await partial(change(id, properties));
  expect(message).toContain("They may be the set's clones, renamed");
  expect(powervc.posts()).toBe(1);
});

/** The state of a set whose request was sent, and whose answer nobody has read. */
async function killed() {
  powervc.lose = ({ path }) => path === "/clone-volumes";
  const lost = await partial(make());
  powervc.lose = () => false;
  return lost;
}

test("PowerVC forgets the task of a flow that was running a moment ago: the clones have their time to show", async () => {
  powervc.begun = (task) => {
    // Minutes into the flow, nothing but the task shows it.
    void powervc.pass(300_000).then(async () => {
      task.progress = undefined;
      await powervc.pass(80_000);
      task.end();
      task.progress = undefined;
    });
  };
  const { outs } = await make();
  expect(Object.keys(outs.clones as object)).toHaveLength(2);
  expect(powervc.posts()).toBe(1);
});

describe("every status of a clone, before a later run resumes the create", () => {
  const program = () => {
    const { __owner, __provider, ...inputs } = powervc.news();
    return { s0: inputs };
  };
  const resume = async (status: string, more: Properties = {}) => {
    const stack = new FakeEngine(powervc.definition, { clock: powervc.clock });
    await stack.up(program(), { saveFails: true });
    const [clone] = powervc.clones();
    Object.assign(clone ?? {}, { status });
    powervc.newProcess();
    const { errors } = await stack.up({ s0: { ...program().s0, ...more } });
    return { told: errors.map((error) => (error as Error).message).join("\n"), clone, entry: stack.state.entries[0] };
  };

  test.each([
    ...["available", "in-use", "reserved", "attaching", "detaching", "maintenance", "uploading", "awaiting-transfer"],
    ...["backing-up", "error_backing-up", "restoring-backup", "error_restoring", "retyping", "extending", "reverting"],
    "error_extending",
  ])("%s: the clone is made, whatever other hands do with it", async (status) => {
    const { told, clone, entry } = await resume(status);
    expect(told).toBe("");
    expect(entry).toMatchObject({ initError: false, outputs: { clones: { [SOURCES[0]]: clone?.id } } });
    expect(powervc.posts()).toBe(1);
  });

  test.each(["error", "error_deleting", "deleting", "unmanaging"])("%s: it is no clone", async (status) => {
    const { told, entry } = await resume(status);
    expect(told).toContain(`is in status "${status}"`);
    expect(entry).toMatchObject({ initError: true, outputs: { pending: { failed: true } } });
  });

  test.each(["creating", "downloading"])("%s for ever: the failure says how to end that", async (status) => {
    const { told, clone } = await resume(status, { __timeouts: { create: "2m" } });
    expect(told).toMatch(new RegExp(`seen: ${status}.*openstack volume set --state error ${clone?.id}`, "s"));
  });
});

test.each(["REVERTED", "FAILURE", "REVERT_FAILURE", "FAILED", "ERROR"])("a flow in %s has failed", async (state) => {
  powervc.begun = ({ progress }) =>
    Object.assign(progress.details, { progress: 100, flow_details: { cloneFlow: state } });
  const { message } = await partial(make());
  expect(message).toContain(`ended in ${state}`);
});

test.each(["PENDING", "RUNNING", "SUSPENDED", "REVERTING"])(
  "a flow in %s for ever: the failure says how to go on",
  async (state) => {
    powervc.begun = ({ progress }) => Object.assign(progress.details, { flow_details: { cloneFlow: state } });
    const { message } = await partial(make({ __timeouts: { create: "2m" } }));
    expect(message).toMatch(/an administrator check the clone task [0-9a-f-]{36}.*pulumi state delete/s);
  },
);

test("500 about a task that has failed: a destroy goes on, and tells", async () => {
  powervc.begun = ({ progress }) => Object.assign(progress.details, { flow_details: { cloneFlow: "REVERTED" } });
  const { id, properties } = await partial(make());
  powervc.answered = unknownTask(500, { computeFault: { code: 500, message: "The server has failed." } });
  await destroy(id, properties);
  expect(powervc.log.join("\n")).toMatch(/answered 500.*whether the failed task .* has named clones/);
});
