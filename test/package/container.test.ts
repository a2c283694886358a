// The recipe of the emulator's OCI image. No container runtime is needed here: each instruction of the recipe is done on
// this machine, in a folder that stands for the image, with nothing but the packed package in the build's folder.

import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { createServer } from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { run } from "../../tools/engine/processes";
import { cleanEnvironment } from "../support/pulumi";
import { prepared, repository } from "./prepared";

const EXAMPLES = path.join(repository, "examples", "emulator");
const RECIPE = path.join(EXAMPLES, "Containerfile");

interface Instruction {
  name: string;
  rest: string;
}

const instructions: Instruction[] = fs
  .readFileSync(RECIPE, "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => ({ name: line.split(" ")[0] ?? "", rest: line.slice(line.indexOf(" ") + 1) }));

const all = (name: string) => instructions.filter((one) => one.name === name).map(({ rest }) => rest);

let image: string;
let child: ChildProcess | undefined;

beforeAll(() => {
  image = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "snapclone-image-")));
});

afterAll(() => {
  child?.kill("SIGKILL");
  fs.rmSync(image, { recursive: true, force: true });
});

test("the recipe is shipped, and has only instructions that this test does", () => {
  expect(prepared.tarball.files).toEqual(
    expect.arrayContaining(["examples/emulator/Containerfile", "examples/emulator/data.yaml"]),
  );
  const known = ["FROM", "COPY", "RUN", "USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT"];
  expect(instructions.map(({ name }) => name).filter((name) => !known.includes(name))).toEqual([]);
  // The image's Node is one that the package supports.
  const [, major] = /node:(\d+)-/.exec(all("FROM")[0] ?? "") ?? [];
  const { engines } = JSON.parse(fs.readFileSync(path.join(repository, "package.json"), "utf8"));
  expect(engines.node).toContain(`>=${major}`);
});

test("it builds from the packed package alone, and its command serves the data and passes its health check", async () => {
  const build = path.join(image, "build");
  fs.mkdirSync(build);
  fs.mkdirSync(path.join(image, "tmp"));
  // As `npm pack` calls it.
  const { version } = JSON.parse(fs.readFileSync(path.join(repository, "package.json"), "utf8"));
  fs.copyFileSync(prepared.tarball.path, path.join(build, `pulumi-snapclone-${version}.tgz`));
  const env = { ...cleanEnvironment(image, [path.join(image, "bin")]), NPM_CONFIG_PREFIX: image };
  const inImage = (text: string) => text.replaceAll(/(?<=^|\s)\/tmp\//g, `${image}/tmp/`);

  for (const copy of all("COPY")) {
    const ran = await run("bash", ["-ec", `cp ${inImage(copy)}`], { cwd: build, env, timeoutMs: 10_000 });
    expect([copy, ran.ok, ran.output]).toEqual([copy, true, expect.any(String)]);
  }
  for (const command of all("RUN")) {
    const ran = await run("bash", ["-ec", inImage(command)], { cwd: image, env, timeoutMs: 120_000 });
    expect([command, ran.ok, ran.output]).toEqual([command, true, expect.any(String)]);
  }
  expect(fs.readdirSync(path.join(image, "tmp"))).toEqual([]);
  expect(fs.existsSync(path.join(image, "lib", "node_modules", "pulumi-snapclone"))).toBe(true);
  expect(fs.existsSync(path.join(image, "lib/node_modules/pulumi-snapclone/node_modules/@pulumi"))).toBe(false);

  const port = await freePort();
  const [command = "", ...args] = JSON.parse(all("ENTRYPOINT")[0] ?? "[]") as string[];
  // On loopback here, and on a port that is free.
  const given = args.map((arg) => (arg === "0.0.0.0" ? "127.0.0.1" : arg));
  child = spawn(command, [...given, "--port", String(port), "--data", path.join(EXAMPLES, "data.yaml")], { env });
  await started(child);
  const health = /CMD (\[.*\])$/.exec(all("HEALTHCHECK")[0] ?? "")?.[1] ?? "[]";
  const [node = "", ...check] = JSON.parse(health.replaceAll("8776", String(port))) as string[];
  expect(await run(node, check, { cwd: image, env, timeoutMs: 10_000 })).toMatchObject({ ok: true });
  const state = await (await fetch(`http://127.0.0.1:${port}/_emulator/state`)).text();
  expect(state).toContain("shop-db");
  expect(all("EXPOSE")).toEqual(["8776"]);

  child.kill("SIGTERM");
  await new Promise((resolve) => child?.once("exit", resolve));
  expect(await run(node, check, { cwd: image, env, timeoutMs: 10_000 })).toMatchObject({ ok: false });
}, 180_000);

/** Resolves at the first word of the command, which it says when it listens. */
function started(process: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = "";
    process.stdout?.on("data", () => resolve());
    process.stderr?.on("data", (text) => {
      output += text;
    });
    process.once("error", reject);
    process.once("exit", (code) => reject(new Error(`ended with ${code}: ${output}`)));
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
