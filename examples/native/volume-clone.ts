import * as pulumi from "@pulumi/pulumi";
import { VolumeClone } from "pulumi-snapclone/native";

const config = new pulumi.Config();

// A database on two volumes. Copied one after another they would not fit together: here they are of one instant.
const data = "11111111-1111-4111-8111-111111111111";
const logs = "22222222-2222-4222-8222-222222222222";
const clone = new VolumeClone("database", {
  volumes: [data, logs],
  displayName: config.require("team"),
  triggers: ["1.0"],
  connection: "powervc",
});

export const cloneOfData = clone.clones.apply((clones) => clones[data]);
