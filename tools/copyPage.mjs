// The last step of `npm run build`: copies the sources of the emulator's page, which tsc leaves where they are. Plain
// JavaScript, as the build runs before anything of ours is compiled.

import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const page = path.join("emulator", "page");

for (const name of fs.readdirSync(path.join(root, page))) {
  if (/\.(html|css|js)$/.test(name)) fs.copyFileSync(path.join(root, page, name), path.join(root, "dist", page, name));
}
