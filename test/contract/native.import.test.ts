// The organisation of a stack on Pulumi Cloud is part of the ownership record. Programs in TypeScript give it to their resources,
// and an import (`pulumi import`, the option `import`) has nothing of the program.

import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { stackDigest } from "../../provider/core/ownership";
import { type InitFailure, NativeProvider } from "../../provider/native/provider";
import { parseState } from "../../provider/pulumi/state";

const URN = "urn:pulumi:dev::shop::snapclone:index:Snapshot::nightly";
const OWNER = "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:Snapshot::nightly";
const digestOf = (organization?: string) => stackDigest("", organization, { project: "shop", stack: "dev" });

let emulator: Emulator;
beforeAll(async () => {
  emulator = await startEmulator({ clock: "instant" });
});
afterAll(() => emulator.close());

/** A stack whose other resources are of these organisations. */
function stateOf(organizations: readonly string[], importId: string) {
  const type = "snapclone:index:Snapshot";
  const resources = organizations.map((__organization, n) => ({
    urn: `${URN}${n}`,
    type,
    id: `id-${n}`,
    inputs: { __organization },
  }));
  const pending_operations = [{ type: "importing", resource: { urn: URN, type, importID: importId } }];
  const manifest = { time: new Date().toISOString() };
  return parseState(JSON.stringify({ version: 3, deployment: { manifest, resources, pending_operations } }));
}

async function imported(
  organizations: readonly string[],
  { recordedOf, configured }: { recordedOf?: string; configured?: string },
) {
  const metadata =
    recordedOf === undefined ? {} : { "snapclone:owner": OWNER, "snapclone:stack": digestOf(recordedOf) };
  const { id } = emulator.cinder.createSnapshot({ volume_id: SEED_VOLUMES.data, metadata });
  const startedAt = new Date(Date.now() - 1000);
  const askState = async () => stateOf(organizations, id);
  const provider = new NativeProvider(() => {}, { askState, startedAt, origin: () => "" });
  const connections = JSON.stringify(emulator.connections());
  await provider.configure({ values: { connections, organization: configured }, secrets: [] }, "default_0_1_0");
  try {
    const found = await provider.read(URN, id, { values: {}, secrets: [] }, undefined, undefined);
    return [found?.outputs.values.__stack, emulator.cinder.snapshots.get(id)?.metadata["snapclone:stack"]];
  } finally {
    await provider.end();
  }
}

test.each([
  ["of the stack's other resources", ["acme", "acme"], undefined, "acme"],
  ["of the configuration, whatever the others say", ["acme"], "umbrella", "umbrella"],
  ["of self-managed state stores, where nobody says", [], undefined, undefined],
  ["of self-managed state stores, where the others differ", ["acme", "umbrella"], undefined, undefined],
])("an import writes a record %s", async (_what, organizations, configured, expected) => {
  const digest = digestOf(expected);
  expect(await imported(organizations, configured === undefined ? {} : { configured })).toEqual([digest, digest]);
});

test("an object that this very stack has let go is taken back, and one of another organisation's is refused", async () => {
  expect(await imported(["acme"], { recordedOf: "acme" })).toEqual([digestOf("acme"), digestOf("acme")]);
  await expect(imported(["acme"], { recordedOf: "umbrella" })).rejects.toThrow(/of another stack/);
  await expect(imported([], { recordedOf: "acme" })).rejects.toThrow(/of another stack/);
});

// Pulumi's own import checks the inputs that it has read, and calls what is missing "almost certainly a bug" of the provider.
test("an imported SnapshotSeries names the input that no backend shows, and its first update takes and deletes nothing", async () => {
  const said: string[] = [];
  const askState = async () => stateOf([], "");
  const provider = new NativeProvider((_level, text) => said.push(text), { askState, origin: () => "" });
  const connections = JSON.stringify(emulator.connections());
  await provider.configure({ values: { connections }, secrets: [] }, "default_0_1_0");
  const urn = "urn:pulumi:dev::shop::snapclone:index:SnapshotSeries::nightly";
  const ids = [1, 2].map(() => emulator.cinder.createSnapshot({ volume_id: SEED_VOLUMES.data }).id);
  const seed = new Uint8Array(32);
  const received = (values: Record<string, unknown>) => ({ values, secrets: [] });
  try {
    const found = await provider.read(urn, ids.join(","), received({}), undefined, undefined);
    if (found?.inputs === undefined) throw new Error("nothing was read");
    const { id, inputs, outputs } = found;
    expect((await provider.check(urn, inputs, inputs, seed)).failures).toEqual([]);
    expect(said).toEqual([expect.stringMatching(/^no backend shows keep: /)]);
    const program = { volumeId: SEED_VOLUMES.data, triggers: ["2026-11-28"] };
    const { failures } = await provider.check(urn, inputs, received(program), seed);
    expect(failures).toEqual([{ property: "keep", reason: "is required" }]);

    const made = emulator.requests.count({ operation: "snapshots.create" });
    const update = async (olds: typeof outputs, keep: number) => {
      const { values } = await provider.check(urn, inputs, received({ ...program, keep }), seed);
      const options = { preview: false, timeoutMs: undefined, ignoreChanges: [] };
      return (await provider.update(urn, id, olds, received(values), options)).outputs;
    };
    const failed = await update(outputs, 1).catch((error: unknown) => error);
    expect(String(failed)).toMatch(/would be deleted at once; nothing was changed/);
    // What the engine stores of the failure is what the next update, and a refresh before it, begin with.
    const { properties } = failed as InitFailure;
    const refreshed = await provider.read(urn, id, properties, inputs, undefined);
    for (const state of [properties, refreshed?.outputs ?? properties]) {
      await expect(update(state, 1)).rejects.toThrow(/would be deleted at once/);
    }
    const updated = await update(refreshed?.outputs ?? properties, 2);
    expect(updated.values).toMatchObject({ snapshots: [{}, {}], pruned: [] });
    expect(emulator.requests.count({ operation: "snapshots.create" })).toBe(made);
    expect((await update(updated, 1)).values).toMatchObject({ snapshots: [{}], pruned: [{}] });
  } finally {
    await provider.end();
  }
});
