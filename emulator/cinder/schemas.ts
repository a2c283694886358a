// What Cinder accepts in a request body (cinder/api/schemas/*.py, cinder/api/validation/parameter_types.py).

import { isObject } from "../core/http";
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

/** cinder/objects/fields.py:113, in the order of exchanges: 'reset banana' */
const SNAPSHOT_STATUSES = words(
  "error available creating deleting deleted updating error_deleting unmanaging backing-up restoring",
);

/** cinder/objects/fields.py:168-197 */
const VOLUME_STATUSES = words(
  "creating available deleting error error_deleting error_managing managing attaching in-use detaching maintenance",
  "restoring-backup error_restoring reserved awaiting-transfer backing-up error_backing-up error_extending downloading",
  "uploading retyping extending",
);

/** cinder/objects/fields.py:204-212 */
const MIGRATION_STATUSES = words("migrating error success completing none starting");

/** In any case of letters (cinder/api/validation/validators.py:330-375). A snapshot's may not be empty. */
function statusFormat(noun: string, valid: readonly string[], printed = tuple(valid)) {
  return (value: unknown): string | undefined => {
    const isValid = typeof value !== "string" || valid.includes(value.toLowerCase());
    if (isValid || (value === "" && noun !== "Snapshot status")) return undefined;
    return `${noun}: ${value} is invalid, valid statuses are: ${printed}.`;
  };
}

function tuple(values: readonly string[]): string {
  return `(${values.map((value) => `'${value}'`).join(", ")})`;
}

const STATUS_OR_NULL = { types: ["string", "null"] } as const;

export const SNAPSHOT_RESET_STATUS = wrapped("os-reset_status", {
  properties: { status: { types: ["string"], format: statusFormat("Snapshot status", SNAPSHOT_STATUSES) } },
  required: ["status"],
});

/** validators.py:316-327: the check of the whole comes before those of the fields. */
export const VOLUME_RESET_STATUS = wrapped("os-reset_status", {
  format: (value) =>
    isObject(value) && !value.status && !value.attach_status && !value.migration_status
      ? "Must specify 'status', 'attach_status' or 'migration_status' for update."
      : undefined,
  properties: {
    status: { ...STATUS_OR_NULL, format: statusFormat("Volume status", VOLUME_STATUSES) },
    attach_status: {
      ...STATUS_OR_NULL,
      format: statusFormat("Volume attach status", ["attached", "detached"], "['attached', 'detached']"),
    },
    migration_status: { ...STATUS_OR_NULL, format: statusFormat("Volume migration status", MIGRATION_STATUSES) },
  },
});

const QUOTA_MAX = 2 ** 31 - 1;

/** Neither is a quota, and both pass (cinder/quota.py:964). */
const NO_QUOTAS = ["tenant_id", "id"];

/**
 * cinder/api/schemas/quotas.py, cinder/api/validation/validators.py:238-255: the values come before the names. Text passes
 * here, and does not pass what follows (docs/wire/openstack.md#quotas).
 */
export function quotaUpdate(resources: readonly string[]): Schema {
  return wrapped("quota_set", {
    minProperties: 1,
    format: (value) => {
      const given = Object.entries(isObject(value) ? value : {}).filter(([key]) => !NO_QUOTAS.includes(key));
      const known = given.filter(([key]) => resources.includes(key));
      const problem = known.map(([key, limit]) => quotaProblem(key, limit)).find((text) => text !== undefined);
      const bad = given.flatMap(([key]) => (resources.includes(key) ? [] : [key]));
      if (problem !== undefined || bad.length === 0) return problem;
      return `Invalid input received: Bad key(s) in quota set: ${bad.join(", ")}`;
    },
    patternKeys: { expression: /^/, values: {} },
  });
}

/** oslo_utils strutils.validate_integer */
function quotaProblem(key: string, given: unknown): string | undefined {
  const isInteger = ["number", "string"].includes(typeof given) && /^\s*[+-]?\d+\s*$/.test(String(given));
  if (!isInteger) return `${key} must be an integer`;
  if (Number(given) < -1) return `${key} must be >= -1`;
  return Number(given) > QUOTA_MAX ? `${key} must be <= ${QUOTA_MAX}` : undefined;
}

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
    multiattach: { oneOf: (value) => value === null || [...TRUE_FORMS, ...FALSE_FORMS].includes(value) },
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
