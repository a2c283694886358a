import type { Program } from "../programs";

export const program: Program = {
  name: "LinkedTargetSet",
  connection: "vipr",
  text: (n) => `
const { LinkedTargetSet } = require("pulumi-snapclone");
const snapshotSessionId = "urn:storageos:BlockSnapshotSession:aaaaaaaa-1111-4111-8111-111111111111:vdc1";
for (let i = 0; i < ${n}; i += 1) new LinkedTargetSet("s" + i, { snapshotSessionId, targetName: "s" + i, count: 2 });
`,
};
