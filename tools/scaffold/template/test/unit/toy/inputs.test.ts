// What `check` says about a ToyCopy's inputs, and what a change of them does.

import { check } from "../../../provider/core/check";
import { diff } from "../../../provider/core/diff";
import { toyCopy } from "../../../provider/toy/toyCopy/resource";

const reasons = (news: Record<string, unknown>) => check(toyCopy, {}, news).failures;

test("wrong inputs are refused all at once", () => {
  expect(reasons({ source: "", name: "a\nb", nmae: "x" })).toEqual([
    { property: "nmae", reason: "unknown property; did you mean name?" },
    { property: "source", reason: "must not be empty" },
    { property: "name", reason: "must not contain line breaks, tabs or other control characters" },
  ]);
  expect(reasons({})).toEqual([{ property: "source", reason: "is required" }]);
});

test("a name changes in place, a source replaces", () => {
  const state = { source: "volume-1", name: "a", status: "available" };
  expect(diff(toyCopy, state, { source: "volume-1", name: "a" })).toEqual({ changes: false });
  // The engine compares the inputs itself, and finds the name.
  expect(diff(toyCopy, state, { source: "volume-1", name: "b" })).toEqual({});
  expect(diff(toyCopy, state, { source: "volume-2", name: "a" })).toMatchObject({ replaces: ["source"] });
});
