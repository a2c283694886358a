// ClonedVm and clones that are not to be seen: nothing leaves the state while work is pending or the login may be blind, and
// whatever ZStack makes is found by the next run.

import { fixture, good, renew, WEB } from "./clonedVmEngineFixture";

const ONE = { ...WEB, names: ["web-1"] };
const SLOW = { zstackImage: 60_000, zstackClone: 60_000 };

describe("destroy: fails while the account has lost its rights, and the next destroy leaves nothing", () => {
  const destroyBlindly = async () => {
    fixture.zstack.settings.revoked = true;
    const { errors, messages } = await fixture.destroy();
    fixture.zstack.settings.revoked = false;
    expect([errors.length, fixture.engine.state.entries.length]).toEqual([1, 1]);
    expect(messages).toMatch(/that does not prove that it is gone.*pulumi state delete/s);
    expect(await fixture.destroy()).toMatchObject(good);
    expect([fixture.names, fixture.tags.filter((tag) => tag.includes("intent"))]).toEqual([[], []]);
  };

  test.each([0, 600_000])("a create is pending whose deadline has passed (%i ms later)", async (ms) => {
    renew({}, SLOW);
    await fixture.up({ web: { ...WEB, __timeouts: { create: "30s" } } });
    expect(fixture.outputs).toMatchObject({ pending: { operation: "create" } });
    fixture.wait(ms);
    await destroyBlindly();
  });

  test("an update is pending whose deadline has passed", async () => {
    renew({}, SLOW);
    await fixture.up({ web: ONE });
    await fixture.up({ web: { ...WEB, __timeouts: { update: "30s" } } });
    expect(fixture.outputs).toMatchObject({ pending: { operation: "update" } });
    fixture.wait(600_000);
    await destroyBlindly();
  });
});
