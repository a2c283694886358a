import { type Program, VOLUME } from "../programs";

export const program: Program = {
  name: "SnapshotSeries",
  connection: "openstack",
  text: (n) => `
const { SnapshotSeries } = require("pulumi-snapclone");
for (let i = 0; i < ${n}; i += 1) new SnapshotSeries("s" + i, { volumeId: "${VOLUME}", keep: 7, triggers: ["monday"] });
`,
};
