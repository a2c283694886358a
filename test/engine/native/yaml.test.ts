// A wrong program in YAML on the real engine: it has no compiler. examplesYaml.test.ts has the right ones.

import * as path from "node:path";
import type { Emulator } from "../../../emulator";
import { connectionsOf, startCloud } from "../../smoke/shortLives";
import { describeEngine, newStack, pluginOnPath, type Stack, yamlHostFolder } from "../harness";

const host = yamlHostFolder();
const describeYaml = host === undefined ? describe.skip : describeEngine;

describeYaml("programs in YAML", () => {
  let cloud: Emulator;
  let stack: Stack;

  beforeAll(async () => {
    cloud = await startCloud();
    const resources = { s: { type: "snapclone:index:Snapshot", properties: { volumeid: "v" } } };
    const { PATH = "" } = pluginOnPath();
    stack = await newStack({
      program: { yaml: { resources } },
      config: connectionsOf(cloud),
      env: { PATH: [host, PATH].join(path.delimiter) },
    });
  }, 600_000);
  afterAll(async () => {
    await stack?.close();
    await cloud?.close();
  });

  test("a wrong property stops the program before anything is sent", async () => {
    const sent = cloud.requests.length;
    const result = await stack.up();
    expect([result.code === 0, result.stdout + result.stderr]).toEqual([false, expect.stringContaining("volumeId")]);
    expect(cloud.requests.length).toBe(sent);
  });
});
