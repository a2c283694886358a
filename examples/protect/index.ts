import * as pulumi from "@pulumi/pulumi";
import { Snapshot } from "pulumi-snapclone";

const config = new pulumi.Config();
const volumeId = config.get("volume") ?? "11111111-1111-4111-8111-111111111111";

// Pulumi refuses to delete or replace it until `pulumi config set protect false` and `pulumi up`.
const beforeMigration = new Snapshot(
  "before-migration",
  { volumeId, description: "The database before the migration" },
  { protect: config.getBoolean("protect") ?? true },
);

// It leaves the state with the program or with `pulumi destroy`, and stays in the cloud.
const yearEnd = new Snapshot("year-end", { volumeId, name: "year-end" }, { retainOnDelete: true });

export const migration = beforeMigration.id;
export const kept = yearEnd.id;
