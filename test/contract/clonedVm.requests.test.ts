// How many requests ClonedVm sends, including login and logout, if each job takes 120 ms.

import { ZSTACK_SEED } from "../../emulator";
import { ZStackFixture } from "./zstackFixture";

const TIMINGS = { zstackImage: 60, zstackClone: 60, zstackAction: 120, zstackQuick: 120 };
const namesOf = (count: number) => Array.from({ length: count }, (_, n) => `web-${n + 1}`);

// Early builds needed 30, 42 and 84 requests, and 15, 32 and 83. Of a deletion, two for each clone take the set's tag off
// the VM in the recycle bin.
test.each([
  [1, 14, 10],
  [3, 18, 14],
  [10, 32, 28],
])("create: makes %i clones with %i requests, and destroy deletes them with %i", async (count, create, remove) => {
  const fixture = new ZStackFixture({}, TIMINGS);
  const program = { web: { vmInstanceUuid: ZSTACK_SEED.web, names: namesOf(count) } };
  const up = await fixture.up(program);
  expect(up.errors).toEqual([]);
  expect(fixture.names).toEqual(namesOf(count).sort());
  expect(fixture.requests).toBeLessThanOrEqual(create);
  const destroyed = await fixture.destroy();
  expect(destroyed.errors).toEqual([]);
  expect(fixture.names).toEqual([]);
  expect(fixture.requests).toBeLessThanOrEqual(remove);
});
