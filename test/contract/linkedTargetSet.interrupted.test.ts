// A LinkedTargetSet whose replies are lost or whose runs are killed while others work on the same sessions.

import { SnapcloneError } from "../../provider/core/errors";
import type { HttpRequest, RawResponse } from "../../provider/core/http/request";
import type { Properties } from "../../provider/core/operation";
import { SETS } from "../support/viprFixture";
import {
  active,
  fixture,
  good,
  idsOf,
  monday,
  outputOf,
  outs,
  posts,
  tuesday,
  up,
} from "./linkedTargetSetEngineFixture";

type Exchange = (request: HttpRequest<unknown>) => RawResponse;

/** While `work` runs, `answer` answers the requests whose path fits; `before` is what would have answered. */
async function answering<T>(path: RegExp, answer: (before: () => RawResponse) => RawResponse, work: () => Promise<T>) {
  const exchange: Exchange = fixture.exchange.bind(fixture);
  fixture.exchange = (request) => (path.test(request.url) ? answer(() => exchange(request)) : exchange(request));
  try {
    return await work();
  } finally {
    fixture.exchange = exchange;
  }
}

const RELINK = /relink-targets/;
const noReply = () => new SnapcloneError({ kind: "ambiguous", message: "ViPR broke off the connection" });

describe("the reply to a relink is lost", () => {
  let theirs: string;
  /** The request does not reach ViPR, and another client relinks a target of its own to the session. */
  const othersRelink = (session: string) => () => {
    const found = fixture.vipr.sessions.get(session);
    const target = fixture.vipr.targets.get(theirs);
    if (found && target) fixture.vipr.relink(found, [target]);
    throw noReply();
  };
  const carriedOut = (before: () => RawResponse) => {
    before();
    throw noReply();
  };
  const first = { ...SETS.monday, refreshTriggers: ["mon"] };
  const refresh = { ...SETS.monday, refreshTriggers: ["tue"] };

  beforeEach(async () => {
    await good(up(first));
    theirs = "";
  });

  describe("and another client relinks on the session", () => {
    beforeEach(() => {
      theirs = fixture.vipr.linkNow(monday, "theirs").id;
    });

    test("the targets that have not moved are an error, and the next up relinks them", async () => {
      const moved = { ...first, snapshotSessionId: tuesday };
      const { errors } = await answering(RELINK, othersRelink(tuesday), () => up(moved));
      expect(String(errors[0])).toMatch(
        /broke off the connection; these targets are still linked to another session: dev/,
      );
      expect(outs().snapshotSessionId).toBe(monday);
      await good(up(moved));
      expect([outs().snapshotSessionId, posts("relink")]).toEqual([tuesday, 1]);
      for (const id of idsOf()) expect(fixture.vipr.sessions.get(tuesday)?.linked).toContain(id);
    });

    test("a refresh does not count as done, and the next up relinks the targets", async () => {
      const { errors } = await answering(RELINK, othersRelink(monday), () => up(refresh));
      expect(String(errors[0])).toMatch(
        /the session has targets of others[\s\S]*The next `pulumi up` relinks the targets/,
      );
      expect(outs().refreshedBy).toEqual(["mon"]);
      await good(up(refresh));
      expect([outs().refreshedBy, posts("relink")]).toEqual([["tue"], 1]);
    });

    test("a run that is killed while it waits for the other's task has refreshed nothing", async () => {
      fixture.vipr.failNext({ operation: "relink", ms: 60_000 });
      const run = answering(RELINK, othersRelink(monday), () => up({ ...refresh, __timeouts: { update: "20s" } }));
      expect((await run).errors).toHaveLength(1);
      expect(outs()).toMatchObject({ pending: { operation: "update" } });
      await good(up(refresh));
      expect([outs().refreshedBy, posts("relink")]).toEqual([["tue"], 1]);
    });
  });

  test("a refresh of a session without other targets counts as done, once", async () => {
    await good(answering(RELINK, carriedOut, () => up(refresh)));
    expect([outs().refreshedBy, posts("relink")]).toEqual([["tue"], 1]);
    await good(up(refresh));
    expect(posts("relink")).toBe(1);
  });
});

describe("a target of others with a name of the set", () => {
  const link = (batch: number) => fixture.vipr.linkNow(monday, `${fixture.entry()?.id}g${batch}-1`).id;
  const killedLink = (args: Properties) => {
    const kill = (before: () => RawResponse) => {
      const answer = before();
      fixture.isDead = true;
      return answer;
    };
    return answering(/\/link-targets/, kill, () => up(args));
  };

  test("and a batch that no run of ours can have linked stays", async () => {
    await good(up(SETS.monday));
    const foreign = link(7);
    expect(outputOf(await good(fixture.run((engine) => engine.refresh())))).toMatch(
      /the set has not made them: dev-\w+g7-1/,
    );
    expect(outs().count).toBe(2);
    await good(up({ ...SETS.monday, count: 3 }));
    expect([outs().count, idsOf().includes(foreign)]).toEqual([3, false]);
    await good(fixture.run((engine) => engine.destroy()));
    expect(active()).toEqual([foreign]);
  });

  test("does not hide what a killed run has linked since", async () => {
    await good(up(SETS.monday));
    const foreign = link(7);
    expect((await killedLink({ ...SETS.monday, count: 3 })).killed).toBe(true);
    fixture.finishBackendWork();
    await good(fixture.run((engine) => engine.destroy()));
    expect(active()).toEqual([foreign]);
  });

  test("what several killed runs have linked goes with the set", async () => {
    await good(up(SETS.monday));
    for (const count of [3, 4]) {
      expect((await killedLink({ ...SETS.monday, count })).killed).toBe(true);
      fixture.finishBackendWork();
    }
    expect(active()).toHaveLength(4);
    await good(fixture.run((engine) => engine.destroy()));
    expect(active()).toEqual([]);
  });
});

describe("an imported target that is kept when it is unlinked", () => {
  const args = { ...SETS.monday, count: 2, deleteTargetsOnUnlink: false };
  const kill = (before: () => RawResponse) => {
    const answer = before();
    fixture.isDead = true;
    return answer;
  };

  beforeEach(async () => {
    const ids = ["night-1", "weekly"].map((label) => fixture.vipr.linkNow(monday, label).id);
    await good(up({ ...args, __import: [monday, ...ids].join(",") }));
  });

  test.each([
    ["up", () => up({ ...args, count: 1 })],
    ["refresh", () => fixture.run((engine) => engine.refresh())],
  ])("is found by the next %s although the run was killed", async (_what, next) => {
    expect((await answering(/unlink-targets/, kill, () => up({ ...args, count: 1 }))).killed).toBe(true);
    fixture.finishBackendWork();
    await good(next());
    expect(outs().promotedVolumes).toMatchObject([{ name: "weekly", id: expect.stringContaining(":Volume:") }]);
    expect(outputOf(await good(fixture.run((engine) => engine.destroy())))).toContain("weekly (urn:storageos:Volume:");
  });

  test("is named by the next destroy although the run was killed", async () => {
    expect((await answering(/unlink-targets/, kill, () => up({ ...args, count: 1 }))).killed).toBe(true);
    fixture.finishBackendWork();
    expect(outputOf(await good(fixture.run((engine) => engine.destroy())))).toContain("weekly (urn:storageos:Volume:");
  });
});

test("an update waits for targets that a search shows only later, as a create does", async () => {
  await good(up(SETS.monday));
  let late = 3;
  const lagging = (before: () => RawResponse) => {
    const answer = before();
    if (posts("link") < 2 || late === 0) return answer;
    late -= 1;
    const { resource } = answer.json as { resource: { match: string }[] };
    const json = { resource: resource.filter(({ match }) => !/g2-2$/.test(match)) };
    return { ...answer, json, text: JSON.stringify(json) };
  };
  await good(answering(/snapshots\/search/, lagging, () => up({ ...SETS.monday, count: 4 })));
  expect([late, outs().count, posts("link")]).toEqual([0, 4, 2]);
  await good(fixture.run((engine) => engine.destroy()));
  expect(active()).toEqual([]);
});
