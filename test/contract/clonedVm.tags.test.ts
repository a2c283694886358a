// ClonedVm where ZStack executes one request for a tag twice, and says of the second that it failed.

import { fixture, good, numberOf, renew, WEB } from "./clonedVmEngineFixture";

test.each(["4.4.0", "5.2.1"])(
  "create: a tag that a repeated request finds on the source is its tag (%s)",
  async (version) => {
    const settings = { version };
    renew(settings);
    const at = await numberOf(/^POST \/user-tags/, () => fixture.up({ web: WEB }));
    renew(settings);
    expect(await fixture.up({ web: WEB }, { [at]: "lost reply" })).toMatchObject(good);
    expect([fixture.names, fixture.zstack.vms.size]).toEqual([WEB.names, 4]);
  },
);

test("create: another failure of the tag's job stays a failure", async () => {
  const at = await numberOf(/^POST \/user-tags/, () => fixture.up({ web: WEB }));
  renew();
  const { errors, messages } = await fixture.up({ web: WEB }, { [at]: "job fails" });
  expect([errors.length, messages]).toEqual([1, expect.stringMatching(/^cannot create clones .*SYS\.1006: told to/)]);
  expect(fixture.names).toEqual([]);
});
