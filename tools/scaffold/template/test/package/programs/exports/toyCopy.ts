// Uses every export that has to do with ToyCopy, as a user with strict settings would. Only compiled, never run
// (types.test.ts also holds that nothing is missing here).

import type * as pulumi from "@pulumi/pulumi";
import { ToyCopy, type ToyCopyArgs } from "pulumi-snapclone";
import { toyCopy as provider } from "pulumi-snapclone/dynamic/v1";

const args: ToyCopyArgs = { source: "volume-1", name: "nightly", triggers: [1, "two", true], connection: "toy" };
const copy = new ToyCopy("nightly", args, { customTimeouts: { create: "1h" } });
// @ts-expect-error: the source is required
new ToyCopy("nothing", {});

export const status: pulumi.Output<string> = copy.status;
export const isCopy: boolean = ToyCopy.isInstance(copy);
export const loaded: pulumi.dynamic.ResourceProvider = provider;
