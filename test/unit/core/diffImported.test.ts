// `diff` after Pulumi's own import: the outputs have only those inputs that the backend shows. What it does not show must not
// replace the object that was just imported.

import { diff } from "../../../provider/core/diff";
import { resourceNames, resources } from "../../../provider/resources";

const URN = "urn:pulumi:dev::shop::snapclone:index:X::a";

/** One valid value of each input that replaces and that a program may leave out. */
const GIVEN: Record<string, unknown> = {
  triggers: ["a"],
  copyMode: "copy",
  full: true,
  systemTags: ["a::b"],
  targetVolumeTypeId: "11111111-1111-4111-8111-111111111111",
};

const cases = resourceNames.flatMap((name) => {
  const { inputs } = resources[name]();
  return Object.entries(inputs)
    .filter(
      ([key, { onChange, schema }]) => onChange === "replace" && key in GIVEN && schema.safeParse(undefined).success,
    )
    .map(([key]) => [name, key] as const);
});

test("the cases are not empty", () => expect(cases.length).toBeGreaterThan(5));

test.each(cases)("%s: %s is not shown by the backend, and nothing is replaced for it", (name, key) => {
  const news = { [key]: GIVEN[key], __owner: URN };
  const imported = diff(resources[name](), { __owner: URN, __stack: "s", __programUnknown: true }, news, "s");
  expect(imported.replaces ?? []).not.toContain(key);
  // After an update, an absent input is known to be absent.
  expect(diff(resources[name](), { __owner: URN, __stack: "s" }, news, "s").replaces).toContain(key);
});
