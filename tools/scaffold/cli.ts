// `npm run scaffold -- <backend> <Resource>`: writes a small backend that works, and formats its files.

import path from "node:path";
import { format, scaffold } from "./scaffold";

// From dist/tools/scaffold.
const root = path.resolve(__dirname, "..", "..", "..");

const NEXT = `
Next:
  npm run docs                              writes the tables of the new page, and the schema
  npm run sdk                               makes the SDKs for Python and Go anew (needs Go)
  UPDATE=1 npx jest test/faults/report      writes the new chapter of docs/faults.md
  npx jest --testPathPatterns <resource>    runs the new tests
Then replace the toy API step by step. Begin with provider/<backend>/client.ts and emulator/<backend>/.
`;

function main([backend, resource]: readonly string[]): number {
  if (backend === undefined || resource === undefined) {
    console.error("usage: npm run scaffold -- <backend> <Resource>\nexample: npm run scaffold -- acme VolumeCopy");
    return 2;
  }
  try {
    const written = scaffold(root, { backend, resource });
    format(root, written);
    const { created, edited } = written;
    console.log([...created.map((file) => `created ${file}`), ...edited.map((file) => `edited  ${file}`)].join("\n"));
    console.log(NEXT);
    return 0;
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return 1;
  }
}

process.exitCode = main(process.argv.slice(2));
