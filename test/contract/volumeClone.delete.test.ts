// How a VolumeClone is deleted: all clones of the set, and nothing else.

import { create, remove } from "../../provider/core/lifecycle";
import { partial } from "../support/failures";
import { DATA, LOGS, NEWS, SOURCES, TEMP, VolumeCloneFixture } from "./volumeCloneFixture";

const fixture = new VolumeCloneFixture();
const { cloneOf, clones, definition, existing, newRun, requests, start, volume } = fixture;
afterEach(fixture.close);

describe("delete", () => {
  const made = () => existing((run) => create(definition, run, NEWS));

  test("deletes all clones and waits until they are gone; the sources stay", async () => {
    const { id, outs } = await made();
    await remove(definition, newRun(), id, outs);
    expect(clones()).toEqual([]);
    expect(SOURCES.every((source) => fixture.emulator.cinder.volumes.has(source))).toBe(true);
    expect(requests("volumes.delete")).toBe(3);
    await remove(definition, newRun(), id, outs);
    expect(requests("volumes.delete")).toBe(3);
  });

  test("deletes nothing when a clone is attached, and the error names the VM", async () => {
    const { id, outs } = await made();
    const clone = cloneOf(outs, LOGS);
    clone.status = "in-use";
    clone.attachments = volume(LOGS).attachments;
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(
      new RegExp(`"clone-before-2" \\(${clone.id}\\) is attached to the VM ${volume(LOGS).attachments[0]?.server_id}`),
    );
    expect([clones().length, requests("volumes.delete")]).toEqual([3, 0]);
  });

  test("reports the clone that failed, deletes the others, and the next delete continues", async () => {
    const { id, outs } = await made();
    const clone = cloneOf(outs, LOGS);
    clone.group_id = "44444444-4444-4444-8444-444444444444";
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(
      /must not be migrating, attached, belong to a group/,
    );
    expect(clones()).toHaveLength(1);
    clone.group_id = null;
    await remove(definition, newRun(), id, outs);
    expect(clones()).toEqual([]);
  });

  test("deletes a volume that only PowerVC's task names if it can be a clone of the set", async () => {
    await start();
    const failure = await partial(create(definition, newRun(), { ...NEWS, __timeouts: { create: "1ms" } }));
    const old = fixture.emulator.cinder.createVolume({ name: "somebody's", created_at: "2026-01-01T00:00:00.000000" });
    const copy = fixture.emulator.cinder.createVolume({ name: "a copy of another", source_volid: old.id });
    const results = { [DATA]: old.id, [LOGS]: copy.id, [TEMP]: LOGS };
    fixture.emulator.faults.add({
      match: { operation: "clones.progress" },
      times: Infinity,
      status: 200,
      body: { details: { results, flow_details: { cloneFlow: "SUCCESS" } } },
    });
    await remove(definition, newRun(), failure.id, failure.properties);
    expect([old.id, copy.id, ...SOURCES].filter((id) => !fixture.emulator.cinder.volumes.has(id))).toEqual([]);
  });

  test("names the task of a flow that never ends, and the way out", async () => {
    await start();
    fixture.emulator.powervc.behaviour({ step: "create_group_snapshot", takes: Number.POSITIVE_INFINITY });
    const failure = await partial(create(definition, newRun(), { ...NEWS, __timeouts: { create: "1m" } }));
    const [task] = fixture.emulator.powervc.tasks.keys();
    const error = await remove(definition, newRun(), failure.id, {
      ...failure.properties,
      __timeouts: { delete: "1m" },
    }).catch(String);
    expect(error).toMatch(new RegExp(`cannot delete volume clone "before": waited 1 min.* for PowerVC's task ${task}`));
    expect(error).toContain("No call cancels a flow of PowerVC's");
    expect(error).toContain("pulumi state delete <urn>");
    expect(error).toContain(failure.id);
  });
});
