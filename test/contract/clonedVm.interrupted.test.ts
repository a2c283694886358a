// ClonedVm on a model of the engine: dry runs, unknown outcomes and interrupted deletions, and what the next run resumes.

import { cloned, FULL, fixture, good, numberOf, renew, uuidsOf, WEB } from "./clonedVmEngineFixture";
import type { Fault } from "./zstackFixture";

const OWNER = "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:ClonedVm::web";

describe("dry run", () => {
  beforeEach(() => {
    renew({}, {}, { dryRun: true });
  });
  const ask = (faults: Readonly<Record<number, Fault>> = {}) =>
    fixture.run(async () => {
      const cloud = fixture.connect();
      const { clock } = fixture;
      const log: string[] = [];
      const run = { clock, signal: new AbortController().signal, warn: (text: string) => log.push(text) };
      await fixture.definition.dryRun?.(cloud, WEB, { ...run, stack: "s", owner: OWNER }).catch(() => {});
      return { errors: [], killed: false, log };
    }, faults);

  test("dry run: tags the source before the request and removes the tag afterwards", async () => {
    await ask();
    const writes = fixture.sent.filter((one) => /^(POST|PUT \/vm|DELETE)/.test(one));
    expect(writes).toEqual([
      "POST /user-tags",
      expect.stringMatching("PUT /vm-instances"),
      expect.stringMatching("DELETE /tags"),
    ]);
    expect([fixture.tags, fixture.names]).toEqual([[], []]);
  });

  test("dry run: leaves no clone without an owner, wherever it is killed, on a server that really clones", async () => {
    const answer = fixture.cloud.answer.bind(fixture.cloud);
    Object.assign(fixture.cloud, {
      answer: (request: Parameters<typeof answer>[0]) => {
        const { body } = request;
        const tags = (body as { systemTags?: string[] } | undefined)?.systemTags;
        return answer(tags ? { ...request, body: { ...(body as object), systemTags: [] } } : request);
      },
    });
    const { log } = await ask();
    expect([log, fixture.names, fixture.tags, fixture.zstack.vms.size]).toEqual([
      [expect.stringMatching(/really cloned the VM/)],
      [],
      [],
      2,
    ]);
    const { requests } = fixture;
    let left = 0;
    for (let at = 0; at < requests; at += 1) {
      fixture.cloud.emulator.reset();
      await ask({ [at]: "killed after" });
      fixture.wait(60_000);
      left += fixture.names.length;
      // The name of each living VM contains the set's id, and a tag on the source names the owner.
      for (const name of fixture.names) {
        const set = /\.sc-(\w{32})$/.exec(name)?.[1];
        expect(fixture.tags).toContainEqual(
          expect.stringMatching(`^snapclone::intent::${set}::.*::dry-run::.*${OWNER}$`),
        );
      }
    }
    expect(left).toBeGreaterThan(0);
  });
});

describe("an unknown outcome", () => {
  test.each(["given-up", "forgotten"] as const)(
    "create: waits for a job that is %s while its work goes on, and clones once",
    async (outcome) => {
      renew({}, { zstackImage: 30_000, zstackClone: 30_000 });
      fixture.zstack.failNextClone(outcome);
      expect(await fixture.up({ web: WEB })).toMatchObject(good);
      expect([fixture.names, fixture.zstack.vms.size]).toEqual([WEB.names, 4]);
    },
  );

  test.each(["given-up", "forgotten"] as const)(
    "destroy: waits for a job that is %s, so that no VM appears afterwards",
    async (outcome) => {
      renew({}, { zstackImage: 90_000, zstackClone: 90_000 });
      fixture.zstack.failNextClone(outcome);
      const news = { ...WEB, __timeouts: { create: "30s" } };
      const { errors } = await fixture.up({ web: news });
      expect(errors).toHaveLength(1);
      expect(fixture.outputs).toMatchObject({ pending: { operation: "create" }, names: WEB.names });
      expect(await fixture.destroy()).toMatchObject(good);
      fixture.wait(3_600_000);
      expect([fixture.names, fixture.tags.filter((tag) => tag.includes("intent"))]).toEqual([[], []]);
    },
  );

  test("create: a stuck job ends when the server's own timeout is over", async () => {
    fixture.zstack.failNextClone("stuck");
    const { errors, messages } = await fixture.up({ web: { ...WEB, __timeouts: { create: "2m" } } });
    expect([errors.length, messages]).toEqual([1, expect.stringMatching(/waited .* for cloning 2 VMs; seen: /)]);
    await fixture.refresh();
    expect(await fixture.up({ web: WEB })).toMatchObject(good);
    expect([fixture.names, fixture.outputs.pending]).toEqual([WEB.names, undefined]);
    expect(fixture.zstack.vms.size).toBe(4);
  });

  test("create: deletes no VM in the transient state Created", async () => {
    renew({}, { zstackImage: 10, zstackClone: 200_000 });
    fixture.zstack.failNextClone("given-up");
    const { errors } = await fixture.up({ web: { ...WEB, __timeouts: { create: "30s" } } });
    expect([errors.length, fixture.clones.map(({ state }) => state)]).toEqual([1, ["Created", "Created"]]);
    const before = uuidsOf();
    await fixture.up({ web: WEB });
    expect([fixture.names, uuidsOf()]).toEqual([WEB.names, before]);
  });

  test("create: reports why ZStack removed a clone that did not start", async () => {
    fixture.zstack.cloneBehaviour({ match: { name: "web-1" }, outcome: "start-failed-gone", times: 1 });
    const { messages } = await fixture.up({ web: WEB });
    expect(messages).toMatch(/web-1 could not be cloned \(cloned: web-2\): "web-1": VM\.1001.*ZStack removed it/);
  });

  test("refresh: retries a query after a malformed 200", async () => {
    await fixture.up({ web: WEB });
    let malformed = 0;
    const answer = fixture.cloud.answer.bind(fixture.cloud);
    Object.assign(fixture.cloud, {
      answer: (request: Parameters<typeof answer>[0]) => {
        const reply = answer(request);
        if (!/user-tags/.test(request.url) || malformed > 1 || !reply) return reply;
        malformed += 1;
        return { ...reply, body: "<html>" };
      },
    });
    expect(await fixture.refresh()).toMatchObject(good);
    expect(malformed).toBe(2);
  });
});

describe("an interrupted deletion", () => {
  const before = { ...FULL, names: ["db-1", "db-2"], deletion: "expunge" };
  const after = { ...before, names: ["db-1"] };

  test("update: finishes a deletion that was killed and then refreshed", async () => {
    await fixture.up({ db: before });
    const at = await numberOf(/DELETE \/volumes/, () => fixture.up({ db: after }));
    renew();
    await fixture.up({ db: before });
    await fixture.up({ db: after }, { [at]: "killed" });
    fixture.wait(60_000);
    expect((await fixture.refresh()).messages).toMatch(/of "db-2", which is gone, there is still the volumes/);
    expect(fixture.outputs).toMatchObject({ names: ["db-1"], leftovers: [{ name: "db-2" }] });
    expect(await fixture.up({ db: after })).toMatchObject(good);
    expect([cloned().length, fixture.zstack.vms.size, fixture.outputs.leftovers]).toEqual([2, 3, undefined]);
  });

  test("update: finds a clone that could not be tagged by its pending create", async () => {
    await fixture.up({ db: after });
    const swapped = { ...after, names: ["db-2"] };
    // A run without a fault shows which request tags the clone.
    await fixture.up({ db: swapped });
    const tagging = fixture.sent.findLastIndex((one) => one.startsWith("POST /user-tags"));
    renew();
    await fixture.up({ db: after });
    const { errors } = await fixture.up({ db: swapped }, { [tagging]: "job fails" });
    expect([errors.length, fixture.tags.some((tag) => tag.startsWith("snapclone::intent"))]).toEqual([1, true]);
    expect(await fixture.up({ db: after })).toMatchObject(good);
    expect([fixture.names, cloned().length, fixture.outputs.names]).toEqual([["db-1"], 2, ["db-1"]]);
    await fixture.destroy();
    expect([fixture.names, cloned(), fixture.tags]).toEqual([[], [], []]);
  });

  test("destroy: deletes the volumes of a VM that was in the recycle bin when its set was adopted", async () => {
    const at = await numberOf(/DELETE \/tags/, () => fixture.up({ db: after }));
    renew();
    await fixture.up({ db: after }, { [at]: "killed" });
    fixture.wait(60_000);
    const [vm] = fixture.clones;
    for (const volume of fixture.zstack.volumesOf(vm?.uuid ?? "", "Data")) fixture.zstack.detach(volume);
    if (vm) vm.state = "Destroyed";
    await fixture.up({ db: { ...after, names: ["db-2"] } });
    await fixture.destroy();
    expect([fixture.names, cloned(), fixture.tags]).toEqual([[], [], []]);
  });

  test("destroy: leaves no cloned disk after a killed update that added a name", async () => {
    await fixture.up({ db: after });
    const at = await numberOf(/PUT \/vm-inst/, () => fixture.up({ db: before }));
    renew();
    await fixture.up({ db: after });
    await fixture.up({ db: before }, { [at]: "killed after" });
    expect(await fixture.destroy()).toMatchObject(good);
    fixture.wait(60_000);
    expect([fixture.names, cloned(), fixture.zstack.vms.size, fixture.tags]).toEqual([[], [], 2, []]);
  });
});
