import * as pulumi from "@pulumi/pulumi";
import { Snapshot } from "pulumi-snapclone";

const config = new pulumi.Config();

// One snapshot in each cloud. The connection "backup" is set up beside "default": docs/connections.md.
new Snapshot("here", { volumeId: config.require("volume") });
new Snapshot("there", { volumeId: config.require("replica"), connection: "backup" });
