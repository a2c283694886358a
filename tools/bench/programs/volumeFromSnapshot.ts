import { type Program, VOLUME } from "../programs";

const SNAPSHOT = "99999999-1111-4000-8000-000000000001";

export const program: Program = {
  name: "VolumeFromSnapshot",
  connection: "openstack",
  data: { cinder: { snapshots: [{ id: SNAPSHOT, volume: VOLUME, name: "bench" }] } },
  text: (n) => `
const { VolumeFromSnapshot } = require("pulumi-snapclone");
for (let i = 0; i < ${n}; i += 1) new VolumeFromSnapshot("s" + i, { snapshotId: "${SNAPSHOT}" });
`,
};
