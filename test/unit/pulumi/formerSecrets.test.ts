// What was secret stays marked in the outputs of a dynamic resource, whose requests have no marks.

import type { AnyDefinition } from "../../../provider/core/definition";
import { formerSecrets, keepFormer, stateWithSecrets } from "../../../provider/pulumi/formerSecrets";

type Values = Record<string, unknown>;

const definition = {
  derivedOutputs: { clones: ["name"], gone: ["name"], madeFor: ["triggers"], size: ["description"] },
} as unknown as AnyDefinition;
const secret = (value: unknown) => ({
  "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
  value,
});

/** As the engine hands outputs to a dynamic provider. */
const unmarked = (outs: Values): Values =>
  JSON.parse(JSON.stringify(outs), (_key, value) =>
    value?.["4dabf18193072939515e22adb298388d"] ? value.value : value,
  );

function update(olds: Values, news: Values, outs: Values): Values {
  const former = formerSecrets(definition, stateWithSecrets(definition, olds), stateWithSecrets(definition, news));
  return keepFormer(definition, { ...outs, __secrets: news.__secrets }, former);
}

const STATE = {
  name: "hush",
  clones: [{ id: "1", name: "hush-1" }],
  madeFor: "d1",
  triggers: ["t"],
  metadata: { "a.b": "quiet" },
};
const SECRETS = ["name", "triggers[0]", "metadata.a.b"];

test("an update that fails before it changes anything, and the next one that does not", () => {
  const olds = { ...STATE, __secrets: SECRETS };
  const news = { name: "open", triggers: ["u"], metadata: { "a.b": "loud" } };
  const failed = update(olds, news, STATE);
  expect(failed).toEqual({
    name: secret("hush"),
    clones: [{ id: "1", name: secret("hush-1") }],
    madeFor: secret("d1"),
    triggers: [secret("t")],
    metadata: { "a.b": secret("quiet") },
    __secrets: undefined,
    __formerSecrets: expect.arrayContaining(["name", "clones[0].name", "madeFor", "triggers[0]", "metadata.a.b"]),
  });
  const outs = { ...news, clones: [{ id: "2", name: "open-1" }], gone: [{ id: "1", name: "hush-1" }], madeFor: "d2" };
  const done = update(unmarked(failed), news, outs);
  expect(done).toEqual({ ...outs, gone: [{ id: "1", name: secret("hush-1") }], __formerSecrets: ["gone[0].name"] });
  expect(update(unmarked(done), news, { ...outs, gone: [] })).toEqual({ ...outs, gone: [] });
});

test("what is secret now is left to its own mark, and what the program gives in clear is in clear", () => {
  const olds = { ...STATE, __secrets: SECRETS };
  const news = { name: "open", triggers: ["t"], metadata: { "a.b": "quiet" }, __secrets: ["name"] };
  const outs = { ...STATE, clones: [{ id: "1", name: "hush-1" }] };
  expect(update(olds, news, outs)).toEqual({ ...outs, __secrets: ["name"] });
});

test("a text of one or two characters is no part of other texts", () => {
  const olds = {
    name: "a",
    description: "7",
    clones: [{ name: "a", status: "available" }],
    size: 7,
    __secrets: ["name", "description"],
  };
  const { __secrets: _, ...outs } = olds;
  expect(update(olds, { name: "b", description: "8" }, outs)).toMatchObject({
    name: secret("a"),
    clones: [{ name: secret("a"), status: "available" }],
  });
});
