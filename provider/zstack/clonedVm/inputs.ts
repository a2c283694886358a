// The inputs of a ClonedVm and their rules (docs/wire/zstack.md#s3-1, #s3-6, #query-gotchas).

import * as z from "zod";
import { isOwnTag, PROVISIONAL_NAME } from "./ownership";

export interface ClonedVmInputs {
  vmInstanceUuid: string;
  names: string[];
  strategy?: "InstantStart" | "CreateStopped";
  full?: boolean;
  description?: string;
  powerState?: "Running" | "Stopped";
  userTags?: string[];
  affinityGroupUuid?: string;
  volumeProvisioningStrategy?: "ThinProvisioning" | "ThickProvisioning";
  systemTags?: string[];
  clusterUuid?: string;
  hostUuid?: string;
  primaryStorageUuidForRootVolume?: string;
  primaryStorageUuidForDataVolume?: string;
  deletion?: "destroy" | "expunge";
  keepDataVolumes?: boolean;
  connection?: string;
}

export function uuid(what: string) {
  return z
    .string("must be a string")
    .toLowerCase()
    .transform((text) => (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text) ? text.replaceAll("-", "") : text))
    .pipe(z.string().regex(/^[0-9a-f]{32}$/, `must be the uuid of ${what}: 32 hex digits`));
}

/** RestServer finds these anywhere in a condition: a query for a name that contains one finds nothing. */
const OPERATORS = /!=|>=|<=|!\?=|!~=|~=|\?=/;

export function names() {
  const name = z
    // The server removes trailing blanks (docs/wire/zstack.md#bug-072), so every refresh would show a drift.
    .string("must be a string")
    .trim()
    .min(1, "must not be empty")
    // The temporary name has 36 characters more, and ZStack derives longer names of volumes and images from that name.
    .max(128, "must not be longer than 128 characters")
    .regex(/^\P{Cc}*$/u, "must not contain line breaks, tabs or other control characters")
    .refine((text) => !OPERATORS.test(text), "must not contain != >= <= ~= ?=: ZStack's queries read them as operators")
    .refine((text) => !PROVISIONAL_NAME.test(text), "must not end like the provider's own temporary names");
  return z
    .array(name, "must be a list of names")
    .min(1, "must have at least one name")
    .superRefine((all, context) => {
      for (const [index, one] of all.entries()) {
        // MySQL ignores case when it compares, so the server would find both VMs by either name.
        if (all.findIndex((other) => other.toLowerCase() === one.toLowerCase()) === index) continue;
        const message = `"${one}" is there twice; each clone needs a name of its own`;
        context.addIssue({ code: "custom", message, path: [index], input: one });
      }
    });
}

export function oneOf<const Word extends string>(...words: Word[]) {
  return z.enum(words as [Word, ...Word[]], `must be one of ${words.join(", ")}`);
}

export function description() {
  // The server cannot set null, but it can set "" (docs/wire/zstack.md#update).
  return z.string("must be a string").trim().max(2048, "must not be longer than 2048 characters");
}

export function userTags() {
  const tag = z
    .string("must be a string")
    .trim()
    .min(1, "must not be empty")
    .max(1024, "must not be longer than 1024 characters")
    .refine((text) => !isOwnTag(text), "tags that begin with snapclone:: are the provider's own");
  return z
    .array(tag, "must be a list of strings")
    .transform((tags) => [...new Set(tags)])
    .superRefine((all, context) => {
      for (const [index, one] of all.entries()) {
        const twin = all.findIndex((other) => other.toLowerCase() === one.toLowerCase());
        if (twin === index) continue;
        // MySQL ignores case when it compares (docs/wire/zstack.md#query-sql, #tags).
        const message = `"${one}" and "${all[twin]}" are one tag to ZStack, which ignores their case`;
        context.addIssue({ code: "custom", message, path: [index], input: one });
      }
    });
}

export function systemTags() {
  const tag = z
    .string("must be a string")
    .trim()
    .regex(/^\S+::./, "must be a system tag such as affinityGroupUuid::<uuid>")
    .refine(
      (text) => !text.startsWith("ephemeral::validationOnly"),
      "would make it a dry run: see the connection's dryRun",
    )
    .refine(
      (text) => !text.startsWith("volumeProvisioningStrategy::"),
      "is a tag of volumes: use volumeProvisioningStrategy",
    );
  return z.array(tag, "must be a list of strings");
}
