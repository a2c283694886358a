// The programs that are measured: N of a resource, and N dynamic resources whose provider does nothing.

import { ZSTACK_SEED } from "../../emulator";

export interface Program {
  /** The resource's class. */
  name: string;
  /** The kind of connection that it needs. */
  connection: "openstack" | "powervc" | "vipr" | "zstack";
  /** Volumes that must be there besides the emulator's own. */
  volumes?: readonly string[];
  /** index.js of the project. */
  text(n: number): string;
}

export const VOLUME = "11111111-1111-4111-8111-111111111111";

export const snapshots: Program = {
  name: "Snapshot",
  connection: "openstack",
  text: (n) => `
const { Snapshot } = require("pulumi-snapclone");
for (let i = 0; i < ${n}; i += 1) new Snapshot("s" + i, { volumeId: "${VOLUME}" });
`,
};

/** As many as are ever cloned. */
const BENCH_VOLUMES: readonly string[] = Array.from(
  { length: 20 },
  (_, i) => `99999999-0000-4000-8000-${String(i).padStart(12, "0")}`,
);

/** What is measured in less detail: one size, once. */
export const OTHERS: readonly Program[] = [
  {
    name: "VolumeClone",
    connection: "powervc",
    volumes: BENCH_VOLUMES,
    // A volume each: PowerVC undoes a flow whose volume is in another one's hands.
    text: (n) => `
const { VolumeClone } = require("pulumi-snapclone");
for (let i = 0; i < ${n}; i += 1) new VolumeClone("s" + i, { volumes: [${JSON.stringify(BENCH_VOLUMES)}[i]], displayName: "s" + i });
`,
  },
  {
    name: "LinkedTargetSet",
    connection: "vipr",
    text: (n) => `
const { LinkedTargetSet } = require("pulumi-snapclone");
const snapshotSessionId = "urn:storageos:BlockSnapshotSession:aaaaaaaa-1111-4111-8111-111111111111:vdc1";
for (let i = 0; i < ${n}; i += 1) new LinkedTargetSet("s" + i, { snapshotSessionId, targetName: "s" + i, count: 2 });
`,
  },
  {
    name: "ClonedVm",
    connection: "zstack",
    text: (n) => `
const { ClonedVm } = require("pulumi-snapclone");
const vmInstanceUuid = "${ZSTACK_SEED.web}";
for (let i = 0; i < ${n}; i += 1) new ClonedVm("s" + i, { vmInstanceUuid, names: ["s" + i], deletion: "expunge" });
`,
  },
];

/** Name and text of the package that the null resource's provider is loaded from. */
export const NULL_PACKAGE = {
  name: "snapclone-bench-null",
  text: `
const { randomUUID } = require("node:crypto");
exports.nothing = {
  check: async (_olds, news) => ({ inputs: news, failures: [] }),
  diff: async () => ({ changes: false }),
  create: async (inputs) => ({ id: randomUUID(), outs: inputs }),
  read: async (id, props) => ({ id, props }),
  update: async (_id, _olds, news) => ({ outs: news }),
  delete: async () => {},
};
`,
};

export const nulls: Program = {
  name: "null",
  connection: "openstack",
  text: (n) => `
const pulumi = require("@pulumi/pulumi");
const noOutputs = Object.fromEntries(${JSON.stringify(outputNames())}.map((name) => [name, undefined]));
class Null extends pulumi.CustomResource {
  constructor(name, args, opts = {}) {
    const token = "pulumi-nodejs:dynamic/bench:Null";
    const hidden = {
      __owner: pulumi.createUrn(name, token, opts.parent),
      __timeouts: opts.customTimeouts,
      __provider: 'exports.handler=()=>require("${NULL_PACKAGE.name}").nothing',
    };
    super(token, name, { ...noOutputs, ...args, ...hidden }, opts);
  }
}
for (let i = 0; i < ${n}; i += 1) new Null("s" + i, { volumeId: "${VOLUME}" });
`,
};

/** Those of Snapshot (sdk/snapshot.ts): each of them is an Output in the program. */
function outputNames(): string[] {
  const names = "volumeId name description metadata status progress sizeGiB createdAt updatedAt projectId userId";
  return [...names.split(" "), "groupSnapshotId", "consumesQuota"];
}
