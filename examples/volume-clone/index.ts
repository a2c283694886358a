import * as pulumi from "@pulumi/pulumi";
import { VolumeClone } from "pulumi-snapclone";

const config = new pulumi.Config();

// A database on three volumes. Copied one after another they would not fit together: here they are of one instant.
const [data, logs, temp] = config.requireObject<[string, string, string]>("volumes");
const clone = new VolumeClone(
  "before-upgrade",
  {
    volumes: [data, logs, temp],
    displayName: `before-upgrade-${config.get("release") ?? "1.0"}`,
    description: "The database before the upgrade",
    // A new release name is a new instant. The new clones are made first, then the old ones go.
    triggers: [config.get("release") ?? "1.0"],
    connection: "powervc",
  },
  // A large set may take longer than the default hour.
  { customTimeouts: { create: "3h" } },
);

// From each volume to its clone: what a restore or a test system attaches.
export const clones = clone.clones;
export const cloneOfData = clone.clones.apply((map) => map[data]);
export const names = clone.clonedVolumes.apply((all) => all.map(({ name }) => name));
