import { ZSTACK_SEED } from "../../../emulator";
import type { Program } from "../programs";

export const program: Program = {
  name: "ClonedVm",
  connection: "zstack",
  text: (n) => `
const { ClonedVm } = require("pulumi-snapclone");
const vmInstanceUuid = "${ZSTACK_SEED.web}";
for (let i = 0; i < ${n}; i += 1) new ClonedVm("s" + i, { vmInstanceUuid, names: ["s" + i], deletion: "expunge" });
`,
};
