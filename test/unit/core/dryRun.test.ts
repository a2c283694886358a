// What check asks beyond single inputs: what they say together, and what the backend would say.

import { check } from "../../../provider/core/check";
import type { Definition } from "../../../provider/core/definition";
import { dryRun } from "../../../provider/core/dryRun";
import { SnapcloneError } from "../../../provider/core/errors";
import { Run } from "../../../provider/core/run";
import { systemClock } from "../../../provider/core/util/clock";
import { FakeBackend, type FakeInputs, fakeDefinition } from "../../support/fakeBackend";

const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const message: string[] = [];
const newRun = () => new Run({ log: (severity, text) => message.push(`${severity}: ${text}`) });

function toy(more: Partial<Definition<FakeInputs, FakeBackend>>): Definition<FakeInputs, FakeBackend> {
  return { ...fakeDefinition(new FakeBackend(systemClock)), ...more };
}

beforeEach(() => {
  message.length = 0;
});

test("validate get what is valid and known, and the names of what is not", () => {
  const given: [object, string[]][] = [];
  const definition = toy({
    validate: (inputs, unsure) => {
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
  const definition = toy({ dryRun: async () => found });
  expect(await dryRun(definition, newRun(), { source: "s" })).toEqual(found);
  expect(await dryRun(toy({}), newRun(), { source: "s" })).toEqual([]);
});

test("nothing is dryRund with unknown inputs, nor without a connection that opens", async () => {
  const dryRund = jest.fn(async () => []);
  const definition = toy({ dryRun: dryRund });
  expect(await dryRun(definition, newRun(), { source: "s", tags: { a: UNKNOWN } })).toEqual([]);
  const open = () => {
    throw new SnapcloneError({ kind: "config", message: "no connection" });
  };
  const closed = toy({ dryRun: dryRund, connection: { kind: "toy", open } });
  expect(await dryRun(closed, newRun(), { source: "s" })).toEqual([]);
  expect([dryRund.mock.calls.length, message]).toEqual([0, []]);
});

test("a backend that can't be asked is a warning, not a failure", async () => {
  const definition = toy({
    dryRun: async () => {
      throw new SnapcloneError({ kind: "transient", message: "nobody is there" });
    },
  });
  expect(await dryRun(definition, newRun(), { source: "s", name: "n" })).toEqual([]);
  expect(message).toEqual(["warning: cannot ask for a dry run of fake n: nobody is there"]);
});
