// Property paths of `ignoreChanges`, and the places that a detailed diff names.

import fc from "fast-check";
import { propertyPath } from "../../../provider/core/check";
import type { AnyDefinition } from "../../../provider/core/definition";
import { diff } from "../../../provider/core/diff";
import { keepAt, parsePath } from "../../../provider/core/propertyPath";
import { detailsOf } from "../../../provider/native/details";
import { snapshot } from "../../../provider/openstack/snapshot/resource";

test.each([
  ["name", ["name"]],
  ["metadata.keep", ["metadata", "keep"]],
  ["triggers[0]", ["triggers", "0"]],
  ['metadata["a.b"].c', ["metadata", "a.b", "c"]],
  ['metadata["a\\"b"]', ["metadata", 'a"b']],
  ["metadata.*", ["metadata", "*"]],
  ["triggers[*]", ["triggers", "*"]],
  ["a b", undefined],
  ["[x", undefined],
])("%s", (text, path) => expect(parsePath(text)).toEqual(path));

test("what propertyPath writes, parsePath reads", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.string(), (key, inner) => {
      expect(parsePath(propertyPath(["metadata", key, inner]))).toEqual(["metadata", key, inner]);
    }),
  );
});

const INPUTS = ["name", "metadata", "triggers"];
const inputs = { name: "one", metadata: { a: "1", b: "2" }, triggers: ["x", "y"] };
const olds = { __owner: "a", status: "s", ...inputs };

test.each<[path: string, news: Record<string, unknown>, kept: Record<string, unknown>]>([
  ["name", { name: "two" }, { name: "one" }],
  ["name", {}, { name: "one" }],
  ["metadata.a", { metadata: { a: "9", b: "9" } }, { metadata: { a: "1", b: "9" } }],
  ["metadata.new", { metadata: { new: "9" } }, { metadata: {} }],
  ["metadata.*", { metadata: { a: "9", c: "9" } }, { metadata: { a: "1", b: "2" } }],
  ["triggers[1]", { triggers: ["z", "z"] }, { triggers: ["z", "y"] }],
  ["triggers[7]", { triggers: ["z"] }, { triggers: ["z"] }],
  ["*", { __owner: "b", name: "two", metadata: {} }, { __owner: "b", ...inputs }],
  ["*.a", { name: "two", metadata: { a: "9", b: "9" } }, { name: "two", metadata: { a: "1", b: "9" } }],
  ["__owner", { __owner: "b" }, { __owner: "b" }],
  ["no path!", { name: "two" }, { name: "two" }],
])("ignoreChanges %s of %j", (path, news, kept) => expect(keepAt(olds, news, [path], INPUTS)).toEqual(kept));

test("the details: each place that differs, and what it does", () => {
  const definition = snapshot as unknown as AnyDefinition;
  const state = { ...olds, volumeId: "v1", __owner: "o", metadata: { ...olds.metadata, "0": "1" } };
  const news = {
    volumeId: "v2",
    __owner: "o",
    metadata: { a: "1", "b.c": "3", "0": "2" },
    name: "one",
    triggers: ["x", "z"],
  };
  const difference = diff(definition, state, news);
  const details = detailsOf(definition, state, news, difference, () => undefined);
  expect(details).toEqual([
    { path: "volumeId", kind: "update", replaces: true },
    { path: 'metadata["0"]', kind: "update", replaces: false },
    { path: "metadata.b", kind: "delete", replaces: false },
    { path: 'metadata["b.c"]', kind: "add", replaces: false },
    { path: "triggers[1]", kind: "update", replaces: true },
  ]);
});

test("the details of pending work and of an unknown create name `pending`", () => {
  const definition = snapshot as unknown as AnyDefinition;
  const news = { volumeId: "v1", __owner: "o" };
  const paths = (pending: object) => {
    const state = { ...news, pending };
    return detailsOf(definition, state, news, diff(definition, state, news), () => undefined);
  };
  expect(paths({ operation: "create", task: {}, since: "s" })).toEqual([
    { path: "pending", kind: "delete", replaces: false },
  ]);
  expect(paths({ operation: "create", task: { outcome: "unknown" }, since: "s" })).toEqual([
    { path: "pending", kind: "delete", replaces: true },
  ]);
});
