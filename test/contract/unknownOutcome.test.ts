// What a create of unknown outcome has made is deleted with its entry only if nobody else holds it (docs/ownership.md).
// test/convergence runs the same sequences with a fault at each request.

import { SEED_SESSIONS, SEED_VOLUMES } from "../../emulator";
import type { AnyDefinition } from "../../provider/core/definition";
import type { HttpRequest, RawResponse } from "../../provider/core/http/request";
import { snapshot } from "../../provider/openstack/snapshot/resource";
import { type Fault as CloudFault, type FaultyHttp, inProcessProvider } from "../faults/inProcess";
import { openCloud, PASSWORD } from "../faults/openstackSites";
import { FakeEngine } from "../support/fakeEngine";
import { type Fault, ViprFixture } from "../support/viprFixture";

/** `pulumi stack rename`. */
function renameStack(engine: FakeEngine, stack: string): void {
  const before = engine.urn("db");
  engine.stack = stack;
  engine.edit(({ entries }) => {
    for (const entry of entries) if (entry.urn === before) entry.urn = engine.urn("db");
  });
}

describe("a snapshot", () => {
  const { emulator, clock, newHttp } = inProcessProvider();
  const ARGS = { volumeId: SEED_VOLUMES.data, name: "nightly" };
  let http: FaultyHttp;
  let cloud: ReturnType<typeof openCloud>;
  let engine: FakeEngine;

  const snapshots = () => [...emulator.cinder.snapshots.keys()];

  function newProcess(fault?: CloudFault, forbidden?: RegExp): void {
    http = newHttp(fault);
    const own = http as unknown as { exchange(request: HttpRequest<unknown>): Promise<RawResponse> };
    const exchange = own.exchange.bind(http);
    own.exchange = async (request) =>
      forbidden?.test(`${request.method} ${request.url}`)
        ? answer(403, { forbidden: { code: 403, message: "Policy doesn't allow this to be performed." } })
        : exchange(request);
    cloud = openCloud(emulator.openstack.authUrl, clock, http, "demo");
  }

  afterEach(() => emulator.reset());

  beforeEach(async () => {
    const connection = { ...snapshot.connection, open: () => cloud };
    const definition = { ...snapshot, connection } as AnyDefinition;
    for (let nth = 1; snapshots().length === 0; nth += 1) {
      emulator.reset();
      emulator.keystone.userNamed("demo").password = PASSWORD;
      engine = new FakeEngine(definition, { clock, isDead: () => http.dead });
      newProcess({ nth, kind: "is carried out, its reply lost, and all that follow fail" });
      await engine.up({ db: ARGS });
    }
    expect(engine.idOf("db")).toMatch(/^unknown-/);
    emulator.clock.tick(60_000);
    emulator.cinder.advance();
    newProcess();
  });

  test("that was adopted, and whose record a policy forbids, stays when the old entry is deleted", async () => {
    const made = snapshots();
    newProcess(undefined, /^POST .*\/metadata$/);
    const failing = { volumeId: "00000000-0000-4000-8000-000000000000", name: "other" };
    const { errors, log } = await engine.up({ db: ARGS, other: failing });
    expect([errors.length, log.join()]).toEqual([1, expect.stringContaining("could not be written")]);
    newProcess();
    expect((await engine.up({ db: ARGS })).errors).toEqual([]);
    expect([snapshots(), [engine.idOf("db")]]).toEqual([made, made]);
  });

  test.each(["destroy", "up"] as const)("whose stack is renamed: %s leaves nothing behind", async (command) => {
    renameStack(engine, "prod");
    const { errors } = command === "up" ? await engine.up({ db: ARGS }) : await engine.destroy();
    expect(errors).toEqual([]);
    expect(snapshots()).toEqual(command === "up" ? [engine.idOf("db")] : []);
    expect(engine.state.entries).toHaveLength(snapshots().length);
  });

  test("that the login can't see, since it reaches another project: destroy keeps the entry", async () => {
    emulator.keystone.userNamed("other").password = PASSWORD;
    cloud = openCloud(emulator.openstack.authUrl, clock, http, "other");
    const { errors } = await engine.destroy();
    expect(errors.map(String).join()).toMatch(/does not prove that it is gone: it is on another backend/);
    expect([engine.state.entries.length, snapshots().length]).toEqual([1, 1]);
  });

  test("where the state can't be asked: nothing is deleted, and the error names a way out", async () => {
    engine.isStateReadable = false;
    const { errors } = await engine.destroy();
    const wayOut = /whether another entry of the state holds it is not known.*pulumi state delete/s;
    expect(errors.map(String).join()).toMatch(wayOut);
    expect(snapshots()).toHaveLength(1);
    engine.isStateReadable = true;
    newProcess();
    expect((await engine.destroy()).errors).toEqual([]);
    expect(snapshots()).toEqual([]);
  });
});

describe("linked targets", () => {
  const ARGS = { snapshotSessionId: SEED_SESSIONS.monday, targetName: "dev", count: 2 };
  const fixture = new ViprFixture();
  const targets = () => fixture.vipr.active();

  const up = (fault?: Fault) => fixture.run((engine) => engine.up({ db: ARGS }), fault);

  beforeEach(() => fixture.reset());

  /** ViPR links, the answer is lost, and so are all searches after it. */
  async function unknownOutcome(): Promise<void> {
    await up();
    const nth = fixture.asked.findIndex((asked) => asked.includes("link-targets"));
    fixture.reset();
    let searches = 0;
    await answering(
      503,
      (asked) => asked.includes("/search") && ++searches > 1,
      () => up({ nth, kind: "lost reply" }),
    );
    fixture.finishBackendWork();
    expect(fixture.engine.idOf("db")).toMatch(/^unknown-/);
  }

  test("that were adopted without their record stay when the old entry is deleted", async () => {
    await unknownOutcome();
    const { errors } = await answering(
      400,
      (asked) => /^PUT .*\/tags$/.test(asked),
      () => up(),
    );
    expect(errors).toHaveLength(1);
    const adopted = targets().map(({ id }) => id);
    expect((await up()).errors).toEqual([]);
    expect(targets().map(({ id }) => id)).toEqual(adopted);
    expect(fixture.engine.state.entries).toHaveLength(1);
  });

  test("that the login can't see, since it is of another tenant: destroy keeps the entry", async () => {
    await unknownOutcome();
    const tenant = "urn:storageos:TenantOrg:99999999-dc0c-4ec1-9239-0154f05ef939:global";
    fixture.emulator.vipr.auth.addUser({ name: "guest", password: "secret", role: "admin", tenant });
    fixture.username = "guest";
    const there = [...fixture.vipr.targets];
    fixture.vipr.targets.clear();
    const { errors } = await fixture.run((engine) => engine.destroy());
    for (const [id, row] of there) fixture.vipr.targets.set(id, row);
    expect(errors.map(String).join()).toMatch(/does not prove that it is gone: it is on another backend/);
    expect([fixture.engine.state.entries.length, targets().length]).toEqual([1, 2]);
  });

  test("of another stack stay, even where the beginning of the attempt is the same", async () => {
    const attempt = "001abc";
    const theirs = fixture.newEngine({ stack: "qa" });
    expect((await fixture.run(() => theirs.up({ db: ARGS }))).errors).toEqual([]);
    // Their owner is in tags from now on, and no more in the targets' names.
    renameStack(theirs, "prod");
    expect((await fixture.run(() => theirs.up({ db: ARGS }))).errors).toEqual([]);
    for (const { tags } of targets()) {
      for (const tag of [...tags]) if (tag.startsWith("snapclone:attempt=")) tags.delete(tag);
      tags.add(`snapclone:attempt=${attempt}`);
    }
    const { engine } = fixture;
    const inputs = { ...ARGS, __owner: engine.urn("db"), __organization: "organization" };
    const pending = { operation: "create", task: { outcome: "unknown" }, since: "2026-11-28T00:00:00.000Z" };
    engine.edit(({ entries }) =>
      entries.push({
        urn: engine.urn("db"),
        id: `unknown-${attempt.padEnd(16, "7")}`,
        inputs,
        outputs: { ...inputs, pending },
        leaving: false,
        initError: true,
        created: "2026-11-28T00:00:00.000Z",
      }),
    );
    expect((await fixture.run(() => engine.destroy())).errors).toEqual([]);
    expect(targets()).toHaveLength(2);
  });

  async function answering<T>(status: number, fits: (asked: string) => boolean, work: () => Promise<T>): Promise<T> {
    const exchange = fixture.exchange.bind(fixture);
    const spy = jest
      .spyOn(fixture, "exchange")
      .mockImplementation((request) =>
        fits(`${request.method} ${request.url}`)
          ? answer(status, { code: status, retryable: false })
          : exchange(request),
      );
    try {
      return await work();
    } finally {
      spy.mockRestore();
    }
  }
});

function answer(status: number, json: object): RawResponse {
  return { status, headers: {}, text: JSON.stringify(json), json };
}
