import * as pulumi from "@pulumi/pulumi";
import { ToyCopy } from "pulumi-snapclone";

const config = new pulumi.Config();

// A new release name is a new point in time. The new copy is made first, then the old one goes.
const copy = new ToyCopy("before-release", {
  source: config.get("volume") ?? "volume-1",
  triggers: [config.get("release") ?? "1.0"],
  connection: "toy",
});

export const copyId = copy.id;
export const takenAt = copy.createdAt;
