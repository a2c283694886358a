// What the last words of a run name, where more than one provider process takes part in it.

import { FakeBackend, fakeDefinition } from "../../support/fakeBackend";
import { FakeClock } from "../../support/fakeClock";
import { FakeEngine } from "../../support/fakeEngine";

test("a kind with secret inputs is named by ids alone", async () => {
  const clock = new FakeClock();
  const backend = new FakeBackend(clock);
  const engine = new FakeEngine(fakeDefinition(backend), { clock });
  await clock.run(async () => {
    const secret = { source: "mon", name: "hush", __secrets: ["name"] };
    const failed = await engine.up({ a: secret }, { saveFails: true });
    expect(failed.log).toEqual([expect.stringContaining("in no state: a fake")]);
    const next = await engine.up({ a: secret });
    expect(next.log).toEqual([expect.stringContaining("adopted the fake fake-1, made")]);
    expect([...failed.log, ...next.log].join()).not.toContain("hush");
  });
});

test("--replace of everything: what the other process has deleted since the list is not named", async () => {
  const clock = new FakeClock();
  const backend = new FakeBackend(clock);
  const engine = new FakeEngine(fakeDefinition(backend), { clock });
  await clock.run(async () => {
    await engine.up({ a: { source: "mon" } });
    const first = engine.idOf("a");
    const { log, errors } = await engine.up({ a: { source: "mon" } }, { replace: ["a"], deletesElsewhere: true });
    expect(errors).toEqual([]);
    expect(engine.idOf("a")).not.toBe(first);
    expect(log.filter((line) => line.includes("in no state"))).toEqual([]);
  });
});
