// Values on Pulumi's wire: secrets, unknowns, and what a record calls a resource's owner.

import fc from "fast-check";
import { UNKNOWN } from "../../../provider/core/check";
import { receive, send } from "../../../provider/native/properties";
import { markSecret, pathText } from "../../../provider/pulumi/secrets";
import { isOurType, ownerUrn, withNativeTypes } from "../../../provider/pulumi/urns";

const onWire = (values: object, secrets: string[][] = []) => send({ ...values }, secrets).toJavaScript();

test("secrets are found at their paths, and marked again there", () => {
  const values = {
    name: markSecret("n"),
    metadata: { open: "o", hidden: markSecret("h") },
    triggers: [1, markSecret(2)],
  };
  const received = receive(send(values));
  expect(received.values).toEqual({ name: "n", metadata: { open: "o", hidden: "h" }, triggers: [1, 2] });
  expect(received.secrets.map(pathText)).toEqual(["metadata.hidden", "name", "triggers[1]"]);
  expect(onWire(received.values, received.secrets as string[][])).toEqual({ ...values, triggers: markSecret([1, 2]) });
});

test("a list with a secret element is secret as a whole, since its elements may be sorted or dropped", () => {
  expect(onWire({ names: ["b", "a"] }, [["names", "1"]])).toEqual({ names: markSecret(["b", "a"]) });
  expect(onWire({ other: ["b"] }, [["names", "1"]])).toEqual({ other: ["b"] });
});

test("an unknown of any type is the core's unknown", () => {
  expect(receive(send({ a: UNKNOWN, b: "3eeb2bf0-c639-47a8-9e75-3b44932eb421" })).values).toEqual({
    a: UNKNOWN,
    b: UNKNOWN,
  });
});

test("what is absent is left out, and null stays", () => {
  expect(onWire({ a: undefined, b: null, c: { d: undefined, e: [null] } })).toEqual({ b: null, c: { e: [null] } });
});

test("a secret stays secret when it is received and sent again, wherever it is", () => {
  const leaf = fc.oneof(fc.string(), fc.boolean(), fc.constant(null));
  const tree = fc.dictionary(
    fc.stringMatching(/^[a-z]{1,3}$/),
    fc.oneof(leaf, fc.array(leaf), fc.dictionary(fc.stringMatching(/^[a-z]{1,3}$/), leaf)),
  );
  fc.assert(
    fc.property(
      tree,
      fc.array(fc.array(fc.stringMatching(/^[a-z]{1,3}$|^\d$/), { minLength: 1, maxLength: 3 })),
      (values, paths) => {
        const received = receive(send(values, paths));
        expect(received.values).toEqual(values);
        // Marked once more, it is the same.
        expect(send(received.values, received.secrets).toJavaScript()).toEqual(send(values, paths).toJavaScript());
      },
    ),
  );
});

test.each([
  [
    "urn:pulumi:dev::shop::snapclone:index:Snapshot::a",
    "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:Snapshot::a",
  ],
  [
    "urn:pulumi:dev::shop::my:c:X$snapclone:index:Snapshot$snapclone:index:VolumeClone::a::b $snapclone:index:Snapshot",
    "urn:pulumi:dev::shop::my:c:X$pulumi-nodejs:dynamic/snapclone:Snapshot$pulumi-nodejs:dynamic/snapclone:VolumeClone::a::b $snapclone:index:Snapshot",
  ],
  ["urn:pulumi:dev::shop::other:index:Snapshot::a", "urn:pulumi:dev::shop::other:index:Snapshot::a"],
  ["", ""],
])("the owner of %s", (urn, owner) => {
  expect(ownerUrn(urn)).toBe(owner);
  expect(ownerUrn(owner)).toBe(owner);
});

test("both shells' types are ours, and a native user reads native types", () => {
  expect(["snapclone:index:X", "pulumi-nodejs:dynamic/snapclone:X", "aws:x:Y", 7].map(isOurType)).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect(withNativeTypes("for urn:pulumi:d::p::pulumi-nodejs:dynamic/snapclone:Snapshot::a")).toBe(
    "for urn:pulumi:d::p::snapclone:index:Snapshot::a",
  );
});
