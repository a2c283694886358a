// What 40 snapshots cost on a real Cinder: requests and seconds, beside openstacksdk in the same run. The seconds are
// only printed: they depend on the machine. The requests are counted in front of Cinder.

import { execFile } from "node:child_process";
import { createServer, request as send } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { describeEngine, newStack, type Result, type Stack } from "../engine/harness";
import type { VolumeBackend } from "../scenarios/volumes";
import { labVolumeBackend } from "./backend";
import { describeOpenStack, type OpenStackLab } from "./lab";

const N = 40;
/** Of openstacksdk: what its users' thread pools have. The engine gets the same. */
const AT_ONCE = 10;
/** However many wait: one list answers all, and there is none sooner than 0.4 s after the last (provider/core/batchPoller.ts). */
const LISTS_A_SECOND = 2.5;
const PYTHON = "/usr/bin/python3";
const SDK_SCRIPT = join(__dirname, "..", "..", "tools", "bench", "openstacksdk.py");

/** A passage to Cinder that notes each request. */
interface Counter {
  url: string;
  seen: { method: string; path: string }[];
  close(): Promise<void>;
}

describeOpenStack("a real Cinder", (lab) => {
  describeEngine(`${N} snapshots beside openstacksdk`, () => {
    let counter: Counter;
    let stack: Stack;
    let backend: VolumeBackend;
    /** On the backend without storage. The NFS driver deletes snapshots one after another, which takes minutes and tells nothing. */
    let volume: string;
    const left = async () => (await backend.snapshots()).filter(({ volume_id }) => volume_id === volume);

    beforeAll(async () => {
      backend = await labVolumeBackend(lab());
      volume = backend.dependingVolume;
      counter = await startCounter(lab().cinderUrl);
      stack = await newStack({
        program: {
          js: `const { Snapshot } = require("pulumi-snapclone");
               for (let i = 0; i < ${N}; i += 1) new Snapshot("s" + i, { volumeId: ${JSON.stringify(volume)} });`,
        },
      });
      const connection = { ...lab().connection, blockStorageEndpoint: counter.url };
      for (const [key, value] of Object.entries(connection)) {
        await stack.setConfig(`snapclone:connections.default.${key}`, String(value), { secret: key === "password" });
      }
    });

    afterAll(async () => {
      await stack.close();
      await counter.close();
      await Promise.all((await left()).map(({ id }) => backend.remove(id)));
      await backend.close();
    }, 300_000);

    test("fewer requests, all snapshots made, all gone in the end", async () => {
      const table: string[][] = [["", "requests", "seconds"]];
      const measured = async (what: string, work: () => Promise<number>) => {
        counter.seen.length = 0;
        const seconds = await work();
        table.push([what, String(counter.seen.length), seconds.toFixed(1)]);
        return { seconds, seen: counter.seen.slice() };
      };

      const ours = await measured(`pulumi up, --parallel ${AT_ONCE}`, () => went(stack.up({ parallel: AT_ONCE })));
      expect(await stack.resources()).toHaveLength(N);
      await measured(`pulumi destroy, --parallel ${AT_ONCE}`, () =>
        went(stack.destroy({ parallel: AT_ONCE, timeoutMs: 500_000 })),
      );
      expect(await left()).toEqual([]);
      const sdk = await sdkVersion();
      const theirs =
        sdk && (await measured(`openstacksdk ${sdk}, ${AT_ONCE} threads`, () => runSdk(lab(), volume, counter.url)));
      process.stderr.write(`\n${N} snapshots on a real Cinder\n${table.map(line).join("\n")}\n`);

      const made = ours.seen.filter(({ method, path }) => method === "POST" && path.endsWith("/snapshots"));
      expect(made).toHaveLength(N);
      // Besides: the version, and one read of each snapshot that a list has not shown yet.
      expect(ours.seen.length - N).toBeLessThanOrEqual(LISTS_A_SECOND * ours.seconds + 10);
      if (theirs) expect(ours.seen.length).toBeLessThan(theirs.seen.length);
      else process.stderr.write(`openstacksdk is left out: ${PYTHON} doesn't have it\n`);
    }, 900_000);
  });
});

async function went(running: Promise<Result>): Promise<number> {
  const { code, stdout, stderr, ms } = await running;
  if (code !== 0) throw new Error(`exit code ${code}\n${stdout}\n${stderr}`);
  return ms / 1000;
}

function line(values: readonly string[]): string {
  return values.map((value, index) => (index === 0 ? value.padEnd(36) : value.padStart(10))).join("");
}

async function startCounter(cinderUrl: string): Promise<Counter> {
  const { origin, hostname, port, pathname } = new URL(cinderUrl);
  const seen: Counter["seen"] = [];
  const server = createServer((from, to) => {
    const path = decodeURIComponent(new URL(from.url ?? "/", origin).pathname);
    seen.push({ method: from.method ?? "", path });
    const onward = send({ hostname, port, path: from.url, method: from.method, headers: from.headers }, (answer) => {
      to.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(to);
    });
    onward.on("error", () => to.destroy());
    from.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${pathname}`,
    seen,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const run = promisify(execFile);

async function sdkVersion(): Promise<string | undefined> {
  try {
    return (await run(PYTHON, ["-c", "import openstack.version as v; print(v.__version__)"])).stdout.trim();
  } catch {
    return undefined;
  }
}

/** Seconds, as the script itself has measured them: without Python's own start. */
async function runSdk({ connection }: OpenStackLab, volume: string, cinder: string): Promise<number> {
  const { authUrl, region, username, password, userDomainName, projectName, projectDomainName } = connection;
  const env = {
    PATH: process.env.PATH,
    HOME: "/nonexistent",
    OS_AUTH_URL: authUrl,
    OS_REGION_NAME: region,
    OS_USERNAME: username,
    OS_PASSWORD: password,
    OS_USER_DOMAIN_NAME: userDomainName,
    OS_PROJECT_NAME: projectName,
    OS_PROJECT_DOMAIN_NAME: projectDomainName,
    OS_BLOCK_STORAGE_ENDPOINT_OVERRIDE: cinder,
  };
  const args = [SDK_SCRIPT, volume, String(N), String(AT_ONCE)];
  return Number((await run(PYTHON, args, { env, timeout: 300_000 })).stdout);
}
