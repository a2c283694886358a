// What a VolumeFromSnapshot takes.

import * as z from "zod";
import { UNKNOWN } from "../../core/check";
import type { CheckFailure, Definition, State } from "../../core/definition";
import { connectionName } from "../../core/inputs";
import { metadata, text, uuid } from "../inputs";

export interface VolumeFromSnapshotInputs {
  snapshotId: string;
  name?: string;
  sizeGiB?: number;
  volumeType?: string;
  availabilityZone?: string;
  description?: string;
  metadata?: Record<string, string>;
  connection?: string;
}

export const inputRules: Definition<VolumeFromSnapshotInputs, never>["inputs"] = {
  snapshotId: { onChange: "replace", schema: uuid("a snapshot") },
  name: { onChange: "update", schema: text().optional() },
  // The outputs have what Cinder chose where the program gives nothing, and that is no difference.
  sizeGiB: { onChange: unlessAbsent("sizeGiB", "update"), schema: size().optional() },
  volumeType: {
    onChange: unlessAbsent("volumeType", "replace"),
    immutableKey: (value) => value,
    schema: volumeType().optional(),
  },
  availabilityZone: {
    onChange: unlessAbsent("availabilityZone", "replace"),
    immutableKey: (value) => value,
    schema: text().min(1, "must not be empty").optional(),
  },
  description: { onChange: "update", schema: text().optional() },
  metadata: { onChange: "update", schema: addressable().optional() },
  connection: { onChange: "replace", schema: connectionName().optional() },
};

/** A change of one of these makes a new volume, which may be smaller. */
const REPLACING = ["snapshotId", "volumeType", "availabilityZone", "connection"] as const;

/** Cinder makes no volume smaller (docs/wire/openstack.md#volume-from-snapshot), and a replacement would lose what was written to it. */
export function validate(
  inputs: Partial<VolumeFromSnapshotInputs>,
  unknown: ReadonlySet<string>,
  olds: State,
): CheckFailure[] {
  const { sizeGiB: wanted } = inputs;
  const { sizeGiB: present } = olds;
  const isReplaced = REPLACING.some((key) => unknown.has(key) || isOther(olds[key], inputs[key]));
  if (wanted === undefined || typeof present !== "number" || wanted >= present || isReplaced) return [];
  return [
    {
      property: "sizeGiB",
      reason:
        `the volume has ${present} GiB, and Cinder makes no volume smaller. Write ${present} or more. A smaller volume is ` +
        "another resource: give it another name in the program, or first run `pulumi destroy --target <urn>`, which deletes this volume and all that was written to it",
    },
  ];
}

function isOther(old: unknown, now: unknown): boolean {
  return old !== undefined && now !== undefined && old !== now;
}

function unlessAbsent(key: keyof VolumeFromSnapshotInputs, effect: "update" | "replace") {
  return (_olds: State, news: State) => (news[key] === undefined || news[key] === null ? "ignore" : effect);
}

function size() {
  return z.int("must be a whole number of GiB").min(1, "must be at least 1");
}

/** Cinder also takes a type's id, and shows its name: the id would differ at every `up`. */
function volumeType() {
  return text()
    .min(1, "must not be empty")
    .refine(
      (value) => value === UNKNOWN || !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value),
      "must be the type's name, not its id (`openstack volume type show <id>`)",
    );
}

/** Cinder takes a key with a slash at the create only: it can't be changed or removed alone (docs/wire/openstack.md#a7). */
function addressable() {
  return metadata().superRefine((value, context) => {
    for (const key of Object.keys(value).filter((key) => key.includes("/"))) {
      context.addIssue({ code: "custom", message: "a key of a volume may have no slash", path: [key], input: value });
    }
  });
}
