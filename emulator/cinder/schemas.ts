// What Cinder accepts in a request body, worded as its JSON schema validation words a refusal
// (cinder/api/validation/validators.py, cinder/api/schemas/*.py, cinder/api/validation/parameter_types.py).

import { isObject } from "../core/http";
import { repr, str } from "../core/pythonRepr";

export type Schema = {
  readonly types?: readonly ("string" | "null" | "object" | "boolean" | "integer" | "array")[];
  readonly enum?: readonly unknown[];
  readonly maxLength?: number;
  readonly minLength?: number;
  readonly minimum?: number;
  /** The text is what the refusal prints. */
  readonly pattern?: { matches(value: string): boolean; text(): string };
  /** oneOf/anyOf over formats: refused as a whole. */
  readonly oneOf?: (value: unknown) => boolean;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly patternKeys?: { readonly expression: RegExp; readonly values: Schema };
  readonly additional?: false;
  readonly anyRequired?: readonly string[];
};

/** The message of the refusal, or undefined. The first error counts, in the order of the schema's keywords. */
export function refusal(schema: Schema, body: unknown): string | undefined {
  const error = firstError(schema, body, undefined);
  if (error === undefined) return undefined;
  // An error at the top has no field to name (exchanges: 'empty object').
  if (error.field === undefined) return error.message;
  return `Invalid input for field/attribute ${error.field}. Value: ${str(error.value)}. ${error.message}`;
}

interface SchemaError {
  readonly field: string | undefined;
  readonly value: unknown;
  readonly message: string;
}

function firstError(schema: Schema, value: unknown, field: string | undefined): SchemaError | undefined {
  const fail = (message: string): SchemaError => ({ field, value, message });
  if (schema.oneOf !== undefined && !schema.oneOf(value))
    return fail(`${repr(value)} is not valid under any of the given schemas`);
  if (schema.types !== undefined && !schema.types.some((type) => isType(value, type)))
    return fail(`${repr(value)} is not of type ${schema.types.map(repr).join(", ")}`);
  if (schema.enum !== undefined && !schema.enum.includes(value))
    return fail(`${repr(value)} is not one of ${repr(schema.enum)}`);
  if (schema.minimum !== undefined && typeof value === "number" && value < schema.minimum)
    return fail(`${repr(value)} is less than the minimum of ${schema.minimum}`);
  if (typeof value === "string") return stringError(schema, value, fail);
  return isObject(value) ? objectError(schema, value, fail) : undefined;
}

function stringError(schema: Schema, value: string, fail: (message: string) => SchemaError): SchemaError | undefined {
  const length = [...value].length;
  if (schema.minLength !== undefined && length < schema.minLength) return fail(`${repr(value)} is too short`);
  if (schema.maxLength !== undefined && length > schema.maxLength) return fail(`${repr(value)} is too long`);
  if (schema.pattern !== undefined && !schema.pattern.matches(value))
    return fail(`${repr(value)} does not match ${repr(schema.pattern.text())}`);
  return undefined;
}

function objectError(
  schema: Schema,
  value: Record<string, unknown>,
  fail: (message: string) => SchemaError,
): SchemaError | undefined {
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const error = name in value ? firstError(property, value[name], name) : undefined;
    if (error !== undefined) return error;
  }
  if (schema.patternKeys !== undefined) {
    const { expression, values } = schema.patternKeys;
    for (const [name, item] of Object.entries(value)) {
      const error = expression.test(name) ? firstError(values, item, name) : undefined;
      if (error !== undefined) return error;
    }
  }
  const missing = schema.required?.find((name) => !(name in value));
  if (missing !== undefined) return fail(`${repr(missing)} is a required property`);
  const extra = schema.additional === false ? additional(schema, value) : undefined;
  if (extra !== undefined) return fail(extra);
  if (schema.anyRequired !== undefined && !schema.anyRequired.some((name) => name in value))
    return fail(`${repr(value)} is not valid under any of the given schemas`);
  return undefined;
}

function additional(schema: Schema, value: Record<string, unknown>): string | undefined {
  const known = Object.keys(schema.properties ?? {});
  const expression = schema.patternKeys?.expression;
  const extra = Object.keys(value).filter((name) => !known.includes(name) && expression?.test(name) !== true);
  if (extra.length === 0) return undefined;
  const names = extra.map(repr).join(", ");
  // exchanges: 'metadata key 256', 'metadata empty key'
  if (expression !== undefined)
    return `${names} ${extra.length === 1 ? "does" : "do"} not match any of the regexes: '${expression.source.replaceAll("\\/", "/")}'`;
  return `Additional properties are not allowed (${names} ${extra.length === 1 ? "was" : "were"} unexpected)`;
}

function isType(value: unknown, type: string): boolean {
  if (type === "null") return value === null;
  if (type === "object") return isObject(value);
  if (type === "array") return Array.isArray(value);
  if (type === "integer") return Number.isInteger(value);
  return typeof value === type;
}

const NAME: Schema = { types: ["string", "null"], maxLength: 255 };

/**
 * Letters, marks, numbers, punctuation, symbols and horizontal blanks of the basic plane
 * (parameter_types.py _is_printable, _get_all_chars: up to U+FFFE, so no emoji).
 */
const PRINTABLE = /^[^\p{C}\p{Zl}\p{Zp}\u{ffff}-\u{10ffff}]*$/u;

const DESCRIPTION: Schema = {
  types: ["string", "null"],
  maxLength: 255,
  pattern: { matches: (value) => PRINTABLE.test(value), text: () => `^[${printableRanges()}]*$` },
};

// exchanges: 'force maybe'
const TRUE_FORMS: readonly unknown[] = [
  true,
  "True",
  "TRUE",
  "true",
  "1",
  "ON",
  "On",
  "on",
  "YES",
  "Yes",
  "yes",
  "y",
  "t",
];
const FALSE_FORMS: readonly unknown[] = [
  false,
  "False",
  "FALSE",
  "false",
  "0",
  "OFF",
  "Off",
  "off",
  "NO",
  "No",
  "no",
  "n",
  "f",
];
const BOOLEAN: Schema = { types: ["boolean", "string"], enum: [...TRUE_FORMS, ...FALSE_FORMS] };

/** Of a value that has passed BOOLEAN. */
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

function wrapped(name: string, schema: Schema): Schema {
  return {
    types: ["object"],
    properties: { [name]: { types: ["object"], additional: false, ...schema } },
    required: [name],
    additional: false,
  };
}

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

export const REVERT = wrapped("revert", { properties: { snapshot_id: UUID_OR_NULL }, required: ["snapshot_id"] });

const VOLUME: Schema = {
  types: ["object"],
  properties: {
    name: NAME,
    description: NAME,
    display_name: NAME,
    display_description: NAME,
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

export const VOLUME_UPDATE = wrapped("volume", {
  properties: {
    name: NAME,
    description: NAME,
    display_name: NAME,
    display_description: NAME,
    metadata: VOLUME_METADATA,
  },
});

/** update_volume_v353 */
export const VOLUME_UPDATE_353 = wrapped("volume", {
  properties: {
    name: NAME,
    description: NAME,
    display_name: NAME,
    display_description: NAME,
    metadata: VOLUME_METADATA,
  },
  anyRequired: ["name", "description", "display_name", "display_description", "metadata"],
});

/** cinder/api/schemas/volume_metadata.py, parameter_types.py extra_specs: no slash in keys here. */
const VOLUME_METADATA_ITEMS: Schema = {
  patternKeys: { expression: /^[a-zA-Z0-9-_:. ]{1,255}$/, values: { types: ["string"], maxLength: 255 } },
  additional: false,
};

export const VOLUME_METADATA_WRITE = wrapped("metadata", VOLUME_METADATA_ITEMS);
export const VOLUME_METADATA_KEY = wrapped("meta", VOLUME_METADATA_ITEMS);

/** The kilobytes that a refused description prints (exchanges: 'description with newline'), as re.escape writes them. */
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
