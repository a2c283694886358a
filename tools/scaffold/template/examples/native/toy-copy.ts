import * as pulumi from "@pulumi/pulumi";
import { ToyCopy } from "pulumi-snapclone/native";

const config = new pulumi.Config();

const copy = new ToyCopy("toy-copy", {
  source: "volume-1",
  name: config.require("team"),
  connection: "toy",
});

export const copyId = copy.id;
