// The stack traces that Pulumi keeps for each promise of a resource are cut. Those that a user reads are not.

import * as pulumi from "@pulumi/pulumi";
import { Snapshot } from "../../../sdk";

beforeAll(() =>
  pulumi.runtime.setMocks({ newResource: ({ name, inputs }) => ({ id: name, state: inputs }), call: () => ({}) }),
);

function makeResource(opts: pulumi.CustomResourceOptions = {}): Snapshot {
  return new Snapshot("a", { volumeId: "v" }, opts);
}

test("an error of a transformation names its own line and the line that makes the resource", () => {
  const limit = Error.stackTraceLimit;
  const failing = () => {
    throw new Error("refused by a transformation");
  };
  let stack = "";
  try {
    makeResource({ transformations: [failing] });
  } catch (error) {
    stack = (error as Error).stack ?? "";
  }
  expect(stack).toMatch(/refused by a transformation\n +at failing .*\n +at makeResource /);
  expect(Error.stackTraceLimit).toBe(limit);
});

test("the limit of the program's own stack traces stays", async () => {
  const limit = Error.stackTraceLimit;
  await new Promise((resolve) => makeResource().urn.apply(resolve));
  expect(Error.stackTraceLimit).toBe(limit);
});

test("a hidden input without a value is no property of the resource", () => {
  const hidden = Object.keys(makeResource()).filter((key) => /^__(import|secrets|timeouts)$/.test(key));
  expect(hidden).toEqual([]);
});
