// A replacement of an AssistedSnapshot must delete first, since Nova would merge a second overlay with the first. Pulumi's
// engine takes that from Diff. For a forced replacement the engine does not call Diff, and takes it from the resource's
// option alone (docs/wire/pulumi-engine.md#native). The TypeScript class gives the option; here the resource is registered
// as the SDKs of the other languages do it.

import { type Emulator, startEmulator } from "../../../emulator";
import { describeEngine, newStack, pluginOnPath, type Stack } from "../harness";

const TYPE = "snapclone:index:AssistedSnapshot";

describeEngine("a replacement of an AssistedSnapshot in other languages than TypeScript", () => {
  let cloud: Emulator;
  let stack: Stack;
  let volumeId: string;
  let snapshotId: string;

  beforeAll(async () => {
    cloud = await startEmulator({ timings: { assistedCreate: 200, assistedDelete: 200 } });
    volumeId = cloud.cinder.createVolume({ status: "in-use" }).id;
    snapshotId = cloud.cinder.createSnapshot({ volume_id: volumeId }).id;
    const config = { default: { ...cloud.openstack.connection("admin") } };
    stack = await newStack({ program: { js: "" }, config, env: pluginOnPath() });
  });
  afterAll(async () => {
    await stack?.close();
    await cloud?.close();
  });

  const declare = (newFile: string, options: object = {}) => {
    cloud.nova.createFile(volumeId, newFile);
    const files = { newFile, fileToMerge: null, mergeTargetFile: null };
    const args = { volumeId, snapshotId, ...files, manageStatus: true };
    stack.setProgram({
      js: `
const { CustomResource } = require("@pulumi/pulumi");
new CustomResource("${TYPE}", "overlay", ${JSON.stringify(args)}, ${JSON.stringify(options)});`,
    });
  };
  const asked = () =>
    cloud.requests
      .filter(({ service, method }) => service === "nova" && (method === "POST" || method === "DELETE"))
      .map(({ method }) => method);
  const replace = () => stack.up({ args: ["--replace", `urn:pulumi:**:${TYPE}::overlay`] });

  test("a changed input: Diff says that the old one is deleted first", async () => {
    declare("first");
    expect((await stack.up()).code).toBe(0);
    declare("second");
    const { code, stdout } = await stack.up();
    expect([code, asked(), stdout]).toEqual([0, ["POST", "DELETE", "POST"], stdout]);
    expect(cloud.nova.chain(volumeId)[0]).toBe("second");
  });

  test("`--replace` without the option is refused before anything is asked, and says what to give", async () => {
    const [before, state] = [asked(), await stack.resources()];
    declare("third");
    const { code, stdout } = await replace();
    expect(code).not.toBe(0);
    expect(stdout).toMatch(/has an overlay already.*made for .*::overlay(.|\n)*deleteBeforeReplace/);
    expect([asked(), cloud.nova.chain(volumeId)[0], await stack.resources()]).toEqual([before, "second", state]);
  });

  test("`--replace` with the option `deleteBeforeReplace` merges the old overlay, then makes the new one", async () => {
    const before = asked();
    declare("third", { deleteBeforeReplace: true });
    const { code, stdout } = await replace();
    expect([code, asked(), stdout]).toEqual([0, [...before, "DELETE", "POST"], stdout]);
    expect(cloud.nova.chain(volumeId)[0]).toBe("third");
    expect((await stack.destroy()).code).toBe(0);
    expect(cloud.nova.chain(volumeId)).toEqual(["third"]);
  });

  test("`--replace` without the option, where the first create failed: the new overlay stays, and goes with its own entry", async () => {
    declare("fourth");
    cloud.nova.failNext("create", "error");
    expect((await stack.up()).code).not.toBe(0);
    const before = asked();
    const { code, stdout } = await replace();
    expect([code, asked(), stdout]).toEqual([0, [...before, "POST"], stdout]);
    expect(stdout).toMatch(/was not deleted: another entry of the state, .*::overlay, has the same id/);
    expect([cloud.nova.chain(volumeId)[0], (await stack.resources()).length]).toEqual(["fourth", 1]);
    expect((await stack.destroy()).code).toBe(0);
    expect([cloud.nova.chain(volumeId), asked()]).toEqual([["fourth"], [...before, "POST", "DELETE"]]);
  });
});
