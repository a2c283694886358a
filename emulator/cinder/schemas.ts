// What Cinder accepts in a request body (cinder/api/schemas/*.py, cinder/api/validation/parameter_types.py).

import { type Schema, wrapped } from "../openstack/jsonSchema";
import { words } from "./values";

const NAME: Schema = { types: ["string", "null"], maxLength: 255 };

/**
 * Every printable character of the basic plane: no line break, no tab, no emoji
 * (parameter_types.py _is_printable, _get_all_chars: up to U+FFFE).
 */
const PRINTABLE = /^[^\p{C}\p{Zl}\p{Zp}\u{ffff}-\u{10ffff}]*$/u;

const DESCRIPTION: Schema = {
  types: ["string", "null"],
  maxLength: 255,
  pattern: { matches: (value) => PRINTABLE.test(value), text: () => `^[${printableRanges()}]*$` },
};

// exchanges: 'force maybe'
const TRUE_FORMS: readonly unknown[] = [true, ...words("True TRUE true 1 ON On on YES Yes yes y t")];
const FALSE_FORMS: readonly unknown[] = [false, ...words("False FALSE false 0 OFF Off off NO No no n f")];
const BOOLEAN: Schema = { types: ["boolean", "string"], enum: [...TRUE_FORMS, ...FALSE_FORMS] };

/** The value has passed BOOLEAN before. */
export function isTrueForm(value: unknown): boolean {
  return TRUE_FORMS.includes(value);
}

/** oslo_utils uuidutils.is_uuid_like: upper case and missing dashes are fine (exchanges: 'volume_id uppercase'). */
const UUID_OR_NULL: Schema = {
  oneOf: (value) =>
    value === null || (typeof value === "string" && /^[0-9a-f]{32}$/i.test(value.replace(/urn:|uuid:|[{}-]/g, ""))),
};

const SNAPSHOT_METADATA: Schema = {
  types: ["object", "null"],
  // exchanges: 'metadata key 256': a slash is allowed here
  patternKeys: { expression: /^[a-zA-Z0-9-_:. /]{1,255}$/, values: { types: ["string"], maxLength: 255 } },
  additional: false,
};

const VOLUME_METADATA: Schema = { ...SNAPSHOT_METADATA, types: ["object"] };

/** cinder/api/schemas/snapshots.py */
export const SNAPSHOT_CREATE = wrapped("snapshot", {
  properties: {
    name: NAME,
    display_name: NAME,
    description: DESCRIPTION,
    volume_id: UUID_OR_NULL,
    force: BOOLEAN,
    metadata: SNAPSHOT_METADATA,
  },
  required: ["volume_id"],
});

export const SNAPSHOT_UPDATE = wrapped("snapshot", {
  properties: { name: NAME, description: DESCRIPTION, display_name: NAME, display_description: DESCRIPTION },
  anyRequired: ["name", "description", "display_name", "display_description"],
});

/** cinder/api/schemas/snapshot_actions.py, admin_actions.py */
export const SNAPSHOT_UPDATE_STATUS = wrapped("os-update_snapshot_status", {
  properties: { status: { types: ["string"] }, progress: { types: ["string", "null"] } },
  required: ["status"],
});

export const RESET_STATUS = wrapped("os-reset_status", {
  properties: {
    status: { types: ["string"] },
    attach_status: { types: ["string", "null"] },
    migration_status: { types: ["string", "null"] },
  },
});

export const SET_BOOTABLE = wrapped("os-set_bootable", { properties: { bootable: BOOLEAN }, required: ["bootable"] });

/** cinder/api/schemas/volume_actions.py extend, cinder/api/validation/parameter_types.py volume_size */
export const EXTEND = wrapped("os-extend", {
  properties: {
    new_size: {
      types: ["integer", "string"],
      minimum: 1,
      pattern: { matches: (value) => /^[0-9]+$/.test(value), text: () => "^[0-9]+$" },
    },
  },
  required: ["new_size"],
});

/** cinder/api/schemas/volumes.py:126-141 of Zed: any text, and other fields, too. */
export const REVERT: Schema = {
  types: ["object"],
  properties: { revert: { types: ["object"], properties: { snapshot_id: { types: ["string", "null"] } } } },
  required: ["revert"],
  additional: false,
};

const VOLUME_NAMES = { name: NAME, description: NAME, display_name: NAME, display_description: NAME };

const VOLUME: Schema = {
  types: ["object"],
  properties: {
    ...VOLUME_NAMES,
    volume_type: NAME,
    metadata: SNAPSHOT_METADATA,
    snapshot_id: UUID_OR_NULL,
    source_volid: UUID_OR_NULL,
    consistencygroup_id: UUID_OR_NULL,
    size: { types: ["integer", "string", "null"], minimum: 1 },
    availability_zone: NAME,
    multiattach: { types: ["boolean", "string", "null"] },
    image_id: NAME,
    imageRef: NAME,
    group_id: NAME,
    backup_id: UUID_OR_NULL,
  },
};

function volumeCreate(volume: Schema): Schema {
  return {
    types: ["object"],
    properties: { volume, "OS-SCH-HNT:scheduler_hints": { types: ["object", "null"] } },
    required: ["volume"],
    additional: false,
  };
}

/** cinder/api/schemas/volumes.py create, create_volume_v353: an unknown field is an error from 3.53 on. */
export const VOLUME_CREATE = volumeCreate(VOLUME);
export const VOLUME_CREATE_353 = volumeCreate({ ...VOLUME, additional: false });

const VOLUME_CHANGES: Schema = { properties: { ...VOLUME_NAMES, metadata: VOLUME_METADATA } };

export const VOLUME_UPDATE = wrapped("volume", VOLUME_CHANGES);

/** update_volume_v353 */
export const VOLUME_UPDATE_353 = wrapped("volume", {
  ...VOLUME_CHANGES,
  anyRequired: Object.keys(VOLUME_CHANGES.properties ?? {}),
});

/** cinder/api/schemas/volume_metadata.py, parameter_types.py extra_specs: no slash in keys here. */
const VOLUME_METADATA_ITEMS: Schema = {
  patternKeys: { expression: /^[a-zA-Z0-9-_:. ]{1,255}$/, values: { types: ["string"], maxLength: 255 } },
  additional: false,
};

export const VOLUME_METADATA_WRITE = wrapped("metadata", VOLUME_METADATA_ITEMS);
export const VOLUME_METADATA_KEY = wrapped("meta", VOLUME_METADATA_ITEMS);

/**
 * The regular expression that a refused description prints, as re.escape writes it: kilobytes long
 * (exchanges: 'description with newline').
 */
function printableRanges(): string {
  let text = "";
  let start: number | undefined;
  for (let code = 0; code <= 0xffff; code++) {
    const fits = code < 0xffff && PRINTABLE.test(String.fromCharCode(code));
    if (fits && start === undefined) start = code;
    if (!fits && start !== undefined) {
      text += escapedChar(start) + (code - 1 === start ? "" : `-${escapedChar(code - 1)}`);
      start = undefined;
    }
  }
  return text;
}

function escapedChar(code: number): string {
  const char = String.fromCharCode(code);
  return char === " " || char === "~" ? `\\${char}` : char;
}
