// What the plugin's launcher starts (tools/plugin/bundle.ts).

import { main } from "./server";

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
