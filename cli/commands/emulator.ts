// `snapclone emulator`: the backends in one process, until Ctrl-C.

import { banner, main } from "../../emulator/cli";
import { defineCommand, EXIT, UsageError } from "../command";

export const emulator = defineCommand({
  name: "emulator",
  summary: "start an emulator of all backends, with a web page to watch it",
  options: {
    port: { type: "string", value: "N", help: "the port to listen on; 0 takes any free port. Default: 8776" },
    host: { type: "string", value: "ADDRESS", help: "the address to listen on. Default: 127.0.0.1" },
    clock: {
      type: "string",
      value: "MODE",
      help: "real, instant, manual, or x10 for ten times as fast. Default: real",
    },
    seed: { type: "string", value: "N", help: "the seed of ids and tokens. Default: 1" },
    data: { type: "string", value: "FILE", help: "objects of your own, in JSON or YAML (docs/emulator.md)" },
    "write-config": {
      type: "string",
      value: "FILE",
      help: "write a stack configuration with a connection to each backend",
    },
  },
  notes: `
Ctrl-C ends the command. The page is at the address that the command prints, and loads nothing from elsewhere.
Guide: docs/emulator.md`,
  async run(io, { values, output }) {
    const argv = Object.entries(values).flatMap(([name, value]) =>
      typeof value === "string" ? [`--${name}`, value] : [],
    );
    let problem = "";
    const emulatorIo = {
      // The logins that it prints are the emulator's own, and are the same for everybody.
      out: (text: string) => io.stdout.write(text),
      err: (text: string) => {
        problem += text;
      },
      untilStopped: io.untilStopped,
    };
    const code = await main(argv, emulatorIo, {
      name: "",
      banner: (started, configFile) => (output.json ? asJson(started, configFile) : banner(started, configFile)),
    });
    if (code !== 0) throw new UsageError(problem.replace(/^: /, "").trim());
    return EXIT.ok;
  },
});

type Started = Parameters<typeof banner>[0];

/** One document as soon as the emulator listens. */
function asJson(started: Started, configFile: string | undefined): string {
  const { url } = started;
  const connections = started.connections();
  const links = { url, page: `${url}/`, control: `${url}/_emulator/` };
  return `${JSON.stringify({ ...links, env: started.openstack.env(), connections, configFile }, undefined, 2)}\n`;
}
