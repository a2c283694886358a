// A real rate limiter in front of a real Cinder: nginx's `limit_req`. Many snapshots, 20 in flight, are all made, none twice,
// each within its operation's deadline. SNAPCLONE_LIMIT="500 100" runs 500 snapshots through 100 requests a minute by hand.

import { setTimeout as delay } from "node:timers/promises";
import { create } from "../../provider/core/lifecycle";
import { Run } from "../../provider/core/run";
import { Semaphore } from "../../provider/core/util/semaphore";
import { resolveOpenStack } from "../../provider/openstack/connection";
import { OpenStackContext } from "../../provider/openstack/context";
import { KeystoneSession } from "../../provider/openstack/keystone";
import { snapshot } from "../../provider/openstack/snapshot/resource";
import { describeOpenStack } from "./lab";
import { type Nginx, startNginx } from "./servers";

const [count = 40, perMinute = 240] = (process.env.SNAPCLONE_LIMIT?.split(" ") ?? []).map(Number);
const IN_FLIGHT = 20;
const BURST = 5;
/** Twice the time that the POSTs alone need at this rate: polls and refusals take their part. */
const DEADLINE_S = 60 + Math.ceil((2 * 60 * count) / perMinute);

describeOpenStack("a real Cinder behind a rate limit", (lab) => {
  let nginx: Nginx;
  let volumeId = "";
  beforeAll(async () => {
    const { origin } = new URL(lab().cinderUrl);
    nginx = await startNginx({ cinder: { to: origin, limit: { perMinute, burst: BURST } } });
    // On the backend without storage, where a snapshot takes no time: what is measured is the limit.
    const volume = { size: 1, name: "limited", availability_zone: "faulty" };
    const { body } = await lab().request("POST", "/volumes", { volume });
    volumeId = Object(body).volume.id;
    await until(async () => (await volumeOf())?.status === "available");
  }, 60_000);
  afterAll(async () => {
    await nginx?.stop();
    // Many at once: with `cascade`, Cinder deletes them one after another.
    const atOnce = new Semaphore(IN_FLIGHT);
    const remove = (id: string) => atOnce.run(() => lab().request("DELETE", `/snapshots/${id}`));
    await Promise.all((await snapshotsOf()).map(({ id }) => remove(id)));
    await until(async () => (await snapshotsOf()).length === 0);
    await lab().request("DELETE", `/volumes/${volumeId}`);
    await until(async () => (await volumeOf()) === undefined);
  }, 600_000);

  const snapshotsOf = async (): Promise<{ id: string; name: string; status: string }[]> => {
    const { body } = await lab().request("GET", `/snapshots/detail?volume_id=${volumeId}`);
    return Object(body).snapshots;
  };
  const volumeOf = async (): Promise<{ status: string } | undefined> => {
    const { status, body } = await lab().request("GET", `/volumes/${volumeId}`);
    return status === 404 ? undefined : Object(body).volume;
  };

  test(
    `${count} snapshots at ${perMinute} requests a minute, ${IN_FLIGHT} in flight: all made, none twice`,
    async () => {
      const config = { ...lab().connection, blockStorageEndpoint: `${nginx.urls.cinder}/v3/%(project_id)s` };
      const settings = resolveOpenStack({ name: "default", config, env: {}, cwd: "/", home: "/" });
      const log: string[] = [];
      const run = new Run({ log: (severity, text) => log.push(`${severity}: ${text}`) });
      const cloud = new OpenStackContext(new KeystoneSession(settings));
      const definition = { ...snapshot, connection: { kind: "openstack", open: () => cloud } };
      const names = Array.from({ length: count }, (_, at) => `limited-${at}`);
      const inFlight = new Semaphore(IN_FLIGHT);
      const begun = performance.now();
      let longest = 0;
      const outcomes = await Promise.allSettled(
        names.map((name, at) =>
          inFlight.run(async () => {
            const from = performance.now();
            const made = await create(definition, run, {
              volumeId,
              name,
              __owner: `urn:pulumi:lab::limits::pulumi-nodejs:dynamic/snapclone:Snapshot::${name}`,
              __attempt: `limited${String(at).padStart(9, "0")}`,
              __timeouts: { create: `${DEADLINE_S}s` },
            });
            longest = Math.max(longest, performance.now() - from);
            return made.id;
          }),
        ),
      );
      const seconds = (performance.now() - begun) / 1_000;
      await cloud.session.close();
      const present = await snapshotsOf();
      const requests = nginx.read("cinder.log").trim().split("\n");
      const statuses = (status: number) => requests.filter((line) => line.endsWith(` ${status}`)).length;
      process.stderr.write(
        `\n${count} snapshots at ${perMinute} a minute: ${seconds.toFixed(0)} s, the longest create ${(longest / 1_000).toFixed(0)} s; ` +
          `${requests.length} requests, of which ${statuses(429)} were refused\n`,
      );
      expect(outcomes.filter(({ status }) => status === "rejected")).toEqual([]);
      expect(present.map(({ name }) => name).sort()).toEqual([...names].sort());
      expect(present.every(({ status }) => status === "available")).toBe(true);
      const posts = requests.filter((line) => /^POST \/v3\/\w+\/snapshots 202$/.test(line));
      expect(posts).toHaveLength(count);
      expect(longest / 1_000).toBeLessThan(DEADLINE_S);
      expect(statuses(429)).toBeGreaterThan(0);
      // What is sent together before the limit is known, and now and then a probe (provider/core/http/learnedLimit.ts).
      expect(statuses(429)).toBeLessThan(0.3 * requests.length);
      expect(log.some((line) => /^status: waiting for Cinder's rate limit/.test(line))).toBe(true);
    },
    (DEADLINE_S * Math.ceil(count / IN_FLIGHT) + 120) * 1_000,
  );
});

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 300_000;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error("it did not come about within five minutes");
    await delay(300);
  }
}
