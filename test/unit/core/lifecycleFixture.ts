// The lifecycle of a fake resource on a fake backend.

import type { Definition } from "../../../provider/core/definition";
import { Run } from "../../../provider/core/run";
import { FakeBackend, type FakeInputs, fakeDefinition } from "../../support/fakeBackend";
import { FakeClock } from "../../support/fakeClock";

export const OWNER = "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:Fake::nightly";

export const PROVIDER = "exports.handler=()=>require('x')";

export const NEWS = { source: "vol-1", name: "a", __owner: OWNER, __organization: "acme", __provider: PROVIDER };

/** What goes into the state beside inputs and outputs. */
export const HIDDEN = { __stack: expect.stringMatching(/^[0-9a-f]{32}$/), __backend: "backend 1" };

export function setUp() {
  const clock = new FakeClock();
  const cloud = new FakeBackend(clock);
  const definition = fakeDefinition(cloud) as Definition<FakeInputs, FakeBackend>;
  const log: string[] = [];
  const newRun = () => new Run({ clock, log: (severity, text) => log.push(`${severity}: ${text}`) });
  return { cloud, definition, clock, log, newRun, run: newRun() };
}
