// Each resource once through its life on the real engine, as short as that can be: one stack, one emulator, one program with
// all of them. The tests in test/engine say more, and take longer; what only the provider decides belongs in test/contract.

import type { Emulator } from "../../emulator";
import { describeEngine, newStack, type Result, type Stack } from "../engine/harness";
import { connectionsOf, LIVES, LifeRuns, programOf, startCloud } from "./shortLives";

describeEngine("a life of each resource", () => {
  let cloud: Emulator;
  let stack: Stack;
  let positions: (string | undefined)[];
  const runs = new LifeRuns();
  const run = (running: Promise<Result>) => runs.add(cloud, running);

  beforeAll(async () => {
    cloud = await startCloud();
    stack = await newStack({ program: programOf("before"), config: connectionsOf(cloud) });
    // One resource that fails must not hide the others.
    const args = ["--continue-on-error"];
    await run(stack.up({ args }));
    positions = (await stack.resources()).map(({ sourcePosition }) => sourcePosition);
    await run(stack.up({ args }));
    stack.setProgram(programOf("after"));
    await run(stack.up({ args }));
    await run(stack.refresh());
    await run(stack.destroy({ args }));
  }, 600_000);

  afterAll(async () => {
    await stack?.close();
    await cloud?.close();
  });

  test.each(Object.keys(LIVES))("%s: created, left alone, changed in place, refreshed, deleted", (name) => {
    const [created, changed, deleted] = LIVES[name]?.expected ?? [];
    expect(runs.of(name)).toEqual([
      ["create", created],
      ["same", created],
      ["update", changed],
      ["same", changed],
      ["delete", deleted],
    ]);
  });

  test("all: the state names the line of the program that makes the resource", () => {
    expect(positions).toEqual(Object.keys(LIVES).map(() => expect.stringMatching(/^project:\/\/\/index\.js#/)));
  });

  test("all: every run succeeds, and the state is empty in the end", async () => {
    await runs.expectSuccess(stack);
  });
});
