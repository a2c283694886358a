// A state with resources of both shells: each shell sees all of them, under the owner that their records name.

import { parseState } from "../../../provider/pulumi/state";

const OWNER = "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:Snapshot::";

test("entries and pending creates of native resources are ours, under the dynamic classes' form of the URN", () => {
  const native = (name: string) => ({
    urn: `urn:pulumi:dev::shop::snapclone:index:Snapshot::${name}`,
    type: "snapclone:index:Snapshot",
    inputs: { __attempt: name },
  });
  const state = JSON.stringify({
    deployment: {
      resources: [
        { ...native("a"), id: "1" },
        { urn: `${OWNER}b`, type: "pulumi-nodejs:dynamic/snapclone:Snapshot", id: "2" },
        { urn: "urn:pulumi:dev::shop::snapclone2:index:X::c", type: "snapclone2:index:X", id: "3" },
      ],
      pending_operations: [{ type: "creating", resource: native("z") }],
    },
  });
  const { entries, pendingCreates } = parseState(state);
  expect(entries.map(({ urn, id }) => [urn, id])).toEqual([
    [`${OWNER}a`, "1"],
    [`${OWNER}b`, "2"],
  ]);
  expect(pendingCreates).toEqual([{ urn: `${OWNER}z`, attempt: "z", import: undefined }]);
});
