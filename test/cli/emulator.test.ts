// `snapclone emulator`: the options of snapclone-emulator, its page, and what it refuses.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { main as runMain } from "../../cli/main";
import { main as formerMain } from "../../emulator/cli";
import { snapclone } from "./fixture";

/** Runs the command until `use` has ended. */
async function running(argv: readonly string[], use: (printed: string) => Promise<void>): Promise<number> {
  let printed = "";
  let stop = () => {};
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  const code = await runMain(["emulator", "--port", "0", ...argv], {
    stdout: { write: (text) => (printed += text) },
    stderr: { write: (text) => (printed += text) },
    stdin: (async function* () {})(),
    env: {},
    cwd: "/",
    home: "/nowhere",
    isTTY: false,
    canAsk: false,
    untilStopped: () => {
      use(printed)
        .finally(stop)
        .catch(() => {});
      return stopped;
    },
  });
  return code;
}

it("starts, prints the page's address, and ends with 0", async () => {
  let title: string | undefined;
  const code = await running([], async (printed) => {
    const page = /^page +(\S+)$/m.exec(printed)?.[1] ?? "";
    title = /<title>(.*)<\/title>/.exec(await (await fetch(page)).text())?.[1];
  });
  expect([code, title]).toEqual([0, "Snapclone emulator"]);
});

it("--json: one document with the addresses and the connections", async () => {
  const folder = mkdtempSync(join(tmpdir(), "snapclone-emulator-"));
  try {
    const file = join(folder, "Pulumi.emulator.yaml");
    let status: number | undefined;
    const code = await running(["--json", "--write-config", file], async (printed) => {
      const { control, connections, env } = JSON.parse(printed) as Record<string, Record<string, string>>;
      expect(Object.keys(connections ?? {})).toEqual(expect.arrayContaining(["default", "powervc", "vipr", "zstack"]));
      expect(env).toMatchObject({ OS_USERNAME: "demo" });
      status = (await fetch(`${control}state`)).status;
    });
    expect([code, status]).toEqual([0, 200]);
    expect(readFileSync(file, "utf8")).toContain("snapclone:connections");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it("has every option of snapclone-emulator", async () => {
  let former = "";
  await formerMain(["--help"], { out: (text) => (former += text), err: () => {}, untilStopped: async () => {} });
  const options = former.match(/--[a-z-]+/g) ?? [];
  expect(options.length).toBeGreaterThan(5);
  const { stdout } = await snapclone(["emulator", "--help"]);
  expect(options.filter((option) => !stdout.includes(option))).toEqual([]);
});

it("refuses a wrong option and a port in use with one line and exit code 2", async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const { port } = taken.address() as { port: number };
  try {
    for (const [argv, message] of [
      [["--clock", "fast"], "--clock is real"],
      [["--port", String(port)], `port ${port} is in use`],
    ] as const) {
      const { code, stderr, stdout } = await snapclone(["emulator", ...argv]);
      expect([code, stdout]).toEqual([2, ""]);
      expect(stderr).toMatch(/^snapclone emulator: [^\n]+\nSee snapclone emulator --help\n$/);
      expect(stderr).toContain(message);
    }
  } finally {
    taken.close();
  }
});
