// How many requests ClonedVm needs, login and logout included, where each job takes 120 ms.

import { ZSTACK_SEED } from "../../emulator";
import { ZStackSite } from "./zstackFixture";

const TIMINGS = { zstackImage: 60, zstackClone: 60, zstackAction: 120, zstackQuick: 120 };
const namesOf = (count: number) => Array.from({ length: count }, (_, n) => `web-${n + 1}`);

// Builds before 0.2 needed 30, 42 and 84 requests, and 15, 32 and 83.
test.each([
  [1, 14, 7],
  [3, 18, 9],
  [10, 32, 16],
])("%i clones: created in %i requests, destroyed in %i", async (count, create, remove) => {
  const site = new ZStackSite({}, TIMINGS);
  const program = { web: { vmInstanceUuid: ZSTACK_SEED.web, names: namesOf(count) } };
  const up = await site.up(program);
  expect(up.errors).toEqual([]);
  expect(site.names).toEqual(namesOf(count).sort());
  expect(site.requests).toBeLessThanOrEqual(create);
  const destroyed = await site.destroy();
  expect(destroyed.errors).toEqual([]);
  expect(site.names).toEqual([]);
  expect(site.requests).toBeLessThanOrEqual(remove);
});
