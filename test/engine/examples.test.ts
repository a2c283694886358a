// Every example is executed as it stands, in TypeScript, on the emulator.

import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Emulator, SEED_VOLUMES } from "../../emulator";
import { type Backend, emulatorBackend } from "../scenarios/backend";
import { describeEngine, newStack, type Stack } from "./harness";

const EXAMPLES = resolve(__dirname, "..", "..", "examples");
const folders = readdirSync(EXAMPLES, { withFileTypes: true }).flatMap((one) => (one.isDirectory() ? [one.name] : []));
/** With a test of their own: the last one below, test/package/{ciPreview,openstackProgram}.test.ts and native/examples*.test.ts. */
const ELSEWHERE = ["emulator", "ci-preview", "restore-attach", "native"];
/** What the `openstack` command has made before. */
const IMPORTED = "cccccccc-0000-4000-8000-000000000001";
/** What its Pulumi.yaml or its reader would configure. */
const SETTINGS: Record<string, Record<string, unknown>> = {
  quickstart: {
    "snapclone-test:dataVolume": "11111111-1111-4111-8111-111111111111",
    "snapclone-test:logsVolume": "22222222-2222-4222-8222-222222222222",
    "snapclone-test:label": "nightly",
    "snapclone-test:keepDays": "7",
  },
  import: {
    "snapclone-test:volume": "11111111-1111-4111-8111-111111111111",
    "snapclone-test:snapshot": IMPORTED,
  },
  // Otherwise Pulumi refuses the `destroy` at the end.
  protect: { "snapclone-test:protect": "false" },
  // A night that passes between the two runs would be a change.
  "snapshot-series": { "snapclone-test:day": "2026-11-28" },
  "two-clouds": {
    "snapclone-test:volume": "11111111-1111-4111-8111-111111111111",
    "snapclone-test:replica": "22222222-2222-4222-8222-222222222222",
  },
  "volume-clone": {
    "snapclone-test:volumes": JSON.stringify([
      "11111111-1111-4111-8111-111111111111",
      "22222222-2222-4222-8222-222222222222",
      "33333333-3333-4333-8333-333333333333",
    ]),
  },
};
/** What is done beforehand, where something is. */
const BEFORE: Record<string, (cloud: Emulator) => void> = {
  "assisted-snapshot": ({ nova }) => void nova.createFile(SEED_VOLUMES.logs, "upgrade.qcow2"),
  import: ({ cinder }) => void cinder.createSnapshot({ id: IMPORTED, volume_id: SEED_VOLUMES.data, name: "year-end" }),
};
/** Snapshots that stay, because the program says so. */
const RETAINED: Record<string, number> = { snapshot: 1, import: 1, protect: 1, "snapshot-series": 1 };

describeEngine("examples", () => {
  let cloud: Emulator;
  let backend: Backend;

  beforeAll(async () => {
    ({ cloud, backend } = await emulatorBackend({ snapshotCreate: 300, snapshotDelete: 300 }));
    cloud.cinder.createVolume({ id: "33333333-3333-4333-8333-333333333333", name: "temp", size: 5 });
  });

  afterEach(() => cloud.cinder.snapshots.clear());
  afterAll(() => cloud.close());

  test.each(folders.filter((name) => !ELSEWHERE.includes(name)))("%s", async (name) => {
    BEFORE[name]?.(cloud);
    const stack = await newStack({
      program: { dir: join(EXAMPLES, name) },
      config: {
        ...backend.connections,
        backup: backend.connections.default,
        admin: { ...cloud.openstack.connection("admin") },
        powervc: cloud.powervc.connection(),
        vipr: cloud.vipr.connection(),
        zstack: cloud.zstack.connection(),
      },
      settings: SETTINGS[name] ?? {},
    });
    try {
      // The types are checked with the repository's. A check by Pulumi takes as long as the rest of a run, so one is enough.
      const quick = { env: { PULUMI_NODEJS_TRANSPILE_ONLY: "true" } };
      const up = await stack.up(name === "quickstart" ? {} : quick);
      expect([up.code, up.stderr]).toEqual([0, expect.any(String)]);
      const again = await stack.up(quick);
      // A `Snapshot.get` is asked for anew each time, and counts as the same where nothing has touched the snapshot since.
      const { same, ...rest } =
        again.events.find(({ summaryEvent }) => summaryEvent)?.summaryEvent?.resourceChanges ?? {};
      expect(rest).toEqual({});
      expect(same).toBeGreaterThan(1);
      expect((await stack.destroy()).code).toBe(0);
      expect(cloud.cinder.snapshots.size).toBe(RETAINED[name] ?? 0);
      expect(cloud.vipr.active()).toEqual([]);
      expect(cloud.zstack.living().map((vm) => vm.name)).toEqual(["web", "db"]);
      expect(cloud.cinder.volumes.size).toBe(3);
    } finally {
      await stack.close();
    }
  });
});

describeEngine("recipes", () => {
  let cloud: Emulator;
  let backend: Backend;
  beforeAll(async () => {
    ({ cloud, backend } = await emulatorBackend({ snapshotCreate: 300, snapshotDelete: 300 }));
  });
  afterAll(() => cloud.close());
  const outputsOf = async (stack: Stack) =>
    (await stack.export()).deployment.resources?.find(({ type }) => type === "pulumi:pulumi:Stack")?.outputs;
  const stackOf = (name: string) => newStack({ program: { dir: join(EXAMPLES, name) }, config: backend.connections });

  test("find-orphans: names what this stack made and the program does not have, and nothing of others", async () => {
    const stack = await stackOf("find-orphans");
    try {
      expect((await stack.up()).code).toBe(0);
      expect(await outputsOf(stack)).toEqual({ orphans: [] });
      const [made] = cloud.cinder.snapshots.values();
      const like = (change: Record<string, string>) =>
        cloud.cinder.createSnapshot({
          name: "x",
          volume_id: SEED_VOLUMES.data,
          metadata: { ...made?.metadata, ...change },
        });
      const orphan = like({});
      like({ "snapclone:stack": "another" });
      cloud.cinder.createSnapshot({ name: "by hand", volume_id: SEED_VOLUMES.data });
      expect((await stack.up()).code).toBe(0);
      expect(await outputsOf(stack)).toEqual({
        orphans: [
          { id: orphan.id, name: "x", createdAt: expect.any(String), owner: made?.metadata["snapclone:owner"] },
        ],
      });
    } finally {
      await stack.close();
    }
  });

  test("protect: Pulumi refuses to destroy what is protected", async () => {
    const stack = await stackOf("protect");
    try {
      expect((await stack.up()).code).toBe(0);
      const refused = await stack.destroy();
      expect(refused.code).not.toBe(0);
      expect(refused.stdout + refused.stderr).toMatch(/protect/);
    } finally {
      await stack.close();
    }
  });
});

test("the emulator as a library", () => {
  const outputOf = (file: string) =>
    execFileSync(process.execPath, [join(EXAMPLES, "emulator", file)], { encoding: "utf8" });
  expect(outputOf("library.mjs")).toMatch(/^data at http:\/\/127\.0\.0\.1:\d+\/identity\/v3: 0 requests so far$/m);
  expect(outputOf("data.mjs")).toBe("last-week of db has 50 GiB\n");
});
