// What is taken out of a state, and what a `pulumi` that misbehaves does to a run: nothing but a reason.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { StateUnavailable } from "../../../provider/core/ownership";
import { askState, parseState } from "../../../provider/pulumi/state";

const TYPE = "pulumi-nodejs:dynamic/snapclone:Snapshot";
const urn = (name: string, type = TYPE) => `urn:pulumi:dev::shop::${type}::${name}`;
const stateOf = (resources: unknown, pending: unknown = []) =>
  JSON.stringify({ version: 3, deployment: { resources, pending_operations: pending } });

describe("a state", () => {
  const secret = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", ciphertext: "planted" };

  test("gives ids, URNs, hidden inputs and times of our resources, and no other value", () => {
    const created = "2026-11-28T05:08:53.659821Z";
    const text = stateOf(
      [
        { urn: urn("shop-dev", "pulumi:pulumi:Stack"), type: "pulumi:pulumi:Stack", outputs: { planted: "planted" } },
        {
          urn: urn("default", "pulumi:providers:x"),
          type: "pulumi:providers:x",
          id: "p",
          inputs: { planted: "planted" },
        },
        {
          urn: urn("a"),
          type: TYPE,
          id: "1",
          created,
          inputs: { __attempt: "1111", name: "planted", secret },
          outputs: { __adopted: "run 7", name: "planted", secret },
          propertyDependencies: { planted: [] },
        },
        { urn: urn("a"), type: TYPE, id: "2", delete: true, inputs: { __attempt: secret } },
        { urn: urn("b"), type: TYPE, id: "3", external: true },
        { urn: urn("c"), type: TYPE, id: "" },
        { urn: urn("f"), type: TYPE, id: "5", created, pendingReplacement: true, inputs: { name: "planted" } },
        { urn: urn("d"), type: TYPE },
        { urn: urn("e", "aws:s3:Bucket"), type: "aws:s3:Bucket", id: "planted" },
        "planted",
        null,
      ],
      [
        { type: "creating", resource: { urn: urn("z"), type: TYPE, inputs: { __attempt: "2222", name: "planted" } } },
        { type: "creating", resource: { urn: urn("y"), type: TYPE } },
        { type: "creating", resource: { urn: urn("x", "aws:s3:Bucket"), type: "aws:s3:Bucket" } },
        { type: "deleting", resource: { urn: urn("w"), type: TYPE } },
        { type: "importing", resource: { urn: urn("v"), type: TYPE, importID: "other/7" } },
        { type: "importing", resource: { urn: urn("u"), type: TYPE } },
        { type: "creating" },
      ],
    );
    const state = parseState(text);
    expect(state).toEqual({
      entries: [
        { urn: urn("a"), id: "1", leaving: false, external: false, created, attempt: "1111", adopted: "run 7" },
        { urn: urn("a"), id: "2", leaving: true, external: false },
        { urn: urn("b"), id: "3", leaving: false, external: true },
      ],
      pendingCreates: [{ urn: urn("z"), attempt: "2222" }, { urn: urn("y") }],
      pendingImports: [{ urn: urn("v"), importId: "other/7" }],
      deletedFirst: [{ urn: urn("f"), created }],
    });
    expect(JSON.stringify(state)).not.toContain("planted");
  });

  test("of a stack that has never been updated is empty", () => {
    expect(parseState('{"version": 3, "deployment": {}}')).toEqual({ entries: [], pendingCreates: [] });
  });

  test.each(["", "hello", "[]", "{}", '{"deployment": 7}', "null"])("is not %j", (text) => {
    expect(() => parseState(text)).toThrow("did not answer with a state");
  });
});

describe("pulumi stack export", () => {
  let folder: string;
  const before = { ...process.env };

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "snapclone-unit-"));
    process.env.PATH = [folder, before.PATH].join(path.delimiter);
  });
  afterEach(() => {
    process.env.PATH = before.PATH;
    delete process.env.PULUMI_SKIP_CHECKPOINTS;
    fs.rmSync(folder, { recursive: true });
  });

  const pulumi = (script: string) =>
    fs.writeFileSync(path.join(folder, "pulumi"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const ask = (timeoutMs = 10_000, maxBytes?: number) => askState(urn("a"), "acme", timeoutMs, maxBytes);

  test("is asked for the stack of the URN, with nobody at a terminal", async () => {
    pulumi(`echo "$@" > ${folder}/asked; echo '${stateOf([{ urn: urn("a"), type: TYPE, id: "1" }])}'`);
    expect((await ask()).entries).toEqual([{ urn: urn("a"), id: "1", leaving: false, external: false }]);
    expect(fs.readFileSync(path.join(folder, "asked"), "utf8").trim()).toBe(
      "stack export --stack acme/shop/dev --non-interactive",
    );
  });

  test("of a store that knows no projects: asked again by the stack's name alone", async () => {
    pulumi(
      `case "$*" in */*) echo "error: no stack named 'acme/shop/dev' found" >&2; exit 255;; esac; echo '${stateOf([])}'`,
    );
    expect(await askState(urn("a"), undefined, 10_000)).toEqual({ entries: [], pendingCreates: [] });
  });

  test("that fails for the stack's name, too, says what it said at first", async () => {
    pulumi(
      `case "$*" in */*) echo "error: the project's folder is gone" >&2;; *) echo "error: other" >&2;; esac; exit 255`,
    );
    await expect(ask()).rejects.toThrow("error: the project's folder is gone");
  });

  test("while Pulumi's file backend writes the state's attributes: asked once more", async () => {
    const eof = 'echo "error: failed to load checkpoint: EOF" >&2; exit 255';
    pulumi(`if [ ! -e ${folder}/once ]; then touch ${folder}/once; ${eof}; fi; echo '${stateOf([])}'`);
    expect(await ask()).toEqual({ entries: [], pendingCreates: [] });
    pulumi(`echo >> ${folder}/times; ${eof}`);
    await expect(ask()).rejects.toThrow("failed to load checkpoint: EOF");
    expect(fs.readFileSync(`${folder}/times`, "utf8")).toBe("\n\n");
  });

  test("that does not answer is ended, with all that it has started", async () => {
    pulumi(`sleep 60 & echo $! > ${folder}/pid; wait`);
    const started = Date.now();
    await expect(ask(500)).rejects.toThrow("did not answer within 0.5 s");
    expect(Date.now() - started).toBeLessThan(5_000);
    const pid = fs.readFileSync(path.join(folder, "pid"), "utf8").trim();
    // Gone, or a zombie that nobody has collected. A killed process takes a moment for it.
    const hasEnded = () => {
      try {
        return /\) Z/.test(fs.readFileSync(`/proc/${pid}/stat`, "utf8"));
      } catch {
        return true;
      }
    };
    while (!hasEnded()) {
      expect(Date.now() - started).toBeLessThan(5_000);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });

  test.each(["echo hello", "echo '{}'", "true"])("that answers with garbage: %s", async (script) => {
    pulumi(script);
    await expect(ask()).rejects.toThrow("did not answer with a state");
  });

  test("that fails says why, in a line", async () => {
    pulumi("echo 'error: failed to load checkpoint: access denied' >&2; echo more >&2; exit 1");
    await expect(ask()).rejects.toThrow(
      "`pulumi stack export` failed: error: failed to load checkpoint: access denied",
    );
    pulumi("exit 3");
    const error: unknown = await ask().catch((thrown: unknown) => thrown);
    expect(String(error)).toContain("exit code 3");
    // The state can be asked in principle: what this run made is named.
    expect(error).not.toBeInstanceOf(StateUnavailable);
  });

  test("that answers without end is ended", async () => {
    pulumi("yes");
    await expect(ask(10_000, 1_000_000)).rejects.toThrow("more than 1000000 bytes");
  });

  test("that is not there, can't be run, or saves nothing, is no witness", async () => {
    process.env.PATH = folder;
    await expect(ask()).rejects.toThrow(new StateUnavailable("no `pulumi` is on PATH"));
    fs.writeFileSync(path.join(folder, "pulumi"), "", { mode: 0o644 });
    await expect(ask()).rejects.toBeInstanceOf(StateUnavailable);
    process.env.PULUMI_SKIP_CHECKPOINTS = "true";
    await expect(ask()).rejects.toThrow(/PULUMI_SKIP_CHECKPOINTS is set/);
    await expect(ask()).rejects.toBeInstanceOf(StateUnavailable);
  });
});
