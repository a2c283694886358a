// docs/command.md shows what the commands print. `UPDATE=1 npx jest --selectProjects contract --testPathPatterns cli/docs`
// writes the page's parts anew.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { engineOf, exportOf, ORIGIN, snapclone, stackConfig } from "./fixture";

const PAGE = path.join(__dirname, "../../docs/command.md");
let emulator: Emulator;
beforeAll(async () => {
  emulator = await startEmulator({ clock: "instant" });
});
afterAll(() => emulator.close());

/** What differs from run to run has one form in the page. */
function stable(text: string): string {
  const seen = new Map<string, string>();
  return text
    .replaceAll(/127\.0\.0\.1:\d+/g, "cloud.example.com")
    .replaceAll(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, (id) => {
      const known = seen.get(id) ?? (id === SEED_VOLUMES.data ? id : `${seen.size + 1}`.repeat(8) + id.slice(8));
      seen.set(id, known);
      return `${known.slice(0, 8)}-…`;
    })
    .replaceAll(/\b\d+(\.\d+)? m?s\b( ago +)?/g, (_all, _fraction, ago = "") => `2 s${ago && " ago  "}`)
    .replaceAll(/(Node\.js|pulumi|pulumi-snapclone): \S.*/g, "$1: …")
    .replaceAll(/@pulumi\/pulumi: .*/g, "@pulumi/pulumi: …")
    .replaceAll(/^.*(→ Install it|→ Run the command in).*\n/gm, "")
    .replaceAll(
      /(warning|unknown)( +)(pulumi|@pulumi\/pulumi):/g,
      (_all, level, blanks, what) => `ok${" ".repeat(level.length - 2)}${blanks}${what}:`,
    )
    .replaceAll(/\n\d+ warning, .*\n|\n\d+ unknown, .*\n/g, "\n")
    .replaceAll(/ +$/gm, "");
}

async function parts(): Promise<Record<string, string>> {
  const { default: connection } = emulator.connections();
  const config = stackConfig({ default: connection ?? {} }, { "snapclone:origin": ORIGIN });
  const engine = engineOf("snapshot", emulator);
  await engine.up({
    nightly: { volumeId: SEED_VOLUMES.data, name: "nightly" },
    weekly: { volumeId: SEED_VOLUMES.data, name: "weekly" },
  });
  engine.edit((state) => void state.entries.pop());
  const folder = require("node:fs").mkdtempSync(`${require("node:os").tmpdir()}/snapclone-docs-`);
  writeFileSync(`${folder}/state.json`, exportOf([engine]));
  const id = engine.idOf("nightly") ?? "";
  const ask = async (...argv: string[]) =>
    stable((await snapclone([...argv, "--stack-config", "-"], { stdin: config })).stdout).trim();
  return {
    help: (await snapclone(["--help"])).stdout.trim(),
    doctor: await ask("doctor"),
    orphans: await ask("orphans", "--state", `${folder}/state.json`),
    import: await ask("import", "Snapshot", "nightly", id),
  };
}

test("the page shows what the commands print", async () => {
  const page = readFileSync(PAGE, "utf8");
  let made = page;
  for (const [name, text] of Object.entries(await parts())) {
    const place = new RegExp(`(<!-- output of ${name} -->\n\`\`\`text\n)[\\s\\S]*?(\n\`\`\`\n)`);
    expect(made).toMatch(place);
    made = made.replace(place, (_all, head, tail) => `${head}${text}${tail}`);
  }
  if (process.env.UPDATE) writeFileSync(PAGE, made);
  else expect(made).toBe(page);
});
