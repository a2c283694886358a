// The tables in docs/*.md are those that `npm run docs` makes, and what the sdk's comments say about a change is what the
// definitions do.

import path from "node:path";
import { resourceNames, resources } from "../../provider/resources";
import { renderPage } from "../../tools/docs/pages";
import { readSdk } from "../../tools/docs/sdkSource";
import { contradictions } from "../../tools/docs/tables";

const ROOT = path.resolve(__dirname, "..", "..");

test.each(resourceNames)("%s: the page is current; if not, run `npm run docs`", (name) => {
  const { before, after } = renderPage(ROOT, name);
  expect(before).toBe(after);
});

test.each(resourceNames)("%s: each @onChange says what the definition's rule does", (name) => {
  expect(contradictions(readSdk(ROOT, name), resources[name]())).toEqual([]);
});

test.each(resourceNames)(
  "%s: every input and every own output has a comment, every required input no default",
  (name) => {
    const { inputs, outputs, types } = readSdk(ROOT, name);
    expect(inputs.filter(({ summary }) => summary === "").map((input) => input.name)).toEqual([]);
    expect(inputs.filter(({ optional, tags }) => !optional && tags.default !== undefined)).toEqual([]);
    const isInput = (output: string) => inputs.some((input) => input.name === output);
    const own = [...outputs.filter((output) => !isInput(output.name)), ...Object.values(types).flat()];
    expect(own.filter(({ summary }) => summary === "").map((output) => output.name)).toEqual([]);
  },
);
