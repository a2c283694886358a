// Snapshots of two volumes, declared: `pulumi up` creates them, renames and retags them in place when the configuration
// changes, and deletes them when they are gone from here. `npm run demo` shows all of that without a cloud.

import * as pulumi from "@pulumi/pulumi";
import { Snapshot } from "pulumi-snapclone";

const config = new pulumi.Config();
const label = config.require("label");
const metadata = { keepDays: config.require("keepDays"), madeBy: "pulumi" };

const data = new Snapshot("data", {
  volumeId: config.require("dataVolume"),
  name: `${label}-data`,
  description: "The database, as it was",
  metadata,
});

const logs = new Snapshot("logs", {
  volumeId: config.require("logsVolume"),
  name: `${label}-logs`,
  metadata,
});

export const dataSnapshot = { id: data.id, name: data.name, status: data.status };
export const logsSnapshot = { id: logs.id, name: logs.name, status: logs.status };
