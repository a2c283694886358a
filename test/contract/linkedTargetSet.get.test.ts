// `LinkedTargetSet.get`: a set of another stack, by its id alone.

import { SEED_SESSIONS } from "../../emulator";
import { create, read } from "../../provider/core/lifecycle";
import { failure } from "../support/failures";
import { idsOf, LinkedTargetSetFixture, NEWS } from "./linkedTargetSetFixture";

const { shopMonday, tuesday } = SEED_SESSIONS;
const fixture = new LinkedTargetSetFixture();
const { definition, newRun, start } = fixture;
afterEach(fixture.close);

test.each([
  ["a volume", NEWS],
  ["a consistency group", { ...NEWS, snapshotSessionId: shopMonday }],
])("it finds the targets of a session of %s, and their session", async (_of, news) => {
  await start();
  const { id, outs } = await create(definition, newRun(), news);
  // Another set of the same stack, session and name.
  await create(definition, newRun(), { ...news, __owner: `${NEWS.__owner}-2` });
  const { props } = await read(definition, newRun(), id, {});
  expect(idsOf(props ?? {})).toEqual(idsOf(outs));
  const { snapshotSessionId, targetName, sourceId, count } = outs;
  expect(props).toMatchObject({ snapshotSessionId, targetName, sourceId, count });
});

test("after a relink it shows the other session", async () => {
  await start();
  const { id, outs } = await create(definition, newRun(), NEWS);
  for (const target of idsOf(outs)) fixture.emulator.vipr.relinkNow(target, tuesday);
  const { props } = await read(definition, newRun(), id, {});
  expect(props).toMatchObject({ snapshotSessionId: tuesday, count: 2 });
});

test.each(["dev", "", "urn:storageos:BlockSnapshot:a:vdc1", "dev-000000000000000000"])(
  "an id that is no set's, %p, is not found, and no foreign target is shown",
  async (id) => {
    await start();
    await create(definition, newRun(), NEWS);
    expect((await failure(read(definition, newRun(), id, {}))).kind).toBe("notFound");
  },
);
