// `snapclone doctor`: what a connection comes from, and whether it works.

import { defineCommand, EXIT } from "../command";
import { CliConnections, CONNECTION_OPTIONS, checkKind } from "../connections";

export const doctor = defineCommand({
  name: "doctor",
  summary: "examine a connection: settings, proxy, TLS, login, rights, versions",
  positionals: "[CONNECTION]",
  maxPositionals: 1,
  options: CONNECTION_OPTIONS,
  async run(io, { values, output }) {
    checkKind(values.kind);
    const connections = await CliConnections.read(io, values, (text) => output.note(text));
    output.result({ connections: connections.configured });
    return EXIT.ok;
  },
});
