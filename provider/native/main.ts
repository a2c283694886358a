// What the plugin's launcher starts (tools/plugin/bundle.ts).

import { setFlagsFromString } from "node:v8";
import { messageOf } from "../core/errors";
import { main } from "./server";

// A wait keeps 30 KiB, and the lists that the waits share are garbage at once. V8 would let 150 MiB of it gather beside a
// thousand waits: the first flag makes it collect at 1.3 times what is in use, the second keeps the space of new objects small.
setFlagsFromString("--optimize-for-size");
setFlagsFromString("--semi-space-growth-factor=1");

main().catch((error: unknown) => {
  console.error(messageOf(error));
  process.exitCode = 1;
});
