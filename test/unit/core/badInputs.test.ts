// What users get wrong in a program: every mistake is told by its path, in the form that Pulumi's dynamic provider can
// hand on, and no message repeats a secret.

import * as fc from "fast-check";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import {
  assistedSnapshot,
  clonedVm,
  linkedTargetSet,
  snapshot,
  volumeClone,
  volumeFromSnapshot,
} from "../../../provider/dynamic";

const URN = "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:Any::nightly";

/** By resource: its required inputs, a misspelling of one, and a wrong value inside a list or a map. */
const RESOURCES = {
  snapshot: {
    required: ["volumeId"],
    typo: ["volumeID", "volumeId"],
    nested: [{ metadata: { team: 7 } }, "metadata.team"],
  },
  volumeClone: {
    required: ["volumes"],
    typo: ["volume", "volumes"],
    nested: [{ volumes: ["11111111-1111-4111-8111-111111111111", 7] }, "volumes[1]"],
  },
  linkedTargetSet: {
    required: ["snapshotSessionId", "targetName", "count"],
    typo: ["snapshotSessionID", "snapshotSessionId"],
    nested: [{ refreshTriggers: "x" }, "refreshTriggers"],
  },
  clonedVm: {
    required: ["vmInstanceUuid", "names"],
    typo: ["vmInstanceUUID", "vmInstanceUuid"],
    nested: [{ names: ["a", 7] }, "names[1]"],
  },
  assistedSnapshot: {
    required: ["volumeId", "snapshotId", "newFile"],
    typo: ["newfile", "newFile"],
    nested: [{ manageStatus: "x" }, "manageStatus"],
  },
  volumeFromSnapshot: {
    required: ["snapshotId"],
    typo: ["snapshotID", "snapshotId"],
    nested: [{ metadata: { team: 7 } }, "metadata.team"],
  },
} as const;
const providers = { snapshot, volumeClone, linkedTargetSet, clonedVm, assistedSnapshot, volumeFromSnapshot };
const names = Object.keys(RESOURCES) as (keyof typeof RESOURCES)[];

async function check(resource: keyof typeof RESOURCES, news: Record<string, unknown>) {
  const answer = await providers[resource].check?.({}, { ...news, __provider: "p", __owner: URN });
  // What Pulumi does with the answer: `undefined` in there is "Unexpected struct type." for the user.
  Struct.fromJavaScript(answer?.inputs as never);
  return answer?.failures ?? [];
}

describe.each(names)("%s", (resource) => {
  const { required, typo, nested } = RESOURCES[resource];

  test("without inputs: each required one is named", async () => {
    const failures = await check(resource, {});
    expect(failures).toEqual(expect.arrayContaining(required.map((property) => ({ property, reason: "is required" }))));
  });

  test("a misspelt input is told with its right name, beside the one that is missing", async () => {
    const [wrong, right] = typo;
    const failures = await check(resource, { [wrong]: "x" });
    expect(failures).toContainEqual({ property: wrong, reason: `unknown property; did you mean ${right}?` });
    expect(failures.map(({ property }) => property)).toEqual(expect.arrayContaining([...required]));
  });

  test("a wrong value in a list or a map is told with its path, beside everything else", async () => {
    const [news, path] = nested;
    const properties = (await check(resource, { ...news, nonsense: 1 })).map(({ property }) => property);
    expect(properties).toEqual(expect.arrayContaining([path, "nonsense"]));
  });

  test("whatever is given, the answer can be handed on, and no reason repeats a secret", async () => {
    const keys = [...required, ...typo, ...Object.keys(nested[0]), "name", "description", "connection", "metadata"];
    const leaf = fc.oneof(
      fc.constantFrom("s3cr3t-value-of-mine", "", " "),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
    );
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { depthSize: "small" },
        leaf,
        fc.array(tie("any"), { maxLength: 3 }),
        fc.dictionary(fc.string(), tie("any"), { maxKeys: 3, noNullPrototype: true }),
      ),
    })).any;
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.constantFrom(...keys), value, { maxKeys: 6, noNullPrototype: true }),
        async (news) => {
          const failures = await check(resource, { ...news, __secrets: Object.keys(news) });
          for (const { property, reason } of failures) {
            expect(property).toMatch(/\S/);
            expect(reason).toMatch(/\S/);
            expect(reason).not.toContain("s3cr3t");
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});

test("a secret of the wrong type is not repeated", async () => {
  const [failure] = await check("snapshot", {
    volumeId: "11111111-1111-4111-8111-111111111111",
    metadata: { pin: 987654 },
    __secrets: ["metadata.pin"],
  });
  expect(failure?.property).toBe("metadata.pin");
  expect(failure?.reason).not.toContain("987654");
});
