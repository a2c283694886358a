// The user tags of a program: a tag that leaves the program leaves the clones, whatever happened to the runs before, and a tag
// that the program never had stays.

import { fixture, good, WEB } from "./clonedVmEngineFixture";
import type { Fault } from "./zstackFixture";

const BEFORE = { ...WEB, userTags: ["a", "b"] };
const AFTER = { ...WEB, userTags: ["a", "env::test: 50%"] };
const FOREIGN = "somebody's";

/** Without the notes of tags that an update has added. */
const tags = () =>
  fixture.clones.map(({ uuid }) =>
    fixture.zstack
      .tagsOf(uuid)
      .filter((tag) => !tag.startsWith("snapclone::adding::"))
      .map((tag) => tag.replace(/^snapclone::set::.*/, "ours"))
      .sort(),
  );
const wanted = ({ userTags }: typeof BEFORE) => WEB.names.map(() => ["ours", FOREIGN, ...userTags].sort());

async function made(): Promise<void> {
  fixture.cloud.emulator.reset();
  fixture.engine.edit((state) => Object.assign(state, { entries: [], pending: [] }));
  expect(await fixture.up({ set: BEFORE })).toMatchObject(good);
  const { zstack } = fixture;
  for (const { uuid } of fixture.clones) {
    const row = { uuid: zstack.uuid("tag"), resourceType: "VmInstanceVO", resourceUuid: uuid, tag: FOREIGN };
    zstack.tags.set(row.uuid, { ...row, createdMs: zstack.clock.nowMs() });
  }
  fixture.wait(60_000);
}

describe.each([
  ["that stays", AFTER],
  ["that goes back", BEFORE],
])("each request of an update fails; a program %s", (_what, program) => {
  test.each<Fault>(["503", "lost reply", "killed", "killed after", "job fails"])("%s", async (fault) => {
    const problems: unknown[] = [];
    for (let nth = 0; ; nth += 1) {
      await made();
      await fixture.up({ set: AFTER }, { [nth]: fault });
      if (fixture.requests <= nth) break;
      const failed = fixture.sent[nth];
      fixture.wait(60_000);
      await fixture.refresh();
      const { messages } = await fixture.up({ set: program });
      if (JSON.stringify(tags()) !== JSON.stringify(wanted(program)))
        problems.push({ nth, failed, messages, tags: tags() });
      await fixture.refresh();
      await fixture.up({ set: program });
      if (fixture.requests > 0) problems.push({ nth, failed, sent: fixture.sent });
    }
    expect(problems).toEqual([]);
  });
});

test("all requests fail from one on: the tags go all the same", async () => {
  const problems: unknown[] = [];
  for (let nth = 0; ; nth += 1) {
    await made();
    await fixture.up({ set: AFTER }, Object.fromEntries(Array.from({ length: 300 }, (_, at) => [nth + at, "503"])));
    if (fixture.requests <= nth) break;
    fixture.wait(60_000);
    await fixture.up({ set: BEFORE });
    await fixture.refresh();
    const { messages } = await fixture.up({ set: BEFORE });
    if (JSON.stringify(tags()) !== JSON.stringify(wanted(BEFORE))) problems.push({ nth, messages, tags: tags() });
  }
  expect(problems).toEqual([]);
});
