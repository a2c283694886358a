// Programs in YAML on the real engine: each resource, an explicit provider, a lookup, a wrong name. They need the native
// provider, and Pulumi's host for YAML programs.

import * as path from "node:path";
import type { Emulator } from "../../../emulator";
import { connectionsOf, LIVES, onBackends, operationsOf, startCloud } from "../../smoke/shortLives";
import { describeEngine, newStack, pluginOnPath, type Result, type Stack, yamlHostFolder } from "../harness";

/** A reference in a YAML program. */
const ref = (expression: string) => `\${${expression}}`;

const host = yamlHostFolder();
const describeYaml = host === undefined ? describe.skip : describeEngine;

describeYaml("programs in YAML", () => {
  let cloud: Emulator;
  let stack: Stack;

  const programOf = (inputs: "before" | "after", more: Record<string, unknown> = {}) => {
    const resources = Object.entries(LIVES).map(([type, life]) => {
      const given = Object.entries(life[inputs]).filter(([, value]) => value !== null);
      const properties = { ...Object.fromEntries(given), connection: life.connection };
      return [type, { type: `snapclone:index:${type}`, properties, options: { provider: ref("clouds") } }];
    });
    const connections = { "fn::secret": connectionsOf(cloud) };
    const clouds = { type: "pulumi:providers:snapclone", properties: { connections } };
    return { yaml: { resources: { clouds, ...Object.fromEntries(resources) }, ...more } };
  };
  const run = async (running: Promise<Result>) => {
    const result = await running;
    expect([result.code, result.stdout]).toEqual([0, result.stdout]);
    return { done: operationsOf(result), backend: onBackends(cloud), stdout: result.stdout };
  };
  const all = (value: (life: (typeof LIVES)[string]) => unknown) =>
    Object.fromEntries(Object.entries(LIVES).map(([name, life]) => [name, value(life)]));

  beforeAll(async () => {
    cloud = await startCloud();
    const { PATH = "" } = pluginOnPath();
    stack = await newStack({ program: programOf("before"), env: { PATH: [host, PATH].join(path.delimiter) } });
  }, 600_000);
  afterAll(async () => {
    await stack?.close();
    await cloud?.close();
  });

  test("each resource: created, left alone, changed in place, looked up, deleted", async () => {
    const created = await run(stack.up());
    expect([created.done, created.backend]).toMatchObject([all(() => "create"), all(({ expected }) => expected[0])]);
    expect((await run(stack.up())).done).toMatchObject(all(() => "same"));

    const lookup = {
      "fn::invoke": {
        function: "snapclone:index:getSnapshot",
        arguments: { id: ref("Snapshot.id") },
        options: { provider: ref("clouds") },
      },
    };
    const outputs = { name: ref("found.name"), size: ref("Snapshot.sizeGiB") };
    stack.setProgram(programOf("after", { variables: { found: lookup }, outputs }));
    const changed = await run(stack.up());
    expect([changed.done, changed.backend]).toMatchObject([all(() => "update"), all(({ expected }) => expected[1])]);
    expect(changed.stdout).toMatch(/size *: 10/);
    const state = JSON.stringify(await stack.export());
    const passwords = Object.values(connectionsOf(cloud)).filter(({ password }) => password === "secret");
    expect(passwords.length).toBeGreaterThan(2);
    expect(state).not.toMatch(/password[\\":]*secret/);

    const deleted = await run(stack.destroy());
    expect([deleted.done, deleted.backend]).toMatchObject([all(() => "delete"), all(({ expected }) => expected[2])]);
  });

  test("a wrong property stops the program before anything is sent", async () => {
    const sent = cloud.requests.length;
    stack.setProgram({
      yaml: { resources: { s: { type: "snapclone:index:Snapshot", properties: { volumeid: "v" } } } },
    });
    const result = await stack.up();
    expect([result.code === 0, result.stdout + result.stderr]).toEqual([false, expect.stringContaining("volumeId")]);
    expect(cloud.requests.length).toBe(sent);
  });
});
