// AssistedSnapshot and the statuses of Cinder's volume and snapshot (cinder/objects/fields.py): what is waited for, what is
// refused, and that Nova is asked for nothing then.

import { create, remove } from "../../provider/core/lifecycle";
import { clock, failureOf, useAssistedSnapshot, VOLUME } from "./assistedSnapshotFixture";

const fixture = useAssistedSnapshot();
const { definition, newRun, row, chain, novaRequests } = fixture;

const setVolume = (status: string) => Object.assign(fixture.emulator.cinder.volumes.get(VOLUME) ?? {}, { status });
const make = (__timeouts: object = {}) => create(definition, newRun(), { ...fixture.inputs, __timeouts });

/** Cinder gives an attached volume these statuses while it works on it; the server and its disk run on. */
const BUSY = ["backing-up", "extending", "maintenance", "retyping", "uploading"];

test.each(BUSY)("a volume that is %s for some seconds: the overlay is made, and merged, after that", async (status) => {
  setVolume(status);
  const making = make();
  await clock.sleep(5_000);
  expect(novaRequests("create")).toEqual([]);
  setVolume("in-use");
  const { id, outs } = await making;
  expect(chain()).toHaveLength(2);

  setVolume(status);
  const removing = remove(definition, newRun(), id, outs);
  await clock.sleep(5_000);
  expect(novaRequests("delete")).toEqual([]);
  setVolume("in-use");
  await removing;
  expect(chain()).toHaveLength(1);
});

test.each(BUSY)("a volume that is %s for ever: the failure names the status and a way out", async (status) => {
  setVolume(status);
  expect(await failureOf(make())).toMatch(
    new RegExp(`waiting: volume ${VOLUME} is ${status}.*Nothing was asked of Nova.*reset the status`, "s"),
  );
  expect(novaRequests("create")).toEqual([]);
});

test.each(["available", "reserved", "attaching", "detaching", "error", "error_extending", "deleting"])(
  "a volume in %s is refused at once",
  async (status) => {
    setVolume(status);
    expect(await failureOf(make())).toMatch(new RegExp(`status "${status}".*Nothing was asked of Nova`, "s"));
    expect(novaRequests("create")).toEqual([]);
  },
);

test.each(["creating", "backing-up", "restoring"])(
  "a snapshot that is %s for ever: the failure of a create and of a delete has a way out",
  async (status) => {
    const { id, outs } = await make();
    Object.assign(row(), { status, progress: "0%" });
    const told = await failureOf(remove(definition, newRun(), id, outs));
    expect(told).toMatch(new RegExp(`is ${status}.*Nothing was asked of Nova.*set --state available`, "s"));
    expect(novaRequests("delete")).toEqual([]);
  },
);
