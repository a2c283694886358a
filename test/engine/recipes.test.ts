// The recipes of docs/recipes.md that are commands: each is copied out of the page and run on the emulator.

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Emulator, startEmulator } from "../../emulator";
import { describeEngine, newStack, type Result } from "./harness";

const ROOT = resolve(__dirname, "..", "..");

describeEngine("recipes of commands", () => {
  let cloud: Emulator;
  beforeAll(async () => {
    cloud = await startEmulator({ clock: "instant" });
  });
  afterAll(() => cloud.close());

  test("a stack for each pull request: two are open, one is closed, and nothing of the other is touched", async () => {
    const stack = await newStack({ program: { dir: join(ROOT, "examples", "cloned-vm") } });
    const quick = { PULUMI_NODEJS_TRANSPILE_ONLY: "true" };
    const [open = [], close = []] = commandsOf("A stack for each pull request");
    expect([open.length, close.length]).toEqual([3, 2]);
    const run = async (commands: readonly string[][], number: number) => {
      for (const command of commands) {
        const args = command.map((word) => word.replaceAll("$NUMBER", String(number)));
        await ok(stack.command(args, { env: quick }));
        if (args[1] === "init") await ok(stack.command(["config", "set-all", "--path", ...connectionSettings(cloud)]));
      }
    };
    const names = () => cloud.zstack.living().map(({ name }) => name);
    try {
      await run(open, 7);
      await run(open, 8);
      expect(names()).toEqual(["web", "db", "pr-7-app", "pr-7-worker", "pr-8-app", "pr-8-worker"]);
      await run(close, 7);
      expect(names()).toEqual(["web", "db", "pr-8-app", "pr-8-worker"]);
      const { stdout } = await ok(stack.command(["stack", "ls"]));
      expect(stdout).toContain("pr-8");
      expect(stdout).not.toContain("pr-7");
      await run(close, 8);
      expect(names()).toEqual(["web", "db"]);
    } finally {
      await stack.close();
    }
  });

  test("rotate a password in the stack config: up works with the new one, refresh and destroy after it", async () => {
    const stack = await newStack({
      program: { dir: join(ROOT, "examples", "first") },
      config: { default: { ...cloud.openstack.connection() } },
    });
    const quick = { env: { PULUMI_NODEJS_TRANSPILE_ONLY: "true" } };
    try {
      await ok(stack.up(quick));
      cloud.keystone.userNamed("demo").password = "the new one";
      cloud.keystone.revokeAll();
      const stale = await stack.refresh(quick);
      expect(stale.code).not.toBe(0);
      expect(stale.stdout).toContain("--run-program");

      const page = readFileSync(join(ROOT, "docs/recipes.md"), "utf8");
      const [, command = ""] = /\| the stack config \| `pulumi ([^`]+)`, then `pulumi up` \|/.exec(page) ?? [];
      await ok(stack.command([...command.split(" "), "the new one", "--stack", stack.name]));
      await ok(stack.up(quick));
      await ok(stack.refresh(quick));
      await ok(stack.destroy(quick));
      expect(cloud.cinder.snapshots.size).toBe(0);
    } finally {
      await stack.close();
    }
  });
});

/** The `pulumi` commands of a section's block, as arguments; an empty line ends a group. */
function commandsOf(heading: string): string[][][] {
  const page = readFileSync(join(ROOT, "docs/recipes.md"), "utf8");
  const [, block = ""] = /```sh\n([\s\S]*?)```/.exec(page.split(`## ${heading}\n`)[1] ?? "") ?? [];
  return block
    .trimEnd()
    .split("\n\n")
    .map((group) =>
      group.split("\n").map((line) => {
        const [program, ...args] = line.replace(/\s+#.*$/, "").split(/\s+/);
        expect(program).toBe("pulumi");
        return args.map((word) => word.replace(/^"(.*)"$/, "$1"));
      }),
    );
}

function connectionSettings(cloud: Emulator): string[] {
  return Object.entries(cloud.zstack.connection()).flatMap(([key, value]) => [
    key === "password" ? "--secret" : "--plaintext",
    `snapclone:connections.zstack.${key}=${value}`,
  ]);
}

async function ok(running: Promise<Result>): Promise<Result> {
  const result = await running;
  if (result.code !== 0) throw new Error(`exit code ${result.code}\n${result.stdout}\n${result.stderr}`);
  return result;
}
