// The `import` option of a VolumeClone: takes over clones that something else has made, by their UUIDs in the order of
// `volumes`. The tags that a set is found by are written with the ownership record.

import type { Importable, Importer, OwnershipRecord, RecordedPart, State } from "../../core/definition";
import { SnapcloneError } from "../../core/errors";
import { idList, idsIn, wrongImport } from "../../core/importIds";
import { digest } from "../../core/util/digest";
import type { Metadata, VolumeRow } from "../../openstack/cinder";
import { uuid } from "../../openstack/inputs";
import { recordedPart, removeKeys, unsetCommand } from "../../openstack/snapshot/parts";
import type { PowerVcContext } from "../context";
import type { VolumeCloneInputs } from "./inputs";
import { importedTags, isTagged, isTemporaryName, type Member, OWNERSHIP_KEYS, recordTags } from "./ownership";
import { observedOf, recordedClones, stringsIn } from "./state";
import { forEachSettled } from "./volumes";

export const importer: Importer<VolumeCloneInputs, PowerVcContext> = {
  id: idList(
    uuid("a clone"),
    "clone",
    "must be the UUIDs of the clones, separated by commas, in the order of `volumes`",
  ),

  needs: ["volumes"],

  async find(cloud, importId, record, { volumes: wanted, displayName }, context): Promise<Importable | undefined> {
    const ids = idsIn(importId);
    if (wanted !== undefined && ids.length !== wanted.length) {
      throw wrongImport(
        `the option names ${ids.length} of the kind clone, and the program has ${wanted.length} volumes`,
      );
    }
    const source = ids.find((one) => wanted?.includes(one));
    if (source !== undefined) throw wrongImport(`${source} is one of the source volumes, and no clone of them`);
    const rows = await cloud.volumes(ids, undefined, context.signal);
    if (rows.length === 0) return undefined;
    const lacking = ids.filter((one) => !rows.some((row) => row.id === one));
    if (lacking.length > 0) throw wrongImport(`there is no volume ${lacking.join(", ")}, or this login may not see it`);
    refuseUnusable(rows);

    // Pulumi's own import does not know the program: what Cinder shows of the clones must do.
    const volumes = wanted ?? ids.map((one) => sourceOrThrow(rows.find((row) => row.id === one)));
    const setId = `snapclone-${digest(`import ${record.stack} ${record.owner} ${importId}`).slice(0, 24)}`;
    const claimed = rows.map((row, index): Member => ({ row, source: sourceOf(row) ?? volumes[index] }));
    refuseOtherSources(claimed, volumes);
    const unproven = claimed.filter(({ row }) => sourceOf(row) === undefined).map(({ row }) => row.id);
    if (unproven.length > 0) {
      context.warn(
        `of which volume a clone was made, Cinder does not show for ${unproven.join(", ")}: the program's word counts`,
      );
    }
    const prefix = prefixOf(rows, displayName);
    const members = claimed.map(
      ({ row, source: of }): Member => ({
        source: of,
        row: { ...row, metadata: { ...row.metadata, ...importedTags(row, of, volumes, setId, prefix) } },
      }),
    );
    return { id: setId, objects: ids, parts: rows.map(partOf), ...observedOf(members, { volumes }) };
  },

  forget: (parts) => unsetCommand("volume", parts),

  async removeRecords({ cinder }, parts) {
    for (const part of parts) {
      await removeKeys(part, OWNERSHIP_KEYS.owner, (id, key) => cinder.deleteVolumeMetadataKey(id, key));
    }
  },
};

/** Writes what `find` saw of these clones, and the record. Called with a state that an import has made. */
export async function recordImported(
  cloud: PowerVcContext,
  id: string,
  record: OwnershipRecord,
  known: State,
): Promise<void> {
  const volumes = stringsIn(known.volumes);
  const sources = recordedClones(known);
  const prefix = typeof known.namePrefix === "string" ? known.namePrefix : "";
  const rows = await cloud.volumes([...sources.keys()], undefined);
  const items = rows.map((row) => ({ row }));
  await forEachSettled(items, async ({ row }) => {
    const tags: Metadata = { ...importedTags(row, sources.get(row.id), volumes, id, prefix), ...recordTags(record) };
    await cloud.cinder.createVolumeMetadata(row.id, tags);
  });
}

function sourceOrThrow(row: VolumeRow | undefined): string {
  const source = row === undefined ? undefined : sourceOf(row);
  if (source !== undefined) return source;
  throw wrongImport(
    `of which volume ${row?.id} was made, Cinder does not show`,
    "Declare the clones in the program, with their `volumes` and the option `import` of the dynamic class (docs/import.md).",
  );
}

/** As far as Cinder or a former record shows it (docs/wire/powervc.md#f2). */
function sourceOf(row: VolumeRow): string | undefined {
  return row.source_volid ?? (isTagged(row) ? row.metadata[OWNERSHIP_KEYS.source] : undefined) ?? undefined;
}

function refuseOtherSources(members: readonly Member[], volumes: readonly string[]): void {
  const wrong = members.flatMap(({ row, source }, index) =>
    source === volumes[index] ? [] : [`${row.id} is a clone of ${source}, and volumes[${index}] is ${volumes[index]}`],
  );
  if (wrong.length === 0) return;
  throw wrongImport(wrong.join("; "), "Give the clones in the order of `volumes`.");
}

function refuseUnusable(rows: readonly VolumeRow[]): void {
  const wrong = rows.flatMap(({ id, name, status }) => {
    if (isTemporaryName(name)) return [`${id} ("${name}") belongs to a create that has not ended`];
    return /^(available|in-use)$/i.test(status) ? [] : [`${id} is in status "${status}"`];
  });
  if (wrong.length === 0) return;
  throw new SnapcloneError({
    kind: "refused",
    message: `${wrong.join("; ")}; nothing was changed`,
    hint: "Only clones that are available or in use can be taken over. Run `pulumi up` again when they are.",
  });
}

/** What tells a set's owner. The other tags say of which volume a clone was made, and stay. */
const RECORD = (["set", "stack", "owner", "inputs", "attempt", "phase"] as const).map((field) => OWNERSHIP_KEYS[field]);

/** Without tags of its own a volume has no record: those that it has may be copied from its source. */
function partOf(row: VolumeRow): RecordedPart {
  const object = `volume ${row.id}`;
  if (!isTagged(row)) return { id: row.id, object, holder: row.id, owner: "", written: [] };
  const part = recordedPart(object, row, OWNERSHIP_KEYS, row.metadata[OWNERSHIP_KEYS.set]);
  return { ...part, written: RECORD.filter((key) => key in row.metadata) };
}

/** What stands before the display name in the names of all clones, so that names that fit stay. Else PowerVC's default. */
function prefixOf(rows: readonly VolumeRow[], displayName: string | undefined): string {
  const prefixes = rows.map(({ name }, index) => {
    const end = `${displayName ?? ""}${rows.length === 1 ? "" : `-${index + 1}`}`;
    return displayName !== undefined && name?.endsWith(end) ? name.slice(0, name.length - end.length) : undefined;
  });
  const [first] = prefixes;
  return first !== undefined && prefixes.every((prefix) => prefix === first) ? first : "clone-";
}
