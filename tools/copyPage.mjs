// The last step of `npm run build`: copies the sources of the emulator's page, because tsc copies no such files. This file is
// plain JavaScript, so that it runs in a build from nothing.

import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const page = path.join("emulator", "page");

for (const name of fs.readdirSync(path.join(root, page))) {
  if (/\.(html|css|js)$/.test(name)) fs.copyFileSync(path.join(root, page, name), path.join(root, "dist", page, name));
}
