import * as pulumi from "@pulumi/pulumi";
import { Snapshot } from "pulumi-snapclone";

const config = new pulumi.Config();

// The `openstack` command made it. The first `pulumi up` takes it over as it is, and changes only what the program says.
const yearEnd = new Snapshot(
  "year-end",
  { volumeId: config.require("volume"), metadata: { keep: "10y" } },
  { import: config.require("snapshot"), retainOnDelete: true },
);

export const taken = yearEnd.createdAt;
