// A snapshot of a volume for each stack: the program that the pull requests change.

import * as pulumi from "@pulumi/pulumi";
import { Snapshot } from "pulumi-snapclone";

const config = new pulumi.Config();

const nightly = new Snapshot("nightly", {
  volumeId: config.require("volumeId"),
  name: `nightly-${pulumi.getStack()}`,
  metadata: { keepDays: "7" },
});

export const snapshotId = nightly.id;
export const status = nightly.status;
