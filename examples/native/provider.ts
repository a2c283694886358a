import * as pulumi from "@pulumi/pulumi";
import { Provider, Snapshot } from "pulumi-snapclone/native";

const config = new pulumi.Config();

// Another cloud than the stack's. The settings are those of docs/connections.md; the password is secret in the state, too.
const dr = new Provider("dr", {
  connections: {
    default: {
      authUrl: config.require("authUrl"),
      username: "demo",
      password: config.requireSecret("password"),
      userDomainName: "Default",
      projectName: "demo",
      projectDomainName: "Default",
    },
  },
});

const replica = new Snapshot("replica", { volumeId: "11111111-1111-4111-8111-111111111111" }, { provider: dr });

export const replicaStatus = replica.status;
