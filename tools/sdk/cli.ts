// `npm run sdk`: writes sdk/python and sdk/go, and what they were made of. `--into FOLDER` writes them there instead.

import { writeFileSync } from "node:fs";
import path from "node:path";
import { contextOf } from "../engine";
import { generateSdks, stampOf } from "./generate";

async function main([option, folder]: readonly string[]): Promise<number> {
  if (option !== undefined && (option !== "--into" || folder === undefined)) {
    process.stderr.write(`unknown option ${option}; the only one is --into FOLDER\n`);
    return 2;
  }
  const context = contextOf();
  const failure = await generateSdks(context, folder ?? path.join(context.root, "sdk"));
  if (failure !== undefined) {
    process.stderr.write(`${failure}\n`);
    return 1;
  }
  if (folder === undefined) {
    const stamp = `${JSON.stringify(stampOf(context.root), null, 2)}\n`;
    writeFileSync(path.join(context.root, "tools", "sdk", "generated.json"), stamp);
  }
  return 0;
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  },
);
