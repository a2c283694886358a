// LinkedTargetSet against a ViPR that behaves as its documents allow, and as the project's emulator does not.

import type { SnapcloneError } from "../../provider/core/errors";
import { create, read, remove, update } from "../../provider/core/lifecycle";
import type { Properties } from "../../provider/core/operation";
import { failure, partial } from "../support/failures";
import type { Reply, Sent } from "../support/jsonServer";
import { OtherVipr, type Task } from "./otherVipr";

let vipr: OtherVipr;
beforeEach(async () => {
  vipr = new OtherVipr();
  await vipr.start();
});
afterEach(() => vipr.close());

const make = (more: Properties = {}, timeoutMs?: number) =>
  create(vipr.definition, vipr.newRun(), vipr.news(more), timeoutMs);
const change = (id: string, outs: Properties, more: Properties = {}) =>
  update(vipr.definition, vipr.newRun(), id, outs, vipr.news(more));
const destroy = (id: string, outs: Properties) => remove(vipr.definition, vipr.newRun(), id, outs);

type Answered = (sent: Sent, reply: Reply) => Reply;

/** Changes fields of all answers. undefined leaves a field out. */
const fields =
  (change: (key: string, value: unknown) => unknown): Answered =>
  (_sent, { status, body }) => ({ status, body: body && JSON.parse(JSON.stringify(body, change)) });

const without = (name: string) => fields((key, value) => (key === name ? undefined : value));
const withNull = (name: string) => fields((key, value) => (key === name ? null : value));
const as = (name: string, form: (value: unknown) => unknown) =>
  fields((key, value) => (key === name ? form(value) : value));

/** Of a reference only the link is left. */
const hrefs = fields((_key, value) => {
  const { id, link, ...others } = Object(value) as Record<string, unknown>;
  const isReference = id !== undefined && link !== undefined && Object.keys(others).every((key) => key === "match");
  return isReference ? { link, ...others } : value;
});

const tasksAs =
  (form: (tasks: unknown[]) => unknown): Answered =>
  (_sent, { status, body }) => ({ status, body: status === 202 ? form(body.task ?? [body]) : body });

test.each<[string, Answered]>([
  ["as ViPR answers", (_sent, reply) => reply],
  ["without tags", without("tags")],
  ["with null for tags", withNull("tags")],
  ["without inactive", without("inactive")],
  ["with null for inactive", withNull("inactive")],
  ["with a text for progress", as("progress", String)],
  ["with null for progress", withNull("progress")],
  ["with a number for capacities", as("provisioned_capacity_gb", Number)],
  ["with a text for times", as("creation_time", String)],
  ["with a date for times", as("creation_time", () => "2026-11-29T05:00:00Z")],
  ["with states in upper case", as("state", (state) => String(state).toUpperCase())],
  ["without a source", without("parent")],
  ["without what a search matched", without("match")],
  [
    "without the session's name",
    (_sent, { status, body }) => ({ status, body: body?.linked_targets ? { ...body, name: undefined } : body }),
  ],
  ["with links in place of ids", hrefs],
  [
    "with a single object for a list of one",
    fields((_key, value) => (Array.isArray(value) && value.length === 1 ? value[0] : value)),
  ],
  ["with lists of tasks", tasksAs((tasks) => ({ task: tasks }))],
  ["with bare tasks", tasksAs(([task]) => task)],
])("a set's life with a ViPR that answers %s", async (_how, answered) => {
  vipr.answered = answered;
  const { id, outs } = await make();
  const { outs: more } = await change(id, outs, { count: 3 });
  expect(vipr.linked()).toHaveLength(3);
  const { props } = await read(vipr.definition, vipr.newRun(), id, more);
  expect(props).toMatchObject({ count: 3, targets: more.targets });
  const { outs: moved } = await change(id, more, { count: 2, snapshotSessionId: vipr.sessions[1] });
  expect(vipr.linked(vipr.sessions[1])).toHaveLength(2);
  await destroy(id, moved);
  expect(vipr.active()).toEqual([]);
  expect(vipr.posts("link-targets")).toBe(2);
});

test("waits for all tasks that answer a request", async () => {
  // The second task does the work.
  vipr.answered = tasksAs((tasks) => {
    const work = vipr.tasks.at(-1) as Task;
    const other = vipr.addTask(work.name, work.session, () => {});
    other.end();
    return { task: [{ ...Object(tasks[0]), id: other.id }, ...tasks] };
  });
  vipr.begun = (task) => void vipr.pass(60_000).then(() => task.end());
  const { id, outs } = await make();
  expect(outs).toMatchObject({ count: 2 });
  const { outs: moved } = await change(id, outs, { snapshotSessionId: vipr.sessions[1], count: 1 });
  expect(moved).toMatchObject({ count: 1, snapshotSessionId: vipr.sessions[1] });
  await destroy(id, moved);
  expect(vipr.active()).toEqual([]);
});

test("a task that never ends: the failure says how to get rid of it", async () => {
  const { id, outs } = await make();
  const stuck = vipr.addTask("LINK SNAPSHOT SESSION TARGETS", vipr.sessions[0], () => {});
  const { parts } = await failure(destroy(id, { ...outs, __timeouts: { delete: "2m" } }));
  expect(parts).toMatchObject({ kind: "deadline", message: expect.stringContaining(stuck.id) });
  expect(parts.hint).toContain(`POST /vdc/tasks/${stuck.id}/delete`);
  stuck.isVisible = false;
  vipr.newProcess();
  await destroy(id, outs);
  expect(vipr.active()).toEqual([]);
});

describe("a task that somebody deletes in ViPR", () => {
  /** The task is gone, and its work goes on until the test ends it. */
  let begun: Task[];
  const hide = () => {
    vipr.begun = (task) => {
      task.isVisible = false;
      begun.push(task);
    };
  };
  const endLater = (ms: number) => {
    const [task] = begun.splice(0);
    void vipr.pass(ms).then(() => task?.end());
  };
  const forget = (message: string) => message.includes("does not have the task");

  beforeEach(() => {
    begun = [];
  });

  test("of an unlink that does not happen: destroy fails, and the next one unlinks", async () => {
    const { id, outs } = await make();
    hide();
    const { parts }: SnapcloneError = await failure(destroy(id, outs));
    expect(parts).toMatchObject({ kind: "ambiguous", message: expect.stringContaining("are still linked: dev-") });
    expect(forget(parts.message)).toBe(true);
    expect(vipr.posts("unlink-targets")).toBe(1);

    vipr.begun = (task) => task.end();
    vipr.newProcess();
    await destroy(id, outs);
    expect(vipr.active()).toEqual([]);
  });

  test("of an unlink that ends later: destroy waits for it", async () => {
    const { id, outs } = await make();
    hide();
    const work = destroy(id, outs);
    await vipr.until(() => begun.length > 0);
    endLater(40_000);
    await work;
    expect(vipr.active()).toEqual([]);
    expect(vipr.posts("unlink-targets")).toBe(1);
  });

  test("of an unlink of an update that does not happen: nothing is said to be unlinked", async () => {
    const { id, outs } = await make();
    hide();
    const { message, properties } = await partial(change(id, outs, { count: 1 }));
    expect(message).toContain("are still linked");
    expect(properties).toMatchObject({ count: 2 });
    expect(properties.pending).toBeUndefined();

    vipr.begun = (task) => task.end();
    await change(id, properties, { count: 1 });
    expect(vipr.linked()).toHaveLength(1);
  });

  test("of a link that goes on: the create waits for its targets", async () => {
    hide();
    const work = make();
    await vipr.until(() => begun.length > 0);
    endLater(120_000);
    expect((await work).outs).toMatchObject({ count: 2, remains: [] });
    expect(vipr.posts("link-targets")).toBe(1);
  });

  test("of a link that outlasts the create: no later run takes its targets out of ViPR", async () => {
    hide();
    const first = await partial(make({}, 90_000));
    expect(first).toMatchObject({ kind: "deadline", properties: { pending: { task: { kind: "link" } } } });
    expect(first.message).toContain("POST /block/snapshots/{id}/deactivate?type=VIPR_ONLY");
    vipr.newProcess();
    const work = change(first.id, first.properties);
    await vipr.pass(60_000);
    endLater(10_000);
    expect((await work).outs).toMatchObject({ count: 2, remains: [] });
    expect(vipr.posts("link-targets")).toBe(1);
    expect(vipr.posts("deactivate")).toBe(0);
  });

  test("of a link that outlasts the create: destroy waits for its targets, and unlinks them", async () => {
    hide();
    const { id, properties } = await partial(make({}, 90_000));
    vipr.newProcess();
    vipr.begun = (task) => task.end();
    const work = destroy(id, properties);
    await vipr.pass(60_000);
    endLater(10_000);
    await work;
    expect(vipr.posts("deactivate")).toBe(0);
    expect(vipr.posts("unlink-targets")).toBe(1);
    expect(vipr.active()).toEqual([]);
  });

  test("of a link that has failed in part: the sentence says what is linked, and update links the rest", async () => {
    vipr.begun = (task) => {
      task.isVisible = false;
      const [first, second] = [...vipr.targets.values()];
      Object.assign(first ?? {}, { session: task.session });
      Object.assign(second ?? {}, { inactive: true });
    };
    const { id, message, properties } = await partial(make());
    expect(forget(message)).toBe(true);
    expect(message).toContain("1 of 2 targets are linked");
    vipr.begun = (task) => task.end();
    expect((await change(id, properties)).outs).toMatchObject({ count: 2 });
    expect(vipr.linked()).toHaveLength(2);
  });

  test("of a refresh: the state keeps the old triggers, and the next update relinks", async () => {
    const { id, outs } = await make({ refreshTriggers: ["mon"] });
    hide();
    const { message, properties } = await partial(change(id, outs, { refreshTriggers: ["tue"] }));
    expect(message).toContain("the targets don't show whether they were relinked");
    expect(properties).toMatchObject({ refreshTriggers: ["mon"] });
    vipr.begun = (task) => task.end();
    const { outs: after } = await change(id, properties, { refreshTriggers: ["tue"] });
    expect(after).toMatchObject({ refreshTriggers: ["tue"] });
    expect(vipr.posts("relink-targets")).toBe(2);
  });

  test("of a relink to another session that ends later: the update waits for it", async () => {
    const { id, outs } = await make();
    hide();
    const work = change(id, outs, { snapshotSessionId: vipr.sessions[1] });
    await vipr.until(() => begun.length > 0);
    endLater(40_000);
    expect((await work).outs).toMatchObject({ snapshotSessionId: vipr.sessions[1], count: 2 });
  });
});

test("the reply to a destroy's unlink is lost, and another client unlinks: the set is looked at again", async () => {
  // Nothing shows the source, so the unlinks of the session come one after another.
  vipr.answered = (_sent, reply) =>
    JSON.parse(JSON.stringify(reply, (key, value) => (key === "parent" ? undefined : value)));
  const { id, outs } = await make();
  const theirs = vipr.addTarget("theirs-1", vipr.sessions[0]);
  vipr.lose = ({ path }) => {
    if (!path.endsWith("unlink-targets") || theirs.inactive) return false;
    vipr
      .addTask("UNLINK SNAPSHOT SESSION TARGETS", vipr.sessions[0], () => Object.assign(theirs, { inactive: true }))
      .end();
    return true;
  };
  await destroy(id, outs);
  expect(vipr.active()).toEqual([]);
});
