// A soak: a stack of each resource lives through a day of the backends' clocks. Programs change, resources come and go, one
// request in fifty fails, loses its reply or is the last one of its process. At each checkpoint two commands without faults
// must give what the program says: nothing is lost, nothing is there twice.
//
//   SNAPCLONE_SOAK_OPERATIONS=10000 npm run test:soak     the whole day; SNAPCLONE_SOAK_SEED repeats a run

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { stacksOf } from "./stacks";
import { SoakWorld } from "./world";

const OPERATIONS = Number(process.env.SNAPCLONE_SOAK_OPERATIONS ?? 500);
const SEED = Number(process.env.SNAPCLONE_SOAK_SEED ?? 20_261_128);
const DAY_MS = 86_400_000;
const CHECKPOINTS = 20;
/** After the first checkpoints, when everything is loaded and each cache has its size. */
const WARM = 4;

jest.setTimeout(3_600_000);
beforeAll(() => jest.spyOn(Math, "random").mockReturnValue(0.5));
afterAll(() => jest.restoreAllMocks());

test(`${OPERATIONS} operations in a day: nothing lost, nothing twice, and the memory stays (seed ${SEED})`, async () => {
  const world = new SoakWorld(SEED);
  const stacks = stacksOf(world);
  const heaps: number[] = [];
  for (let checkpoint = 1; checkpoint <= CHECKPOINTS; checkpoint += 1) {
    const until = (OPERATIONS * checkpoint) / CHECKPOINTS;
    while (world.operations < until) {
      await world.pick(stacks).command();
      // Two commands are seldom given in the same minute.
      world.pass(world.number() * 60_000);
    }
    world.pass(Math.max(0, (DAY_MS * checkpoint) / CHECKPOINTS - world.elapsedMs));
    for (const stack of stacks) {
      await stack.converge();
      expect(stack.compare()).toEqual({ stack: stack.title, lost: [], twice: [], pending: [] });
    }
    heaps.push(heapMiB());
  }
  for (const stack of stacks) {
    expect((await stack.destroy()).map(String)).toEqual([]);
    expect([stack.title, stack.there()]).toEqual([stack.title, []]);
  }
  const growth = Math.round((heaps.at(-1) ?? 0) - (heaps[WARM] ?? 0));
  const { operations, requests, faults, kills } = world;
  const hours = Math.round(world.elapsedMs / 3_600_000);
  process.stdout.write(
    `soak: ${operations} operations, ${requests} requests, ${faults} faults, ${kills} kills, ${hours} h of the clock; ` +
      `heap ${Math.round(heaps[WARM] ?? 0)} MiB, ${growth} MiB more at the end\n`,
  );
  expect(growth).toBeLessThan(32);
});

function heapMiB(): number {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect === "function") collect();
  return process.memoryUsage().heapUsed / 2 ** 20;
}
