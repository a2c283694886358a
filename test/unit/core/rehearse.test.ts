// What check asks beyond single inputs: what they say together, and what the backend would say.

import { check } from "../../../provider/core/check";
import type { Definition } from "../../../provider/core/definition";
import { SnapcloneError } from "../../../provider/core/errors";
import { rehearse } from "../../../provider/core/lifecycle";
import { Run } from "../../../provider/core/run";
import { ToyCloud, type ToyInputs, toyDefinition } from "../../support/toyCloud";

const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const said: string[] = [];
const newRun = () => new Run({ log: (severity, text) => said.push(`${severity}: ${text}`) });

function toy(more: Partial<Definition<ToyInputs, ToyCloud>>): Definition<ToyInputs, ToyCloud> {
  return { ...toyDefinition(new ToyCloud()), ...more };
}

beforeEach(() => {
  said.length = 0;
});

test("contradictions get what is valid and known, and the names of what is not", () => {
  const given: [object, string[]][] = [];
  const definition = toy({
    contradictions: (inputs, unsure) => {
      given.push([inputs, [...unsure]]);
      return [{ property: "hint", reason: "contradicts source" }];
    },
  });
  const { failures } = check(definition, {}, { source: "s", name: "x".repeat(21), hint: UNKNOWN });
  expect(given).toEqual([[{ source: "s" }, ["name", "hint"]]]);
  expect(failures.map(({ property }) => property)).toEqual(["name", "hint"]);
});

test("a rehearsal's findings come back as they are", async () => {
  const found = [{ property: "source", reason: "there is no such thing" }];
  const definition = toy({ rehearse: async () => found });
  expect(await rehearse(definition, newRun(), { source: "s" })).toEqual(found);
  expect(await rehearse(toy({}), newRun(), { source: "s" })).toEqual([]);
});

test("nothing is rehearsed with unknown inputs, nor without a connection that opens", async () => {
  const rehearsed = jest.fn(async () => []);
  const definition = toy({ rehearse: rehearsed });
  expect(await rehearse(definition, newRun(), { source: "s", tags: { a: UNKNOWN } })).toEqual([]);
  const open = () => {
    throw new SnapcloneError({ kind: "config", said: "no connection" });
  };
  const closed = toy({ rehearse: rehearsed, connection: { kind: "toy", open } });
  expect(await rehearse(closed, newRun(), { source: "s" })).toEqual([]);
  expect([rehearsed.mock.calls.length, said]).toEqual([0, []]);
});

test("a backend that can't be asked is a warning, not a failure", async () => {
  const definition = toy({
    rehearse: async () => {
      throw new SnapcloneError({ kind: "transient", said: "nobody is there" });
    },
  });
  expect(await rehearse(definition, newRun(), { source: "s", name: "n" })).toEqual([]);
  expect(said).toEqual(["warning: cannot rehearse the making of toy n: nobody is there"]);
});
