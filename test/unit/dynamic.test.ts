// The front that Pulumi calls, as far as it can be seen without an engine: test/engine has the rest.

import type * as pulumi from "@pulumi/pulumi";
import { snapshot } from "../../provider/dynamic";

const config = (connections: string | undefined) =>
  ({ config: { get: () => connections } }) as unknown as pulumi.dynamic.ConfigureRequest;
const inputs = { volumeId: "11111111-1111-4111-8111-111111111111", __provider: "p" };

test("the config is there for whoever did not wait for configure", async () => {
  const configuring = snapshot.configure?.(config('{"default":{"kind":"zstack"}}'));
  // A connection of the wrong kind: the error proves that the config was read.
  await expect(snapshot.create(inputs)).rejects.toThrow(/of kind "zstack"/);
  await configuring;
});

test("a broken config is an error that does not show it", async () => {
  await snapshot.configure?.(config('{"default": "hunter2'));
  const error: unknown = await snapshot.create({ ...inputs, connection: "other" }).catch((thrown: unknown) => thrown);
  expect(String(error)).toContain("snapclone:connections in the stack config is not an object");
  expect(String(error)).not.toContain("hunter2");
});

test("only Errors leave, and expected ones without a stack", async () => {
  const error: unknown = await snapshot.create({ volumeId: 7 }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Error);
  expect(Object.keys(error as object)).not.toContain("code");
  expect((error as Error).stack).toBe((error as Error).message);
});

test("check and diff answer without any config", async () => {
  await snapshot.configure?.(config(undefined));
  expect(await snapshot.check?.({}, inputs)).toEqual({ failures: [], inputs });
  expect(await snapshot.diff?.("id", { ...inputs, status: "available" }, inputs)).toEqual({ changes: false });
});
