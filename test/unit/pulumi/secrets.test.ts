// An output made from a secret input is secret under whatever name.

import type { AnyDefinition } from "../../../provider/core/definition";
import { wrapSecrets } from "../../../provider/pulumi/secrets";

const definition = {
  derivedOutputs: { clones: ["displayName", "volumes"], label: ["displayName"] },
} as unknown as AnyDefinition;
const secret = (value: unknown) => ({
  "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
  value,
});

test.each([
  ["no secret input", undefined, {}],
  ["an empty list", [], {}],
  ["another input", ["description"], {}],
  ["the input itself", ["displayName"], { clones: secret([{ name: "n" }]), label: secret("n") }],
  ["a part of it", ["displayName.inner"], { clones: secret([{ name: "n" }]), label: secret("n") }],
  ["an item of a list", ["volumes[0].id"], { clones: secret([{ name: "n" }]) }],
])("%s", (_name, __secrets, marked) => {
  const outs = { id: "1", displayName: "n", clones: [{ name: "n" }], label: "n", ...(__secrets ? { __secrets } : {}) };
  expect(wrapSecrets(definition, outs)).toEqual({ ...outs, ...marked });
});

test("what is not there is not made secret, and a definition without derived outputs marks nothing", () => {
  expect(wrapSecrets(definition, { __secrets: ["displayName"], label: "n" })).toEqual({
    __secrets: ["displayName"],
    label: secret("n"),
  });
  const outs = { __secrets: ["name"], name: "n" };
  expect(wrapSecrets({} as AnyDefinition, outs)).toEqual(outs);
});
