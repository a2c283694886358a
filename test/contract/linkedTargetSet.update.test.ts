// How a LinkedTargetSet is updated, read and deleted: the requests to ViPR, and what the user sees.

import { SEED_SESSIONS } from "../../emulator";
import { diff } from "../../provider/core/diff";
import { create, read, remove, update } from "../../provider/core/lifecycle";
import type { PromotedVolume } from "../../provider/vipr/linkedTargetSet/state";
import { partial } from "../support/failures";
import { idsOf, LinkedTargetSetFixture, NEWS, targetsOf, wwnsOf } from "./linkedTargetSetFixture";

const { monday, tuesday, logs, shopMonday, shopTuesday } = SEED_SESSIONS;
const fixture = new LinkedTargetSetFixture();
const { definition, log, names, newController, newRun, posts, refreshed, start, target } = fixture;
afterEach(fixture.close);

describe("update", () => {
  test("a larger count links only the missing targets, a smaller one unlinks the last ones", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    const more = await update(definition, newRun(), id, outs, { ...NEWS, count: 4 });
    expect(targetsOf(more.outs).map(({ name }) => name.slice(id.length))).toEqual(["g1-1", "g1-2", "g2-1", "g2-2"]);
    expect(idsOf(more.outs).slice(0, 2)).toEqual(idsOf(outs));
    const fewer = await update(definition, newRun(), id, more.outs, { ...NEWS, count: 1 });
    expect(idsOf(fewer.outs)).toEqual(idsOf(outs).slice(0, 1));
    expect(fixture.emulator.vipr.active().map(({ id: left }) => left)).toEqual(idsOf(fewer.outs));
    const again = await update(definition, newRun(), id, fewer.outs, { ...NEWS, count: 2 });
    expect(targetsOf(again.outs).map(({ name }) => name.slice(id.length))).toEqual(["g1-1", "g3-1"]);
    expect(diff(definition, again.outs, NEWS)).toEqual({ changes: false });
  });

  test("targets that are kept become volumes, and the outputs have their URNs", async () => {
    await start();
    const news = { ...NEWS, count: 3, deleteTargetsOnUnlink: false };
    const { id, outs } = await create(definition, newRun(), news);
    const fewer = await update(definition, newRun(), id, outs, { ...news, count: 1 });
    const kept = fewer.outs.promotedVolumes as PromotedVolume[];
    expect(kept.map(({ wwn }) => wwn)).toEqual(wwnsOf(outs).slice(1));
    expect(kept.every((volume) => fixture.emulator.vipr.volumes.get(volume.id)?.label === volume.name)).toBe(true);
    // The name of a kept volume is not used again.
    const again = await update(definition, newRun(), id, fewer.outs, { ...news, count: 2 });
    expect(targetsOf(again.outs).map(({ name }) => name.slice(id.length))).toEqual(["g1-1", "g2-1"]);
    expect(again.outs.promotedVolumes).toEqual(kept);
    await remove(definition, newRun(), id, again.outs);
    expect(fixture.emulator.vipr.active()).toEqual([]);
    expect(log.at(-1)).toMatch(/^warning: these targets were kept as volumes.*g1-1 \(urn:storageos:Volume:/);
  });

  test("read: finds the volumes of kept targets by their names when the run was killed", async () => {
    await start();
    const news = { ...NEWS, deleteTargetsOnUnlink: false };
    const { id, outs } = await create(definition, newRun(), news);
    const last = idsOf(outs)[1] ?? "";
    fixture.emulator.vipr.unlinkNow(last, true);
    expect(await refreshed(id, outs)).toMatchObject({
      count: 1,
      promotedVolumes: [{ id: expect.stringContaining(":Volume:"), wwn: wwnsOf(outs)[1] }],
    });
  });

  test("warns that the content of kept nocopy targets is not guaranteed", async () => {
    await start();
    const news = { ...NEWS, copyMode: "nocopy", deleteTargetsOnUnlink: false };
    const { id, outs } = await create(definition, newRun(), news);
    await update(definition, newRun(), id, outs, { ...news, count: 1 });
    expect(log).toContainEqual(expect.stringContaining("not guaranteed once they are unlinked"));
  });

  test("relinks to another session of the same source in place, and keeps exports", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    fixture.emulator.vipr.setExported(idsOf(outs)[0] ?? "");
    const news = { ...NEWS, snapshotSessionId: tuesday };
    expect(diff(definition, outs, news)).toEqual({});
    const moved = await update(definition, newRun(), id, outs, news);
    expect([idsOf(moved.outs), wwnsOf(moved.outs)]).toEqual([idsOf(outs), wwnsOf(outs)]);
    expect(moved.outs.snapshotSessionId).toBe(tuesday);
    expect([names(monday), names(tuesday).length]).toEqual([[], 2]);
    expect([posts("link"), posts("relink")]).toEqual([1, 1]);
  });

  test("changes nothing for a session of another source, and the next up replaces the set", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    const news = { ...NEWS, snapshotSessionId: logs };
    const failure = await partial(update(definition, newRun(), id, outs, news));
    expect(failure.reasons[0]).toMatch(/is of another source .* than the targets .*\n.*replaces the set/);
    expect(failure.properties).toMatchObject({ snapshotSessionId: monday, unfitSessionId: logs, count: 2 });
    // A refresh in between keeps the record.
    const olds = await refreshed(id, failure.properties);
    expect(diff(definition, olds, news)).toMatchObject({ replaces: ["snapshotSessionId"], deleteBeforeReplace: false });
    expect(diff(definition, olds, { ...NEWS, snapshotSessionId: tuesday })).toEqual({});
    const run = newRun();
    run.registerRecorded(definition, id);
    const replaced = await create(definition, run, news);
    expect(replaced.id).not.toBe(id);
    await remove(definition, run, id, olds);
    expect([names(monday), names(logs).length]).toEqual([[], 2]);
  });

  test("relinks to the same session once for each change of refreshTriggers", async () => {
    await start();
    const first = { ...NEWS, refreshTriggers: ["mon"] };
    const { id, outs } = await create(definition, newRun(), first);
    expect(posts("relink")).toBe(0);
    const second = { ...NEWS, refreshTriggers: ["tue"] };
    const again = await update(definition, newRun(), id, outs, second);
    expect(posts("relink")).toBe(1);
    expect([idsOf(again.outs), again.outs.snapshotSessionId]).toEqual([idsOf(outs), monday]);
    await update(definition, newRun(), id, await refreshed(id, again.outs), {
      ...second,
      deleteTargetsOnUnlink: false,
    });
    expect(posts("relink")).toBe(1);
  });

  test("repeats a relink that failed, and not one that it has only waited for", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), { ...NEWS, refreshTriggers: ["mon"] });
    const news = { ...NEWS, refreshTriggers: ["tue"] };
    fixture.emulator.vipr.failNext({ operation: "relink", succeed: 1 });
    const failed = await partial(update(definition, newRun(), id, outs, news));
    expect(failed.properties).toMatchObject({ refreshedBy: ["mon"], pending: { failed: true } });
    fixture.emulator.vipr.failNext({ operation: "relink", suspend: "suspended_error" });
    const late = await partial(
      update(definition, newRun(), id, failed.properties, { ...news, __timeouts: { update: "1m" } }),
    );
    expect(late.properties).toMatchObject({ refreshedBy: ["mon"], pending: { operation: "update" } });
    fixture.emulator.vipr.resume([...fixture.emulator.vipr.tasks.keys()].at(-1) ?? "");
    const { outs: done } = await update(definition, newRun(), id, late.properties, news);
    expect(done).toMatchObject({ refreshedBy: ["tue"], count: 2 });
    expect(posts("relink")).toBe(2);
  });

  test("relinks, links and unlinks whole groups of a consistency group", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), { ...NEWS, snapshotSessionId: shopMonday });
    const moved = await update(definition, newRun(), id, outs, { ...NEWS, snapshotSessionId: shopTuesday, count: 3 });
    expect(idsOf(moved.outs).slice(0, 4)).toEqual(idsOf(outs));
    expect(targetsOf(moved.outs)).toHaveLength(6);
    const fewer = await update(definition, newRun(), id, moved.outs, {
      ...NEWS,
      snapshotSessionId: shopTuesday,
      count: 1,
    });
    expect(targetsOf(fewer.outs).map(({ name }) => name.slice(id.length))).toEqual(["g1-1-1", "g1-1-2"]);
    await remove(definition, newRun(), id, fewer.outs);
    expect([names(shopMonday), names(shopTuesday)]).toEqual([[], []]);
  });

  test("replaces a group of which a part is gone", async () => {
    await start();
    const news = { ...NEWS, snapshotSessionId: shopMonday };
    const { id, outs } = await create(definition, newRun(), news);
    fixture.emulator.vipr.unlinkNow(idsOf(outs)[1] ?? "");
    const seen = await refreshed(id, outs);
    expect(seen.count).toBe(1);
    const { outs: whole } = await update(definition, newRun(), id, seen, news);
    expect(targetsOf(whole).map(({ name }) => name.slice(id.length))).toEqual(["g1-2-1", "g1-2-2", "g2-1-1", "g2-1-2"]);
    expect(names(shopMonday)).toHaveLength(4);
  });

  test("does not unlink an exported target, and the error says what to do", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    fixture.emulator.vipr.setExported(idsOf(outs)[1] ?? "");
    const failure = await partial(update(definition, newRun(), id, outs, { ...NEWS, count: 1 }));
    expect(failure.reasons[0]).toMatch(/currently exported to a host[\s\S]*Take the target out of its export groups/);
    expect(failure.properties).toMatchObject({ count: 2 });
    expect(failure.properties).not.toHaveProperty("pending");
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/currently exported to a host/);
    expect(names(monday)).toHaveLength(2);
  });

  test("records the targets of a link that failed in part, and links the others with new names", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    fixture.emulator.vipr.failNext({ operation: "link", succeed: 1 });
    const failure = await partial(update(definition, newRun(), id, outs, { ...NEWS, count: 5 }));
    expect(failure.properties).toMatchObject({ count: 3, pending: { operation: "update", failed: true } });
    const { outs: whole } = await update(definition, newRun(), id, failure.properties, { ...NEWS, count: 5 });
    expect(targetsOf(whole).map(({ name }) => name.slice(id.length))).toEqual(["g1-1", "g1-2", "g2-1", "g3-1", "g3-2"]);
  });

  test("frees the names of targets that a refused link has left", async () => {
    await start({ clock: "instant" });
    const { id, outs } = await create(definition, newRun(), NEWS);
    const session = fixture.emulator.vipr.sessions.get(monday);
    if (!session) throw new Error("no session");
    // A refused link has left it without a task and unprovisioned (docs/wire/vipr.md#s0-6).
    fixture.emulator.vipr.createSession(`${id}g2-2`, { volume: session.volume ?? "" });
    expect(() => fixture.emulator.vipr.link(session, 2, `${id}g2`, "copy")).toThrow(/already exists/);
    const { outs: whole } = await update(definition, newRun(), id, outs, { ...NEWS, count: 3 });
    expect(targetsOf(whole).map(({ name }) => name.slice(id.length))).toEqual(["g1-1", "g1-2", "g3-1"]);
    expect(fixture.emulator.vipr.active()).toHaveLength(3);
  });

  test("records deleteTargetsOnUnlink in the state for a later delete", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    const news = { ...NEWS, deleteTargetsOnUnlink: false };
    expect(diff(definition, outs, news)).toEqual({});
    const { outs: after } = await update(definition, newRun(), id, outs, news);
    expect(after.deleteTargetsOnUnlink).toBe(false);
    expect(posts("unlink")).toBe(0);
  });
});

describe("read", () => {
  test("shows that targets were unlinked by hand, and the next up links the missing ones", async () => {
    await start();
    const news = { ...NEWS, count: 3 };
    const { id, outs } = await create(definition, newRun(), news);
    fixture.emulator.vipr.unlinkNow(idsOf(outs)[1] ?? "");
    const inactive = await read(definition, newRun(), id, outs);
    expect(inactive.props).toMatchObject({ count: 2 });
    expect(inactive.inputs).toMatchObject({ count: 2, targetName: "dev", copyMode: "copy" });
    fixture.emulator.vipr.collectGarbage();
    const collected = await refreshed(id, outs);
    expect(collected).toEqual(inactive.props);
    const { outs: whole } = await update(definition, newRun(), id, collected, news);
    expect(targetsOf(whole).map(({ name }) => name.slice(id.length))).toEqual(["g1-1", "g1-3", "g2-1"]);
  });

  test("shows that a target was relinked by hand, and the next up relinks it back", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    fixture.emulator.vipr.relinkNow(idsOf(outs)[1] ?? "", tuesday);
    const seen = await refreshed(id, outs);
    expect(seen).toMatchObject({ snapshotSessionId: tuesday, count: 2 });
    expect(targetsOf(seen).map(({ snapshotSessionId }) => snapshotSessionId)).toEqual([monday, tuesday]);
    const { outs: back } = await update(definition, newRun(), id, seen, NEWS);
    expect(back.snapshotSessionId).toBe(monday);
    expect(names(tuesday)).toEqual([]);
    expect(target(idsOf(outs)[1] ?? "").inactive).toBe(false);
  });

  test("a set is gone when all its targets are, and not when the login may not see them", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    const root = fixture.controller;
    fixture.controller = newController("stranger");
    await expect(read(definition, newRun(), id, outs)).rejects.toThrow(/code 3000/);
    fixture.controller = root;
    for (const one of idsOf(outs)) fixture.emulator.vipr.unlinkNow(one);
    expect(await read(definition, newRun(), id, outs)).toEqual({});
    fixture.emulator.vipr.collectGarbage();
    expect(await read(definition, newRun(), id, outs)).toEqual({});
  });

  test("ignores ids in linked_targets that lead to no target", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    // VIPR_ONLY: inactive, and still named by the session (docs/wire/vipr.md#s0-11).
    target(idsOf(outs)[0] ?? "").inactive = true;
    expect(await refreshed(id, outs)).toMatchObject({ count: 1 });
  });
});

describe("delete", () => {
  test("unlinks the targets that still exist when some were unlinked by hand", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), { ...NEWS, count: 3 });
    fixture.emulator.vipr.unlinkNow(idsOf(outs)[0] ?? "");
    await remove(definition, newRun(), id, outs);
    expect(fixture.emulator.vipr.active()).toEqual([]);
    // ViPR refuses the first request, because one of the three targets does not exist.
    const [refused, unlinked] = fixture.emulator.requests.filter(({ operation }) => operation === "sessions.unlink");
    expect([refused?.status, unlinked?.status]).toEqual([400, 202]);
    expect(unlinked?.body).toEqual({
      linked_targets: idsOf(outs)
        .slice(1)
        .reverse()
        .map((one) => ({ id: one, delete_target: true })),
    });
    await remove(definition, newRun(), id, outs);
    expect(fixture.emulator.requests.count({ operation: "sessions.unlink", status: 202 })).toBe(1);
  });

  test("fetches the set again when a target vanishes before the request, and unlinks the others", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    const gone = idsOf(outs)[0] ?? "";
    const { client } = fixture.controller;
    const unlinkTargets = client.unlinkTargets.bind(client);
    client.unlinkTargets = async (...args) => {
      if (!target(gone).inactive) fixture.emulator.vipr.unlinkNow(gone);
      return unlinkTargets(...args);
    };
    await remove(definition, newRun(), id, outs);
    expect(fixture.emulator.vipr.active()).toEqual([]);
    expect(fixture.emulator.requests.filter(({ operation }) => operation === "sessions.unlink")).toMatchObject([
      { status: 400 },
      { status: 202 },
    ]);
  });

  test("waits for a create that is still running, then unlinks", async () => {
    await start({ timings: { viprLink: 30_000 } });
    const failure = await partial(create(definition, newRun(), { ...NEWS, __timeouts: { create: "5s" } }));
    await remove(definition, newRun(), failure.id, failure.properties);
    expect(fixture.emulator.vipr.active()).toEqual([]);
  });

  test("fails when an unlink fails, and the next delete continues", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    fixture.emulator.vipr.failNext({ operation: "unlink", succeed: 1 });
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/ended in error: code 16001/);
    expect(names(monday)).toHaveLength(1);
    await remove(definition, newRun(), id, outs);
    expect(fixture.emulator.vipr.active()).toEqual([]);
  });
});
