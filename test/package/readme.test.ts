// The README's way from an empty folder to the first snapshot, copied out of the page and walked: its shell blocks as they
// stand, its files, with the packed package in place of the registry's and the emulator in place of a cloud.

import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { SEED_VOLUMES, startEmulator } from "../../emulator";
import { run } from "../../tools/engine/processes";
import { cleanEnvironment } from "../support/pulumi";
import { prepared, repository, testWith } from "./prepared";

const SECTION = "## From an empty folder to the first snapshot";

testWith("the README's walk, from an empty folder", [prepared.engine], async (enginePath) => {
  const root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "snapclone-readme-")));
  const cloud = await startEmulator({ timings: { snapshotCreate: 300, snapshotDelete: 300 } });
  try {
    for (const name of ["state", "home/.config/openstack", "work"])
      fs.mkdirSync(path.join(root, name), { recursive: true });
    fs.writeFileSync(path.join(root, "home/.config/openstack/clouds.yaml"), cloudsYaml(cloud.openstack.env()));
    const clean = cleanEnvironment(root, [enginePath]);
    // Nobody is there to answer "yes"; and the client's warnings are not the page's matter.
    const env = { ...clean, PULUMI_SKIP_CONFIRMATIONS: "true", PYTHONWARNINGS: "ignore" };
    const shell = async (script: string, cwd: string) => {
      const ran = await run("bash", ["-ec", script], { cwd, env, timeoutMs: 220_000 });
      if (!ran.ok) throw new Error(`${script}\n${ran.problem}\n${ran.output}`);
      return ran.output;
    };
    const { blocks, files, after } = walk(fs.readFileSync(path.join(repository, "README.md"), "utf8"));
    expect(blocks).toHaveLength(2);
    expect(Object.keys(files)).toEqual(["Pulumi.yaml", "index.ts"]);
    expect(after).toEqual(["pulumi config set release 1.1", "pulumi up", "pulumi destroy"]);

    const [install = "", use = ""] = blocks;
    const work = path.join(root, "work");
    await shell(replaced(install, "npm install pulumi-snapclone ", `npm install ${prepared.tarball.path} `), work);
    const project = path.join(work, "snapshots");
    for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(project, name), text);

    const listed = await openstack(shell, use, project);
    const id = listed ?? SEED_VOLUMES.data;
    // Where there is no such client, the page's first commands are all that is left out.
    const commands = listed === undefined ? replaced(use, "openstack volume list", "true") : use;
    const output = await shell(replaced(commands, "<the id>", id), project);
    expect(output).toMatch(/Snapshot\s+before-release\s+created/);
    const first = [...cloud.cinder.snapshots.values()];
    expect(first).toMatchObject([{ volume_id: id, status: "available" }]);
    expect(output).toContain(first[0]?.id);

    const [release = "", up = "", destroy = ""] = after;
    await shell(`export OS_CLOUD=mycloud\n${release}\n${up}`, project);
    const second = [...cloud.cinder.snapshots.values()];
    expect(second).toMatchObject([{ volume_id: id, status: "available" }]);
    expect(second[0]?.id).not.toBe(first[0]?.id);
    await shell(`export OS_CLOUD=mycloud\n${destroy}`, project);
    expect(cloud.cinder.snapshots.size).toBe(0);
  } finally {
    await cloud.close();
    fs.rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
});

interface Walk {
  blocks: string[];
  /** By name: a text between backticks names the block that follows it. */
  files: Record<string, string>;
  /** The commands in the last paragraph. */
  after: string[];
}

function walk(page: string): Walk {
  const section = page.slice(page.indexOf(SECTION)).split(/^## /m)[1] ?? "";
  const files = [...section.matchAll(/`([\w.]+)`:\n\n(?:<!-- \S+ -->\n)?```\w+\n([\s\S]*?)```/g)];
  const end = section.slice(section.lastIndexOf("```"));
  return {
    blocks: [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = ""]) => block),
    files: Object.fromEntries(files.map(([, name = "", text = ""]) => [name, text])),
    after: [...end.matchAll(/`(pulumi [^`]+)`/g)].map(([, command = ""]) => command),
  };
}

/** The id in the first column of the first row, where the client is installed. */
async function openstack(
  shell: (script: string, cwd: string) => Promise<string>,
  block: string,
  cwd: string,
): Promise<string | undefined> {
  if ((await shell("command -v openstack || true", cwd)).trim() === "") {
    process.stderr.write("\nthe README's `openstack volume list` is left out: there is no openstack command\n\n");
    return undefined;
  }
  const untilList = block.slice(0, block.indexOf("pulumi "));
  return /^\| ([0-9a-f-]{36}) \|/m.exec(await shell(untilList, cwd))?.[1];
}

function replaced(text: string, what: string, by: string): string {
  expect(text).toContain(what);
  return text.replace(what, () => by);
}

function cloudsYaml(env: Record<string, string>): string {
  const auth = Object.entries(env).flatMap(([key, value]) =>
    key === "OS_REGION_NAME" ? [] : [[key.replace(/^OS_/, "").toLowerCase(), value]],
  );
  // JSON is YAML.
  return JSON.stringify({ clouds: { mycloud: { auth: Object.fromEntries(auth), region_name: env.OS_REGION_NAME } } });
}
