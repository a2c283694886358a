import type { Program } from "../programs";

/** As many as are ever cloned. */
const BENCH_VOLUMES: readonly string[] = Array.from(
  { length: 20 },
  (_, i) => `99999999-0000-4000-8000-${String(i).padStart(12, "0")}`,
);

export const program: Program = {
  name: "VolumeClone",
  connection: "powervc",
  data: { powervc: { volumes: BENCH_VOLUMES.map((id) => ({ id, name: id })) } },
  // A volume each: PowerVC reverts a flow whose volume another flow is using.
  text: (n) => `
const { VolumeClone } = require("pulumi-snapclone");
for (let i = 0; i < ${n}; i += 1) new VolumeClone("s" + i, { volumes: [${JSON.stringify(BENCH_VOLUMES)}[i]], displayName: "s" + i });
`,
};
