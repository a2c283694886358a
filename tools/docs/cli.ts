// `npm run docs`: writes the generated parts of docs/*.md and the API reports in etc/.

import { writeFileSync } from "node:fs";
import path from "node:path";
import { resourceNames } from "../../provider/resources";
import { checkApiReports } from "./apiReport";
import { renderHints } from "./hints";
import { renderPage } from "./pages";
import { renderSchema } from "./schema";

// From dist/tools/docs.
const root = path.resolve(__dirname, "..", "..", "..");

for (const { file, before, after } of [
  ...resourceNames.map((name) => renderPage(root, name)),
  renderHints(root),
  renderSchema(root),
]) {
  if (before === after) continue;
  writeFileSync(file, after);
  console.log(`written: ${path.relative(root, file)}`);
}

for (const report of checkApiReports(root, true)) console.log(`written: ${report}`);
