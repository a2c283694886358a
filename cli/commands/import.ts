// `snapclone import`: the lines of a program for an object that exists.

import { defineCommand, EXIT, UsageError } from "../command";
import { CONNECTION_OPTIONS } from "../connections";

export const importCommand = defineCommand({
  name: "import",
  summary: "print the program's lines for an object that exists",
  positionals: "TYPE NAME ID",
  maxPositionals: 3,
  options: CONNECTION_OPTIONS,
  async run(_io, { positionals }) {
    if (positionals.length < 3) throw new UsageError("TYPE, NAME and ID are needed");
    return EXIT.ok;
  },
});
