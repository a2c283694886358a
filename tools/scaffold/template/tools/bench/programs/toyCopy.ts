import type { Program } from "../programs";

export const program: Program = {
  name: "ToyCopy",
  connection: "toy",
  text: (n) => `
const { ToyCopy } = require("pulumi-snapclone");
for (let i = 0; i < ${n}; i += 1) new ToyCopy("s" + i, { source: "volume-1" });
`,
};
