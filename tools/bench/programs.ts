// The programs that are measured: N of a resource, and N dynamic resources whose provider does nothing.

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { EmulatorData } from "../../emulator";
import { resourceNames } from "../../provider/resources";

export interface Program {
  /** The resource's class. */
  name: string;
  /** The kind of connection that it needs. */
  connection: string;
  /** Rows that the program needs besides the emulator's own. */
  data?: EmulatorData;
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

/** The same with the native provider. */
export const nativeSnapshots: Program = {
  ...snapshots,
  text: (n) => snapshots.text(n).replace('"pulumi-snapclone"', '"pulumi-snapclone/native"'),
};

/** The programs in programs/, in the order of the registry. They are measured once, in one size. */
export function otherPrograms(): Program[] {
  const folder = join(__dirname, "programs");
  return resourceNames
    .filter((name) => existsSync(join(folder, `${name}.js`)))
    .map((name) => (require(join(folder, name)) as { program: Program }).program);
}

/** What a Snapshot has in the state besides its inputs. The engine writes the whole state in each step, so bytes are seconds. */
const OUTPUTS = {
  name: "s0-71996a1",
  description: undefined,
  metadata: {},
  status: "available",
  progress: "100%",
  sizeGiB: 10,
  createdAt: "2026-11-28T22:23:24.958000Z",
  updatedAt: "2026-11-28T22:23:26.958000Z",
  projectId: "9ef63551399ef2ef9a6f5c63a58af72d",
  userId: "d827cf7060e884335f54fbaf895589f9",
  groupSnapshotId: undefined,
  consumesQuota: true,
};

/** Name and text of the package that the null resource's provider is loaded from. */
export const NULL_PACKAGE = {
  name: "snapclone-bench-null",
  text: `
const { randomUUID } = require("node:crypto");
const outputs = ${JSON.stringify(OUTPUTS)};
exports.nothing = {
  check: async (_olds, news) => ({ inputs: news, failures: [] }),
  diff: async () => ({ changes: false }),
  create: async (inputs) => ({ id: randomUUID(), outs: { ...outputs, ...inputs } }),
  read: async (id, props) => ({ id, props }),
  update: async (_id, _olds, news) => ({ outs: { ...outputs, ...news } }),
  delete: async () => {},
};
`,
};

export const nulls: Program = {
  name: "null",
  connection: "openstack",
  text: (n) => `
const pulumi = require("@pulumi/pulumi");
const noOutputs = Object.fromEntries(${JSON.stringify(Object.keys(OUTPUTS))}.map((name) => [name, undefined]));
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
