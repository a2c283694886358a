// The `openstack` command from Debian's packages against the emulator: images, a volume from one, and the commands of
// docs/recipes.md.

import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { type Emulator, SEED_IMAGE, SEED_VOLUMES, startEmulator } from "../../emulator";

const RECIPES = resolve(__dirname, "../../docs/recipes.md");

const COMMAND = "/usr/bin/openstack";
const hasCommand = existsSync(COMMAND);
if (!hasCommand)
  console.warn("the command openstack is not run: Debian's package python3-openstackclient is not installed");

(hasCommand ? describe : describe.skip)("the openstack command", () => {
  let emulator: Emulator;
  let home: string;

  beforeAll(async () => {
    emulator = await startEmulator({
      clock: "instant",
      data: {
        glance: {
          images: [
            { name: "tiny", content: "a few bytes\n" },
            { name: "large", size: 3 * 2 ** 30 },
            { name: "hidden", visibility: "private" },
          ],
        },
      },
    });
    home = mkdtempSync(join(tmpdir(), "snapclone-client-"));
  });
  afterAll(async () => {
    await emulator.close();
    rmSync(home, { recursive: true });
  });

  const run = promisify(execFile);
  const environment = (user?: string) => ({
    PATH: process.env.PATH ?? "",
    HOME: home,
    PYTHONWARNINGS: "ignore",
    ...emulator.openstack.env(user),
  });
  const openstack = async (...args: string[]) =>
    JSON.parse((await run(COMMAND, [...args, "-f", "json"], { env: environment() })).stdout);
  const refused = (...args: string[]) =>
    run(COMMAND, args, { env: environment() }).then(
      ({ stdout }) => `not refused: ${stdout}`,
      ({ stderr }: { stderr: string }) => stderr,
    );

  test("image list, show and save", async () => {
    const images = (await openstack("image", "list")) as { ID: string; Name: string; Status: string }[];
    expect(images.map(({ Name, Status }) => [Name, Status]).sort()).toEqual([
      ["cirros", "active"],
      ["hidden", "active"],
      ["large", "active"],
      ["tiny", "active"],
    ]);
    expect(await openstack("image", "show", "cirros")).toMatchObject({
      id: SEED_IMAGE,
      size: 21430272,
      status: "active",
    });
    const file = join(home, "image");
    await run(COMMAND, ["image", "save", "--file", file, "tiny"], { env: environment() });
    expect(readFileSync(file, "utf8")).toBe("a few bytes\n");
    expect(await refused("image", "show", "nothing")).toMatch(/No Image found for nothing/i);
    const elsewhere = await run(COMMAND, ["image", "list", "-f", "json"], { env: environment("other") });
    expect(elsewhere.stdout).not.toContain("hidden");
  }, 180_000);

  test("volume create --image: bootable, with the image's properties; what is too small is refused in Cinder's words", async () => {
    await openstack("volume", "create", "--image", "cirros", "--size", "1", "boot");
    expect(await openstack("volume", "show", "boot")).toMatchObject({
      status: "available",
      bootable: "true",
      size: 1,
      volume_image_metadata: { image_id: SEED_IMAGE, image_name: "cirros", size: "21430272" },
    });
    expect(await refused("volume", "create", "--image", "large", "--size", "2", "small")).toContain(
      "Size of specified image 3GB is larger than volume size 2GB.",
    );
    expect(await refused("volume", "create", "--image", "nothing", "--size", "2", "none")).toMatch(/No Image found/i);
  }, 180_000);

  test("the recipe's restore, as it stands in docs/recipes.md", async () => {
    const { id } = emulator.cinder.createSnapshot({ volume_id: SEED_VOLUMES.data, name: "before-release" });
    const section =
      readFileSync(RECIPES, "utf8").split(/^## Restore a snapshot with the `openstack` command\n/m)[1] ?? "";
    const [, block = ""] = /```sh\n([\s\S]*?)```/.exec(section) ?? [];
    // Nova's part needs a server and is Nova's; the id comes from the stack.
    const [first, ...others] = block.split("\n").filter((line) => line !== "" && !line.startsWith("openstack server "));
    expect(first).toBe("id=$(pulumi stack output snapshotId)");
    expect(others).toHaveLength(3);
    const script = [`id=${id}`, ...others].join("\n");
    const { stdout } = await run("bash", ["-ec", script], { env: environment() });
    expect(stdout).toContain("available");
    const restored = [...emulator.cinder.volumes.values()].find(({ name }) => name === "restored");
    expect(restored).toMatchObject({ snapshot_id: id, size: 10, status: "available" });
  }, 180_000);
});
